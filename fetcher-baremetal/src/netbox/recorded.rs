//! Devices out of a recording: what a round makes of them, without the asking. For fuzzing.

use fetcher_core::http::Answer;
use fetcher_core::machine::{Interner, Machine};
use fetcher_core::provider::FetchError;

use super::map::{self, List, Regions, Rules};
use super::wire::{Device, Page};
use crate::normal::Unique;

/// The machines of one page of devices, and how many entries NetBox counts.
///
/// # Errors
/// Those of a round, but for the count.
pub fn devices(page: &[u8]) -> Result<(Vec<Machine>, usize), FetchError> {
    let page: Page<Device> = Answer::recorded(page).json()?;
    let rules = Rules { uuid_field: Some("uuid".to_owned()), ..Rules::default() };
    let mut interner = Interner::default();
    let mut all = Unique::default();
    for device in &page.results {
        let regions = Regions::new();
        all.add(map::machine(device, List::Devices, &regions, &rules, &mut interner))?;
    }
    Ok((all.into_machines(), page.count))
}
