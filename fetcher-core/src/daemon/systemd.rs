//! What systemd is told: ready, still starting, at work, stopping, and a line on how it goes.
//!
//! Nothing where nobody listens: without `NOTIFY_SOCKET` every call is a no-op. Failures are not ours to mend.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::printable::printable;

/// How often it is told something at the least, where a watchdog does not want more.
const BEAT: Duration = Duration::from_secs(5);
/// By how much start-up is prolonged with each beat, in microseconds.
const PROLONGED: u32 = 60_000_000;

/// How often to beat.
pub(super) fn beat() -> Duration {
    sd_notify::watchdog_enabled().map_or(BEAT, |within| (within / 3).min(BEAT))
}

/// Start-up goes on, and what it waits for.
pub(super) fn starting(why: &str) {
    tell(&[NotifyState::ExtendTimeoutUsec(PROLONGED)]);
    status(&format!("Starting: {why}"));
}

/// Every source has ended a first attempt.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Something has moved, or nothing had to.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// No new round begins.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// How it goes, in one line.
pub(super) fn status(text: &str) {
    // A newline would begin a message of its own.
    tell(&[NotifyState::Status(&printable(text, 200))]);
}

fn tell(state: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(state);
}
