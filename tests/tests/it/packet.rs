//! fetcher-packet through the engine into a store: what only Packet does.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fetcher_core::app::App as _;
use fetcher_core::args::Output;
use fetcher_core::brake::Policy;
use fetcher_core::config::{FileConfig, StoreConfig};
use fetcher_core::metrics::Metrics;
use fetcher_core::observed::Lens;
use fetcher_core::output::render;
use fetcher_core::provider::Provider as _;
use fetcher_core::report::{RoundResult, RunReport, SourceReport};
use fetcher_core::round::{Engine, RunOptions, Unwatched};
use fetcher_core::schema::Schema;
use fetcher_core::store::any::AnyStore;
use fetcher_core::store::file::FileStore;
use fetcher_core::store::kube::Mode;
use fetcher_tests::conformance::{Adapter as _, Bed, Change, PacketAdapter, Trouble};
use fetcher_tests::fake_faults::Fault;
use fetcher_tests::fake_packet::{FakePacket, SECRET, TOKEN, device, id};
use serde_json::{Value, json};

type Packet = Bed<PacketAdapter>;

/// Everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_password_key_or_user_data_is_in_any_output() -> anyhow::Result<()> {
    let log = Log::default();
    let made = log.clone();
    let all = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || made.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(all);
    let mut bed = Packet::full().await?;
    bed.adapter.change(Change::Remove(1)).map_err(anyhow::Error::msg)?;
    bed.adapter.change(Change::Name(2, "renamed.example.net")).map_err(anyhow::Error::msg)?;
    let changed = bed.round().await?;
    assert_eq!((changed.gone, changed.updated), (1, 1), "{changed:?}");
    bed.adapter.change(Change::Name(3, "dry.example.net")).map_err(anyhow::Error::msg)?;
    let planned = planned(&bed).await?;
    assert!(planned.sources[0].updated == 1 && planned.dry_run, "{planned:?}");
    bed.adapter.trouble(Trouble::OtherKind).map_err(anyhow::Error::msg)?;
    let mut failed = vec![bed.round().await?];
    for answer in [DEVICE, ERROR] {
        bed.adapter.heal();
        bed.adapter.fake().script.always("projects/", Fault::Says(500, "application/json", answer));
        failed.push(bed.round().await?);
    }
    assert!(failed.iter().all(|report| report.result == RoundResult::Failed), "{failed:?}");
    let provider = &bed.engine.provider;
    let shown = [
        bed.text()?,
        serde_json::to_string(&changed)?,
        serde_json::to_string(&failed)?,
        [Output::Text, Output::Json, Output::Markdown].map(|form| render(&planned, form)).concat(),
        metrics(failed.iter().chain([&changed])).await?,
        format!("{provider:?}{:?}", provider.check().await),
        log.text(),
    ]
    .concat();
    assert!(
        shown.contains("the disk is full") && shown.contains("fetcher_rounds_total"),
        "{shown}"
    );
    assert!(log.text().contains("TRACE") || log.text().contains("DEBUG"), "nothing was logged");
    for secret in [SECRET, TOKEN] {
        assert!(!shown.contains(secret), "{secret} is shown");
    }
    Ok(())
}

/// What a failing API may answer with: a device, and an error beside one.
const DEVICE: &str =
    r#"{"id": "d", "root_password": "MUST-NEVER-BE-STORED", "userdata": "MUST-NEVER-BE-STORED"}"#;
const ERROR: &str = r#"{"errors": ["the disk is full"], "root_password": "MUST-NEVER-BE-STORED",
    "userdata": "MUST-NEVER-BE-STORED", "customdata": {"k": "MUST-NEVER-BE-STORED"}}"#;

/// What a dry run over the bed's store reports.
async fn planned(bed: &Packet) -> anyhow::Result<RunReport> {
    let served = bed.engine.provider.sources().await?.sources;
    let options = RunOptions { dry_run: true, ..RunOptions::default() };
    Ok(bed.engine.once(&served, &options, "2026-08-21T10:30:00Z".parse()?, &Unwatched).await?)
}

/// What a scrape shows after these rounds.
async fn metrics(rounds: impl Iterator<Item = &SourceReport>) -> anyhow::Result<String> {
    let (metrics, now) = (Metrics::new("packet"), "2026-08-21T10:30:00Z".parse()?);
    for report in rounds {
        metrics.observe(report, Some("unavailable"), 1, Duration::from_secs(1), now);
    }
    let store = StoreConfig::File(FileConfig { path: "/nowhere/hosts.json".into() });
    let store = AnyStore::open(&store, "packet", Default::default(), Mode::Daemon).await?;
    Ok(metrics.render(&store, now))
}

#[tokio::test]
async fn a_service_that_is_switched_off_for_good_marks_nothing() -> anyhow::Result<()> {
    let mut bed = Packet::full().await?;
    let before = bed.text()?;
    let ends = [Trouble::Down, Trouble::Status(410), Trouble::Html, Trouble::Status(404)];
    for trouble in ends.into_iter().cycle().take(12) {
        bed.adapter.heal();
        bed.adapter.trouble(trouble).map_err(anyhow::Error::msg)?;
        assert_eq!(bed.round().await?.result, RoundResult::Failed, "{trouble:?}");
    }
    assert_eq!(bed.text()?, before);
    Ok(())
}

#[tokio::test]
async fn a_device_of_a_failed_order_is_gone_though_its_lookup_is_403() -> anyhow::Result<()> {
    let mut bed = Packet::full().await?;
    bed.adapter.change(Change::Hide(7)).map_err(anyhow::Error::msg)?;
    bed.adapter.fake().world().forbidden.insert(id(7));
    let report = bed.round().await?;
    assert_eq!(report.gone, 1, "{report:?}");
    Ok(())
}

#[tokio::test]
async fn a_key_that_lost_its_rights_to_single_devices_marks_nothing() -> anyhow::Result<()> {
    let mut bed = Packet::full().await?;
    bed.adapter.change(Change::Remove(7)).map_err(anyhow::Error::msg)?;
    bed.adapter.fake().world().forbidden.extend((0..PacketAdapter::MACHINES).map(id));
    let report = bed.round().await?;
    assert_eq!((report.gone, report.unconfirmed), (0, 1), "the control is missing: {report:?}");
    Ok(())
}

#[tokio::test]
async fn a_device_that_moves_to_another_project_is_one_host_gone_and_one_new() -> anyhow::Result<()>
{
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let [one, two] = ["0ne", "tw0"].map(|tail| format!("c0ffee00-1111-4222-8333-444455556{tail}"));
    let all = [(one.clone(), (0..20).map(device).collect()), (two.clone(), vec![device(90)])];
    let fake = FakePacket::start(all.into()).await?;
    let dir = tempfile::tempdir()?;
    let (key, file) = (dir.path().join("key"), dir.path().join("inventory.json"));
    std::fs::write(&key, TOKEN)?;
    let section = json!({"url": fake.url, "token": {"file": key}, "discover": true,
        "http": {"requestsPerSecond": 1000}});
    let packet =
        fetcher_packet::Packet::build(serde_json::from_value(section)?, Default::default())?;
    let served = packet.sources().await?.sources;
    assert_eq!(served.len(), 2, "both are discovered");
    let lens = Lens { schema: Schema::ours(), selector: Default::default() };
    let store = Arc::new(FileStore::new(file.clone(), lens));
    let engine = Engine::new(Arc::new(packet), store, Default::default(), Policy::default());
    let round = async |time: &str| {
        engine
            .once(&served, &RunOptions::default(), time.parse()?, &Unwatched)
            .await
            .map_err(anyhow::Error::new)
    };
    round("2026-08-21T10:00:00Z").await?;

    let moved = fake.world().devices(&one).remove(7);
    fake.world().devices(&two).push(moved);
    let run = round("2026-08-21T10:01:00Z").await?;
    let of = |project: &str| run.sources.iter().find(|s| s.source.ends_with(project));
    assert_eq!(of(&one).map(|s| (s.gone, s.created)), Some((1, 0)), "{run:?}");
    assert_eq!(of(&two).map(|s| (s.gone, s.created)), Some((0, 1)), "{run:?}");
    let list: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let hosts: Vec<_> = list["items"].as_array().into_iter().flatten().collect();
    let mut its: Vec<_> = hosts
        .iter()
        .filter(|host| host["spec"]["machineID"] == id(7))
        .map(|host| (host["spec"]["source"]["scope"].as_str(), host["status"]["state"].as_str()))
        .collect();
    its.sort_unstable();
    assert_eq!(its, [(Some(&*one), Some("Gone")), (Some(&*two), Some("Running"))]);
    Ok(())
}
