//! What each device of a Packet API becomes, one sentence a test.

use fetcher_core::machine::{AddressType, Interner, Life, Machine, State};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::api::{Device, DevicePage};

const PROJECT: &str = "c0ffee00-1111-4222-8333-444455556666";

fn page(text: &str) -> Vec<Machine> {
    let page: DevicePage = serde_json::from_str(text).unwrap();
    page.devices
        .iter()
        .map(|device| super::machine(device, PROJECT, &mut Interner::default()))
        .collect()
}

fn machine(mut device: Value) -> Machine {
    if device.get("id").is_none() {
        device["id"] = json!("6f0a1c52");
    }
    let device: Device = serde_json::from_value(device).unwrap();
    super::machine(&device, PROJECT, &mut Interner::default())
}

fn addresses(ips: &Value) -> Vec<String> {
    let machine = machine(json!({"ip_addresses": ips}));
    machine.addresses.iter().map(|ip| format!("{:?} {}", ip.kind, ip.address)).collect()
}

fn tags(tags: &[&str]) -> Vec<String> {
    let machine = machine(json!({ "tags": tags }));
    machine.tags.iter().map(|(key, value)| format!("{key}:{value}")).collect()
}

#[test]
fn the_documented_sample_maps_as_recorded() {
    insta::assert_debug_snapshot!(page(include_str!("../../fixtures/devices.json")));
}

#[test]
fn root_password_present_is_dropped() {
    let text = include_str!("../../fixtures/devices.json");
    assert!(text.contains("MUST-NEVER-BE-STORED"), "the fixture lost its secret");
    let page: DevicePage = serde_json::from_str(text).unwrap();
    let mapped = self::page(text);
    assert!(!format!("{page:?}{mapped:?}").contains("MUST-NEVER-BE-STORED"));
}

#[test]
fn facility_null_leaves_the_site_open_and_the_metro_known() {
    let device = json!({"facility": null, "metro": {"code": "da"}});
    let location = machine(device).location;
    assert_eq!((location.region.as_deref(), location.site.as_deref()), (Some("da"), None));
    let device = json!({"metro": null, "facility": {"code": "am6", "metro": {"code": "am"}}});
    let location = machine(device).location;
    assert_eq!((location.region.as_deref(), location.site.as_deref()), (Some("am"), Some("am6")));
}

#[test]
fn no_ips_is_a_machine_without_addresses() {
    assert!(machine(json!({"ip_addresses": []})).addresses.is_empty());
    assert!(machine(json!({"ip_addresses": null})).addresses.is_empty());
}

#[test]
fn an_elastic_ip_next_to_a_management_ip_comes_second() {
    let elastic =
        json!({"address": "198.51.100.1", "public": true, "management": false, "cidr": 32});
    let born = json!({"address": "203.0.113.77", "public": true, "management": true, "cidr": 31});
    assert_eq!(
        addresses(&json!([elastic, born])),
        ["ExternalIP 203.0.113.77", "ExternalIP 198.51.100.1"]
    );
}

#[test]
fn v6_comes_after_v4_of_the_same_kind_in_its_short_form() {
    let v6 =
        json!({"address": "2001:db8:aa:0::11", "public": true, "management": true, "cidr": 127});
    let v4 = json!({"address": "198.51.100.10", "public": true, "management": true, "cidr": 31});
    let inner = json!({"address": "10.65.12.3", "public": false, "management": true, "cidr": 31});
    assert_eq!(
        addresses(&json!([inner, v6, v4])),
        ["ExternalIP 198.51.100.10", "ExternalIP 2001:db8:aa::11", "InternalIP 10.65.12.3"]
    );
}

#[test]
fn a_disabled_address_a_block_and_a_repeated_one_are_no_addresses() {
    let off = json!({"address": "198.51.100.10", "public": true, "enabled": false});
    let block =
        json!({"address": "203.0.113.16", "network": "203.0.113.16", "cidr": 29, "public": true});
    let one = json!({"address": "10.0.0.2", "network": "10.0.0.2", "cidr": 31, "public": false});
    assert_eq!(addresses(&json!([off, block, one, one])), ["InternalIP 10.0.0.2"]);
}

#[test]
fn no_address_is_taken_for_a_bmc() {
    let all = page(include_str!("../../fixtures/devices.json"));
    let kinds = all.iter().flat_map(|machine| &machine.addresses).map(|ip| ip.kind);
    assert!(kinds.into_iter().all(|kind| kind != AddressType::ManagementIP));
}

#[test]
fn locked_and_spot_with_termination_time_are_facts() {
    let device = json!({"locked": true, "spot_instance": true,
        "termination_time": "2026-03-01T12:00:00+03:00"});
    let facts = machine(device).facts;
    let fact = |key: &str| facts.get(key).map(|value| value.to_string());
    assert_eq!(fact("locked").as_deref(), Some("true"));
    assert_eq!(fact("spot").as_deref(), Some("true"));
    assert_eq!(fact("termination-time").as_deref(), Some("2026-03-01T09:00:00Z"));
    let device = json!({"locked": false, "spot_instance": false, "termination_time": null});
    assert!(machine(device).facts.is_empty());
}

#[test]
fn how_the_network_and_the_boot_are_set_are_facts_without_the_scripts_address() {
    let facts = |device: Value| {
        let facts = machine(device).facts;
        facts.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>()
    };
    let device = json!({"network_frozen": true, "bonding_mode": 4, "always_pxe": true,
        "ipxe_script_url": "https://u:s3cr3t@boot.example.net/x?token=s3cr3t"});
    assert_eq!(facts(device), ["bonding-mode=4", "ipxe=always", "network-frozen=true"]);
    let device =
        json!({"bonding_mode": "active", "always_pxe": false, "ipxe_script_url": "https://boot/x"});
    assert_eq!(facts(device), ["bonding-mode=active", "ipxe=script"]);
    let device = json!({"network_frozen": null, "bonding_mode": null, "always_pxe": null, "ipxe_script_url": ""});
    assert_eq!(facts(device), [""; 0]);
}

#[test]
fn the_type_of_the_network_is_that_of_all_ports_whichever_comes_first() {
    let of = |types: [Option<&str>; 3]| {
        let ports: Vec<_> = types.iter().map(|word| json!({"network_type": word})).collect();
        let facts = machine(json!({ "network_ports": ports })).facts;
        facts.get("network-type").map(ToString::to_string)
    };
    assert_eq!(of([Some("layer3"), None, Some("layer3")]).as_deref(), Some("layer3"));
    assert_eq!(of([Some("layer3"), Some("hybrid"), None]).as_deref(), Some("hybrid,layer3"));
    assert_eq!(of([None, Some(" "), None]), None);
}

#[test]
fn an_address_that_nobody_calls_public_is_an_inner_one() {
    let open = json!({"address": "198.51.100.9", "management": true});
    let public = json!({"address": "198.51.100.10", "public": true});
    assert_eq!(
        addresses(&json!([open, public])),
        ["ExternalIP 198.51.100.10", "InternalIP 198.51.100.9"]
    );
}

#[test]
fn a_time_without_an_offset_is_utc() {
    let at = machine(json!({"created_at": "2025-03-04T10:15:00"})).created_at;
    assert_eq!(at.unwrap().to_string(), "2025-03-04T10:15:00Z");
    assert_eq!(machine(json!({"created_at": "yesterday"})).created_at, None);
}

#[test]
fn every_documented_state_has_its_word() {
    let expect = [
        ("queued", State::Provisioning),
        ("provisioning", State::Provisioning),
        ("reinstalling", State::Provisioning),
        ("active", State::Running),
        ("powering_on", State::Running),
        ("powering_off", State::Stopped),
        ("inactive", State::Stopped),
        ("deprovisioning", State::Deprovisioning),
        ("failed", State::Failed),
    ];
    for (word, state) in expect {
        let machine = machine(json!({ "state": word }));
        assert_eq!(machine.state, state, "{word}");
        assert_eq!(machine.provider_state.as_deref(), Some(word));
        assert_eq!(machine.life, Life::Alive, "{word}: only deleted is an end");
    }
}

#[test]
fn state_deprovisioning_is_still_there_and_deleted_is_the_end() {
    assert_eq!(machine(json!({"state": "deprovisioning"})).life, Life::Alive);
    assert_eq!(machine(json!({"state": "deleted"})).life, Life::Terminated);
}

#[test]
fn an_unknown_state_is_unknown_with_its_word_kept() {
    let machine = machine(json!({"state": "meditating"}));
    assert_eq!((machine.state, machine.life), (State::Unknown, Life::Alive));
    assert_eq!(machine.provider_state.as_deref(), Some("meditating"));
}

#[test]
fn missing_optional_fields_leave_a_machine_with_its_id() {
    let machine = machine(json!({"id": "6f0a1c52"}));
    assert_eq!(&*machine.id, "6f0a1c52");
    assert_eq!((machine.hostname, machine.state), (None, State::Unknown));
}

#[test]
fn a_tag_of_key_and_value_is_split_at_its_first_equals_sign() {
    assert_eq!(tags(&["role=edge", "Team A", "url=a=b"]), ["Team A:", "role:edge", "url:a=b"]);
}

#[test]
fn values_of_one_key_are_sorted_and_joined_whatever_their_order() {
    assert_eq!(tags(&["role=web", "role=edge", "role"]), ["role:edge,web"]);
    assert_eq!(tags(&["role", "role=edge", "role=web"]), ["role:edge,web"]);
}

#[test]
fn a_tag_that_begins_with_an_equals_sign_is_a_key_and_a_blank_one_is_none() {
    assert_eq!(tags(&["=x", "", "  "]), ["=x:"]);
}

#[test]
fn sizes_are_bytes_of_memory_in_1024_and_of_drives_in_1000() {
    let specs = json!({"cpus": [{"count": 2, "type": "Xeon E5 24-Core Processor"}],
        "memory": {"total": "64GB"}, "drives": [{"count": 2, "size": "3.84TB", "type": "NVME"}]});
    let hardware = machine(json!({"plan": {"slug": "n2.xlarge.x86", "specs": specs}})).hardware;
    assert_eq!(hardware.memory_bytes, Some(64 << 30));
    assert_eq!(hardware.disks[0].size_bytes, Some(3_840_000_000_000));
    assert_eq!(hardware.cpus, Some(48));
    assert_eq!(hardware.architecture.as_deref(), Some("x86_64"));
}

#[test]
fn a_size_that_is_none_is_left_out() {
    for total in ["", "GB", "lots", "64", "64PB", "1.x GB", "99999999999999999999GB"] {
        let plan = json!({"specs": {"memory": {"total": total}}});
        assert_eq!(machine(json!({ "plan": plan })).hardware.memory_bytes, None, "{total}");
    }
}

#[test]
fn a_project_known_only_by_its_link_is_read_from_it() {
    let device: Device =
        serde_json::from_value(json!({"id": "a", "project": {"href": "/metal/v1/projects/p1/"}}))
            .unwrap();
    assert_eq!(super::project(&device), Some("p1"));
}

proptest! {
    #[test]
    fn any_text_as_a_page_is_a_page_or_an_error_and_never_a_panic(text in "\\PC*") {
        let _ = serde_json::from_str::<DevicePage>(&text);
    }

    #[test]
    fn every_device_that_parses_keeps_its_id_and_no_field_of_it_panics(
        id in "[a-z0-9-]{1,40}", state in "\\PC*", host in "\\PC*", time in "\\PC{0,30}",
        size in "[0-9.]{0,12}[ A-Za-z]{0,3}", cpu in "\\PC{0,30}", count in any::<u32>(),
        ip in "[0-9a-f.:]{0,20}", cidr in any::<u8>(), tag in prop::collection::vec("\\PC{0,20}", 0..6),
    ) {
        let device = json!({"id": id, "state": state, "hostname": host, "tags": tag,
            "created_at": time, "termination_time": time, "root_password": "s3cr3t", "userdata": "s3cr3t",
            "customdata": {"k": "s3cr3t"}, "user": "s3cr3t",
            "plan": {"slug": size, "specs": {"cpus": [{"count": count, "type": cpu}, {"count": count, "type": "9 cores"}],
                "memory": {"total": size}, "drives": [{"count": count, "size": size}]}},
            "ip_addresses": [{"address": ip, "network": ip, "cidr": cidr}]});
        let machine = machine(device);
        prop_assert_eq!(&*machine.id, id.as_str());
        let shown = format!("{:?}", machine);
        prop_assert!(!shown.contains("s3cr3t"));
    }

    #[test]
    fn the_order_of_tags_addresses_and_ports_does_not_matter(
        mut list in prop::collection::vec("[ab]=?[a-c]?", 0..8),
        mut ips in prop::collection::vec((0_u8..4, any::<Option<bool>>(), any::<bool>()), 0..6),
        mut ports in prop::collection::vec(("(eth|bond)[0-2]", "[0-2]?", prop::option::of("layer[23]")), 0..5),
    ) {
        let ip = |&(last, public, management): &(u8, Option<bool>, bool)|
            json!({"address": format!("10.0.0.{last}"), "public": public, "management": management});
        let port = |(name, mac, network): &(String, String, Option<String>)|
            json!({"name": name, "network_type": network, "data": {"mac": mac}});
        let map = |tags: &[String], ips: &[_], ports: &[_]| machine(json!({"tags": tags,
            "ip_addresses": ips.iter().map(ip).collect::<Vec<_>>(),
            "network_ports": ports.iter().map(port).collect::<Vec<_>>()}));
        let one = map(&list, &ips, &ports);
        list.reverse();
        ips.reverse();
        ports.reverse();
        prop_assert_eq!(one, map(&list, &ips, &ports));
    }
}
