//! The daemon's index of one provider's Hosts: what the watch tells, and what our own writes were answered. Pure.
//!
//! An entry only moves to a higher revision, save by a swap: then the whole index is replaced by one that was read
//! aside. An answer that the watch has already overtaken is ignored: what it wrote may be deleted by now.

use std::collections::HashMap;
use std::sync::Arc;

use super::list::Seen;
use crate::machine::Text;
use crate::observed::Index;

/// Indexes by the name of their source.
pub(super) type Sources = HashMap<Text, Arc<Index>>;

/// The index, and how far the watch has told it.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    sources: Sources,
    /// The revision up to which the watch has told everything.
    at: u64,
    /// The highest revision that a write of ours was answered with, since the last swap.
    answered: u64,
    /// While an index is being read aside: what our writes were answered since it began.
    meanwhile: Option<Vec<Seen>>,
}

impl Mirror {
    pub(super) fn of(&self, source: &str) -> Arc<Index> {
        self.sources.get(source).cloned().unwrap_or_default()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Text> {
        self.sources.keys()
    }

    /// How many Hosts it holds.
    pub(super) fn hosts(&self) -> usize {
        self.sources.values().map(|index| index.hosts.len()).sum()
    }

    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    /// The revision that a bookmark of a watch which begins now must reach.
    pub(super) fn reach(&self) -> u64 {
        self.at.max(self.answered)
    }

    /// An index begins to be read aside.
    pub(super) fn begin(&mut self) {
        self.meanwhile = Some(Vec::new());
    }

    /// The index that was read aside takes the place of this one. It holds for `revision`: what we wrote later is
    /// added to it.
    pub(super) fn swap(&mut self, aside: Sources, revision: u64) {
        self.sources = aside;
        self.at = revision;
        self.answered = revision;
        for seen in self.meanwhile.take().into_iter().flatten() {
            self.answered(seen);
        }
    }

    /// The answer to a write of ours.
    pub(super) fn answered(&mut self, seen: Seen) {
        self.answered = self.answered.max(seen.entry.revision);
        if let Some(meanwhile) = &mut self.meanwhile {
            meanwhile.push(seen.clone());
        }
        if seen.entry.revision > self.at {
            put(&mut self.sources, seen);
        }
    }

    /// The watch tells of a Host that is new or has changed.
    pub(super) fn put(&mut self, seen: Seen) {
        self.at = self.at.max(seen.entry.revision);
        put(&mut self.sources, seen);
    }

    /// The watch tells of a Host that was deleted.
    pub(super) fn remove(&mut self, seen: &Seen) {
        self.at = self.at.max(seen.entry.revision);
        remove(&mut self.sources, seen);
    }

    /// The watch tells that it has told everything up to here.
    pub(super) fn bookmark(&mut self, revision: u64) {
        self.at = self.at.max(revision);
    }
}

pub(super) fn put(sources: &mut Sources, seen: Seen) {
    let index = Arc::make_mut(sources.entry(seen.source).or_default());
    match index.hosts.get(&seen.name) {
        Some(known) if known.revision >= seen.entry.revision => {}
        _ => drop(index.hosts.insert(seen.name, seen.entry)),
    }
}

pub(super) fn remove(sources: &mut Sources, seen: &Seen) {
    let Some(index) = sources.get_mut(&seen.source) else { return };
    if index.hosts.get(&seen.name).is_some_and(|known| known.revision <= seen.entry.revision) {
        Arc::make_mut(index).hosts.remove(&seen.name);
    }
    if index.hosts.is_empty() {
        sources.remove(&seen.source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::Lens;

    fn seen(source: &str, name: &str, revision: u64) -> Seen {
        let lens = Lens { schema: crate::schema::Schema::ours(), selector: "".parse().unwrap() };
        Seen { source: source.into(), name: name.into(), entry: lens.unreadable("", revision, "u") }
    }

    fn told(mirror: &Mirror, source: &str) -> Vec<(String, u64)> {
        let index = mirror.of(source);
        let mut hosts: Vec<_> =
            index.hosts.iter().map(|(name, entry)| (name.to_string(), entry.revision)).collect();
        hosts.sort();
        hosts
    }

    #[test]
    fn an_entry_only_moves_to_a_higher_revision() {
        let mut mirror = Mirror::default();
        mirror.answered(seen("s", "a", 10));
        mirror.put(seen("s", "a", 9));
        assert_eq!(told(&mirror, "s"), [("a".to_owned(), 10)]);
        mirror.put(seen("s", "a", 11));
        mirror.answered(seen("s", "a", 10));
        assert_eq!(told(&mirror, "s"), [("a".to_owned(), 11)]);
    }

    #[test]
    fn a_late_answer_does_not_bring_back_what_the_watch_has_told_as_deleted() {
        let mut mirror = Mirror::default();
        mirror.put(seen("s", "a", 9));
        mirror.remove(&seen("s", "a", 11));
        mirror.answered(seen("s", "a", 10));
        assert_eq!(told(&mirror, "s"), []);
        assert_eq!(mirror.names().count(), 0);
    }

    #[test]
    fn a_deletion_older_than_the_entry_removes_nothing() {
        let mut mirror = Mirror::default();
        mirror.answered(seen("s", "a", 12));
        mirror.remove(&seen("s", "a", 11));
        assert_eq!(told(&mirror, "s"), [("a".to_owned(), 12)]);
    }

    #[test]
    fn a_swap_replaces_everything_even_by_lower_revisions_and_keeps_what_was_answered_later() {
        let mut mirror = Mirror::default();
        mirror.put(seen("s", "a", 100));
        mirror.put(seen("t", "b", 101));
        mirror.begin();
        mirror.answered(seen("s", "early", 40));
        mirror.answered(seen("s", "late", 52));
        let mut aside = Sources::default();
        put(&mut aside, seen("s", "a", 30));
        mirror.swap(aside, 50);
        assert_eq!(told(&mirror, "s"), [("a".to_owned(), 30), ("late".to_owned(), 52)]);
        assert_eq!(told(&mirror, "t"), []);
        assert_eq!((mirror.at(), mirror.reach()), (50, 52));
    }

    #[test]
    fn an_index_that_a_round_holds_does_not_change_under_it() {
        let mut mirror = Mirror::default();
        mirror.put(seen("s", "a", 1));
        let held = mirror.of("s");
        mirror.put(seen("s", "b", 2));
        assert_eq!(held.hosts.len(), 1);
        assert_eq!(mirror.of("s").hosts.len(), 2);
    }

    /// A server that numbers its changes, a watch that tells them in order and late, and answers that come when they
    /// come.
    #[derive(Default)]
    struct World {
        hosts: std::collections::BTreeMap<String, u64>,
        log: Vec<(String, bool)>,
        told: usize,
        answers: Vec<Seen>,
        mirror: Mirror,
        is_reading: bool,
    }

    impl World {
        fn step(&mut self, step: u8, pick: usize) {
            let name = ["a", "b", "c"][pick % 3];
            match step {
                0 | 1 => self.write(name, step == 0),
                2 => self.delete(name),
                3 | 4 => self.tell(),
                5 if !self.answers.is_empty() => self.answer(pick % self.answers.len()),
                6 => {
                    self.is_reading = true;
                    self.mirror.begin();
                }
                7 => self.swap(),
                _ => {}
            }
        }

        fn write(&mut self, name: &str, is_ours: bool) {
            self.log.push((name.to_owned(), true));
            let revision = self.log.len() as u64;
            self.hosts.insert(name.to_owned(), revision);
            if is_ours {
                self.answers.push(seen("s", name, revision));
            }
        }

        fn delete(&mut self, name: &str) {
            if self.hosts.remove(name).is_some() {
                self.log.push((name.to_owned(), false));
            }
        }

        fn tell(&mut self) {
            let Some((name, is_there)) = self.log.get(self.told) else { return };
            if self.is_reading {
                return;
            }
            self.told += 1;
            let seen = seen("s", name, self.told as u64);
            if *is_there { self.mirror.put(seen) } else { self.mirror.remove(&seen) }
        }

        /// What was answered is in the index at once, unless the watch has told something later.
        fn answer(&mut self, at: usize) {
            let answer = self.answers.remove(at);
            let (name, revision) = (answer.name.clone(), answer.entry.revision);
            self.mirror.answered(answer);
            let known = self.mirror.of("s").hosts.get(&name).map_or(0, |entry| entry.revision);
            assert!(known >= revision || self.mirror.at() >= revision, "{name} at {revision}");
        }

        fn swap(&mut self) {
            if !std::mem::take(&mut self.is_reading) {
                return;
            }
            let mut aside = Sources::default();
            for (name, revision) in &self.hosts {
                put(&mut aside, seen("s", name, *revision));
            }
            self.told = self.log.len();
            self.mirror.swap(aside, self.told as u64);
        }
    }

    proptest::proptest! {
        #[test]
        fn when_all_has_been_told_the_index_is_what_the_server_holds(
            steps in proptest::collection::vec((0_u8..8, 0_usize..12), 0..80),
        ) {
            let mut world = World::default();
            for (step, pick) in steps {
                world.step(step, pick);
            }
            world.swap();
            while world.told < world.log.len() {
                world.tell();
            }
            while !world.answers.is_empty() {
                world.answer(0);
            }
            let expected: Vec<_> = world.hosts.into_iter().collect();
            assert_eq!(told(&world.mirror, "s"), expected);
        }
    }
}
