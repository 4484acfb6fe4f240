//! What a daemon shows of itself to Prometheus.
//!
//! A registry of its own; every label has one value of a bounded set: a source, a result, a reason, a verb. No Host
//! and no id is ever a label. [`Metrics::observe`] is the one place where rounds become numbers.

use std::collections::BTreeSet;
use std::sync::Mutex;
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

#[cfg(test)]
mod tests;

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

/// What is known of each source.
#[derive(Debug)]
struct BySource {
    attempt: GaugeVec,
    success: GaugeVec,
    consecutive: IntGaugeVec,
    listed: IntGaugeVec,
    selected: IntGaugeVec,
    withheld: IntGaugeVec,
    unconfirmed: IntGaugeVec,
    failed_hosts: IntGaugeVec,
    suspended: IntGaugeVec,
    unserved: IntGaugeVec,
    known: Mutex<BTreeSet<String>>,
}

/// Finding out which sources there are.
#[derive(Debug)]
struct Discovery {
    sources: IntGauge,
    success: Gauge,
    failed: IntGauge,
}

/// What the store tells of itself.
#[derive(Debug)]
struct Store {
    requests: IntCounterVec,
    errors: IntCounterVec,
    restarts: IntCounterVec,
    synced: IntGauge,
    heard: Gauge,
    hosts: IntGauge,
    expires: GaugeVec,
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

/// What core itself notes in a round; a provider may have reasons of its own.
const NOTES: [&str; 8] = [
    "contested",
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

impl BySource {
    fn new(make: &Maker) -> Self {
        Self {
            attempt: make.times(
                "fetcher_source_last_attempt_timestamp_seconds",
                "When the last round of the source ended, well or badly.",
            ),
            success: make.times(
                "fetcher_source_last_success_timestamp_seconds",
                "When the last complete round of the source ended.",
            ),
            consecutive: make.gauges(
                "fetcher_source_consecutive_failures",
                "How many rounds of the source came to nothing in a row.",
            ),
            listed: make
                .gauges("fetcher_source_machines_listed", "Machines in the last whole listing."),
            selected: make.gauges(
                "fetcher_source_machines_selected",
                "Machines of the last whole listing that are selected and alive.",
            ),
            withheld: make.gauges(
                "fetcher_source_withheld",
                "Marks that the brake held in the last complete round.",
            ),
            unconfirmed: make.gauges(
                "fetcher_source_unconfirmed",
                "Hosts absent from the last listing that no second opinion confirmed.",
            ),
            failed_hosts: make.gauges(
                "fetcher_source_failed_hosts",
                "Hosts that the last complete round could not write, or left alone for a reason.",
            ),
            suspended: make.gauges(
                "fetcher_source_suspended",
                "1 where the configuration suspends the source.",
            ),
            unserved: make.gauges(
                "fetcher_source_unserved",
                "1 where the store has Hosts of a source that is no longer configured.",
            ),
            known: Mutex::default(),
        }
    }

    fn observe(&self, report: &SourceReport, failures: u32, now: Timestamp) {
        let source = &[report.source.as_str()];
        let set = |gauge: &IntGaugeVec, count| gauge.with_label_values(source).set(signed(count));
        self.known().insert(report.source.clone());
        self.attempt.with_label_values(source).set(seconds(now));
        self.consecutive.with_label_values(source).set(i64::from(failures));
        set(&self.suspended, usize::from(report.result == RoundResult::Suspended));
        if report.result == RoundResult::Complete {
            self.success.with_label_values(source).set(seconds(now));
            set(&self.listed, report.listed);
            set(&self.selected, report.selected);
            set(&self.withheld, report.withheld);
            set(&self.unconfirmed, report.unconfirmed);
            set(&self.failed_hosts, report.failed);
        }
    }

    fn forget_all_but(&self, served: &[String]) {
        let gauges = [
            &self.consecutive,
            &self.listed,
            &self.selected,
            &self.withheld,
            &self.unconfirmed,
            &self.failed_hosts,
            &self.suspended,
        ];
        self.known().retain(|source| {
            let stays = served.contains(source);
            if !stays {
                let source = &[source.as_str()];
                // One that never was complete lacks some of them.
                for gauge in gauges {
                    let _ = gauge.remove_label_values(source);
                }
                for time in [&self.attempt, &self.success] {
                    let _ = time.remove_label_values(source);
                }
            }
            stays
        });
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Store {
    fn new(make: &Maker) -> Self {
        Self {
            requests: make.counters(
                "fetcher_store_requests_total",
                "Requests to the store, by kind.",
                "request",
            ),
            errors: make.counters(
                "fetcher_store_errors_total",
                "Requests that the store did not carry out, by reason.",
                "reason",
            ),
            restarts: make.counters(
                "fetcher_watch_restarts_total",
                "How often the index of the store had to be read anew, by reason.",
                "reason",
            ),
            synced: make.add(IntGauge::new(
                "fetcher_store_synced",
                "1 where what the store holds is known as a whole.",
            )),
            heard: make.add(Gauge::new(
                "fetcher_store_heard_timestamp_seconds",
                "When the watch on the store last gave a sign of life; 0 where there is no watch.",
            )),
            hosts: make.add(IntGauge::new(
                "fetcher_store_hosts",
                "Hosts of this provider in the watched index; 0 where there is no watch.",
            )),
            expires: make.add(GaugeVec::new(
                Opts::new(
                    "fetcher_client_certificate_expiry_timestamp_seconds",
                    "When the certificate ends that is shown to the store.",
                ),
                &["certificate"],
            )),
        }
    }

    fn take(&self, store: &AnyStore, now: Timestamp) {
        let calls = store.calls();
        for (counter, counts) in [(&self.requests, &calls.requests), (&self.errors, &calls.errors)]
        {
            for (label, count) in counts {
                raise(counter, label, *count);
            }
        }
        let Some(watched) = store.watched() else {
            return self.synced.set(1);
        };
        for (reason, count) in &watched.restarts {
            raise(&self.restarts, reason, *count);
        }
        self.synced.set(i64::from(watched.is_synced));
        self.hosts.set(signed(watched.hosts));
        if let Some(ago) = watched.heard {
            self.heard.set(seconds(now) - ago.as_secs_f64());
        }
        if let Some(end) = store.expires() {
            self.expires.with_label_values(&["store"]).set(seconds(end));
        }
    }
}

/// Brings a counter up to a total that is counted elsewhere.
fn raise(counter: &IntCounterVec, label: &str, total: u64) {
    let counter = counter.with_label_values(&[label]);
    counter.inc_by(total.saturating_sub(counter.get()));
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
