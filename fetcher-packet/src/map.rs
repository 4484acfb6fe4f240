//! A Packet device as a [`Machine`]: pure, total, and the only place that knows Packet's words.
//!
//! Not the reading of answers (`api`) and not the choice of machines (the core's selector). An unknown word
//! never fails: it becomes `Unknown`, with the word kept in `providerState`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use fetcher_core::machine::{
    Address, AddressType, Disk, Hardware, IdScope, Interface, Interner, Life, Location, Machine,
    Os, Owner, State, Text, TextMap,
};
use jiff::Timestamp;

use crate::api::{Device, IpAddress, OperatingSystem, Plan, Port, Specs};

/// The facts a device has beside the common ones, as keys of the selector.
pub(crate) const FACTS: &[&str] = &[
    "billing",
    "bonding-mode",
    "console",
    "country",
    "ipxe",
    "locked",
    "network-frozen",
    "network-type",
    "project-name",
    "reservation",
    "spot",
    "switch",
    "termination-time",
];

/// The device as a machine of `project`, its source.
pub(crate) fn machine(device: &Device, project: &str, texts: &mut Interner) -> Machine {
    let word = device.state.as_deref().unwrap_or_default();
    Machine {
        id: Text::from(device.id.as_str()),
        // A device can be moved to another project, which is another source, and keeps its id.
        id_scope: IdScope::Source,
        life: if word == "deleted" { Life::Terminated } else { Life::Alive },
        state: state(word),
        provider_state: texts.some(word),
        hostname: own(device.hostname.as_deref()),
        addresses: addresses(device.ip_addresses.as_deref().unwrap_or_default()),
        location: location(device, texts),
        hardware: device.plan.as_ref().map(|plan| hardware(plan, texts)).unwrap_or_default(),
        os: device.operating_system.as_ref().map(|os| self::os(os, texts)).unwrap_or_default(),
        interfaces: interfaces(device.network_ports.as_deref().unwrap_or_default(), texts),
        owner: Owner { project: texts.some(project), ..Owner::default() },
        tags: tags(device.tags.as_deref().unwrap_or_default(), texts),
        facts: facts(device, texts),
        created_at: device.created_at.as_deref().and_then(time),
        launched_at: None,
    }
}

/// The project the device says it is in.
pub(crate) fn project(device: &Device) -> Option<&str> {
    [&device.project, &device.project_lite].into_iter().flatten().find_map(|project| project.id())
}

/// Packet's states (the enumeration of the specification, complete) in the inventory's words. A transition
/// counts as where it leads: `powering_off` is `Stopped`.
fn state(word: &str) -> State {
    match word {
        "queued" | "provisioning" | "reinstalling" => State::Provisioning,
        "active" | "powering_on" => State::Running,
        "inactive" | "powering_off" => State::Stopped,
        "deprovisioning" | "deleted" => State::Deprovisioning,
        "failed" => State::Failed,
        _ => State::Unknown,
    }
}

/// Public ones by the API's word are external, others internal; within a kind those the device was born with come first (an
/// elastic one works only once the OS was told of it), then IPv4 before IPv6, then as text.
///
/// Left out: disabled ones, and blocks (the address of a network is no host's).
fn addresses(all: &[IpAddress]) -> Vec<Address> {
    let mut usable: Vec<_> = all
        .iter()
        .filter(|ip| ip.enabled != Some(false))
        .filter_map(|ip| Some((ip, ip.address.as_deref()?.parse::<IpAddr>().ok()?)))
        .filter(|(ip, address)| !is_block(ip, *address))
        .collect();
    usable.sort_by_key(|(ip, address)| {
        (ip.public != Some(true), ip.management != Some(true), address.is_ipv6(), *address)
    });
    let mut seen = BTreeSet::new();
    usable
        .into_iter()
        .filter(|(_, address)| seen.insert(*address))
        .map(|(ip, address)| Address {
            kind: if ip.public == Some(true) {
                AddressType::ExternalIP
            } else {
                AddressType::InternalIP
            },
            address: address.to_string().into(),
        })
        .collect()
}

fn is_block(ip: &IpAddress, address: IpAddr) -> bool {
    let whole = if address.is_ipv4() { 31 } else { 127 };
    let network = ip.network.as_deref().and_then(|network| network.parse::<IpAddr>().ok());
    ip.cidr.is_some_and(|cidr| cidr < whole) && network == Some(address)
}

fn location(device: &Device, texts: &mut Interner) -> Location {
    let facility = device.facility.as_ref();
    let metro = device.metro.as_ref().or_else(|| facility?.metro.as_ref());
    Location {
        region: metro.and_then(|metro| text(metro.code.as_deref(), texts)),
        site: facility.and_then(|facility| text(facility.code.as_deref(), texts)),
        ..Location::default()
    }
}

fn hardware(plan: &Plan, texts: &mut Interner) -> Hardware {
    let kind = plan.slug.as_deref().or(plan.name.as_deref());
    let specs = plan.specs.as_ref();
    Hardware {
        kind: text(kind, texts),
        architecture: kind.and_then(architecture).map(|name| texts.text(name)),
        cpus: specs.and_then(cores),
        memory_bytes: specs
            .and_then(|specs| bytes(specs.memory.as_ref()?.total.as_deref()?, 1 << 10)),
        disks: specs.map(|specs| disks(specs, texts)).unwrap_or_default(),
        ..Hardware::default()
    }
}

/// A plan's name ends in its architecture: `c3.small.x86`, `c3.large.arm64`.
fn architecture(plan: &str) -> Option<&'static str> {
    match plan.rsplit('.').next() {
        Some("x86") => Some("x86_64"),
        Some("arm" | "arm64") => Some("arm64"),
        _ => None,
    }
}

/// Processors times the cores that their text names (`8 cores`, `… 24-Core Processor`); none where it names none.
fn cores(specs: &Specs) -> Option<u32> {
    specs
        .cpus
        .as_deref()?
        .iter()
        .try_fold(0_u32, |sum, cpu| {
            let text = cpu.kind.as_deref()?.to_ascii_lowercase();
            let before = text.split("core").next().filter(|before| before.len() < text.len())?;
            let number = before.trim_end_matches([' ', '-']).rsplit([' ', '-', '(']).next()?;
            sum.checked_add(number.parse::<u32>().ok()?.checked_mul(cpu.count.unwrap_or(1))?)
        })
        .filter(|&sum| sum > 0)
}

/// Bytes of a size such as `64GB` or `1.5 TB`, a thousand being `kilo`: 1024 in memory, 1000 on drives.
fn bytes(size: &str, kilo: u64) -> Option<u64> {
    let size = size.trim();
    let (number, unit) = size.split_at(size.find(|c: char| c.is_ascii_alphabetic())?);
    let power = match unit.trim().to_ascii_uppercase().as_str() {
        "MB" => 2,
        "GB" => 3,
        "TB" => 4,
        _ => return None,
    };
    // Milli-units keep the one or two decimals that occur exact, without floating point.
    let (whole, part) = number.trim().split_once('.').unwrap_or_else(|| (number.trim(), ""));
    let part: u64 = if part.is_empty() { 0 } else { format!("{part:0<3.3}").parse().ok()? };
    let milli = whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(part)?;
    Some(milli.checked_mul(kilo.checked_pow(power)?)? / 1000)
}

fn disks(specs: &Specs, texts: &mut Interner) -> Vec<Disk> {
    let drives = specs.drives.as_deref().unwrap_or_default();
    drives
        .iter()
        .map(|drive| Disk {
            name: text(drive.kind.as_deref(), texts),
            size_bytes: drive.size.as_deref().and_then(|size| bytes(size, 1000)),
            count: drive.count.filter(|&count| count > 1),
        })
        .collect()
}

fn os(os: &OperatingSystem, texts: &mut Interner) -> Os {
    Os {
        name: text(os.name.as_deref(), texts).or_else(|| text(os.slug.as_deref(), texts)),
        version: text(os.version.as_deref(), texts),
        image: text(os.slug.as_deref(), texts),
    }
}

/// Ports with a hardware address, in the order of their names; a bond has none of its own.
fn interfaces(ports: &[Port], texts: &mut Interner) -> Vec<Interface> {
    let mut all: Vec<_> = ports
        .iter()
        .filter_map(|port| {
            let mac = port.data.as_ref()?.mac.as_deref()?.trim().to_ascii_lowercase();
            (!mac.is_empty()).then(|| Interface {
                name: text(port.name.as_deref(), texts),
                mac: Some(mac.into()),
            })
        })
        .collect();
    all.sort_by(|a, b| (&a.name, &a.mac).cmp(&(&b.name, &b.mac)));
    all
}

/// How the device's ports are used: mostly one word, else all there are, sorted and joined by a comma.
fn network_type(ports: &[Port]) -> String {
    let types = ports.iter().filter_map(|port| port.network_type.as_deref()).map(str::trim);
    let distinct: BTreeSet<_> = types.filter(|word| !word.is_empty()).collect();
    distinct.into_iter().collect::<Vec<_>>().join(",")
}

/// Whether the device boots by a script of its owner: at every start, or once.
fn ipxe(device: &Device) -> Option<&'static str> {
    match (device.always_pxe, device.ipxe_script) {
        (Some(true), _) => Some("always"),
        (_, true) => Some("script"),
        (_, false) => None,
    }
}

/// Packet's tags are plain texts. `k=v` is a key and its value by convention, any other text a key with an
/// empty value. Values of one key given more than once are sorted and joined by a comma.
pub(crate) fn tags(all: &[String], texts: &mut Interner) -> TextMap {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for tag in all.iter().filter(|tag| !tag.trim().is_empty()) {
        let (key, value) =
            tag.split_once('=').filter(|(key, _)| !key.is_empty()).unwrap_or((tag, ""));
        let of_key = values.entry(key).or_default();
        if !value.is_empty() {
            of_key.insert(value);
        }
    }
    let join = |values: BTreeSet<&str>| values.into_iter().collect::<Vec<_>>().join(",");
    values.into_iter().map(|(key, values)| (texts.text(key), texts.text(&join(values)))).collect()
}

fn facts(device: &Device, texts: &mut Interner) -> TextMap {
    let metro = device.metro.as_ref();
    let network = network_type(device.network_ports.as_deref().unwrap_or_default());
    let project = [&device.project, &device.project_lite];
    let named = project.into_iter().flatten().find_map(|project| project.name.as_deref());
    let ends = device.termination_time.as_deref().and_then(time).map(|time| time.to_string());
    let yes = |flag: Option<bool>| flag.filter(|&flag| flag).map(|_| "true");
    let known = [
        ("billing", device.billing_cycle.as_deref()),
        ("bonding-mode", device.bonding_mode.as_deref()),
        ("console", device.sos.as_deref()),
        ("country", metro.and_then(|metro| metro.country.as_deref())),
        ("ipxe", ipxe(device)),
        ("locked", yes(device.locked)),
        ("network-frozen", yes(device.network_frozen)),
        ("network-type", Some(&network)),
        ("project-name", named),
        ("reservation", device.hardware_reservation.as_ref().and_then(|it| it.id())),
        ("spot", yes(device.spot_instance)),
        ("switch", device.switch_uuid.as_deref()),
        ("termination-time", ends.as_deref()),
    ];
    known
        .into_iter()
        .filter_map(|(key, value)| Some((texts.text(key), text(value, texts)?)))
        .collect()
}

/// A time as the API writes it: RFC 3339, at times without an offset, which then is UTC.
fn time(text: &str) -> Option<Timestamp> {
    let utc = || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    text.parse().ok().or_else(|| Some(utc()?.timestamp()))
}

/// A text that other devices are likely to share.
fn text(text: Option<&str>, texts: &mut Interner) -> Option<Text> {
    texts.some(text?)
}

/// A text of this device alone.
fn own(text: Option<&str>) -> Option<Text> {
    text.map(str::trim).filter(|text| !text.is_empty()).map(Text::from)
}

#[cfg(test)]
mod tests;
