//! The second half of a round: what the brake and a person let through, as tasks.

use std::collections::{BTreeSet, HashMap};
use std::sync::PoisonError;

use jiff::Timestamp;

use super::Engine;
use super::prepared::Prepared;
use crate::apply::{Target, Task};
use crate::approve::{Approval, ApprovalError, Withheld};
use crate::brake::{self, Census, Permit};
use crate::confirm::Mark;
use crate::contest::Hold;
use crate::decide::{Evidence, Verb};
use crate::desired::Seen;
use crate::machine::{Machine, Source, Text};
use crate::provider::{Provider, Served};
use crate::selector::Selector;
use crate::store::{HostStore, StoreError};

/// What is done in a round, once the brake has spoken.
#[derive(Debug)]
pub(super) struct Permitted {
    pub(super) prepared: Prepared,
    pub(super) permit: Permit,
    /// Marks that a person let through, with what goes onto the Hosts.
    pub(super) approved: Vec<Mark>,
    pub(super) approval: Option<String>,
}

impl<P: Provider, S: HostStore> Engine<P, S> {
    /// How many marks may pass over all sources of the instance, of which these rounds are planned. None where a source
    /// cannot be read: what was marked in it within the hour is not known then.
    pub(super) async fn room_of_all(
        &self,
        served: &[Served],
        rounds: &[Prepared],
        now: Timestamp,
    ) -> usize {
        if rounds.iter().all(|round| round.confirmed.counted() == 0) {
            return usize::MAX;
        }
        let planned = rounds.iter().map(|round| round.census);
        match self.census_of_others(served, rounds, now).await {
            Ok(others) => planned.chain([others]).sum::<Census>().room_of_all(self.policy),
            Err(_) => 0,
        }
    }

    /// What the sources of which nothing is planned tell the brake: those that were not listed, or not asked. Of one that
    /// the store alone knows, because it could not be discovered or is configured no longer, only the marks count, never
    /// its Hosts: the limit only gets lower by it.
    async fn census_of_others(
        &self,
        served: &[Served],
        rounds: &[Prepared],
        now: Timestamp,
    ) -> Result<Census, StoreError> {
        let planned = rounds.iter().map(|round| round.served.source.name());
        let mut known: BTreeSet<Text> = planned.cloned().collect();
        let mut others = Census::default();
        for Served { source, .. } in served {
            if known.insert(source.name().clone()) {
                let census = Census::of(&*self.store.observed(source).await?, now);
                others = [others, census].into_iter().sum();
            }
        }
        let provider = self.provider.name();
        for name in self.store.unserved(provider, &known).await? {
            let index = self.store.observed(&Source::named(provider, name)).await?;
            others.recent += Census::of(&index, now).recent;
        }
        Ok(others)
    }

    /// The brake over all sources of a run, in the order of names, and what a person lets through of it.
    pub(super) async fn permit_all(
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

    /// The tasks of a round, and the Hosts that are left alone for now.
    pub(super) fn tasks<'a>(
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
}

impl Permitted {
    pub(super) fn new(prepared: Prepared, room_of_all: usize) -> Self {
        let room = prepared.room().min(room_of_all);
        let permit = brake::permit(&prepared.confirmed, room, prepared.selects_nothing());
        Self { prepared, permit, approved: Vec::new(), approval: None }
    }

    /// Lets through what is approved of the withheld, after asking about all that nobody was asked about.
    async fn approve(
        &mut self,
        provider: &impl Provider,
        selector: &Selector,
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

    pub(super) fn withheld(&self) -> (Text, Withheld) {
        let source = self.prepared.served.source.name();
        let hosts = self.permit.withheld.iter().filter_map(|mark| {
            let entry = self.prepared.index.hosts.get(&mark.host)?;
            Some((&mark.host, entry))
        });
        (source.clone(), Withheld::new(source, hosts))
    }
}
