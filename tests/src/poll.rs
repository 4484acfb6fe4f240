//! Waiting for a state: ask until it is there, or fail at the deadline and say what was waited for.
//! The one place in the test bed that sleeps.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const PAUSE: Duration = Duration::from_millis(25);

/// Asks `look` until it answers `Some`, and returns that.
///
/// # Errors
/// `within` has passed (the message names `what`), or `look` failed.
#[expect(clippy::disallowed_methods, reason = "between two looks")]
pub async fn poll_until<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if start.elapsed() > within {
            bail!("waited {within:?} in vain: {what}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
