//! A round: one pass over one source, from the listing to the report; and a run of `--once` over all of them.
//!
//! The order of the steps and nothing else: every decision is made by a pure function elsewhere. When a round is due,
//! and what is printed of it, is not known here.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use tokio::sync::Semaphore;

use self::memo::Memo;
use self::permitted::Permitted;
use crate::apply::{Outcome, Writer};
use crate::approve::{Approval, ApprovalError, checksum_of_all};
use crate::brake::Policy;
use crate::config::Concurrency;
use crate::contest::Memory;
use crate::decide::Verb;
use crate::desired::Style;
use crate::machine::Text;
use crate::provider::{FetchError, Progress, Provider, Served};
use crate::report::{RunReport, SourceReport};
use crate::store::{HostStore, StoreError};

mod memo;
mod permitted;
mod prepared;
mod report;

/// How long one listing may take.
pub const FETCH_DEADLINE: Duration = Duration::from_secs(300);

/// A provider and a store, and how the one is brought into the other.
#[derive(Debug)]
pub struct Engine<P, S> {
    /// Where machines are listed.
    pub provider: Arc<P>,
    /// Where Hosts are kept. Its lens holds the selector.
    pub store: Arc<S>,
    /// Which tags become labels.
    pub style: Style,
    /// The brake of the instance.
    pub policy: Policy,
    /// How many sources are worked on at once.
    pub concurrency: Concurrency,
    /// One for each write that may be in flight, whichever source it is of.
    slots: Semaphore,
    memory: Mutex<Memory>,
    memo: Memo,
    /// Held while marks that count are permitted and made, so that two sources never share one allowance.
    braking: tokio::sync::Mutex<()>,
}

/// How a run of `--once` differs from a plain one.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Read only, and say what would be done.
    pub dry_run: bool,
    /// What a person lets through.
    pub approve: Option<Approval>,
}

/// Who hears of work under way.
pub trait Watcher: Sync {
    /// Where the pages of this source are counted.
    fn progress(&self, source: &str) -> Arc<Progress>;
    /// A Host has been written, or not.
    fn wrote(&self, source: &str, outcome: &Outcome);
}

/// Nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Watcher for Unwatched {
    fn progress(&self, _: &str) -> Arc<Progress> {
        Arc::default()
    }
    fn wrote(&self, _: &str, _: &Outcome) {}
}

/// Why a round came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoundError {
    /// The source could not be listed.
    #[error("{0}")]
    Fetch(#[from] FetchError),
    /// The store could not be read.
    #[error("the store cannot be read: {0}")]
    Store(#[from] StoreError),
}

impl<P: Provider, S: HostStore> Engine<P, S> {
    /// An engine that remembers nothing yet.
    pub fn new(provider: Arc<P>, store: Arc<S>, style: Style, policy: Policy) -> Self {
        Self {
            slots: Semaphore::new(store.in_flight()),
            provider,
            store,
            style,
            policy,
            concurrency: Concurrency::default(),
            memory: Mutex::default(),
            memo: Memo::default(),
            braking: tokio::sync::Mutex::default(),
        }
    }

    /// One source's round, as a daemon makes it. `all` are the sources of the instance, for its brake.
    ///
    /// # Errors
    /// When nothing could be done: the source could not be listed, or the store not be read.
    pub async fn round(
        &self,
        served: &Served,
        all: &[Served],
        now: Timestamp,
        watcher: &impl Watcher,
    ) -> Result<SourceReport, RoundError> {
        if served.settings.suspend {
            return Ok(report::suspended(served));
        }
        let prepared = self.prepare(served, now, watcher).await?;
        let _alone = match prepared.confirmed.counted() {
            0 => None,
            _ => Some(self.braking.lock().await),
        };
        let room = self.room_of_all(all, std::slice::from_ref(&prepared), now).await;
        let permitted = Permitted::new(prepared, room);
        Ok(self.carry_out(permitted, now, false, watcher).await)
    }

    /// One run over all sources: all are listed, then the brake speaks in the order of names, then all is written.
    ///
    /// # Errors
    /// An approval that matches nothing that is withheld; then nothing was written.
    pub async fn once(
        &self,
        served: &[Served],
        options: &RunOptions,
        now: Timestamp,
        watcher: &impl Watcher,
    ) -> Result<RunReport, ApprovalError> {
        let mut sources: Vec<&Served> = served.iter().collect();
        sources.sort_by(|a, b| a.source.name().cmp(b.source.name()));
        let (suspended, asked): (Vec<_>, Vec<_>) =
            sources.into_iter().partition(|s| s.settings.suspend);
        let mut reports: Vec<SourceReport> = suspended.into_iter().map(report::suspended).collect();
        let prepared = self.prepare_all(asked, now, watcher, &mut reports).await;
        let permitted = self.permit_all(served, prepared, options.approve.as_ref(), now).await?;
        let checksum = checksum_of_all(&permitted.iter().map(Permitted::withheld).collect());
        let written = stream::iter(permitted)
            .map(|permitted| self.carry_out(permitted, now, options.dry_run, watcher))
            .buffer_unordered(self.concurrency.get());
        reports.extend(written.collect::<Vec<_>>().await);
        reports.extend(self.unserved(served).await);
        reports.sort_by(|a, b| a.source.cmp(&b.source));
        Ok(RunReport {
            provider: self.provider.name().to_owned(),
            dry_run: options.dry_run,
            exit_code: 0,
            checksum,
            sources: reports,
        })
    }

    /// The sources that the store has Hosts of and that are not served.
    pub async fn unserved(&self, served: &[Served]) -> Vec<SourceReport> {
        let names: BTreeSet<Text> =
            served.iter().map(|served| served.source.name().clone()).collect();
        match self.store.unserved(self.provider.name(), &names).await {
            Ok(names) => names.iter().map(|name| report::unserved(name)).collect(),
            // The rounds themselves tell of a store that cannot be read.
            Err(_) => Vec::new(),
        }
    }

    async fn carry_out(
        &self,
        permitted: Permitted,
        now: Timestamp,
        dry_run: bool,
        watcher: &impl Watcher,
    ) -> SourceReport {
        let (tasks, held) = self.tasks(&permitted, now);
        let source = &permitted.prepared.served.source;
        let (store, style, slots) = (&*self.store, &self.style, &self.slots);
        let writer = Writer { store, slots, source, style, now, dry_run };
        let outcomes =
            writer.carry_out(&tasks, |outcome| watcher.wrote(source.name(), outcome)).await;
        if !dry_run {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            for outcome in &outcomes {
                // A Host that is made or comes back is nobody's rewrite: remembered only where it is not kept.
                let matters = outcome.verb == Verb::Update || !report::is_kept(outcome);
                if let Some((wanted, answered)) = outcome.wrote.filter(|_| matters) {
                    memory.wrote(&outcome.host, wanted, answered, now);
                }
            }
            memory.forget(now);
        }
        report::complete(&permitted, outcomes, &held)
    }
}
