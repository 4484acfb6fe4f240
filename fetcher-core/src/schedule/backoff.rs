//! How long a source that fails is left in peace: longer and longer, so that nobody's account is locked.
//!
//! Pure: the caller says what the time is, and on which clock.

use std::time::Duration;

/// After failures of the network or the provider, at the most.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// After credentials were refused, at first and at the most.
const DENIED: (Duration, Duration) = (Duration::from_secs(5 * 60), Duration::from_secs(3600));

/// How a round ended, as far as the next one depends on it; the gravest is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Well, or for a reason that asking the provider again at the usual time does not make worse.
    Well,
    /// The source failed; it may have said how long to wait.
    Failed(Option<Duration>),
    /// Credentials were refused.
    Denied,
}

/// How often a source has failed in a row, and in which of the two ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
    denied: bool,
}

impl Backoff {
    /// Of a source that has not failed.
    #[must_use]
    pub const fn new() -> Self {
        Self { failures: 0, denied: false }
    }

    /// How long after the beginning of a round that ended with `outcome` the next one may begin, for rounds that
    /// usually begin every `period`.
    #[must_use]
    pub fn after(&mut self, outcome: Outcome, period: Duration) -> Duration {
        let (denied, asked) = match outcome {
            Outcome::Well => {
                *self = Self::default();
                return Duration::ZERO;
            }
            Outcome::Failed(asked) => (false, asked.unwrap_or_default()),
            Outcome::Denied => (true, Duration::ZERO),
        };
        let earlier = if self.denied == denied { self.failures } else { 0 };
        *self = Self { failures: earlier.saturating_add(1), denied };
        let (first, most) = if denied { DENIED } else { (period, LONGEST.max(period)) };
        let factor = 1_u32.checked_shl(earlier).unwrap_or(u32::MAX);
        first.saturating_mul(factor).min(most).max(asked)
    }

    /// How often it has failed in a row.
    #[must_use]
    pub const fn failures(self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn waits(outcome: Outcome, period: Duration, times: usize) -> Vec<u64> {
        let mut backoff = Backoff::default();
        (0..times).map(|_| backoff.after(outcome, period).as_secs() / 60).collect()
    }

    #[test]
    fn failures_are_retried_later_and_later_up_to_a_quarter_of_an_hour() {
        assert_eq!(waits(Outcome::Failed(None), MINUTE, 7), [1, 2, 4, 8, 15, 15, 15]);
        assert_eq!(waits(Outcome::Failed(None), 60 * MINUTE, 2), [60, 60], "never before its time");
    }

    #[test]
    fn refused_credentials_are_tried_again_after_five_minutes_to_an_hour() {
        assert_eq!(waits(Outcome::Denied, MINUTE, 6), [5, 10, 20, 40, 60, 60]);
    }

    #[test]
    fn a_success_or_another_kind_of_failure_begins_anew() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            let _ = backoff.after(Outcome::Failed(None), MINUTE);
        }
        assert_eq!(backoff.after(Outcome::Denied, MINUTE), 5 * MINUTE);
        assert_eq!(backoff.after(Outcome::Denied, MINUTE), 10 * MINUTE);
        assert_eq!(backoff.after(Outcome::Well, MINUTE), Duration::ZERO);
        assert_eq!(backoff.failures(), 0);
        assert_eq!(backoff.after(Outcome::Failed(None), MINUTE), MINUTE);
    }

    #[test]
    fn who_asks_for_patience_gets_it() {
        let asked = Outcome::Failed(Some(30 * MINUTE));
        assert_eq!(waits(asked, MINUTE, 2), [30, 30]);
    }

    #[test]
    fn a_hundred_failures_do_not_overflow() {
        assert_eq!(waits(Outcome::Denied, MINUTE, 100).last(), Some(&60));
    }
}
