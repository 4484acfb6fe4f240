//! The digest of what a fetcher owns of a Host: one projection, used for what is wanted and for what is observed.
//!
//! It is compared within one process only and never stored, so its value may change with any version. Left out on
//! purpose: what others write, annotations, messages, and the times that the store itself remembers (`firstSeen`,
//! `goneSince`, `lastGone`). Empty, null and absent are the same, times count in whole seconds, lists in one order.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use crate::host::{HostStatus, PRESENT};
use crate::machine::Text;

/// Equal for equal content of ours.
pub type Digest = u64;

/// The digest of our labels (in the order of their keys) and of `status`.
pub fn digest<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>, status: &HostStatus) -> Digest {
    // Every field is named, so that a new one cannot be forgotten here.
    let HostStatus {
        state,
        provider_state,
        hostname,
        addresses,
        location,
        hardware,
        os,
        interfaces,
        owner,
        tags,
        facts,
        created_at,
        launched_at,
        first_seen: _,
        gone_since: _,
        last_gone: _,
        conditions,
        agent: _,
    } = status;
    let hasher = &mut DefaultHasher::new();
    for label in labels {
        label.hash(hasher);
    }
    0xff_u8.hash(hasher);
    state.hash(hasher);
    text(provider_state, hasher);
    text(hostname, hasher);
    sorted(addresses, hasher);
    for place in
        [&location.region, &location.zone, &location.site, &location.rack, &location.position]
    {
        text(place, hasher);
    }
    for part in [
        &hardware.kind,
        &hardware.architecture,
        &hardware.serial,
        &hardware.uuid,
        &hardware.vendor,
        &hardware.model,
    ] {
        text(part, hasher);
    }
    hardware.cpus.hash(hasher);
    hardware.memory_bytes.hash(hasher);
    sorted(&hardware.disks, hasher);
    for part in [&os.name, &os.version, &os.image, &owner.account, &owner.project, &owner.tenant] {
        text(part, hasher);
    }
    sorted(interfaces, hasher);
    tags.hash(hasher);
    facts.hash(hasher);
    created_at.map(Timestamp::as_second).hash(hasher);
    launched_at.map(Timestamp::as_second).hash(hasher);
    for condition in conditions.iter().filter(|condition| condition.kind == PRESENT) {
        (&condition.status, &condition.reason).hash(hasher);
    }
    hasher.finish()
}

fn text(text: &Option<Text>, hasher: &mut impl Hasher) {
    text.as_deref().unwrap_or_default().hash(hasher);
}

fn sorted<T: Ord + Hash>(list: &[T], hasher: &mut impl Hasher) {
    if list.is_sorted() {
        return list.hash(hasher);
    }
    let mut list: Vec<&T> = list.iter().collect();
    list.sort();
    list.hash(hasher);
}
