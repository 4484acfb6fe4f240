//! A machine of MAAS as one of ours: a pure function.

use std::collections::{BTreeMap, BTreeSet};

use fetcher_core::machine::{
    AddressType, Disk, Hardware, Interface, Interner, Location, Machine, Os, State, TextMap,
};

use super::wire::{self, Nic};
use crate::normal;
use crate::provider::ONLY_WITH;

/// Before the key of an annotation: no tag of MAAS holds a dot, so that the two never meet.
const ANNOTATION: &str = "annotation.";

/// The machine that this one is; `only_with` is the setting that smart network cards are shown by.
pub(super) fn machine(from: &wire::Machine, only_with: &str, interner: &mut Interner) -> Machine {
    let name = normal::word(from.status_name.as_deref()).map(ToOwned::to_owned);
    let provider_state = name.unwrap_or_else(|| from.status.to_string());
    let hostname = from.fqdn.as_deref().or(from.hostname.as_deref());
    let mut addresses = Vec::new();
    for ip in from.ip_addresses.iter().filter_map(|ip| normal::ip(Some(ip))) {
        let kind = AddressType::InternalIP;
        normal::add_address(&mut addresses, interner, kind, &ip.to_string());
    }
    if let Some(fqdn) = &from.fqdn {
        normal::add_address(&mut addresses, interner, AddressType::InternalDNS, fqdn);
    }
    let mut text =
        |from: Option<&String>| normal::word(from.map(String::as_str)).map(|t| interner.text(t));
    let os = Os {
        name: text(from.osystem.as_ref()),
        version: text(from.distro_series.as_ref()),
        image: None,
    };
    let location =
        Location { zone: text(from.zone.as_ref().map(|z| &z.name)), ..Location::default() };
    Machine {
        id: from.system_id.as_str().into(),
        state: state(from.status, from.power_state.as_deref()),
        provider_state: interner.some(&provider_state),
        hostname: normal::word(hostname).map(|name| interner.text(name)),
        addresses,
        location,
        hardware: hardware(from, interner),
        os,
        interfaces: interfaces(&from.interface_set, interner),
        tags: tags(from, interner),
        facts: facts(from, only_with, interner),
        ..Machine::default()
    }
}

/// All states of MAAS by their number (`src/maascommon/enums/node.py`); where a workload is on the machine, or
/// its owner rescues it, its power counts.
fn state(status: i64, power: Option<&str>) -> State {
    match status {
        // New, Commissioning, Deploying, Testing.
        0 | 1 | 9 | 21 => State::Provisioning,
        // Ready, Reserved, Retired, Allocated: in stock, whatever their power.
        4 | 5 | 7 | 10 => State::Stopped,
        // Deployed, Rescue mode, entering and leaving it.
        6 | 16 | 17 | 19 => match power {
            Some("on") => State::Running,
            Some("off") => State::Stopped,
            _ => State::Unknown,
        },
        // Releasing, Disk erasing.
        12 | 14 => State::Deprovisioning,
        // Failed commissioning, Broken, Failed deployment, Releasing failed, Failed disk erasing, Failed to enter
        // and to exit rescue mode, Failed testing.
        2 | 8 | 11 | 13 | 15 | 18 | 20 | 22 => State::Failed,
        // Missing (3), and those to come.
        _ => State::Unknown,
    }
}

fn hardware(from: &wire::Machine, interner: &mut Interner) -> Hardware {
    let info = from.hardware_info.as_ref();
    let mut text =
        |from: Option<&String>| normal::word(from.map(String::as_str)).map(|t| interner.text(t));
    // `amd64/generic`: the part behind the slash is a kernel's flavour.
    let architecture = from
        .architecture
        .as_ref()
        .map(|architecture| architecture.split('/').next().unwrap_or_default().to_owned());
    let storage = from.storage.as_f64().and_then(|mb| normal::whole(mb * 1e6));
    let disk =
        normal::bytes(storage, 1).map(|size| Disk { size_bytes: Some(size), ..Disk::default() });
    Hardware {
        architecture: text(architecture.as_ref()),
        cpus: normal::cpus(normal::number(Some(&from.cpu_count))),
        memory_bytes: normal::bytes(normal::number(Some(&from.memory)), 1024 * 1024),
        disks: disk.into_iter().collect(),
        serial: text(info.and_then(|info| info.system_serial.as_ref())),
        uuid: normal::uuid(from.hardware_uuid.as_deref()).map(Into::into),
        vendor: text(info.and_then(|info| info.system_vendor.as_ref())),
        model: text(info.and_then(|info| info.system_product.as_ref())),
        ..Hardware::default()
    }
}

/// One interface for each MAC, the physical one where a bond or a VLAN repeats it.
fn interfaces(nics: &[Nic], interner: &mut Interner) -> Vec<Interface> {
    let is_physical = |nic: &&Nic| nic.kind.as_deref() == Some("physical");
    let physical = nics.iter().filter(is_physical);
    let others = nics.iter().filter(|nic| !is_physical(nic));
    let mut seen = BTreeSet::new();
    let mut interfaces = Vec::new();
    for nic in physical.chain(others) {
        let Some(mac) = normal::mac(nic.mac_address.as_deref()) else { continue };
        if seen.insert(mac.clone()) {
            let name = nic.name.as_deref().and_then(|name| interner.some(name));
            interfaces.push(Interface { name, mac: interner.some(&mac) });
        }
    }
    interfaces.sort_unstable();
    interfaces
}

/// Tags are words without values; the annotations of whoever deployed it have both.
fn tags(from: &wire::Machine, interner: &mut Interner) -> TextMap {
    let mut tags = BTreeMap::new();
    for tag in &from.tag_names {
        normal::add_tag(&mut tags, interner, tag, "");
    }
    for (key, value) in &from.workload_annotations {
        if let Some(value) = normal::scalar(value) {
            normal::add_tag(&mut tags, interner, &format!("{ANNOTATION}{key}"), &value);
        }
    }
    tags.into()
}

fn facts(from: &wire::Machine, only_with: &str, interner: &mut Interner) -> TextMap {
    [
        ("locked", from.locked.then_some("true")),
        (ONLY_WITH, from.is_dpu.then_some(only_with)),
        ("owner", from.owner.as_deref()),
        ("pool", from.pool.as_ref().map(|pool| pool.name.as_str())),
        ("power", from.power_state.as_deref()),
        ("power-type", from.power_type.as_deref()),
        ("system-type", from.is_dpu.then_some("DPU")),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((interner.text(key), interner.some(value?)?)))
    .collect()
}
