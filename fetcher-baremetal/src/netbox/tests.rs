//! `NetBox` as its facts have it: the sample mapped, and the traps played by a server.

#![expect(clippy::needless_pass_by_value, reason = "json!(…) is written at the call")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fetcher_core::machine::{AddressType, Interner, Machine, Source, State};
use fetcher_core::provider::{Fetch, FetchError, Lookup, Progress};
use proptest::prelude::*;
use serde_json::{Value, json};
use wiremock::matchers::{header, path, query_param};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::config::Config;
use super::map::{self, List, Regions, Rules};
use super::source::NetBox;
use super::wire::{Device, Page};

const SAMPLE: &str = include_str!("../../fixtures/netbox-devices.json");
const DEVICES: &str = "/api/dcim/devices/";

fn mapped(device: Value) -> Machine {
    let device: Device = serde_json::from_value(device).unwrap();
    let rules = Rules::default();
    map::machine(&device, List::Devices, &Regions::new(), &rules, &mut Interner::default())
}

fn device(id: u64, more: Value) -> Value {
    let mut device = json!({"id": id, "name": format!("d{id}"), "status": {"value": "active"},
        "tags": [{"slug": "inventory", "name": "Inventory"}], "primary_ip": null, "custom_fields": {}});
    for (key, value) in more.as_object().unwrap() {
        device[key] = value.clone();
    }
    device
}

/// A server with these devices that cuts the limit to `cut`, filters by `id` and, unless told to ignore it, by `tag`.
struct Devices {
    devices: Vec<Value>,
    cut: usize,
    ignores_filters: bool,
}

impl Respond for Devices {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let all = |key: &str| -> Vec<String> {
            let pairs = request.url.query_pairs();
            pairs.filter(|(k, _)| k == key).map(|(_, value)| value.into_owned()).collect()
        };
        let one = |key: &str| all(key).first().and_then(|n| n.parse::<usize>().ok());
        assert_eq!(all("ordering"), ["id"]);
        let (tags, ids) = (all("tag"), all("id"));
        let has = |device: &Value, tag: &String| {
            device["tags"].as_array().unwrap().iter().any(|t| t["slug"] == **tag)
        };
        let matching: Vec<_> = self
            .devices
            .iter()
            .filter(|d| self.ignores_filters || tags.iter().all(|tag| has(d, tag)))
            .filter(|d| {
                self.ignores_filters || ids.is_empty() || ids.contains(&d["id"].to_string())
            })
            .collect();
        let (offset, limit) = (one("offset").unwrap_or(0), one("limit").unwrap().min(self.cut));
        let page: Vec<_> = matching.iter().skip(offset).take(limit).collect();
        let next = (offset + page.len() < matching.len()).then_some("http://inside:8001/wrong");
        ResponseTemplate::new(200).set_body_json(
            json!({"count": matching.len(), "next": next, "previous": null, "results": page}),
        )
    }
}

async fn serve(devices: Vec<Value>, cut: usize, ignores_filters: bool) -> MockServer {
    let server = MockServer::start().await;
    let answers = Devices { devices, cut, ignores_filters };
    Mock::given(path(DEVICES)).respond_with(answers).mount(&server).await;
    server
}

/// With a token file that holds `token`.
fn netbox_with(server: &MockServer, token: &str, more: &str) -> NetBox {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), token).unwrap();
    let (_, path) = file.keep().unwrap();
    let yaml = format!(
        "{{name: dc1, url: '{}/api/', token: {{file: '{}'}}, http: {{requestsPerSecond: 1000, burst: 100}}, {more}}}",
        server.uri(),
        path.display()
    );
    let config: Config = serde_saphyr::from_str(&yaml).unwrap();
    NetBox::new(config).unwrap()
}

fn netbox(server: &MockServer) -> NetBox {
    netbox_with(server, "0123456789abcdef0123456789abcdef01234567\n", "pageSize: 100")
}

async fn fetch(netbox: &NetBox, selector: &str) -> Result<Vec<Machine>, FetchError> {
    let source = Source::new("baremetal", &["netbox", "dc1"]);
    let (selector, progress) = (selector.parse().unwrap(), Progress::default());
    let request = Fetch { source: &source, selector: &selector, progress: &progress };
    Ok(Arc::unwrap_or_clone(netbox.fetch(request).await?.machines))
}

#[test]
fn the_sample_is_mapped_whole() {
    let sample: Page<Device> = serde_json::from_str(SAMPLE).unwrap();
    let rules = Rules::default();
    let regions = Regions::from([(1, "eu".to_owned())]);
    let mut interner = Interner::default();
    let machines: Vec<_> = sample
        .results
        .iter()
        .map(|d| map::machine(d, List::Devices, &regions, &rules, &mut interner))
        .collect();
    insta::assert_debug_snapshot!(machines);
}

#[test]
fn a_null_name_is_no_hostname() {
    assert_eq!(mapped(device(1, json!({"name": null}))).hostname, None);
}

#[test]
fn addresses_lose_their_prefix_length_and_the_preferred_comes_first() {
    let ip = |text: &str| json!({"address": text, "family": {"value": 4}});
    let machine = mapped(device(
        1,
        json!({"primary_ip": ip("2001:db8::7/64"), "primary_ip4": ip("10.0.0.7/32"),
        "primary_ip6": ip("2001:db8::7/64"), "oob_ip": ip("10.250.0.7/24")}),
    ));
    let all: Vec<_> = machine.addresses.iter().map(|a| (a.kind, a.address.as_ref())).collect();
    assert_eq!(
        all,
        [
            (AddressType::InternalIP, "2001:db8::7"),
            (AddressType::InternalIP, "10.0.0.7"),
            (AddressType::ManagementIP, "10.250.0.7")
        ]
    );
}

#[test]
fn an_outside_address_is_external_whatever_the_shape_of_its_family() {
    let inside = json!({"address": "10.0.0.7/24", "dns_name": "a.example.net",
        "nat_outside": [{"id": 1, "address": "192.0.2.7/32", "family": 4}]});
    let machine = mapped(device(1, json!({"primary_ip": inside})));
    let all: Vec<_> = machine.addresses.iter().map(|a| (a.kind, a.address.as_ref())).collect();
    assert_eq!(
        all,
        [
            (AddressType::InternalIP, "10.0.0.7"),
            (AddressType::ExternalIP, "192.0.2.7"),
            (AddressType::InternalDNS, "a.example.net")
        ]
    );
}

#[test]
fn a_translated_primary_address_is_external_and_the_one_behind_it_internal() {
    let primary = json!({"address": "203.0.113.9/32", "dns_name": "a.example.net",
        "nat_inside": {"id": 1, "address": "10.0.0.9/24", "family": 4}});
    let machine = mapped(device(1, json!({"primary_ip": primary, "primary_ip4": primary})));
    let all: Vec<_> = machine.addresses.iter().map(|a| (a.kind, a.address.as_ref())).collect();
    assert_eq!(
        all,
        [
            (AddressType::ExternalIP, "203.0.113.9"),
            (AddressType::InternalIP, "10.0.0.9"),
            (AddressType::ExternalDNS, "a.example.net")
        ]
    );
    for none in [json!(null), json!("10.0.0.9"), json!({"address": "?"})] {
        let primary = json!({"address": "203.0.113.9/32", "nat_inside": none});
        let machine = mapped(device(1, json!({"primary_ip": primary})));
        assert_eq!(machine.addresses[0].kind, AddressType::InternalIP, "{none}");
    }
}

#[test]
fn a_null_primary_ip_is_no_address_and_v6_only_is_fine() {
    assert!(mapped(device(1, json!({}))).addresses.is_empty());
    let v6 = json!({"primary_ip": {"address": "2001:db8::20/128"}, "primary_ip4": null});
    assert_eq!(mapped(device(1, v6)).addresses[0].address.as_ref(), "2001:db8::20");
}

#[test]
fn an_unknown_status_is_unknown_and_kept_as_it_is() {
    let machine = mapped(device(1, json!({"status": {"value": "burn-in", "label": "Burn-in"}})));
    assert_eq!(
        (machine.state, machine.provider_state.as_deref()),
        (State::Unknown, Some("burn-in"))
    );
}

#[test]
fn the_role_is_read_under_both_of_its_names() {
    for key in ["role", "device_role"] {
        let machine = mapped(device(1, json!({key: {"id": 4, "name": "Web", "slug": "web"}})));
        assert_eq!(machine.facts["role"].as_ref(), "web", "{key}");
    }
}

#[test]
fn custom_fields_are_tags_and_config_context_is_never_read() {
    let machine = mapped(device(
        1,
        json!({"custom_fields": {"env": "prod", "cores": 64, "none": null, "zones": ["a", "b"]},
        "config_context": {"password": "S3CRET"}, "local_context_data": {"password": "S3CRET"}}),
    ));
    let tags: Vec<_> = machine.tags.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(tags, ["cf_cores=64", "cf_env=prod", "cf_zones=a,b", "inventory="]);
    assert!(!format!("{machine:?}").contains("S3CRET"));
}

#[tokio::test]
async fn members_of_one_virtual_chassis_are_machines_of_their_own() {
    let member =
        |id| device(id, json!({"virtual_chassis": {"id": 4, "name": "vc-a"}, "name": "vc-a"}));
    let server = serve(vec![member(1), member(2)], 1000, false).await;
    let machines = fetch(&netbox(&server), "").await.unwrap();
    assert_eq!(
        machines.iter().map(|m| m.id.as_ref()).collect::<Vec<_>>(),
        ["device-1", "device-2"]
    );
}

#[tokio::test]
async fn a_clamped_limit_loses_no_device() {
    let all = (1..=23).map(|id| device(id, json!({}))).collect();
    let server = serve(all, 5, false).await;
    assert_eq!(fetch(&netbox(&server), "").await.unwrap().len(), 23);
}

#[tokio::test]
async fn an_ignored_filter_gives_more_machines_and_the_selector_is_for_the_core() {
    let bare = device(2, json!({"tags": []}));
    let all = vec![device(1, json!({})), bare];
    let honest = serve(all.clone(), 1000, false).await;
    assert_eq!(fetch(&netbox(&honest), "inventory").await.unwrap().len(), 1);
    let ignoring = serve(all, 1000, true).await;
    let machines = fetch(&netbox(&ignoring), "inventory").await.unwrap();
    let selector: fetcher_core::selector::Selector = "inventory".parse().unwrap();
    assert_eq!(machines.iter().filter(|m| selector.matches(*m)).count(), 1);
}

#[test]
fn only_slugs_that_every_wanted_machine_has_are_pushed_down() {
    let pushed = |text: &str| {
        let all = super::api::pushed_down(&text.parse().unwrap());
        all.into_iter().map(|(_, slug)| slug).collect::<Vec<_>>()
    };
    assert_eq!(pushed("inventory,prod-eu"), ["inventory", "prod-eu"]);
    for none in ["!inventory", "cf_env=prod", "env=prod", "Prod", "@site=dc1", "a!=b", ""] {
        assert!(pushed(none).is_empty(), "{none}");
    }
}

/// Page two begins with the last of page one, once: a device was deleted in between.
struct Moves(AtomicUsize, usize);

impl Respond for Moves {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let is_first = request.url.query().unwrap().contains("offset=0");
        let results = if is_first {
            json!([device(1, json!({})), device(2, json!({}))])
        } else if self.0.fetch_add(1, Ordering::SeqCst) < self.1 {
            json!([device(2, json!({}))])
        } else {
            json!([device(3, json!({}))])
        };
        let next = is_first.then_some("next");
        ResponseTemplate::new(200)
            .set_body_json(json!({"count": 3, "next": next, "results": results}))
    }
}

#[tokio::test]
async fn a_duplicate_on_a_page_border_reads_the_list_again_a_bounded_number_of_times() {
    for (moves, whole) in [(1, true), (2, true), (3, false)] {
        let server = MockServer::start().await;
        let answers = Moves(AtomicUsize::new(0), moves);
        Mock::given(path(DEVICES)).respond_with(answers).mount(&server).await;
        let result = fetch(&netbox(&server), "").await;
        assert_eq!(result.as_ref().map(Vec::len).ok(), whole.then_some(3), "{moves}");
        if let Err(error) = result {
            assert_eq!(error.reason(), "inconsistent");
        }
    }
}

#[tokio::test]
async fn each_kind_of_token_has_its_scheme() {
    let v2 = "nbt_abcdefghijkl.0123456789abcdef0123456789abcdef01234567";
    let v1 = "0123456789abcdef0123456789abcdef01234567";
    for (token, scheme) in [(v2, "Bearer"), (v1, "Token")] {
        let server = MockServer::start().await;
        let answers = Devices { devices: vec![], cut: 9, ignores_filters: false };
        Mock::given(header("Authorization", format!("{scheme} {token}")))
            .respond_with(answers)
            .mount(&server)
            .await;
        let netbox = netbox_with(&server, token, "");
        assert_eq!(fetch(&netbox, "").await.unwrap().len(), 0, "{scheme}");
        assert!(!format!("{netbox:?}").contains(token));
    }
}

async fn failing(answer: ResponseTemplate, selector: &str) -> FetchError {
    let server = MockServer::start().await;
    Mock::given(path(DEVICES)).respond_with(answer).mount(&server).await;
    fetch(&netbox(&server), selector).await.unwrap_err()
}

#[tokio::test]
async fn a_tag_that_is_not_there_is_an_error_that_names_it() {
    let answer = ResponseTemplate::new(400).set_body_json(
        json!({"tag": ["Select a valid choice. foo is not one of the available choices."]}),
    );
    let error = failing(answer, "foo").await;
    assert_eq!(error.reason(), "invalid");
    let text = error.to_string();
    assert!(text.contains("foo is not one of") && text.contains("by its slug"), "{text}");
}

#[tokio::test]
async fn a_bad_token_is_a_403_and_denied() {
    let answer = ResponseTemplate::new(403).set_body_json(json!({"detail": "Invalid v2 token"}));
    let error = failing(answer, "").await;
    assert_eq!(error.reason(), "denied");
    assert!(error.to_string().contains("Invalid v2 token"), "{error}");
}

#[tokio::test]
async fn a_login_page_with_200_is_no_empty_list() {
    let answer = ResponseTemplate::new(200).set_body_raw("<html>Log in</html>", "text/html");
    assert_eq!(failing(answer, "").await.reason(), "inconsistent");
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed() {
    let answer = ResponseTemplate::new(301).insert_header("Location", "http://evil.example.net/");
    assert_eq!(failing(answer, "").await.reason(), "inconsistent");
}

#[tokio::test]
async fn an_endless_list_of_empty_pages_ends() {
    let answer =
        ResponseTemplate::new(200).set_body_json(json!({"count": 3, "next": "x", "results": []}));
    assert_eq!(failing(answer, "").await.reason(), "inconsistent");
}

#[tokio::test]
async fn a_lookup_asks_by_id_and_notices_an_ignored_filter() {
    let all = vec![device(1, json!({})), device(2, json!({}))];
    let honest = serve(all.clone(), 1000, false).await;
    let ids = ["device-1".into(), "device-9".into()];
    let Ok(Lookup::Answered { found, missing }) = netbox(&honest).lookup(&ids).await else {
        panic!("no answer")
    };
    assert_eq!(found.iter().map(|m| m.id.as_ref()).collect::<Vec<_>>(), ["device-1"]);
    assert_eq!(missing, ["device-9".into()]);
    let ignoring = serve(all, 1000, true).await;
    assert_eq!(netbox(&ignoring).lookup(&ids).await.unwrap_err().reason(), "inconsistent");
}

#[tokio::test]
async fn virtual_machines_regions_and_interfaces_are_read_if_wanted() {
    let server =
        serve(vec![device(1, json!({"site": {"id": 7, "slug": "dc1"}}))], 1000, false).await;
    let list = |results: Value| {
        let count = results.as_array().unwrap().len();
        ResponseTemplate::new(200)
            .set_body_json(json!({"count": count, "next": null, "results": results}))
    };
    let vm = json!({"id": 1, "name": "vm1", "status": {"value": "paused"}, "tags": [], "vcpus": "1.50", "memory": 2048});
    Mock::given(path("/api/virtualization/virtual-machines/"))
        .respond_with(list(json!([vm])))
        .mount(&server)
        .await;
    let sites = json!([{"id": 7, "slug": "dc1", "region": {"id": 1, "slug": "eu"}}]);
    Mock::given(path("/api/dcim/sites/")).respond_with(list(sites)).mount(&server).await;
    let nics = json!([{"device": {"id": 1}, "name": "eth0", "mac_address": "B4:2E:99:00:12:07"},
        {"device": {"id": 1}, "name": "lo", "mac_address": null}]);
    Mock::given(path("/api/dcim/interfaces/"))
        .and(query_param("device_id", "1"))
        .respond_with(list(nics))
        .mount(&server)
        .await;
    let netbox =
        netbox_with(&server, "t", "virtualMachines: true, regions: true, interfaces: true");
    let machines = fetch(&netbox, "").await.unwrap();
    assert_eq!(machines.iter().map(|m| m.id.as_ref()).collect::<Vec<_>>(), ["device-1", "vm-1"]);
    assert_eq!(machines[0].location.region.as_deref(), Some("eu"));
    assert_eq!(machines[0].interfaces[0].mac.as_deref(), Some("b4:2e:99:00:12:07"));
    assert_eq!((machines[1].hardware.cpus, machines[1].state), (Some(2), State::Stopped));
    assert_eq!(machines[1].facts["only-with"].as_ref(), "netbox/dc1/virtualMachines");
    assert!(machines[0].facts.get("only-with").is_none());
}

proptest! {
    #[test]
    fn no_device_from_outside_panics(name in ".{0,20}", text in ".{0,20}", number in any::<f64>()) {
        let _ = mapped(device(1, json!({"name": name, "serial": text, "position": number, "vcpus": text,
            "primary_ip": {"address": text, "nat_outside": text}, "site": {"slug": name},
            "device_type": text, "custom_fields": {text.clone(): [number], "b": {"value": name}},
            "oob_ip": {"address": name}, "memory": number})));
    }
}
