//! The way out: what every store of Hosts promises.
//!
//! One call is one request, so that a crash between any two is a state the next round knows. No store decides
//! anything: it reads, creates, and replaces parts of what was read, and refuses what has changed meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::host::HostStatus;
use crate::machine::{Source, Text};
use crate::observed::{Entry, Index, Lens, Read, identity};

pub mod any;
pub mod file;
pub mod kube;

/// Where Hosts are kept.
///
/// Guarantees an implementation gives:
/// - `write` of an object that has changed since it was read is refused as [`StoreError::Conflict`].
/// - What was read and is not replaced survives as it was: labels and annotations of others, the rest of `spec`,
///   `status.agent`, foreign conditions, fields this version does not know.
/// - `observed` is never older than the last write of this process that was answered.
pub trait HostStore: Send + Sync + 'static {
    /// The index of the Hosts of this source, or an error; never a part of it.
    fn observed(
        &self,
        source: &Source,
    ) -> impl Future<Output = Result<Arc<Index>, StoreError>> + Send;

    /// The Host of this name, whoever owns it.
    fn get(&self, name: &str) -> impl Future<Output = Result<Option<Stored>, StoreError>> + Send;

    /// Makes a Host of this name: metadata and spec, no status yet.
    fn create(&self, host: &NewHost) -> impl Future<Output = Result<Stored, StoreError>> + Send;

    /// Replaces one part of the object read, on the condition that nobody else has written it since.
    fn write(
        &self,
        read: &Stored,
        part: Part<'_>,
    ) -> impl Future<Output = Result<Stored, StoreError>> + Send;

    /// Names of the sources of this provider that the store has Hosts of and that are not among `served`.
    fn unserved(
        &self,
        provider: &str,
        served: &BTreeSet<Text>,
    ) -> impl Future<Output = Result<Vec<Text>, StoreError>> + Send;

    /// How the store's objects become entries.
    fn lens(&self) -> &Lens;

    /// How many calls are worth having under way at once.
    fn in_flight(&self) -> usize;
}

/// A Host to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewHost {
    /// Its name.
    pub name: Text,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The source that owns it.
    pub source: Source,
    /// The machine it stands for.
    pub machine_id: Text,
}

/// The part of a Host that one request replaces.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// These labels: set, or removed where there is no value. All others stay.
    Labels(&'a BTreeMap<String, Option<String>>),
    /// Our fields of the status. All others stay.
    Status(&'a HostStatus),
}

/// An object as the store gave it, and what a fetcher reads of it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The object, as it was read.
    pub object: Value,
    /// What we read of it; none where it is no readable Host.
    pub read: Option<Read>,
    /// Its entry for the index.
    pub entry: Entry,
    /// Its name.
    pub name: Text,
}

impl Stored {
    /// An object of an apiserver, whose revision and id are its `resourceVersion` and `uid`.
    #[must_use]
    pub fn new(object: Value, lens: &Lens) -> Self {
        let (name, revision, uid) = identity(&object);
        Self::at(object, lens, name, revision, &uid)
    }

    /// An object whose revision and id the store keeps elsewhere.
    #[must_use]
    pub fn at(object: Value, lens: &Lens, name: Text, revision: u64, uid: &str) -> Self {
        match Read::deserialize_from(&object) {
            Ok(read) => {
                let entry = lens.entry(&read, revision, uid);
                Self { object, read: Some(read), entry, name }
            }
            Err(error) => {
                let entry = lens.unreadable(&error, revision, uid);
                Self { object, read: None, entry, name }
            }
        }
    }

    /// The name of the source that owns it.
    #[must_use]
    pub fn source(&self) -> Option<&Text> {
        self.read.as_ref().map(|read| &read.spec.source.name)
    }

    /// The object with our fields of `status` replaced: what a PUT of `/status` sends.
    #[must_use]
    pub fn with_status(&self, status: &HostStatus, lens: &Lens) -> Value {
        let new = serde_json::to_value(status).unwrap_or_default();
        let mut object = self.object.clone();
        object["status"] = lens.schema.replace(&self.object["status"], &new);
        object
    }
}

impl Read {
    fn deserialize_from(object: &Value) -> Result<Self, String> {
        serde::Deserialize::deserialize(object)
            .map_err(|error: serde_json::Error| error.to_string())
    }
}

/// Why a store did not do what it was asked, by what the caller can do about it.
///
/// `message` is one sentence without a full stop that names the thing and, where there is one, the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The object has changed, or one of that name exists, or it is gone: read it and decide again.
    #[error("{0}")]
    Conflict(String),
    /// This object is refused as it is (400, 403, 413, 422): no retry in this round.
    #[error("{0}")]
    Refused(String),
    /// The store asks for patience (429, 5xx), for more of it than there is.
    #[error("{message}")]
    Busy {
        /// What it said.
        message: String,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// No answer, or none yet.
    #[error("{0}")]
    Unavailable(String),
    /// Not usable as configured: credentials, rights, a damaged file. A person must act.
    #[error("{0}")]
    Invalid(String),
}

impl StoreError {
    /// One word of a fixed set, for a metric's label.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Conflict(_) => "conflict",
            Self::Refused(_) => "refused",
            Self::Busy { .. } => "busy",
            Self::Unavailable(_) => "unavailable",
            Self::Invalid(_) => "invalid",
        }
    }
}
