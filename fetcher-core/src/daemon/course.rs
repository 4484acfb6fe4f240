//! Where one source stands in the daemon: running or not, when it may begin again, how often it has failed.
//!
//! Pure: time is a parameter, and nothing is started here.

use std::time::Duration;

use tokio::time::Instant;

use crate::provider::{FetchError, Served};
use crate::round::RoundError;
use crate::schedule::{Backoff, Outcome};

/// The course of one source.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) served: Served,
    backoff: Backoff,
    failures: u32,
    /// Not to begin before, after failures.
    not_before: Option<Instant>,
    running: bool,
    /// The tick that came while a round was running. A later one takes its place: slow rounds never pile up.
    waiting: Option<Instant>,
    attempted: bool,
}

/// When the next round of a source begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// At once: its first.
    Now,
    /// At its place in the period after this tick.
    InPlace(Instant),
}

impl Course {
    pub(super) const fn new(served: Served) -> Self {
        Self {
            served,
            backoff: Backoff::new(),
            failures: 0,
            not_before: None,
            running: false,
            waiting: None,
            attempted: false,
        }
    }

    /// A tick has come. Gives when to begin a round, none where none is due or one is running.
    pub(super) fn tick(&mut self, tick: Instant, period: Duration) -> Option<Start> {
        // A tick a little early is still the tick that was meant.
        if self.not_before.is_some_and(|time| tick + period / 2 < time) {
            return None;
        }
        if self.running {
            self.waiting = Some(tick);
            return None;
        }
        self.running = true;
        Some(if std::mem::replace(&mut self.attempted, true) {
            Start::InPlace(tick)
        } else {
            Start::Now
        })
    }

    /// The round that belongs to `tick` has ended, with this error or well. Gives when to begin the one that waits.
    pub(super) fn ended(
        &mut self,
        tick: Instant,
        error: Option<&RoundError>,
        period: Duration,
    ) -> Option<Start> {
        self.running = false;
        self.failures = if error.is_some() { self.failures.saturating_add(1) } else { 0 };
        let wait = self.backoff.after(outcome(error), period);
        self.not_before = (wait > Duration::ZERO).then(|| tick + wait);
        let waiting = self.waiting.take()?;
        self.tick(waiting, period)
    }

    /// Whether no round of it was ever begun.
    pub(super) const fn is_new(&self) -> bool {
        !self.attempted
    }

    /// How many rounds came to nothing in a row.
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }
}

/// What an error means for when the provider may be asked again.
fn outcome(error: Option<&RoundError>) -> Outcome {
    match error {
        // A store that cannot be read is noticed before the provider is asked: nothing is gained by waiting.
        None | Some(RoundError::Store(_)) => Outcome::Well,
        Some(RoundError::Fetch(error)) => of_fetch(error),
    }
}

/// What an answer of the provider means for when it may be asked again.
pub(super) const fn of_fetch(error: &FetchError) -> Outcome {
    match error {
        FetchError::Denied { .. } => Outcome::Denied,
        FetchError::Throttled { retry_after, .. } => Outcome::Failed(*retry_after),
        FetchError::Unavailable { .. }
        | FetchError::Inconsistent { .. }
        | FetchError::Invalid { .. } => Outcome::Failed(None),
    }
}

/// One word of a fixed set for why a round came to nothing.
pub(super) fn reason(error: &RoundError) -> String {
    match error {
        RoundError::Fetch(error) => error.reason().to_owned(),
        RoundError::Store(error) => format!("store_{}", error.reason()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Source;
    use crate::store::StoreError;

    const MINUTE: Duration = Duration::from_secs(60);

    fn course() -> Course {
        let source = Source::new("toy", &["a"]);
        Course::new(Served { source, settings: std::sync::Arc::default() })
    }

    #[test]
    fn the_first_round_begins_at_once_and_the_others_in_their_place() {
        let (mut course, first) = (course(), Instant::now());
        assert_eq!(course.tick(first, MINUTE), Some(Start::Now));
        assert_eq!(course.ended(first, None, MINUTE), None);
        let second = first + MINUTE;
        assert_eq!(course.tick(second, MINUTE), Some(Start::InPlace(second)));
    }

    #[test]
    fn rounds_never_overlap_and_ticks_that_come_meanwhile_are_one() {
        let (mut course, first) = (course(), Instant::now());
        assert!(course.tick(first, MINUTE).is_some());
        assert_eq!(course.tick(first + MINUTE, MINUTE), None);
        assert_eq!(course.tick(first + 2 * MINUTE, MINUTE), None);
        let next = Some(Start::InPlace(first + 2 * MINUTE));
        assert_eq!(course.ended(first, None, MINUTE), next, "the one that waited begins");
        assert_eq!(course.ended(first + 2 * MINUTE, None, MINUTE), None);
    }

    #[test]
    fn a_source_that_fails_sits_out_more_and_more_ticks() {
        let (mut course, first) = (course(), Instant::now());
        let error = RoundError::Fetch(FetchError::unavailable("down"));
        let mut began = Vec::new();
        for minute in 0..64 {
            let tick = first + minute * MINUTE;
            if course.tick(tick, MINUTE).is_some() {
                began.push(minute);
                assert_eq!(course.ended(tick, Some(&error), MINUTE), None);
            }
        }
        assert_eq!(began, [0, 1, 3, 7, 15, 30, 45, 60]);
        assert_eq!(course.failures(), 8);
    }

    #[test]
    fn a_store_that_is_away_is_asked_again_with_the_next_tick() {
        let (mut course, first) = (course(), Instant::now());
        let error = RoundError::Store(StoreError::Unavailable("down".to_owned()));
        for minute in 0..5 {
            let tick = first + minute * MINUTE;
            assert!(course.tick(tick, MINUTE).is_some(), "minute {minute}");
            let _ = course.ended(tick, Some(&error), MINUTE);
        }
        assert_eq!(course.failures(), 5);
    }
}
