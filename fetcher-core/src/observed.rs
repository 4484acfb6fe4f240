//! What the store holds of one source: an index of what a round has to know, not the objects themselves.
//!
//! Built from objects one at a time, so that one unreadable Host does not hide the others. No decision is made here;
//! see `decide` and `brake`.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::digest::{Digest, digest};
use crate::host::{Condition, HostStatus, LastGone, PRESENT, SourceRef, is_our_label};
use crate::machine::{State, Text};
use crate::schema::Schema;
use crate::selector::{Facts, Selector};

/// The Hosts of one source, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// Every Host of the source.
    pub hosts: HashMap<Text, Entry>,
}

/// What a round has to know of one Host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The revision it was read at; the store's, compared as a number.
    pub revision: u64,
    /// The object's own id: another one for another object of the same name.
    pub uid: Box<str>,
    /// The provider's id of the machine.
    pub machine_id: Text,
    /// Of what is ours in it.
    pub digest: Digest,
    /// Where it stands.
    pub standing: Standing,
    /// When it was first seen.
    pub first_seen: Option<Timestamp>,
    /// The absence before the present presence, or before the present absence.
    pub before: Option<Absence>,
    /// Whether what the Host records would be selected now: if not, our configuration has changed since.
    pub selected: bool,
}

/// Where a Host stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its machine was there when last seen.
    Present,
    /// Marked gone.
    Gone(Absence),
    /// Created, and its first status never written: a crash in between. Counts as present.
    Bare,
    /// Being deleted by somebody. Left alone.
    Deleting,
    /// Not readable as a Host, with the reason. Counts as present, is reported, left alone.
    Unreadable(Box<str>),
}

/// One absence of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    /// When it was marked.
    pub since: Timestamp,
    /// When it was seen again.
    pub until: Option<Timestamp>,
    /// Whether the mark counted against the brake: by its evidence, and not approved.
    pub counted: bool,
}

impl Entry {
    /// Whether the Host counts as present.
    #[must_use]
    pub const fn is_present(&self) -> bool {
        !matches!(self.standing, Standing::Gone(_))
    }

    /// Since when the Host has been present, as far as it is: for the checksum of an approval.
    #[must_use]
    pub fn present_since(&self) -> Option<Timestamp> {
        self.before.and_then(|absence| absence.until).or(self.first_seen)
    }

    /// The entry once its machine is seen again at `now`: an earlier absence than the last is no longer recorded.
    #[must_use]
    pub fn back(&self, now: Timestamp) -> Self {
        match &self.standing {
            Standing::Gone(absence) => Self {
                standing: Standing::Present,
                before: Some(Absence { until: Some(now), ..*absence }),
                ..self.clone()
            },
            Standing::Present | Standing::Bare | Standing::Deleting | Standing::Unreadable(_) => {
                self.clone()
            }
        }
    }

    /// Whether the machine was there at `time`. A Host without a first sight was, unless it was just made.
    #[must_use]
    pub fn was_present(&self, time: Timestamp) -> bool {
        let covers = |absence: &Absence| {
            absence.since <= time && absence.until.is_none_or(|until| time < until)
        };
        let gone = match &self.standing {
            Standing::Gone(absence) => covers(absence),
            Standing::Present | Standing::Bare | Standing::Deleting | Standing::Unreadable(_) => {
                false
            }
        };
        let is_new = matches!(self.standing, Standing::Bare);
        self.first_seen.map_or(!is_new, |seen| seen <= time)
            && !gone
            && !self.before.as_ref().is_some_and(covers)
    }

    /// How many marks that counted were made on it after `time`. One in the future counts as made now.
    #[must_use]
    pub fn marks_since(&self, time: Timestamp) -> usize {
        let current = match &self.standing {
            Standing::Gone(absence) => Some(absence),
            Standing::Present | Standing::Bare | Standing::Deleting | Standing::Unreadable(_) => {
                None
            }
        };
        current.into_iter().chain(&self.before).filter(|a| a.counted && a.since > time).count()
    }

    /// Whether it was first seen less than `settle` ago.
    #[must_use]
    pub fn is_younger(&self, settle: SignedDuration, now: Timestamp) -> bool {
        self.first_seen.is_some_and(|seen| now.duration_since(seen) < settle)
    }
}

/// The fields of a Host that a fetcher reads.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Read {
    /// Names, labels and versions.
    pub metadata: ReadMeta,
    /// The identity.
    pub spec: ReadSpec,
    /// What was last said of it.
    #[serde(default)]
    pub status: Option<HostStatus>,
}

/// The metadata that a fetcher reads.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ReadMeta {
    /// The name.
    pub name: Text,
    /// The object's own id.
    pub uid: Option<Box<str>>,
    /// The store's revision of it.
    pub resource_version: Option<String>,
    /// When it was created.
    pub creation_timestamp: Option<Timestamp>,
    /// When somebody asked for its deletion.
    pub deletion_timestamp: Option<Timestamp>,
    /// All labels.
    pub labels: Option<std::collections::BTreeMap<String, String>>,
    /// All annotations: the file store keeps its revision and id in them.
    pub annotations: Option<std::collections::BTreeMap<String, String>>,
}

/// The spec that a fetcher reads.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ReadSpec {
    /// Whose it is.
    pub source: SourceRef,
    /// Which machine.
    #[serde(rename = "machineID")]
    pub machine_id: Text,
}

/// How objects become entries: what the store keeps, and what is selected now.
#[derive(Clone, Debug)]
pub struct Lens {
    /// The fields the store keeps.
    pub schema: Schema,
    /// The instance's selector.
    pub selector: Selector,
}

impl Lens {
    /// The entry of a Host that could be read, at this revision with this id.
    #[must_use]
    pub fn entry(&self, read: &Read, revision: u64, uid: &str) -> Entry {
        let none = HostStatus::default();
        let status = read.status.as_ref().unwrap_or(&none);
        let labels = read.metadata.labels.iter().flatten().filter(|(key, _)| is_our_label(key));
        Entry {
            revision,
            uid: uid.into(),
            machine_id: read.spec.machine_id.clone(),
            digest: digest(
                labels.map(|(key, value)| (key.as_str(), value.as_str())),
                &self.known(status),
            ),
            standing: standing(read),
            first_seen: status.first_seen.or(read.metadata.creation_timestamp),
            before: status.last_gone.as_ref().and_then(absence_before),
            selected: self.selector.matches(status) || was_deselected(status),
        }
    }

    /// The entry of an object that is no readable Host.
    #[must_use]
    pub fn unreadable(&self, reason: &str, revision: u64, uid: &str) -> Entry {
        Entry {
            revision,
            uid: uid.into(),
            machine_id: Text::default(),
            digest: 0,
            standing: Standing::Unreadable(reason.into()),
            first_seen: None,
            before: None,
            selected: true,
        }
    }

    /// `status` without what the store does not keep: the digest must not see it on either side.
    #[must_use]
    pub fn known<'a>(&self, status: &'a HostStatus) -> std::borrow::Cow<'a, HostStatus> {
        use std::borrow::Cow;
        if self.schema.missing().is_empty() {
            return Cow::Borrowed(status);
        }
        let kept = serde_json::to_value(status).map(|status| self.schema.keep(status));
        kept.and_then(serde_json::from_value::<HostStatus>)
            .map_or(Cow::Borrowed(status), Cow::Owned)
    }
}

/// The name, revision and id of any object, as far as it has them: for one that is no readable Host.
#[must_use]
pub fn identity(object: &Value) -> (Text, u64, Box<str>) {
    let meta = &object["metadata"];
    let text = |key: &str| meta[key].as_str().unwrap_or_default();
    (text("name").into(), text("resourceVersion").parse().unwrap_or(0), text("uid").into())
}

fn standing(read: &Read) -> Standing {
    let Some(status) = &read.status else {
        return if read.metadata.deletion_timestamp.is_some() {
            Standing::Deleting
        } else {
            Standing::Bare
        };
    };
    if read.metadata.deletion_timestamp.is_some() {
        return Standing::Deleting;
    }
    match status.state {
        None => Standing::Bare,
        Some(State::Gone) => Standing::Gone(absence_now(status)),
        Some(_) => Standing::Present,
    }
}

fn absence_now(status: &HostStatus) -> Absence {
    let condition = status.conditions.iter().find(|condition| condition.kind == PRESENT);
    let counted = condition.is_none_or(|c| is_counted(&c.reason) && approval(c).is_none());
    // A Gone Host that lost its time is taken for long gone: it weighs on no brake.
    Absence { since: status.gone_since.unwrap_or(Timestamp::UNIX_EPOCH), until: None, counted }
}

fn absence_before(gone: &LastGone) -> Option<Absence> {
    let counted = gone.approval.is_none() && gone.reason.as_deref().is_none_or(is_counted);
    Some(Absence { since: gone.since?, until: gone.until, counted })
}

/// Whether the mark of a deselected machine was withheld, and its tags kept up to date since.
fn was_deselected(status: &HostStatus) -> bool {
    let reason = crate::desired::Seen::Deselected.as_str();
    status.conditions.iter().any(|c| c.kind == PRESENT && c.status == "True" && c.reason == reason)
}

fn is_counted(reason: &str) -> bool {
    reason != crate::decide::Evidence::Terminated.as_str()
}

/// The approval a mark was made under, from the message of its condition (`approved 9f2c41d07b6e`).
#[must_use]
pub fn approval(condition: &Condition) -> Option<&str> {
    condition
        .message
        .split_once("approved ")
        .map(|(_, id)| id.split([' ', ';', ',']).next().unwrap_or(id))
}

impl Facts for HostStatus {
    fn tag(&self, key: &str) -> Option<&str> {
        self.tags.get(key).map(AsRef::as_ref)
    }

    fn fact(&self, key: &str) -> Option<&str> {
        if key == "state" {
            return self.state.map(State::as_str);
        }
        crate::selector::fact(
            key,
            self.hostname.as_ref(),
            self.provider_state.as_ref(),
            &self.location,
            &self.hardware,
            &self.owner,
            &self.facts,
        )
    }
}
