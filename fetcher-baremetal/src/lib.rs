//! fetcher-baremetal: the machines of own data centres, from wherever their truth is kept.
//!
//! Each kind of source has a folder of its own and knows nothing of the others; [`provider`] is where they
//! meet. The same machine seen by two sources stays two machines: nothing is merged here.

pub mod config;
pub mod file;
pub mod ironic;
pub mod maas;
pub mod netbox;
mod normal;
pub mod provider;
pub mod redfish;

use fetcher_core::app::{App, InvalidConfig};

/// fetcher-baremetal as a program.
#[derive(Debug)]
pub struct Baremetal;

impl App for Baremetal {
    const NAME: &'static str = provider::NAME;
    const ABOUT: &'static str =
        "Brings the machines of your own data centres into the host inventory";
    const FACTS: &'static [&'static str] = &[
        "asset-tag",
        "bios",
        "bmc",
        "cluster",
        "conductor-group",
        "driver",
        "fault",
        "health",
        "hidden",
        "instance",
        "locked",
        "maintenance",
        "node",
        "only-with",
        "owner",
        "parent",
        "platform",
        "pool",
        "power",
        "power-type",
        "protected",
        "retired",
        "role",
        "sku",
        "status",
        "system-type",
        "virtual-chassis",
    ];

    type Section = config::Section;
    type Flags = config::Flags;
    type Provider = provider::Provider;

    fn build(section: Self::Section, flags: Self::Flags) -> Result<Self::Provider, InvalidConfig> {
        provider::Provider::new(config::sources(section, flags))
    }
}
