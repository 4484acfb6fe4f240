//! How fast one region of one account is called: slower as soon as EC2 says so, faster again by and by.
//!
//! Not the retries, which are the SDK's: this keeps the next calls from adding to the trouble. EC2 counts calls
//! in a token bucket per account and region, which is shared with everything else in that account, so what is
//! left for us can only be found out. (Bucket of paged DescribeInstances: 100, refilled with 20 a second.)

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Jitter, Quota, RateLimiter};

/// Good answers after which the rate doubles again.
const CALM: u32 = 20;
/// The slowest rate is the full one halved this often.
const SLOWEST: u32 = 6;

/// The rate limit of one region of one account.
#[derive(Debug)]
pub(crate) struct Throttle {
    full: NonZeroU32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// How often the full rate is halved.
    halvings: u32,
    calm: u32,
    limiter: Arc<DefaultDirectRateLimiter>,
}

impl Throttle {
    pub(crate) fn new(per_second: NonZeroU32) -> Self {
        let limiter = limiter(per_second, 0);
        Self { full: per_second, state: Mutex::new(State { halvings: 0, calm: 0, limiter }) }
    }

    /// Waits until one more call may be made.
    pub(crate) async fn ready(&self) {
        let limiter = Arc::clone(&self.lock().limiter);
        limiter.until_ready_with_jitter(Jitter::up_to(Duration::from_millis(50))).await;
    }

    /// EC2 asked for fewer calls, or could not cope.
    pub(crate) fn slow_down(&self) {
        let mut state = self.lock();
        state.calm = 0;
        if state.halvings < SLOWEST {
            state.halvings += 1;
            state.limiter = limiter(self.full, state.halvings);
        }
    }

    /// A call was answered well.
    pub(crate) fn went_well(&self) {
        let mut state = self.lock();
        if state.halvings == 0 {
            return;
        }
        state.calm += 1;
        if state.calm >= CALM {
            state.calm = 0;
            state.halvings -= 1;
            state.limiter = limiter(self.full, state.halvings);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A burst of five seconds at the full rate; while throttled a burst of one.
fn limiter(full: NonZeroU32, halvings: u32) -> Arc<DefaultDirectRateLimiter> {
    let period = Duration::from_secs(1) / full.get() * 2_u32.pow(halvings);
    let burst = if halvings == 0 { full.saturating_mul(BURST) } else { NonZeroU32::MIN };
    let quota = Quota::with_period(period.max(Duration::from_nanos(1)))
        .map_or_else(|| Quota::per_second(full), |quota| quota.allow_burst(burst));
    Arc::new(RateLimiter::direct(quota))
}

const BURST: NonZeroU32 = NonZeroU32::new(5).unwrap();

#[cfg(test)]
mod tests {
    use super::*;

    fn halvings(throttle: &Throttle) -> u32 {
        throttle.lock().halvings
    }

    #[test]
    fn a_throttled_answer_halves_the_rate_and_calm_brings_it_back() {
        let throttle = Throttle::new(NonZeroU32::new(20).unwrap());
        throttle.slow_down();
        throttle.slow_down();
        assert_eq!(halvings(&throttle), 2);
        for _ in 0..CALM {
            throttle.went_well();
        }
        assert_eq!(halvings(&throttle), 1);
        throttle.slow_down();
        assert_eq!(halvings(&throttle), 2);
        for _ in 0..2 * CALM {
            throttle.went_well();
        }
        assert_eq!(halvings(&throttle), 0);
    }

    #[test]
    fn throttled_for_ever_it_still_calls_now_and_then() {
        let throttle = Throttle::new(NonZeroU32::new(20).unwrap());
        for _ in 0..100 {
            throttle.slow_down();
        }
        // 20 a second, halved six times: one call in 3.2 seconds.
        assert_eq!(halvings(&throttle), SLOWEST);
    }

    #[test]
    fn a_call_beyond_the_burst_waits() {
        let throttle = Throttle::new(NonZeroU32::new(2).unwrap());
        let limiter = Arc::clone(&throttle.lock().limiter);
        assert!((0..10).all(|_| limiter.check().is_ok()));
        assert!(limiter.check().is_err());
    }
}
