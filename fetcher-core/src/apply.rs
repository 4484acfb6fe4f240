//! Carrying out what was decided, Host by Host. One bad Host never stops the others, and a conflict is decided anew
//! by the same truth table over what was just read.
//!
//! It makes no plan and knows no brake: what comes here is permitted.

use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::decide::{Owner, Verb, Verdict, Why, decide};
use crate::desired::{self, Style};
use crate::digest::Digest;
use crate::host::{HostStatus, is_our_label};
use crate::machine::{Source, Text};
use crate::observed::{Entry, Read};
use crate::store::{HostStore, NewHost, Part, StoreError, Stored};

mod diff;
mod patience;
mod task;
#[cfg(test)]
mod tests;

use patience::Patience;
pub use task::{End, Outcome, Target, Task};

/// How often one Host is tried in a round.
const ATTEMPTS: usize = 6;
/// How long nothing may come to an end before the rest of a round is given up.
const STANDSTILL: Duration = Duration::from_secs(60);

/// What all tasks of a round share.
#[derive(Debug)]
pub struct Writer<'a, S> {
    /// Where to.
    pub store: &'a S,
    /// What every write of the instance takes one of.
    pub slots: &'a Semaphore,
    /// The source that owns the Hosts.
    pub source: &'a Source,
    /// Labels.
    pub style: &'a Style,
    /// The time of the round.
    pub now: Timestamp,
    /// Whether to read only, and say what would change.
    pub dry_run: bool,
}

impl<S: HostStore> Writer<'_, S> {
    /// Carries out all tasks, as many at once as there are slots. `done` hears of every end.
    pub async fn carry_out(&self, tasks: &[Task<'_>], done: impl Fn(&Outcome)) -> Vec<Outcome> {
        let patience = Patience::new(self.store.in_flight());
        let mut outcomes = Vec::with_capacity(tasks.len());
        // Filled by hand: a stream of a borrowing closure cannot be sent to another thread.
        let mut waiting = tasks.iter();
        let first = waiting.by_ref().take(self.store.in_flight());
        let mut running: FuturesUnordered<_> =
            first.map(|task| self.one(task, &patience)).collect();
        loop {
            match tokio::time::timeout(STANDSTILL, running.next()).await {
                Ok(Some(outcome)) => {
                    running.extend(waiting.next().map(|task| self.one(task, &patience)));
                    done(&outcome);
                    outcomes.push(outcome);
                }
                Ok(None) => return outcomes,
                Err(_) => break,
            }
        }
        drop(running);
        let ended: std::collections::HashSet<Text> =
            outcomes.iter().map(|o| o.host.clone()).collect();
        let error = StoreError::Unavailable(format!(
            "nothing came to an end for {} s: the rest of the round was given up",
            STANDSTILL.as_secs()
        ));
        let rest = tasks.iter().filter(|task| !ended.contains(&task.host));
        outcomes
            .extend(rest.map(|task| Outcome::failed(task.verb, task.host.clone(), error.clone())));
        outcomes
    }

    async fn one(&self, task: &Task<'_>, patience: &Patience) -> Outcome {
        let mut outcome = Outcome::new(task.verb, task.host.clone());
        // Closed by nobody.
        let _slot = self.slots.acquire().await;
        if patience.is_over() {
            let error = "not tried: the store failed for other Hosts a moment ago";
            outcome.end = End::Failed(StoreError::Unavailable(error.to_owned()));
            return outcome;
        }
        let end = self.attempts(task, &mut outcome).await;
        patience.heard(end.as_ref().err());
        outcome.end = end.unwrap_or_else(End::Failed);
        outcome
    }

    async fn attempts(&self, task: &Task<'_>, outcome: &mut Outcome) -> Result<End, StoreError> {
        // A create is a bet that the name is free: the source has no Host of that name. Whether another has one is
        // told by the attempt, which a dry run does not make.
        let mut create = task.verb == Verb::Create && !self.dry_run;
        loop {
            match self.attempt(task, create, outcome).await {
                Err(StoreError::Conflict(why)) if outcome.conflicts + 1 >= ATTEMPTS => {
                    let message = format!("still in conflict after {ATTEMPTS} attempts: {why}");
                    return Err(StoreError::Conflict(message));
                }
                Err(StoreError::Conflict(_)) => {
                    outcome.conflicts += 1;
                    create = false;
                    pause(outcome.conflicts, &task.host).await;
                }
                end => return end,
            }
        }
    }

    async fn attempt(
        &self,
        task: &Task<'_>,
        create: bool,
        outcome: &mut Outcome,
    ) -> Result<End, StoreError> {
        let read = if create { None } else { self.store.get(&task.host).await? };
        let wanted = task.wanted(self);
        let observed = read.as_ref().map(|read| (&read.entry, self.owner(read, task)));
        match (decide(wanted, observed), read) {
            (Verdict::InSync, _) => Ok(End::Done),
            (Verdict::Leave(why), _) => Ok(End::Left(why)),
            (Verdict::Do(Verb::Create), _) | (Verdict::Do(_), None) => {
                self.create(task, wanted, outcome).await
            }
            (Verdict::Do(_), Some(read)) => self.update(task, read, wanted, outcome).await,
        }
    }

    fn owner(&self, read: &Stored, task: &Task<'_>) -> Owner {
        let is_ours =
            read.source() == Some(self.source.name()) && read.entry.machine_id == task.machine_id;
        if is_ours { Owner::Ours } else { Owner::Foreign }
    }

    async fn create(
        &self,
        task: &Task<'_>,
        wanted: Option<Digest>,
        outcome: &mut Outcome,
    ) -> Result<End, StoreError> {
        let Target::Present(machine, seen) = task.target else { return Ok(End::Done) };
        if self.dry_run {
            return Ok(End::Done);
        }
        let host = NewHost {
            name: task.host.clone(),
            labels: desired::labels(self.source, machine, self.style),
            source: self.source.clone(),
            machine_id: task.machine_id.clone(),
        };
        let made = self.store.create(&host).await?;
        let before = Read::default();
        let status =
            desired::present_status(machine, seen, made.read.as_ref().unwrap_or(&before), self.now);
        let made = self.store.write(&made, Part::Status(&status)).await?;
        outcome.wrote = wanted.map(|wanted| (wanted, made.entry.digest));
        Ok(End::Done)
    }

    async fn update(
        &self,
        task: &Task<'_>,
        mut read: Stored,
        wanted: Option<Digest>,
        outcome: &mut Outcome,
    ) -> Result<End, StoreError> {
        let Some(before) = read.read.clone() else { return Ok(End::Left(Why::Unreadable)) };
        let labels = match task.target {
            Target::Present(machine, _) => {
                label_changes(&before, &desired::labels(self.source, machine, self.style))
            }
            Target::Gone(..) => std::collections::BTreeMap::new(),
        };
        let status = task.status(&before, self.now);
        outcome.fields = diff::fields(&before, &labels, &status, self.store.lens());
        if self.dry_run {
            return Ok(End::Done);
        }
        if !labels.is_empty() {
            read = self.store.write(&read, Part::Labels(&labels)).await?;
        }
        if self.status_differs(&read.entry, &before, &status) {
            read = self.store.write(&read, Part::Status(&status)).await?;
        }
        outcome.wrote = wanted.map(|wanted| (wanted, read.entry.digest));
        Ok(End::Done)
    }

    /// Whether the status is worth a request: by the same projection as the digest, labels apart.
    fn status_differs(&self, entry: &Entry, before: &Read, status: &HostStatus) -> bool {
        use crate::digest::digest;
        let lens = self.store.lens();
        let of = |status: &HostStatus| digest(std::iter::empty(), &lens.known(status));
        !matches!(entry.standing, crate::observed::Standing::Present)
            || before.status.as_ref().is_none_or(|old| of(old) != of(status))
    }
}

/// Our labels that are not as wanted: to be set, or to be removed.
fn label_changes(
    before: &Read,
    wanted: &std::collections::BTreeMap<String, String>,
) -> std::collections::BTreeMap<String, Option<String>> {
    let none = std::collections::BTreeMap::new();
    let now = before.metadata.labels.as_ref().unwrap_or(&none);
    let gone = now.keys().filter(|key| is_our_label(key) && !wanted.contains_key(*key));
    let set = wanted.iter().filter(|(key, value)| now.get(*key) != Some(value));
    gone.map(|key| (key.clone(), None))
        .chain(set.map(|(k, v)| (k.clone(), Some(v.clone()))))
        .collect()
}

/// Waits a little before the next attempt, longer each time, another while for every Host.
async fn pause(attempt: usize, host: &str) {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (attempt, host).hash(&mut hasher);
    let step = 10_u64 << attempt.min(6);
    let jitter = hasher.finish() % step;
    #[expect(
        clippy::disallowed_methods,
        reason = "two writers in conflict must not meet again at once"
    )]
    tokio::time::sleep(Duration::from_millis(step / 2 + jitter)).await;
}

/// A value as it stands in a report.
fn json(value: impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
