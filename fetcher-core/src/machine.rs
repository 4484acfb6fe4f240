//! A machine as its provider describes it, in words that no provider owns.
//!
//! Not a Host: naming, labels and what an absence means are decided elsewhere (`desired`, `decide`).
//! The part structs (`Address`, `Hardware`, …) are the very ones `status` of a Host holds, so that a
//! machine becomes a status by sharing its texts, not by copying them.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A text that many machines share (a zone, a type, a tag key), held once.
pub type Text = Arc<str>;

/// One pass over a provider's answer: equal texts become one allocation.
///
/// Make one for each fetch and drop it with the pages; the machines keep what they use.
#[derive(Debug, Default)]
pub struct Interner(HashSet<Text>);

impl Interner {
    /// The shared text equal to `text`.
    pub fn text(&mut self, text: &str) -> Text {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let new = Text::from(text);
        self.0.insert(Arc::clone(&new));
        new
    }

    /// The shared text equal to `text`, none for an empty or blank one.
    pub fn some(&mut self, text: &str) -> Option<Text> {
        let text = text.trim();
        (!text.is_empty()).then(|| self.text(text))
    }
}

/// A provider and a scope: the unit that is listed as a whole and owned as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    provider: &'static str,
    scope: Text,
    name: Text,
}

impl Source {
    /// The source of `provider` whose scope has these `parts`, always as many of them for one provider:
    /// `("aws", &["210987654321", "eu-west-1"])` has the scope `210987654321/eu-west-1`.
    ///
    /// Its name is a valid label value of at most 63 characters and another one for every other scope:
    /// the parts joined by `-` where that can be undone (only the last part holds a `-`, all are
    /// lower-case letters, digits and `-`), else a slug with a hash of the scope.
    #[must_use]
    pub fn new(provider: &'static str, parts: &[&str]) -> Self {
        let scope = parts.join("/");
        let last = parts.len().saturating_sub(1);
        let plain = parts
            .iter()
            .enumerate()
            .all(|(at, part)| crate::naming::is_label(part) && (at == last || !part.contains('-')));
        let joined = format!("{provider}-{}", parts.join("-"));
        let name = if plain && joined.len() <= crate::naming::MAX {
            joined
        } else {
            crate::naming::with_hash(&joined, &scope)
        };
        Self { provider, scope: scope.into(), name: name.into() }
    }

    /// The infrastructure API: `aws`, `baremetal`, …
    #[must_use]
    pub const fn provider(&self) -> &'static str {
        self.provider
    }

    /// What of the provider: an account and region, a project, an appliance, a configured endpoint.
    #[must_use]
    pub const fn scope(&self) -> &Text {
        &self.scope
    }

    /// The name that owns Hosts: `spec.source.name`.
    #[must_use]
    pub const fn name(&self) -> &Text {
        &self.name
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

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
    pub tags: BTreeMap<Text, Text>,
    /// Further facts under short keys (`manager`, `role`, `vpc`): in the selector as `@manager`.
    pub facts: BTreeMap<Text, Text>,
    /// When it came to be.
    pub created_at: Option<Timestamp>,
    /// When it last started.
    pub launched_at: Option<Timestamp>,
}

/// One address of a machine.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Address {
    /// The kind, as in core/v1 Node, and `ManagementIP` for a BMC.
    #[serde(rename = "type")]
    pub kind: AddressType,
    /// The address or name, without a prefix length.
    #[schemars(length(min = 1, max = 253))]
    pub address: Text,
}

/// The kinds of address: those of core/v1 Node and `ManagementIP`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum AddressType {
    /// The name the machine goes by.
    Hostname,
    /// An address inside its network.
    InternalIP,
    /// An address the world reaches it by.
    ExternalIP,
    /// A name that resolves inside its network.
    InternalDNS,
    /// A name that resolves for the world.
    ExternalDNS,
    /// The address of its BMC.
    ManagementIP,
}

/// Where a machine stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Location {
    /// Region or metro.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub region: Option<Text>,
    /// Availability zone within the region.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub zone: Option<Text>,
    /// Data centre.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub site: Option<Text>,
    /// Rack within the site.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub rack: Option<Text>,
    /// Position in the rack.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub position: Option<Text>,
}

/// What a machine is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Hardware {
    /// The provider's name for this kind of machine (`m7g.large`, `c3.small.x86`).
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub kind: Option<Text>,
    /// Processor architecture (`x86_64`, `arm64`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub architecture: Option<Text>,
    /// Logical processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_048_576))]
    pub cpus: Option<u32>,
    /// Main memory in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_u64))]
    pub memory_bytes: Option<u64>,
    /// Local disks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub disks: Vec<Disk>,
    /// Serial number or service tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub serial: Option<Text>,
    /// The SMBIOS UUID, in lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub uuid: Option<Text>,
    /// Maker.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub vendor: Option<Text>,
    /// Model.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub model: Option<Text>,
}

/// One local disk, or several alike.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(default, rename_all = "camelCase")]
pub struct Disk {
    /// Name or kind (`nvme0n1`, `SSD`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub name: Option<Text>,
    /// Size of one in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_u64))]
    pub size_bytes: Option<u64>,
    /// How many of this kind; absent means one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub count: Option<u32>,
}

/// What runs on a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Os {
    /// Name (`Ubuntu 24.04 LTS`, `Linux/UNIX`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub name: Option<Text>,
    /// Version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub version: Option<Text>,
    /// The image it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub image: Option<Text>,
}

/// One network interface.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(default, rename_all = "camelCase")]
pub struct Interface {
    /// Name (`eth0`, `eni-0123`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub name: Option<Text>,
    /// Hardware address, lower case with colons.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub mac: Option<Text>,
}

/// Whose a machine is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct Owner {
    /// Account it is billed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub account: Option<Text>,
    /// Project it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub project: Option<Text>,
    /// Tenant it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub tenant: Option<Text>,
}
