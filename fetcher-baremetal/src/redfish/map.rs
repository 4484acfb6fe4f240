//! A system of Redfish as a machine: a pure function.
//!
//! The addresses of the host are those an agent on it reports to the BMC, if any; the BMC's own address is a
//! `ManagementIP`. Health does not mean down.

use std::collections::BTreeMap;
use std::net::IpAddr;

use fetcher_core::machine::{
    Address, AddressType, Hardware, Interface, Interner, Location, Machine, State, TextMap,
};

use super::config::Identity;
use super::wire::{Chassis, Link, Nic, System};
use crate::normal;
use crate::provider::ONLY_WITH;

/// What the configuration says of an endpoint.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) name: String,
    pub(super) bmc: String,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) location: Location,
    pub(super) identity: Identity,
    pub(super) dpus: bool,
    pub(super) interfaces: bool,
    pub(super) chassis: bool,
}

/// All that was read of one system.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// Its address at the endpoint: the path of its `@odata.id`.
    pub(super) uri: String,
    pub(super) system: System,
    pub(super) nics: Vec<Nic>,
    pub(super) chassis: Option<Chassis>,
    /// Parts of it that it names and that are not there.
    pub(super) absent: Vec<Link>,
}

impl Read {
    /// Whether it is the system of a smart network card.
    pub(super) fn is_dpu(&self) -> bool {
        self.system.system_type.as_deref() == Some("DPU")
    }
}

impl Rules {
    /// The setting that smart network cards are shown by, for their facts.
    pub(super) fn only_with(&self) -> String {
        format!("redfish/{}/dpus", self.name)
    }

    /// Whether this system exists and is yet no machine here.
    pub(super) fn hide(&self, read: &Read) -> bool {
        !self.dpus && read.is_dpu()
    }
}

const GIB: f64 = (1_u64 << 30) as f64;

/// The machine that this system is; `only`: the endpoint has no other, so it is that machine's own BMC.
pub(super) fn machine(read: &Read, only: bool, rules: &Rules, interner: &mut Interner) -> Machine {
    let system = &read.system;
    let status = system.status.as_ref();
    let reported = normal::word(system.host_name.as_deref());
    let hostname = reported.or_else(|| only.then_some(rules.name.as_str()));
    Machine {
        id: id(read, rules.identity).into(),
        state: state(system),
        provider_state: system
            .power_state
            .as_deref()
            .or_else(|| status?.state.as_deref())
            .and_then(|word| interner.some(word)),
        hostname: hostname.and_then(|name| interner.some(name)),
        addresses: addresses(read, only, rules, interner),
        location: location(read, rules, interner),
        hardware: hardware(system, interner),
        interfaces: interfaces(&read.nics, interner),
        tags: rules.tags.iter().map(|(k, v)| (interner.text(k), interner.text(v))).collect(),
        facts: facts(read, only, rules, interner),
        launched_at: system.last_reset_time.as_deref().and_then(|time| time.parse().ok()),
        ..Machine::default()
    }
}

fn id(read: &Read, identity: Identity) -> String {
    let system = &read.system;
    let uuid = || normal::uuid(system.uuid.as_deref());
    let serial = || {
        let serial = normal::word(system.serial_number.as_deref())?;
        let maker = normal::word(system.manufacturer.as_deref()).unwrap_or_default();
        Some(format!("{maker}/{serial}"))
    };
    let found = match identity {
        Identity::Auto => uuid().or_else(serial),
        Identity::Serial => serial(),
        Identity::Uri => None,
    };
    found.unwrap_or_else(|| read.uri.clone())
}

fn state(system: &System) -> State {
    let status = system.status.as_ref().and_then(|status| status.state.as_deref());
    if status == Some("Absent") {
        return State::Unknown;
    }
    match system.power_state.as_deref() {
        Some("On" | "PoweringOn") => State::Running,
        Some("Off" | "PoweringOff" | "Paused") => State::Stopped,
        _ => State::Unknown,
    }
}

fn addresses(read: &Read, only: bool, rules: &Rules, interner: &mut Interner) -> Vec<Address> {
    let mut addresses = Vec::new();
    for ip in read.nics.iter().flat_map(|nic| nic.v4.iter().chain(&nic.v6)) {
        let ip = normal::ip(ip.address.as_deref()).filter(is_of_the_network);
        if let Some(ip) = ip {
            let kind = AddressType::InternalIP;
            normal::add_address(&mut addresses, interner, kind, &ip.to_string());
        }
    }
    if only && let Ok(bmc) = rules.bmc.parse::<IpAddr>() {
        let kind = AddressType::ManagementIP;
        normal::add_address(&mut addresses, interner, kind, &bmc.to_string());
    }
    addresses
}

/// Not one that only the link, the host itself or nobody knows.
fn is_of_the_network(ip: &IpAddr) -> bool {
    let is_link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !is_link_local && !ip.is_unspecified() && !ip.is_loopback()
}

/// What the configuration says, else what an administrator wrote into the chassis.
fn location(read: &Read, rules: &Rules, interner: &mut Interner) -> Location {
    let mut location = rules.location.clone();
    let chassis = read.chassis.as_ref().and_then(|chassis| chassis.location.as_ref());
    if let Some(placement) = chassis.and_then(|location| location.placement.as_ref()) {
        let mut text = |from: Option<&str>| normal::word(from).map(|text| interner.text(text));
        let offset = normal::scalar(&placement.rack_offset);
        location.site = location.site.or_else(|| text(placement.facility_name.as_deref()));
        location.rack = location.rack.or_else(|| text(placement.rack.as_deref()));
        location.position = location.position.or_else(|| text(offset.as_deref()));
    }
    location
}

fn hardware(system: &System, interner: &mut Interner) -> Hardware {
    let processors = system.processor_summary.as_ref();
    let logical = processors.and_then(|p| normal::number(Some(&p.logical_processor_count)));
    let cores = processors.and_then(|p| normal::number(Some(&p.core_count)));
    let gib = system.memory_summary.as_ref().and_then(|memory| memory.gib);
    let mut text =
        |from: &Option<String>| normal::word(from.as_deref()).map(|text| interner.text(text));
    Hardware {
        cpus: normal::cpus(logical.filter(|&count| count > 0).or(cores)),
        memory_bytes: gib.and_then(|gib| normal::whole(gib * GIB)).filter(|&bytes| bytes > 0),
        serial: text(&system.serial_number),
        vendor: text(&system.manufacturer),
        model: text(&system.model),
        uuid: normal::uuid(system.uuid.as_deref()).map(Into::into),
        ..Hardware::default()
    }
}

fn interfaces(nics: &[Nic], interner: &mut Interner) -> Vec<Interface> {
    let mut interfaces: Vec<_> = nics
        .iter()
        .filter_map(|nic| {
            let mac = normal::mac(nic.mac.as_deref())
                .or_else(|| normal::mac(nic.permanent_mac.as_deref()))?;
            let name = nic.id.as_deref().and_then(|id| interner.some(id));
            Some(Interface { name, mac: interner.some(&mac) })
        })
        .collect();
    interfaces.sort_unstable();
    interfaces
}

fn facts(read: &Read, only: bool, rules: &Rules, interner: &mut Interner) -> TextMap {
    let system = &read.system;
    let status = system.status.as_ref();
    // An IP address is a `ManagementIP`; a name is none.
    let is_named = only && rules.bmc.parse::<IpAddr>().is_err();
    let only_with = rules.only_with();
    [
        ("asset-tag", system.asset_tag.as_deref()),
        ("bios", system.bios_version.as_deref()),
        ("bmc", is_named.then_some(rules.bmc.as_str())),
        ("health", status.and_then(|status| status.health.as_deref())),
        (ONLY_WITH, read.is_dpu().then_some(only_with.as_str())),
        ("sku", system.sku.as_deref()),
        ("status", status.and_then(|status| status.state.as_deref())),
        ("system-type", system.system_type.as_deref()),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((interner.text(key), interner.some(normal::word(value)?)?)))
    .collect()
}
