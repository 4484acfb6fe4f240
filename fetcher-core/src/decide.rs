//! The truth table: what is to be done about one Host, from what is wanted and what is observed.
//!
//! Pure and total. It never asks whether a mark is believed or allowed: see `confirm` and `brake`. The same function
//! judges in the plan, over the index, and again after a conflict, over what was just read.

use crate::digest::Digest;
use crate::observed::{Entry, Standing};

/// Why a machine is taken for gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// The provider shows it in a state that it never leaves. Free of the brake.
    Terminated,
    /// A whole listing without it, and the lookup says not found.
    Vanished,
    /// It exists, its tags have changed since they were recorded, the selector no longer matches.
    Deselected,
    /// It exists with the tags the Host records: not the machine but our configuration changed. Always withheld.
    SelectorChanged,
}

impl Evidence {
    /// The reason as it stands on the Host.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Terminated => "Terminated",
            Self::Vanished => "Vanished",
            Self::Deselected => "Deselected",
            Self::SelectorChanged => "SelectorChanged",
        }
    }
}

/// What is done to a Host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Make it.
    Create,
    /// Bring what is ours in line.
    Update,
    /// Say that its machine is no longer there.
    MarkGone,
    /// Say that it is there again.
    Return,
}

impl Verb {
    /// The word in plans and log lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::MarkGone => "gone",
            Self::Return => "return",
        }
    }
}

/// The judgement over one Host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it must be.
    InSync,
    /// Do this; `MarkGone` only once confirmed and permitted.
    Do(Verb),
    /// Not ours to touch; reported.
    Leave(Why),
}

/// Why a Host is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Another source or another machine owns the name.
    Foreign,
    /// Somebody is deleting it.
    Deleting,
    /// It is no readable Host.
    Unreadable,
}

impl Why {
    /// In words, for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Foreign => "another source or machine owns this name",
            Self::Deleting => "it is being deleted",
            Self::Unreadable => "it is not readable as a Host",
        }
    }
}

/// What the observed object is to this source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// `spec.source.name` and `spec.machineID` are what we would write.
    Ours,
    /// They are not.
    Foreign,
}

/// The whole truth table. `wanted` is the digest of what the machine should look like, none where there is no such
/// machine; `observed` the Host of that name, none where there is none.
#[must_use]
pub fn decide(wanted: Option<Digest>, observed: Option<(&Entry, Owner)>) -> Verdict {
    let Some((entry, owner)) = observed else {
        return wanted.map_or(Verdict::InSync, |_| Verdict::Do(Verb::Create));
    };
    match (&entry.standing, owner) {
        (Standing::Unreadable(_), _) => Verdict::Leave(Why::Unreadable),
        (_, Owner::Foreign) => Verdict::Leave(Why::Foreign),
        (Standing::Deleting, Owner::Ours) => Verdict::Leave(Why::Deleting),
        (Standing::Gone(_), Owner::Ours) => {
            wanted.map_or(Verdict::InSync, |_| Verdict::Do(Verb::Return))
        }
        (Standing::Bare, Owner::Ours) => {
            wanted.map_or(Verdict::Do(Verb::MarkGone), |_| Verdict::Do(Verb::Update))
        }
        (Standing::Present, Owner::Ours) => match wanted {
            None => Verdict::Do(Verb::MarkGone),
            Some(digest) if digest == entry.digest => Verdict::InSync,
            Some(_) => Verdict::Do(Verb::Update),
        },
    }
}
