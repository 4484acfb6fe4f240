//! What is shown of the store: its requests, its errors, and how its watch is doing.
//!
//! The store counts for itself; here its totals are taken over when somebody looks.

use jiff::Timestamp;
use prometheus::{Gauge, GaugeVec, IntCounterVec, IntGauge, Opts};

use super::{Maker, seconds, signed};
use crate::store::any::AnyStore;

/// What the store tells of itself.
#[derive(Debug)]
pub(super) struct Store {
    requests: IntCounterVec,
    errors: IntCounterVec,
    restarts: IntCounterVec,
    synced: IntGauge,
    heard: Gauge,
    hosts: IntGauge,
    expires: GaugeVec,
}

impl Store {
    pub(super) fn new(make: &Maker) -> Self {
        Self {
            requests: make.counters(
                "fetcher_store_requests_total",
                "Requests to the store, by kind.",
                "request",
            ),
            errors: make.counters(
                "fetcher_store_errors_total",
                "Requests that the store did not carry out, by reason.",
                "reason",
            ),
            restarts: make.counters(
                "fetcher_watch_restarts_total",
                "How often the index of the store had to be read anew, by reason.",
                "reason",
            ),
            synced: make.add(IntGauge::new(
                "fetcher_store_synced",
                "1 where what the store holds is known as a whole.",
            )),
            heard: make.add(Gauge::new(
                "fetcher_store_heard_timestamp_seconds",
                "When the watch on the store last gave a sign of life; 0 where there is no watch.",
            )),
            hosts: make.add(IntGauge::new(
                "fetcher_store_hosts",
                "Hosts of this provider in the watched index; 0 where there is no watch.",
            )),
            expires: make.add(GaugeVec::new(
                Opts::new(
                    "fetcher_client_certificate_expiry_timestamp_seconds",
                    "When the certificate ends that is shown to the store.",
                ),
                &["certificate"],
            )),
        }
    }

    /// Takes over what the store counts at this moment.
    pub(super) fn take(&self, store: &AnyStore, now: Timestamp) {
        let calls = store.calls();
        for (counter, counts) in [(&self.requests, &calls.requests), (&self.errors, &calls.errors)]
        {
            for (label, count) in counts {
                raise(counter, label, *count);
            }
        }
        let Some(watched) = store.watched() else {
            return self.synced.set(1);
        };
        for (reason, count) in &watched.restarts {
            raise(&self.restarts, reason, *count);
        }
        self.synced.set(i64::from(watched.is_synced));
        self.hosts.set(signed(watched.hosts));
        if let Some(ago) = watched.heard {
            self.heard.set(seconds(now) - ago.as_secs_f64());
        }
        if let Some(end) = store.expires() {
            self.expires.with_label_values(&["store"]).set(seconds(end));
        }
    }
}

/// Brings a counter up to a total that is counted elsewhere.
fn raise(counter: &IntCounterVec, label: &str, total: u64) {
    let counter = counter.with_label_values(&[label]);
    counter.inc_by(total.saturating_sub(counter.get()));
}
