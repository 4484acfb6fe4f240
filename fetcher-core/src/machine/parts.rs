//! The parts that a machine and the status of its Host have in common, with the schema that the CRD gets from them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Text;

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
