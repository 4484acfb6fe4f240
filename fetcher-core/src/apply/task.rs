//! One permitted change, what its Host shall be, and how it ended. Values; the requests are sent elsewhere.

use jiff::Timestamp;

use super::Writer;
use crate::decide::{Evidence, Verb, Why};
use crate::desired::{self, Seen};
use crate::digest::Digest;
use crate::host::HostStatus;
use crate::machine::{Machine, Text};
use crate::observed::Read;
use crate::report::FieldChange;
use crate::store::{HostStore, StoreError};

/// One permitted change.
#[derive(Clone, Debug)]
pub struct Task<'a> {
    /// What was planned.
    pub verb: Verb,
    /// The Host's name.
    pub host: Text,
    /// The id of its machine.
    pub machine_id: Text,
    /// What it shall be.
    pub target: Target<'a>,
}

/// What a Host shall be.
#[derive(Clone, Debug)]
pub enum Target<'a> {
    /// As this machine is, which was seen like this.
    Present(&'a Machine, Seen),
    /// Gone, on this evidence, under this approval.
    Gone(Evidence, Option<&'a str>),
}

/// How one task ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was planned.
    pub verb: Verb,
    /// The Host's name.
    pub host: Text,
    /// What came of it.
    pub end: End,
    /// How often it was decided again.
    pub conflicts: usize,
    /// What changed in it.
    pub fields: Vec<FieldChange>,
    /// What was wanted and what the store then held, where it was written.
    pub wrote: Option<(Digest, Digest)>,
}

/// How one task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It is as wanted: written by us, or found so.
    Done,
    /// Not ours to touch, as it turned out.
    Left(Why),
    /// It failed; the next round tries again.
    Failed(StoreError),
}

impl Task<'_> {
    pub(super) fn wanted<S: HostStore>(&self, writer: &Writer<'_, S>) -> Option<Digest> {
        match self.target {
            Target::Present(machine, seen) => Some(desired::wanted(
                writer.source,
                machine,
                seen,
                writer.style,
                writer.store.lens(),
            )),
            Target::Gone(..) => None,
        }
    }

    pub(super) fn status(&self, before: &Read, now: Timestamp) -> HostStatus {
        match self.target {
            Target::Present(machine, seen) => desired::present_status(machine, seen, before, now),
            Target::Gone(evidence, approval) => {
                desired::gone_status(before, evidence, approval, now)
            }
        }
    }
}

impl Outcome {
    pub(super) const fn new(verb: Verb, host: Text) -> Self {
        Self { verb, host, end: End::Done, conflicts: 0, fields: Vec::new(), wrote: None }
    }

    pub(super) fn failed(verb: Verb, host: Text, error: StoreError) -> Self {
        Self { end: End::Failed(error), ..Self::new(verb, host) }
    }
}
