//! A fetcher's binary as its users run it: exit codes, outputs, signals and probes, with the file store and, where a
//! server matters, with the real one. What a round decides is tested elsewhere.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use fetcher_tests::fetcher::Fetcher;
use fetcher_tests::kubeconfig::CONTEXT;
use fetcher_tests::leash::Leashed;
use fetcher_tests::plane::Plane;
use fetcher_tests::poll::poll_until;
use fetcher_tests::ports;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SOON: Duration = Duration::from_secs(60);

/// A folder with a list of machines, and the fetcher that reads it.
struct Bench {
    dir: TempDir,
    fetcher: Fetcher,
}

impl Bench {
    fn new(machines: usize) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let fetcher = Fetcher::new("fetcher-baremetal", dir.path())?;
        let fetcher = fetcher.env("FETCHER_FILE", "machines.yaml");
        let bench = Self { dir, fetcher };
        bench.list(machines)?;
        Ok(bench)
    }

    /// Machines m0, m1, … in the list.
    fn list(&self, machines: usize) -> Result<()> {
        let lines: String = (0..machines)
            .map(|n| format!("- {{id: m{n}, name: host{n}, tags: {{env: prod}}}}\n"))
            .collect();
        Ok(std::fs::write(self.path("machines.yaml"), format!("machines:\n{lines}...\n"))?)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// Exit code and standard output of a run with `--once`.
    async fn once(&self, arguments: &[&str]) -> Result<(i32, String)> {
        let ran = self.fetcher.run(&[&["--once"], arguments].concat()).await?;
        Ok((ran.code, ran.stdout))
    }

    /// The document of a run, which must agree with the exit code.
    async fn json(&self, arguments: &[&str]) -> Result<Value> {
        let (code, text) = self.once(&[&["--output", "json"], arguments].concat()).await?;
        let document: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
        assert_eq!(document["exitCode"], code, "{document}");
        Ok(document)
    }
}

/// The numbers that a promise is about, of the one source.
fn counts(document: &Value) -> [u64; 5] {
    assert_eq!(document["sources"][0]["result"], "complete", "{document}");
    ["created", "gone", "returned", "unchanged", "withheld"]
        .map(|key| document["sources"][0][key].as_u64().unwrap_or(u64::MAX))
}

#[tokio::test]
async fn a_second_run_changes_nothing_and_says_so() -> Result<()> {
    let bench = Bench::new(3)?;
    let (code, text) = bench.once(&[]).await?;
    assert!(code == 0 && text.contains("3 Hosts changed"), "{code} {text}");
    let before = std::fs::read(bench.path("inventory.json"))?;
    let (code, text) = bench.once(&[]).await?;
    assert!(code == 0 && text.contains("Nothing changed: 3 Hosts"), "{code} {text}");
    assert_eq!(std::fs::read(bench.path("inventory.json"))?, before);
    Ok(())
}

#[tokio::test]
async fn a_dry_run_shows_the_plan_and_writes_nothing() -> Result<()> {
    let bench = Bench::new(3)?;
    let (code, text) = bench.once(&["--dry-run", "--exit-code"]).await?;
    assert!(code == 4 && text.contains("3 Hosts would be changed"), "{code} {text}");
    assert_eq!(bench.once(&["--dry-run"]).await?.0, 0, "only who asks is told by the code");
    assert!(!bench.path("inventory.json").exists());
    bench.once(&[]).await?;
    assert_eq!(bench.once(&["--dry-run", "--exit-code"]).await?.0, 0);
    Ok(())
}

#[tokio::test]
async fn more_than_may_vanish_is_withheld_until_a_person_approves() -> Result<()> {
    let bench = Bench::new(100)?;
    bench.once(&[]).await?;
    bench.list(97)?;
    assert_eq!(counts(&bench.json(&[]).await?), [0, 3, 0, 97, 0], "three may");
    bench.list(47)?;
    let held = bench.json(&[]).await?;
    assert_eq!((held["exitCode"].as_u64(), counts(&held)), (Some(3), [0, 0, 0, 47, 50]));

    let wrong = bench.once(&["--approve", "000000000000"]).await?;
    assert_eq!(wrong.0, 2, "{}", wrong.1);
    let plan = bench.json(&["--dry-run"]).await?;
    std::fs::write(bench.path("plan.json"), plan.to_string())?;
    assert_eq!(plan["checksum"], held["checksum"], "the same are withheld");
    let done = bench.json(&["--approve", "plan.json"]).await?;
    assert_eq!((done["exitCode"].as_u64(), counts(&done)), (Some(0), [0, 50, 0, 47, 0]));
    assert_eq!(done["sources"][0]["changes"][0]["approval"], plan["checksum"]);
    let again = bench.json(&["--approve", "plan.json"]).await?;
    assert_eq!(counts(&again), [0, 0, 0, 47, 0], "nothing of the plan is still withheld");
    let checksum = plan["checksum"].as_str().context("no checksum")?;
    assert_eq!(bench.once(&["--approve", checksum]).await?.0, 2, "it matches nothing any more");

    bench.list(100)?;
    assert_eq!(counts(&bench.json(&[]).await?), [0, 0, 53, 47, 0], "they come back");
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_a_source_is_told_and_nothing_is_marked() -> Result<()> {
    let bench = Bench::new(3)?;
    bench.once(&[]).await?;
    let before = std::fs::read(bench.path("inventory.json"))?;
    std::fs::write(bench.path("machines.yaml"), "machines:\n- {id: m0, na")?;
    let (code, text) = bench.once(&[]).await?;
    assert!(code == 1 && text.contains("machines.yaml: line 2"), "{code} {text}");
    assert_eq!(std::fs::read(bench.path("inventory.json"))?, before);
    Ok(())
}

#[tokio::test]
async fn a_mistake_in_the_configuration_names_key_and_line_and_ends_with_2() -> Result<()> {
    let bench = Bench::new(1)?;
    std::fs::write(bench.path("fleet.yaml"), "schedule: every 60s\nselectr: a=b\n")?;
    for command in [&["--once"] as &[_], &[], &["check"]] {
        let ran = bench.fetcher.run(&[command, &["--config", "fleet.yaml"]].concat()).await?;
        let said = ran.stdout + &ran.stderr;
        assert_eq!(ran.code, 2, "{command:?}: {said}");
        assert!(said.contains("selectr") && said.contains("line 2"), "{command:?}: {said}");
    }
    assert_eq!(bench.fetcher.run(&["--bogus"]).await?.code, 2);
    assert_eq!(bench.fetcher.run(&["--once", "--selector", "a in b"]).await?.code, 2);
    Ok(())
}

#[tokio::test]
async fn check_says_what_is_well_and_what_is_missing() -> Result<()> {
    let bench = Bench::new(4)?;
    let ran = bench.fetcher.run(&["check"]).await?;
    assert!(ran.code == 0 && ran.stdout.contains("4 machines in machines.yaml"), "{ran:?}");
    std::fs::remove_file(bench.path("machines.yaml"))?;
    let ran = bench.fetcher.run(&["check"]).await?;
    assert!(ran.code == 2 && ran.stdout.contains("machines.yaml is not there"), "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn a_flag_wins_over_a_variable_and_an_empty_variable_says_nothing() -> Result<()> {
    let bench = Bench::new(2)?;
    let fetcher =
        bench.fetcher.clone().env("FETCHER_SELECTOR", "env=test").env("FETCHER_CONFIG", "");
    let none = fetcher.run(&["--once"]).await?.ok()?;
    assert!(none.contains("2 listed, 0 selected"), "{none}");
    let all = fetcher.run(&["--once", "--selector", "env=prod"]).await?.ok()?;
    assert!(all.contains("2 listed, 2 selected"), "{all}");
    let schema: Value = serde_json::from_str(&fetcher.run(&["schema"]).await?.ok()?)?;
    assert!(schema["properties"]["baremetal"].is_object(), "{schema}");
    Ok(())
}

/// The status code of a GET, none while nobody answers.
async fn status(port: u16, path: &str) -> Option<u16> {
    Some(reqwest::get(format!("http://127.0.0.1:{port}{path}")).await.ok()?.status().as_u16())
}

/// A configuration of a daemon with a port.
fn daemon(dir: &Path, schedule: &str) -> Result<u16> {
    let port = ports::free()?;
    let text = format!("schedule: {schedule}\nlisten: 127.0.0.1:{port}\nlog: {{format: json}}\n");
    std::fs::write(dir.join("fleet.yaml"), text)?;
    Ok(port)
}

#[tokio::test]
async fn a_daemon_becomes_ready_goes_on_and_ends_with_sigterm() -> Result<()> {
    let bench = Bench::new(3)?;
    let port = daemon(bench.dir.path(), "every 1s")?;
    let mut running = bench.fetcher.start(&["--config", "fleet.yaml"]).await?;
    poll_until("ready", SOON, async || {
        Ok((status(port, "/readyz").await == Some(200)).then_some(()))
    })
    .await?;
    assert_eq!(status(port, "/livez").await, Some(200));
    bench.list(4)?;
    poll_until("the fourth Host", SOON, async || {
        let stored = std::fs::read_to_string(bench.path("inventory.json"))?;
        Ok(stored.contains("host3").then_some(()))
    })
    .await?;
    let metrics = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await?.text().await?;
    assert!(metrics.contains("fetcher_changes_total{verb=\"create\"} 4"), "{metrics}");
    let ended = running.terminate(SOON).await?;
    assert_eq!(ended.code, Some(0), "{}", running.stderr());
    let log = running.stderr();
    let lines: Vec<Value> = log.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let changed: Vec<_> = lines.iter().filter(|line| line["verb"] == "create").collect();
    assert_eq!(changed.len(), 4, "{log}");
    for key in ["time", "host", "source", "verb", "reason", "fields"] {
        assert!(!changed[0][key].is_null(), "{key}: {log}");
    }
    Ok(())
}

/// The section of a NetBox that takes the request and never answers, so that no attempt ends.
fn netbox(bench: &Bench, silent: &tokio::net::TcpListener) -> Result<String> {
    std::fs::write(bench.path("token"), "0123456789abcdef0123456789abcdef01234567")?;
    let url = format!("http://{}", silent.local_addr()?);
    Ok(format!(
        "\nbaremetal:\n  sources:\n  - netbox: {{name: slow, url: '{url}', token: {{file: token}}}}\n"
    ))
}

/// A run with `--once` that waits for its provider, after it has heard the first SIGTERM; and what the provider holds.
async fn waiting_run(bench: &Bench) -> Result<(Leashed, tokio::net::TcpStream)> {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    std::fs::write(bench.path("fleet.yaml"), netbox(bench, &silent)?)?;
    let fetcher = bench.fetcher.clone().env("FETCHER_FILE", "");
    let running = fetcher.start(&["--once", "--config", "fleet.yaml"]).await?;
    let asked = tokio::time::timeout(SOON, silent.accept()).await;
    let (mut held, _) = asked.with_context(|| running.stderr())??;
    tokio::time::timeout(SOON, held.read(&mut [0; 4096])).await??;
    running.signal(Signal::TERM)?;
    poll_until("the first signal is heard", SOON, async || {
        Ok(running.stderr().contains("Stopping").then_some(()))
    })
    .await?;
    Ok((running, held))
}

#[tokio::test]
async fn a_run_ends_after_sigterm_with_its_report() -> Result<()> {
    let bench = Bench::new(1)?;
    let (mut running, mut held) = waiting_run(&bench).await?;
    let refused = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    held.write_all(refused).await?;
    // Without an answer it would be given up, without a report.
    let ended = running.ended(SOON).await?;
    assert_eq!(ended.code, Some(1), "{}", running.stderr());
    assert!(
        running.stdout().contains("slow") && running.stdout().contains("401"),
        "{}",
        running.stdout()
    );
    Ok(())
}

#[tokio::test]
async fn a_second_signal_aborts_a_run() -> Result<()> {
    let bench = Bench::new(1)?;
    let (mut running, _held) = waiting_run(&bench).await?;
    running.signal(Signal::TERM)?;
    // A single signal would let the run finish, for 20 seconds.
    let ended = running.ended(Duration::from_secs(15)).await?;
    assert_eq!(ended.code, Some(1), "{}", running.stderr());
    assert!(running.stdout().is_empty(), "{}", running.stdout());
    Ok(())
}

#[tokio::test]
async fn a_daemon_is_not_ready_before_the_first_attempt_and_a_second_signal_aborts_it() -> Result<()>
{
    let bench = Bench::new(1)?;
    let port = daemon(bench.dir.path(), "every 1h")?;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let netbox = netbox(&bench, &silent)?;
    let text = std::fs::read_to_string(bench.path("fleet.yaml"))? + &netbox;
    std::fs::write(bench.path("fleet.yaml"), text)?;
    let fetcher = bench.fetcher.clone().env("FETCHER_FILE", "");
    let mut running = fetcher.start(&["--config", "fleet.yaml"]).await?;
    let asked = tokio::time::timeout(SOON, silent.accept()).await;
    let _held = asked.with_context(|| running.stderr())??;
    assert_eq!(status(port, "/readyz").await, Some(503));
    assert_eq!(status(port, "/livez").await, Some(200));
    running.signal(Signal::TERM)?;
    poll_until("the first signal is heard", SOON, async || {
        Ok(running.stderr().contains("Stopping").then_some(()))
    })
    .await?;
    running.signal(Signal::TERM)?;
    // A single signal would let the round finish, for 20 seconds.
    let ended = running.ended(Duration::from_secs(15)).await?;
    assert_eq!(ended.code, Some(1), "{}", running.stderr());
    Ok(())
}

#[tokio::test]
async fn a_run_into_a_real_apiserver_and_a_daemon_after_it_agree() -> Result<()> {
    let namespace = Plane::shared().await?.namespace("binary").await?;
    let bench = Bench::new(5)?;
    let kubeconfig = namespace.kubeconfig()?.display().to_string();
    let store = format!("kubernetes:{CONTEXT}/{}", namespace.name());
    let at = ["--store", &store, "--kubeconfig", &kubeconfig, "--selector", ""];
    assert_eq!(counts(&bench.json(&at).await?), [5, 0, 0, 0, 0]);
    assert_eq!(counts(&bench.json(&at).await?), [0, 0, 0, 5, 0]);
    let hosts = namespace.kubectl(&["get", "hosts", "-o", "name"]).await?.ok()?;
    assert_eq!(hosts.lines().count(), 5, "{hosts}");
    let ran = bench.fetcher.run(&[&["check"], &at as &[_]].concat()).await?;
    assert_eq!(ran.code, 0, "{ran:?}");

    let port = daemon(bench.dir.path(), "every 1s")?;
    bench.list(6)?;
    let mut running =
        bench.fetcher.start(&[&["--config", "fleet.yaml"], &at as &[_]].concat()).await?;
    poll_until("the sixth Host", SOON, async || {
        let hosts = namespace.kubectl(&["get", "hosts", "-o", "name"]).await?.ok()?;
        Ok((hosts.lines().count() == 6).then_some(()))
    })
    .await
    .with_context(|| running.stderr())?;
    poll_until("ready", SOON, async || {
        Ok((status(port, "/readyz").await == Some(200)).then_some(()))
    })
    .await?;
    let metrics = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await?.text().await?;
    assert!(metrics.contains("fetcher_store_synced 1"), "{metrics}");
    assert_eq!(running.terminate(SOON).await?.code, Some(0), "{}", running.stderr());
    assert_eq!(counts(&bench.json(&at).await?), [0, 0, 0, 6, 0]);
    Ok(())
}
