//! The pace of requests to one endpoint: a token bucket that hands out tokens in the order they were asked for.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// A token bucket.
#[derive(Debug)]
pub(super) struct Limit {
    /// Held by the one that waits: tokens go out first come, first served.
    queue: Mutex<()>,
    bucket: RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>,
    clock: TokioClock,
}

impl Limit {
    /// So many a second, and `burst` at once. Both are checked by the options; a zero counts as the smallest.
    pub(super) fn new(per_second: f64, burst: u32) -> Self {
        let period = Duration::from_secs_f64(1.0 / per_second.max(0.001));
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(period.max(Duration::from_nanos(1)))
            .unwrap_or(Quota::per_second(NonZeroU32::MIN))
            .allow_burst(burst);
        let clock = TokioClock(Instant::now());
        Self {
            queue: Mutex::new(()),
            bucket: RateLimiter::direct_with_clock(quota, clock.clone()),
            clock,
        }
    }

    /// Waits for a token.
    #[expect(clippy::disallowed_methods, reason = "waiting for a token is what this file is for")]
    pub(super) async fn token(&self) {
        let _first = self.queue.lock().await;
        while let Err(not_yet) = self.bucket.check() {
            tokio::time::sleep(not_yet.wait_time_from(self.clock.now())).await;
        }
    }
}

/// Tokio's clock, so that tests can let time pass; governor's own waits ignore it.
#[derive(Clone, Debug)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::Limit;
    use std::time::Duration;

    /// How many tokens one endpoint gives out in that time, asked by many at once.
    async fn tokens_in(limit: Limit, time: Duration) -> usize {
        let given = std::sync::atomic::AtomicUsize::new(0);
        let ask = async || loop {
            limit.token().await;
            given.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        };
        let all = futures::future::join_all((0..10).map(|_| ask()));
        let _ = tokio::time::timeout(time, all).await;
        given.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn the_pace_is_kept_whoever_asks() {
        let given = tokens_in(Limit::new(5.0, 2), Duration::from_millis(10_100)).await;
        assert_eq!(given, 2 + 50);
    }

    #[tokio::test(start_paused = true)]
    async fn less_than_one_a_second_is_a_pace_too() {
        assert_eq!(tokens_in(Limit::new(0.1, 1), Duration::from_secs(65)).await, 1 + 6);
    }
}
