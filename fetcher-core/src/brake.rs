//! The brake: how many marks may pass, and which are withheld. Pure; it only ever withholds.
//!
//! It limits what is marked within an hour, not within a round, so that a slow leak is stopped like a loss at once.
//! The Hosts themselves tell what was marked lately, so that `--once` knows it as well as a daemon.

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{GoneOverride, fraction};
use crate::confirm::{Confirmed, Mark, is_counted};
use crate::decide::{Evidence, Verb};
use crate::machine::Text;
use crate::observed::{Entry, Index};
use crate::plan::Plan;

#[cfg(test)]
mod tests;

/// The time over which marks are counted.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(1);

/// How many Hosts may be marked gone within an hour: max(fraction × present, min(floor, present / 2)) a source.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "GonePolicy")]
pub struct Policy {
    /// The part of the present Hosts that may be marked within an hour, 0 to 1.
    #[serde(deserialize_with = "fraction")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_fraction: f64,
    /// How many may be marked whatever the fraction says, up to half of them.
    pub floor: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self { max_fraction: 0.1, floor: 5 }
    }
}

impl Policy {
    /// This policy with what one source says otherwise.
    #[must_use]
    pub fn with(self, source: GoneOverride) -> Self {
        Self {
            max_fraction: source.max_fraction.unwrap_or(self.max_fraction),
            floor: source.floor.unwrap_or(self.floor),
        }
    }

    /// How many marks of one source may pass within an hour: max(fraction × present, min(floor, present / 2)).
    #[must_use]
    pub fn limit(self, present: usize) -> usize {
        self.part_of(present).max(self.floor.min(present / 2))
    }

    /// The same over all sources of an instance: max(2 × floor, fraction × present).
    #[must_use]
    pub fn limit_of_all(self, present: usize) -> usize {
        self.part_of(present).max(self.floor.saturating_mul(2))
    }

    /// Rounded down: a brake never lets through a part of a Host more.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a fraction of a number of Hosts, both far below 2^52; negative and NaN become 0"
    )]
    fn part_of(self, present: usize) -> usize {
        // The fraction is written in decimals: 0.29 × 100 is a hair below 29.
        (self.max_fraction.clamp(0.0, 1.0) * present as f64 + 1e-9) as usize
    }
}

/// What the Hosts of one source, or of all, tell the brake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Hosts present an hour ago; of an inventory that is younger than that, all it ever had.
    pub present: usize,
    /// Marks of the last hour that count.
    pub recent: usize,
    /// Hosts present now.
    pub now: usize,
}

impl Census {
    /// The census of one source.
    #[must_use]
    pub fn of(index: &Index, now: Timestamp) -> Self {
        Self::after(index, &Plan::default(), now)
    }

    /// The census of one source as it will be once `plan` has made its new Hosts and taken back those that returned.
    /// Counted before them, a round that comes right after would find another limit, and so would one that repairs
    /// what a crash left of this one.
    #[must_use]
    pub fn after(index: &Index, plan: &Plan, now: Timestamp) -> Self {
        let of = |verb| plan.changes.iter().filter(move |change| change.verb == verb);
        let back: HashMap<&Text, Entry> = of(Verb::Return)
            .filter_map(|change| Some((&change.host, index.hosts.get(&change.host)?.back(now))))
            .collect();
        let hosts = || index.hosts.iter().map(|(name, entry)| back.get(name).unwrap_or(entry));
        let then = now.saturating_sub(WINDOW).unwrap_or(Timestamp::MIN);
        // A Host without a first sight tells no age: one that was just made, or one that cannot be read.
        let is_young = hosts().filter_map(|entry| entry.first_seen).all(|seen| seen > then);
        let present = if is_young {
            index.hosts.len() + of(Verb::Create).count()
        } else {
            hosts().filter(|entry| entry.was_present(then)).count()
        };
        Self {
            present,
            recent: hosts().map(|entry| entry.marks_since(then)).sum(),
            now: hosts().filter(|entry| entry.is_present()).count(),
        }
    }

    /// How many more marks of this source may pass.
    #[must_use]
    pub fn room(self, policy: Policy) -> usize {
        policy.limit(self.present).saturating_sub(self.recent)
    }

    /// How many more marks may pass over all sources.
    #[must_use]
    pub fn room_of_all(self, policy: Policy) -> usize {
        policy.limit_of_all(self.present).saturating_sub(self.recent)
    }
}

impl std::iter::Sum for Census {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |a, b| Self {
            present: a.present + b.present,
            recent: a.recent + b.recent,
            now: a.now + b.now,
        })
    }
}

/// What the brake says of one source's marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permit {
    /// Marks that may be made.
    pub pass: Vec<Mark>,
    /// Marks that may not, in the order of names.
    pub withheld: Vec<Mark>,
}

impl Permit {
    /// How many of the marks that pass count against the brake of the next.
    #[must_use]
    pub fn counted(&self) -> usize {
        self.pass.iter().filter(|mark| is_counted(mark.evidence)).count()
    }
}

/// Which marks pass: all that count or none of them. `room` is the lesser of the source's and the instance's;
/// `selects_nothing` says that the source has Hosts and its listing holds no selected machine.
///
/// Those that were not examined are withheld as `Vanished`: there were more than could pass before it came to them.
#[must_use]
pub fn permit(confirmed: &Confirmed, room: usize, selects_nothing: bool) -> Permit {
    let unexamined = &confirmed.unexamined;
    let over = selects_nothing || confirmed.counted() + unexamined.len() > room;
    let (pass, mut withheld): (Vec<_>, Vec<_>) =
        confirmed.marks.iter().cloned().partition(|mark| match mark.evidence {
            Evidence::Terminated => true,
            Evidence::Vanished | Evidence::Deselected => !over,
            Evidence::SelectorChanged => false,
        });
    withheld.extend(
        unexamined.iter().map(|a| Mark { host: a.host.clone(), evidence: Evidence::Vanished }),
    );
    withheld.sort_by(|a, b| a.host.cmp(&b.host));
    Permit { pass, withheld }
}

/// The permit after a person approved these names: what is still withheld of them passes.
#[must_use]
pub fn approve(permit: Permit, names: &BTreeSet<Text>) -> (Permit, Vec<Mark>) {
    let (approved, withheld) =
        permit.withheld.into_iter().partition(|mark| names.contains(&mark.host));
    (Permit { pass: permit.pass, withheld }, approved)
}
