//! When a request is sent again: which failures, after how long, and until when.
//!
//! The one file that uses `backoff`: the crate is unmaintained (see deny.toml) and asked for, so a change to
//! another is a change here. Only its series of waits is used: its own loop knows no limit of attempts, and a
//! Retry-After bypasses its limit of time.

use std::time::{Duration, SystemTime};

use backoff::backoff::Backoff as _;
use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};
use http::{HeaderMap, Method, StatusCode, header};

/// The longest wait that a server may ask for; what is more is taken as this.
pub(super) const LONGEST: Duration = Duration::from_secs(15 * 60);

/// The waits of one call.
pub(super) struct Waits(ExponentialBackoff);

impl Waits {
    /// Doubling from `first` to thirty times that, each spread by half to both sides.
    pub(super) fn new(first: Duration) -> Self {
        Self(
            ExponentialBackoffBuilder::new()
                .with_initial_interval(first)
                .with_multiplier(2.0)
                .with_max_interval(first.saturating_mul(30))
                .with_max_elapsed_time(None)
                .build(),
        )
    }

    /// How long to wait now: what the server asked for, and never less than the own series says.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let own = self.0.next_backoff().unwrap_or(LONGEST);
        asked.map_or(own, |asked| asked.max(own))
    }
}

/// Whether an answer with this status is worth another attempt.
pub(super) fn is_retried(method: &Method, status: StatusCode) -> bool {
    match status.as_u16() {
        // Both say that the request was not taken, so that a POST may be sent again.
        429 | 503 => true,
        408 | 500 | 502 | 504 => *method != Method::POST,
        _ => false,
    }
}

/// How long the server asks us to wait: seconds, or a date seen from the server's own `Date`, so that our clock does
/// not count; without it until `X-RateLimit-Reset`, in seconds since 1970 (Packet, GitHub). `None` for what is not there
/// or cannot be read; at most [`LONGEST`].
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().map_or(LONGEST, Duration::from_secs))
    };
    let now = || httpdate::parse_http_date(text(header::DATE.as_str())?).ok();
    let until = |time: SystemTime| Some(time.duration_since(now()?).unwrap_or(Duration::ZERO));
    let wait = match text(header::RETRY_AFTER.as_str()) {
        Some(asked) => seconds(asked).or_else(|| until(httpdate::parse_http_date(asked).ok()?)),
        // A small number is a period, which some other APIs mean by this header: then it is in the past.
        None => text("x-ratelimit-reset")
            .and_then(seconds)
            .and_then(|epoch| until(SystemTime::UNIX_EPOCH.checked_add(epoch)?))
            .filter(|wait| !wait.is_zero()),
    };
    Some(wait?.min(LONGEST))
}
