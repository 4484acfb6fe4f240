//! Approvals: how a person lets through what the brake withheld, by a checksum or by a plan.
//!
//! A checksum names one set of withheld Hosts exactly: if one more vanishes it matches no longer. A plan names each mark
//! for itself. Either lets through only what is *still* withheld: not what was back in between and vanished again.

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
        /// By source, the Hosts with the checksum of each one's mark.
        marks: BTreeMap<String, BTreeMap<Text, String>>,
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
        let id = plan.checksum;
        let withheld = plan.sources.into_iter().flat_map(|source| {
            let name = source.source;
            let changes = source.changes.into_iter().filter(|change| change.withheld);
            changes.map(move |change| (name.clone(), change))
        });
        let mut marks: BTreeMap<String, BTreeMap<Text, String>> = BTreeMap::new();
        for (source, change) in withheld {
            let Some(mark) = change.checksum else {
                // Of a version that named Hosts alone: good for exactly what it was shown for.
                return id.map(Self::Checksum).ok_or_else(malformed);
            };
            marks.entry(source).or_default().insert(change.host.into(), mark);
        }
        if marks.is_empty() {
            return Err(ApprovalError::Empty);
        }
        Ok(Self::Plan { id: id.ok_or_else(malformed)?, marks })
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
            Self::Plan { marks, .. } => Ok(withheld
                .iter()
                .filter_map(|(source, of)| Some((source, of, marks.get(&**source)?)))
                .map(|(source, of, marks)| (source.clone(), of.still(marks)))
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

    /// The checksum of the mark of this Host alone, none when it is not withheld.
    #[must_use]
    pub fn checksum_of(&self, host: &Text) -> Option<String> {
        checksum(self.0.get(host).into_iter())
    }

    fn names(&self) -> impl Iterator<Item = &Text> {
        self.0.keys()
    }

    /// The Hosts of these marks that are still the ones withheld.
    fn still(&self, marks: &BTreeMap<Text, String>) -> BTreeSet<Text> {
        let is_same =
            |(host, mark): &(&Text, &String)| self.checksum_of(host).as_ref() == Some(mark);
        marks.iter().filter(is_same).map(|(host, _)| host.clone()).collect()
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
