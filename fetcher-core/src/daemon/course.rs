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
    pub(super) fn tick(&mut self, tick: Instant) -> Option<Start> {
        if self.not_before.is_some_and(|time| tick < time) {
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

    /// The round that belongs to `tick` has ended `now`, with this error or well. Gives when to begin the one that
    /// waits.
    pub(super) fn ended(
        &mut self,
        tick: Instant,
        now: Instant,
        error: Option<&RoundError>,
        period: Duration,
    ) -> Option<Start> {
        self.running = false;
        self.failures = if error.is_some() { self.failures.saturating_add(1) } else { 0 };
        let outcome = outcome(error);
        let wait = self.backoff.after(outcome, period);
        self.not_before = match outcome {
            Outcome::Well => None,
            // A tick a little early is still the tick that was meant; but who says how long to wait is not asked before.
            Outcome::Failed(asked) => {
                Some((tick + wait - period / 2).max(now + asked.unwrap_or_default()))
            }
            // Not a second early: so that nobody's account is locked.
            Outcome::Denied => Some(tick + wait),
        };
        let waiting = self.waiting.take()?;
        self.tick(waiting)
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
        assert_eq!(course.tick(first), Some(Start::Now));
        assert_eq!(course.ended(first, first, None, MINUTE), None);
        let second = first + MINUTE;
        assert_eq!(course.tick(second), Some(Start::InPlace(second)));
    }

    #[test]
    fn rounds_never_overlap_and_ticks_that_come_meanwhile_are_one() {
        let (mut course, first) = (course(), Instant::now());
        assert!(course.tick(first).is_some());
        assert_eq!(course.tick(first + MINUTE), None);
        assert_eq!(course.tick(first + 2 * MINUTE), None);
        let next = Some(Start::InPlace(first + 2 * MINUTE));
        assert_eq!(course.ended(first, first, None, MINUTE), next, "the one that waited begins");
        assert_eq!(course.ended(first + 2 * MINUTE, first + 2 * MINUTE, None, MINUTE), None);
    }

    #[test]
    fn a_source_that_fails_sits_out_more_and_more_ticks() {
        let (mut course, first) = (course(), Instant::now());
        let error = RoundError::Fetch(FetchError::unavailable("down"));
        let mut began = Vec::new();
        for minute in 0..64 {
            let tick = first + minute * MINUTE;
            if course.tick(tick).is_some() {
                began.push(minute);
                assert_eq!(course.ended(tick, tick, Some(&error), MINUTE), None);
            }
        }
        assert_eq!(began, [0, 1, 3, 7, 15, 30, 45, 60]);
        assert_eq!(course.failures(), 8);
    }

    /// When rounds begin that all end with `error`, one second after they began, in seconds; ticks come `every` seconds.
    fn begins(error: FetchError, every: u64, until: u64) -> Vec<u64> {
        let (mut course, first) = (course(), Instant::now());
        let (error, period) = (RoundError::Fetch(error), Duration::from_secs(every));
        let due = |second: &u64| {
            let tick = first + Duration::from_secs(*second);
            let begins = course.tick(tick).is_some();
            if begins {
                let _ = course.ended(tick, tick + Duration::from_secs(1), Some(&error), period);
            }
            begins
        };
        (0..=until / every).map(|tick| tick * every).filter(due).collect()
    }

    #[test]
    fn refused_credentials_are_never_tried_before_their_time() {
        let denied = || FetchError::denied("the token is not known");
        assert_eq!(begins(denied(), 60, 3600), [0, 300, 900, 2100], "5, 10, 20 minutes");
        assert_eq!(begins(denied(), 120, 3600), [0, 360, 960, 2160], "not at the tick before");
    }

    #[test]
    fn who_says_how_long_to_wait_is_not_asked_before() {
        let busy = |seconds| FetchError::throttled("busy", Some(Duration::from_secs(seconds)));
        assert_eq!(begins(busy(90), 60, 300), [0, 120, 240], "since the answer, one second after");
        assert_eq!(begins(busy(5), 60, 300), [0, 60, 180], "less than is left in peace anyway");
    }

    #[test]
    fn a_tick_a_little_early_is_still_the_one_that_was_meant() {
        let (mut course, first) = (course(), Instant::now());
        let error = RoundError::Fetch(FetchError::unavailable("down"));
        assert!(course.tick(first).is_some());
        let _ = course.ended(first, first, Some(&error), MINUTE);
        assert!(course.tick(first + MINUTE * 59 / 60).is_some());
    }

    #[test]
    fn a_store_that_is_away_is_asked_again_with_the_next_tick() {
        let (mut course, first) = (course(), Instant::now());
        let error = RoundError::Store(StoreError::Unavailable("down".to_owned()));
        for minute in 0..5 {
            let tick = first + minute * MINUTE;
            assert!(course.tick(tick).is_some(), "minute {minute}");
            let _ = course.ended(tick, tick, Some(&error), MINUTE);
        }
        assert_eq!(course.failures(), 5);
    }
}
