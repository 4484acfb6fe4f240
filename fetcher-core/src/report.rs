//! What a run did or would do, as data: the names below are an interface (`--output json`).
//!
//! Not its rendering: see `output`. Names may be added, none may change.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One run over all sources of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// The provider's word.
    pub provider: String,
    /// Whether nothing was written on purpose.
    pub dry_run: bool,
    /// What the process exits with.
    pub exit_code: u8,
    /// Over all that is withheld in all sources: what `--approve` takes. None when nothing is.
    pub checksum: Option<String>,
    /// Each source, in the order of names.
    pub sources: Vec<SourceReport>,
}

/// What became of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceReport {
    /// Its name.
    pub source: String,
    /// How its round ended.
    pub result: RoundResult,
    /// Why it failed.
    pub error: Option<String>,
    /// Machines in the listing.
    pub listed: usize,
    /// Of these, selected and alive.
    pub selected: usize,
    /// Hosts made.
    pub created: usize,
    /// Hosts brought in line.
    pub updated: usize,
    /// Hosts marked gone.
    pub gone: usize,
    /// Hosts that came back.
    pub returned: usize,
    /// Hosts that were as they must be.
    pub unchanged: usize,
    /// Marks that the brake holds.
    pub withheld: usize,
    /// Hosts absent from the listing that no second opinion confirmed: not marked.
    pub unconfirmed: usize,
    /// Writes that met a conflict and were decided again.
    pub conflicts: usize,
    /// Hosts that could not be written, or are left alone for a reason.
    pub failed: usize,
    /// Over what is withheld in this source. None when nothing is.
    pub checksum: Option<String>,
    /// What was done, or in a dry run would be; withheld marks too.
    pub changes: Vec<ChangeReport>,
    /// What a person should know beside: failed Hosts, foreign ones, inconsistencies, notes of the provider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<NoteReport>,
}

/// How a round ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RoundResult {
    /// The listing was whole and everything permitted was carried out, single Hosts aside.
    #[default]
    Complete,
    /// The source could not be listed or the store not be read: nothing was changed.
    Failed,
    /// Told not to.
    Suspended,
    /// The store has Hosts of it and the configuration no longer names it: its Hosts stay as they are.
    Unserved,
}

/// One change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeReport {
    /// `create`, `update`, `gone` or `return`.
    pub verb: String,
    /// The Host's name.
    pub host: String,
    /// `listed`, or the evidence of a mark.
    pub reason: String,
    /// Whether the brake holds it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withheld: bool,
    /// Over this mark alone, where the brake holds it: another one once the Host has been back in between. A plan approves
    /// by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// The approval it was let through by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// What changed in it; empty for a new Host.
    #[serde(default)]
    pub fields: Vec<FieldChange>,
}

/// One field that changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// `status.state`, `metadata.labels[tag.inventory.fetcher.dev/team]`, …
    pub path: String,
    /// What it was; null where it was not.
    pub from: Value,
    /// What it is; null where it no longer is.
    pub to: Value,
}

/// Something that a person should know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteReport {
    /// One word of a fixed set: `failed`, `foreign`, `deleting`, `unreadable`, `contested`, `notKept`, `inconsistent`, `cut`, or a provider's own.
    pub reason: String,
    /// The Host it is about, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// In a sentence.
    pub message: String,
}
