//! Approvals: how a person lets through what the brake withheld, by a checksum or by a plan.
//!
//! A checksum names one set of withheld Hosts exactly: if one more vanishes it matches no longer. A plan names Hosts.
//! Either lets through only what is *still* withheld.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::machine::Text;
use crate::observed::Entry;
use crate::report::RunReport;

/// Hexadecimal digits of a checksum.
const DIGITS: usize = 12;

/// What a person approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approval {
    /// All that this checksum was shown for, of one source or of the whole run.
    Checksum(String),
    /// The withheld changes of this plan (`--output json`).
    Plan {
        /// The plan's checksum: it goes onto the Hosts.
        id: String,
        /// Names by source.
        names: BTreeMap<String, BTreeSet<Text>>,
    },
}

/// An approval that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalError {
    /// A checksum of nothing that is withheld now.
    #[error(
        "checksum {0} matches nothing that is withheld now: other machines may have vanished since; \
         look at a new plan (--dry-run) and approve what it shows"
    )]
    Unknown(String),
    /// Neither a checksum nor a plan.
    #[error(
        "{0:?} is no approval: give the 12 hexadecimal digits that the plan shows, or the plan itself (--output json)"
    )]
    Malformed(String),
    /// A plan that withholds nothing.
    #[error("this plan withholds nothing: there is nothing to approve in it")]
    Empty,
}

impl Approval {
    /// The approval in a text: a checksum, or a plan as JSON.
    ///
    /// # Errors
    /// A text that is neither, or a plan that withholds nothing.
    pub fn parse(text: &str) -> Result<Self, ApprovalError> {
        let text = text.trim();
        if text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Self::Checksum(text.to_ascii_lowercase()));
        }
        let malformed = || ApprovalError::Malformed(text.chars().take(40).collect());
        let plan: RunReport = serde_json::from_str(text).map_err(|_| malformed())?;
        let mut names: BTreeMap<String, BTreeSet<Text>> = BTreeMap::new();
        for source in plan.sources {
            let withheld = source.changes.into_iter().filter(|change| change.withheld);
            names
                .entry(source.source)
                .or_default()
                .extend(withheld.map(|change| Text::from(change.host)));
        }
        names.retain(|_, names| !names.is_empty());
        if names.is_empty() {
            return Err(ApprovalError::Empty);
        }
        Ok(Self::Plan { id: plan.checksum.ok_or_else(malformed)?, names })
    }

    /// What goes onto the Hosts that it lets through.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Checksum(id) | Self::Plan { id, .. } => id,
        }
    }

    /// The approved names by source, out of what is withheld now.
    ///
    /// # Errors
    /// A checksum that matches nothing that is withheld now.
    pub fn names(
        &self,
        withheld: &BTreeMap<Text, Withheld>,
    ) -> Result<BTreeMap<Text, BTreeSet<Text>>, ApprovalError> {
        let take = |source: &Text, of: &Withheld| (source.clone(), of.names().cloned().collect());
        match self {
            Self::Plan { names, .. } => Ok(names
                .iter()
                .map(|(source, names)| (source.as_str().into(), names.clone()))
                .collect()),
            Self::Checksum(id) if checksum_of_all(withheld).as_deref() == Some(id) => {
                Ok(withheld.iter().map(|(source, of)| take(source, of)).collect())
            }
            Self::Checksum(id) => withheld
                .iter()
                .find(|(_, of)| of.checksum().as_deref() == Some(id))
                .map(|(source, of)| BTreeMap::from([take(source, of)]))
                .ok_or_else(|| ApprovalError::Unknown(id.clone())),
        }
    }
}

/// What is withheld in one source: a line for each Host, over source, name, uid and since when it is present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Withheld(BTreeMap<Text, String>);

impl Withheld {
    /// These Hosts of `source`.
    pub fn new<'a>(source: &str, hosts: impl Iterator<Item = (&'a Text, &'a Entry)>) -> Self {
        Self(
            hosts
                .map(|(name, entry)| {
                    let since = entry.present_since().map_or(0, jiff::Timestamp::as_second);
                    (name.clone(), format!("{source}\t{name}\t{}\t{since}\n", entry.uid))
                })
                .collect(),
        )
    }

    /// The checksum of this source, none when nothing is withheld.
    #[must_use]
    pub fn checksum(&self) -> Option<String> {
        checksum(self.0.values())
    }

    fn names(&self) -> impl Iterator<Item = &Text> {
        self.0.keys()
    }
}

/// The checksum over all sources, none when nothing is withheld.
#[must_use]
pub fn checksum_of_all(withheld: &BTreeMap<Text, Withheld>) -> Option<String> {
    checksum(withheld.values().flat_map(|of| of.0.values()))
}

fn checksum<'a>(lines: impl Iterator<Item = &'a String>) -> Option<String> {
    let mut hash = Sha256::new();
    let mut any = false;
    for line in lines {
        any = true;
        hash.update(line.as_bytes());
    }
    any.then(|| crate::naming::hex(&hash.finalize(), DIGITS))
}
