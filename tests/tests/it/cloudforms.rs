//! fetcher-cloudforms through the engine into a store: what only ManageIQ does.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fetcher_core::app::App as _;
use fetcher_core::brake::Policy;
use fetcher_core::observed::Lens;
use fetcher_core::provider::Provider as _;
use fetcher_core::report::{RoundResult, SourceReport};
use fetcher_core::round::{Engine, RunOptions, Unwatched};
use fetcher_core::schema::Schema;
use fetcher_core::store::file::FileStore;
use fetcher_tests::conformance::{Adapter as _, Bed, CloudformsAdapter};
use fetcher_tests::fake_cloudforms::{FakeCloudforms, PASSWORD, USER, guid, vm};
use serde_json::{Value, json};

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

/// An appliance whose configuration changes between two rounds, as by a restart.
struct Restarted {
    fake: FakeCloudforms,
    dir: tempfile::TempDir,
    minute: i8,
}

impl Restarted {
    async fn with(vms: usize) -> anyhow::Result<Self> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let fake = FakeCloudforms::start((0..vms).map(vm).collect()).await?;
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("password"), PASSWORD)?;
        Ok(Self { fake, dir, minute: 0 })
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(self.dir.path()).join(name)
    }

    fn power(&self, n: usize, state: &str) {
        if let Some(vm) = self.fake.world().vm(&guid(n)) {
            vm["power_state"] = json!(state);
        }
    }

    /// A round by a new process, with what the provider requires beside an empty selector.
    async fn round(&mut self, only_powered_on: bool) -> anyhow::Result<SourceReport> {
        let section = json!({"appliances": [{"name": "dc1", "url": self.fake.url, "username": USER,
            "password": {"file": self.path("password")}, "onlyPoweredOn": only_powered_on,
            "http": {"requestsPerSecond": 1000}}]});
        let section = serde_json::from_value(section)?;
        let cloudforms = fetcher_cloudforms::Cloudforms::build(section, Default::default())?;
        let served = cloudforms.sources().await?.sources;
        let lens = Lens { schema: Schema::ours(), selector: cloudforms.requires() };
        let store = Arc::new(FileStore::new(self.path("inventory.json"), lens));
        let (style, policy) = (Default::default(), Policy::default());
        let engine = Engine::new(Arc::new(cloudforms), store, style, policy);
        self.minute += 1;
        let now = format!("2026-08-21T10:{:02}:00Z", self.minute).parse()?;
        let run = engine.once(&served, &RunOptions::default(), now, &Unwatched).await?;
        run.sources.into_iter().next().ok_or_else(|| anyhow::anyhow!("no source was served"))
    }

    /// Reason and message of the condition of a VM's Host.
    fn present(&self, n: usize) -> anyhow::Result<(String, String)> {
        let list = std::fs::read_to_string(self.path("inventory.json"))?;
        let list: Value = serde_json::from_str(&list)?;
        let mut hosts = list["items"].as_array().into_iter().flatten();
        let host = hosts.find(|host| host["spec"]["machineID"] == guid(n));
        let host = host.ok_or_else(|| anyhow::anyhow!("no Host of VM {n}"))?;
        let mut conditions = host["status"]["conditions"].as_array().into_iter().flatten();
        let present = conditions.find(|it| it["type"] == "Present").cloned().unwrap_or_default();
        let text = |key: &str| present[key].as_str().unwrap_or_default().to_owned();
        Ok((text("reason"), text("message")))
    }
}

#[tokio::test]
async fn switching_only_powered_on_on_is_a_change_of_the_configuration_and_withheld()
-> anyhow::Result<()> {
    let mut bed = Restarted::with(12).await?;
    bed.power(7, "off");
    assert_eq!(bed.round(false).await?.created, 12);
    for _ in 0..2 {
        let report = bed.round(true).await?;
        assert_eq!((report.gone, report.withheld, report.selected), (0, 1, 11), "{report:?}");
        let held: Vec<_> = report.changes.iter().map(|it| (&*it.reason, it.withheld)).collect();
        assert_eq!(held, [("SelectorChanged", true)], "{report:?}");
    }
    let report = bed.round(false).await?;
    assert_eq!((report.unchanged, report.withheld), (12, 0), "{report:?}");
    Ok(())
}

#[tokio::test]
async fn a_vm_that_is_switched_off_where_only_those_on_are_wanted_is_deselected_and_comes_back()
-> anyhow::Result<()> {
    let mut bed = Restarted::with(12).await?;
    bed.power(7, "off");
    assert_eq!(bed.round(true).await?.created, 11, "one that is off never becomes a Host");
    bed.power(3, "suspended");
    assert_eq!(bed.round(true).await?.gone, 1);
    let (reason, message) = bed.present(3)?;
    assert_eq!(reason, "Deselected");
    assert!(message.contains("the machine exists"), "{message}");
    bed.power(3, "on");
    assert_eq!(bed.round(true).await?.returned, 1);
    Ok(())
}
