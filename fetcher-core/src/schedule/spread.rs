//! Where in the period a source has its place, so that not all of them are asked in the same second.

use std::hash::BuildHasher;
use std::time::Duration;

/// How long after a tick the round of `source` begins: the same after every tick, less than `spread`, and another one
/// in another process, because `seed` is.
#[must_use]
pub fn offset(source: &str, seed: &impl BuildHasher, spread: Duration) -> Duration {
    let part = seed.hash_one(source) >> 32;
    let nanos = (spread.as_nanos() * u128::from(part)) >> 32;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::hash::RandomState;

    use super::*;

    #[test]
    fn starts_are_spread_over_the_period_and_stay_in_place() {
        let (seed, minute) = (RandomState::new(), Duration::from_secs(60));
        let all: Vec<_> = (0..400).map(|n| offset(&format!("s{n}"), &seed, minute)).collect();
        assert!(all.iter().all(|offset| *offset < minute));
        for quarter in 0..4 {
            let from = minute / 4 * quarter;
            let within = all.iter().filter(|o| (from..from + minute / 4).contains(*o)).count();
            assert!((50..150).contains(&within), "{within} of 400 in quarter {quarter}");
        }
        assert_eq!(all[7], offset("s7", &seed, minute));
    }
}
