//! What a daemon remembers of its own writes, so as not to fight for ever: Hosts that somebody else keeps rewriting,
//! and Hosts whose content the store does not keep. Values and time in, values out; nothing is persisted.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use crate::digest::Digest;
use crate::machine::Text;

/// How many rewrites within [`WINDOW`] make a Host contested.
const REWRITES: usize = 3;
/// The time within which rewrites count together.
const WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// How long a contested Host is left alone.
const TRUCE: SignedDuration = SignedDuration::from_hours(1);

/// Our writes of late, by the Host's name.
#[derive(Debug, Default)]
pub struct Memory(HashMap<Text, Past>);

#[derive(Debug)]
struct Past {
    wanted: Digest,
    answered: Digest,
    last: Timestamp,
    /// When we wrote the same content again, because somebody had changed it.
    again: Vec<Timestamp>,
    truce: Option<Timestamp>,
}

/// Why a Host is not written now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Somebody else rewrote it against us three times within ten minutes.
    Contested {
        /// When we try again.
        until: Timestamp,
    },
    /// The store answered our write with other content than we sent, and neither side has changed since.
    NotKept,
}

impl Memory {
    /// Whether a Host whose content should be `wanted` and is `observed` is to be left alone.
    #[must_use]
    pub fn hold(
        &self,
        host: &str,
        wanted: Digest,
        observed: Digest,
        now: Timestamp,
    ) -> Option<Hold> {
        let past = self.0.get(host)?;
        if let Some(until) = past.truce.filter(|until| now < *until) {
            return Some(Hold::Contested { until });
        }
        let not_kept =
            past.answered != past.wanted && wanted == past.wanted && observed == past.answered;
        not_kept.then_some(Hold::NotKept)
    }

    /// Remembers that we wrote `wanted` and the store answered with `answered`.
    pub fn wrote(&mut self, host: &Text, wanted: Digest, answered: Digest, now: Timestamp) {
        let fresh = Past { wanted, answered, last: now, again: Vec::new(), truce: None };
        let past =
            self.0.entry(host.clone()).or_insert_with(|| Past { last: Timestamp::MIN, ..fresh });
        if past.wanted != wanted {
            past.again.clear();
        } else if past.last != Timestamp::MIN {
            past.again.push(now);
        }
        (past.wanted, past.answered, past.last) = (wanted, answered, now);
        past.again.retain(|time| now.duration_since(*time) <= WINDOW);
        if past.again.len() >= REWRITES {
            past.again.clear();
            past.truce = now.checked_add(TRUCE).ok();
        }
    }

    /// Forgets what can no longer hold anything back. Called once a round.
    pub fn forget(&mut self, now: Timestamp) {
        self.0.retain(|_, past| {
            past.answered != past.wanted
                || past.truce.is_some_and(|until| now < until)
                || now.duration_since(past.last) <= WINDOW
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn a_host_rewritten_three_times_in_ten_minutes_is_left_alone_for_an_hour() {
        let mut memory = Memory::default();
        let host: Text = "h".into();
        for second in [0, 60, 120] {
            assert_eq!(memory.hold("h", 1, 2, at(second)), None);
            memory.wrote(&host, 1, 1, at(second));
        }
        assert_eq!(memory.hold("h", 1, 2, at(180)), None, "two rewrites are repaired");
        memory.wrote(&host, 1, 1, at(180));
        let until = at(180 + 3600);
        assert_eq!(memory.hold("h", 1, 2, at(240)), Some(Hold::Contested { until }));
        memory.forget(at(3000));
        assert_eq!(memory.hold("h", 1, 2, at(3000)), Some(Hold::Contested { until }));
        assert_eq!(memory.hold("h", 1, 2, until), None);
    }

    #[test]
    fn slow_rewrites_and_changes_of_our_own_make_no_contest() {
        let mut memory = Memory::default();
        let host: Text = "h".into();
        for round in 0..10_i64 {
            memory.wrote(&host, 1, 1, at(round * 400));
            assert_eq!(memory.hold("h", 1, 2, at(round * 400)), None);
        }
        for round in 0..10_i64 {
            memory.wrote(&host, 100 + round.unsigned_abs(), 1, at(5000 + round));
        }
        assert!(!matches!(memory.hold("h", 1, 2, at(5100)), Some(Hold::Contested { .. })));
    }

    #[test]
    fn content_that_is_not_kept_is_left_until_either_side_changes() {
        let mut memory = Memory::default();
        memory.wrote(&"h".into(), 1, 7, at(0));
        memory.forget(at(100_000));
        assert_eq!(memory.hold("h", 1, 7, at(100_000)), Some(Hold::NotKept));
        assert_eq!(memory.hold("h", 2, 7, at(60)), None);
        assert_eq!(memory.hold("h", 1, 8, at(60)), None);
    }
}
