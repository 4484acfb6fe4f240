//! The lines of the log, for people and for programs.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::report::{ChangeReport, FieldChange, NoteReport, RoundResult, SourceReport};

#[derive(Clone, Default)]
struct Lake(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lake {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What `tell` leaves behind.
fn logged(format: LogFormat, level: LogLevel, tell: impl FnOnce()) -> String {
    let lake = Lake::default();
    let into = lake.clone();
    let now = || "2026-03-03T04:05:06.789Z".parse().unwrap();
    let layer = tracing_subscriber::fmt::layer()
        .event_format(Lines { format, now })
        .with_writer(move || into.clone());
    let subscriber = tracing_subscriber::registry().with(filter(level)).with(layer);
    tracing::subscriber::with_default(subscriber, tell);
    let bytes = lake.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn report() -> SourceReport {
    let fields = vec![FieldChange {
        path: "status.hostname".into(),
        from: json!("web 1"),
        to: json!("web\u{1b}[2J\n2"),
    }];
    let held = ChangeReport { withheld: true, verb: "gone".into(), ..ChangeReport::default() };
    let marked = ChangeReport {
        verb: "gone".into(),
        host: "aws-i-02".into(),
        reason: "Vanished".into(),
        approval: Some("9f2c41d07b6e".into()),
        ..ChangeReport::default()
    };
    let updated = ChangeReport {
        verb: "update".into(),
        host: "aws-i-01".into(),
        reason: "listed".into(),
        fields,
        ..ChangeReport::default()
    };
    SourceReport {
        source: "aws-1-eu-west-1".into(),
        updated: 1,
        gone: 1,
        withheld: 1,
        checksum: Some("51be07c2a9d3".into()),
        changes: vec![updated, marked, held],
        notes: vec![NoteReport {
            reason: "foreign".into(),
            host: Some("aws-i-03".into()),
            message: "left alone\nerror=none".into(),
        }],
        ..SourceReport::default()
    }
}

const TOOK: Duration = Duration::from_millis(1500);

#[test]
fn a_change_is_a_line_for_people() {
    insta::assert_snapshot!(logged(LogFormat::Text, LogLevel::Debug, || ended(
        &report(),
        TOOK,
        false
    )));
}

#[test]
fn a_change_is_a_line_for_programs() {
    insta::assert_snapshot!(logged(LogFormat::Json, LogLevel::Debug, || ended(
        &report(),
        TOOK,
        false
    )));
}

#[test]
fn a_round_without_change_is_told_at_debug_only() {
    let quiet = SourceReport { unchanged: 3, ..SourceReport::default() };
    assert_eq!(logged(LogFormat::Text, LogLevel::Info, || ended(&quiet, TOOK, false)), "");
    assert!(
        logged(LogFormat::Text, LogLevel::Debug, || ended(&quiet, TOOK, false))
            .contains("complete")
    );
}

#[test]
fn a_dry_run_tells_of_no_change() {
    let text = logged(LogFormat::Text, LogLevel::Info, || ended(&report(), TOOK, true));
    assert!(!text.contains("Host changed") && text.contains("withheld"), "{text}");
}

#[test]
fn a_failed_round_is_one_line_whatever_the_error_holds() {
    let failed = SourceReport {
        result: RoundResult::Failed,
        error: Some("502\r\n\u{9b}<html>".into()),
        ..SourceReport::default()
    };
    for format in [LogFormat::Text, LogFormat::Json] {
        let text = logged(format, LogLevel::Warn, || ended(&failed, TOOK, false));
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.trim_end().contains(char::is_control), "{text:?}");
    }
}

#[test]
fn crates_beneath_are_heard_only_where_they_warn() {
    let text = logged(LogFormat::Text, LogLevel::Debug, || {
        tracing::debug!(target: "hyper_util::client", "pooling");
        tracing::warn!(target: "hyper_util::client", "odd");
        tracing::warn!(target: "kube_client::client", "a whole body");
        tracing::debug!(target: "fetcher_aws::list", "ours");
    });
    assert!(text.contains("odd") && text.contains("ours"), "{text}");
    assert!(!text.contains("pooling") && !text.contains("a whole body"), "{text}");
}
