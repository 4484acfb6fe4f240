//! `deploy/systemd` as systemd's own tools judge it, against the binaries that the units start; and what a fetcher tells
//! systemd while it runs. A booted systemd is `tests/deploy/systemd.sh`, which needs root and minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fetcher_tests::fetcher::Fetcher;
use fetcher_tests::poll::poll_until;
use fetcher_tests::programs::{checkout, workspace};
use fetcher_tests::unit;
use tempfile::TempDir;
use tokio::net::UnixDatagram;

const SOON: Duration = Duration::from_secs(60);
const PROVIDERS: [&str; 4] = ["aws", "baremetal", "cloudforms", "packet"];

/// Every unit of `deploy/systemd` by its file name.
fn units() -> Result<BTreeMap<String, String>> {
    let mut units = BTreeMap::new();
    for entry in fs::read_dir(checkout("deploy/systemd"))? {
        let path = entry?.path();
        let is_unit = path.extension().is_some_and(|kind| kind == "service" || kind == "path");
        if let (true, Some(name)) = (is_unit, path.file_name().and_then(|name| name.to_str())) {
            units.insert(name.to_owned(), fs::read_to_string(&path)?);
        }
    }
    Ok(units)
}

/// The units in a folder of their own, with the workspace's binaries for those that a package installs.
fn installed() -> Result<TempDir> {
    let dir = tempfile::tempdir()?;
    for (name, mut text) in units()? {
        for provider in PROVIDERS {
            let installed = format!("/usr/bin/fetcher-{provider} ");
            let built = workspace(&format!("fetcher-{provider}"))?;
            text = text.replace(&installed, &format!("{} ", built.display()));
        }
        fs::write(dir.path().join(name), text)?;
    }
    Ok(dir)
}

/// systemd's judgement; where it is not installed, the remedy.
fn analyze(arguments: &[&str], unit: &PathBuf) -> Result<(bool, String)> {
    let ran = Command::new("systemd-analyze").args(arguments).arg(unit).output();
    let ran = ran.context(
        "systemd-analyze is missing, which judges deploy/systemd: install it with 'apt-get install systemd'",
    )?;
    let said = [ran.stdout, ran.stderr].concat();
    Ok((ran.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn systemd_finds_nothing_wrong_with_any_unit() -> Result<()> {
    let dir = installed()?;
    for name in units()?.keys() {
        let verify = ["verify", "--man=no", "--recursive-errors=no"];
        let (is_well, said) = analyze(&verify, &dir.path().join(name))?;
        ensure!(is_well && said.is_empty(), "{name}: {said}");
    }
    Ok(())
}

#[test]
fn every_unit_that_runs_a_fetcher_is_exposed_by_one_and_a_half_at_the_most() -> Result<()> {
    let dir = installed()?;
    let units = units()?;
    let fetchers: Vec<_> = units.keys().filter(|name| runs_a_fetcher(name)).collect();
    assert_eq!(fetchers.len(), 3 * PROVIDERS.len());
    for name in fetchers {
        let security = ["security", "--offline=true", "--threshold=15", "--no-pager"];
        let (is_well, said) = analyze(&security, &dir.path().join(name))?;
        ensure!(is_well, "{name}: {said}");
        assert!(said.contains("exposure level"), "{name}: {said}");
    }
    Ok(())
}

fn runs_a_fetcher(name: &str) -> bool {
    name.ends_with(".service") && !name.ends_with("-credentials.service")
}

#[test]
fn the_units_of_the_providers_differ_in_name_and_secrets_alone() -> Result<()> {
    let units = units()?;
    assert_eq!(units.len(), 5 * PROVIDERS.len(), "{:?}", units.keys());
    let is_own = |line: &&str| {
        let own = ["#", "Description=", "SetCredential=", "LoadCredential=", "Environment=AWS_"];
        !own.iter().any(|key| line.starts_with(key))
    };
    for kind in
        [".service", "-once.service", "-once@.service", "-credentials.path", "-credentials.service"]
    {
        let mut texts = BTreeSet::new();
        for provider in PROVIDERS {
            let text = units.get(&format!("fetcher-{provider}{kind}"));
            let text = text.with_context(|| format!("fetcher-{provider}{kind}"))?;
            let rest: Vec<_> = text.lines().filter(is_own).collect();
            texts.insert(rest.join("\n").replace(provider, "PROVIDER"));
        }
        assert_eq!(texts.len(), 1, "{kind}: {texts:#?}");
    }
    Ok(())
}

#[test]
fn a_run_by_hand_gets_the_credentials_and_the_protection_of_the_daemon() -> Result<()> {
    let units = units()?;
    for provider in PROVIDERS {
        let lines = |kind: &str| -> BTreeSet<&str> {
            let text = &units[&format!("fetcher-{provider}{kind}")];
            let own = ["#", "Description=", "Type=", "ExecStart=", "BindReadOnlyPaths="];
            text.lines().filter(|line| !own.iter().any(|key| line.starts_with(key))).collect()
        };
        let daemon = lines(".service");
        for kind in ["-once.service", "-once@.service"] {
            let by_hand = lines(kind);
            let more: Vec<_> =
                by_hand.difference(&daemon).filter(|l| !l.starts_with("Wants=")).collect();
            assert!(more.is_empty(), "{provider}{kind}: {more:?}");
            let less: Vec<_> = daemon.difference(&by_hand).copied().collect();
            for line in less {
                let of_a_daemon = [
                    "Wants=",
                    "Condition",
                    "StartLimit",
                    "Timeout",
                    "Watchdog",
                    "Restart",
                    "[Install]",
                    "WantedBy=",
                ];
                assert!(
                    of_a_daemon.iter().any(|key| line.starts_with(key)),
                    "{provider}{kind} lacks {line}"
                );
            }
        }
    }
    Ok(())
}

/// The seconds of a setting.
fn seconds(unit: &str, key: &str) -> Result<u64> {
    let line = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    Ok(line.with_context(|| key.to_owned())?.parse()?)
}

#[test]
fn systemd_waits_longer_than_a_round_and_than_the_end_of_one() -> Result<()> {
    for (name, unit) in units()?.iter().filter(|(_, text)| text.contains("\nType=notify\n")) {
        assert!(
            seconds(unit, "WatchdogSec")? > fetcher_core::round::FETCH_DEADLINE.as_secs(),
            "{name}"
        );
        assert!(seconds(unit, "TimeoutStopSec")? > 20 + 5, "{name}: rounds may end, and sessions");
        assert_eq!(seconds(unit, "StartLimitIntervalSec")?, 0, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn every_command_line_of_a_unit_is_one_that_its_binary_takes() -> Result<()> {
    let dir = tempfile::tempdir()?;
    for (name, unit) in units()?.iter().filter(|(name, _)| runs_a_fetcher(name)) {
        let provider = PROVIDERS.iter().find(|p| name.starts_with(&format!("fetcher-{p}")));
        let fetcher =
            Fetcher::new(&format!("fetcher-{}", provider.context("no provider")?), dir.path())?;
        let arguments = unit::arguments(unit, &BTreeMap::new())?;
        let arguments: Vec<_> = arguments.iter().map(|a| a.replace("%i", "51be07c2a9d3")).collect();
        let ran = fetcher.args(arguments).run(&["--help"]).await?;
        assert!(ran.code == 0 && ran.stdout.contains("--approve"), "{name}: {ran:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_example_configuration_is_one_that_the_binary_reads() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let fetcher = Fetcher::new("fetcher-baremetal", dir.path())?;
    let environment = fs::read_to_string(checkout("deploy/systemd/environment"))?;
    let variables = environment.lines().filter(|line| !line.starts_with('#'));
    let fetcher = variables
        .filter_map(|line| line.split_once('='))
        .fold(fetcher, |fetcher, (key, value)| fetcher.env(key, value));
    let config = checkout("deploy/systemd/config.yaml").display().to_string();
    let ran = fetcher.run(&["check", "--config", &config]).await?;
    assert!(ran.stdout.contains("config.yaml can be used"), "{ran:?}");
    // The files are systemd's to bring.
    let credentials = "/run/credentials/fetcher-baremetal.service";
    assert!(ran.code == 2 && ran.stdout.contains(credentials), "{ran:?}");
    Ok(())
}

#[tokio::test]
async fn systemd_is_told_of_a_start_that_goes_on_of_being_ready_of_the_counts_and_of_the_end()
-> Result<()> {
    let dir = tempfile::tempdir()?;
    let socket = UnixDatagram::bind(dir.path().join("notify"))?;
    // A provider that takes the request and does not answer, until this test lets it go.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let config = format!(
        "schedule: every 1s\nstore: {{file: {{path: inventory.json}}}}\nbaremetal:\n  sources:\n  - file: {{name: hall, path: machines.yaml}}\n  \
         - netbox: {{name: slow, url: 'http://{}', token: {{file: token}}}}\n",
        silent.local_addr()?
    );
    fs::write(dir.path().join("config.yaml"), config)?;
    fs::write(dir.path().join("token"), "0123456789abcdef0123456789abcdef01234567")?;
    fs::write(dir.path().join("machines.yaml"), "machines:\n- {id: m1, name: host1}\n...\n")?;
    let fetcher = Fetcher::new("fetcher-baremetal", dir.path())?
        .env("NOTIFY_SOCKET", &dir.path().join("notify").display().to_string())
        .env("WATCHDOG_USEC", "3000000");
    let mut running = fetcher.start(&["--config", "config.yaml"]).await?;
    let held =
        tokio::time::timeout(SOON, silent.accept()).await.with_context(|| running.stderr())??;

    let mut told = Told(socket);
    told.until("EXTEND_TIMEOUT_USEC=60000000").await?;
    told.until("STATUS=Starting: 1 sources have not ended a first attempt").await?;
    let before = told.until("WATCHDOG=1").await?;
    ensure!(!before.iter().any(|line| line == "READY=1"), "ready too soon: {before:?}");
    // Refused from now on: the attempt ends badly, and that is an end.
    drop((held, silent));
    told.until("READY=1").await?;
    told.until(" sources, 1 failed; ").await?;
    running.signal(rustix::process::Signal::TERM)?;
    told.until("STOPPING=1").await?;
    assert_eq!(running.ended(SOON).await?.code, Some(0), "{}", running.stderr());
    Ok(())
}

/// What systemd is told.
struct Told(UnixDatagram);

impl Told {
    /// The lines up to one that holds this.
    async fn until(&mut self, words: &str) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        let mut message = [0; 4096];
        poll_until(&format!("systemd is told {words}"), SOON, async || {
            if let Ok(length) = self.0.try_recv(&mut message) {
                let text = String::from_utf8_lossy(&message[..length]).into_owned();
                lines.extend(text.lines().map(str::to_owned));
            }
            Ok(lines.iter().any(|line| line.contains(words)).then_some(()))
        })
        .await
        .with_context(|| format!("it was told {lines:?}"))?;
        Ok(lines)
    }
}
