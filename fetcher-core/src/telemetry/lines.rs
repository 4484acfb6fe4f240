//! Which lines a round and a tick leave behind.

use std::time::Duration;

use tracing::{debug, error, info, warn};

use crate::output::Totals;
use crate::report::{ChangeReport, RoundResult, RunReport, SourceReport};

/// A round has ended: a line for each change and each thing to be looked at; without any, one at debug.
pub(crate) fn ended(report: &SourceReport, took: Duration, dry_run: bool) {
    let source = report.source.as_str();
    if !dry_run {
        report.changes.iter().filter(|change| !change.withheld).for_each(|c| changed(source, c));
    }
    for note in &report.notes {
        let (reason, host) = (note.reason.as_str(), note.host.as_deref());
        warn!(source, host, reason, "{}", note.message);
    }
    let took = took.as_secs_f64();
    match (report.result, &report.error) {
        (RoundResult::Failed, error) => {
            let error = error.as_deref().unwrap_or("unknown");
            warn!(source, error, took, "Round failed, nothing was changed");
        }
        (RoundResult::Unserved, _) => {
            warn!(source, "Source is no longer configured, its Hosts stay as they are");
        }
        (RoundResult::Suspended, _) => debug!(source, "Source is suspended"),
        (RoundResult::Complete, _) => {
            let counts = Totals::of([report]).words();
            debug!(source, listed = report.listed, counts, took, "Round complete");
        }
    }
    if report.withheld > 0 {
        let checksum = report.checksum.as_deref().unwrap_or_default();
        error!(
            source,
            withheld = report.withheld,
            checksum,
            "Marks are withheld: more would go at once than may; look, then approve with --once --approve CHECKSUM"
        );
    }
}

/// One change: the line that answers what changed on 3 March.
fn changed(source: &str, change: &ChangeReport) {
    let fields = serde_json::to_string(&change.fields).unwrap_or_default();
    info!(
        host = change.host,
        source,
        verb = change.verb,
        reason = change.reason,
        approval = change.approval,
        fields,
        "Host changed"
    );
}

/// What all rounds of a tick came to: one line.
pub(crate) fn summary(report: &RunReport) {
    let totals = Totals::of(&report.sources);
    let (sources, failed) = (report.sources.len(), totals.failed_sources);
    let (created, updated, gone) = (totals.created, totals.updated, totals.gone);
    let (returned, unchanged, withheld) = (totals.returned, totals.unchanged, totals.withheld);
    info!(
        sources,
        failed,
        created,
        updated,
        gone,
        returned,
        unchanged,
        withheld,
        unconfirmed = totals.unconfirmed,
        failed_hosts = totals.failed_hosts,
        conflicts = totals.conflicts,
        "Rounds ended"
    );
}
