//! What a run prints, for people and for programs, as snapshots; hostile texts among it.

use serde_json::json;

use super::*;
use crate::approve::Approval;
use crate::report::{FieldChange, NoteReport};

fn change(verb: &str, host: &str, reason: &str) -> ChangeReport {
    ChangeReport {
        verb: verb.to_owned(),
        host: host.to_owned(),
        reason: reason.to_owned(),
        ..ChangeReport::default()
    }
}

/// A run with everything in it.
fn full() -> RunReport {
    let fields = vec![
        FieldChange { path: "status.state".into(), from: json!("Running"), to: json!("Stopped") },
        FieldChange { path: "status.hardware.cpus".into(), from: json!(8), to: json!(null) },
    ];
    let eu = SourceReport {
        source: "aws-210987654321-eu-west-1".into(),
        listed: 102,
        selected: 100,
        created: 1,
        updated: 1,
        gone: 1,
        returned: 1,
        unchanged: 87,
        withheld: 1,
        unconfirmed: 1,
        conflicts: 2,
        failed: 1,
        checksum: Some("9f2c41d07b6e".into()),
        changes: vec![
            change("create", "aws-i-01", "listed"),
            ChangeReport { fields, ..change("update", "aws-i-02", "listed") },
            ChangeReport {
                approval: Some("51be07c2a9d3".into()),
                ..change("gone", "aws-i-03", "Vanished")
            },
            change("return", "aws-i-04", "listed"),
            ChangeReport {
                withheld: true,
                checksum: Some("0b8d11f6c4ae".into()),
                ..change("gone", "aws-i-05", "Deselected")
            },
        ],
        notes: vec![NoteReport {
            reason: "foreign".into(),
            host: Some("aws-i-06".into()),
            message: "left alone: another source or machine owns this name".into(),
        }],
        ..SourceReport::default()
    };
    let us = SourceReport {
        source: "aws-210987654321-us-east-1".into(),
        result: RoundResult::Failed,
        error: Some("the token has expired: log in again".into()),
        ..SourceReport::default()
    };
    let old = SourceReport {
        source: "aws-1-eu-west-1".into(),
        result: RoundResult::Unserved,
        ..SourceReport::default()
    };
    let asleep = SourceReport {
        source: "aws-2-eu-west-1".into(),
        result: RoundResult::Suspended,
        ..SourceReport::default()
    };
    RunReport {
        provider: "aws".into(),
        exit_code: 3,
        checksum: Some("51be07c2a9d3".into()),
        sources: vec![eu, us, old, asleep],
        ..RunReport::default()
    }
}

fn quiet() -> RunReport {
    let source = SourceReport {
        source: "baremetal-file-fra1".into(),
        listed: 4,
        selected: 3,
        unchanged: 3,
        ..SourceReport::default()
    };
    RunReport { provider: "baremetal".into(), sources: vec![source], ..RunReport::default() }
}

/// Names, tags and errors of somebody who means harm.
fn hostile() -> RunReport {
    let evil = "\u{1b}[2J\u{9b}1m\n## done\r<img src=x> @all `x` |\u{202e}";
    let fields = vec![FieldChange {
        path: format!("status.tags[{evil}]"),
        from: json!(evil),
        to: json!([evil]),
    }];
    let source = SourceReport {
        source: evil.into(),
        result: RoundResult::Failed,
        error: Some(evil.into()),
        changes: vec![ChangeReport { fields, ..change("update", evil, evil) }],
        notes: vec![NoteReport {
            reason: evil.into(),
            host: Some(evil.into()),
            message: evil.into(),
        }],
        ..SourceReport::default()
    };
    RunReport { provider: "aws".into(), sources: vec![source], ..RunReport::default() }
}

#[test]
fn a_run_for_people() {
    insta::assert_snapshot!(render(&full(), Output::Text));
}

#[test]
fn a_plan_for_people() {
    insta::assert_snapshot!(render(&RunReport { dry_run: true, ..full() }, Output::Text));
}

#[test]
fn a_second_run_says_that_nothing_changed() {
    insta::assert_snapshot!(render(&quiet(), Output::Text));
}

#[test]
fn a_run_for_programs() {
    insta::assert_snapshot!(render(&full(), Output::Json));
}

#[test]
fn a_plan_for_a_pull_request() {
    insta::assert_snapshot!(render(&RunReport { dry_run: true, ..full() }, Output::Markdown));
}

#[test]
fn what_programs_are_given_is_what_an_approval_reads() {
    let json = render(&full(), Output::Json);
    let approval = Approval::parse(&json).unwrap();
    assert!(
        matches!(approval, Approval::Plan { ref id, .. } if id == "51be07c2a9d3"),
        "{approval:?}"
    );
    // A plan that names no marks is worth what its checksum is.
    let of_hosts_alone = json.replace("\"checksum\": \"0b8d11f6c4ae\",", "");
    let approval = Approval::parse(&of_hosts_alone).unwrap();
    assert_eq!(approval, Approval::Checksum("51be07c2a9d3".to_owned()));
}

#[test]
fn no_control_character_reaches_a_terminal_or_a_pull_request() {
    for output in [Output::Text, Output::Json, Output::Markdown] {
        let text = render(&hostile(), output);
        let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(bad, None, "{output:?}: {text:?}");
        assert!(!text.contains("\n## done"), "{output:?}: {text}");
    }
    let text = render(&hostile(), Output::Markdown);
    assert!(!text.contains("<img") && !text.contains("@all") && !text.contains("`x`"), "{text}");
}

#[test]
fn ten_thousand_changes_fit_into_a_comment() {
    let mut report = full();
    report.sources[0].changes =
        (0..10_000).map(|n| change("create", &format!("aws-i-{n:08}"), "listed")).collect();
    let text = render(&report, Output::Markdown);
    assert!(text.chars().count() < 65_536, "{}", text.len());
    assert!(text.contains("more\n") && text.contains("10000 changes"), "says what it leaves out");
}
