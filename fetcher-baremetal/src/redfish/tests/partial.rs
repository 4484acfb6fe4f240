//! One member that is broken, and the others: they are listed, it is noted, and nobody is taken for gone.

use super::*;

const QUICK: &str = "http: {attempts: 1}";
const THERE: &str = "4c4c4544-0042-3410-8056-b4c04f4e3132";
const NICS: &str = "/redfish/v1/Systems/1/EthernetInterfaces";

/// A service of a good system, and of one that answers so.
async fn with_a_broken_one(answer: ResponseTemplate) -> MockServer {
    let server = root().await;
    let all = json!({"Members": links(&["/redfish/v1/Systems/1", "/redfish/v1/Systems/2"])});
    give(&server, SYSTEMS, ok(all)).await;
    give(&server, "/redfish/v1/Systems/1", ok(one())).await;
    give(&server, "/redfish/v1/Systems/2", answer).await;
    server
}

#[tokio::test]
async fn a_member_that_answers_404_is_noted_and_never_called_missing() {
    let server = root().await;
    let all = json!({"Members": links(&["/redfish/v1/Systems/1", "/redfish/v1/Systems/2"])});
    give(&server, SYSTEMS, ok(all)).await;
    give(&server, "/redfish/v1/Systems/1", ok(one())).await;
    give(&server, "/redfish/v1/Systems/2", ResponseTemplate::new(404)).await;
    let entry = endpoint(&server, "");
    let listing = listing(&entry).await.unwrap();
    assert_eq!((listing.machines.len(), listing.notes.len()), (1, 1));
    let there = "4c4c4544-0042-3410-8056-b4c04f4e3132";
    assert_eq!(lookup(&entry, &[there, "other"]).await, (vec![there.to_owned()], vec![]));
}

#[tokio::test]
async fn a_member_that_fails_is_noted_and_nobody_is_called_missing() {
    for broken in
        [ResponseTemplate::new(500), ResponseTemplate::new(200).set_body_raw("<html>", "text/html")]
    {
        let server = with_a_broken_one(broken).await;
        let entry = endpoint(&server, QUICK);
        let listing = listing(&entry).await.unwrap();
        assert_eq!((listing.machines.len(), listing.notes.len()), (1, 1));
        assert_eq!(listing.notes[0].reason, "MemberNotRead");
        assert!(listing.notes[0].message.contains("/redfish/v1/Systems/2"), "{listing:?}");
        assert_eq!(lookup(&entry, &[THERE, "other"]).await, (vec![THERE.to_owned()], vec![]));
    }
}

#[tokio::test]
async fn after_a_listing_with_a_gap_a_whole_lookup_calls_nobody_missing_either() {
    let server = root().await;
    let all = json!({"Members": links(&["/redfish/v1/Systems/1", "/redfish/v1/Systems/2"])});
    give(&server, SYSTEMS, ok(all)).await;
    give(&server, "/redfish/v1/Systems/1", ok(one())).await;
    Mock::given(path("/redfish/v1/Systems/2"))
        .respond_with(ResponseTemplate::new(502))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    let mut other = odd();
    other["SerialNumber"] = json!("2");
    give(&server, "/redfish/v1/Systems/2", ok(other)).await;
    let entry = endpoint(&server, QUICK);
    assert_eq!(listing(&entry).await.unwrap().machines.len(), 1);
    assert_eq!(lookup(&entry, &["other"]).await, (vec![], vec![]));
    assert_eq!(listing(&entry).await.unwrap().machines.len(), 2);
    assert_eq!(lookup(&entry, &["other"]).await, (vec![], vec!["other".to_owned()]));
}

#[tokio::test]
async fn when_no_member_that_is_wanted_can_be_read_the_round_fails() {
    let server = root().await;
    let all =
        json!({"Members": links(&["/redfish/v1/Systems/1", "/redfish/v1/Systems/DPU.Slot.3"])});
    give(&server, SYSTEMS, ok(all)).await;
    give(&server, "/redfish/v1/Systems/1", ResponseTemplate::new(500)).await;
    give(&server, "/redfish/v1/Systems/DPU.Slot.3", ok(dpu())).await;
    assert_eq!(fetch(&endpoint(&server, QUICK)).await.unwrap_err().reason(), "unavailable");
}

#[tokio::test]
async fn a_login_that_is_refused_at_a_member_fails_the_round() {
    for status in [401, 403, 429] {
        let server = with_a_broken_one(ResponseTemplate::new(status)).await;
        assert!(fetch(&endpoint(&server, QUICK)).await.is_err(), "{status}");
    }
}

#[tokio::test]
async fn the_address_of_the_only_host_does_not_come_and_go_with_its_card() {
    let server = root().await;
    let all =
        json!({"Members": links(&["/redfish/v1/Systems/1", "/redfish/v1/Systems/DPU.Slot.3"])});
    give(&server, SYSTEMS, ok(all)).await;
    give(&server, "/redfish/v1/Systems/1", ok(one())).await;
    Mock::given(path("/redfish/v1/Systems/DPU.Slot.3"))
        .respond_with(ok(dpu()))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    give(&server, "/redfish/v1/Systems/DPU.Slot.3", ResponseTemplate::new(500)).await;
    let entry = endpoint(&server, QUICK);
    let whole = fetch(&entry).await.unwrap();
    assert_eq!((whole.len(), whole[0].addresses.len()), (2, 1));
    assert_eq!(fetch(&entry).await.unwrap(), whole[..1]);
}

#[tokio::test]
async fn interfaces_and_chassis_that_are_not_there_are_none_with_a_note() {
    let server = service(&[one()]).await;
    let entry = endpoint(&server, "interfaces: true, chassis: true");
    let listing = listing(&entry).await.unwrap();
    assert_eq!(listing.machines.len(), 1);
    let notes: Vec<_> = listing.notes.iter().map(|note| note.reason).collect();
    assert_eq!(notes, ["PartNotFound"; 2], "{listing:?}");
    assert!(listing.notes[0].message.contains(NICS), "{listing:?}");
    // It was read as it is: who is not in the list is missing.
    assert_eq!(lookup(&entry, &["other"]).await, (vec![], vec!["other".to_owned()]));
}

#[tokio::test]
async fn a_system_whose_interfaces_cannot_be_read_is_left_as_it_was() {
    let mut other = one();
    other["@odata.id"] = json!("/redfish/v1/Systems/2");
    other["UUID"] = json!("4c4c4544-0042-3410-8056-000000000002");
    other["EthernetInterfaces"] = Value::Null;
    let server = service(&[one(), other]).await;
    give(&server, NICS, ResponseTemplate::new(500)).await;
    let entry = endpoint(&server, &format!("interfaces: true, {QUICK}"));
    let listing = listing(&entry).await.unwrap();
    assert_eq!((listing.machines.len(), listing.notes.len()), (1, 1), "{listing:?}");
    assert_ne!(listing.machines[0].id.as_ref(), THERE);
    assert_eq!(lookup(&entry, &[THERE]).await, (vec![], vec![]), "neither found nor missing");
}

#[tokio::test]
async fn who_left_a_whole_list_is_missing() {
    let server = service(&[one()]).await;
    let (found, missing) = lookup(&endpoint(&server, ""), &["other"]).await;
    assert_eq!((found, missing), (vec![], vec!["other".to_owned()]));
}
