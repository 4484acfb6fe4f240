//! fetcher-cloudforms through the engine into a store: what only ManageIQ does.

use fetcher_core::report::RoundResult;
use fetcher_tests::conformance::{Adapter as _, Bed, CloudformsAdapter};
use fetcher_tests::fake_cloudforms::{FakeCloudforms, guid};
use serde_json::json;

type Cloudforms = Bed<CloudformsAdapter>;

fn fake(bed: &Cloudforms) -> &FakeCloudforms {
    bed.adapter.fake()
}

#[tokio::test]
async fn a_manager_removed_and_added_again_is_withheld_and_then_the_same_hosts_come_back()
-> anyhow::Result<()> {
    let mut bed = Cloudforms::full().await?;
    let before = bed.text()?;
    fake(&bed).world().remove_manager();
    for _ in 0..60 {
        let report = bed.round().await?;
        assert_eq!((report.result, report.gone), (RoundResult::Complete, 0), "{report:?}");
        assert_eq!(report.withheld, CloudformsAdapter::MACHINES, "{report:?}");
    }
    assert_eq!(bed.text()?, before, "an hour without its manager changed the store");
    fake(&bed).world().add_manager();
    let report = bed.round().await?;
    assert_eq!(report.unchanged, CloudformsAdapter::MACHINES, "{report:?}");
    assert_eq!(bed.text()?, before);
    Ok(())
}

#[tokio::test]
async fn one_archived_vm_has_vanished_and_returns_when_its_manager_finds_it_again()
-> anyhow::Result<()> {
    let mut bed = Cloudforms::full().await?;
    let ems = fake(&bed).world().vm(&guid(4)).map(|vm| vm["ems_id"].take());
    assert_eq!(bed.round().await?.gone, 1);
    assert_eq!(bed.gone()?.get(&guid(4)).map(String::as_str), Some("Vanished"));
    if let (Some(vm), Some(ems)) = (fake(&bed).world().vm(&guid(4)), ems) {
        vm["ems_id"] = ems;
    }
    assert_eq!(bed.round().await?.returned, 1);
    Ok(())
}

#[tokio::test]
async fn a_broken_refresh_is_shown_and_the_hosts_stay() -> anyhow::Result<()> {
    let mut bed = Cloudforms::full().await?;
    fake(&bed).world().providers[0]["last_refresh_status"] = json!("error");
    fake(&bed).world().providers[0]["last_refresh_error"] = json!("Login failed");
    let report = bed.round().await?;
    assert_eq!((report.result, report.gone), (RoundResult::Complete, 0));
    let note = report.notes.iter().find(|note| note.reason == "StaleRefresh");
    assert!(note.is_some_and(|note| note.message.contains("vc-dc1")), "{report:?}");
    Ok(())
}

#[tokio::test]
async fn a_tag_that_nobody_has_made_marks_nothing() -> anyhow::Result<()> {
    let mut bed = Cloudforms::full().await?;
    // The category is deleted on the appliance: every VM loses its tag at once.
    fake(&bed).world().tags.clear();
    fake(&bed).world().vms.iter_mut().for_each(|vm| vm["tags"] = json!([]));
    let report = bed.round().await?;
    assert_eq!((report.gone, report.withheld), (0, CloudformsAdapter::MACHINES), "{report:?}");
    Ok(())
}
