//! Whether a daemon is ready, and whether it lives.
//!
//! Pure but for its lock; time is a parameter. Ready: every source has ended a first attempt, well or badly, so that
//! one dead account does not keep the others from being used. Live: something moves, or nothing has to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::apply::Outcome;
use crate::provider::Progress;
use crate::round::Watcher;

/// How long nothing may move while rounds are under way: longer than any one deadline within a round.
pub(super) const STILL: Duration = Duration::from_secs(600);

/// The health of one daemon.
#[derive(Debug)]
pub(super) struct Health(Mutex<State>);

#[derive(Debug)]
struct State {
    discovered: bool,
    /// Sources without a first attempt.
    awaited: BTreeSet<String>,
    running: BTreeMap<String, (Arc<Pulse>, usize)>,
    moved: Instant,
}

/// The work of one round, counted.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    pub(super) pages: Arc<Progress>,
    writes: AtomicUsize,
}

impl Pulse {
    fn count(&self) -> usize {
        let (pages, machines) = self.pages.read();
        pages + machines + self.writes.load(Ordering::Relaxed)
    }
}

impl Watcher for Pulse {
    fn progress(&self, _: &str) -> Arc<Progress> {
        Arc::clone(&self.pages)
    }
    fn wrote(&self, _: &str, _: &Outcome) {
        self.writes.fetch_add(1, Ordering::Relaxed);
    }
}

impl Health {
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new(State {
            discovered: false,
            awaited: BTreeSet::new(),
            running: BTreeMap::new(),
            moved: now,
        }))
    }

    /// A first answer to which sources there are has come, well or badly; `awaited` are to be attempted.
    pub(super) fn discovered(&self, awaited: impl IntoIterator<Item = String>) {
        let mut state = self.state();
        if !state.discovered {
            state.discovered = true;
            state.awaited = awaited.into_iter().collect();
        }
    }

    /// A source that is no longer served is not waited for.
    pub(super) fn keep_awaiting(&self, served: impl Fn(&str) -> bool) {
        self.state().awaited.retain(|source| served(source));
    }

    pub(super) fn began(&self, source: &str, pulse: Arc<Pulse>, now: Instant) {
        let mut state = self.state();
        if state.running.is_empty() {
            // Idleness before is no standstill.
            state.moved = now;
        }
        state.running.insert(source.to_owned(), (pulse, 0));
    }

    pub(super) fn ended(&self, source: &str, now: Instant) {
        let mut state = self.state();
        state.running.remove(source);
        state.awaited.remove(source);
        state.moved = now;
    }

    /// Why not ready.
    pub(super) fn ready(&self) -> Result<(), String> {
        let state = self.state();
        if !state.discovered {
            return Err("the provider has not yet said which sources there are".to_owned());
        }
        match state.awaited.first() {
            None => Ok(()),
            Some(first) => Err(format!(
                "{} sources have not ended a first attempt, {first} among them",
                state.awaited.len()
            )),
        }
    }

    /// Why not live.
    pub(super) fn live(&self, now: Instant) -> Result<(), String> {
        let mut state = self.state();
        let mut has_moved = false;
        for (pulse, seen) in state.running.values_mut() {
            let count = pulse.count();
            has_moved |= count != *seen;
            *seen = count;
        }
        if has_moved {
            state.moved = now;
        }
        let still = now.duration_since(state.moved);
        if state.running.is_empty() || still < STILL {
            return Ok(());
        }
        let first = state.running.keys().next().cloned().unwrap_or_default();
        Err(format!(
            "nothing has moved for {} s, with {} rounds under way, {first} among them",
            still.as_secs(),
            state.running.len()
        ))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_when_every_source_has_ended_a_first_attempt() {
        let now = Instant::now();
        let health = Health::new(now);
        assert!(health.ready().is_err(), "nobody was asked yet");
        health.discovered(["a".to_owned(), "b".to_owned()]);
        health.ended("a", now);
        assert!(health.ready().unwrap_err().contains("b among them"));
        health.ended("b", now);
        assert_eq!(health.ready(), Ok(()));
        health.discovered(["c".to_owned()]);
        assert_eq!(health.ready(), Ok(()), "what comes later is not waited for");
    }

    #[test]
    fn a_source_that_goes_away_is_not_waited_for() {
        let health = Health::new(Instant::now());
        health.discovered(["a".to_owned()]);
        health.keep_awaiting(|_| false);
        assert_eq!(health.ready(), Ok(()));
    }

    #[test]
    fn live_is_while_something_moves_or_nothing_has_to() {
        let begin = Instant::now();
        let health = Health::new(begin);
        let late = begin + 10 * STILL;
        assert_eq!(health.live(late), Ok(()), "idle");
        let pulse = Arc::new(Pulse::default());
        health.began("a", Arc::clone(&pulse), late);
        assert_eq!(health.live(late + STILL / 2), Ok(()), "it may take its time");
        pulse.pages.page(7);
        assert_eq!(health.live(late + STILL), Ok(()), "a page was read");
        assert!(health.live(late + 2 * STILL).unwrap_err().contains("a among them"));
        health.ended("a", late + 2 * STILL);
        assert_eq!(health.live(late + 9 * STILL), Ok(()));
    }
}
