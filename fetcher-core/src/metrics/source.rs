//! What is shown of each source: when it was last asked, and what its last complete round found.
//!
//! Not the counters over all sources, see the parent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use jiff::Timestamp;
use prometheus::{GaugeVec, IntGaugeVec, Opts};

use super::{Maker, NOTES, seconds, signed};
use crate::report::{RoundResult, SourceReport};

/// What is known of each source.
#[derive(Debug)]
pub(super) struct BySource {
    attempt: GaugeVec,
    success: GaugeVec,
    consecutive: IntGaugeVec,
    listed: IntGaugeVec,
    selected: IntGaugeVec,
    withheld: IntGaugeVec,
    unconfirmed: IntGaugeVec,
    failed_hosts: IntGaugeVec,
    suspended: IntGaugeVec,
    pub(super) unserved: IntGaugeVec,
    notes: IntGaugeVec,
    /// The sources shown, and the reasons of notes shown of each.
    known: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

impl BySource {
    pub(super) fn new(make: &Maker) -> Self {
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
            notes: make.add(IntGaugeVec::new(
                Opts::new(
                    "fetcher_source_notes",
                    "Things that a person should look at, found by the last complete round, by reason.",
                ),
                &["source", "reason"],
            )),
            known: Mutex::default(),
        }
    }

    /// A round of the source has ended; only a complete one says anything of its machines.
    pub(super) fn observe(&self, report: &SourceReport, failures: u32, now: Timestamp) {
        let source = &[report.source.as_str()];
        let set = |gauge: &IntGaugeVec, count| gauge.with_label_values(source).set(signed(count));
        self.known().entry(report.source.clone()).or_default();
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
            self.note(report);
        }
    }

    /// How many notes of each reason: 0 of a reason of core's, nothing of a provider's own that is no longer noted.
    fn note(&self, report: &SourceReport) {
        let mut counts = BTreeMap::from(NOTES.map(|reason| (reason, 0)));
        for note in &report.notes {
            *counts.entry(&note.reason).or_default() += 1;
        }
        let source = report.source.as_str();
        let now = counts.keys().map(ToString::to_string).collect();
        let before = self.known().insert(source.to_owned(), now).unwrap_or_default();
        for reason in before.iter().filter(|reason| !counts.contains_key(reason.as_str())) {
            let _ = self.notes.remove_label_values(&[source, reason]);
        }
        for (reason, count) in counts {
            self.notes.with_label_values(&[source, reason]).set(signed(count));
        }
    }

    /// What is no longer served is no longer shown.
    pub(super) fn forget_all_but(&self, served: &[String]) {
        let gauges = [
            &self.consecutive,
            &self.listed,
            &self.selected,
            &self.withheld,
            &self.unconfirmed,
            &self.failed_hosts,
            &self.suspended,
        ];
        self.known().retain(|source, reasons| {
            let stays = served.contains(source);
            if !stays {
                for reason in &*reasons {
                    let _ = self.notes.remove_label_values(&[source, reason]);
                }
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

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, BTreeSet<String>>> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
