//! Collections out of recorded pages: what a round makes of them, without the asking. For fuzzing.

use fetcher_core::http::Answer;
use fetcher_core::machine::{Interner, Machine};
use fetcher_core::provider::FetchError;

use crate::api::{Hypervisor, Page, Vm};
use crate::collection::{Resource, distinct, take};
use crate::config::PAGE_SIZE;
use crate::paging::{Paging, Step};

/// All VMs, each page being the body of the next answer.
///
/// # Errors
/// Those of a round; and a recording that ends before the collection is whole.
pub fn vms<'a>(pages: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Machine>, FetchError> {
    whole::<Vm>(pages.into_iter())
}

/// All hypervisors.
///
/// # Errors
/// As of [`vms`].
pub fn hypervisors<'a>(
    pages: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<Machine>, FetchError> {
    whole::<Hypervisor>(pages.into_iter())
}

fn whole<'a, T: Resource>(
    pages: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<Machine>, FetchError> {
    let mut texts = Interner::default();
    let mut paging = Paging::new(PAGE_SIZE);
    for page in pages {
        let page: Page<T> = Answer::recorded(page).json()?;
        if take(&mut paging, &page, "recorded", &mut texts)? == Step::Whole {
            return distinct(paging.into_machines());
        }
    }
    Err(FetchError::inconsistent("the recording ends before the collection is whole"))
}
