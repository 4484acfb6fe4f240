//! What a machine becomes: the one place where Hosts are made out of Machines.
//!
//! Pure: naming, labels and status. Not whether anything is written: see `decide`. Everything is kept within the
//! bounds that the CRD sets, and what had to be cut is counted.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::decide::Evidence;
use crate::digest::{Digest, digest};
use crate::host::{
    Condition, HostStatus, LastGone, PRESENT, PROVIDER_LABEL, REGION_LABEL, SOURCE_LABEL,
    TAG_LABELS, ZONE_LABEL,
};
use crate::machine::{IdScope, Machine, Source, State, Text};
use crate::naming;
use crate::observed::{Lens, Read};

mod bounds;
#[cfg(test)]
mod tests;

/// How a machine that is there was seen: the reason of its Host's condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seen {
    /// In the listing, selected.
    #[default]
    Listed,
    /// By the lookup, and no longer selected by its tags; the brake holds the mark. Recorded, because the Host's tags
    /// are kept up to date meanwhile and would no longer tell that it was the machine that changed.
    Deselected,
}

impl Seen {
    /// The reason as it stands on the Host.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Listed => "Listed",
            Self::Deselected => Evidence::Deselected.as_str(),
        }
    }
}

/// How machines become Hosts in this instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Keys of the tags that become labels.
    pub label_tags: Vec<Text>,
}

/// The name of the Host of this machine: valid, readable, and another one for every other machine.
#[must_use]
pub fn name(source: &Source, machine: &Machine) -> Text {
    let provider = source.provider();
    let id = &*machine.id;
    let plain = format!("{provider}-{id}");
    match machine.id_scope {
        IdScope::Provider if naming::is_label(id) && plain.len() <= naming::MAX => plain.into(),
        IdScope::Provider => naming::with_hash(&plain, id).into(),
        IdScope::Source => naming::with_hash(&plain, &format!("{}\n{id}", source.name())).into(),
    }
}

/// Our labels. A value that is no valid label value is left out; keys are never rewritten.
#[must_use]
pub fn labels(source: &Source, machine: &Machine, style: &Style) -> BTreeMap<String, String> {
    let labels = label_pairs(source, machine, style).into_iter();
    labels.map(|(key, value)| (key.into_owned(), value.to_owned())).collect()
}

/// The same in the order of their keys, no value copied: made for every machine in every round.
fn label_pairs<'a>(
    source: &'a Source,
    machine: &'a Machine,
    style: &Style,
) -> Vec<(Cow<'static, str>, &'a str)> {
    let about = [
        (PROVIDER_LABEL, Some(source.provider())),
        (REGION_LABEL, machine.location.region.as_deref()),
        (SOURCE_LABEL, Some(&**source.name())),
        (ZONE_LABEL, machine.location.zone.as_deref()),
    ];
    let about = about.into_iter().filter_map(|(key, value)| Some((Cow::Borrowed(key), value?)));
    let tags = style.label_tags.iter().filter(|key| naming::is_label_name(key)).filter_map(|key| {
        let value = machine.tags.get(key)?;
        Some((Cow::Owned(format!("{TAG_LABELS}{key}")), &**value))
    });
    let all = about.chain(tags).filter(|(_, value)| naming::is_label_value(value));
    let mut all: Vec<_> = all.collect();
    all.sort_unstable();
    all.dedup_by(|a, b| a.0 == b.0);
    all
}

/// The status of a machine that is there, without the times that depend on what was before; and how many values had
/// to be cut to the CRD's bounds.
#[must_use]
pub fn status(machine: &Machine, seen: Seen) -> (HostStatus, usize) {
    let mut status = HostStatus {
        // `Gone` is ours to say, never a provider's.
        state: Some(if machine.state == State::Gone { State::Unknown } else { machine.state }),
        provider_state: machine.provider_state.clone(),
        hostname: machine.hostname.clone(),
        addresses: machine.addresses.clone(),
        location: machine.location.clone(),
        hardware: machine.hardware.clone(),
        os: machine.os.clone(),
        interfaces: machine.interfaces.clone(),
        owner: machine.owner.clone(),
        tags: machine.tags.clone(),
        facts: machine.facts.clone(),
        created_at: machine.created_at.and_then(whole_seconds),
        launched_at: machine.launched_at.and_then(whole_seconds),
        conditions: vec![present(true, seen.as_str(), String::new(), None)],
        ..HostStatus::default()
    };
    let cut = bounds::keep(&mut status);
    (status, cut)
}

/// The digest that the Host of this machine has when it is as it must be.
#[must_use]
pub fn wanted(
    source: &Source,
    machine: &Machine,
    seen: Seen,
    style: &Style,
    lens: &Lens,
) -> Digest {
    wanted_and_cut(source, machine, seen, style, lens).0
}

/// The same, and how many values are cut for it.
#[must_use]
pub fn wanted_and_cut(
    source: &Source,
    machine: &Machine,
    seen: Seen,
    style: &Style,
    lens: &Lens,
) -> (Digest, usize) {
    let labels = label_pairs(source, machine, style);
    let (status, cut) = status(machine, seen);
    let labels = labels.iter().map(|(key, value)| (&**key, *value));
    (digest(labels, &lens.known(&status)), cut)
}

/// The whole status of a machine that is there, after what was read of its Host before.
#[must_use]
pub fn present_status(machine: &Machine, seen: Seen, before: &Read, now: Timestamp) -> HostStatus {
    let none = HostStatus::default();
    let old = before.status.as_ref().unwrap_or(&none);
    let (mut new, _) = status(machine, seen);
    new.first_seen = first_seen(before, now);
    new.last_gone = match old.state {
        Some(State::Gone) => Some(ended(old, now)),
        _ => old.last_gone.clone(),
    };
    new.conditions =
        vec![present(true, seen.as_str(), String::new(), transition(old, "True", now))];
    new
}

/// The whole status of a Host whose machine is gone: all it had, and that it is gone.
#[must_use]
pub fn gone_status(
    before: &Read,
    evidence: Evidence,
    approval: Option<&str>,
    now: Timestamp,
) -> HostStatus {
    let old = before.status.clone().unwrap_or_default();
    let since = transition(&old, "False", now);
    let message = match (evidence, approval) {
        (_, Some(id)) => format!("{}; approved {id}", words(evidence)),
        (_, None) => words(evidence).to_owned(),
    };
    HostStatus {
        state: Some(State::Gone),
        first_seen: first_seen(before, now),
        gone_since: whole_seconds(now),
        conditions: vec![present(false, evidence.as_str(), message, since)],
        ..old
    }
}

const fn words(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Terminated => "the provider shows the machine as ended for good",
        Evidence::Vanished => {
            "a whole listing came without the machine, and the provider knows no such id"
        }
        Evidence::Deselected => {
            "the machine exists, its tags have changed and are no longer selected"
        }
        Evidence::SelectorChanged => {
            "the machine exists unchanged, the configuration no longer selects it"
        }
    }
}

fn first_seen(before: &Read, now: Timestamp) -> Option<Timestamp> {
    let recorded = before.status.as_ref().and_then(|status| status.first_seen);
    recorded.or(before.metadata.creation_timestamp).or(Some(now)).and_then(whole_seconds)
}

fn ended(gone: &HostStatus, now: Timestamp) -> LastGone {
    let condition = gone.conditions.iter().find(|condition| condition.kind == PRESENT);
    LastGone {
        since: gone.gone_since,
        until: whole_seconds(now),
        reason: condition.map(|condition| condition.reason.as_str().into()),
        approval: condition.and_then(crate::observed::approval).map(Text::from),
    }
}

/// When the condition got this status: kept while it does not change.
fn transition(old: &HostStatus, status: &str, now: Timestamp) -> Option<Timestamp> {
    let before = old.conditions.iter().find(|c| c.kind == PRESENT && c.status == status);
    before.and_then(|condition| condition.last_transition_time).or_else(|| whole_seconds(now))
}

fn present(is: bool, reason: &str, message: String, since: Option<Timestamp>) -> Condition {
    Condition {
        kind: PRESENT.to_owned(),
        status: if is { "True" } else { "False" }.to_owned(),
        reason: reason.to_owned(),
        message,
        last_transition_time: since,
        observed_generation: None,
    }
}

fn whole_seconds(time: Timestamp) -> Option<Timestamp> {
    Timestamp::from_second(time.as_second()).ok()
}
