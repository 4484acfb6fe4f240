//! What `NetBox` says, as far as it is read; its shape drifts between versions, so only what is needed is named.
//!
//! `config_context` is neither asked for nor read: it may hold secrets.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::normal::{lenient, lenient_list, nullable};

/// A page of anything.
#[derive(Deserialize)]
pub(super) struct Page<T> {
    pub(super) count: usize,
    /// Only whether it is there is read: its scheme and host are wrong behind a proxy.
    pub(super) next: Option<String>,
    pub(super) results: Vec<T>,
}

/// A device, or a virtual machine: what both have is spelled the same.
#[derive(Deserialize)]
pub(super) struct Device {
    pub(super) id: u64,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) status: Option<Choice>,
    pub(super) tags: Vec<Tag>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) custom_fields: BTreeMap<String, Value>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) device_type: Option<DeviceType>,
    /// Called `device_role` before 3.6, and both until 4.0.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) role: Option<Named>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) device_role: Option<Named>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) tenant: Option<Named>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) platform: Option<Named>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) serial: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) asset_tag: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) site: Option<Named>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) location: Option<Named>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) rack: Option<Named>,
    #[serde(default)]
    pub(super) position: Value,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) parent_device: Option<Named>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) cluster: Option<Named>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) virtual_chassis: Option<Named>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) primary_ip: Option<Address>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) primary_ip4: Option<Address>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) primary_ip6: Option<Address>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) oob_ip: Option<Address>,
    #[serde(default)]
    pub(super) vcpus: Value,
    #[serde(default)]
    pub(super) memory: Value,
}

/// One of a set of words.
#[derive(Deserialize)]
pub(super) struct Choice {
    pub(super) value: String,
}

/// A tag: matched by its slug, never by its name.
#[derive(Deserialize)]
pub(super) struct Tag {
    pub(super) slug: String,
}

#[derive(Deserialize)]
pub(super) struct DeviceType {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) manufacturer: Option<Named>,
    #[serde(default)]
    pub(super) model: Option<String>,
    #[serde(default)]
    pub(super) slug: Option<String>,
}

/// Something with a name, most with a slug too.
#[derive(Deserialize)]
pub(super) struct Named {
    #[serde(default)]
    pub(super) id: Option<u64>,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) slug: Option<String>,
}

impl Named {
    /// The slug, or the name of what has none.
    pub(super) fn word(&self) -> Option<&str> {
        self.slug.as_deref().or(self.name.as_deref())
    }
}

/// An IP address with its prefix length.
#[derive(Deserialize)]
pub(super) struct Address {
    pub(super) address: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) dns_name: Option<String>,
    /// The address that this one is translated to.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) nat_inside: Option<Translated>,
    #[serde(default, deserialize_with = "lenient_list")]
    pub(super) nat_outside: Vec<Translated>,
}

/// The address on the other side of a translation.
#[derive(Deserialize)]
pub(super) struct Translated {
    pub(super) address: String,
}

/// A network interface.
#[derive(Deserialize)]
pub(super) struct Nic {
    pub(super) device: Named,
    #[serde(default)]
    pub(super) name: Option<String>,
    /// Before 4.2; since then the primary one's, read-only.
    #[serde(default)]
    pub(super) mac_address: Option<String>,
}

/// A site, for its region.
#[derive(Deserialize)]
pub(super) struct Site {
    pub(super) id: u64,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) region: Option<Named>,
}
