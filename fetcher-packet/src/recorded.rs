//! The devices of a project out of recorded pages: what a round makes of them, without the asking. For fuzzing.

use fetcher_core::http::Answer;
use fetcher_core::machine::{Interner, Machine};
use fetcher_core::provider::FetchError;

use crate::answer::body;
use crate::api::DevicePage;
use crate::paging::{Paging, Step};
use crate::provider::take;

/// All devices of `project`, each page being the body of the next answer.
///
/// # Errors
/// Those of a round; and a recording that ends before the list is whole.
pub fn devices<'a>(
    project: &str,
    pages: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<Machine>, FetchError> {
    let mut texts = Interner::default();
    let mut paging = Paging::new();
    for page in pages {
        let page: DevicePage = body(Answer::recorded(page))?;
        if take(&mut paging, &page, project, &mut texts)? == Step::Whole {
            return Ok(paging.into_items());
        }
    }
    Err(FetchError::inconsistent("the recording ends before the list is whole"))
}
