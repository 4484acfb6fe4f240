//! What Redfish says, as far as it is read. Null, missing and empty are the same.
//!
//! Only `@odata.id` is required of a system; everything else may be absent, and what has another shape than the
//! schema says is read as absent. Sources: DMTF `ComputerSystem`, `ServiceRoot`, `Chassis`, `EthernetInterface`.

use serde::Deserialize;
use serde_json::Value;

use crate::normal::{lenient, lenient_list};

/// A link to a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) struct Link {
    #[serde(rename = "@odata.id")]
    pub(super) id: String,
}

/// `/redfish/v1/`: where everything else is.
#[derive(Debug, Deserialize)]
pub(super) struct Root {
    #[serde(rename = "Systems", default, deserialize_with = "lenient")]
    pub(super) systems: Option<Link>,
    #[serde(rename = "Links", default, deserialize_with = "lenient")]
    pub(super) links: Option<RootLinks>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RootLinks {
    #[serde(rename = "Sessions", default)]
    pub(super) sessions: Option<Link>,
}

/// A page of a collection.
#[derive(Debug, Deserialize)]
pub(super) struct Collection {
    #[serde(rename = "Members")]
    pub(super) members: Vec<Link>,
    #[serde(rename = "Members@odata.count", default)]
    count: Option<usize>,
    #[serde(rename = "Members@odata.nextLink", default)]
    next: Option<String>,
    /// Some implementations leave out the name of the property before it, and some write both.
    #[serde(rename = "@odata.count", default)]
    bare_count: Option<usize>,
    #[serde(rename = "@odata.nextLink", default)]
    bare_next: Option<String>,
}

impl Collection {
    /// The total, on every page; the larger one where two are written.
    pub(super) fn count(&self) -> Option<usize> {
        self.count.max(self.bare_count)
    }

    /// The next page.
    pub(super) fn next(&self) -> Option<&str> {
        let all = [&self.next, &self.bare_next];
        all.into_iter().flatten().map(String::as_str).find(|next| !next.is_empty())
    }
}

/// A system.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct System {
    #[serde(rename = "UUID", deserialize_with = "lenient")]
    pub(super) uuid: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) serial_number: Option<String>,
    #[serde(rename = "SKU", deserialize_with = "lenient")]
    pub(super) sku: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) asset_tag: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) manufacturer: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) model: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) host_name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) system_type: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) power_state: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) status: Option<Status>,
    #[serde(deserialize_with = "lenient")]
    pub(super) bios_version: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) last_reset_time: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) processor_summary: Option<Processors>,
    #[serde(deserialize_with = "lenient")]
    pub(super) memory_summary: Option<Memory>,
    #[serde(deserialize_with = "lenient")]
    pub(super) ethernet_interfaces: Option<Link>,
    #[serde(deserialize_with = "lenient")]
    pub(super) links: Option<SystemLinks>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Status {
    #[serde(deserialize_with = "lenient")]
    pub(super) state: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) health: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Processors {
    pub(super) core_count: Value,
    pub(super) logical_processor_count: Value,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Memory {
    #[serde(rename = "TotalSystemMemoryGiB", default, deserialize_with = "lenient")]
    pub(super) gib: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct SystemLinks {
    #[serde(deserialize_with = "lenient_list")]
    pub(super) chassis: Vec<Link>,
}

/// A network interface of a system.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Nic {
    #[serde(rename = "Id", deserialize_with = "lenient")]
    pub(super) id: Option<String>,
    #[serde(rename = "MACAddress", deserialize_with = "lenient")]
    pub(super) mac: Option<String>,
    #[serde(rename = "PermanentMACAddress", deserialize_with = "lenient")]
    pub(super) permanent_mac: Option<String>,
    #[serde(rename = "IPv4Addresses", deserialize_with = "lenient_list")]
    pub(super) v4: Vec<Ip>,
    #[serde(rename = "IPv6Addresses", deserialize_with = "lenient_list")]
    pub(super) v6: Vec<Ip>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Ip {
    #[serde(rename = "Address", default)]
    pub(super) address: Option<String>,
}

/// A chassis, for its place.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Chassis {
    #[serde(rename = "Location", default, deserialize_with = "lenient")]
    pub(super) location: Option<ChassisLocation>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ChassisLocation {
    #[serde(rename = "Placement", default, deserialize_with = "lenient")]
    pub(super) placement: Option<Placement>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Placement {
    #[serde(deserialize_with = "lenient")]
    pub(super) facility_name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub(super) rack: Option<String>,
    pub(super) rack_offset: Value,
}
