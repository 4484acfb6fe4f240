//! What MAAS says of a machine, as far as it is read.
//!
//! Nested objects may be cut to `{"system_id", "id", "__incomplete__"}`: they are read leniently. Identity, status
//! and tags are not.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::normal::{lenient, lenient_list, nullable};

/// A machine.
#[derive(Deserialize)]
pub(super) struct Machine {
    pub(super) system_id: String,
    pub(super) status: i64,
    pub(super) tag_names: Vec<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) status_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) hardware_uuid: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) hostname: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) fqdn: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) power_state: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) power_type: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) owner: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) workload_annotations: BTreeMap<String, Value>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) architecture: Option<String>,
    #[serde(default)]
    pub(super) cpu_count: Value,
    /// MiB.
    #[serde(default)]
    pub(super) memory: Value,
    /// MB, with a fraction.
    #[serde(default)]
    pub(super) storage: Value,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) osystem: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) distro_series: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) locked: bool,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) is_dpu: bool,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) zone: Option<Named>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) pool: Option<Named>,
    #[serde(default, deserialize_with = "lenient_list")]
    pub(super) ip_addresses: Vec<String>,
    #[serde(default, deserialize_with = "lenient_list")]
    pub(super) interface_set: Vec<Nic>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) hardware_info: Option<HardwareInfo>,
}

#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
}

/// A network interface; a bond repeats the MAC of a member.
#[derive(Deserialize)]
pub(super) struct Nic {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(rename = "type", default)]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) mac_address: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct HardwareInfo {
    #[serde(default)]
    pub(super) system_vendor: Option<String>,
    #[serde(default)]
    pub(super) system_product: Option<String>,
    #[serde(default)]
    pub(super) system_serial: Option<String>,
}
