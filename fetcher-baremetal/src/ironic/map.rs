//! A node of Ironic as a machine: a pure function.
//!
//! Ironic knows no address of the operating system: none is made up, and the BMC's is a `ManagementIP`.

use std::collections::BTreeMap;

use fetcher_core::machine::{
    AddressType, Disk, Hardware, Interface, Interner, Location, Machine, Os, Owner, State, TextMap,
};

use super::config::Fields;
use super::place::Place;
use super::wire::{Node, Port};
use crate::normal;
use crate::provider::HIDDEN;

/// The MACs of each node, by its uuid.
pub(super) type Macs = BTreeMap<String, Vec<String>>;

/// Adds the MAC of a port to those of its node.
pub(super) fn add_port(macs: &mut Macs, port: Port) {
    if let (Some(node), Some(mac)) = (port.node_uuid, normal::mac(port.address.as_deref())) {
        macs.entry(node).or_default().push(mac);
    }
}

/// The MACs of each node in order, each once.
pub(super) fn sort(macs: &mut Macs) {
    for of_node in macs.values_mut() {
        of_node.sort_unstable();
        of_node.dedup();
    }
}

/// What the configuration says of where to look.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) tags: Vec<Place>,
    pub(super) fields: Fields,
}

/// Keys of `driver_info` that hold the BMC's address, of all drivers that have had one.
const BMC: &[&str] = &[
    "redfish_address",
    "ipmi_address",
    "ilo_address",
    "irmc_address",
    "drac_address",
    "xclarity_manager_ip",
    "snmp_address",
];

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

/// The machine that this node is.
pub(super) fn machine(node: &Node, macs: &Macs, rules: &Rules, interner: &mut Interner) -> Machine {
    // Missing with microversions below 1.2 only, where it means this.
    let provision = node.provision_state.as_deref().unwrap_or("available");
    let fields = &rules.fields;
    let mut addresses = Vec::new();
    if let Some(ip) = normal::ip(place(fields.address.as_ref(), node).as_deref()) {
        normal::add_address(&mut addresses, interner, AddressType::InternalIP, &ip.to_string());
    }
    let bmc = BMC.iter().find_map(|key| normal::host(node.driver_info.get(key)?.as_str()));
    if let Some(ip) = normal::ip(bmc.as_deref()) {
        normal::add_address(&mut addresses, interner, AddressType::ManagementIP, &ip.to_string());
    }
    Machine {
        id: node.uuid.to_ascii_lowercase().into(),
        state: state(provision, node.power_state.as_deref()),
        provider_state: interner.some(provision),
        hostname: instance_name(node).or(node.name.as_deref()).and_then(|n| interner.some(n)),
        addresses,
        location: location(node, fields, interner),
        hardware: hardware(node, fields, interner),
        os: Os { image: image(node).and_then(|i| interner.some(&i)), ..Os::default() },
        interfaces: interfaces(macs.get(&node.uuid), interner),
        owner: Owner {
            project: node.owner.as_deref().and_then(|o| interner.some(o)),
            tenant: node.lessee.as_deref().and_then(|l| interner.some(l)),
            ..Owner::default()
        },
        tags: tags(node, &rules.tags, interner),
        facts: facts(node, bmc.as_deref(), interner),
        created_at: time(node.created_at.as_deref()),
        launched_at: (provision == "active")
            .then(|| time(node.provision_updated_at.as_deref()))
            .flatten(),
        ..Machine::default()
    }
}

/// All provision states of Ironic (`ironic/common/states.py`); where a workload is on the node, its power counts.
fn state(provision: &str, power: Option<&str>) -> State {
    match provision {
        "enroll" | "verifying" | "inspecting" | "inspect wait" | "adopting" | "deploying"
        | "wait call-back" | "deploy complete" | "deploy hold" | "rebuild" => State::Provisioning,
        // In stock: whatever its power, no workload runs on it.
        "manageable" | "available" => State::Stopped,
        "active" | "rescue" | "rescuing" | "rescue wait" | "unrescuing" | "servicing"
        | "service wait" | "service hold" => match power {
            Some("power on" | "rebooting" | "soft rebooting" | "soft power off") => State::Running,
            Some("power off") => State::Stopped,
            _ => State::Unknown,
        },
        "deleting" | "deleted" | "cleaning" | "clean wait" | "clean hold" => State::Deprovisioning,
        "inspect failed" | "adopt failed" | "deploy failed" | "clean failed" | "error"
        | "rescue failed" | "unrescue failed" | "service failed" => State::Failed,
        _ => State::Unknown,
    }
}

/// The name of the workload, while there is one: after its tear-down the node goes by its own name again.
fn instance_name(node: &Node) -> Option<&str> {
    node.instance_uuid.as_ref()?;
    normal::word(node.instance_info.get("display_name")?.as_str())
}

/// A link may be signed: its query is cut off.
fn image(node: &Node) -> Option<String> {
    let source = normal::word(node.instance_info.get("image_source")?.as_str())?;
    Some(normal::bare_url(source))
}

fn place(place: Option<&Place>, node: &Node) -> Option<String> {
    place?.text(node)
}

fn location(node: &Node, fields: &Fields, interner: &mut Interner) -> Location {
    let mut text =
        |from: &Option<Place>| place(from.as_ref(), node).and_then(|text| interner.some(&text));
    Location {
        region: text(&fields.region),
        zone: text(&fields.zone),
        site: text(&fields.site),
        rack: text(&fields.rack),
        position: text(&fields.position),
    }
}

fn hardware(node: &Node, fields: &Fields, interner: &mut Interner) -> Hardware {
    let property = |key: &str| normal::number(node.properties.get(key));
    let size_bytes = normal::bytes(property("local_gb"), GIB);
    let architecture = node.properties.get("cpu_arch").and_then(serde_json::Value::as_str);
    let uuid = normal::uuid(place(fields.uuid.as_ref(), node).as_deref());
    let kind = node.resource_class.as_deref().and_then(|class| interner.some(class));
    let architecture = normal::word(architecture).and_then(|word| interner.some(word));
    let mut text =
        |from: &Option<Place>| place(from.as_ref(), node).and_then(|text| interner.some(&text));
    Hardware {
        kind,
        architecture,
        cpus: normal::cpus(property("cpus")),
        memory_bytes: normal::bytes(property("memory_mb"), MIB),
        disks: size_bytes
            .map(|size| Disk { size_bytes: Some(size), ..Disk::default() })
            .into_iter()
            .collect(),
        serial: text(&fields.serial),
        uuid: uuid.map(Into::into),
        vendor: text(&fields.vendor),
        model: text(&fields.model),
    }
}

fn interfaces(macs: Option<&Vec<String>>, interner: &mut Interner) -> Vec<Interface> {
    let macs = macs.map(Vec::as_slice).unwrap_or_default();
    macs.iter().map(|mac| Interface { name: None, mac: interner.some(mac) }).collect()
}

fn tags(node: &Node, places: &[Place], interner: &mut Interner) -> TextMap {
    let mut tags = BTreeMap::new();
    for (key, value) in places.iter().flat_map(|place| place.tags(node)) {
        normal::add_tag(&mut tags, interner, &key, &value);
    }
    tags.into()
}

/// No `last_error` and no `reservation`: they come and go within minutes, and each would be a write.
/// A BMC that is known by its name alone is a fact: a name is no address.
fn facts(node: &Node, bmc: Option<&str>, interner: &mut Interner) -> TextMap {
    let flag = |set: bool| set.then_some("true");
    [
        ("bmc", bmc.filter(|bmc| normal::ip(Some(bmc)).is_none())),
        ("conductor-group", node.conductor_group.as_deref()),
        ("driver", node.driver.as_deref()),
        ("fault", node.fault.as_deref()),
        // No list holds a child, and asked for by its uuid it is there.
        (HIDDEN, normal::word(node.parent_node.as_deref()).map(|_| "child")),
        ("instance", node.instance_uuid.as_deref()),
        ("maintenance", flag(node.maintenance)),
        ("node", node.name.as_deref()),
        ("parent", node.parent_node.as_deref()),
        ("power", node.power_state.as_deref()),
        ("protected", flag(node.protected)),
        ("retired", flag(node.retired)),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((interner.text(key), interner.some(value?)?)))
    .collect()
}

fn time(text: Option<&str>) -> Option<jiff::Timestamp> {
    text?.parse().ok()
}
