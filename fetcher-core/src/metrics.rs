//! What a daemon shows of itself to Prometheus.
//!
//! A registry of its own; every label has one value of a bounded set: a source, a result, a reason, a verb. No Host
//! and no id is ever a label. [`Metrics::observe`] is the one place where rounds become numbers.

use std::time::Duration;

use jiff::Timestamp;
use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

use crate::report::{RoundResult, SourceReport};
use crate::store::any::AnyStore;

mod source;
mod store;
#[cfg(test)]
mod tests;

use source::BySource;
use store::Store;

/// All metrics of one daemon.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    rounds: IntCounterVec,
    failures: IntCounterVec,
    duration: Histogram,
    changes: IntCounterVec,
    conflicts: IntCounter,
    notes: IntCounterVec,
    pages: IntCounter,
    source: BySource,
    discovery: Discovery,
    store: Store,
}

/// Finding out which sources there are.
#[derive(Debug)]
struct Discovery {
    sources: IntGauge,
    success: Gauge,
    failed: IntGauge,
}

/// Makes metrics of one registry. The names are constants, so that neither making nor registering them can fail.
struct Maker(Registry);

const CONSTANT: &str = "names of metrics are constants, valid and each registered once";

impl Maker {
    fn add<C: Collector + Clone + 'static>(&self, metric: prometheus::Result<C>) -> C {
        let metric = metric.expect(CONSTANT);
        self.0.register(Box::new(metric.clone())).expect(CONSTANT);
        metric
    }

    fn counters(&self, name: &str, help: &str, label: &str) -> IntCounterVec {
        self.add(IntCounterVec::new(Opts::new(name, help), &[label]))
    }

    fn gauges(&self, name: &str, help: &str) -> IntGaugeVec {
        self.add(IntGaugeVec::new(Opts::new(name, help), &["source"]))
    }

    fn times(&self, name: &str, help: &str) -> GaugeVec {
        self.add(GaugeVec::new(Opts::new(name, help), &["source"]))
    }
}

/// What core itself notes in a round; a provider has reasons of its own, which begin with a capital (`StaleRefresh`).
const NOTES: [&str; 9] = [
    "contested",
    "cut",
    "deleting",
    "failed",
    "foreign",
    "inconsistent",
    "notKept",
    "unconfirmed",
    "unreadable",
];
/// Why a listing comes to nothing: the reasons of [`crate::provider::FetchError`].
const FAILURES: [&str; 5] = ["denied", "inconsistent", "invalid", "throttled", "unavailable"];

impl Metrics {
    /// Metrics of a fetcher of `provider` that has done nothing yet.
    #[must_use]
    pub fn new(provider: &str) -> Self {
        let make = Maker(Registry::new());
        let build = Opts::new("fetcher_build_info", "Which fetcher this is, in which version.")
            .const_label("provider", provider)
            .const_label("version", env!("CARGO_PKG_VERSION"));
        make.add(IntGauge::with_opts(build)).set(1);
        // Present on Linux only, and of no harm elsewhere.
        let _ = make.0.register(Box::new(ProcessCollector::for_self()));
        let duration =
            HistogramOpts::new("fetcher_round_duration_seconds", "How long rounds took.")
                .buckets(vec![0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0]);
        let metrics = Self {
            rounds: make.counters(
                "fetcher_rounds_total",
                "Rounds that ended, by result.",
                "result",
            ),
            failures: make.counters(
                "fetcher_round_failures_total",
                "Rounds that came to nothing, by reason; those of the store begin with store_.",
                "reason",
            ),
            duration: make.add(Histogram::with_opts(duration)),
            changes: make.counters("fetcher_changes_total", "Hosts changed, by verb.", "verb"),
            conflicts: make.add(IntCounter::new(
                "fetcher_conflicts_total",
                "Writes that met a conflict and were decided again.",
            )),
            notes: make.counters(
                "fetcher_notes_total",
                "Things that a person should look at, once a round each, by reason.",
                "reason",
            ),
            pages: make
                .add(IntCounter::new("fetcher_pages_read_total", "Pages read of providers.")),
            source: BySource::new(&make),
            discovery: Discovery {
                sources: make.add(IntGauge::new("fetcher_sources", "Sources that are served.")),
                success: make.add(Gauge::new(
                    "fetcher_discovery_last_success_timestamp_seconds",
                    "When the provider last said which sources there are.",
                )),
                failed: make.add(IntGauge::new(
                    "fetcher_discovery_failed",
                    "Parts of the provider that could not be discovered when last asked.",
                )),
            },
            store: Store::new(&make),
            registry: make.0,
        };
        for verb in ["create", "update", "gone", "return"] {
            metrics.changes.with_label_values(&[verb]).inc_by(0);
        }
        for result in ["complete", "failed", "suspended"] {
            metrics.rounds.with_label_values(&[result]).inc_by(0);
        }
        // A counter that is born at 1 shows no increase: what alerts look at begins at 0.
        for reason in NOTES {
            metrics.notes.with_label_values(&[reason]).inc_by(0);
        }
        for reason in FAILURES {
            metrics.failures.with_label_values(&[reason]).inc_by(0);
        }
        metrics
    }

    /// A round has ended. `reason` says why it came to nothing, `failures` how often in a row.
    pub fn observe(
        &self,
        report: &SourceReport,
        reason: Option<&str>,
        failures: u32,
        took: Duration,
        now: Timestamp,
    ) {
        let result = match report.result {
            RoundResult::Complete => "complete",
            RoundResult::Failed => "failed",
            RoundResult::Suspended => "suspended",
            // The result of no round: see `unserved`.
            RoundResult::Unserved => return,
        };
        self.rounds.with_label_values(&[result]).inc();
        self.duration.observe(took.as_secs_f64());
        if let Some(reason) = reason {
            self.failures.with_label_values(&[reason]).inc();
        }
        self.conflicts.inc_by(count(report.conflicts));
        for change in report.changes.iter().filter(|change| !change.withheld) {
            self.changes.with_label_values(&[change.verb.as_str()]).inc();
        }
        for note in &report.notes {
            self.notes.with_label_values(&[note.reason.as_str()]).inc();
        }
        self.source.observe(report, failures, now);
    }

    /// Pages of a provider were read.
    pub fn pages(&self, pages: usize) {
        self.pages.inc_by(count(pages));
    }

    /// The provider was asked which sources there are. What is no longer served is no longer shown.
    pub fn discovered(&self, served: &[String], failed: usize, success: Option<Timestamp>) {
        self.discovery.sources.set(signed(served.len()));
        self.discovery.failed.set(signed(failed));
        if let Some(now) = success {
            self.discovery.success.set(seconds(now));
        }
        self.source.forget_all_but(served);
    }

    /// The sources that the store has Hosts of and nobody serves.
    pub fn unserved(&self, names: &[String]) {
        self.source.unserved.reset();
        for name in names {
            self.source.unserved.with_label_values(&[name.as_str()]).set(1);
        }
    }

    /// All of it in the text format of Prometheus, with what the store tells at this moment.
    #[must_use]
    pub fn render(&self, store: &AnyStore, now: Timestamp) -> String {
        self.store.take(store, now);
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

fn seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
