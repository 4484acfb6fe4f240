//! One round of a daemon, watched from outside, that ends in words whatever becomes of it.
//!
//! Not what a round does (see `round`), nor when one is due (see `course`).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::health::Pulse;
use super::serve::Shared;
use crate::provider::{FetchError, Provider, Served};
use crate::report::{RoundResult, SourceReport};
use crate::round::RoundError;

/// A round that has ended.
pub(super) struct Ended {
    pub(super) served: Served,
    pub(super) tick: Instant,
    pub(super) result: Result<SourceReport, RoundError>,
    pub(super) took: Duration,
    pub(super) pages: usize,
}

/// One round, watched, that never breaks the loop.
pub(super) fn round<P: Provider>(
    shared: Arc<Shared<P>>,
    served: Served,
    all: Vec<Served>,
    tick: Instant,
) -> BoxFuture<'static, Ended> {
    let began = Instant::now();
    let pulse = Arc::new(Pulse::default());
    shared.health.began(served.source.name(), Arc::clone(&pulse), began);
    let now = crate::clock::now();
    async move {
        let round = shared.engine.round(&served, &all, now, &*pulse);
        let result = AssertUnwindSafe(round).catch_unwind().await;
        let result = result.unwrap_or_else(|_| Err(RoundError::Fetch(broke_off())));
        let pages = pulse.pages.read().0;
        Ended { served, tick, result, took: began.elapsed(), pages }
    }
    .boxed()
}

/// Of work that panicked.
pub(super) fn broke_off() -> FetchError {
    FetchError::unavailable(
        "the work broke off by a bug of this program: please report it with the log",
    )
}

/// The report of a round that came to nothing.
pub(super) fn failed(source: &str, error: &RoundError) -> SourceReport {
    SourceReport {
        source: source.to_owned(),
        result: RoundResult::Failed,
        error: Some(error.to_string()),
        ..SourceReport::default()
    }
}
