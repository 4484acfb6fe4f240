//! Machines out of a recording: what a round makes of them, without the asking. For fuzzing.

use fetcher_core::http::Answer;
use fetcher_core::machine::Machine;
use fetcher_core::provider::FetchError;

use super::source;

/// The machines of a list.
///
/// # Errors
/// Those of a round.
pub fn machines(list: &[u8]) -> Result<Vec<Machine>, FetchError> {
    source::machines(&Answer::recorded(list).json::<Vec<_>>()?, "maas/recorded/dpus")
}
