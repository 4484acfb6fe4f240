//! What each VM and hypervisor of ManageIQ becomes, one sentence a test.

use fetcher_core::machine::{AddressType, Interner, Life, Machine, State};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::is_listed;
use crate::api::{Hypervisor, Page, Vm};

fn wire(mut vm: Value) -> Vm {
    if vm.get("id").is_none() {
        vm["id"] = json!("10000000000042");
    }
    if vm.get("guid").is_none() {
        vm["guid"] = json!("b2f3c9d0");
    }
    serde_json::from_value(vm).unwrap()
}

fn machine(vm: Value) -> Machine {
    super::vm(&wire(vm), &mut Interner::default()).unwrap()
}

fn addresses(ips: &[&str]) -> Vec<String> {
    let machine = machine(json!({ "ipaddresses": ips }));
    machine.addresses.iter().map(|ip| format!("{:?} {}", ip.kind, ip.address)).collect()
}

fn tags(names: &[&str]) -> Vec<String> {
    let tags: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
    let machine = machine(json!({ "tags": tags }));
    machine.tags.iter().map(|(key, value)| format!("{key}={value}")).collect()
}

#[test]
fn the_documented_sample_maps_as_recorded() {
    let page: Page<Vm> = serde_json::from_str(include_str!("../../fixtures/vms.json")).unwrap();
    let map = |vm| super::vm(vm, &mut Interner::default());
    insta::assert_debug_snapshot!(page.resources.iter().map(map).collect::<Vec<_>>());
}

#[test]
fn a_hypervisor_maps_as_recorded() {
    let host: Hypervisor = serde_json::from_value(json!({
        "id": "10000000000007", "guid": "5f0c", "name": "esx07", "hostname": "ESX07.dc1.example.com",
        "ipaddress": "10.30.0.7", "ipmi_address": "10.31.0.7", "mac_address": "00:50:56:00:00:07",
        "vmm_vendor": "vmware", "vmm_product": "ESXi", "vmm_version": "8.0.3", "power_state": "on",
        "connection_state": "connected", "maintenance": true, "service_tag": "CZ1234",
        "uid_ems": "4C4C4544-0042-3510-8050-B4C04F565931", "ems_id": "3", "ems_cluster_name": "prod-a",
        "ext_management_system": {"name": "vc-dc1"}, "created_on": "2024-11-05T14:02:10Z"}))
    .unwrap();
    insta::assert_debug_snapshot!(super::hypervisor(&host, &mut Interner::default()));
}

#[test]
fn a_link_local_v6_first_is_no_address_and_v4_comes_first() {
    assert_eq!(
        addresses(&["fe80::250:56ff:fe91:1", "2001:db8:30::21", "10.30.4.21"]),
        ["InternalIP 10.30.4.21", "ExternalIP 2001:db8:30::21"]
    );
}

#[test]
fn addresses_that_reach_nothing_are_left_out() {
    assert_eq!(
        addresses(&["127.0.0.1", "::1", "169.254.7.7", "0.0.0.0", "ff02::1", "nonsense", ""]),
        [""; 0]
    );
}

#[test]
fn an_address_of_the_world_comes_before_an_inner_one_and_each_once() {
    assert_eq!(
        addresses(&["100.64.0.9", "10.0.0.9", "203.0.113.9", "10.0.0.9", "fd00::9"]),
        [
            "ExternalIP 203.0.113.9",
            "InternalIP 10.0.0.9",
            "InternalIP 100.64.0.9",
            "InternalIP fd00::9"
        ]
    );
}

#[test]
fn a_name_is_the_host_name_then_an_address_then_the_vms_name() {
    let vm = json!({"name": "vm-7", "hostnames": ["localhost", "db", "DB.example.com."],
        "ipaddresses": ["10.0.0.7"]});
    assert_eq!(machine(vm).hostname.as_deref(), Some("db.example.com"));
    let vm = json!({"name": "vm-7", "hostnames": [], "ipaddresses": ["fe80::1", "10.0.0.7"]});
    assert_eq!(machine(vm).hostname.as_deref(), Some("10.0.0.7"));
    assert_eq!(machine(json!({"name": "vm-7"})).hostname.as_deref(), Some("vm-7"));
    assert_eq!(machine(json!({})).hostname, None);
}

#[test]
fn a_whole_host_name_is_an_internal_dns_name_too() {
    let machine = machine(json!({"hostnames": ["db", "db.example.com"]}));
    let names: Vec<_> = machine.addresses.iter().map(|it| (it.kind, &*it.address)).collect();
    assert_eq!(names, [(AddressType::InternalDNS, "db.example.com")]);
}

#[test]
fn null_vendor_and_missing_ipaddresses_are_a_machine_without_them() {
    let machine = machine(json!({"vendor": null, "type": null, "location": null, "tags": null,
        "hostnames": null, "ext_management_system": null}));
    assert_eq!(machine.hardware.vendor, None);
    assert!(machine.addresses.is_empty() && machine.tags.is_empty());
}

#[test]
fn nulls_within_lists_are_passed_over() {
    let machine = machine(json!({"hostnames": [null, "a.b"], "ipaddresses": [null],
        "mac_addresses": [null, "00:50:56:91:00:01"], "tags": [{"name": null}]}));
    assert_eq!(machine.hostname.as_deref(), Some("a.b"));
    assert_eq!(machine.interfaces.len(), 1);
}

#[test]
fn every_power_state_has_its_word_and_none_is_an_end() {
    let expect = [
        ("on", State::Running),
        ("off", State::Stopped),
        ("suspended", State::Stopped),
        ("paused", State::Stopped),
        ("powering_up", State::Running),
        ("powering_down", State::Stopped),
        ("reboot_in_progress", State::Running),
        ("shelved", State::Stopped),
        ("shelved_offloaded", State::Stopped),
        ("wait_for_launch", State::Provisioning),
        ("non_operational", State::Failed),
        ("unknown", State::Unknown),
        ("never", State::Unknown),
        ("terminated", State::Unknown),
        ("archived", State::Unknown),
        ("levitating", State::Unknown),
    ];
    for (word, state) in expect {
        let machine = machine(json!({ "power_state": word }));
        assert_eq!((machine.state, machine.life), (state, Life::Alive), "{word}");
        assert_eq!(machine.provider_state.as_deref(), Some(word));
    }
}

#[test]
fn a_disconnected_vm_is_unknown_whatever_it_was_last() {
    let machine = machine(json!({"power_state": "on", "connection_state": "disconnected"}));
    assert_eq!((machine.state, machine.life), (State::Unknown, Life::Alive));
    assert_eq!(machine.provider_state.as_deref(), Some("disconnected"));
}

#[test]
fn archived_orphaned_retired_vms_and_templates_are_not_listed() {
    let listed = |vm: Value| is_listed(&wire(vm));
    assert!(listed(json!({"active": true, "ems_id": "3"})));
    assert!(listed(json!({"ems_id": "3"})), "an appliance that leaves `active` out");
    assert!(!listed(json!({"active": false, "ems_id": "3"})));
    assert!(!listed(json!({"active": true, "ems_id": "3", "template": true})));
    assert!(!listed(json!({"ems_id": null, "archived": true})));
    assert!(!listed(json!({"ems_id": "3", "orphaned": true})));
    assert!(!listed(json!({"ems_id": "3", "retired": true})));
    assert!(!listed(json!({})));
}

#[test]
fn categories_become_keys_and_several_values_are_joined_in_order() {
    assert_eq!(
        tags(&["/managed/environment/prod", "/managed/site/b", "/managed/site/a"]),
        ["environment=prod", "site=a,b"]
    );
}

#[test]
fn tags_of_another_namespace_or_shape_are_passed_over() {
    assert_eq!(tags(&["/user/x/y", "/managed/only", "/managed//x", "managed/a/b", ""]), [""; 0]);
}

#[test]
fn only_a_uuid_of_a_maker_that_means_smbios_is_one() {
    let uuid = |vendor: &str, id: &str| {
        machine(json!({"vendor": vendor, "uid_ems": id})).hardware.uuid.map(|it| it.to_string())
    };
    let id = "4211AA00-1122-3344-5566-778899AABBCC";
    assert_eq!(uuid("vmware", id), Some(id.to_ascii_lowercase()));
    assert_eq!(uuid("openstack", id), None);
    assert_eq!(uuid("vmware", "vm-1042"), None);
}

#[test]
fn memory_is_in_bytes_and_cores_win_over_sockets() {
    let hardware = machine(json!({"ram_size": 8192, "num_cpu": 2, "cpu_total_cores": 8})).hardware;
    assert_eq!((hardware.memory_bytes, hardware.cpus), (Some(8 << 30), Some(8)));
    let hardware = machine(json!({"ram_size": 0, "num_cpu": 0})).hardware;
    assert_eq!((hardware.memory_bytes, hardware.cpus), (None, None));
    let hardware = machine(json!({"ram_size": u64::MAX})).hardware;
    assert_eq!(hardware.memory_bytes, None);
}

#[test]
fn a_vm_without_a_guid_is_no_machine() {
    assert_eq!(super::vm(&wire(json!({"guid": " "})), &mut Interner::default()), None);
}

proptest! {
    #[test]
    fn any_text_as_a_page_is_a_page_or_an_error_and_never_a_panic(text in "\\PC*") {
        let _ = serde_json::from_str::<Page<Vm>>(&text);
        let _ = serde_json::from_str::<Page<Hypervisor>>(&text);
    }

    #[test]
    fn every_vm_with_a_guid_is_a_machine_of_that_id(
        guid in "[a-f0-9-]{1,36}", word in prop::option::of("\\PC{0,20}"), ip in "[0-9a-f.:]{0,20}",
        name in "\\PC{0,20}", tag in "/?(managed/)?\\PC{0,20}", number in any::<u64>(),
    ) {
        let vm = json!({"guid": guid, "name": name, "vendor": word, "power_state": word, "connection_state": word,
            "hostnames": [name, word], "ipaddresses": [ip, name], "mac_addresses": [word], "uid_ems": word,
            "ram_size": number, "tags": [{"name": tag}], "boot_time": name, "created_on": word});
        let machine = machine(vm);
        prop_assert_eq!(&*machine.id, guid.as_str());
        prop_assert_eq!(machine.life, Life::Alive);
    }

    #[test]
    fn the_order_of_lists_does_not_matter(
        mut ips in prop::collection::vec("10\\.0\\.0\\.[0-9]|2001:db8::[0-9]|203\\.0\\.113\\.[0-9]", 0..6),
        mut names in prop::collection::vec("[a-c]|[a-c]\\.x", 0..5),
        mut tags in prop::collection::vec("/managed/[ab]/[a-c]", 0..6),
    ) {
        let map = |ips: &[String], names: &[String], tags: &[String]| {
            let tags: Vec<_> = tags.iter().map(|name| json!({"name": name})).collect();
            machine(json!({"ipaddresses": ips, "hostnames": names, "mac_addresses": names, "tags": tags}))
        };
        let one = map(&ips, &names, &tags);
        ips.reverse();
        names.reverse();
        tags.reverse();
        prop_assert_eq!(one, map(&ips, &names, &tags));
    }
}
