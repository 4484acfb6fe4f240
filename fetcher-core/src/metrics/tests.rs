//! What a scrape shows after rounds, and before the first of anything has happened.

use super::*;
use crate::config::{FileConfig, StoreConfig};
use crate::report::{ChangeReport, NoteReport};
use crate::selector::Selector;
use crate::store::kube::Mode;

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

async fn store() -> AnyStore {
    let config = StoreConfig::File(FileConfig { path: "/nowhere/hosts.json".into() });
    AnyStore::open(&config, "toy", Selector::default(), Mode::Daemon).await.unwrap()
}

fn complete(source: &str) -> SourceReport {
    SourceReport {
        source: source.to_owned(),
        listed: 12,
        selected: 10,
        withheld: 1,
        conflicts: 2,
        changes: vec![
            ChangeReport { verb: "create".into(), ..ChangeReport::default() },
            ChangeReport { verb: "gone".into(), withheld: true, ..ChangeReport::default() },
        ],
        notes: vec![NoteReport { reason: "foreign".into(), ..NoteReport::default() }],
        ..SourceReport::default()
    }
}

fn failed(source: &str) -> SourceReport {
    SourceReport {
        source: source.to_owned(),
        result: RoundResult::Failed,
        ..SourceReport::default()
    }
}

fn line<'a>(text: &'a str, begin: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(begin)?.strip_prefix(' '))
}

#[tokio::test]
async fn rounds_become_numbers() {
    let metrics = Metrics::new("toy");
    metrics.observe(&complete("toy-a"), None, 0, Duration::from_secs(2), time(1000));
    metrics.observe(&failed("toy-a"), Some("denied"), 1, Duration::from_secs(1), time(1060));
    let text = metrics.render(&store().await, time(1100));
    for (begin, value) in [
        ("fetcher_source_last_attempt_timestamp_seconds{source=\"toy-a\"}", "1060"),
        ("fetcher_source_last_success_timestamp_seconds{source=\"toy-a\"}", "1000"),
        ("fetcher_source_consecutive_failures{source=\"toy-a\"}", "1"),
        ("fetcher_source_machines_selected{source=\"toy-a\"}", "10"),
        ("fetcher_source_withheld{source=\"toy-a\"}", "1"),
        ("fetcher_rounds_total{result=\"complete\"}", "1"),
        ("fetcher_rounds_total{result=\"failed\"}", "1"),
        ("fetcher_round_failures_total{reason=\"denied\"}", "1"),
        ("fetcher_changes_total{verb=\"create\"}", "1"),
        ("fetcher_changes_total{verb=\"gone\"}", "0"),
        ("fetcher_conflicts_total", "2"),
        ("fetcher_notes_total{reason=\"foreign\"}", "1"),
        ("fetcher_round_duration_seconds_count", "2"),
    ] {
        assert_eq!(line(&text, begin), Some(value), "{begin}\n{text}");
    }
}

#[tokio::test]
async fn a_source_that_is_no_longer_served_is_no_longer_shown() {
    let metrics = Metrics::new("toy");
    for source in ["toy-a", "toy-b"] {
        metrics.observe(&complete(source), None, 0, Duration::ZERO, time(1));
    }
    metrics.discovered(&["toy-b".to_owned()], 0, Some(time(2)));
    metrics.unserved(&["toy-a".to_owned()]);
    let text = metrics.render(&store().await, time(3));
    let about: Vec<_> = text.lines().filter(|line| line.contains("toy-a")).collect();
    assert_eq!(about, ["fetcher_source_unserved{source=\"toy-a\"} 1"]);
    assert_eq!(line(&text, "fetcher_source_withheld{source=\"toy-b\"}"), Some("1"));
    metrics.unserved(&[]);
    assert!(!metrics.render(&store().await, time(3)).contains("toy-a"));
}

#[tokio::test]
async fn notes_of_a_source_are_those_of_its_last_complete_round() {
    let metrics = Metrics::new("toy");
    let noted = |reasons: &[&str]| {
        let note = |reason: &&str| NoteReport { reason: (*reason).into(), ..NoteReport::default() };
        SourceReport { notes: reasons.iter().map(note).collect(), ..complete("toy-a") }
    };
    let shown = async |report: &SourceReport| {
        metrics.observe(report, None, 0, Duration::ZERO, time(1));
        let text = metrics.render(&store().await, time(3));
        ["StaleRefresh", "foreign"].map(|reason| {
            let begin = format!("fetcher_source_notes{{reason=\"{reason}\",source=\"toy-a\"}}");
            line(&text, &begin).map(str::to_owned)
        })
    };
    let both = shown(&noted(&["StaleRefresh", "StaleRefresh", "foreign"])).await;
    assert_eq!(both.each_ref().map(Option::as_deref), [Some("2"), Some("1")]);
    assert_eq!(shown(&failed("toy-a")).await, both, "a failed round found nothing out");
    let none = shown(&noted(&[])).await;
    assert_eq!(none.each_ref().map(Option::as_deref), [None, Some("0")]);
    shown(&noted(&["StaleRefresh"])).await;
    metrics.discovered(&[], 0, Some(time(2)));
    assert!(!metrics.render(&store().await, time(3)).contains("toy-a"));
}

#[tokio::test]
async fn requests_to_the_store_are_counted_by_kind() {
    use crate::store::HostStore;
    let (metrics, store) = (Metrics::new("toy"), store().await);
    let _ = store.get("toy-1").await;
    let _ = store.get("toy-2").await;
    let text = metrics.render(&store, time(3));
    assert_eq!(line(&text, "fetcher_store_requests_total{request=\"get\"}"), Some("2"), "{text}");
    assert_eq!(metrics.render(&store, time(3)).matches("request=\"get\"} 2").count(), 1);
}

#[tokio::test]
async fn what_alerts_look_at_is_there_before_it_happens() {
    let text = Metrics::new("toy").render(&store().await, time(3));
    for begin in [
        "fetcher_notes_total{reason=\"inconsistent\"}",
        "fetcher_notes_total{reason=\"contested\"}",
        "fetcher_notes_total{reason=\"cut\"}",
        "fetcher_round_failures_total{reason=\"inconsistent\"}",
    ] {
        assert_eq!(line(&text, begin), Some("0"), "{begin}\n{text}");
    }
}
