//! From an EC2 instance to a [`Machine`]; pure, and the only place that knows which field means what.
//!
//! Not DescribeInstanceTypes (see `types`): memory comes from there. Every getter of the SDK may give nothing, and
//! enums may hold words it does not know yet: those survive as they are. The README has the mapping as a table.

use std::net::IpAddr;

use aws_sdk_ec2::types::{Instance, InstanceNetworkInterface};
use fetcher_core::machine::{
    Address, AddressType, Hardware, IdScope, Interface, Interner, Life, Location, Machine, Os,
    Owner, State, Text, TextMap,
};
use jiff::Timestamp;

#[cfg(test)]
mod tests;

/// The facts of an instance beside those that every provider has.
pub(crate) const FACTS: &[&str] = &[
    "dedicated-host",
    "image",
    "lifecycle",
    "manager",
    "name",
    "reason",
    "reason-message",
    "subnet",
    "tenancy",
    "transition-reason",
    "vpc",
];

/// Where an instance was found.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The reservation's owner; the instance itself does not say.
    pub(crate) account: Text,
    /// The client's; it is not in the answer.
    pub(crate) region: Text,
}

/// The machine that `instance` is; none without an instance id.
pub(crate) fn machine(
    place: &Place,
    instance: &Instance,
    interner: &mut Interner,
) -> Option<Machine> {
    let id = instance.instance_id().filter(|id| !id.is_empty())?;
    let word = instance.state().and_then(|state| state.name()).map(|name| name.as_str());
    let (state, life) = state(word.unwrap_or_default());
    let interfaces = in_order(instance.network_interfaces());
    let private_name = text(instance.private_dns_name());
    Some(Machine {
        id: id.into(),
        id_scope: IdScope::Provider,
        life,
        state,
        provider_state: word.and_then(|word| interner.some(word)),
        addresses: addresses(instance, &interfaces, private_name.as_ref()),
        hostname: private_name,
        location: Location {
            region: Some(Text::clone(&place.region)),
            zone: instance
                .placement()
                .and_then(|placement| placement.availability_zone())
                .and_then(|zone| interner.some(zone)),
            ..Location::default()
        },
        hardware: hardware(instance, interner),
        os: os(instance, interner),
        interfaces: interfaces.iter().map(|eni| interface(eni)).collect(),
        owner: Owner { account: Some(Text::clone(&place.account)), ..Owner::default() },
        tags: tags(instance, interner),
        facts: facts(instance, interner),
        created_at: created_at(&interfaces),
        launched_at: instance.launch_time().and_then(timestamp),
    })
}

/// What EC2's word for a state means. (Model: InstanceStateName; the last two are never left again.)
fn state(word: &str) -> (State, Life) {
    match word {
        "pending" => (State::Provisioning, Life::Alive),
        "running" => (State::Running, Life::Alive),
        "stopping" | "stopped" => (State::Stopped, Life::Alive),
        "shutting-down" | "terminated" => (State::Deprovisioning, Life::Terminated),
        _ => (State::Unknown, Life::Alive),
    }
}

/// The network interfaces by device index, the primary one first: EC2 promises no order.
fn in_order(interfaces: &[InstanceNetworkInterface]) -> Vec<&InstanceNetworkInterface> {
    let mut ordered: Vec<_> = interfaces.iter().collect();
    ordered.sort_by_key(|eni| {
        let attachment = eni.attachment();
        let card = attachment.and_then(|attachment| attachment.network_card_index()).unwrap_or(0);
        let device = attachment.and_then(|attachment| attachment.device_index());
        (card, device.unwrap_or(i32::MAX), eni.network_interface_id())
    });
    ordered
}

/// Private v4, then v6, then public v4, each with the primary one first; then the names. An IPv6 address is
/// internal, as in the AWS cloud provider of Kubernetes: whether the world reaches it is a matter of routes.
fn addresses(
    instance: &Instance,
    interfaces: &[&InstanceNetworkInterface],
    private_name: Option<&Text>,
) -> Vec<Address> {
    let mut list = Addresses::default();
    list.add(AddressType::InternalIP, instance.private_ip_address());
    for eni in interfaces {
        list.add(AddressType::InternalIP, eni.private_ip_address());
        let secondary = eni.private_ip_addresses().iter().filter_map(|ip| ip.private_ip_address());
        list.add_sorted(AddressType::InternalIP, secondary);
    }
    list.add(AddressType::InternalIP, instance.ipv6_address());
    for eni in interfaces {
        let v6 = eni.ipv6_addresses().iter().filter_map(|ip| ip.ipv6_address());
        list.add_sorted(AddressType::InternalIP, v6);
    }
    list.add(AddressType::ExternalIP, instance.public_ip_address());
    for eni in interfaces {
        if let Some(of) = eni.association() {
            list.add(AddressType::ExternalIP, of.public_ip());
            list.add(AddressType::ExternalIP, of.carrier_ip());
        }
        let of_secondary = eni.private_ip_addresses().iter().filter_map(|ip| ip.association());
        let public = of_secondary.flat_map(|of| [of.public_ip(), of.carrier_ip()]).flatten();
        list.add_sorted(AddressType::ExternalIP, public);
    }
    if let Some(name) = private_name {
        list.0.push(Address { kind: AddressType::InternalDNS, address: Text::clone(name) });
        list.0.push(Address { kind: AddressType::Hostname, address: Text::clone(name) });
    }
    list.add(AddressType::ExternalDNS, instance.public_dns_name());
    list.0.shrink_to_fit();
    list.0
}

/// Addresses in the order they were added, each once of its kind.
#[derive(Default)]
struct Addresses(Vec<Address>);

impl Addresses {
    fn add(&mut self, kind: AddressType, address: Option<&str>) {
        let Some(address) = address.filter(|address| !address.is_empty()) else { return };
        let known = self.0.iter().any(|known| known.kind == kind && &*known.address == address);
        if !known {
            self.0.push(Address { kind, address: address.into() });
        }
    }

    /// EC2 promises no order inside lists either.
    fn add_sorted<'a>(&mut self, kind: AddressType, addresses: impl Iterator<Item = &'a str>) {
        let mut addresses: Vec<_> = addresses.collect();
        addresses.sort_by_cached_key(|address| (address.parse::<IpAddr>().ok(), *address));
        for address in addresses {
            self.add(kind, Some(address));
        }
    }
}

fn hardware(instance: &Instance, interner: &mut Interner) -> Hardware {
    let cpus = instance.cpu_options().and_then(|options| {
        let cores = u32::try_from(options.core_count()?).ok()?;
        cores.checked_mul(u32::try_from(options.threads_per_core()?).ok()?)
    });
    Hardware {
        kind: instance.instance_type().and_then(|kind| interner.some(kind.as_str())),
        architecture: instance.architecture().and_then(|name| interner.some(name.as_str())),
        cpus: cpus.filter(|&cpus| cpus > 0),
        ..Hardware::default()
    }
}

/// `platform` is there for Windows alone, and spelled `windows` on the wire, `Windows` in the model.
fn os(instance: &Instance, interner: &mut Interner) -> Os {
    let windows = instance
        .platform()
        .is_some_and(|platform| platform.as_str().eq_ignore_ascii_case("windows"))
        .then_some("Windows");
    Os {
        name: instance
            .platform_details()
            .filter(|details| !details.is_empty())
            .or(windows)
            .and_then(|name| interner.some(name)),
        image: instance.image_id().and_then(|image| interner.some(image)),
        version: None,
    }
}

fn interface(eni: &InstanceNetworkInterface) -> Interface {
    Interface {
        name: text(eni.network_interface_id()),
        mac: eni.mac_address().map(str::to_ascii_lowercase).and_then(|mac| text(Some(&mac))),
    }
}

/// Keys and values as they are, `aws:` ones and empty values included.
fn tags(instance: &Instance, interner: &mut Interner) -> TextMap {
    instance
        .tags()
        .iter()
        .filter_map(|tag| {
            let key = tag.key()?;
            Some((interner.text(key), interner.text(tag.value().unwrap_or_default())))
        })
        .collect()
}

fn facts(instance: &Instance, interner: &mut Interner) -> TextMap {
    let placement = instance.placement();
    let manager = instance
        .operator()
        .filter(|operator| operator.managed() == Some(true))
        .map(|operator| operator.principal().unwrap_or("aws"));
    let reason = instance.state_reason();
    let name = instance.tags().iter().find(|tag| tag.key() == Some("Name"));
    // Absent means on demand.
    let lifecycle =
        instance.instance_lifecycle().map_or("on-demand", |lifecycle| lifecycle.as_str());
    [
        ("dedicated-host", placement.and_then(|placement| placement.host_id())),
        ("image", instance.image_id()),
        ("lifecycle", Some(lifecycle)),
        ("manager", manager),
        ("name", name.and_then(|tag| tag.value())),
        ("reason", reason.and_then(|reason| reason.code())),
        ("reason-message", reason.and_then(|reason| reason.message())),
        ("subnet", instance.subnet_id()),
        ("tenancy", placement.and_then(|placement| placement.tenancy()).map(|name| name.as_str())),
        ("transition-reason", instance.state_transition_reason()),
        ("vpc", instance.vpc_id()),
    ]
    .into_iter()
    .filter_map(|(key, value)| {
        let value = interner.some(value?)?;
        Some((interner.text(key), value))
    })
    .collect()
}

/// The first launch: when the primary interface was attached, which stays for life. `launchTime` is the last start.
fn created_at(interfaces: &[&InstanceNetworkInterface]) -> Option<Timestamp> {
    let attachment = interfaces.first()?.attachment()?;
    if attachment.device_index() != Some(0) {
        return None;
    }
    timestamp(attachment.attach_time()?)
}

fn timestamp(time: &aws_smithy_types::DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}

/// A text of this machine alone; none for an empty one.
fn text(text: Option<&str>) -> Option<Text> {
    text.map(str::trim).filter(|text| !text.is_empty()).map(Text::from)
}
