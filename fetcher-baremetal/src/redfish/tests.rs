//! Redfish as its facts have it: the sample mapped, and the traps played by a server.

use std::sync::Arc;
use std::time::Duration;

use fetcher_core::machine::{Interner, Machine, Source, State};
use fetcher_core::provider::{Fetch, FetchError, Listing, Lookup, Progress};
use fetcher_core::selector::Selector;
use proptest::prelude::*;
use serde_json::{Value, json};
use wiremock::matchers::{basic_auth, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::config::Config;
use super::map::{self, Read};
use crate::provider::{Entry, Kind};

mod counts;
mod partial;
mod sessions;

const SYSTEMS: &str = "/redfish/v1/Systems";

fn one() -> Value {
    json!({"@odata.id": "/redfish/v1/Systems/1", "Id": "1", "Name": "System", "SystemType": "Physical",
        "UUID": "4C4C4544-0042-3410-8056-B4C04F4E3132", "SerialNumber": "CN7016-000A1", "SKU": "7B4VN12",
        "AssetTag": "A-000412", "Manufacturer": "Contoso", "Model": "R3500", "HostName": "dc1-r12-u07.example.net",
        "PowerState": "On", "Status": {"State": "Enabled", "Health": "Warning"}, "BiosVersion": "2.19.1",
        "LastResetTime": "2026-05-03T11:22:33Z",
        "ProcessorSummary": {"Count": 2, "CoreCount": 64, "LogicalProcessorCount": 128},
        "MemorySummary": {"TotalSystemMemoryGiB": 512},
        "EthernetInterfaces": {"@odata.id": "/redfish/v1/Systems/1/EthernetInterfaces"},
        "Links": {"Chassis": [{"@odata.id": "/redfish/v1/Chassis/1U"}]}})
}

fn odd() -> Value {
    json!({"@odata.id": "/redfish/v1/Systems/node-b%201", "Id": "node-b 1", "Name": "Computer System",
        "UUID": "00000000-0000-0000-0000-000000000000", "SerialNumber": null, "HostName": "", "PowerState": "Off",
        "Status": {"State": "StandbyOffline", "Health": null}, "MemorySummary": {"TotalSystemMemoryGiB": 127.5}})
}

fn dpu() -> Value {
    json!({"@odata.id": "/redfish/v1/Systems/DPU.Slot.3", "Id": "DPU.Slot.3", "Name": "SmartNIC", "SystemType": "DPU",
        "PowerState": "On"})
}

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn links(of: &[&str]) -> Vec<Value> {
    of.iter().map(|id| json!({"@odata.id": id})).collect()
}

async fn give(server: &MockServer, at: &str, answer: ResponseTemplate) {
    Mock::given(method("GET")).and(path(at)).respond_with(answer).mount(server).await;
}

/// A service with a root and nothing else.
async fn root() -> MockServer {
    let server = MockServer::start().await;
    let root = json!({"RedfishVersion": "1.18.0", "Systems": {"@odata.id": SYSTEMS},
        "Links": {"Sessions": {"@odata.id": "/redfish/v1/SessionService/Sessions"}}});
    give(&server, "/redfish/v1/", ok(root)).await;
    server
}

/// A service with these systems on one page.
async fn service(systems: &[Value]) -> MockServer {
    let server = root().await;
    let ids: Vec<_> = systems.iter().map(|s| s["@odata.id"].as_str().unwrap()).collect();
    let all = json!({"Members": links(&ids), "Members@odata.count": ids.len()});
    give(&server, SYSTEMS, ok(all)).await;
    for (id, system) in ids.iter().zip(systems) {
        give(&server, id, ok(system.clone())).await;
    }
    server
}

fn endpoint(server: &MockServer, more: &str) -> Entry {
    let yaml = format!("{{endpoints: [{{name: bmc1, url: '{}'}}], {more}}}", server.uri());
    let config: Config = serde_saphyr::from_str(&yaml).unwrap();
    config.build().unwrap().remove(0)
}

async fn listing(entry: &Entry) -> Result<Listing, FetchError> {
    let source = Source::new("baremetal", &["redfish", "bmc1"]);
    let (selector, progress) = (Selector::default(), Progress::default());
    let Kind::Redfish(redfish) = entry.kind() else { panic!("{entry:?}") };
    redfish.fetch(Fetch { source: &source, selector: &selector, progress: &progress }).await
}

async fn fetch(entry: &Entry) -> Result<Vec<Machine>, FetchError> {
    Ok(Arc::unwrap_or_clone(listing(entry).await?.machines))
}

async fn lookup(entry: &Entry, ids: &[&str]) -> (Vec<String>, Vec<String>) {
    let Kind::Redfish(redfish) = entry.kind() else { panic!("{entry:?}") };
    let ids: Vec<_> = ids.iter().map(|id| (*id).into()).collect();
    let Ok(Lookup::Answered { found, missing }) = redfish.lookup(&ids).await else {
        panic!("no answer")
    };
    (
        found.iter().map(|m| m.id.to_string()).collect(),
        missing.iter().map(ToString::to_string).collect(),
    )
}

/// A login whose password is in a file of its own.
fn login(method: &str) -> (String, std::path::PathBuf) {
    let (_, path) = tempfile::NamedTempFile::new().unwrap().keep().unwrap();
    std::fs::write(&path, "S3CRET").unwrap();
    let file = path.display();
    (format!("auth: {{user: ops, method: {method}, password: {{file: '{file}'}}}}"), path)
}

#[tokio::test]
async fn the_sample_of_an_aggregator_is_mapped_whole_over_two_pages() {
    let server = root().await;
    let first = json!({"Members": links(&["/redfish/v1/Systems/1", "/redfish/v1/Systems/node-b%201"]),
        "Members@odata.count": 3, "Members@odata.nextLink": "/redfish/v1/Systems?$skip=2"});
    let second =
        json!({"Members": links(&["/redfish/v1/Systems/DPU.Slot.3"]), "Members@odata.count": 3});
    Mock::given(path(SYSTEMS))
        .and(query_param_is_missing("$skip"))
        .respond_with(ok(first))
        .mount(&server)
        .await;
    Mock::given(path(SYSTEMS))
        .and(query_param("$skip", "2"))
        .respond_with(ok(second))
        .mount(&server)
        .await;
    for system in [one(), odd(), dpu()] {
        give(&server, system["@odata.id"].as_str().unwrap(), ok(system.clone())).await;
    }
    let machines =
        fetch(&endpoint(&server, "tags: {team: core}, location: {site: dc1}")).await.unwrap();
    insta::assert_debug_snapshot!(machines);
}

#[tokio::test]
async fn a_dpu_is_listed_and_found_whether_or_not_it_is_wanted_and_says_by_what_setting() {
    let server = service(&[one(), dpu()]).await;
    let only_with = |all: &[Machine]| -> Vec<_> {
        all.iter().map(|m| m.facts.get("only-with").map(ToString::to_string)).collect()
    };
    let of_dpus = [None, Some("redfish/bmc1/dpus".to_owned())];
    let entry = endpoint(&server, "");
    let all = fetch(&entry).await.unwrap();
    assert_eq!(only_with(&all), of_dpus);
    assert!(all[0].addresses.iter().any(|a| a.address.as_ref() == "127.0.0.1"), "one host alone");
    // It exists, whatever the configuration says of it: found as it was listed, never missing.
    let id = all[1].id.to_string();
    let Kind::Redfish(redfish) = entry.kind() else { panic!("{entry:?}") };
    let answer = redfish.lookup(&[id.as_str().into()]).await.unwrap();
    let Lookup::Answered { found, missing } = answer else { panic!("{answer:?}") };
    assert_eq!((found.as_slice(), missing), (&all[1..], vec![]));
    assert!(redfish.check().await.text.contains(": 1 systems are listed"));
    assert_eq!(redfish.left_out(), of_dpus[1]);
    let wanted = endpoint(&server, "dpus: true");
    assert_eq!(only_with(&fetch(&wanted).await.unwrap()), of_dpus);
    let Kind::Redfish(redfish) = wanted.kind() else { panic!("{wanted:?}") };
    assert_eq!(redfish.left_out(), None);
}

#[tokio::test]
async fn a_hidden_dpu_with_the_uuid_of_its_host_harms_nobody() {
    let mut card = dpu();
    card["UUID"] = one()["UUID"].clone();
    let server = service(&[card, one()]).await;
    let all = fetch(&endpoint(&server, "")).await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].hostname.as_deref(), Some("dc1-r12-u07.example.net"));
}

fn mapped(system: Value, identity: &str) -> Machine {
    mapped_at("10.250.12.7", system, identity)
}

fn mapped_at(bmc: &str, system: Value, identity: &str) -> Machine {
    let read = Read {
        uri: "/redfish/v1/Systems/1".to_owned(),
        system: serde_json::from_value(system).unwrap(),
        ..Read::default()
    };
    let rules = map::Rules {
        name: "bmc1".to_owned(),
        bmc: bmc.to_owned(),
        tags: std::collections::BTreeMap::new(),
        location: fetcher_core::machine::Location::default(),
        identity: serde_json::from_value(json!(identity)).unwrap(),
        dpus: false,
        interfaces: false,
        chassis: false,
    };
    map::machine(&read, true, &rules, &mut Interner::default())
}

#[test]
fn without_a_uuid_maker_and_serial_are_the_identity_and_then_the_address() {
    assert_eq!(mapped(one(), "auto").id.as_ref(), "4c4c4544-0042-3410-8056-b4c04f4e3132");
    let mut system = one();
    system["UUID"] = json!("00000000-0000-0000-0000-000000000000");
    assert_eq!(mapped(system.clone(), "auto").id.as_ref(), "Contoso/CN7016-000A1");
    system["SerialNumber"] = Value::Null;
    assert_eq!(mapped(system, "auto").id.as_ref(), "/redfish/v1/Systems/1");
    assert_eq!(mapped(one(), "serial").id.as_ref(), "Contoso/CN7016-000A1");
    assert_eq!(mapped(one(), "uri").id.as_ref(), "/redfish/v1/Systems/1");
}

#[test]
fn an_empty_host_name_falls_back_to_the_configured_one() {
    assert_eq!(mapped(odd(), "auto").hostname.as_deref(), Some("bmc1"));
    assert_eq!(mapped(one(), "auto").hostname.as_deref(), Some("dc1-r12-u07.example.net"));
}

#[test]
fn the_name_of_a_bmc_is_a_fact_and_only_an_ip_is_an_address() {
    for (bmc, address, fact) in [
        ("10.250.12.7", Some("10.250.12.7"), None),
        ("2001:db8::7", Some("2001:db8::7"), None),
        ("r12-u07.bmc.example.net", None, Some("r12-u07.bmc.example.net")),
    ] {
        let machine = mapped_at(bmc, one(), "auto");
        assert_eq!(machine.addresses.first().map(|a| a.address.as_ref()), address, "{bmc}");
        assert_eq!(machine.facts.get("bmc").map(AsRef::as_ref), fact, "{bmc}");
    }
}

#[test]
fn null_and_missing_are_the_same_and_a_null_power_state_is_unknown() {
    let null = json!({"@odata.id": "/x", "PowerState": null, "Status": null, "UUID": null, "ProcessorSummary": null});
    let (null, missing) = (mapped(null, "auto"), mapped(json!({"@odata.id": "/x"}), "auto"));
    assert_eq!(null, missing);
    assert_eq!(null.state, State::Unknown);
}

#[test]
fn bad_health_does_not_mean_down() {
    let mut system = one();
    system["Status"]["Health"] = json!("Critical");
    assert_eq!(mapped(system, "auto").state, State::Running);
}

#[tokio::test]
async fn boards_that_share_a_uuid_are_an_error_with_the_remedy() {
    let mut other = one();
    other["@odata.id"] = json!("/redfish/v1/Systems/2");
    other["SerialNumber"] = json!("other");
    let server = service(&[one(), other]).await;
    let error = fetch(&endpoint(&server, "")).await.unwrap_err();
    assert!(error.to_string().contains("identity: serial"), "{error}");
    assert_eq!(fetch(&endpoint(&server, "identity: serial")).await.unwrap().len(), 2);
}

#[tokio::test]
async fn interfaces_and_chassis_are_read_if_wanted() {
    let server = service(&[one()]).await;
    let nics = "/redfish/v1/Systems/1/EthernetInterfaces";
    give(
        &server,
        nics,
        ok(json!({"Members": links(&["/redfish/v1/Systems/1/EthernetInterfaces/NIC.1"])})),
    )
    .await;
    let nic = json!({"Id": "NIC.1", "MACAddress": "B4:2E:99:00:12:07", "IPv4Addresses": [{"Address": "10.12.0.7"}],
        "IPv6Addresses": [{"Address": "fe80::1"}, {"Address": "2001:db8::7"}, {"Address": "::"}]});
    give(&server, &format!("{nics}/NIC.1"), ok(nic)).await;
    let chassis = json!({"Location": {"Placement": {"Rack": "R12", "RackOffset": 7}}});
    give(&server, "/redfish/v1/Chassis/1U", ok(chassis)).await;
    let machine =
        fetch(&endpoint(&server, "interfaces: true, chassis: true")).await.unwrap().remove(0);
    assert_eq!(machine.interfaces[0].mac.as_deref(), Some("b4:2e:99:00:12:07"));
    let all: Vec<_> = machine.addresses.iter().map(|a| a.address.as_ref()).collect();
    assert_eq!(all, ["10.12.0.7", "2001:db8::7", "127.0.0.1"]);
    assert_eq!(machine.location.rack.as_deref(), Some("R12"));
    assert_eq!(machine.location.position.as_deref(), Some("7"));
}

#[tokio::test]
async fn busy_html_and_no_answer_are_errors_and_never_an_empty_list() {
    let server = root().await;
    give(&server, SYSTEMS, ResponseTemplate::new(503)).await;
    assert_eq!(fetch(&endpoint(&server, "")).await.unwrap_err().reason(), "unavailable");
    let server = root().await;
    give(&server, SYSTEMS, ResponseTemplate::new(200).set_body_raw("<html>", "text/html")).await;
    assert_eq!(fetch(&endpoint(&server, "")).await.unwrap_err().reason(), "inconsistent");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let yaml = format!("{{endpoints: [{{name: bmc1, url: 'http://{nobody}'}}]}}");
    let config: Config = serde_saphyr::from_str(&yaml).unwrap();
    let entry = config.build().unwrap().remove(0);
    assert_eq!(fetch(&entry).await.unwrap_err().reason(), "unavailable");
}

#[tokio::test]
async fn a_refused_password_is_not_tried_again_until_it_changes_or_an_hour_passed() {
    let server = root().await;
    let right = basic_auth("ops", "n3w");
    Mock::given(path(SYSTEMS))
        .and(right)
        .respond_with(ok(json!({"Members": []})))
        .mount(&server)
        .await;
    let refused = ResponseTemplate::new(401).set_body_json(
        json!({"error": {"code": "Base.1.18.NoValidSession", "message": "not S3CRET"}}),
    );
    Mock::given(path(SYSTEMS)).respond_with(refused).with_priority(9).mount(&server).await;
    let asked = async || {
        let all = server.received_requests().await.unwrap();
        all.iter().filter(|request| request.url.path() == SYSTEMS).count()
    };
    let (auth, file) = login("basic");
    let entry = endpoint(&server, &auth);
    let error = fetch(&entry).await.unwrap_err();
    assert_eq!((error.reason(), asked().await), ("denied", 1));
    assert!(!error.to_string().contains("S3CRET"), "{error}");
    let error = fetch(&entry).await.unwrap_err();
    assert_eq!((error.reason(), asked().await), ("denied", 1));
    assert!(error.to_string().contains("not tried again for an hour"), "{error}");
    assert!(!format!("{entry:?}").contains("S3CRET"));
    std::fs::write(&file, "n3w").unwrap();
    assert_eq!(fetch(&entry).await.unwrap().len(), 0);
    std::fs::write(&file, "S3CRET").unwrap();
    assert!(fetch(&entry).await.is_err());
    assert_eq!(asked().await, 2, "the old one is still the one that was refused");
}

#[test]
fn after_an_hour_a_refused_password_may_be_tried_again() {
    let (auth, _file) = login("basic");
    let yaml = format!("{{endpoints: [{{name: a, url: 'https://127.0.0.1'}}], {auth}}}");
    let config: Config = serde_saphyr::from_str(&yaml).unwrap();
    let auth = super::auth::Auth::new(config.auth);
    let now = tokio::time::Instant::now();
    let credential = auth.credential(now).unwrap().unwrap();
    auth.refuse(&credential, now);
    assert!(auth.credential(now + Duration::from_secs(3599)).is_err());
    assert!(auth.credential(now + Duration::from_secs(3600)).is_ok());
}

#[tokio::test]
async fn no_password_goes_to_what_is_no_redfish() {
    let server = MockServer::start().await;
    give(&server, "/redfish/v1/", ResponseTemplate::new(200).set_body_raw("<html>", "text/html"))
        .await;
    assert!(fetch(&endpoint(&server, &login("basic").0)).await.is_err());
    let all = server.received_requests().await.unwrap();
    assert!(all.iter().all(|request| !request.headers.contains_key("authorization")));
}

#[test]
fn endpoints_need_names_of_their_own() {
    let build = |yaml: &str| {
        let config: Config = serde_saphyr::from_str(yaml).unwrap();
        config.build().map(|entries| entries.len()).map_err(|e| e.to_string())
    };
    assert_eq!(
        build("{endpoints: [{name: a, url: 'https://a'}, {name: b, url: 'https://b'}]}"),
        Ok(2)
    );
    let error = build("{endpoints: [{name: a, url: 'https://a'}, {name: a, url: 'https://b'}]}")
        .unwrap_err();
    assert!(error.contains("\"a\""), "{error}");
    assert!(build("{endpoints: []}").is_err());
}

#[test]
fn a_password_goes_over_https_or_stays_on_this_machine() {
    let auth = "auth: {user: ops, password: {file: /run/p}}";
    let build = |url: &str, own: &str, common: &str| {
        let yaml = format!("{{endpoints: [{{name: a, url: '{url}', {own}}}], {common}}}");
        let config: Config = serde_saphyr::from_str(&yaml).unwrap();
        config.build().map(|_| ()).map_err(|error| error.to_string())
    };
    for here in ["http://localhost:1", "http://127.8.0.1", "http://[::1]:1", "https://192.0.2.2"] {
        assert_eq!(build(here, auth, ""), Ok(()), "{here}");
    }
    for away in ["http://192.0.2.2", "http://bmc.example.net", "http://localhost.example.net"] {
        for (own, common) in [(auth, ""), ("", auth)] {
            let error = build(away, own, common).unwrap_err();
            assert!(error.contains("\"a\"") && error.contains("write https"), "{error}");
        }
        assert_eq!(build(away, "", ""), Ok(()), "nothing to hide");
    }
}

#[test]
fn the_brake_of_an_endpoint_wins_over_the_lists_key_by_key() {
    let yaml =
        "{endpoints: [{name: a, url: 'https://a', gone: {floor: 2}}, {name: b, url: 'https://b'}],
        gone: {maxFraction: 0.5, floor: 9}}";
    let config: Config = serde_saphyr::from_str(yaml).unwrap();
    let all = config.build().unwrap();
    let of = |at: usize| all[at].settings().gone;
    assert_eq!((of(0).max_fraction, of(0).floor), (Some(0.5), Some(2)));
    assert_eq!((of(1).max_fraction, of(1).floor), (Some(0.5), Some(9)));
}

proptest! {
    #[test]
    fn whatever_a_root_and_a_collection_say_no_member_is_lost(
        text in ".{0,30}", ids in proptest::collection::vec("[/a-zA-Z0-9.%-]{1,30}", 0..6), count in any::<i64>(),
        bare in any::<bool>(),
    ) {
        let root = json!({"Systems": {"@odata.id": text}, "Links": text, "UUID": count}).to_string();
        let members: Vec<_> = ids.iter().map(|id| json!({"@odata.id": id, "Name": text})).collect();
        let next = if bare { "@odata.nextLink" } else { "Members@odata.nextLink" };
        let page = json!({"Members": members, "Members@odata.count": count, next: text}).to_string();
        match super::recorded::members(root.as_bytes(), page.as_bytes()) {
            Ok(Some(listed)) => prop_assert_eq!(listed.len(), ids.len()),
            Ok(None) => prop_assert!(false, "the root names its systems"),
            Err(error) => {
                prop_assert!(count < 0, "{}", error);
                prop_assert_eq!(error.reason(), "inconsistent");
            }
        }
    }

    #[test]
    fn no_answer_makes_the_readers_of_root_and_collection_panic(
        root in proptest::collection::vec(any::<u8>(), 0..100),
        page in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let _ = super::recorded::members(&root, &page);
    }

    #[test]
    fn no_system_from_outside_panics(text in ".{0,20}", number in any::<f64>()) {
        let _ = mapped(json!({"UUID": text, "SerialNumber": text, "HostName": text, "PowerState": text, "Status": text,
            "MemorySummary": {"TotalSystemMemoryGiB": number}, "ProcessorSummary": {"CoreCount": number},
            "LastResetTime": text, "Links": [text], "Manufacturer": number}), "auto");
    }
}
