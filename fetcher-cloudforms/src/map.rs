//! A VM or a hypervisor of ManageIQ as a [`Machine`]: pure, total, and the only place that knows its words.
//!
//! Not the reading of answers (`api`) and not the choice of machines (the core's selector). Nothing here is ever
//! `Terminated`: a VM that its manager no longer shows is archived, and comes back with the manager.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use fetcher_core::machine::{
    Address, AddressType, Hardware, IdScope, Interface, Interner, Life, Location, Machine, Os,
    Owner, State, Text, TextMap,
};
use jiff::Timestamp;

use crate::api::{Hypervisor, Named, Vm};

/// The facts a machine has beside the common ones, as keys of the selector.
pub(crate) const FACTS: &[&str] = &[
    "cluster",
    "connection-state",
    "hypervisor",
    "kind",
    "maintenance",
    "manager",
    "manager-ref",
    "name",
    NOT_ON,
];

/// The fact of a machine that is not switched on: the name of its appliance, because each appliance has its own say in
/// whether such machines are wanted. It is recorded either way, so that a change of that is known for what it is.
pub(crate) const NOT_ON: &str = "not-on";

/// Makers whose id of a VM is its SMBIOS UUID.
const UUID_IS_SMBIOS: &[&str] = &["vmware", "redhat", "ovirt"];

/// Whether the appliance counts the VM as there: under a manager, not retired, no template. What it archived,
/// orphaned or retired is absent.
pub(crate) fn is_listed(vm: &Vm) -> bool {
    let under_manager = || {
        is_set(vm.ems_id.as_deref())
            && [vm.retired, vm.archived, vm.orphaned].iter().all(|flag| *flag != Some(true))
    };
    vm.template != Some(true) && vm.active.unwrap_or_else(under_manager)
}

/// Whether the VM is switched on by its manager's word.
pub(crate) fn is_on(vm: &Vm) -> bool {
    vm.power_state.as_deref() == Some("on")
}

/// The VM as a machine; none without a guid, which is the identity.
pub(crate) fn vm(vm: &Vm, texts: &mut Interner) -> Option<Machine> {
    let vendor = vm.vendor.as_deref();
    let addresses = addresses(vm.ipaddresses.iter().flatten().flatten().map(String::as_str));
    let names = hostnames(vm.hostnames.iter().flatten().flatten().map(String::as_str));
    let connection = vm.connection_state.as_deref();
    Some(Machine {
        id: own(vm.guid.as_deref())?,
        id_scope: IdScope::Source,
        life: Life::Alive,
        state: state(vm.power_state.as_deref(), connection),
        provider_state: provider_state(vm.power_state.as_deref(), connection, texts),
        hostname: name(&names, &addresses, vm.name.as_deref()),
        addresses: with_names(addresses, &names),
        location: location(vm, texts),
        hardware: Hardware {
            kind: named(vm.flavor.as_ref(), texts),
            cpus: vm.cpu_total_cores.or(vm.num_cpu).filter(|&cpus| cpus > 0),
            memory_bytes: vm.ram_size.filter(|&mb| mb > 0).and_then(|mb| mb.checked_mul(1 << 20)),
            uuid: vendor
                .filter(|vendor| UUID_IS_SMBIOS.contains(vendor))
                .and_then(|_| uuid(vm.uid_ems.as_deref()?)),
            vendor: text(vendor, texts),
            ..Hardware::default()
        },
        os: Os {
            name: vm
                .operating_system
                .as_ref()
                .and_then(|os| known(os.product_name.as_deref(), texts)),
            ..Os::default()
        },
        interfaces: interfaces(vm.mac_addresses.iter().flatten().flatten().map(String::as_str)),
        owner: Owner { tenant: named(vm.tenant.as_ref(), texts), ..Owner::default() },
        tags: tags(vm.tags.as_deref().unwrap_or_default(), texts),
        facts: facts(
            &[
                ("cluster", vm.ems_cluster_name.as_deref()),
                ("connection-state", connection),
                ("hypervisor", vm.host_name.as_deref()),
                ("kind", Some("vm")),
                ("manager", name_of(vm.ext_management_system.as_ref())),
                ("manager-ref", vm.ems_ref.as_deref()),
                ("name", vm.name.as_deref()),
            ],
            texts,
        ),
        created_at: time(vm.ems_created_on.as_deref()).or_else(|| time(vm.created_on.as_deref())),
        launched_at: time(vm.boot_time.as_deref()),
    })
}

/// The hypervisor as a machine; none without a guid.
pub(crate) fn hypervisor(host: &Hypervisor, texts: &mut Interner) -> Option<Machine> {
    let mut addresses = addresses(host.ipaddress.as_deref().into_iter());
    let names = hostnames(host.hostname.as_deref().into_iter());
    let connection = host.connection_state.as_deref();
    let hostname = name(&names, &addresses, host.name.as_deref());
    if let Some(bmc) = host.ipmi_address.as_deref().and_then(|text| text.trim().parse().ok()) {
        let bmc: IpAddr = bmc;
        let address = bmc.to_string().into();
        addresses.push(Address { kind: AddressType::ManagementIP, address });
    }
    Some(Machine {
        id: own(host.guid.as_deref())?,
        id_scope: IdScope::Source,
        life: Life::Alive,
        state: state(host.power_state.as_deref(), connection),
        provider_state: provider_state(host.power_state.as_deref(), connection, texts),
        hostname,
        addresses: with_names(addresses, &names),
        location: Location::default(),
        hardware: Hardware {
            vendor: text(host.vmm_vendor.as_deref(), texts),
            serial: own(host.service_tag.as_deref()),
            uuid: host.uid_ems.as_deref().and_then(uuid),
            ..Hardware::default()
        },
        os: Os {
            name: known(host.vmm_product.as_deref(), texts),
            version: text(host.vmm_version.as_deref(), texts),
            image: None,
        },
        interfaces: interfaces(host.mac_address.as_deref().into_iter()),
        owner: Owner::default(),
        tags: tags(host.tags.as_deref().unwrap_or_default(), texts),
        facts: facts(
            &[
                ("cluster", host.ems_cluster_name.as_deref()),
                ("connection-state", connection),
                ("kind", Some("hypervisor")),
                ("maintenance", host.maintenance.filter(|&on| on).map(|_| "true")),
                ("manager", name_of(host.ext_management_system.as_ref())),
                ("manager-ref", host.ems_ref.as_deref()),
                ("name", host.name.as_deref()),
            ],
            texts,
        ),
        created_at: time(host.created_on.as_deref()),
        launched_at: None,
    })
}

/// The power states of all kinds of managers. A transition counts as where it leads; a machine that its manager
/// has no connection to is `Unknown`, whatever it was last.
fn state(power: Option<&str>, connection: Option<&str>) -> State {
    if is_disconnected(connection) {
        return State::Unknown;
    }
    match power.unwrap_or_default() {
        "on" | "powering_up" | "reboot_in_progress" | "maintenance" => State::Running,
        "off" | "suspended" | "paused" | "powering_down" | "shelved" | "shelved_offloaded"
        | "standby" => State::Stopped,
        "wait_for_launch" => State::Provisioning,
        "non_operational" => State::Failed,
        // `unknown`, `never`, `archived`, `terminated` (said of Amazon's "unknown" too), and words not known.
        _ => State::Unknown,
    }
}

fn is_disconnected(connection: Option<&str>) -> bool {
    connection.is_some_and(|word| is_set(Some(word)) && word != "connected")
}

fn provider_state(
    power: Option<&str>,
    connection: Option<&str>,
    texts: &mut Interner,
) -> Option<Text> {
    text(if is_disconnected(connection) { connection } else { power }, texts)
}

/// Usable addresses, IPv4 before IPv6, those of the world before inner ones, then in numerical order: the appliance
/// promises none. Left out: link-local, loopback, multicast and unspecified ones.
fn addresses<'a>(all: impl Iterator<Item = &'a str>) -> Vec<Address> {
    let mut usable: BTreeSet<(bool, bool, IpAddr)> = BTreeSet::new();
    for ip in all.filter_map(|text| text.trim().parse::<IpAddr>().ok()).map(|ip| ip.to_canonical())
    {
        if !is_local(ip) {
            usable.insert((ip.is_ipv6(), is_inner(ip), ip));
        }
    }
    usable
        .into_iter()
        .map(|(_, inner, ip)| Address {
            kind: if inner { AddressType::InternalIP } else { AddressType::ExternalIP },
            address: ip.to_string().into(),
        })
        .collect()
}

fn is_local(ip: IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    link_local || ip.is_loopback() || ip.is_multicast() || ip.is_unspecified()
}

/// RFC 1918, RFC 6598 (behind a carrier's NAT) and RFC 4193.
fn is_inner(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

/// The names the guest tools saw, whole ones (with a dot) first, then in alphabetical order.
fn hostnames<'a>(all: impl Iterator<Item = &'a str>) -> Vec<String> {
    let named = all.map(|name| name.trim().trim_end_matches('.').to_ascii_lowercase());
    let named = named
        .filter(|name| !name.is_empty() && name != "localhost" && !name.starts_with("localhost."));
    let sorted: BTreeSet<_> = named.map(|name| (!name.contains('.'), name)).collect();
    sorted.into_iter().map(|(_, name)| name).collect()
}

/// What the machine goes by: a host name, else an address, else its name at the appliance.
fn name(names: &[String], addresses: &[Address], name: Option<&str>) -> Option<Text> {
    let host = names.first().map(|name| Text::from(name.as_str()));
    host.or_else(|| Some(addresses.first()?.address.clone())).or_else(|| own(name))
}

fn with_names(mut addresses: Vec<Address>, names: &[String]) -> Vec<Address> {
    let whole = names.iter().filter(|name| name.contains('.'));
    addresses.extend(
        whole.map(|name| Address { kind: AddressType::InternalDNS, address: name.as_str().into() }),
    );
    addresses
}

fn location(vm: &Vm, texts: &mut Interner) -> Location {
    Location {
        zone: named(vm.availability_zone.as_ref(), texts),
        site: text(vm.v_owning_datacenter.as_deref(), texts),
        ..Location::default()
    }
}

fn interfaces<'a>(macs: impl Iterator<Item = &'a str>) -> Vec<Interface> {
    let macs: BTreeSet<_> = macs.map(|mac| mac.trim().to_ascii_lowercase()).collect();
    macs.into_iter()
        .filter(|mac| !mac.is_empty())
        .map(|mac| Interface { name: None, mac: Some(mac.into()) })
        .collect()
}

/// `/managed/environment/prod` is the key `environment` with the value `prod`. Several values of one category are
/// sorted and joined by a comma.
fn tags(all: &[Named], texts: &mut Interner) -> TextMap {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for path in all.iter().filter_map(|tag| tag.name.as_deref()) {
        if let Some((category, value)) =
            path.strip_prefix("/managed/").and_then(|tag| tag.split_once('/'))
            && is_set(Some(category))
        {
            values.entry(category).or_default().insert(value);
        }
    }
    let join = |values: BTreeSet<&str>| values.into_iter().collect::<Vec<_>>().join(",");
    values.into_iter().map(|(key, values)| (texts.text(key), texts.text(&join(values)))).collect()
}

fn facts(all: &[(&str, Option<&str>)], texts: &mut Interner) -> TextMap {
    let known = all.iter().filter_map(|(key, value)| Some((texts.text(key), text(*value, texts)?)));
    known.collect()
}

/// A UUID as such, in lower case; another id is none.
fn uuid(text: &str) -> Option<Text> {
    let text = text.trim().to_ascii_lowercase();
    let groups: Vec<_> = text.split('-').map(str::len).collect();
    let hex = text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit());
    (hex && groups == [8, 4, 4, 4, 12]).then(|| text.into())
}

fn time(text: Option<&str>) -> Option<Timestamp> {
    text?.trim().parse().ok()
}

fn is_set(text: Option<&str>) -> bool {
    text.is_some_and(|text| !text.trim().is_empty())
}

fn name_of(named: Option<&Named>) -> Option<&str> {
    named?.name.as_deref()
}

fn named(named: Option<&Named>, texts: &mut Interner) -> Option<Text> {
    text(name_of(named), texts)
}

/// A text that other machines are likely to share.
fn text(text: Option<&str>, texts: &mut Interner) -> Option<Text> {
    texts.some(text?)
}

/// The same, where the appliance writes that it does not know.
fn known(word: Option<&str>, texts: &mut Interner) -> Option<Text> {
    text(word.filter(|word| !word.trim().eq_ignore_ascii_case("unknown")), texts)
}

/// A text of this machine alone.
fn own(text: Option<&str>) -> Option<Text> {
    text.map(str::trim).filter(|text| !text.is_empty()).map(Text::from)
}

#[cfg(test)]
mod tests;
