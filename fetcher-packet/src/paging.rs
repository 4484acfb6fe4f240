//! Reading a numbered list whole while it moves: which page comes next, and when the list is complete.
//!
//! Not the asking: whoever asks hands each page in. Page numbers on a moving set skip an item when one before it
//! is deleted and repeat one when something is inserted, so the list counts as whole only when the total stayed
//! the same from the first page to the last and as many different ids came as it says; else it is read anew, a
//! few times. One deletion beside one insertion cannot be seen here: the second look before a mark finds those.

use std::collections::HashMap;

use fetcher_core::machine::{Machine, Text};
use fetcher_core::provider::FetchError;

use crate::api::{Meta, Project};

/// How often a list that moves is read before it is given up.
const READINGS: usize = 3;

/// Something that a list holds once.
pub(crate) trait Item: PartialEq {
    /// What it is known by.
    fn id(&self) -> &str;
}

impl Item for Machine {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Item for Project {
    fn id(&self) -> &str {
        &self.id
    }
}

/// A list on its way in.
pub(crate) struct Paging<T> {
    items: Vec<T>,
    index: HashMap<Text, usize>,
    page: usize,
    total: Option<usize>,
    reading: usize,
}

/// What comes after a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Another page.
    More,
    /// Nothing: the list is whole.
    Whole,
}

impl<T: Item> Paging<T> {
    /// Before the first page.
    pub(crate) fn new() -> Self {
        Self { items: Vec::new(), index: HashMap::new(), page: 1, total: None, reading: 1 }
    }

    /// The number of the page to ask for.
    pub(crate) const fn page(&self) -> usize {
        self.page
    }

    /// Takes in the page that was asked for.
    ///
    /// # Errors
    /// [`FetchError::Inconsistent`] when no reading so far made a whole list.
    pub(crate) fn take(&mut self, items: Vec<T>, meta: Meta) -> Result<Step, FetchError> {
        match self.page_in(items, meta) {
            Ok(step) => Ok(step),
            Err(why) if self.reading < READINGS => {
                *self = Self { reading: self.reading + 1, ..Self::new() };
                tracing::debug!(reading = self.reading, why, "List moved, reading it anew");
                Ok(Step::More)
            }
            Err(why) => Err(FetchError::inconsistent(format!(
                "no whole list in {READINGS} readings: {why}; the next round asks again"
            ))),
        }
    }

    /// The list, once it is whole.
    pub(crate) fn into_items(self) -> Vec<T> {
        self.items
    }

    fn page_in(&mut self, items: Vec<T>, meta: Meta) -> Result<Step, String> {
        let total = *self.total.get_or_insert(meta.total);
        if total != meta.total {
            return Err(format!(
                "the total went from {total} to {} at page {}",
                meta.total, self.page
            ));
        }
        let before = self.items.len();
        let empty = items.is_empty();
        for item in items {
            self.add(item)?;
        }
        let read = self.items.len();
        let ended = meta.last_page.map_or(empty || read >= total, |last| self.page >= last);
        if ended {
            return if read == total {
                Ok(Step::Whole)
            } else {
                Err(format!("{read} different ids where the total says {total}"))
            };
        }
        if read == before {
            return Err(format!("page {} brought nothing new before the last one", self.page));
        }
        self.page += 1;
        Ok(Step::More)
    }

    fn add(&mut self, item: T) -> Result<(), String> {
        match self.index.get(item.id()) {
            None => {
                self.index.insert(Text::from(item.id()), self.items.len());
                self.items.push(item);
                Ok(())
            }
            Some(&at) if self.items.get(at) == Some(&item) => Ok(()),
            Some(_) => Err(format!("id {:?} came twice with different content", item.id())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Item for (String, u8) {
        fn id(&self) -> &str {
            &self.0
        }
    }

    fn items(ids: impl IntoIterator<Item = usize>) -> Vec<(String, u8)> {
        ids.into_iter().map(|id| (id.to_string(), 0)).collect()
    }

    fn meta(total: usize, last_page: Option<usize>) -> Meta {
        Meta { total, last_page }
    }

    #[test]
    fn two_pages_with_their_total_are_whole() {
        let mut paging = Paging::new();
        assert_eq!(paging.take(items(0..2), meta(3, Some(2))), Ok(Step::More));
        assert_eq!(paging.page(), 2);
        assert_eq!(paging.take(items(2..3), meta(3, Some(2))), Ok(Step::Whole));
        assert_eq!(paging.into_items(), items(0..3));
    }

    #[test]
    fn an_empty_list_is_whole_whether_its_last_page_is_0_or_1_or_unsaid() {
        for last in [Some(0), Some(1), None] {
            assert_eq!(Paging::take(&mut Paging::new(), items([]), meta(0, last)), Ok(Step::Whole));
        }
    }

    #[test]
    fn a_total_that_changes_on_the_way_is_read_anew_though_the_last_one_fits() {
        let mut paging = Paging::new();
        paging.take(items(0..2), meta(4, Some(2))).unwrap();
        // Item 0 was deleted: item 2 slid to page 1 unseen, and three ids match the new total of three.
        assert_eq!(paging.take(items(3..4), meta(3, Some(2))), Ok(Step::More));
        assert_eq!(paging.page(), 1);
        paging.take(items(1..3), meta(3, Some(2))).unwrap();
        assert_eq!(paging.take(items(3..4), meta(3, Some(2))), Ok(Step::Whole));
        assert_eq!(paging.into_items(), items(1..4));
    }

    #[test]
    fn too_few_and_too_many_ids_end_in_an_error_after_three_readings() {
        for total in [1, 3] {
            let mut paging = Paging::new();
            for _ in 1..READINGS {
                assert_eq!(paging.take(items(0..2), meta(total, Some(1))), Ok(Step::More));
            }
            let error = paging.take(items(0..2), meta(total, Some(1))).unwrap_err();
            assert_eq!(error.reason(), "inconsistent");
            assert!(error.to_string().contains(&format!("total says {total}")), "{error}");
        }
    }

    #[test]
    fn one_id_twice_is_dropped_when_equal_and_an_error_when_not() {
        let mut paging = Paging::new();
        paging.take(items(0..2), meta(3, Some(2))).unwrap();
        assert_eq!(paging.take(items(1..3), meta(3, Some(2))), Ok(Step::Whole));
        assert_eq!(paging.into_items(), items(0..3));

        let mut paging = Paging::new();
        let error = (0..READINGS)
            .find_map(|_| {
                paging.take(vec![("a".into(), 1), ("a".into(), 2)], meta(1, Some(1))).err()
            })
            .unwrap();
        assert!(error.to_string().contains("twice with different content"), "{error}");
    }

    #[test]
    fn a_server_that_repeats_a_page_for_ever_is_given_up() {
        let mut paging = Paging::new();
        let answers = (0..100).map(|_| paging.take(items(0..2), meta(1000, Some(500))));
        let asked = answers.take_while(Result::is_ok).count();
        assert_eq!(asked, 2 * READINGS - 1);
    }

    proptest! {
        /// The law: whatever a server answers, the list is as long as one total it gave, without repetition, or an error.
        #[test]
        fn whatever_comes_the_list_is_whole_or_an_error(
            pages in prop::collection::vec(
                (prop::collection::vec((0_u8..20).prop_map(|id| (id.to_string(), 0)), 0..6),
                 0_usize..12, prop::option::of(0_usize..5)),
                0..40),
        ) {
            let mut paging = Paging::new();
            for (items, total, last) in pages {
                match paging.take(items, meta(total, last)) {
                    Ok(Step::More) => {}
                    Ok(Step::Whole) => {
                        let items = paging.into_items();
                        let ids: std::collections::BTreeSet<_> = items.iter().map(Item::id).collect();
                        prop_assert_eq!(ids.len(), items.len());
                        prop_assert_eq!(items.len(), total);
                        return Ok(());
                    }
                    Err(error) => {
                        prop_assert_eq!(error.reason(), "inconsistent");
                        return Ok(());
                    }
                }
            }
        }

        /// A list that holds still is always read whole, in its order.
        #[test]
        fn a_list_that_holds_still_is_read_whole(length in 0_usize..50, size in 1_usize..9) {
            let mut paging = Paging::new();
            let last = length.div_ceil(size);
            loop {
                let from = (paging.page() - 1) * size;
                let page = items(from..length.min(from + size));
                if paging.take(page, meta(length, Some(last)))? == Step::Whole { break }
            }
            prop_assert_eq!(paging.into_items(), items(0..length));
        }
    }
}
