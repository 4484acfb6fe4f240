//! Keeping a status within the bounds of the CRD: an apiserver refuses the whole object for one text too long.
//!
//! Cuts, never fails. The numbers are those of the `length` and `maxProperties` of `host` and `machine`; a test holds
//! the two together at the generated schema.

use crate::host::HostStatus;
use crate::machine::{Text, TextMap};

const TEXT: usize = 253;
const SHORT: usize = 63;
const MAP_VALUE: usize = 1024;
const MAP_SIZE: usize = 128;
const LIST: usize = 256;
const DISKS: usize = 64;

/// Cuts what is too long and says how many values were cut or left out.
pub(super) fn keep(status: &mut HostStatus) -> usize {
    let mut cut = 0;
    let HostStatus { location, hardware, os, owner, .. } = status;
    let long = [
        &mut status.provider_state,
        &mut status.hostname,
        &mut location.region,
        &mut location.zone,
        &mut location.site,
        &mut location.rack,
        &mut location.position,
        &mut hardware.kind,
        &mut hardware.serial,
        &mut hardware.vendor,
        &mut hardware.model,
        &mut os.name,
        &mut os.version,
        &mut os.image,
        &mut owner.account,
        &mut owner.project,
        &mut owner.tenant,
    ];
    cut += long.into_iter().map(|text| optional(text, TEXT)).sum::<usize>();
    cut += optional(&mut hardware.architecture, SHORT) + optional(&mut hardware.uuid, SHORT);
    cut += list(&mut hardware.disks, DISKS) + list(&mut status.addresses, LIST);
    cut += list(&mut status.interfaces, LIST);
    cut += hardware.disks.iter_mut().map(|disk| optional(&mut disk.name, TEXT)).sum::<usize>();
    for address in &mut status.addresses {
        cut += text(&mut address.address, TEXT);
    }
    let before = status.addresses.len();
    status.addresses.retain(|address| !address.address.is_empty());
    cut += before - status.addresses.len();
    for interface in &mut status.interfaces {
        cut += optional(&mut interface.name, TEXT) + optional(&mut interface.mac, SHORT);
    }
    cut + map(&mut status.tags) + map(&mut status.facts) + numbers(status)
}

/// Numbers beyond the schema's ranges are no facts but faults of the provider: left out.
fn numbers(status: &mut HostStatus) -> usize {
    const SAFE: u64 = 9_007_199_254_740_991;
    let mut cut = 0;
    let mut check = |wrong: bool| {
        cut += usize::from(wrong);
        !wrong
    };
    let hardware = &mut status.hardware;
    hardware.cpus = hardware.cpus.filter(|&cpus| check(cpus > 1_048_576));
    hardware.memory_bytes = hardware.memory_bytes.filter(|&bytes| check(bytes > SAFE));
    for disk in &mut hardware.disks {
        disk.size_bytes = disk.size_bytes.filter(|&bytes| check(bytes > SAFE));
        disk.count = disk.count.filter(|&count| check(count == 0 || count > 1024));
    }
    cut
}

fn optional(value: &mut Option<Text>, max: usize) -> usize {
    value.as_mut().map_or(0, |value| text(value, max))
}

fn text(value: &mut Text, max: usize) -> usize {
    // Bytes are never fewer than characters: most texts need no counting.
    if value.len() <= max {
        return 0;
    }
    match value.char_indices().nth(max) {
        Some((end, _)) => {
            *value = value[..end].into();
            1
        }
        None => 0,
    }
}

fn list<T>(list: &mut Vec<T>, max: usize) -> usize {
    let cut = list.len().saturating_sub(max);
    list.truncate(max);
    cut
}

fn map(map: &mut TextMap) -> usize {
    if map.len() <= MAP_SIZE && map.iter().all(|(_, value)| value.len() <= MAP_VALUE) {
        return 0;
    }
    let mut cut = map.len().saturating_sub(MAP_SIZE);
    let kept = map.iter().take(MAP_SIZE).map(|(key, value)| {
        let mut value = value.clone();
        cut += text(&mut value, MAP_VALUE);
        (key.clone(), value)
    });
    *map = kept.collect();
    cut
}
