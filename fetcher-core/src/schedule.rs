//! When rounds begin: what the configuration says, and what becomes of it.
//!
//! Not what a round does. [`Ticks`] waits; everything else here is pure, with time as a parameter.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use tokio_cron_scheduler::Job;

mod backoff;
mod spread;
mod ticks;

pub use backoff::{Backoff, Outcome};
pub use spread::offset;
pub use ticks::Ticks;

/// When rounds begin. The first one begins at once, whatever this says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Every so often.
    Every(Duration),
    /// At the times of a cron expression of six fields, seconds first, in UTC.
    Cron(String),
}

/// A schedule that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScheduleError(String);

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

impl Default for Schedule {
    fn default() -> Self {
        Self::Every(Duration::from_secs(60))
    }
}

impl Schedule {
    /// The time from one round to the next; for a cron expression, a minute.
    #[must_use]
    pub const fn period(&self) -> Duration {
        match self {
            Self::Every(period) => *period,
            Self::Cron(_) => Duration::from_secs(60),
        }
    }

    /// Over how long the starts of a tick's rounds are spread: the period, or little where people chose the second.
    #[must_use]
    pub const fn spread(&self) -> Duration {
        match self {
            Self::Every(period) => *period,
            Self::Cron(_) => Duration::from_secs(10),
        }
    }

    fn every(text: &str) -> Result<Self, ScheduleError> {
        let period = text.trim().parse::<jiff::SignedDuration>().ok();
        let period = period.and_then(|period| Duration::try_from(period).ok());
        match period {
            Some(period) if (SHORTEST..=LONGEST).contains(&period) => Ok(Self::Every(period)),
            Some(_) => Err(ScheduleError(format!(
                "the schedule `every {}` is out of bounds: give 1s to 24h",
                text.trim()
            ))),
            None => Err(ScheduleError(format!(
                "the schedule `every {}` has no duration: give one like `every 60s` or `every 5m`",
                text.trim()
            ))),
        }
    }

    fn cron(text: &str) -> Result<Self, ScheduleError> {
        let text = text.trim();
        // The one who runs it is the one who says whether it can be run.
        Job::new(text, |_, _| {}).map(|_| Self::Cron(text.to_owned())).map_err(|_| {
            ScheduleError(format!(
                "the schedule {text:?} is neither `every` and a duration, like `every 60s`, nor a cron expression of six fields, seconds first, like `0 */5 * * * *`"
            ))
        })
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().strip_prefix("every ") {
            Some(duration) => Self::every(duration),
            None => Self::cron(text),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(period) => write!(f, "every {period:?}"),
            Self::Cron(expression) => write!(f, "cron {expression}"),
        }
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Schedule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`every 60s`, or `{cron: \"0 */5 * * * *\"}`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Schedule, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Schedule, M::Error> {
        let schedule = match map.next_key::<String>()?.as_deref() {
            Some("cron") => Schedule::cron(&map.next_value::<String>()?),
            Some(other) => return Err(de::Error::unknown_field(other, &["cron"])),
            None => return Err(de::Error::missing_field("cron")),
        };
        match map.next_key::<String>()? {
            None => schedule.map_err(de::Error::custom),
            Some(other) => Err(de::Error::unknown_field(&other, &["cron"])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_a_duration_or_a_cron_expression() {
        let every = |seconds| Ok(Schedule::Every(Duration::from_secs(seconds)));
        assert_eq!("every 60s".parse(), every(60));
        assert_eq!("every 5m".parse(), every(300));
        assert_eq!("every 1h 30m".parse(), every(5400));
        assert_eq!("0 */5 * * * *".parse(), Ok(Schedule::Cron("0 */5 * * * *".to_owned())));
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_an_example() {
        for (text, hint) in [
            ("every 0s", "1s to 24h"),
            ("every 48h", "1s to 24h"),
            ("every -5m", "has no duration"),
            ("every", "every 60s"),
            ("every 60", "every 60s"),
            ("60s", "every 60s"),
            ("*/5 * * * *", "six fields"),
            ("", "every 60s"),
        ] {
            let error = text.parse::<Schedule>().unwrap_err().to_string();
            assert!(error.contains(hint), "{text:?}: {error}");
        }
    }
}
