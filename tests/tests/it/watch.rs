//! The daemon's watch at a real apiserver that is cut off, killed, restarted and restored.
//!
//! Each test says how soon it is noticed, that the index then is what a list shows, and that a daemon beside it marks
//! nothing and goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fetcher_core::observed::Index;
use fetcher_core::store::kube::{KubeStore, KubernetesConfig, Mode};
use fetcher_core::store::{HostStore, Part};
use fetcher_tests::fetcher::Fetcher;
use fetcher_tests::kubeconfig::CONTEXT;
use fetcher_tests::leash::Leashed;
use fetcher_tests::namespace::Namespace;
use fetcher_tests::plane::Plane;
use fetcher_tests::poll::poll_until;
use fetcher_tests::proxy::Proxy;
use fetcher_tests::store_contract::{new_host, source, status};
use serde_json::{Value, json};

use crate::store_kube::{AGENT, config, explicit, open, until};

/// What the design promises.
const NOTICED: Duration = Duration::from_secs(30);
/// A machine that builds beside the tests starts an apiserver slowly.
const BACK: Duration = Duration::from_secs(120);

async fn make(store: &KubeStore, names: &[&str]) -> Result<()> {
    for name in names {
        let host = store.create(&new_host(&source("one"), name)).await?;
        store.write(&host, Part::Status(&status(name))).await?;
    }
    Ok(())
}

fn names(index: &Index) -> Vec<String> {
    let mut names: Vec<_> = index.hosts.keys().map(ToString::to_string).collect();
    names.sort();
    names
}

fn restarts(store: &KubeStore) -> u64 {
    store.watched().map_or(0, |watched| watched.restarts.values().sum())
}

/// Waits until the watch has noticed that something is wrong, and tells how long that took.
async fn noticed(store: &KubeStore, before: u64, since: Instant) -> Result<()> {
    poll_until("the watch has noticed", NOTICED.saturating_sub(since.elapsed()), async || {
        Ok((restarts(store) > before).then_some(()))
    })
    .await
}

/// Waits until the watch is whole again, and compares it with what a list shows.
async fn converged(store: &KubeStore, config: &KubernetesConfig) -> Result<Arc<Index>> {
    let list = open(config, Mode::Once).await?;
    let one = source("one");
    poll_until("the index is what a list shows", BACK, async || {
        let (Ok(index), Ok(listed)) = (store.observed(&one).await, list.observed(&one).await)
        else {
            return Ok(None);
        };
        Ok((index == listed).then_some(index))
    })
    .await
}

/// A fetcher of three machines or more that runs beside the store under test, and must never take an apiserver in
/// trouble for machines that are gone.
struct Daemon<'a> {
    namespace: &'a Namespace,
    process: Leashed,
    machines: usize,
}

impl<'a> Daemon<'a> {
    /// Starts it, by way of this address, and waits for its Hosts.
    async fn start(namespace: &'a Namespace, server: &str) -> Result<Self> {
        let kubeconfig = namespace.kubeconfig_of(namespace.fetcher(), server)?;
        let config = format!(
            "selector: \"\"\nschedule: every 1s\nlog: {{format: json}}\n\
             store: {{kubernetes: {{namespace: {}, kubeconfig: {}, context: {CONTEXT}}}}}\n\
             baremetal: {{sources: [{{file: {{name: hall, path: hall.json}}}}]}}\n",
            namespace.name(),
            kubeconfig.display()
        );
        std::fs::write(namespace.dir().join("daemon.yaml"), config)?;
        list(namespace, 3)?;
        let fetcher = Fetcher::new(AGENT, namespace.dir())?;
        let process = fetcher.start(&["--config", "daemon.yaml"]).await?;
        let daemon = Self { namespace, process, machines: 3 };
        daemon.converged().await?;
        Ok(daemon)
    }

    /// One machine more in its list.
    fn grow(&mut self) -> Result<()> {
        self.machines += 1;
        list(self.namespace, self.machines)
    }

    /// Waits until all of its machines are running Hosts.
    async fn converged(&self) -> Result<()> {
        let query = [
            "get",
            "hosts",
            "--output=name",
            "--field-selector=spec.source.name=baremetal-file-hall,status.state!=Gone",
        ];
        poll_until("the daemon has converged", BACK, async || {
            let hosts = self.namespace.kubectl(&query).await?;
            let all = hosts.code == 0 && hosts.stdout.lines().count() == self.machines;
            Ok(all.then_some(()))
        })
        .await
        .with_context(|| self.process.stderr())
    }

    /// It goes on as if nothing had been, and has marked nothing.
    async fn is_unharmed(&mut self) -> Result<()> {
        self.grow()?;
        self.converged().await?;
        let log = self.process.stderr();
        let lines = log.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
        assert!(lines.iter().any(|line| line["verb"] == "create"), "changes are in the log: {log}");
        assert!(lines.iter().all(|line| line["verb"] != "gone"), "{log}");
        let count = |key: &str| lines.iter().filter_map(|line| line[key].as_u64()).sum::<u64>();
        assert_eq!((count("gone"), count("withheld")), (0, 0), "{log}");
        Ok(())
    }
}

fn list(namespace: &Namespace, machines: usize) -> Result<()> {
    let machines: Vec<_> =
        (0..machines).map(|n| json!({"id": format!("m{n}"), "state": "Running"})).collect();
    // Renamed into place: a daemon that reads half of it would rightly wait a while.
    let (new, path) = (namespace.dir().join("hall.new"), namespace.dir().join("hall.json"));
    std::fs::write(&new, json!({ "machines": machines }).to_string())?;
    Ok(std::fs::rename(new, path)?)
}

/// At a plane of its own: whoever reads Hosts makes an apiserver send bookmarks that it would not send here.
#[tokio::test]
async fn what_others_do_is_observed_and_a_quiet_watch_goes_on_without_reading_anew() -> Result<()> {
    let plane = Plane::own().await?;
    let namespace = plane.namespace("watch").await?;
    let config = config(&namespace)?;
    let store = open(&config, Mode::Daemon).await?;
    make(&store, &["a", "b"]).await?;
    let other = open(&config, Mode::Once).await?;
    make(&other, &["c"]).await?;
    until(&store, |index| index.hosts.len() == 3).await?;
    namespace.kubectl(&["delete", "host", "b"]).await?.ok()?;
    let index = until(&store, |index| index.hosts.len() == 2).await?;
    assert_eq!(names(&index), ["a", "c"]);

    let audit = namespace.audit();
    let begun = async || {
        let counts = audit.counts(AGENT).await?;
        Ok::<_, anyhow::Error>(counts.get("watch hosts 200").copied().unwrap_or_default())
    };
    // Before all is read for the first time a new apiserver may have no schema to read it by.
    let (before, first) = (restarts(&store), begun().await?);
    poll_until("three watches in a row have begun", Duration::from_secs(150), async || {
        ensure!(restarts(&store) == before, "{:?}", store.watched());
        Ok((begun().await? >= first + 3).then_some(()))
    })
    .await?;
    let watched = store.watched().unwrap();
    assert!(watched.is_synced, "{watched:?}");
    assert!(watched.heard.is_some_and(|heard| heard < Duration::from_secs(25)), "{watched:?}");
    converged(&store, &config).await?;
    Ok(())
}

#[tokio::test]
async fn a_connection_cut_off_without_a_fin_is_noticed_within_30_seconds() -> Result<()> {
    let namespace = Plane::shared().await?.namespace("watch").await?;
    let address = namespace.plane().url().trim_start_matches("https://").parse()?;
    let proxy = Proxy::to(address)?;
    let mut through = explicit(&namespace, namespace.fetcher())?;
    through.server = Some(proxy.https().parse()?);
    let store = open(&through, Mode::Daemon).await?;
    // What is made from here on can only come by the watch, so that it is under way when it freezes.
    store.synced().await?;
    let mut daemon = Daemon::start(&namespace, &proxy.https()).await?;
    let direct = config(&namespace)?;
    let other = open(&direct, Mode::Once).await?;
    make(&other, &["a"]).await?;
    until(&store, |index| index.hosts.len() == 1).await?;

    proxy.freeze();
    let (before, since) = (restarts(&store), Instant::now());
    make(&other, &["b"]).await?;
    noticed(&store, before, since).await?;
    assert_eq!(store.watched().unwrap().restarts.into_keys().collect::<Vec<_>>(), ["silent"]);
    assert_eq!(names(&*converged(&store, &direct).await?), ["a", "b"]);

    let (before, since) = (restarts(&store), Instant::now());
    proxy.cut();
    noticed(&store, before, since).await?;
    assert!(since.elapsed() < Duration::from_secs(20), "a broken connection is noticed at once");
    converged(&store, &direct).await?;
    daemon.is_unharmed().await
}

#[tokio::test]
async fn a_killed_apiserver_is_noticed_and_after_its_restart_nothing_is_missed() -> Result<()> {
    let plane = Plane::own().await?;
    let namespace = plane.namespace("watch").await?;
    let config = config(&namespace)?;
    let store = open(&config, Mode::Daemon).await?;
    make(&store, &["a", "b"]).await?;
    until(&store, |index| index.hosts.len() == 2).await?;
    let mut daemon = Daemon::start(&namespace, plane.url()).await?;

    let before = restarts(&store);
    plane.kill_apiserver().await?;
    noticed(&store, before, Instant::now()).await?;
    let error = store.observed(&source("one")).await.unwrap_err();
    assert_eq!(error.reason(), "unavailable", "{error}");
    plane.start_apiserver().await?;
    let other = open(&config, Mode::Once).await?;
    poll_until("a write works again", BACK, async || Ok(make(&other, &["c"]).await.ok())).await?;
    assert_eq!(names(&*converged(&store, &config).await?), ["a", "b", "c"]);

    let before = restarts(&store);
    plane.stop_apiserver().await?;
    noticed(&store, before, Instant::now()).await?;
    plane.start_apiserver().await?;
    converged(&store, &config).await?;
    daemon.is_unharmed().await
}

#[tokio::test]
async fn a_restored_etcd_is_noticed_with_and_without_a_bumped_revision() -> Result<()> {
    let plane = Plane::own().await?;
    let namespace = plane.namespace("watch").await?;
    let config = config(&namespace)?;
    let store = open(&config, Mode::Daemon).await?;
    make(&store, &["a"]).await?;
    let mut daemon = Daemon::start(&namespace, plane.url()).await?;
    let snapshot = namespace.dir().join("snapshot.db");
    plane.snapshot(&snapshot).await?;
    for bump in [false, true] {
        make(&store, &["later"]).await?;
        daemon.grow()?;
        daemon.converged().await?;
        restored(&plane, &namespace, &store, &config, &snapshot, bump).await?;
        // The Hosts that the snapshot does not know are made again.
        daemon.is_unharmed().await?;
    }
    Ok(())
}

async fn restored(
    plane: &Plane,
    namespace: &Namespace,
    store: &KubeStore,
    config: &KubernetesConfig,
    snapshot: &std::path::Path,
    bump: bool,
) -> Result<()> {
    let index = until(store, |index| index.hosts.len() == 2).await?;
    let before = index.hosts["later"].revision;
    let (seen, since) = (restarts(store), Instant::now());
    plane.restore(snapshot, bump).await?;
    noticed(store, seen, since).await?;
    plane.start_apiserver().await?;
    assert_eq!(names(&*converged(store, config).await?), ["a"], "bump: {bump}");
    // What is written now has revisions that were given out before, or far higher ones: both are seen.
    make(store, &["again"]).await?;
    namespace.kubectl(&["label", "host", "a", "team=x"]).await?.ok()?;
    let index = converged(store, config).await?;
    assert_eq!(names(&index), ["a", "again"]);
    assert_eq!(index.hosts["again"].revision > before + 900_000_000, bump);
    namespace.kubectl(&["delete", "host", "again"]).await?.ok()?;
    until(store, |index| index.hosts.len() == 1).await?;
    Ok(())
}
