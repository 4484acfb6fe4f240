//! The second opinion: is what the listing lacks really gone?
//!
//! It asks the provider and gathers evidence; whether a mark may pass is for `brake` to say. The judgement over one
//! Host is the pure function `judge`; the rest is asking in batches, each with a control id.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use crate::decide::Evidence;
use crate::machine::{Life, Machine, Source, Text};
use crate::observed::{Entry, Index};
use crate::plan::Absent;
use crate::provider::{FetchError, Lookup, Provider};
use crate::selector::Selector;

#[cfg(test)]
mod tests;

/// What became of the absent Hosts.
#[derive(Clone, Debug, Default)]
pub struct Confirmed {
    /// Those with evidence, in the order of names.
    pub marks: Vec<Mark>,
    /// Those without: a lookup failed or contradicted, or they are too young.
    pub unconfirmed: Vec<(Text, &'static str)>,
    /// Those nobody was asked about, because more are confirmed than may pass.
    pub unexamined: Vec<Absent>,
    /// Machines that the lookup returned, by the Host's name.
    pub found: HashMap<Text, Machine>,
    /// What a person should know: a lookup that failed, an answer that contradicts the listing.
    pub notes: Vec<(&'static str, String)>,
}

/// A Host with evidence that it is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The Host's name.
    pub host: Text,
    /// Why it is taken for gone.
    pub evidence: Evidence,
}

/// What is known of one absent machine.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// It is in the listing, not selected or not alive.
    Listed(&'a Machine),
    /// The lookup returned it.
    Found(&'a Machine),
    /// The lookup says there is no such machine, or the provider has no lookup: absence from a whole listing stands.
    Missing,
    /// No usable answer.
    None,
}

/// The judgement over one absent Host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// There is evidence.
    Gone(Evidence),
    /// It exists, is selected and should have been listed: the listing was not the whole truth.
    Inconsistent,
    /// No evidence, for this reason.
    Unconfirmed(&'static str),
}

/// A new machine may be missing from lists for a while: that tells nothing, neither of it nor of the listing.
const TOO_YOUNG: Judgement = Judgement::Unconfirmed("too young to be missed");

/// Whether `entry`, absent from what is wanted, is gone.
#[must_use]
pub fn judge(
    entry: &Entry,
    answer: Answer<'_>,
    selector: &Selector,
    settle: SignedDuration,
    now: Timestamp,
) -> Judgement {
    match answer {
        Answer::Listed(machine) | Answer::Found(machine) if machine.life == Life::Terminated => {
            Judgement::Gone(Evidence::Terminated)
        }
        Answer::Found(machine) if selector.matches(machine) => {
            if entry.is_younger(settle, now) {
                TOO_YOUNG
            } else {
                Judgement::Inconsistent
            }
        }
        // What the Host records was selected: then the machine changed. Else our configuration did.
        Answer::Listed(_) | Answer::Found(_) if entry.selected => {
            Judgement::Gone(Evidence::Deselected)
        }
        Answer::Listed(_) | Answer::Found(_) => Judgement::Gone(Evidence::SelectorChanged),
        Answer::Missing if entry.is_younger(settle, now) => TOO_YOUNG,
        Answer::Missing => Judgement::Gone(Evidence::Vanished),
        Answer::None => Judgement::Unconfirmed("the lookup gave no answer"),
    }
}

/// What a confirmation goes by.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The source.
    pub source: &'a Source,
    /// Its listing.
    pub machines: &'a [Machine],
    /// Its Hosts.
    pub index: &'a Index,
    /// What is selected.
    pub selector: &'a Selector,
    /// The time of the round.
    pub now: Timestamp,
}

impl Confirmed {
    /// Asks about the `absent`, until more are confirmed than `room` lets pass.
    pub async fn ask(
        provider: &impl Provider,
        case: Case<'_>,
        absent: Vec<Absent>,
        room: usize,
    ) -> Self {
        let mut confirmed = Self::default();
        let (listed, unlisted): (Vec<_>, Vec<_>) =
            absent.into_iter().partition(|a| a.listed.is_some());
        for absent in listed {
            let answer = absent
                .listed
                .and_then(|at| case.machines.get(at))
                .map_or(Answer::None, Answer::Listed);
            confirmed.take(&absent, answer, provider, case);
        }
        confirmed.unexamined = unlisted;
        confirmed.go_on(provider, case, room).await;
        confirmed
    }

    /// Asks about the unexamined, until more are confirmed than `room` lets pass.
    pub async fn go_on(&mut self, provider: &impl Provider, case: Case<'_>, room: usize) {
        let mut rest = std::mem::take(&mut self.unexamined).into_iter();
        while self.counted() <= room {
            let size =
                provider.lookup_batch().min(room.saturating_sub(self.counted()).saturating_add(1));
            let batch: Vec<Absent> = rest.by_ref().take(size.max(1)).collect();
            if batch.is_empty() {
                break;
            }
            self.batch(provider, case, batch).await;
        }
        self.unexamined = rest.collect();
        self.settle_contradictions();
        self.marks.sort_by(|a, b| a.host.cmp(&b.host));
    }

    /// How many marks the brake counts.
    #[must_use]
    pub fn counted(&self) -> usize {
        self.marks.iter().filter(|mark| is_counted(mark.evidence)).count()
    }

    async fn batch(&mut self, provider: &impl Provider, case: Case<'_>, batch: Vec<Absent>) {
        let control =
            case.machines.iter().find(|machine| machine.life == Life::Alive).map(|m| &m.id);
        let ids: Vec<Text> =
            batch.iter().map(|absent| &absent.machine_id).chain(control).cloned().collect();
        let answered = provider.lookup(case.source, &ids).await;
        let (found, missing) = match read(answered, control) {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                for absent in &batch {
                    self.take(absent, Answer::Missing, provider, case);
                }
                return;
            }
            Err((reason, message)) => {
                self.notes.push((reason, message));
                for absent in &batch {
                    self.take(absent, Answer::None, provider, case);
                }
                return;
            }
        };
        for absent in &batch {
            let answer = match found.get(&absent.machine_id) {
                Some(machine) => Answer::Found(machine),
                None if missing.contains(&absent.machine_id) => Answer::Missing,
                None => Answer::None,
            };
            self.take(absent, answer, provider, case);
        }
    }

    fn take(
        &mut self,
        absent: &Absent,
        answer: Answer<'_>,
        provider: &impl Provider,
        case: Case<'_>,
    ) {
        let Some(entry) = case.index.hosts.get(&absent.host) else { return };
        let settle = SignedDuration::try_from(provider.settle()).unwrap_or(SignedDuration::MAX);
        match judge(entry, answer, case.selector, settle, case.now) {
            Judgement::Gone(evidence) => {
                self.marks.push(Mark { host: absent.host.clone(), evidence });
                if let Answer::Found(machine) | Answer::Listed(machine) = answer {
                    self.found.insert(absent.host.clone(), machine.clone());
                }
            }
            Judgement::Inconsistent => {
                let message = format!(
                    "{} is selected and exists, and the listing came without it: nothing is marked on such a listing",
                    absent.machine_id
                );
                self.notes.push(("inconsistent", message));
                self.unconfirmed.push((absent.host.clone(), "the lookup contradicts the listing"));
            }
            Judgement::Unconfirmed(why) => self.unconfirmed.push((absent.host.clone(), why)),
        }
    }

    /// A listing that is proven incomplete is no evidence for any absence.
    fn settle_contradictions(&mut self) {
        if !self.notes.iter().any(|(reason, _)| *reason == "inconsistent") {
            return;
        }
        let why = "the lookup contradicts the listing for another machine";
        let (keep, drop): (Vec<_>, Vec<_>) = std::mem::take(&mut self.marks)
            .into_iter()
            .partition(|mark| mark.evidence == Evidence::Terminated);
        self.marks = keep;
        self.unconfirmed.extend(drop.into_iter().map(|mark| (mark.host, why)));
        self.unconfirmed
            .extend(std::mem::take(&mut self.unexamined).into_iter().map(|a| (a.host, why)));
        self.found.clear();
    }
}

/// Whether a mark on this evidence counts against the brake.
#[must_use]
pub const fn is_counted(evidence: Evidence) -> bool {
    matches!(evidence, Evidence::Vanished | Evidence::Deselected)
}

type Found = (HashMap<Text, Machine>, HashSet<Text>);

/// The answer by id; none where the provider has no lookup; else why it cannot be used.
fn read(
    answered: Result<Lookup, FetchError>,
    control: Option<&Text>,
) -> Result<Option<Found>, (&'static str, String)> {
    let (found, missing) = match answered {
        Err(error) => {
            return Err(("lookup", format!("the lookup failed, nothing is marked by it: {error}")));
        }
        Ok(Lookup::Unsupported) => return Ok(None),
        Ok(Lookup::Answered { found, missing }) => (found, missing),
    };
    let found: HashMap<Text, Machine> = found.into_iter().map(|m| (m.id.clone(), m)).collect();
    if let Some(control) = control.filter(|control| !found.contains_key(*control)) {
        let message = format!(
            "the lookup does not know {control}, which was listed a moment ago: its answer is not believed"
        );
        return Err(("inconsistent", message));
    }
    Ok(Some((found, missing.into_iter().collect())))
}
