//! The provider against an API that remembers: whole listings, second looks, and everything that can go wrong.

use std::collections::BTreeMap;
use std::sync::Once;
use std::time::Duration;

use fetcher_core::machine::{Machine, Text};
use fetcher_core::provider::{Progress, Provider as _};
use serde_json::{Value, json};

use super::*;
use crate::config::{Flags, Section};
use crate::fake_faults::Fault;
use crate::fake_packet::{FakePacket, SECRET, TOKEN, device, id};

const ONE: &str = "c0ffee00-1111-4222-8333-444455556666";
const TWO: &str = "c0ffee00-1111-4222-8333-777788889999";

/// The key lies in a file, so that tests do not share an environment.
struct Bed {
    fake: FakePacket,
    packet: Packet,
    key: tempfile::TempPath,
}

async fn bed(devices: usize, section: Value) -> Bed {
    static CRYPTO: Once = Once::new();
    CRYPTO.call_once(|| {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
    let all = BTreeMap::from([(ONE.to_owned(), (0..devices).map(device).collect())]);
    let fake = FakePacket::start(all).await.unwrap();
    let key = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    std::fs::write(&key, TOKEN).unwrap();
    let mut section: Section = serde_json::from_value(section).unwrap();
    section.url.get_or_insert_with(|| fake.url.clone());
    section.token = Some(fetcher_core::secret::SecretRef::File(key.to_path_buf()));
    section.http.requests_per_second = Some(10_000.0);
    let config = Config::new(section, Flags::default()).unwrap();
    let options = HttpOptions::new(config.url.clone()).with(&config.http).unwrap();
    // Retries as they are, waits short enough for a test.
    let options = HttpOptions { backoff: Duration::from_millis(1), attempts: 3, ..options };
    let http = Http::new(options).unwrap();
    Bed { fake, packet: Packet { http, config, discovered: Mutex::default() }, key }
}

impl Bed {
    async fn fetch_of(&self, project: &str, selector: &str) -> Result<Vec<Machine>, FetchError> {
        let source = Source::new(NAME, &[project]);
        let selector: Selector = selector.parse().unwrap();
        let progress = Progress::default();
        let request = Fetch { source: &source, selector: &selector, progress: &progress };
        Ok(self.packet.fetch(request).await?.machines.to_vec())
    }

    async fn fetch(&self) -> Result<Vec<Machine>, FetchError> {
        self.fetch_of(ONE, "").await
    }

    async fn failure(&self) -> FetchError {
        let error = self.fetch().await.unwrap_err();
        assert!(!error.to_string().contains(TOKEN), "{error}");
        assert!(!error.to_string().contains(SECRET), "{error}");
        error
    }

    async fn lookup(&self, ids: &[String]) -> Result<(Vec<String>, Vec<String>), FetchError> {
        let ids: Vec<Text> = ids.iter().map(|id| id.as_str().into()).collect();
        match self.packet.lookup(&Source::new(NAME, &[ONE]), &ids).await? {
            Lookup::Answered { found, missing } => Ok((
                found.iter().map(|machine| machine.id.to_string()).collect(),
                missing.iter().map(ToString::to_string).collect(),
            )),
            Lookup::Unsupported => panic!("packet has a lookup"),
        }
    }
}

fn ids(machines: &[Machine]) -> Vec<String> {
    machines.iter().map(|machine| machine.id.to_string()).collect()
}

#[tokio::test]
async fn two_and_more_pages_are_read_whole_each_once() {
    let bed = bed(250, json!({})).await;
    assert_eq!(ids(&bed.fetch().await.unwrap()), (0..250).map(id).collect::<Vec<_>>());
    let calls = bed.fake.script.take_calls();
    assert_eq!(calls.len(), 3);
    assert!(calls.iter().all(|call| call.contains("per_page=100")), "{calls:?}");
}

#[tokio::test]
async fn ten_thousand_devices_take_one_hundred_calls() {
    let bed = bed(10_000, json!({})).await;
    assert_eq!(bed.fetch().await.unwrap().len(), 10_000);
    assert_eq!(bed.fake.script.take_calls().len(), 100);
}

#[tokio::test]
async fn an_empty_project_is_whole_with_last_page_0_or_1() {
    let bed = bed(0, json!({})).await;
    for last in [0, 1] {
        bed.fake.world().empty_last_page = last;
        assert_eq!(bed.fetch().await.unwrap(), []);
    }
}

#[tokio::test]
async fn an_item_moved_between_pages_is_not_lost() {
    let bed = bed(150, json!({})).await;
    let mut done = false;
    bed.fake.between(move |_, world| {
        if !std::mem::replace(&mut done, true) {
            world.delete(&id(5));
        }
    });
    let all = ids(&bed.fetch().await.unwrap());
    assert_eq!(all.len(), 149);
    assert!(all.contains(&id(100)), "the device that slid to the page before");
    assert_eq!(bed.fake.script.take_calls().len(), 4, "read twice");
}

#[tokio::test]
async fn a_device_that_is_created_between_pages_is_there_once() {
    let bed = bed(150, json!({})).await;
    let mut done = false;
    bed.fake.between(move |_, world| {
        if !std::mem::replace(&mut done, true) {
            world.devices(ONE).insert(0, device(900));
        }
    });
    assert_eq!(bed.fetch().await.unwrap().len(), 151);
}

#[tokio::test]
async fn a_device_that_is_retagged_between_pages_is_read_as_one() {
    let bed = bed(150, json!({})).await;
    bed.fake.between(|_, world| {
        if let Some(device) = world.device(&id(120)) {
            device["tags"] = json!(["late"]);
        }
    });
    let all = bed.fetch().await.unwrap();
    assert_eq!(all[120].tags.keys().map(|key| key.to_string()).collect::<Vec<_>>(), ["late"]);
}

#[tokio::test]
async fn a_list_that_never_holds_still_is_an_error_after_three_readings() {
    let bed = bed(150, json!({})).await;
    let mut next = 1000;
    bed.fake.between(move |_, world| {
        next += 1;
        world.devices(ONE).insert(0, device(next));
    });
    assert_eq!(bed.failure().await.reason(), "inconsistent");
    assert_eq!(bed.fake.script.take_calls().len(), 6);
}

#[tokio::test]
async fn a_total_that_does_not_match_is_an_error() {
    let bed = bed(20, json!({})).await;
    for off in [-1, 1] {
        bed.fake.world().wrong_total = off;
        let error = bed.failure().await;
        assert_eq!(error.reason(), "inconsistent");
        assert!(error.to_string().contains("20 different ids"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_serves_the_first_page_for_ever_is_an_error() {
    let bed = bed(150, json!({})).await;
    bed.fake.world().stuck = true;
    assert_eq!(bed.failure().await.reason(), "inconsistent");
}

#[tokio::test]
async fn html_with_status_200_is_an_error_in_words() {
    let bed = bed(20, json!({})).await;
    bed.fake.script.always("devices", Fault::Html);
    let error = bed.failure().await;
    assert_eq!(error.reason(), "inconsistent");
    assert!(error.to_string().contains("text/html"), "{error}");
}

#[tokio::test]
async fn devices_in_an_answer_of_another_kind_are_not_quoted() {
    let bed = bed(20, json!({})).await;
    let body = r#"{"devices":[{"root_password":"MUST-NEVER-BE-STORED"}]}"#;
    bed.fake.script.always("devices", Fault::Says(200, "text/plain", body));
    assert!(bed.failure().await.to_string().contains("text/plain"));
}

#[tokio::test]
async fn html_403_and_410_and_every_other_refusal_is_an_error_and_never_zero_hosts() {
    let bed = bed(20, json!({})).await;
    let page = "<html><h1>Gone</h1>";
    let expect = [
        (401, "denied"),
        (403, "denied"),
        (404, "invalid"),
        (410, "invalid"),
        (500, "unavailable"),
        (502, "unavailable"),
        (503, "unavailable"),
    ];
    for (status, reason) in expect {
        bed.fake.script.heal();
        bed.fake.script.always("devices", Fault::Says(status, "text/html", page));
        let error = bed.failure().await;
        assert_eq!(error.reason(), reason, "{status}: {error}");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
    }
}

#[tokio::test]
async fn what_the_api_says_of_an_error_is_passed_on() {
    let bed = bed(1, json!({})).await;
    bed.fake.world().token = "another".into();
    let error = bed.failure().await;
    assert_eq!(error.reason(), "denied");
    assert!(error.to_string().contains("Invalid authentication token"), "{error}");
}

#[tokio::test]
async fn of_an_error_only_the_apis_own_words_are_quoted() {
    let bed = bed(1, json!({})).await;
    let device = r#"{"errors":["no room"],"error":"on the disk","root_password":"MUST-NEVER-BE-STORED","userdata":"MUST-NEVER-BE-STORED"}"#;
    let kinds = ["application/json", "application/json; charset=utf-8", "text/plain", "text/html"];
    for (status, kind) in
        kinds.into_iter().flat_map(|kind| [400, 401, 403, 404, 422, 429, 500].map(|s| (s, kind)))
    {
        bed.fake.script.heal();
        bed.fake.script.always("devices", Fault::Says(status, kind, device));
        let error = bed.failure().await.to_string();
        assert!(error.contains("no room; on the disk"), "{error}");
    }
    let others = [
        r#"{"root_password":"MUST-NEVER-BE-STORED"}"#,
        r#"{"errors":{"root_password":"MUST-NEVER-BE-STORED"}}"#,
        r#"{"devices":[{"userdata":"MUST-NEVER-BE-STORED"#,
        r#"["MUST-NEVER-BE-STORED"]"#,
        r#""MUST-NEVER-BE-STORED""#,
        "MUST-NEVER-BE-STORED",
    ];
    for body in others {
        bed.fake.script.heal();
        bed.fake.script.always("devices", Fault::Says(500, "application/json", body));
        assert!(bed.failure().await.to_string().contains("500"));
        assert!(!format!("{:?}", bed.lookup(&[id(0)]).await).contains(SECRET));
    }
}

#[tokio::test]
async fn a_rotated_key_is_taken_up_without_a_restart() {
    let bed = bed(1, json!({})).await;
    bed.fake.world().token = "rotated".into();
    bed.failure().await;
    std::fs::write(&bed.key, "rotated\n").unwrap();
    assert_eq!(bed.fetch().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_missing_key_names_its_file() {
    let bed = bed(1, json!({})).await;
    std::fs::remove_file(&bed.key).unwrap();
    let error = bed.failure().await;
    assert_eq!(error.reason(), "denied");
    assert!(error.to_string().contains(&bed.key.display().to_string()), "{error}");
}

#[tokio::test]
async fn a_429_with_and_without_retry_after_is_waited_out() {
    let bed = bed(150, json!({})).await;
    bed.fake.script.plan("page=2", 0, 1, Fault::Throttled(Some(0)));
    bed.fake.script.plan("page=2", 0, 1, Fault::Throttled(None));
    assert_eq!(bed.fetch().await.unwrap().len(), 150);
    assert_eq!(bed.fake.script.take_calls().len(), 4);
}

#[tokio::test]
async fn throttled_for_ever_is_an_error_that_says_so() {
    let bed = bed(150, json!({})).await;
    bed.fake.script.always("page=2", Fault::Throttled(None));
    assert_eq!(bed.failure().await.reason(), "throttled");
}

#[tokio::test]
async fn a_page_that_fails_once_is_asked_again_and_one_that_fails_for_good_fails_all() {
    let bed = bed(150, json!({})).await;
    bed.fake.script.once("page=2", Fault::Says(502, "text/html", "<html>"));
    assert_eq!(bed.fetch().await.unwrap().len(), 150);
    bed.fake.script.always("page=2", Fault::Says(502, "text/html", "<html>"));
    assert_eq!(bed.failure().await.reason(), "unavailable");
}

#[tokio::test]
async fn a_truncated_body_is_an_error() {
    let bed = bed(20, json!({})).await;
    bed.fake.script.always("devices", Fault::Truncated);
    assert_eq!(bed.failure().await.reason(), "unavailable");
}

#[tokio::test]
async fn a_body_above_the_limit_is_an_error() {
    let bed = bed(20, json!({"http": {"bodyLimitMiB": 1}})).await;
    bed.fake.script.always("devices", Fault::Huge(2 * 1024 * 1024));
    assert_eq!(bed.failure().await.reason(), "inconsistent");
}

#[tokio::test]
async fn a_body_too_slow_is_an_error() {
    let bed = bed(20, json!({"http": {"timeout": "PT0.1S"}})).await;
    bed.fake.script.always("devices", Fault::Slow(Duration::from_secs(5)));
    assert_eq!(bed.failure().await.reason(), "unavailable");
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed_with_the_key() {
    let other = bed(20, json!({})).await;
    let bed = bed(20, json!({})).await;
    let to = format!("{}/projects/{ONE}/devices", other.fake.url);
    bed.fake.script.always("devices", Fault::Redirect(to));
    assert_eq!(bed.failure().await.reason(), "inconsistent");
    assert_eq!(other.fake.script.calls(), [""; 0], "the other host was asked");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_an_error_that_names_it() {
    let bed = bed(1, json!({"url": "http://127.0.0.1:1/metal/v1"})).await;
    let error = bed.failure().await;
    assert_eq!(error.reason(), "unavailable");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
}

#[tokio::test]
async fn the_public_service_is_said_to_be_shut_down() {
    // A name that no resolver is asked for: loopback refuses the proxy's part of it.
    let bed = bed(1, json!({"url": "http://api.equinix.com:1/metal/v1"})).await;
    let error = bed.packet.explain(FetchError::unavailable("no address"));
    assert!(error.to_string().contains("shut down on 2026-06-30"), "{error}");
}

#[tokio::test]
async fn one_broken_device_fails_the_listing_instead_of_being_dropped() {
    let bed = bed(20, json!({})).await;
    bed.fake.script.always(
        "devices",
        Fault::Edited(|page| {
            if let Some(device) = page["devices"][3].as_object_mut() {
                device.remove("id");
            }
        }),
    );
    let error = bed.failure().await;
    assert_eq!(error.reason(), "inconsistent");
    assert!(error.to_string().contains("missing field `id`"), "{error}");
}

#[tokio::test]
async fn a_lookup_tells_the_existing_from_the_missing_whatever_their_tags() {
    let bed = bed(3, json!({})).await;
    bed.fake.world().device(&id(1)).unwrap()["tags"] = json!([]);
    bed.fake.world().delete(&id(2));
    let (found, missing) = bed.lookup(&[id(0), id(1), id(2)]).await.unwrap();
    assert_eq!((found, missing), (vec![id(0), id(1)], vec![id(2)]));
}

#[tokio::test]
async fn a_403_of_one_device_is_missing_because_its_order_failed() {
    let bed = bed(2, json!({})).await;
    bed.fake.world().forbidden.insert(id(1));
    let (found, missing) = bed.lookup(&[id(0), id(1)]).await.unwrap();
    assert_eq!((found, missing), (vec![id(0)], vec![id(1)]));
}

#[tokio::test]
async fn a_404_and_403_of_something_else_than_the_api_is_no_evidence() {
    let bed = bed(2, json!({})).await;
    for status in [403, 404] {
        bed.fake.script.heal();
        bed.fake.script.always("devices/", Fault::Says(status, "text/html", "<html>proxy"));
        assert!(bed.lookup(&[id(0)]).await.is_err(), "{status}");
    }
}

#[tokio::test]
async fn a_lookup_that_fails_for_one_id_is_no_evidence_for_any() {
    let bed = bed(2, json!({})).await;
    bed.fake.script.always(&format!("devices/{}", id(1)), Fault::Says(500, "text/html", "oops"));
    assert_eq!(bed.lookup(&[id(0), id(1)]).await.unwrap_err().reason(), "unavailable");
}

#[tokio::test]
async fn a_device_that_moved_to_another_project_is_missing_here() {
    let bed = bed(2, json!({})).await;
    let moved = bed.fake.world().devices(ONE).remove(1);
    bed.fake.world().devices(TWO).push(moved);
    let (found, missing) = bed.lookup(&[id(0), id(1)]).await.unwrap();
    assert_eq!((found, missing), (vec![id(0)], vec![id(1)]));
    assert_eq!(ids(&bed.fetch_of(TWO, "").await.unwrap()), [id(1)]);
}

#[tokio::test]
async fn projects_are_discovered_and_a_failure_keeps_the_last_ones() {
    let bed = bed(1, json!({})).await;
    bed.fake.world().projects.insert(TWO.to_owned(), vec![]);
    let names = |found: &Discovery| {
        found.sources.iter().map(|served| served.source.scope().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&bed.packet.sources().await.unwrap()), [ONE, TWO]);
    bed.fake.script.always("GET /metal/v1/projects?", Fault::Says(403, "text/plain", "no"));
    let after = bed.packet.sources().await.unwrap();
    assert_eq!(names(&after), [ONE, TWO]);
    assert_eq!(after.failed.len(), 1);
}

#[tokio::test]
async fn configured_projects_are_served_without_asking_the_network() {
    let bed = bed(1, json!({"projects": [{"id": ONE, "expect": {"min": 3}}]})).await;
    let found = bed.packet.sources().await.unwrap();
    assert_eq!(&**found.sources[0].source.name(), format!("packet-{ONE}"));
    assert_eq!(found.sources[0].settings.expect.min, 3);
    assert_eq!(bed.fake.script.calls(), [""; 0]);
}

#[tokio::test]
async fn a_demanded_tag_is_pushed_down_only_when_asked_for() {
    let bed = bed(4, json!({"pushDown": true})).await;
    assert_eq!(bed.fetch_of(ONE, "inventory,role=edge").await.unwrap().len(), 2);
    assert!(bed.fake.script.take_calls()[0].contains("tag=role=edge"));
    assert_eq!(bed.fetch_of(ONE, "role in (edge,core)").await.unwrap().len(), 4);
    let plain = self::bed(4, json!({})).await;
    assert_eq!(plain.fetch_of(ONE, "role=edge").await.unwrap().len(), 4);
    assert!(!plain.fake.script.take_calls()[0].contains("tag="));
}

#[tokio::test]
async fn check_says_what_the_key_can_see_and_what_to_do_when_it_cannot() {
    let bed = bed(3, json!({"projects": [{"id": ONE}, {"id": TWO}]})).await;
    let findings = bed.packet.check().await;
    assert!(findings[0].ok && findings[0].text.contains("3 devices"), "{findings:?}");
    assert!(!findings[1].ok && findings[1].text.contains(TWO), "{findings:?}");
}

#[tokio::test]
async fn no_secret_is_in_a_machine_an_error_or_a_debug_output() {
    let bed = bed(30, json!({})).await;
    let all = bed.fetch().await.unwrap();
    let shown = format!("{all:?} {:?}", bed.packet);
    assert!(!shown.contains(SECRET) && !shown.contains(TOKEN));
}
