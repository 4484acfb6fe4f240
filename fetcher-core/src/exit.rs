//! What a process ends with, so that a CI job knows without reading.
//!
//! Pure. Where several hold: 2 before 3 before 1 before 4.

use crate::report::{RoundResult, RunReport};

/// Everything is as it must be.
pub const IN_SYNC: u8 = 0;
/// A source or a Host failed; or nobody could say of an absent machine whether it is gone.
pub const FAILED: u8 = 1;
/// The command line, the configuration or an approval is wrong; nothing was done.
pub const USAGE: u8 = 2;
/// Marks are withheld: a person must look, and approve or mend.
pub const WITHHELD: u8 = 3;
/// A dry run that was asked to tell found changes.
pub const PENDING: u8 = 4;

/// The code of a run; `pending` is whether changes that a dry run found count.
#[must_use]
pub fn code(report: &RunReport, pending: bool) -> u8 {
    let any = |test: fn(&crate::report::SourceReport) -> bool| report.sources.iter().any(test);
    if any(|source| source.withheld > 0) {
        WITHHELD
    } else if any(|s| s.result == RoundResult::Failed || s.failed > 0 || s.unconfirmed > 0) {
        FAILED
    } else if pending && report.dry_run && any(|source| !source.changes.is_empty()) {
        PENDING
    } else {
        IN_SYNC
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{ChangeReport, SourceReport};

    fn run(dry_run: bool, sources: &[SourceReport]) -> RunReport {
        RunReport { dry_run, sources: sources.to_vec(), ..RunReport::default() }
    }

    #[test]
    fn the_gravest_thing_of_all_sources_is_the_code() {
        let fine = SourceReport::default();
        let changed =
            SourceReport { changes: vec![ChangeReport::default()], ..SourceReport::default() };
        let held = SourceReport { withheld: 1, ..changed.clone() };
        let dead = SourceReport { result: RoundResult::Failed, ..SourceReport::default() };
        let host = SourceReport { failed: 1, ..changed.clone() };
        let unsure = SourceReport { unconfirmed: 1, ..SourceReport::default() };
        let idle = SourceReport { result: RoundResult::Suspended, ..SourceReport::default() };
        let alien = SourceReport { result: RoundResult::Unserved, ..SourceReport::default() };

        let table: [(u8, bool, bool, &[SourceReport]); 13] = [
            (IN_SYNC, false, false, &[]),
            (IN_SYNC, false, false, &[fine.clone(), idle, alien]),
            (IN_SYNC, false, false, std::slice::from_ref(&changed)),
            (IN_SYNC, false, true, std::slice::from_ref(&changed)),
            (IN_SYNC, true, false, std::slice::from_ref(&changed)),
            (PENDING, true, true, std::slice::from_ref(&changed)),
            (IN_SYNC, true, true, std::slice::from_ref(&fine)),
            (FAILED, false, false, std::slice::from_ref(&dead)),
            (FAILED, true, true, std::slice::from_ref(&host)),
            (FAILED, true, true, &[changed.clone(), dead.clone()]),
            (FAILED, false, false, &[unsure]),
            (WITHHELD, true, true, &[changed.clone(), held.clone()]),
            (WITHHELD, false, false, &[dead.clone(), held]),
        ];
        for (expected, dry_run, pending, sources) in table {
            assert_eq!(code(&run(dry_run, sources), pending), expected, "{dry_run} {sources:?}");
        }
    }
}
