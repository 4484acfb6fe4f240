//! Names, labels and bounds.

use super::*;
use crate::machine::{Address, AddressType, Disk};

fn machine(id: &str, id_scope: IdScope) -> Machine {
    Machine { id: id.into(), id_scope, ..Machine::default() }
}

#[test]
fn an_id_that_is_unique_and_valid_is_the_name_as_it_stands() {
    let source = Source::new("aws", &["210987654321", "eu-west-1"]);
    assert_eq!(
        &*name(&source, &machine("i-0a1b2c3d4e5f60718", IdScope::Provider)),
        "aws-i-0a1b2c3d4e5f60718"
    );
    assert_eq!(&**source.name(), "aws-210987654321-eu-west-1");
}

#[test]
fn ids_that_look_alike_get_names_of_their_own() {
    let source = Source::new("baremetal", &["file", "rack-a"]);
    let other = Source::new("baremetal", &["file", "rack-b"]);
    let ids =
        ["R12 u07", "r12-u07", "r12_u07", "R12-U07", "ü", "", &"x".repeat(300), &"x".repeat(301)];
    let mut names: Vec<Text> =
        ids.iter().map(|id| name(&source, &machine(id, IdScope::Source))).collect();
    names.extend(ids.iter().map(|id| name(&other, &machine(id, IdScope::Source))));
    for name in &names {
        assert!(crate::naming::is_label(name) && name.len() <= 63, "{name}");
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn scopes_that_look_alike_are_sources_of_their_own() {
    let scopes: [&[&str]; 5] =
        [&["a", "b-c"], &["a-b", "c"], &["A", "b-c"], &["a", "b_c"], &["a", "b-c "]];
    let mut names: Vec<Text> =
        scopes.iter().map(|parts| Source::new("p", parts).name().clone()).collect();
    assert_eq!(&*names[0], "p-a-b-c");
    names.sort();
    names.dedup();
    assert_eq!(names.len(), scopes.len());
}

#[test]
fn labels_leave_out_what_is_no_label_and_never_rewrite_a_key() {
    let source = Source::new("aws", &["1", "eu"]);
    let mut machine = machine("i-1", IdScope::Provider);
    for (key, value) in
        [("team", "web"), ("env", "a b"), ("bad key", "x"), ("empty", ""), ("other", "x")]
    {
        machine.tags.insert(key.into(), value.into());
    }
    let style = Style { label_tags: ["team", "env", "bad key", "empty"].map(Text::from).to_vec() };
    let labels = labels(&source, &machine, &style);
    let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(
        labels,
        [
            "inventory.fetcher.dev/provider=aws",
            "inventory.fetcher.dev/source=aws-1-eu",
            "tag.inventory.fetcher.dev/empty=",
            "tag.inventory.fetcher.dev/team=web"
        ]
    );
}

/// A machine with everything too long or too much.
fn huge() -> Machine {
    let long: Text = "é".repeat(2000).into();
    let mut machine = machine("i-1", IdScope::Provider);
    machine.hostname = Some(long.clone());
    machine.provider_state = Some(long.clone());
    machine.hardware.architecture = Some(long.clone());
    machine.hardware.uuid = Some(long.clone());
    machine.hardware.cpus = Some(u32::MAX);
    machine.hardware.memory_bytes = Some(u64::MAX);
    machine.hardware.disks =
        vec![Disk { name: Some(long.clone()), size_bytes: Some(u64::MAX), count: Some(0) }; 100];
    machine.addresses = vec![Address { kind: AddressType::ExternalIP, address: long.clone() }; 300];
    machine.addresses[0].address = "".into();
    for number in 0..200 {
        machine.tags.insert(format!("k{number:03}").into(), long.clone());
    }
    machine
}

#[test]
fn what_is_too_long_is_cut_to_the_bounds_of_the_crd_and_counted() {
    let (status, cut) = status(&huge(), Seen::Listed);
    assert!(cut > 500, "{cut}");
    assert_eq!(status.tags.len(), 128);
    assert_eq!(status.hostname.unwrap().chars().count(), 253);
    assert_eq!(crate::desired::status(&machine("a", IdScope::Source), Seen::Listed).1, 0);
}
