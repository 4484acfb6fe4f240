//! Ironic as its facts have it: the sample mapped, and the traps played by a server.

#![expect(clippy::needless_pass_by_value, reason = "json!(…) is written at the call")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fetcher_core::machine::{AddressType, Interner, Machine, Source, State};
use fetcher_core::provider::{Fetch, FetchError, Lookup, Progress};
use fetcher_core::selector::Selector;
use proptest::prelude::*;
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::api::Version;
use super::config::{Config, Fields};
use super::map::{self, Macs, Rules};
use super::source::Ironic;
use super::wire::{self, Node, Nodes};
use crate::provider::Kind;

const SAMPLE: &str = include_str!("../../fixtures/ironic-nodes.json");

fn rules() -> Rules {
    let places = ["extra.tags", "extra", "traits"];
    Rules { tags: places.iter().map(|p| p.parse().unwrap()).collect(), fields: Fields::default() }
}

fn mapped(node: Value) -> Machine {
    let node: Node = serde_json::from_value(node).unwrap();
    map::machine(&node, &Macs::new(), &rules(), &mut Interner::default())
}

fn node(uuid: u8, more: Value) -> Value {
    let mut node = json!({"uuid": format!("00000000-0000-4000-8000-0000000000{uuid:02x}"), "name": format!("n{uuid}"),
        "provision_state": "active", "power_state": "power on", "extra": {"tags": ["inventory"]}});
    for (key, value) in more.as_object().unwrap() {
        node[key] = value.clone();
    }
    node
}

fn ironic(server: &MockServer, more: &str) -> Ironic {
    let yaml = format!(
        "{{name: dc1, url: '{}', http: {{requestsPerSecond: 1000, burst: 100}}, pageSize: 2, {more}}}",
        server.uri()
    );
    let config: Config = serde_saphyr::from_str(&yaml).unwrap();
    Ironic::new(config).unwrap()
}

async fn fetch(ironic: &Ironic) -> Result<Vec<Machine>, FetchError> {
    let source = Source::new("baremetal", &["ironic", "dc1"]);
    let (selector, progress) = (Selector::default(), Progress::default());
    let request = Fetch { source: &source, selector: &selector, progress: &progress };
    let listing = ironic.fetch(request).await?;
    Ok(Arc::unwrap_or_clone(listing.machines))
}

/// A server that speaks up to `newest` and answers lists and nodes only to the version that is right for it.
async fn server(newest: &str) -> MockServer {
    let server = MockServer::start().await;
    let versions = ResponseTemplate::new(200)
        .insert_header("X-OpenStack-Ironic-API-Maximum-Version", newest)
        .set_body_json(json!({"id": "v1"}));
    Mock::given(path("/v1/")).respond_with(versions).mount(&server).await;
    server
}

async fn without_ports(server: &MockServer) {
    let none = ResponseTemplate::new(200).set_body_json(json!({"ports": []}));
    Mock::given(path("/v1/ports")).respond_with(none).mount(server).await;
}

fn page(nodes: &[Value], next: bool) -> ResponseTemplate {
    let mut body = json!({"nodes": nodes});
    if next {
        // Of another host, and without the query: following it would be wrong twice.
        body["next"] = json!("http://inside.example.net:6385/v1/nodes?limit=2&marker=x");
    }
    ResponseTemplate::new(200).set_body_json(body)
}

fn no_such_node() -> ResponseTemplate {
    ResponseTemplate::new(404).set_body_json(json!({"error_message":
        "{\"faultcode\": \"Client\", \"faultstring\": \"Node 7e2d could not be found.\", \"debuginfo\": null}"}))
}

#[test]
fn the_sample_is_mapped_whole() {
    let sample: Nodes = serde_json::from_str(SAMPLE).unwrap();
    let macs = Macs::from([(
        "3c1f8b5e-6d0f-4e52-9d4b-0a1b2c3d4e5f".to_owned(),
        vec!["b4:2e:99:00:12:07".to_owned()],
    )]);
    let mut interner = Interner::default();
    let machines: Vec<_> =
        sample.nodes.iter().map(|n| map::machine(n, &macs, &rules(), &mut interner)).collect();
    insta::assert_debug_snapshot!(machines);
}

#[test]
fn no_secret_of_driver_info_or_image_link_is_in_a_machine() {
    let machine = mapped(node(
        1,
        json!({"driver_info": {"redfish_address": "https://root:S3CRET@10.0.0.1", "redfish_password": "S3CRET"},
        "instance_uuid": "x", "instance_info": {"image_source": "https://u:S3CRET@i.example.net/a?sig=S3CRET",
            "configdrive": "S3CRET"}}),
    ));
    assert!(!format!("{machine:?}").contains("S3CRET"), "{machine:?}");
    assert_eq!(machine.os.image.as_deref(), Some("https://i.example.net/a"));
}

#[test]
fn a_null_name_is_no_hostname() {
    assert_eq!(mapped(node(1, json!({"name": null}))).hostname, None);
}

#[test]
fn after_a_tear_down_the_node_goes_by_its_own_name_again() {
    let live = json!({"instance_uuid": "i-1", "instance_info": {"display_name": "web-1"}});
    assert_eq!(mapped(node(1, live)).hostname.as_deref(), Some("web-1"));
    let left = json!({"instance_uuid": null, "instance_info": {"display_name": "web-1"}});
    assert_eq!(mapped(node(1, left)).hostname.as_deref(), Some("n1"));
}

#[test]
fn a_bmc_known_by_its_name_alone_is_a_fact_and_no_address() {
    let bmc = |address: &str| mapped(node(1, json!({"driver_info": {"redfish_address": address}})));
    let named = bmc("https://bmc-7.example.net:8443");
    assert!(named.addresses.is_empty(), "{:?}", named.addresses);
    assert_eq!(named.facts["bmc"].as_ref(), "bmc-7.example.net");
    let numbered = bmc("https://[2001:db8::1]:8443");
    assert_eq!(numbered.addresses[0].kind, AddressType::ManagementIP);
    assert_eq!(numbered.addresses[0].address.as_ref(), "2001:db8::1");
    assert!(numbered.facts.get("bmc").is_none());
}

#[test]
fn a_child_of_a_node_is_hidden() {
    assert!(mapped(node(1, json!({"parent_node": null}))).facts.get("hidden").is_none());
    assert_eq!(mapped(node(1, json!({"parent_node": "p"}))).facts["hidden"].as_ref(), "child");
}

#[test]
fn properties_may_be_text_or_missing() {
    let text = mapped(node(
        1,
        json!({"properties": {"cpus": "32", "memory_mb": "131072", "local_gb": "447"}}),
    ));
    assert_eq!(text.hardware.cpus, Some(32));
    assert_eq!(text.hardware.memory_bytes, Some(131_072 * 1024 * 1024));
    for none in [json!({"properties": {}}), json!({"properties": null})] {
        assert_eq!(mapped(node(1, none)).hardware.cpus, None);
    }
}

#[test]
fn a_null_provision_state_is_available() {
    let machine = mapped(node(1, json!({"provision_state": null})));
    assert_eq!(
        (machine.state, machine.provider_state.as_deref()),
        (State::Stopped, Some("available"))
    );
}

#[test]
fn every_provision_state_has_its_state() {
    let all = [
        "enroll",
        "verifying",
        "manageable",
        "available",
        "inspecting",
        "inspect wait",
        "inspect failed",
        "active",
        "rescue",
        "rescuing",
        "rescue wait",
        "rescue failed",
        "unrescuing",
        "unrescue failed",
        "servicing",
        "service wait",
        "service failed",
        "service hold",
        "adopting",
        "adopt failed",
        "deploying",
        "wait call-back",
        "deploy complete",
        "deploy hold",
        "deploy failed",
        "deleting",
        "deleted",
        "cleaning",
        "clean wait",
        "clean hold",
        "clean failed",
        "error",
        "rebuild",
    ];
    let states: Vec<_> = all
        .iter()
        .map(|state| (*state, mapped(node(1, json!({"provision_state": state}))).state))
        .collect();
    assert!(states.iter().all(|(_, state)| *state != State::Unknown), "{states:?}");
    insta::assert_debug_snapshot!(states);
    assert_eq!(mapped(node(1, json!({"provision_state": "brand new"}))).state, State::Unknown);
}

#[test]
fn of_a_live_node_the_power_counts() {
    for (power, state) in [
        (json!("power on"), State::Running),
        (json!("power off"), State::Stopped),
        (json!("soft power off"), State::Running),
        (Value::Null, State::Unknown),
    ] {
        assert_eq!(mapped(node(1, json!({"power_state": power}))).state, state, "{power}");
    }
}

#[test]
fn tags_come_from_the_configured_places_and_the_first_wins() {
    let machine = mapped(node(
        1,
        json!({"extra": {"tags": ["inventory", "env=prod"], "env": "other", "rack": "R1", "deep": {"a": 1}},
            "traits": ["CUSTOM_GPU"]}),
    ));
    let tags: Vec<_> = machine.tags.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(tags, ["CUSTOM_GPU=", "env=prod", "inventory=", "rack=R1"]);
    assert_eq!(machine.location.rack.as_deref(), Some("R1"));
}

#[test]
fn a_place_that_is_none_is_refused_with_the_words_that_are() {
    let error = "driver_info.x".parse::<super::place::Place>().unwrap_err();
    assert!(error.contains("extra.KEY") && error.contains("traits"), "{error}");
}

#[test]
fn a_double_encoded_error_is_said_in_its_own_words() {
    let twice = br#"{"error_message":"{\"faultcode\": \"Client\", \"faultstring\": \"Node 7e2d could not be found.\"}"}"#;
    assert_eq!(wire::fault(twice).as_deref(), Some("Node 7e2d could not be found."));
    let object = br#"{"error_message":{"faultstring":"locked"}}"#;
    assert_eq!(wire::fault(object).as_deref(), Some("locked"));
    assert_eq!(wire::fault(br#"{"error_message":"plain"}"#).as_deref(), Some("plain"));
    let basic = br#"{"error":{"message":"Incorrect username or password","code":401}}"#;
    assert_eq!(wire::fault(basic).as_deref(), Some("Incorrect username or password"));
    assert_eq!(wire::fault(b"<html>"), None);
}

#[tokio::test]
async fn the_version_header_is_on_every_request_and_pinned() {
    for (newest, asked) in [("1.115", "1.83"), ("1.83", "1.83"), ("1.78", "1.65"), ("1.50", "1.50")]
    {
        let server = server(newest).await;
        let version = || header("X-OpenStack-Ironic-API-Version", asked);
        Mock::given(path("/v1/nodes"))
            .and(version())
            .respond_with(page(&[], false))
            .mount(&server)
            .await;
        let ports = ResponseTemplate::new(200).set_body_json(json!({"ports": []}));
        Mock::given(path("/v1/ports")).and(version()).respond_with(ports).mount(&server).await;
        assert_eq!(fetch(&ironic(&server, "")).await.unwrap().len(), 0, "{newest}");
    }
}

#[tokio::test]
async fn what_an_old_server_lacks_is_told_once_and_again_when_its_version_changes() {
    let server = server("1.78").await;
    without_ports(&server).await;
    Mock::given(path("/v1/nodes")).respond_with(page(&[], false)).mount(&server).await;
    let ironic = ironic(&server, "");
    let version = |newest| Version::of(newest).unwrap();
    assert_eq!(ironic.untold(version(78)).as_deref(), Some("shard, parent_node"));
    assert_eq!(ironic.untold(version(78)), None);
    assert_eq!(ironic.untold(version(115)), None, "it lacks nothing");
    assert!(fetch(&ironic).await.unwrap().is_empty());
    assert_eq!(ironic.untold(version(78)), None, "the listing has told it");
}

#[tokio::test]
async fn a_server_that_is_too_old_or_no_ironic_is_said_so() {
    let error = fetch(&ironic(&server("1.31").await, "")).await.unwrap_err();
    assert!(error.to_string().contains("1.43 is needed"), "{error}");
    let other = MockServer::start().await;
    Mock::given(path("/v1/")).respond_with(ResponseTemplate::new(200)).mount(&other).await;
    let error = fetch(&ironic(&other, "")).await.unwrap_err();
    assert!(error.to_string().contains("does not answer as Ironic does"), "{error}");
}

#[tokio::test]
async fn a_406_names_the_versions_that_the_server_speaks() {
    let server = server("1.115").await;
    without_ports(&server).await;
    let refused = ResponseTemplate::new(406).set_body_json(json!({"error_message":
        "{\"code\": 406, \"title\": \"Not Acceptable\", \"description\": \"The supported version range is: [1.1, 1.60].\"}"}));
    Mock::given(path("/v1/nodes")).respond_with(refused).mount(&server).await;
    let error = fetch(&ironic(&server, "")).await.unwrap_err().to_string();
    assert!(error.contains("The supported version range is: [1.1, 1.60]."), "{error}");
}

#[tokio::test]
async fn pages_are_asked_for_by_our_own_query_and_never_by_next() {
    let server = server("1.115").await;
    without_ports(&server).await;
    let detail = || query_param("detail", "True");
    Mock::given(path("/v1/nodes"))
        .and(detail())
        .and(query_param_is_missing("marker"))
        .respond_with(page(&[node(1, json!({})), node(2, json!({}))], true))
        .mount(&server)
        .await;
    Mock::given(path("/v1/nodes"))
        .and(detail())
        .and(query_param("limit", "2"))
        .and(query_param("marker", "00000000-0000-4000-8000-000000000002"))
        .respond_with(page(&[node(3, json!({}))], false))
        .mount(&server)
        .await;
    assert_eq!(fetch(&ironic(&server, "")).await.unwrap().len(), 3);
}

#[tokio::test]
async fn an_exact_multiple_ends_with_an_empty_page() {
    let server = server("1.115").await;
    without_ports(&server).await;
    Mock::given(path("/v1/nodes"))
        .and(query_param_is_missing("marker"))
        .respond_with(page(&[node(1, json!({})), node(2, json!({}))], true))
        .mount(&server)
        .await;
    Mock::given(path("/v1/nodes"))
        .and(query_param("marker", "00000000-0000-4000-8000-000000000002"))
        .respond_with(page(&[], false))
        .expect(1)
        .mount(&server)
        .await;
    assert_eq!(fetch(&ironic(&server, "")).await.unwrap().len(), 2);
}

/// Answers pages by marker; the first `lost` asked with a marker are 404.
struct LosesMarkers {
    lost: usize,
    asked: AtomicUsize,
}

impl Respond for LosesMarkers {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let marked = request.url.query_pairs().any(|(key, _)| key == "marker");
        if !marked {
            return page(&[node(1, json!({})), node(2, json!({}))], true);
        }
        if self.asked.fetch_add(1, Ordering::SeqCst) < self.lost {
            return no_such_node();
        }
        page(&[node(3, json!({}))], false)
    }
}

#[tokio::test]
async fn a_deleted_marker_starts_the_listing_anew_a_bounded_number_of_times() {
    for (lost, whole) in [(1, true), (3, true), (4, false)] {
        let server = server("1.115").await;
        without_ports(&server).await;
        let answers = LosesMarkers { lost, asked: AtomicUsize::new(0) };
        Mock::given(path("/v1/nodes")).respond_with(answers).mount(&server).await;
        let result = fetch(&ironic(&server, "")).await;
        assert_eq!(result.as_ref().map(Vec::len).ok(), whole.then_some(3), "{lost}");
        if let Err(error) = result {
            assert_eq!(error.reason(), "inconsistent");
        }
    }
}

#[tokio::test]
async fn ports_are_joined_on_the_node_for_its_macs() {
    let server = server("1.115").await;
    let ports = json!({"ports": [
        {"uuid": "p1", "address": "B4:2E:99:00:12:08", "node_uuid": "00000000-0000-4000-8000-000000000001"},
        {"uuid": "p2", "address": "b4:2e:99:00:12:07", "node_uuid": "00000000-0000-4000-8000-000000000001"},
        {"uuid": "p3", "address": "b4:2e:99:00:12:09", "node_uuid": "00000000-0000-4000-8000-000000000009"}]});
    Mock::given(path("/v1/ports"))
        .respond_with(ResponseTemplate::new(200).set_body_json(ports))
        .mount(&server)
        .await;
    Mock::given(path("/v1/nodes"))
        .respond_with(page(&[node(1, json!({})), node(2, json!({}))], false))
        .mount(&server)
        .await;
    let machines = fetch(&ironic(&server, "")).await.unwrap();
    let macs: Vec<_> = machines[0].interfaces.iter().filter_map(|i| i.mac.as_deref()).collect();
    assert_eq!(macs, ["b4:2e:99:00:12:07", "b4:2e:99:00:12:08"]);
    assert!(machines[1].interfaces.is_empty());
}

#[tokio::test]
async fn a_failing_second_page_fails_the_listing() {
    let server = server("1.115").await;
    without_ports(&server).await;
    Mock::given(path("/v1/nodes"))
        .and(query_param_is_missing("marker"))
        .respond_with(page(&[node(1, json!({})), node(2, json!({}))], true))
        .mount(&server)
        .await;
    let refused = ResponseTemplate::new(403)
        .set_body_json(json!({"error_message": "{\"faultstring\": \"Access was denied\"}"}));
    Mock::given(path("/v1/nodes")).respond_with(refused).mount(&server).await;
    let error = fetch(&ironic(&server, "")).await.unwrap_err();
    assert_eq!(error.reason(), "denied");
    assert!(error.to_string().contains("Access was denied"), "{error}");
}

#[tokio::test]
async fn the_same_node_twice_with_other_content_fails_the_listing() {
    let server = server("1.115").await;
    without_ports(&server).await;
    let twice = page(&[node(1, json!({})), node(1, json!({"name": "other"}))], false);
    Mock::given(path("/v1/nodes")).respond_with(twice).mount(&server).await;
    assert_eq!(fetch(&ironic(&server, "")).await.unwrap_err().reason(), "inconsistent");
}

/// A Keystone that gives `t1`, `t2`, …, and an Ironic that takes only `t2` for pages after the first.
async fn keystone(ironic: &MockServer) -> (MockServer, tempfile::NamedTempFile) {
    struct Tokens(AtomicUsize);
    impl Respond for Tokens {
        fn respond(&self, _: &Request) -> ResponseTemplate {
            let count = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            ResponseTemplate::new(201)
                .insert_header("X-Subject-Token", format!("token-{count}-S3CRET"))
                .set_body_json(json!({"token": {"project": {"id": "p"}, "issued_at": "2026-01-01T00:00:00.000000Z",
                    "expires_at": "2026-01-01T01:00:00.000000Z"}}))
        }
    }
    let keystone = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v3/auth/tokens"))
        .respond_with(Tokens(AtomicUsize::new(0)))
        .mount(&keystone)
        .await;
    without_ports(ironic).await;
    Mock::given(path("/v1/nodes"))
        .and(query_param_is_missing("marker"))
        .and(header("X-Auth-Token", "token-1-S3CRET"))
        .respond_with(page(&[node(1, json!({})), node(2, json!({}))], true))
        .mount(ironic)
        .await;
    Mock::given(path("/v1/nodes"))
        .and(query_param("marker", "00000000-0000-4000-8000-000000000002"))
        .and(header("X-Auth-Token", "token-2-S3CRET"))
        .respond_with(page(&[node(3, json!({}))], false))
        .mount(ironic)
        .await;
    let refused = ResponseTemplate::new(401).set_body_string("token-1-S3CRET is not good");
    Mock::given(path("/v1/nodes")).respond_with(refused).with_priority(9).mount(ironic).await;
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "S3CRET\n").unwrap();
    (keystone, secret)
}

fn login(keystone: &MockServer, secret: &tempfile::NamedTempFile) -> String {
    let (url, file) = (keystone.uri(), secret.path().display());
    format!("auth: {{keystone: {{url: '{url}/v3', id: abc, secret: {{file: '{file}'}}}}}}")
}

#[tokio::test]
async fn a_token_that_ends_in_the_middle_of_the_pages_is_renewed_once() {
    let server = server("1.115").await;
    let (keystone, secret) = keystone(&server).await;
    let ironic = ironic(&server, &login(&keystone, &secret));
    assert_eq!(fetch(&ironic).await.unwrap().len(), 3);
    assert!(!format!("{ironic:?}").contains("S3CRET"));
    // Now only token 2 is known, which the first page refuses; token 3 is refused too: an error without it.
    let error = fetch(&ironic).await.unwrap_err();
    assert_eq!(error.reason(), "denied");
    assert!(!error.to_string().contains("token-3"), "{error}");
}

#[tokio::test]
async fn check_warns_of_a_partial_list_unless_expect_guards() {
    for (expect, ok) in [("", false), (", expect: {min: 1}", true)] {
        let server = server("1.115").await;
        let (keystone, secret) = keystone(&server).await;
        let ironic = ironic(&server, &format!("{}{expect}", login(&keystone, &secret)));
        let findings = ironic.check().await;
        let partial = findings.iter().find(|f| f.text.contains("baremetal:node:list_all")).unwrap();
        assert_eq!(partial.ok, ok, "{partial:?}");
        assert!(findings.iter().any(|f| f.text.contains("3 nodes are listed")), "{findings:?}");
    }
}

#[tokio::test]
async fn only_ironics_own_404_is_evidence() {
    let server = server("1.115").await;
    without_ports(&server).await;
    let uuid = |n| format!("00000000-0000-4000-8000-00000000000{n}");
    let one = ResponseTemplate::new(200).set_body_json(node(1, json!({})));
    Mock::given(path(format!("/v1/nodes/{}", uuid(1)))).respond_with(one).mount(&server).await;
    Mock::given(path(format!("/v1/nodes/{}", uuid(2))))
        .respond_with(no_such_node())
        .mount(&server)
        .await;
    let proxy = ResponseTemplate::new(404).set_body_string("<html>no such page</html>");
    Mock::given(path(format!("/v1/nodes/{}", uuid(3)))).respond_with(proxy).mount(&server).await;
    let ironic = ironic(&server, "");
    let Ok(Lookup::Answered { found, missing }) =
        ironic.lookup(&[uuid(1).into(), uuid(2).into()]).await
    else {
        panic!("no answer")
    };
    assert_eq!(found.iter().map(|m| m.id.to_string()).collect::<Vec<_>>(), [uuid(1)]);
    assert_eq!(missing, [uuid(2).into()]);
    assert!(ironic.lookup(&[uuid(1).into(), uuid(3).into()]).await.is_err());
}

#[test]
fn the_configuration_makes_a_source_of_its_name() {
    let config: Config = serde_saphyr::from_str(
        "{name: dc1, url: 'https://ironic.example.net:6385', auth: {basic: {user: admin, password: {file: /run/x}}}}",
    )
    .unwrap();
    let entry = config.build().unwrap();
    assert!(format!("{entry:?}").contains("baremetal-ironic-dc1"), "{entry:?}");
    assert!(matches!(entry.kind(), Kind::Ironic(_)));
}

proptest! {
    #[test]
    fn no_answer_of_keystone_panics_or_shows_its_token(
        issued in ".{0,30}", expires in ".{0,30}", number in any::<i64>(), system in any::<bool>(), odd in any::<bool>(),
    ) {
        let token = http::HeaderValue::from_static("S3CRETS3CRET");
        let mut said = json!({"issued_at": issued, "expires_at": expires, "user": {"id": number}});
        if system {
            said["system"] = json!({"all": true});
        }
        if odd {
            said["expires_at"] = json!(number);
        }
        match super::recorded::login(token, json!({"token": said}).to_string().as_bytes()) {
            Ok(of_the_system) => prop_assert_eq!((of_the_system, odd), (system, false)),
            Err(error) => prop_assert!(odd && !error.to_string().contains("S3CRET"), "{}", error),
        }
    }

    #[test]
    fn every_node_of_a_page_is_a_machine_or_the_page_an_error(
        uuids in proptest::collection::vec("[a-f0-9-]{1,8}", 0..6), text in ".{0,20}",
    ) {
        let nodes: Vec<_> = uuids.iter().map(|uuid| json!({"uuid": uuid, "name": text})).collect();
        let page = json!({"nodes": nodes, "next": text}).to_string();
        let machines = super::recorded::nodes(page.as_bytes(), br#"{"ports": []}"#).unwrap();
        prop_assert!(uuids.iter().all(|uuid| machines.iter().any(|machine| *machine.id == **uuid)));
    }

    #[test]
    fn no_node_from_outside_panics_or_shows_a_password(
        name in ".{0,20}", state in ".{0,12}", number in any::<i64>(), text in ".{0,20}",
    ) {
        let machine = mapped(json!({"uuid": text, "name": name, "provision_state": state, "power_state": text,
            "properties": {"cpus": number, "memory_mb": text, "local_gb": number},
            "driver_info": {"ipmi_address": text, "ipmi_password": "S3CRETS3CRET"},
            "extra": {"tags": [text, number], text.clone(): name}, "created_at": text}));
        let shown = format!("{machine:?}");
        prop_assert!(!shown.contains("S3CRETS3CRET"));
    }

    #[test]
    fn no_body_makes_the_error_decoder_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = wire::fault(&body);
    }
}
