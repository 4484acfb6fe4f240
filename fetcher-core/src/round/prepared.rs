//! The first half of a round: all is read, asked and planned, and nothing is done yet.

use std::sync::Arc;

use futures::stream::{self, StreamExt};
use jiff::Timestamp;

use super::{Engine, FETCH_DEADLINE, RoundError, Watcher, report};
use crate::brake::{Census, Policy};
use crate::confirm::{Case, Confirmed};
use crate::decide::Verb;
use crate::desired::{self, Seen};
use crate::digest::Digest;
use crate::machine::{Machine, Text};
use crate::observed::Index;
use crate::plan::{Eyes, Plan, plan, whole};
use crate::provider::{Fetch, FetchError, Listing, Provider, Served};
use crate::report::SourceReport;
use crate::selector::Selector;
use crate::store::HostStore;

/// A round of which all is known and nothing done yet.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) served: Served,
    pub(super) listing: Listing,
    pub(super) index: Arc<Index>,
    pub(super) plan: Plan,
    pub(super) confirmed: Confirmed,
    pub(super) census: Census,
    pub(super) policy: Policy,
}

impl<P: Provider, S: HostStore> Engine<P, S> {
    pub(super) async fn prepare_all(
        &self,
        sources: Vec<&Served>,
        now: Timestamp,
        watcher: &impl Watcher,
        reports: &mut Vec<SourceReport>,
    ) -> Vec<Prepared> {
        let mut prepared = Vec::with_capacity(sources.len());
        // As they end, so that a slow one holds up no other's turn; then in the order of names.
        let mut all: Vec<_> = stream::iter(sources)
            .map(|served| async move { (served, self.prepare(served, now, watcher).await) })
            .buffer_unordered(self.concurrency.get())
            .collect()
            .await;
        all.sort_by(|(a, _), (b, _)| a.source.name().cmp(b.source.name()));
        for (served, result) in all {
            match result {
                Ok(round) => prepared.push(round),
                Err(error) => reports.push(report::failed(served.source.name(), &error)),
            }
        }
        prepared
    }

    pub(super) async fn prepare(
        &self,
        served: &Served,
        now: Timestamp,
        watcher: &impl Watcher,
    ) -> Result<Prepared, RoundError> {
        let source = &served.source;
        // What is observed is read first: a Host made meanwhile by another run of ours costs a conflict, no mark.
        let index = self.store.observed(source).await?;
        // Asked for now: by then the store has read which fields the server keeps.
        let lens = self.store.lens();
        let progress = watcher.progress(source.name());
        let request = Fetch { source, selector: &lens.selector, progress: &progress };
        let listing = tokio::time::timeout(FETCH_DEADLINE, self.provider.fetch(request)).await;
        let mut listing = listing.unwrap_or_else(|_| {
            let seconds = FETCH_DEADLINE.as_secs();
            Err(FetchError::unavailable(format!("the listing was not whole after {seconds} s")))
        })?;
        listing.machines = whole(&listing.machines, &served.settings.expect)?;
        let eyes = Eyes { style: &self.style, lens };
        let asked = self.memo.asked(source, &listing.machines, eyes);
        let plan = plan(&listing.machines, &asked, &index);
        let mut round = Prepared {
            census: Census::after(&index, &plan, now),
            policy: self.policy.with(served.settings.gone),
            served: served.clone(),
            listing,
            index,
            plan,
            confirmed: Confirmed::default(),
        };
        let absent = std::mem::take(&mut round.plan.absent);
        let room = round.room();
        round.confirmed =
            Confirmed::ask(&*self.provider, round.case(&lens.selector, now), absent, room).await;
        Ok(round)
    }

    pub(super) fn wanted(&self, round: &Prepared, machine: &Machine, seen: Seen) -> Digest {
        desired::wanted(&round.served.source, machine, seen, &self.style, self.store.lens())
    }
}

impl Prepared {
    /// How many more marks of this source may pass.
    pub(super) fn room(&self) -> usize {
        self.census.room(self.policy)
    }

    /// A source that selects nothing while it has Hosts is always over.
    pub(super) const fn selects_nothing(&self) -> bool {
        self.plan.selected == 0 && self.census.now > 0
    }

    pub(super) fn case<'a>(&'a self, selector: &'a Selector, now: Timestamp) -> Case<'a> {
        Case {
            source: &self.served.source,
            machines: &self.listing.machines,
            index: &self.index,
            selector,
            now,
        }
    }

    pub(super) fn wanted_changes(&self) -> impl Iterator<Item = (Verb, &Text, &Machine)> {
        let machines = &self.listing.machines;
        self.plan.changes.iter().filter_map(|planned| {
            Some((planned.verb, &planned.host, machines.get(planned.machine)?))
        })
    }
}
