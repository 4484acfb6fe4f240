//! MAAS as its facts have it: the sample mapped, and the traps played by a server.

#![expect(clippy::needless_pass_by_value, reason = "json!(…) is written at the call")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fetcher_core::machine::{Interner, Machine, Source, State};
use fetcher_core::provider::{Fetch, FetchError, Lookup, Progress};
use fetcher_core::secret::Secret;
use proptest::prelude::*;
use serde_json::{Value, json};
use wiremock::matchers::{header_regex, path, query_param};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::auth::Key;
use super::config::Config;
use super::map;
use super::source::Maas;
use super::wire;

const SAMPLE: &str = include_str!("../../fixtures/maas-machines.json");
const MACHINES: &str = "/MAAS/api/2.0/machines/";

fn mapped(machine: Value) -> Machine {
    let machine: wire::Machine = serde_json::from_value(machine).unwrap();
    map::machine(&machine, "maas/dc1/dpus", &mut Interner::default())
}

fn machine(id: &str, more: Value) -> Value {
    let mut machine =
        json!({"system_id": id, "status": 6, "tag_names": ["inventory"], "power_state": "on"});
    for (key, value) in more.as_object().unwrap() {
        machine[key] = value.clone();
    }
    machine
}

fn maas(server: &MockServer, more: &str) -> Maas {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "consumerK:tokenK:secretK\n").unwrap();
    let (_, path) = file.keep().unwrap();
    let yaml = format!(
        "{{name: dc1, url: '{}/MAAS/api/2.0/', apiKey: {{file: '{}'}}, {more}}}",
        server.uri(),
        path.display()
    );
    let config: Config = serde_saphyr::from_str(&yaml).unwrap();
    Maas::new(config).unwrap()
}

async fn fetch(maas: &Maas, selector: &str) -> Result<Vec<Machine>, FetchError> {
    let source = Source::new("baremetal", &["maas", "dc1"]);
    let (selector, progress) = (selector.parse().unwrap(), Progress::default());
    let request = Fetch { source: &source, selector: &selector, progress: &progress };
    Ok(Arc::unwrap_or_clone(maas.fetch(request).await?.machines))
}

async fn answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(path(MACHINES)).respond_with(answer).mount(&server).await;
    server
}

#[test]
fn the_sample_is_mapped_whole() {
    let sample: Vec<wire::Machine> = serde_json::from_str(SAMPLE).unwrap();
    let mut interner = Interner::default();
    let machines: Vec<_> =
        sample.iter().map(|m| map::machine(m, "maas/dc1/dpus", &mut interner)).collect();
    insta::assert_debug_snapshot!(machines);
}

#[test]
fn a_key_has_three_parts_and_no_error_shows_them() {
    assert!(Key::parse(&Secret::new("a:b:c\n")).is_ok());
    for bad in ["S3CRET", "a:S3CRET", "a::S3CRET", "a:b:c:S3CRET", "a:b:S3C RET"] {
        let error = Key::parse(&Secret::new(bad)).unwrap_err();
        assert_eq!(error.reason(), "denied");
        assert!(!error.to_string().contains("S3C"), "{error}");
    }
}

#[test]
fn each_signature_has_a_nonce_of_its_own_and_the_consumers_empty_secret() {
    let key = Key::parse(&Secret::new("a:b:c/d")).unwrap();
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let (one, two) = (key.header(now), key.header(now));
    assert_ne!(one, two);
    let text = one.expose();
    for part in ["oauth_consumer_key=\"a\"", "oauth_token=\"b\"", "oauth_signature=\"%26c%2Fd\""] {
        assert!(text.contains(part), "{text}");
    }
    assert!(text.ends_with("oauth_timestamp=\"1767225600\""), "{text}");
}

#[test]
fn every_status_has_its_state() {
    let of = |status: i64, power: &str| {
        mapped(machine("a", json!({"status": status, "power_state": power}))).state
    };
    let states: Vec<_> = (0..=22).map(|status| (status, of(status, "on"))).collect();
    insta::assert_debug_snapshot!(states);
    assert_eq!(of(6, "off"), State::Stopped);
    assert_eq!(of(6, "error"), State::Unknown);
    assert_eq!(of(99, "on"), State::Unknown);
}

#[test]
fn an_unknown_status_keeps_the_word_of_the_server() {
    let named = mapped(machine("a", json!({"status": 99, "status_name": "Teleporting"})));
    assert_eq!(named.provider_state.as_deref(), Some("Teleporting"));
    assert_eq!(mapped(machine("a", json!({"status": 99}))).provider_state.as_deref(), Some("99"));
}

#[test]
fn empty_addresses_and_incomplete_nested_objects_are_fine() {
    let cut = json!({"system_id": "a", "id": 1, "__incomplete__": true});
    let machine = mapped(machine(
        "a",
        json!({"ip_addresses": [], "interface_set": [cut], "zone": cut, "pool": cut, "hardware_info": cut}),
    ));
    assert!(machine.addresses.is_empty() && machine.interfaces.is_empty());
    assert_eq!(machine.location.zone, None);
}

#[test]
fn storage_is_a_fraction_of_megabytes_and_locked_is_a_fact() {
    let machine = mapped(machine("a", json!({"storage": 3_840_755.982_336_f64, "locked": true})));
    assert_eq!(machine.hardware.disks[0].size_bytes, Some(3_840_755_982_336));
    assert_eq!(machine.facts["locked"].as_ref(), "true");
}

#[test]
fn two_interfaces_with_one_mac_are_one_and_the_physical() {
    let nic = |name, kind| json!({"name": name, "type": kind, "mac_address": "B4:2E:99:00:12:07"});
    let machine = mapped(machine(
        "a",
        json!({"interface_set": [nic("bond0", "bond"), nic("eno1", "physical")]}),
    ));
    assert_eq!(machine.interfaces.len(), 1);
    assert_eq!(machine.interfaces[0].name.as_deref(), Some("eno1"));
}

#[test]
fn annotations_never_meet_tags() {
    let machine =
        mapped(machine("a", json!({"workload_annotations": {"inventory": "no", "app": "k8s"}})));
    let tags: Vec<_> = machine.tags.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(tags, ["annotation.app=k8s", "annotation.inventory=no", "inventory="]);
}

#[tokio::test]
async fn tags_of_the_selector_are_pushed_down_as_one_and() {
    let server = MockServer::start().await;
    Mock::given(path(MACHINES))
        .and(query_param("tags", "inventory"))
        .and(header_regex("authorization", "^OAuth .*oauth_signature=\"%26secretK\""))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([machine("a", json!({}))])))
        .mount(&server)
        .await;
    assert_eq!(fetch(&maas(&server, ""), "inventory,@zone=x").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_bad_key_is_a_401_in_plain_text_and_denied() {
    let answer = ResponseTemplate::new(401)
        .set_body_raw("Authorization Error: Invalid API key secretK.", "text/plain");
    let error = fetch(&maas(&answering(answer).await, ""), "").await.unwrap_err();
    assert_eq!(error.reason(), "denied");
    let text = error.to_string();
    assert!(text.contains("Invalid API key") && !text.contains("secretK"), "{text}");
}

#[tokio::test]
async fn a_tag_that_is_not_there_is_an_error_that_names_it() {
    let answer =
        ResponseTemplate::new(400).set_body_json(json!({"tags": ["No such tag(s): 'foo'."]}));
    let error = fetch(&maas(&answering(answer).await, ""), "foo").await.unwrap_err();
    assert_eq!(error.reason(), "invalid");
    assert!(error.to_string().contains("No such tag(s): 'foo'"), "{error}");
}

#[tokio::test]
async fn an_error_object_with_200_is_no_list() {
    let answer = ResponseTemplate::new(200).set_body_json(json!({"error": "starting"}));
    let error = fetch(&maas(&answering(answer).await, ""), "").await.unwrap_err();
    assert_eq!(error.reason(), "inconsistent");
}

#[tokio::test]
async fn a_machine_without_tags_is_no_machine_without_tags_but_an_error() {
    let answer = ResponseTemplate::new(200)
        .set_body_json(json!([{"system_id": "a", "status": 6, "__incomplete__": true}]));
    let error = fetch(&maas(&answering(answer).await, ""), "").await.unwrap_err();
    assert_eq!(error.reason(), "inconsistent");
}

#[tokio::test]
async fn a_huge_body_is_refused() {
    let filler = "x".repeat(2 * 1024 * 1024);
    let answer = ResponseTemplate::new(200)
        .set_body_json(json!([machine("a", json!({"description": filler}))]));
    let server = answering(answer).await;
    let error = fetch(&maas(&server, "http: {bodyLimitMiB: 1}"), "").await.unwrap_err();
    assert!(error.to_string().contains("bodyLimitMiB"), "{error}");
}

/// 503 with Retry-After first, then the list.
struct Starting(AtomicUsize);

impl Respond for Starting {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        if self.0.fetch_add(1, Ordering::SeqCst) == 0 {
            return ResponseTemplate::new(503).insert_header("Retry-After", "1");
        }
        ResponseTemplate::new(200).set_body_json(json!([machine("a", json!({}))]))
    }
}

#[tokio::test]
async fn a_region_that_is_starting_is_waited_for() {
    let server = MockServer::start().await;
    Mock::given(path(MACHINES)).respond_with(Starting(AtomicUsize::new(0))).mount(&server).await;
    assert_eq!(fetch(&maas(&server, ""), "").await.unwrap().len(), 1);
}

#[tokio::test]
async fn dpus_are_listed_with_the_setting_that_selects_them() {
    let list = json!([machine("a", json!({})), machine("b", json!({"is_dpu": true}))]);
    let server = answering(ResponseTemplate::new(200).set_body_json(list)).await;
    let (without, with) = (maas(&server, ""), maas(&server, "dpus: true"));
    assert_eq!((without.left_out().as_deref(), with.left_out()), (Some("maas/dc1/dpus"), None));
    for maas in [without, with] {
        let both = fetch(&maas, "").await.unwrap();
        assert!(both[0].facts.get("only-with").is_none());
        assert_eq!(both[1].facts["only-with"].as_ref(), "maas/dc1/dpus");
        assert_eq!(both[1].facts["system-type"].as_ref(), "DPU");
    }
}

#[tokio::test]
async fn only_maas_own_404_is_evidence() {
    let server = MockServer::start().await;
    let there = ResponseTemplate::new(200).set_body_json(machine("a", json!({})));
    Mock::given(path(format!("{MACHINES}a/"))).respond_with(there).mount(&server).await;
    let gone = ResponseTemplate::new(404)
        .set_body_raw("No Machine matches the given query.", "text/plain; charset=utf-8");
    Mock::given(path(format!("{MACHINES}b/"))).respond_with(gone).mount(&server).await;
    let proxy = ResponseTemplate::new(404).set_body_raw("<html>", "text/html");
    Mock::given(path(format!("{MACHINES}c/"))).respond_with(proxy).mount(&server).await;
    let maas = maas(&server, "");
    let Ok(Lookup::Answered { found, missing }) = maas.lookup(&["a".into(), "b".into()]).await
    else {
        panic!("no answer")
    };
    assert_eq!(found.len(), 1);
    assert_eq!(missing, ["b".into()]);
    assert!(maas.lookup(&["a".into(), "c".into()]).await.is_err());
}

proptest! {
    #[test]
    fn no_machine_from_outside_panics(text in ".{0,20}", number in any::<f64>(), status in any::<i64>()) {
        let _ = mapped(machine(&text, json!({"status": status, "storage": number, "memory": text, "cpu_count": number,
            "architecture": text, "ip_addresses": [text, number], "interface_set": text, "fqdn": text,
            "hardware_uuid": text, "workload_annotations": {text.clone(): number}})));
    }

    #[test]
    fn no_text_makes_the_key_parser_panic(text in ".{0,40}") {
        let _ = Key::parse(&Secret::new(text));
    }
}
