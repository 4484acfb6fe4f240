//! A machine as its provider describes it, in words that no provider owns.
//!
//! Not a Host: naming, labels and what an absence means are decided elsewhere (`desired`, `decide`).
//! The part structs (`Address`, `Hardware`, …) are the very ones `status` of a Host holds, so that a
//! machine becomes a status by sharing its texts, not by copying them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod parts;
mod source;
mod text;

pub use parts::{Address, AddressType, Disk, Hardware, Interface, Location, Os, Owner};
pub use source::Source;
pub use text::{Interner, Text, TextMap};

/// How far a machine's id is unique.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdScope {
    /// Within its source only, or a machine may move to another source with it: the Host's name holds the source.
    #[default]
    Source,
    /// Everywhere at this provider, for ever (an EC2 instance id).
    Provider,
}

/// What a machine is doing, in the words of the inventory.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum State {
    /// Coming up for the first time, or being rebuilt.
    Provisioning,
    /// Up, as far as the provider knows.
    Running,
    /// There, and switched off.
    Stopped,
    /// Being taken down; still there.
    Deprovisioning,
    /// The provider gave up on it.
    Failed,
    /// The provider's word is none we know; see `providerState`.
    #[default]
    Unknown,
    /// No longer there: see the condition `Present` for the reason, `goneSince` for the time.
    Gone,
}

impl State {
    /// The word as it stands in `status.state`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "Provisioning",
            Self::Running => "Running",
            Self::Stopped => "Stopped",
            Self::Deprovisioning => "Deprovisioning",
            Self::Failed => "Failed",
            Self::Unknown => "Unknown",
            Self::Gone => "Gone",
        }
    }
}

/// Whether the provider shows the machine in a state that it never leaves again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Life {
    /// Present, whatever its state.
    #[default]
    Alive,
    /// Ended for good by the provider's own word (EC2 `terminated`): free evidence that it is gone.
    Terminated,
}

/// A machine as the provider described it in one answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// The provider's id of it; with the source it is the identity.
    pub id: Text,
    /// How far `id` is unique.
    pub id_scope: IdScope,
    /// Whether it has ended for good.
    pub life: Life,
    /// What it is doing; never `Gone`.
    pub state: State,
    /// The provider's own word for that.
    pub provider_state: Option<Text>,
    /// The name it goes by; never the identity.
    pub hostname: Option<Text>,
    /// Where it can be reached, the preferred address of each kind first.
    pub addresses: Vec<Address>,
    /// Where it stands.
    pub location: Location,
    /// What it is made of.
    pub hardware: Hardware,
    /// What runs on it.
    pub os: Os,
    /// Its network interfaces.
    pub interfaces: Vec<Interface>,
    /// Whose it is.
    pub owner: Owner,
    /// Tags as the provider has them, key to value.
    pub tags: TextMap,
    /// Further facts under short keys (`manager`, `role`, `vpc`): in the selector as `@manager`.
    pub facts: TextMap,
    /// When it came to be.
    pub created_at: Option<Timestamp>,
    /// When it last started.
    pub launched_at: Option<Timestamp>,
}
