//! The provider against an appliance that remembers: whole listings, second looks, sessions, and what can go wrong.

use std::sync::Once;

use fetcher_core::machine::{Machine, State};
use fetcher_core::provider::{Progress, Provider as _};
use fetcher_core::secret::SecretRef;
use serde_json::{Value, json};

use super::*;
use crate::config::{Flags, Section, appliances};
use crate::fake_cloudforms::{FakeCloudforms, PASSWORD, USER, guid, hypervisor, vm};
use crate::fake_faults::Fault;

struct Bed {
    fake: FakeCloudforms,
    cloudforms: Cloudforms,
    password: tempfile::TempPath,
}

async fn bed(vms: usize, more: Value) -> Bed {
    static CRYPTO: Once = Once::new();
    CRYPTO.call_once(|| {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
    let fake = FakeCloudforms::start((0..vms).map(vm).collect()).await.unwrap();
    let password = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    std::fs::write(&password, PASSWORD).unwrap();
    let mut one = json!({"name": "dc1", "url": fake.url, "username": USER});
    one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut section: Section = serde_json::from_value(json!({"appliances": [one]})).unwrap();
    section.appliances[0].password = Some(SecretRef::File(password.to_path_buf()));
    let asked = appliances(section, Flags::default()).unwrap().into_iter().map(|config| {
        // Retries as they are, waits short enough for a test.
        let options = HttpOptions {
            backoff: Duration::from_millis(1),
            attempts: 3,
            requests_per_second: 10_000.0,
            ..options(&config).unwrap()
        };
        Asked::with(config, options).unwrap()
    });
    let cloudforms = Cloudforms(asked.collect());
    Bed { fake, cloudforms, password }
}

impl Bed {
    async fn listing(&self, scope: &str, selector: &str) -> Result<Listing, FetchError> {
        let source = Source::new(NAME, &[scope]);
        let selector: Selector = selector.parse().unwrap();
        let progress = Progress::default();
        let request = Fetch { source: &source, selector: &selector, progress: &progress };
        self.cloudforms.fetch(request).await
    }

    async fn fetch(&self) -> Result<Vec<Machine>, FetchError> {
        Ok(self.listing("dc1", "").await?.machines.to_vec())
    }

    async fn failure(&self) -> FetchError {
        let error = self.fetch().await.unwrap_err();
        let text = error.to_string();
        assert!(!text.contains(PASSWORD) && !text.contains("of-the-tests"), "{text}");
        error
    }

    async fn lookup(&self, ids: &[String]) -> Result<(Vec<String>, Vec<String>), FetchError> {
        let ids: Vec<Text> = ids.iter().map(|id| id.as_str().into()).collect();
        match self.cloudforms.lookup(&Source::new(NAME, &["dc1"]), &ids).await? {
            Lookup::Answered { found, missing } => {
                Ok((self::ids(&found), missing.iter().map(ToString::to_string).collect()))
            }
            Lookup::Unsupported => panic!("cloudforms has a lookup"),
        }
    }

    /// The requests for VMs since the last time.
    fn vm_calls(&self) -> Vec<String> {
        let calls = self.fake.script.take_calls();
        calls.into_iter().filter(|call| call.starts_with("GET /api/vms")).collect()
    }
}

fn ids(machines: &[Machine]) -> Vec<String> {
    machines.iter().map(|machine| machine.id.to_string()).collect()
}

#[tokio::test]
async fn pages_are_read_whole_in_order_each_once() {
    let bed = bed(250, json!({"pageSize": 100})).await;
    assert_eq!(ids(&bed.fetch().await.unwrap()), (0..250).map(guid).collect::<Vec<_>>());
    let calls = bed.vm_calls();
    assert_eq!(calls.len(), 3);
    for part in ["filter[]=active=true", "sort_by=id", "sort_order=asc", "limit=100"] {
        assert!(calls[0].contains(part), "{part} in {}", calls[0]);
    }
}

#[tokio::test]
async fn fifty_pages_take_fifty_two_calls_with_the_login_and_the_freshness() {
    let bed = bed(1_000, json!({"pageSize": 20})).await;
    assert_eq!(bed.fetch().await.unwrap().len(), 1_000);
    assert_eq!(bed.fake.script.take_calls().len(), 52);
}

#[tokio::test]
async fn a_count_that_is_not_the_subquery_count_makes_no_phantom_page() {
    let bed = bed(20, json!({"pageSize": 10})).await;
    for n in 0..5 {
        bed.fake.world().vm(&guid(n)).unwrap()["ems_id"] = Value::Null;
    }
    assert_eq!(bed.fetch().await.unwrap().len(), 15);
    assert_eq!(bed.vm_calls().len(), 2);
}

#[tokio::test]
async fn an_old_appliance_without_subquery_count_is_read_whole_and_never_past_its_end() {
    let bed = bed(40, json!({"pageSize": 10})).await;
    bed.fake.world().subquery = false;
    for n in 0..20 {
        bed.fake.world().vm(&guid(n)).unwrap()["ems_id"] = Value::Null;
    }
    assert_eq!(bed.fetch().await.unwrap().len(), 20);
}

#[tokio::test]
async fn by_tag_with_phantom_pages_is_read_whole() {
    let bed = bed(60, json!({"pageSize": 10})).await;
    for subquery in [true, false] {
        bed.fake.world().subquery = subquery;
        let listing = bed.listing("dc1", "environment=prod").await.unwrap();
        assert_eq!(listing.machines.len(), 30, "subquery_count: {subquery}");
        assert!(bed.vm_calls()[0].contains("by_tag=/environment/prod"));
    }
}

#[tokio::test]
async fn a_tag_that_does_not_exist_is_not_pushed_down() {
    let bed = bed(20, json!({})).await;
    let listing = bed.listing("dc1", "environment=porduction").await.unwrap();
    assert_eq!(listing.machines.len(), 20, "the core selects none of them, and withholds");
    assert!(!bed.vm_calls()[0].contains("by_tag"));
}

#[tokio::test]
async fn tags_that_the_role_may_not_view_are_not_pushed_down() {
    let bed = bed(20, json!({})).await;
    bed.fake.world().forbidden.insert("tags".into());
    assert_eq!(bed.listing("dc1", "environment=prod").await.unwrap().machines.len(), 20);
}

#[tokio::test]
async fn push_down_can_be_switched_off_and_knows_only_single_plain_values() {
    let off = bed(4, json!({"pushDown": false})).await;
    assert_eq!(off.listing("dc1", "environment=prod").await.unwrap().machines.len(), 4);
    let bed = bed(4, json!({})).await;
    for selector in ["environment in (prod,test)", "environment!=prod", "environment='prod,test'"] {
        assert_eq!(bed.listing("dc1", selector).await.unwrap().machines.len(), 4, "{selector}");
    }
}

#[tokio::test]
async fn an_archived_vm_is_not_listed_and_a_lookup_says_it_is_missing() {
    let bed = bed(3, json!({})).await;
    bed.fake.world().vm(&guid(1)).unwrap()["ems_id"] = Value::Null;
    assert_eq!(ids(&bed.fetch().await.unwrap()), [guid(0), guid(2)]);
    let (found, missing) = bed.lookup(&[guid(0), guid(1)]).await.unwrap();
    assert_eq!((found, missing), (vec![guid(0)], vec![guid(1)]));
}

#[tokio::test]
async fn retired_vms_and_templates_are_absent_and_a_disconnected_one_is_there() {
    let bed = bed(3, json!({})).await;
    bed.fake.world().vm(&guid(0)).unwrap()["retired"] = json!(true);
    bed.fake.world().vm(&guid(1)).unwrap()["template"] = json!(true);
    bed.fake.world().vm(&guid(2)).unwrap()["connection_state"] = json!("disconnected");
    let all = bed.fetch().await.unwrap();
    assert_eq!(ids(&all), [guid(2)]);
    assert_eq!(all[0].state, State::Unknown);
}

#[tokio::test]
async fn vms_of_a_manager_removed_and_added_again_keep_their_identity() {
    let bed = bed(20, json!({})).await;
    let before = bed.fetch().await.unwrap();
    bed.fake.world().remove_manager();
    assert_eq!(bed.fetch().await.unwrap(), []);
    bed.fake.world().add_manager();
    assert_eq!(bed.fetch().await.unwrap(), before);
}

#[tokio::test]
async fn duplicate_names_are_separate_machines() {
    let bed = bed(2, json!({})).await;
    for n in 0..2 {
        let mut world = bed.fake.world();
        let vm = world.vm(&guid(n)).unwrap();
        vm["name"] = json!("shop-db-01");
        vm["hostnames"] = json!(["shop-db-01.dc1.example.com"]);
    }
    assert_eq!(ids(&bed.fetch().await.unwrap()), [guid(0), guid(1)]);
}

#[tokio::test]
async fn a_null_vendor_and_missing_ipaddresses_are_no_error() {
    let bed = bed(1, json!({})).await;
    bed.fake.world().vm(&guid(0)).unwrap()["vendor"] = Value::Null;
    bed.fake.world().vm(&guid(0)).unwrap()["ipaddresses"] = Value::Null;
    let all = bed.fetch().await.unwrap();
    assert_eq!(all[0].hardware.vendor, None);
    assert_eq!(all[0].hostname.as_deref(), Some("vm-0.dc1.example.com"));
}

#[tokio::test]
async fn two_rows_of_one_guid_are_an_error() {
    let bed = bed(3, json!({})).await;
    bed.fake.world().vm(&guid(2)).unwrap()["guid"] = json!(guid(1));
    let error = bed.failure().await;
    assert!(error.to_string().contains(&guid(1)), "{error}");
}

#[tokio::test]
async fn a_vm_without_a_guid_is_an_error_that_names_it_not_a_lost_machine() {
    let bed = bed(3, json!({})).await;
    bed.fake.world().vm(&guid(2)).unwrap()["guid"] = Value::Null;
    assert!(bed.failure().await.to_string().contains("10000000000002"));
}

#[tokio::test]
async fn a_vm_deleted_between_pages_hides_no_other() {
    let bed = bed(30, json!({"pageSize": 10})).await;
    let mut done = false;
    bed.fake.between(move |_, world| {
        if !std::mem::replace(&mut done, true) {
            world.purge(&guid(3));
        }
    });
    let all = ids(&bed.fetch().await.unwrap());
    assert_eq!(all.len(), 29);
    assert!(all.contains(&guid(10)), "the one that slid to the page before");
}

#[tokio::test]
async fn a_vm_created_between_pages_is_there_once_and_one_retagged_is_one() {
    let bed = bed(30, json!({"pageSize": 10})).await;
    let mut done = false;
    bed.fake.between(move |_, world| {
        if !std::mem::replace(&mut done, true) {
            world.vms.push(vm(900));
            world.vm(&guid(25)).unwrap()["tags"] = json!([{"name": "/managed/late/yes"}]);
        }
    });
    let all = bed.fetch().await.unwrap();
    assert_eq!(all.len(), 31);
    assert_eq!(all[25].tags.keys().map(|key| key.to_string()).collect::<Vec<_>>(), ["late"]);
}

#[tokio::test]
async fn two_identical_pages_of_a_server_without_order_are_an_error() {
    let bed = bed(30, json!({"pageSize": 10})).await;
    bed.fake.world().unordered = true;
    assert_eq!(bed.failure().await.reason(), "inconsistent");
}

#[tokio::test]
async fn an_offset_past_the_end_which_is_a_500_is_never_asked_for() {
    for vms in [0, 1, 9, 10, 11, 20, 30] {
        let bed = bed(vms, json!({"pageSize": 10})).await;
        for subquery in [true, false] {
            bed.fake.world().subquery = subquery;
            assert_eq!(bed.fetch().await.unwrap().len(), vms, "{subquery}");
        }
    }
}

#[tokio::test]
async fn a_largest_page_below_ours_is_no_end() {
    let bed = bed(95, json!({"pageSize": 50})).await;
    bed.fake.world().largest = 20;
    for subquery in [true, false] {
        bed.fake.world().subquery = subquery;
        assert_eq!(bed.fetch().await.unwrap().len(), 95, "{subquery}");
    }
}

#[tokio::test]
async fn one_login_serves_many_rounds_and_the_password_goes_with_no_other_call() {
    let bed = bed(30, json!({"pageSize": 10})).await;
    for _ in 0..3 {
        bed.fetch().await.unwrap();
    }
    assert_eq!(bed.fake.world().logins, 1);
    bed.cloudforms.close().await;
    assert_eq!(bed.fake.world().logouts, 1);
    bed.cloudforms.close().await;
    assert_eq!(bed.fake.world().logouts, 1, "there was no session any more");
}

#[tokio::test]
async fn a_token_that_expires_in_the_middle_of_paging_is_renewed_once() {
    let bed = bed(30, json!({"pageSize": 10})).await;
    let mut done = false;
    bed.fake.between(move |_, world| {
        if !std::mem::replace(&mut done, true) {
            world.expire();
        }
    });
    assert_eq!(bed.fetch().await.unwrap().len(), 30);
    assert_eq!(bed.fake.world().logins, 2);
}

#[tokio::test]
async fn a_new_token_that_is_refused_too_is_an_error_without_a_loop() {
    let bed = bed(3, json!({})).await;
    bed.fake.world().token_uses = 0;
    assert_eq!(bed.failure().await.reason(), "denied");
    assert_eq!(bed.fake.world().logins, 2);
}

#[tokio::test]
async fn a_wrong_password_names_the_user_and_its_file_and_is_tried_once() {
    let bed = bed(3, json!({})).await;
    bed.fake.world().password = "another".into();
    let error = bed.failure().await;
    assert_eq!(error.reason(), "denied");
    let text = error.to_string();
    assert!(text.contains(USER) && text.contains(&bed.password.display().to_string()), "{text}");
    assert_eq!(bed.fake.world().logins, 1);
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_for_all_that_a_round_asks_of_an_appliance() {
    let bed = bed(3, json!({"hypervisors": true})).await;
    bed.fake.world().password = "another".into();
    let ask = async |scope| bed.listing(scope, "environment=prod").await.unwrap_err().to_string();
    let (vms, hypervisors) = tokio::join!(ask("dc1"), ask("dc1/hypervisors"));
    assert!(vms == hypervisors && vms.contains("401"), "{vms}\n{hypervisors}");
    assert_eq!(bed.fake.world().logins, 1);
}

#[tokio::test]
async fn a_lookup_of_tags_that_fails_as_everything_would_is_no_reason_to_go_on() {
    let bed = bed(3, json!({})).await;
    let ask = async || bed.listing("dc1", "environment=prod").await;
    for status in [400, 403, 404, 500] {
        bed.fake.script.heal();
        bed.fake.script.always("api/tags", Fault::Says(status, "application/json", "{}"));
        assert_eq!(ask().await.unwrap().machines.len(), 3, "{status}: read without push-down");
    }
    bed.fake.script.heal();
    bed.fake.script.always("api/tags", Fault::Throttled(None));
    assert_eq!(ask().await.unwrap_err().reason(), "throttled");
}

#[tokio::test]
async fn a_rotated_password_is_taken_up_without_a_restart() {
    let bed = bed(3, json!({})).await;
    bed.fake.world().password = "rotated".into();
    bed.failure().await;
    std::fs::write(&bed.password, "rotated\n").unwrap();
    assert_eq!(bed.fetch().await.unwrap().len(), 3);
}

#[tokio::test]
async fn the_group_is_sent_with_every_call_and_a_wrong_one_is_named() {
    let bed = bed(3, json!({"group": "EvmGroup user"})).await;
    bed.fake.world().group = Some("EvmGroup%20user".into());
    assert_eq!(bed.fetch().await.unwrap().len(), 3);
    bed.fake.world().group = Some("other".into());
    assert!(bed.failure().await.to_string().contains("EvmGroup user"));
}

#[tokio::test]
async fn a_429_in_text_is_waited_out_and_one_for_ever_says_so() {
    let bed = bed(30, json!({"pageSize": 10})).await;
    bed.fake.script.plan("offset=10", 0, 1, Fault::Throttled(None));
    bed.fake.script.plan("offset=10", 0, 1, Fault::Throttled(Some(0)));
    assert_eq!(bed.fetch().await.unwrap().len(), 30);
    bed.fake.script.always("api/vms", Fault::Throttled(None));
    assert_eq!(bed.failure().await.reason(), "throttled");
}

#[tokio::test]
async fn every_refusal_and_broken_answer_is_an_error_in_words() {
    let other = bed(30, json!({})).await;
    let bed =
        bed(30, json!({"pageSize": 10, "http": {"bodyLimitMiB": 1, "timeout": "PT0.5S"}})).await;
    let page = "<html><h1>Proxy</h1>";
    let faults = [
        (Fault::Html, "inconsistent"),
        (Fault::Says(403, "text/html", page), "denied"),
        (Fault::Says(404, "text/html", page), "invalid"),
        (Fault::Says(410, "text/html", page), "invalid"),
        (
            Fault::Says(400, "application/json", "{\"error\":{\"message\":\"filter\"}}"),
            "inconsistent",
        ),
        (Fault::Says(500, "text/html", page), "unavailable"),
        (Fault::Says(503, "text/html", page), "unavailable"),
        (Fault::Truncated, "unavailable"),
        (Fault::Slow(Duration::from_secs(5)), "unavailable"),
        (Fault::Huge(2 << 20), "inconsistent"),
        (Fault::Redirect(format!("{}/api/vms", other.fake.url)), "inconsistent"),
        (Fault::Edited(|page| page["subcount"] = json!(3)), "inconsistent"),
        (Fault::Edited(|page| page["resources"] = Value::Null), "inconsistent"),
        (Fault::Edited(|page| page["subquery_count"] = json!(31)), "inconsistent"),
    ];
    for (fault, reason) in faults {
        bed.fake.script.heal();
        bed.fake.script.always("offset=10", fault.clone());
        let error = bed.failure().await;
        assert_eq!(error.reason(), reason, "{fault:?}: {error}");
    }
    assert_eq!(other.fake.script.calls(), [""; 0], "the other host was asked");
}

#[tokio::test]
async fn a_login_answered_by_a_page_for_people_is_an_error() {
    let bed = bed(3, json!({})).await;
    bed.fake.script.always("api/auth", Fault::Html);
    assert_eq!(bed.failure().await.reason(), "inconsistent");
    bed.fake.script.heal();
    bed.fake
        .script
        .always("api/auth", Fault::Says(200, "text/plain", "{\"auth_token\":\"x-of-the-tests\"}"));
    bed.failure().await;
}

#[tokio::test]
async fn a_lookup_asks_for_many_at_once_whatever_their_tags() {
    let bed = bed(60, json!({})).await;
    bed.fake.world().purge(&guid(7));
    bed.fake.world().vm(&guid(8)).unwrap()["tags"] = json!([]);
    bed.fake.script.take_calls();
    let asked: Vec<_> = (0..50).map(guid).collect();
    let (found, missing) = bed.lookup(&asked).await.unwrap();
    assert_eq!((found.len(), missing), (49, vec![guid(7)]));
    assert_eq!(bed.vm_calls().len(), 1);
}

#[tokio::test]
async fn a_lookup_whose_filter_is_not_understood_is_no_evidence() {
    let bed = bed(3, json!({})).await;
    bed.fake.script.always(
        "api/vms",
        Fault::Edited(|page| page["resources"][0]["guid"] = json!("somebody-else")),
    );
    assert_eq!(bed.lookup(&[guid(0)]).await.unwrap_err().reason(), "inconsistent");
    assert!(bed.lookup(&["x' or '1'='1".to_owned()]).await.is_err());
}

#[tokio::test]
async fn a_vm_that_is_off_is_there_and_selected_unless_its_appliance_leaves_such_out() {
    for (only_on, wanted) in [(false, 3), (true, 2)] {
        let bed = bed(3, json!({"onlyPoweredOn": only_on})).await;
        bed.fake.world().vm(&guid(1)).unwrap()["power_state"] = json!("off");
        let all = bed.fetch().await.unwrap();
        assert_eq!(ids(&all), [guid(0), guid(1), guid(2)], "it is there");
        assert_eq!(bed.lookup(&[guid(1)]).await.unwrap().0, [guid(1)], "and a lookup finds it");
        let requires = bed.cloudforms.requires();
        assert_eq!(all.iter().filter(|machine| requires.matches(*machine)).count(), wanted);
    }
}

#[tokio::test]
async fn each_appliance_has_its_own_say_in_what_is_off() {
    let bed = bed(1, json!({"onlyPoweredOn": true})).await;
    bed.fake.world().vm(&guid(0)).unwrap()["power_state"] = json!("suspended");
    let mut machine = bed.fetch().await.unwrap().remove(0);
    assert!(!bed.cloudforms.requires().matches(&machine));
    machine.facts.insert("not-on".into(), "another".into());
    assert!(bed.cloudforms.requires().matches(&machine), "that of an appliance that keeps them");
}

#[tokio::test]
async fn hypervisors_are_a_source_of_their_own_when_asked_for() {
    let bed = bed(3, json!({"hypervisors": true})).await;
    bed.fake.world().hosts = (1..=12).map(hypervisor).collect();
    bed.fake.world().hosts[0]["ems_id"] = Value::Null;
    let found = bed.cloudforms.sources().await.unwrap();
    let scopes: Vec<_> = found.sources.iter().map(|it| it.source.scope().to_string()).collect();
    assert_eq!(scopes, ["dc1", "dc1/hypervisors"]);
    let all = bed.listing("dc1/hypervisors", "").await.unwrap().machines;
    assert_eq!(all.len(), 11);
    let ids = [all[0].id.clone(), guid(1_000_001).as_str().into()];
    match bed.cloudforms.lookup(&found.sources[1].source, &ids).await.unwrap() {
        Lookup::Answered { found, missing } => assert_eq!((found.len(), missing.len()), (1, 1)),
        Lookup::Unsupported => panic!("hypervisors can be looked up"),
    }
}

#[tokio::test]
async fn a_broken_refresh_is_a_note_and_no_failure() {
    let bed = bed(3, json!({})).await;
    assert_eq!(bed.listing("dc1", "").await.unwrap().notes, []);
    bed.fake.world().providers[0]["last_refresh_status"] = json!("error");
    bed.fake.world().providers[0]["last_refresh_error"] =
        json!("Login failed due to a bad username");
    bed.fake
        .world()
        .providers
        .push(json!({"id": "4", "name": "new", "last_refresh_status": "never"}));
    bed.fake
        .world()
        .providers
        .push(json!({"id": "5", "name": "old", "last_refresh_status": "success",
        "last_refresh_date": "2024-01-01T00:00:00Z"}));
    bed.fake.world().providers.push(json!({"id": "6", "name": "net",
        "type": "ManageIQ::Providers::Vmware::NetworkManager"}));
    let listing = bed.listing("dc1", "").await.unwrap();
    assert_eq!(listing.machines.len(), 3);
    assert_eq!(listing.notes.len(), 3);
    assert!(listing.notes[2].message.contains("2024-01-01"), "{:?}", listing.notes);
    assert_eq!(listing.notes[0].reason, "StaleRefresh");
    assert!(listing.notes[0].message.contains("vc-dc1"), "{:?}", listing.notes);
    assert!(listing.notes[0].message.contains("bad username"), "{:?}", listing.notes);
    assert!(listing.notes[1].message.contains("never refreshed"), "{:?}", listing.notes);
}

#[tokio::test]
async fn freshness_that_cannot_be_read_is_a_note_too() {
    let bed = bed(3, json!({})).await;
    bed.fake.world().forbidden.insert("providers".into());
    let listing = bed.listing("dc1", "").await.unwrap();
    assert_eq!((listing.machines.len(), listing.notes[0].reason), (3, "RefreshUnknown"));
}

#[tokio::test]
async fn check_says_how_many_vms_the_group_can_see() {
    let bed = bed(7, json!({})).await;
    let findings = bed.cloudforms.check().await;
    assert!(findings[0].ok && findings[0].text.contains("7 active VMs"), "{findings:?}");
    bed.fake.world().forbidden.insert("vms".into());
    let findings = bed.cloudforms.check().await;
    assert!(!findings[0].ok && findings[0].text.contains("403"), "{findings:?}");
    assert_eq!(findings.len(), 1, "one refusal is enough");
    std::fs::remove_file(&bed.password).unwrap();
    assert!(bed.cloudforms.check().await[0].text.contains("secret file"));
}

#[tokio::test]
async fn check_asks_for_hypervisors_where_they_are_served_and_for_tags_where_they_are_pushed_down()
{
    let bed = bed(7, json!({"hypervisors": true})).await;
    bed.fake.world().hosts = (1..=4).map(hypervisor).collect();
    let findings = bed.cloudforms.check().await;
    assert!(findings[1].ok && findings[1].text.contains("4 hypervisors"), "{findings:?}");
    assert_eq!(findings.len(), 2, "{findings:?}");
    bed.fake.world().forbidden.extend(["hosts".to_owned(), "tags".to_owned()]);
    let findings = bed.cloudforms.check().await;
    assert!(!findings[1].ok && findings[1].text.contains("hypervisors: "), "{findings:?}");
    assert!(findings[2].ok && findings[2].text.contains("nothing is pushed down"), "{findings:?}");
    let calls = bed.fake.script.take_calls();
    for path in ["GET /api/hosts", "GET /api/tags"] {
        assert!(
            calls.iter().filter(|call| call.starts_with(path)).all(|it| it.contains("limit=1"))
        );
    }
}

#[test]
fn the_waits_of_a_call_are_longer_than_the_window_of_the_logins_however_chance_falls() {
    let one = json!({"name": "dc1", "url": "https://cf.example.com", "username": USER});
    let section: Section = serde_json::from_value(json!({"appliances": [one]})).unwrap();
    let config = &appliances(section, Flags::default()).unwrap()[0];
    let options = options(config).unwrap();
    // Each wait is spread by half to both sides.
    let shortest: Duration = (1..options.attempts).map(|n| options.backoff * (1 << n) / 4).sum();
    assert!(shortest > Duration::from_secs(20), "{shortest:?}");
    assert!(shortest * 3 < options.deadline, "the longest must fit too");
}

#[tokio::test]
async fn no_secret_is_in_a_machine_or_a_debug_output() {
    let bed = bed(3, json!({})).await;
    let all = bed.fetch().await.unwrap();
    let shown = format!("{all:?} {:?}", bed.cloudforms);
    assert!(!shown.contains(PASSWORD) && !shown.contains("of-the-tests"), "{shown}");
}
