//! What the last listing of each source asked for: a provider that saw no change hands out the very same listing, and
//! then neither a name nor a digest has to be made again.
//!
//! It keeps no listing alive: of one that its provider does not keep, nothing is remembered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::machine::{Machine, Source, Text};
use crate::plan::{Asked, Eyes, asked};

/// By the source's name.
#[derive(Debug, Default)]
pub(super) struct Memo(Mutex<HashMap<Text, Past>>);

#[derive(Debug)]
struct Past {
    listing: Weak<Vec<Machine>>,
    asked: Arc<[Asked]>,
}

impl Memo {
    /// What this listing asks for. `eyes` are the same in every round of a program.
    pub(super) fn asked(
        &self,
        source: &Source,
        machines: &Arc<Vec<Machine>>,
        eyes: Eyes<'_>,
    ) -> Arc<[Asked]> {
        let listing = Arc::downgrade(machines);
        let past = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(source.name());
        let asked = match past {
            // As long as there is a weak reference, no other listing can be at its address.
            Some(past) if past.listing.ptr_eq(&listing) => past.asked,
            _ => asked(source, machines, eyes).into(),
        };
        if Arc::strong_count(machines) > 1 {
            let past = Past { listing, asked: Arc::clone(&asked) };
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(source.name().clone(), past);
        }
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::Style;
    use crate::observed::Lens;

    #[test]
    fn only_a_listing_that_its_provider_keeps_is_remembered_and_only_as_long_as_it_is_the_same() {
        let source = Source::new("toy", &["s"]);
        let lens = Lens { schema: crate::schema::Schema::ours(), selector: "".parse().unwrap() };
        let eyes = Eyes { style: &Style::default(), lens: &lens };
        let memo = Memo::default();
        let listing = |id: &str| Arc::new(vec![Machine { id: id.into(), ..Machine::default() }]);
        let kept = listing("a");
        let first = memo.asked(&source, &Arc::clone(&kept), eyes);
        let clone = Arc::clone(&kept);
        assert!(Arc::ptr_eq(&first, &memo.asked(&source, &clone, eyes)));
        drop((kept, clone));
        let (b, c) = (memo.asked(&source, &listing("b"), eyes), listing("c"));
        assert_ne!(first, b);
        assert!(memo.0.lock().unwrap().is_empty(), "nobody else keeps it");
        assert_ne!(memo.asked(&source, &c, eyes), b);
    }
}
