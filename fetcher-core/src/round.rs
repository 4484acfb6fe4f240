//! A round: one pass over one source, from the listing to the report; and a run of `--once` over all of them.
//!
//! The order of the steps and nothing else: every decision is made by a pure function elsewhere. When a round is due,
//! and what is printed of it, is not known here.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use jiff::Timestamp;

use crate::apply::{Outcome, Target, Task, Writer};
use crate::approve::{Approval, ApprovalError, Withheld, checksum_of_all};
use crate::brake::{self, Census, Permit, Policy};
use crate::config::Concurrency;
use crate::confirm::{Case, Confirmed};
use crate::contest::{Hold, Memory};
use crate::decide::{Evidence, Verb};
use crate::desired::{self, Seen, Style};
use crate::digest::Digest;
use crate::machine::{Machine, Text};
use crate::observed::Index;
use crate::plan::{Eyes, Plan, plan, whole};
use crate::provider::{Fetch, FetchError, Listing, Progress, Provider, Served};
use crate::report::{RunReport, SourceReport};
use crate::store::{HostStore, StoreError};

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
    memory: Mutex<Memory>,
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

/// A round of which all is known and nothing done yet.
#[derive(Debug)]
struct Prepared {
    served: Served,
    listing: Listing,
    index: Arc<Index>,
    plan: Plan,
    confirmed: Confirmed,
    census: Census,
    policy: Policy,
}

/// What is done in a round, once the brake has spoken.
#[derive(Debug)]
struct Permitted {
    prepared: Prepared,
    permit: Permit,
    /// Marks that a person let through, with what goes onto the Hosts.
    approved: Vec<crate::confirm::Mark>,
    approval: Option<String>,
}

impl<P: Provider, S: HostStore> Engine<P, S> {
    /// An engine that remembers nothing yet.
    pub fn new(provider: Arc<P>, store: Arc<S>, style: Style, policy: Policy) -> Self {
        Self {
            provider,
            store,
            style,
            policy,
            concurrency: Concurrency::default(),
            memory: Mutex::default(),
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
        if prepared.confirmed.counted() == 0 {
            let permitted = Permitted::new(prepared, usize::MAX);
            return Ok(self.carry_out(permitted, now, false, watcher).await);
        }
        let _alone = self.braking.lock().await;
        let others = all.iter().filter(|other| other.source.name() != served.source.name());
        let whole =
            [prepared.census, self.census_of(others, now).await].into_iter().sum::<Census>();
        let permitted = Permitted::new(prepared, whole.room_of_all(self.policy));
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

    async fn prepare_all(
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

    async fn prepare(
        &self,
        served: &Served,
        now: Timestamp,
        watcher: &impl Watcher,
    ) -> Result<Prepared, RoundError> {
        let source = &served.source;
        let lens = self.store.lens();
        // What is observed is read first: a Host made meanwhile by another run of ours costs a conflict, no mark.
        let index = self.store.observed(source).await?;
        let progress = watcher.progress(source.name());
        let request = Fetch { source, selector: &lens.selector, progress: &progress };
        let listing = tokio::time::timeout(FETCH_DEADLINE, self.provider.fetch(request)).await;
        let mut listing = listing.unwrap_or_else(|_| {
            let seconds = FETCH_DEADLINE.as_secs();
            Err(FetchError::unavailable(format!("the listing was not whole after {seconds} s")))
        })?;
        listing.machines = whole(&listing.machines, &served.settings.expect)?;
        let plan = plan(source, &listing.machines, &index, Eyes { style: &self.style, lens });
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

    /// What sources of which nothing is planned tell the brake.
    async fn census_of(
        &self,
        sources: impl Iterator<Item = &Served> + Send,
        now: Timestamp,
    ) -> Census {
        let mut whole = Census::default();
        for served in sources {
            // A source whose Hosts cannot be read counts as having none: the limit only gets lower.
            if let Ok(index) = self.store.observed(&served.source).await {
                whole = [whole, Census::of(&index, now)].into_iter().sum();
            }
        }
        whole
    }

    /// How many marks may pass over all sources of a run: those that were not listed, or not asked, count as well.
    async fn room_of_all(&self, served: &[Served], rounds: &[Prepared], now: Timestamp) -> usize {
        if rounds.iter().all(|round| round.confirmed.counted() == 0) {
            return usize::MAX;
        }
        let listed: BTreeSet<&Text> = rounds.iter().map(|r| r.served.source.name()).collect();
        let others = served.iter().filter(|other| !listed.contains(other.source.name()));
        let whole: Census = rounds.iter().map(|round| round.census).sum();
        let whole: Census = [whole, self.census_of(others, now).await].into_iter().sum();
        whole.room_of_all(self.policy)
    }

    /// The brake over all sources of a run, in the order of names, and what a person lets through of it.
    async fn permit_all(
        &self,
        served: &[Served],
        prepared: Vec<Prepared>,
        approval: Option<&Approval>,
        now: Timestamp,
    ) -> Result<Vec<Permitted>, ApprovalError> {
        let mut room = self.room_of_all(served, &prepared, now).await;
        let mut permitted = Vec::with_capacity(prepared.len());
        for round in prepared {
            let next = Permitted::new(round, room);
            room -= next.permit.counted().min(room);
            permitted.push(next);
        }
        let Some(approval) = approval else { return Ok(permitted) };
        let names = approval.names(&permitted.iter().map(Permitted::withheld).collect())?;
        for round in &mut permitted {
            if let Some(names) = names.get(round.prepared.served.source.name()) {
                round
                    .approve(
                        &*self.provider,
                        &self.store.lens().selector,
                        names,
                        approval.id(),
                        now,
                    )
                    .await;
            }
        }
        Ok(permitted)
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
        let writer = Writer { store: &*self.store, source, style: &self.style, now, dry_run };
        let outcomes =
            writer.carry_out(tasks, |outcome| watcher.wrote(source.name(), outcome)).await;
        if !dry_run {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            for outcome in &outcomes {
                if let (Some((wanted, answered)), Verb::Update) = (outcome.wrote, outcome.verb) {
                    memory.wrote(&outcome.host, wanted, answered, now);
                }
            }
            memory.forget(now);
        }
        report::complete(&permitted, outcomes, &held)
    }

    /// The tasks of a round, and the Hosts that are left alone for now.
    fn tasks<'a>(
        &self,
        permitted: &'a Permitted,
        now: Timestamp,
    ) -> (Vec<Task<'a>>, Vec<(Text, Hold)>) {
        let round = &permitted.prepared;
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = Vec::new();
        let mut tasks = Vec::new();
        let changes =
            round.wanted_changes().map(|(verb, host, machine)| (verb, host, machine, Seen::Listed));
        for (verb, host, machine, seen) in changes.chain(self.updates_of_withheld(permitted)) {
            let entry = round.index.hosts.get(host);
            let wanted = || self.wanted(round, machine, seen);
            match entry.and_then(|entry| memory.hold(host, wanted(), entry.digest, now)) {
                Some(hold) => held.push((host.clone(), hold)),
                None => tasks.push(Task {
                    verb,
                    host: host.clone(),
                    machine_id: machine.id.clone(),
                    target: Target::Present(machine, seen),
                }),
            }
        }
        let passed = permitted.permit.pass.iter().map(|mark| (mark, None));
        let approved = permitted.approved.iter().map(|mark| (mark, permitted.approval.as_deref()));
        tasks.extend(passed.chain(approved).filter_map(|(mark, approval)| {
            Some(Task {
                verb: Verb::MarkGone,
                host: mark.host.clone(),
                machine_id: round.index.hosts.get(&mark.host)?.machine_id.clone(),
                target: Target::Gone(mark.evidence, approval),
            })
        }));
        (tasks, held)
    }

    /// A withheld Host whose machine was seen after all is kept up to date like any other.
    fn updates_of_withheld<'a>(
        &self,
        permitted: &'a Permitted,
    ) -> impl Iterator<Item = (Verb, &'a Text, &'a Machine, Seen)> {
        let round = &permitted.prepared;
        permitted.permit.withheld.iter().filter_map(move |mark| {
            let machine = round.confirmed.found.get(&mark.host)?;
            let entry = round.index.hosts.get(&mark.host)?;
            let seen = match mark.evidence {
                Evidence::Deselected => Seen::Deselected,
                Evidence::Terminated | Evidence::Vanished | Evidence::SelectorChanged => {
                    Seen::Listed
                }
            };
            let differs = self.wanted(round, machine, seen) != entry.digest;
            differs.then_some((Verb::Update, &mark.host, machine, seen))
        })
    }

    fn wanted(&self, round: &Prepared, machine: &Machine, seen: Seen) -> Digest {
        desired::wanted(&round.served.source, machine, seen, &self.style, self.store.lens())
    }
}

impl Prepared {
    /// How many more marks of this source may pass.
    fn room(&self) -> usize {
        self.census.room(self.policy)
    }

    /// A source that selects nothing while it has Hosts is always over.
    const fn selects_nothing(&self) -> bool {
        self.plan.selected == 0 && self.census.now > 0
    }

    fn case<'a>(&'a self, selector: &'a crate::selector::Selector, now: Timestamp) -> Case<'a> {
        Case {
            source: &self.served.source,
            machines: &self.listing.machines,
            index: &self.index,
            selector,
            now,
        }
    }

    fn wanted_changes(&self) -> impl Iterator<Item = (Verb, &Text, &Machine)> {
        let machines = &self.listing.machines;
        self.plan.changes.iter().filter_map(|planned| {
            Some((planned.verb, &planned.host, machines.get(planned.machine)?))
        })
    }
}

impl Permitted {
    fn new(prepared: Prepared, room_of_all: usize) -> Self {
        let room = prepared.room().min(room_of_all);
        let permit = brake::permit(&prepared.confirmed, room, prepared.selects_nothing());
        Self { prepared, permit, approved: Vec::new(), approval: None }
    }

    /// Lets through what is approved of the withheld, after asking about all that nobody was asked about.
    async fn approve(
        &mut self,
        provider: &impl Provider,
        selector: &crate::selector::Selector,
        names: &BTreeSet<Text>,
        id: &str,
        now: Timestamp,
    ) {
        let mut confirmed = std::mem::take(&mut self.prepared.confirmed);
        confirmed.go_on(provider, self.prepared.case(selector, now), usize::MAX).await;
        let evidence: HashMap<&Text, _> =
            confirmed.marks.iter().map(|m| (&m.host, m.evidence)).collect();
        self.permit.withheld.retain_mut(|mark| match evidence.get(&mark.host) {
            Some(evidence) => {
                mark.evidence = *evidence;
                true
            }
            None => false,
        });
        self.prepared.confirmed = confirmed;
        let (permit, approved) = brake::approve(std::mem::take(&mut self.permit), names);
        (self.permit, self.approved, self.approval) = (permit, approved, Some(id.to_owned()));
    }

    fn withheld(&self) -> (Text, Withheld) {
        let source = self.prepared.served.source.name();
        let hosts = self.permit.withheld.iter().filter_map(|mark| {
            let entry = self.prepared.index.hosts.get(&mark.host)?;
            Some((&mark.host, entry))
        });
        (source.clone(), Withheld::new(source, hosts))
    }
}
