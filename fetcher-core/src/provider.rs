//! The way in: what every provider of machines promises.
//!
//! Not the loop around it: schedule, retries of rounds, selection and reconciliation are the core's. A
//! provider lists, looks up, and maps into [`Machine`]s; it makes no decision about what is gone.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::machine::{Machine, Source, Text};
use crate::selector::Selector;

/// An infrastructure API that machines are listed from.
///
/// Guarantees an implementation gives:
/// - `fetch` returns **all** machines of the source that the selector could match, or an error. A page that
///   fails after its retries, a total that does not match, the same id twice with different content, a body
///   that is not what the API speaks: an error. There is no partial success.
/// - Filters pushed down to the provider are an optimisation; the selector is applied again by the core.
/// - No secret is in a [`Machine`], an error or a `Debug` output.
///
/// It may assume that calls for one source never overlap, and that calls for several sources do.
pub trait Provider: Send + Sync + 'static {
    /// The provider's word in `spec.source.provider`, labels and the configuration: `aws`, `baremetal`, …
    fn name(&self) -> &'static str;

    /// The sources to serve. May ask the network; it is asked again at most every ten minutes, and a failure
    /// keeps the last answer. What could not be discovered stands in [`Discovery::failed`], beside what could.
    fn sources(&self) -> impl Future<Output = Result<Discovery, FetchError>> + Send;

    /// All machines of the source, or an error.
    fn fetch(&self, request: Fetch<'_>)
    -> impl Future<Output = Result<Listing, FetchError>> + Send;

    /// What became of these ids, asked without any tag filter: the second opinion before a mark.
    ///
    /// Every id asked for is in `found` or in `missing` of the answer; one that is in neither is no evidence.
    /// A provider without such a call says [`Lookup::Unsupported`], and then it may not push filters down.
    fn lookup(
        &self,
        source: &Source,
        ids: &[Text],
    ) -> impl Future<Output = Result<Lookup, FetchError>> + Send;

    /// How many ids one call of `lookup` takes at the most.
    fn lookup_batch(&self) -> usize {
        100
    }

    /// What `check` can say of credentials and rights: one finding each, asked over the network.
    fn check(&self) -> impl Future<Output = Vec<Finding>> + Send {
        std::future::ready(Vec::new())
    }

    /// What a machine must meet beside the configured selector, by the provider's own settings (which of its states
    /// count as present). Belongs to the configuration: it never changes while the program runs.
    fn requires(&self) -> Selector {
        Selector::default()
    }

    /// How long a new machine may be missing from lists: a Host younger than this is never `Vanished`.
    fn settle(&self) -> Duration {
        Duration::ZERO
    }

    /// Takes leave: called once after the last round, within a deadline of the caller's (a session is logged out).
    fn close(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// The sources of one provider, and what could not be discovered.
#[derive(Debug, Default)]
pub struct Discovery {
    /// Each with what the configuration says of it.
    pub sources: Vec<Served>,
    /// A part of the world that could not be asked, by a name of its own (an account id), and why.
    pub failed: Vec<(String, FetchError)>,
}

/// A source with what the configuration says of it.
#[derive(Clone, Debug)]
pub struct Served {
    /// Which source.
    pub source: Source,
    /// Its own settings.
    pub settings: Arc<SourceSettings>,
}

/// What the configuration may say of any one account, region, project or endpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceSettings {
    /// What a listing must hold to be believed.
    pub expect: Expect,
    /// Its own brake, where it differs from the instance's.
    pub gone: crate::config::GoneOverride,
    /// Served, but neither asked nor changed.
    pub suspend: bool,
}

/// What a listing must hold to be believed: rights that were narrowed on the other side look like a smaller world.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Expect {
    /// Machines that are always there, by id.
    pub ids: BTreeSet<String>,
    /// How many there are at the least.
    pub min: usize,
}

/// What `fetch` is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Fetch<'a> {
    /// The source to list.
    pub source: &'a Source,
    /// What will be selected: for providers that can push some of it down.
    pub selector: &'a Selector,
    /// Where to count what was read.
    pub progress: &'a Progress,
}

/// A whole listing.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The machines, each id once. Shared, so that a provider that saw no change can hand out the last one.
    pub machines: Arc<Vec<Machine>>,
    /// What the provider itself says is wrong with its data though the listing is whole (a refresh that broke):
    /// shown in report, metrics and log, no reason to mark anything.
    pub notes: Vec<Note>,
}

/// Something that a person should know of a source that was listed as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// One word of a fixed set, fit for a metric's label: `StaleRefresh`.
    pub reason: &'static str,
    /// What, in a sentence that names the thing and the remedy.
    pub message: String,
}

/// An answer about single machines.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// The provider has such a call, and answered.
    Answered {
        /// Machines that exist, ended ones included.
        found: Vec<Machine>,
        /// Ids that the provider says do not exist.
        missing: Vec<Text>,
    },
    /// The provider has no such call: absence from a whole listing stands.
    Unsupported,
}

/// Counts of work under way, for a person who waits.
#[derive(Debug, Default)]
pub struct Progress {
    pages: AtomicUsize,
    machines: AtomicUsize,
}

impl Progress {
    /// A page with that many machines was read.
    pub fn page(&self, machines: usize) {
        self.pages.fetch_add(1, Ordering::Relaxed);
        self.machines.fetch_add(machines, Ordering::Relaxed);
    }

    /// Pages and machines read so far.
    #[must_use]
    pub fn read(&self) -> (usize, usize) {
        (self.pages.load(Ordering::Relaxed), self.machines.load(Ordering::Relaxed))
    }
}

/// Why a source could not be listed, by what the caller can do about it.
///
/// `message` is one sentence without a full stop that names the thing and, where there is one, the remedy. It
/// holds no secret. Text from outside is cut to a sensible length by whoever makes the error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Credentials missing, wrong or without rights (401, 403): a person must act; asking again soon locks accounts.
    #[error("{message}")]
    Denied {
        /// What was refused, and the remedy.
        message: String,
    },
    /// The provider asks for fewer calls.
    #[error("{message}")]
    Throttled {
        /// Which limit, as far as it says.
        message: String,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// No answer, a broken one, or the provider's own failure: ask again later.
    #[error("{message}")]
    Unavailable {
        /// What failed, with its cause.
        message: String,
    },
    /// An answer that cannot be the whole truth: a total that does not match, an id twice, a body of another kind.
    #[error("{message}")]
    Inconsistent {
        /// What does not fit.
        message: String,
    },
    /// What we were told to read is wrong (a file, a setting): a person must act.
    #[error("{message}")]
    Invalid {
        /// What is wrong, where, and the remedy.
        message: String,
    },
}

impl FetchError {
    /// [`FetchError::Denied`] with this message.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::Denied { message: message.into() }
    }

    /// [`FetchError::Throttled`] with this message.
    pub fn throttled(message: impl Into<String>, retry_after: Option<Duration>) -> Self {
        Self::Throttled { message: message.into(), retry_after }
    }

    /// [`FetchError::Unavailable`] with this message.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable { message: message.into() }
    }

    /// [`FetchError::Inconsistent`] with this message.
    pub fn inconsistent(message: impl Into<String>) -> Self {
        Self::Inconsistent { message: message.into() }
    }

    /// [`FetchError::Invalid`] with this message.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into() }
    }

    /// One word of a fixed set, for a metric's label.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Denied { .. } => "denied",
            Self::Throttled { .. } => "throttled",
            Self::Unavailable { .. } => "unavailable",
            Self::Inconsistent { .. } => "inconsistent",
            Self::Invalid { .. } => "invalid",
        }
    }
}

/// One thing that `check` looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is as it must be.
    pub ok: bool,
    /// What was looked at and found, with the remedy where it is not well.
    pub text: String,
}
