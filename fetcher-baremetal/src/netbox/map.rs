//! A device of `NetBox` as a machine: a pure function.
//!
//! Its status is what someone typed: `active` is `Running` because people mean that by it, not because any
//! power was looked at.

use std::collections::BTreeMap;

use fetcher_core::machine::{
    AddressType, Hardware, Interner, Location, Machine, Os, Owner, State, Text, TextMap,
};
use serde_json::Value;

use super::wire::{self, Device, Named};
use crate::normal;
use crate::provider::ONLY_WITH;

/// What the configuration says of how entries are mapped.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) custom_fields: Option<Vec<String>>,
    pub(super) uuid_field: Option<String>,
    /// The setting that virtual machines are shown by, for their facts.
    pub(super) only_with: String,
}

/// The region of each site, by its id.
pub(super) type Regions = BTreeMap<u64, String>;

/// Which of the two lists an entry is from; ids are unique in one of them only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Devices,
    VirtualMachines,
}

impl List {
    /// The word before the number in an id.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Devices => "device",
            Self::VirtualMachines => "vm",
        }
    }

    /// Its path below the base.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Devices => "api/dcim/devices/",
            Self::VirtualMachines => "api/virtualization/virtual-machines/",
        }
    }

    /// The id of the entry of this number.
    pub(super) fn id(self, number: u64) -> Text {
        format!("{}-{number}", self.word()).into()
    }

    /// An id taken apart.
    pub(super) fn of(id: &str) -> Option<(Self, u64)> {
        let (word, number) = id.split_once('-')?;
        let list = [Self::Devices, Self::VirtualMachines].into_iter().find(|l| l.word() == word)?;
        Some((list, number.parse().ok()?))
    }
}

/// The machine that this entry is.
pub(super) fn machine(
    device: &Device,
    list: List,
    regions: &Regions,
    rules: &Rules,
    interner: &mut Interner,
) -> Machine {
    let status = device.status.as_ref().map(|status| status.value.as_str());
    Machine {
        id: list.id(device.id),
        state: state(status.unwrap_or_default()),
        provider_state: status.and_then(|status| interner.some(status)),
        hostname: device.name.as_deref().and_then(|name| interner.some(name)),
        addresses: addresses(device, interner),
        location: location(device, regions, interner),
        hardware: hardware(device, rules, interner),
        os: Os { name: name(device.platform.as_ref(), interner), ..Os::default() },
        owner: Owner { tenant: word(device.tenant.as_ref(), interner), ..Owner::default() },
        tags: tags(device, rules, interner),
        facts: facts(device, list, rules, interner),
        ..Machine::default()
    }
}

/// The choices that `NetBox` comes with; administrators may add others.
fn state(status: &str) -> State {
    match status {
        "active" => State::Running,
        "staged" | "planned" => State::Provisioning,
        "offline" | "inventory" | "paused" => State::Stopped,
        "failed" => State::Failed,
        "decommissioning" => State::Deprovisioning,
        _ => State::Unknown,
    }
}

/// An entry's own address is `InternalIP`, whatever its range: `NetBox` says of translation alone who reaches it from
/// outside.
fn addresses(device: &Device, interner: &mut Interner) -> Vec<fetcher_core::machine::Address> {
    let mut addresses = Vec::new();
    let primary = [&device.primary_ip, &device.primary_ip4, &device.primary_ip6];
    let mut add = |kind, text: Option<String>| {
        if let Some(text) = text {
            normal::add_address(&mut addresses, interner, kind, &text);
        }
    };
    let ip = |text: &str| normal::ip(Some(text)).map(|ip| ip.to_string());
    let inside = |address: &wire::Address| ip(&address.nat_inside.as_ref()?.address);
    for address in primary.into_iter().flatten() {
        let inside = inside(address);
        let is_outside = inside.is_some();
        let kind = if is_outside { AddressType::ExternalIP } else { AddressType::InternalIP };
        add(kind, ip(&address.address));
        add(AddressType::InternalIP, inside);
    }
    for outside in primary.into_iter().flatten().flat_map(|address| &address.nat_outside) {
        add(AddressType::ExternalIP, ip(&outside.address));
    }
    for address in primary.into_iter().flatten() {
        let is_outside = inside(address).is_some();
        let kind = if is_outside { AddressType::ExternalDNS } else { AddressType::InternalDNS };
        add(kind, normal::word(address.dns_name.as_deref()).map(ToOwned::to_owned));
    }
    if let Some(wire::Address { address, .. }) = &device.oob_ip {
        add(AddressType::ManagementIP, ip(address));
    }
    addresses
}

fn location(device: &Device, regions: &Regions, interner: &mut Interner) -> Location {
    let site = device.site.as_ref();
    let region = site.and_then(|site| regions.get(&site.id?));
    Location {
        region: region.and_then(|region| interner.some(region)),
        zone: word(device.location.as_ref(), interner),
        site: word(site, interner),
        rack: name(device.rack.as_ref(), interner),
        position: position(&device.position).and_then(|position| interner.some(&position)),
    }
}

/// `7.0` is unit 7, `7.5` the half above it.
fn position(position: &Value) -> Option<String> {
    position.as_f64().map(|units| units.to_string())
}

fn hardware(device: &Device, rules: &Rules, interner: &mut Interner) -> Hardware {
    let model = device.device_type.as_ref();
    let uuid = rules.uuid_field.as_ref().and_then(|field| device.custom_fields.get(field));
    let vcpus = device.vcpus.as_f64().or_else(|| device.vcpus.as_str()?.parse().ok());
    Hardware {
        kind: model.and_then(|m| interner.some(m.slug.as_deref()?)),
        cpus: normal::cpus(vcpus.and_then(|count: f64| normal::whole(count.ceil()))),
        memory_bytes: normal::bytes(normal::number(Some(&device.memory)), 1024 * 1024),
        serial: normal::word(device.serial.as_deref()).map(|serial| interner.text(serial)),
        uuid: normal::uuid(uuid.and_then(Value::as_str)).map(Into::into),
        vendor: model.and_then(|m| name(m.manufacturer.as_ref(), interner)),
        model: model.and_then(|m| interner.some(m.model.as_deref()?)),
        ..Hardware::default()
    }
}

/// Tags by their slug; custom fields as `cf_NAME`, the name `NetBox` itself filters by.
fn tags(device: &Device, rules: &Rules, interner: &mut Interner) -> TextMap {
    let mut tags = BTreeMap::new();
    for tag in &device.tags {
        normal::add_tag(&mut tags, interner, &tag.slug, "");
    }
    let is_wanted =
        |field: &String| rules.custom_fields.as_ref().is_none_or(|fields| fields.contains(field));
    for (field, value) in device.custom_fields.iter().filter(|(field, _)| is_wanted(field)) {
        if let Some(value) = choice(value) {
            normal::add_tag(&mut tags, interner, &format!("cf_{field}"), &value);
        }
    }
    tags.into()
}

/// A scalar, the value of a choice, or several scalars joined by commas.
fn choice(value: &Value) -> Option<String> {
    match value {
        Value::Array(list) => {
            let all: Option<Vec<_>> = list.iter().map(normal::scalar).collect();
            all.filter(|all| !all.is_empty()).map(|all| all.join(","))
        }
        Value::Object(map) => normal::scalar(map.get("value")?),
        scalar => normal::scalar(scalar),
    }
}

fn facts(device: &Device, list: List, rules: &Rules, interner: &mut Interner) -> TextMap {
    let only_with = (list == List::VirtualMachines).then(|| rules.only_with.clone());
    let role = device.role.as_ref().or(device.device_role.as_ref());
    let word = |named: Option<&Named>| named.and_then(Named::word).map(ToOwned::to_owned);
    [
        ("asset-tag", normal::word(device.asset_tag.as_deref()).map(ToOwned::to_owned)),
        ("cluster", word(device.cluster.as_ref())),
        (ONLY_WITH, only_with),
        ("parent", word(device.parent_device.as_ref())),
        ("platform", word(device.platform.as_ref())),
        ("role", word(role)),
        ("system-type", Some(list.word().to_owned())),
        ("virtual-chassis", word(device.virtual_chassis.as_ref())),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((interner.text(key), interner.some(&value?)?)))
    .collect()
}

fn word(named: Option<&Named>, interner: &mut Interner) -> Option<Text> {
    interner.some(named?.word()?)
}

fn name(named: Option<&Named>, interner: &mut Interner) -> Option<Text> {
    interner.some(named?.name.as_deref()?)
}
