//! What a daemon tells of all rounds together: one line, and which sources nobody serves any more.
//!
//! Not what a single round tells: that was said when it ended.

use std::time::Duration;

use super::systemd;
use crate::metrics::Metrics;
use crate::output::Totals;
use crate::provider::{Provider, Served};
use crate::report::{RunReport, SourceReport};
use crate::round::Engine;
use crate::store::HostStore;
use crate::telemetry;

/// What is to be told with the next line.
#[derive(Debug, Default)]
pub(super) struct Summary {
    /// Of the rounds that ended since the last line, without their changes.
    since: Vec<SourceReport>,
    /// The sources that were told of.
    unserved: Vec<String>,
    look_for_unserved: bool,
}

impl Summary {
    /// A round has ended.
    pub(super) fn add(&mut self, report: SourceReport) {
        self.since.push(SourceReport { changes: Vec::new(), ..report });
    }

    /// All sources are known: whoever is not among them is served by nobody.
    pub(super) const fn look_for_unserved(&mut self) {
        self.look_for_unserved = true;
    }

    /// One line on all rounds that ended since the last one, if any did.
    pub(super) async fn say<'a, P: Provider, S: HostStore>(
        &mut self,
        engine: &Engine<P, S>,
        metrics: &Metrics,
        served: impl Iterator<Item = &'a Served>,
    ) {
        if self.since.is_empty() {
            return;
        }
        if std::mem::take(&mut self.look_for_unserved) {
            let served: Vec<_> = served.cloned().collect();
            self.found(&engine.unserved(&served).await, metrics);
        }
        let sources = std::mem::take(&mut self.since);
        let report = RunReport { sources, ..RunReport::default() };
        let totals = Totals::of(&report.sources);
        systemd::status(&format!(
            "{} sources, {} failed; {}",
            report.sources.len(),
            totals.failed_sources,
            totals.words()
        ));
        telemetry::summary(&report);
    }

    /// Tells of those that were not unserved before.
    fn found(&mut self, reports: &[SourceReport], metrics: &Metrics) {
        let names: Vec<_> = reports.iter().map(|report| report.source.clone()).collect();
        metrics.unserved(&names);
        for report in reports.iter().filter(|report| !self.unserved.contains(&report.source)) {
            telemetry::ended(report, Duration::ZERO, false);
        }
        self.unserved = names;
    }
}
