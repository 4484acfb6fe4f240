//! The wire: what a Packet (Equinix Metal) API answers, as far as we keep it.
//!
//! Not the mapping of it. Deliberately without the fields `root_password`, `userdata`, `customdata`, `user`
//! and `created_by`: what has no field here can reach no Machine, log, error or `Debug`.
//! Source of the fields: the last Metal OpenAPI document (equinix-sdk-go, `metalv1`, v0.65.0).

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// One page of `GET /projects/{id}/devices`.
#[derive(Debug, Deserialize)]
pub(crate) struct DevicePage {
    pub(crate) devices: Vec<Device>,
    pub(crate) meta: Meta,
}

/// One page of `GET /projects` or `GET /organizations/{id}/projects`.
#[derive(Debug, Deserialize)]
pub(crate) struct ProjectPage {
    pub(crate) projects: Vec<Project>,
    pub(crate) meta: Meta,
}

/// Where a page stands in its list.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Meta {
    /// Items of the whole list.
    pub(crate) total: usize,
    /// The last page's number; 0 or 1 for an empty list.
    #[serde(default)]
    pub(crate) last_page: Option<usize>,
}

/// A project of the discovery.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Project {
    pub(crate) id: String,
}

/// One device. Everything but the id may be missing or null.
#[derive(Debug, Deserialize)]
pub(crate) struct Device {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) hostname: Option<String>,
    #[serde(default)]
    pub(crate) state: Option<String>,
    #[serde(default)]
    pub(crate) tags: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) created_at: Option<String>,
    #[serde(default)]
    pub(crate) billing_cycle: Option<String>,
    #[serde(default)]
    pub(crate) locked: Option<bool>,
    #[serde(default)]
    pub(crate) network_frozen: Option<bool>,
    #[serde(default, deserialize_with = "word")]
    pub(crate) bonding_mode: Option<String>,
    #[serde(default)]
    pub(crate) always_pxe: Option<bool>,
    /// Whether there is a script to boot by. Not where: the address can hold a token.
    #[serde(default, rename = "ipxe_script_url", deserialize_with = "is_set")]
    pub(crate) ipxe_script: bool,
    #[serde(default)]
    pub(crate) spot_instance: Option<bool>,
    #[serde(default)]
    pub(crate) termination_time: Option<String>,
    #[serde(default)]
    pub(crate) sos: Option<String>,
    #[serde(default)]
    pub(crate) switch_uuid: Option<String>,
    #[serde(default)]
    pub(crate) facility: Option<Facility>,
    #[serde(default)]
    pub(crate) metro: Option<Metro>,
    #[serde(default)]
    pub(crate) plan: Option<Plan>,
    #[serde(default)]
    pub(crate) operating_system: Option<OperatingSystem>,
    #[serde(default)]
    pub(crate) project: Option<Reference>,
    #[serde(default)]
    pub(crate) project_lite: Option<Reference>,
    #[serde(default)]
    pub(crate) hardware_reservation: Option<Reference>,
    #[serde(default)]
    pub(crate) ip_addresses: Option<Vec<IpAddress>>,
    #[serde(default)]
    pub(crate) network_ports: Option<Vec<Port>>,
}

/// A number or a text, as a text; anything else is none.
fn word<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text),
        _ => None,
    })
}

/// Whether a text is there.
fn is_set<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(Value::deserialize(from)?.as_str().is_some_and(|text| !text.trim().is_empty()))
}

/// An object, or only the `{"href": …}` of one that was not included.
#[derive(Debug, Deserialize)]
pub(crate) struct Reference {
    #[serde(default)]
    pub(crate) id: Option<String>,
    #[serde(default)]
    pub(crate) href: Option<String>,
    #[serde(default)]
    pub(crate) name: Option<String>,
}

impl Reference {
    /// The id, spelled out or as the last segment of the `href`.
    pub(crate) fn id(&self) -> Option<&str> {
        let last = || self.href.as_deref()?.trim_end_matches('/').rsplit('/').next();
        self.id.as_deref().or_else(last).filter(|id| !id.is_empty())
    }
}

/// A building; deprecated in 2023, sent still, and null at times.
#[derive(Debug, Deserialize)]
pub(crate) struct Facility {
    #[serde(default)]
    pub(crate) code: Option<String>,
    #[serde(default)]
    pub(crate) metro: Option<Metro>,
}

/// A region.
#[derive(Debug, Deserialize)]
pub(crate) struct Metro {
    #[serde(default)]
    pub(crate) code: Option<String>,
    #[serde(default)]
    pub(crate) country: Option<String>,
}

/// The kind of machine.
#[derive(Debug, Deserialize)]
pub(crate) struct Plan {
    #[serde(default)]
    pub(crate) slug: Option<String>,
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) specs: Option<Specs>,
}

/// What machines of a plan are made of; may be empty.
#[derive(Debug, Deserialize)]
pub(crate) struct Specs {
    #[serde(default)]
    pub(crate) cpus: Option<Vec<Part>>,
    #[serde(default)]
    pub(crate) memory: Option<Memory>,
    #[serde(default)]
    pub(crate) drives: Option<Vec<Part>>,
}

/// Some processors or drives alike.
#[derive(Debug, Deserialize)]
pub(crate) struct Part {
    #[serde(default)]
    pub(crate) count: Option<u32>,
    #[serde(default, rename = "type")]
    pub(crate) kind: Option<String>,
    #[serde(default)]
    pub(crate) size: Option<String>,
}

/// Main memory, as a text such as `64GB`.
#[derive(Debug, Deserialize)]
pub(crate) struct Memory {
    #[serde(default)]
    pub(crate) total: Option<String>,
}

/// The operating system it was made with.
#[derive(Debug, Deserialize)]
pub(crate) struct OperatingSystem {
    #[serde(default)]
    pub(crate) slug: Option<String>,
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) version: Option<String>,
}

/// One address or block that is assigned to a device.
#[derive(Debug, Deserialize)]
pub(crate) struct IpAddress {
    #[serde(default)]
    pub(crate) address: Option<String>,
    #[serde(default)]
    pub(crate) network: Option<String>,
    #[serde(default)]
    pub(crate) cidr: Option<u8>,
    #[serde(default)]
    pub(crate) public: Option<bool>,
    /// Given at birth, and so configured by the installer. Says nothing about a BMC.
    #[serde(default)]
    pub(crate) management: Option<bool>,
    #[serde(default)]
    pub(crate) enabled: Option<bool>,
}

/// A network port: `bond0` without an address of its own, `eth0` with one.
#[derive(Debug, Deserialize)]
pub(crate) struct Port {
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) network_type: Option<String>,
    #[serde(default)]
    pub(crate) data: Option<PortData>,
}

/// What a port says of itself.
#[derive(Debug, Deserialize)]
pub(crate) struct PortData {
    #[serde(default)]
    pub(crate) mac: Option<String>,
}
