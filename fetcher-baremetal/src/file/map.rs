//! A row of a file as a [`Machine`].
//!
//! Not the checking: what a value may be was settled where it was read. Nothing here can fail.

use fetcher_core::machine::{
    Address, Disk, Hardware, Interface, Interner, Location, Machine, Os, Owner, State, Text,
    TextMap,
};

use super::document::{self, Defaults, Machines, Row, Tags};
use super::short;

/// The machine that a row describes; texts that many machines share are shared.
pub(super) fn machine(row: Row, texts: &mut Interner) -> Machine {
    Machine {
        id: row.id.0.into(),
        state: row.state.map_or(State::Unknown, |word| word.0),
        provider_state: shared(row.provider_state, texts),
        hostname: own(row.name),
        addresses: exactly(row.addresses, |address| map_address(address.0)),
        location: Location {
            region: shared(row.region, texts),
            zone: shared(row.zone, texts),
            site: shared(row.site, texts),
            rack: shared(row.rack, texts),
            position: shared(row.position, texts),
        },
        hardware: hardware(row.hardware, texts),
        os: os(row.os.0, texts),
        interfaces: exactly(row.interfaces, |nic| interface(nic.0, texts)),
        owner: owner(row.owner, texts),
        tags: tags(row.tags, texts),
        facts: facts(row.role, texts),
        created_at: row.created_at,
        launched_at: row.launched_at,
        ..Machine::default()
    }
}

/// Gives every machine what `defaults` say and it does not.
pub(super) fn fill(machines: &mut Machines, defaults: Defaults) {
    let given = template(defaults);
    // A new one: the maps that are replaced here are not to be kept.
    let texts = &mut Interner::default();
    machines.forget_texts();
    for &at in &machines.stateless {
        machines.list[at].state = given.state;
    }
    for machine in &mut machines.list {
        or(&mut machine.provider_state, &given.provider_state);
        or(&mut machine.location.region, &given.location.region);
        or(&mut machine.location.zone, &given.location.zone);
        or(&mut machine.location.site, &given.location.site);
        or(&mut machine.location.rack, &given.location.rack);
        fill_hardware(&mut machine.hardware, &given.hardware);
        // As a whole: another system does not have the default's version.
        if machine.os == Os::default() {
            machine.os.clone_from(&given.os);
        }
        or(&mut machine.owner.account, &given.owner.account);
        or(&mut machine.owner.project, &given.owner.project);
        or(&mut machine.owner.tenant, &given.owner.tenant);
        machine.tags = texts.map(std::mem::take(&mut machine.tags).or(&given.tags));
        machine.facts = texts.map(std::mem::take(&mut machine.facts).or(&given.facts));
    }
}

fn template(defaults: Defaults) -> Machine {
    let row = Row {
        state: defaults.state,
        provider_state: defaults.provider_state,
        role: defaults.role,
        region: defaults.region,
        zone: defaults.zone,
        site: defaults.site,
        rack: defaults.rack,
        hardware: defaults.hardware,
        os: defaults.os,
        owner: defaults.owner,
        tags: defaults.tags,
        ..Row::default()
    };
    machine(row, &mut Interner::default())
}

fn fill_hardware(hardware: &mut Hardware, given: &Hardware) {
    or(&mut hardware.kind, &given.kind);
    or(&mut hardware.architecture, &given.architecture);
    or(&mut hardware.cpus, &given.cpus);
    or(&mut hardware.memory_bytes, &given.memory_bytes);
    or(&mut hardware.vendor, &given.vendor);
    or(&mut hardware.model, &given.model);
    if hardware.disks.is_empty() {
        hardware.disks.clone_from(&given.disks);
    }
}

fn or<T: Clone>(own: &mut Option<T>, given: &Option<T>) {
    if own.is_none() {
        own.clone_from(given);
    }
}

fn map_address(address: short::Address) -> Address {
    Address { kind: address.kind, address: address.address.into() }
}

fn hardware(hardware: document::Hardware, texts: &mut Interner) -> Hardware {
    Hardware {
        kind: shared(hardware.kind, texts),
        architecture: shared(hardware.architecture, texts),
        cpus: hardware.cpus,
        memory_bytes: hardware.memory.map(|size| size.0),
        disks: exactly(hardware.disks, |disk| map_disk(disk.0, texts)),
        serial: own(hardware.serial),
        uuid: own(hardware.uuid.map(|uuid| uuid.to_ascii_lowercase())),
        vendor: shared(hardware.vendor, texts),
        model: shared(hardware.model, texts),
    }
}

fn map_disk(disk: short::Disk, texts: &mut Interner) -> Disk {
    Disk {
        name: shared(disk.name, texts),
        size_bytes: disk.size.map(|size| size.0),
        count: disk.count.map(std::num::NonZero::get),
    }
}

fn os(os: short::Os, texts: &mut Interner) -> Os {
    Os {
        name: shared(os.name, texts),
        version: shared(os.version, texts),
        image: shared(os.image, texts),
    }
}

fn interface(interface: short::Interface, texts: &mut Interner) -> Interface {
    Interface { name: shared(interface.name, texts), mac: interface.mac.map(|mac| mac.0.into()) }
}

fn owner(owner: document::Owner, texts: &mut Interner) -> Owner {
    Owner {
        account: shared(owner.account, texts),
        project: shared(owner.project, texts),
        tenant: shared(owner.tenant, texts),
    }
}

fn tags(tags: Tags, texts: &mut Interner) -> TextMap {
    let tags = tags.0.into_iter().map(|(key, value)| (texts.text(&key), texts.text(&value)));
    let tags = tags.collect();
    texts.map(tags)
}

fn facts(role: Option<String>, texts: &mut Interner) -> TextMap {
    let facts = shared(role, texts).map(|role| (texts.text("role"), role)).into_iter().collect();
    texts.map(facts)
}

/// A list that takes no more room than it needs: to collect in place would keep the room of the row's list.
fn exactly<T, U>(list: Vec<T>, map: impl FnMut(T) -> U) -> Vec<U> {
    let mut exact = Vec::with_capacity(list.len());
    exact.extend(list.into_iter().map(map));
    exact
}

/// A text that other machines have too; none for a blank one.
fn shared(text: Option<String>, texts: &mut Interner) -> Option<Text> {
    texts.some(&text?)
}

/// A text that this machine has alone; none for a blank one.
fn own(text: Option<String>) -> Option<Text> {
    let text = text?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.into())
}
