//! Why a watch cannot go on and all Hosts must be read anew: the reasons that the metric and the log name.

use std::time::Duration;

use super::events::Trouble;
use super::failure::{Failure, Purpose, Refusal};
use crate::store::StoreError;

/// Nothing came from the server any more.
pub(super) const SILENT: &str = "silent";
/// The server does not remember as far back.
pub(super) const EXPIRED: &str = "expired";

/// Why the index must be read anew.
pub(super) struct Break {
    pub(super) reason: &'static str,
    pub(super) error: StoreError,
    /// How long the server asks to be left in peace.
    pub(super) wait: Option<Duration>,
}

impl Break {
    pub(super) fn new(reason: &'static str, message: &str) -> Self {
        let error = StoreError::Unavailable(format!("the watch of the Hosts: {message}"));
        Self { reason, error, wait: None }
    }

    pub(super) fn unproven(message: &str) -> Self {
        Self::new("unproven", message)
    }
}

impl From<StoreError> for Break {
    /// What cannot be read without the schema that the server keeps Hosts by.
    fn from(error: StoreError) -> Self {
        let wait = match &error {
            StoreError::Busy { retry_after, .. } => *retry_after,
            _ => None,
        };
        Self { reason: "schema", error, wait }
    }
}

impl From<Trouble> for Break {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Cut(message) => Self::new("cut", &message),
            Trouble::Silent => Self::new(SILENT, "nothing came from the server for too long"),
            Trouble::Garbled(message) => Self::new("garbled", &message),
        }
    }
}

impl From<Refusal> for Break {
    fn from(refusal: Refusal) -> Self {
        let reason = match refusal.code {
            410 => EXPIRED,
            429 => "busy",
            _ => "refused",
        };
        let wait = refusal.retry_after;
        let error = Failure::Answer(refusal).error(Purpose::Read, "the watch of the Hosts");
        Self { reason, error, wait }
    }
}

impl From<Failure> for Break {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Answer(refusal) => refusal.into(),
            Failure::Silence(message) => Self::new("unreachable", &message),
            Failure::Overdue(_) => Trouble::Silent.into(),
        }
    }
}
