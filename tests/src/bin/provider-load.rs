//! How much a large provider costs: `provider-load packet 10000`, `provider-load cloudforms 50000`,
//! `provider-load redfish 1000 10` (BMCs and rounds; some are slow, some silent, some dead).
//!
//! The API is `fake_packet`, `fake_cloudforms` or `fake_bmc` in a process of its own (this program again, with `serve`), so
//! that the figures are the fetcher's alone: calls as the API counted them, wall time, and resident memory, after the
//! listing and after each round into a file store. `redfish` fails if memory grows from the second round on.

use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use fetcher_core::app::App;
use fetcher_core::brake::Policy;
use fetcher_core::desired::Style;
use fetcher_core::observed::Lens;
use fetcher_core::provider::{Fetch, Progress, Provider};
use fetcher_core::report::RoundResult;
use fetcher_core::round::{Engine, RunOptions, Unwatched};
use fetcher_core::schema::Schema;
use fetcher_core::selector::Selector;
use fetcher_core::store::file::FileStore;
use fetcher_tests::fake_bmc::{self, FakeBmcs};
use fetcher_tests::fake_cloudforms::{self, FakeCloudforms};
use fetcher_tests::fake_faults::Fault;
use fetcher_tests::fake_packet::{self, FakePacket};
use serde_json::json;

const PROJECT: &str = "c0ffee00-1111-4222-8333-444455556666";

/// Each answer of these BMCs takes 10 s, and a round asks three times.
const SLOW: Range<usize> = 0..20;
/// These take the connection and never answer.
const SILENT: Range<usize> = 20..30;
/// These refuse it.
const DEAD: Range<usize> = 30..50;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", "packet", size] => {
            let all = (0..size.parse()?).map(fake_packet::device).collect();
            let fake = FakePacket::start([(PROJECT.to_owned(), all)].into()).await?;
            serve(&fake.url, || fake.script.take_calls().len())
        }
        ["serve", "cloudforms", size] => {
            let vms = (0..size.parse()?).map(fake_cloudforms::vm).collect();
            let fake = FakeCloudforms::start(vms).await?;
            serve(&fake.url, || fake.script.take_calls().len())
        }
        ["serve", "redfish", size] => {
            let bmcs = (0..size.parse()?).map(|n| (bmc(n), vec![fake_bmc::system(n)])).collect();
            let fake = FakeBmcs::start(bmcs, 50).await?;
            let plan = |bmcs: Range<usize>, takes: Duration| {
                for n in bmcs {
                    fake.script.always(&format!("/{}/", bmc(n)), Fault::Slow(takes));
                }
            };
            plan(SLOW, Duration::from_secs(10));
            plan(SILENT, Duration::from_secs(3600));
            fake.script.always("/redfish/v1/", Fault::Slow(Duration::from_millis(100)));
            serve(&fake.origin, || fake.script.take_calls().len())
        }
        ["redfish", size, rounds] => redfish(size, rounds.parse()?).await,
        ["packet", size] => {
            let api = Api::start("packet", size)?;
            let secret = secret(fake_packet::TOKEN)?;
            let section = json!({"url": api.url, "token": {"file": &*secret},
                "projects": [{"id": PROJECT}], "http": {"requestsPerSecond": 10_000}});
            let section = serde_json::from_value(section)?;
            let provider = fetcher_packet::Packet::build(section, Default::default())?;
            measure(provider, api).await
        }
        ["cloudforms", size] => {
            let api = Api::start("cloudforms", size)?;
            let secret = secret(fake_cloudforms::PASSWORD)?;
            let section = json!({"appliances": [{"name": "dc1", "url": api.url,
                "username": fake_cloudforms::USER, "password": {"file": &*secret},
                "http": {"requestsPerSecond": 10_000}}]});
            let section = serde_json::from_value(section)?;
            let provider = fetcher_cloudforms::Cloudforms::build(section, Default::default())?;
            measure(provider, api).await
        }
        _ => bail!("usage: provider-load (packet | cloudforms) MACHINES, or redfish BMCS ROUNDS"),
    }
}

/// The name of the n-th BMC.
fn bmc(n: usize) -> String {
    format!("bmc-{n:04}")
}

/// Rounds over many BMCs, 64 at once: how long each takes, and what memory it leaves.
async fn redfish(size: &str, rounds: usize) -> anyhow::Result<()> {
    let mut api = Api::start("redfish", size)?;
    let secret = secret(fake_bmc::PASSWORD)?;
    let url = |n: usize| match DEAD.contains(&n) {
        true => "http://127.0.0.1:9/".to_owned(),
        false => format!("{}/{}/", api.url, bmc(n)),
    };
    let endpoints: Vec<_> =
        (0..size.parse()?).map(|n| json!({"name": bmc(n), "url": url(n)})).collect();
    let auth = json!({"user": fake_bmc::USER, "password": {"file": &*secret}});
    let section = json!({"sources": [{"redfish": {"auth": auth, "endpoints": endpoints}}]});
    let section = serde_json::from_value(section)?;
    let provider = fetcher_baremetal::Baremetal::build(section, Default::default())?;
    let served = provider.sources().await?.sources;
    let dir = tempfile::tempdir()?;
    let lens = Lens { schema: Schema::ours(), selector: Selector::default() };
    let store = Arc::new(FileStore::new(dir.path().join("inventory.json"), lens));
    let mut engine = Engine::new(Arc::new(provider), store, Style::default(), Policy::default());
    engine.concurrency = 64_i64.try_into().map_err(anyhow::Error::msg)?;
    let mut resident = Vec::new();
    for round in 1..=rounds {
        let begin = Instant::now();
        let now = "2026-08-21T10:00:00Z".parse()?;
        let run = engine.once(&served, &RunOptions::default(), now, &Unwatched).await?;
        let complete = run.sources.iter().filter(|s| s.result == RoundResult::Complete).count();
        drop(run);
        let now = memory_mib("VmRSS:")?;
        resident.push(now);
        say(&format!(
            "round {round}: {complete} of {size} sources complete, {} calls, {} ms, resident {now} MiB, peak {} MiB",
            api.calls()?,
            begin.elapsed().as_millis(),
            memory_mib("VmHWM:")?
        ))?;
    }
    flat(&resident)
}

/// Memory is flat from the second round on: by then all is made that is kept from round to round.
fn flat(resident: &[u64]) -> anyhow::Result<()> {
    if let [_, second, .., last] = *resident
        && last * 5 > second * 6
    {
        bail!(
            "memory is not flat: {second} MiB resident after the second round, {last} MiB after the last, more than 20 % above"
        );
    }
    Ok(())
}

/// Says where it is, then the number of calls for each line on standard input, until that ends.
fn serve(url: &str, calls: impl Fn() -> usize) -> anyhow::Result<()> {
    say(url)?;
    for line in std::io::stdin().lines() {
        line?;
        say(&calls().to_string())?;
    }
    Ok(())
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

fn secret(text: &str) -> anyhow::Result<tempfile::TempPath> {
    let path = tempfile::NamedTempFile::new()?.into_temp_path();
    std::fs::write(&path, text)?;
    Ok(path)
}

/// The API in its own process, which ends with its standard input.
struct Api {
    url: String,
    child: Child,
    ask: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Api {
    fn start(kind: &str, size: &str) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", kind, size])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let ask = child.stdin.take();
        let mut answers = BufReader::new(child.stdout.take().context("no output")?);
        let mut url = String::new();
        answers.read_line(&mut url)?;
        Ok(Self { url: url.trim().to_owned(), child, ask, answers })
    }

    /// The calls since the last time.
    fn calls(&mut self) -> anyhow::Result<usize> {
        writeln!(self.ask.as_mut().context("no input")?)?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim().parse()?)
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        drop(self.ask.take());
        // Its standard input has ended, and so does it.
        let _ = self.child.wait();
    }
}

async fn measure(provider: impl Provider, mut api: Api) -> anyhow::Result<()> {
    let served = provider.sources().await?.sources;
    let source = &served.first().context("no source")?.source;
    let selector = Selector::default();
    let progress = Progress::default();
    let begin = Instant::now();
    let request = Fetch { source, selector: &selector, progress: &progress };
    let listing = provider.fetch(request).await?;
    let wall = begin.elapsed();
    let machines = listing.machines.len();
    say(&format!(
        "listing: {machines} machines, {} calls, {} ms, peak {} MiB",
        api.calls()?,
        wall.as_millis(),
        memory_mib("VmHWM:")?
    ))?;
    drop(listing);

    let dir = tempfile::tempdir()?;
    let lens = Lens { schema: Schema::ours(), selector };
    let store = Arc::new(FileStore::new(dir.path().join("inventory.json"), lens));
    let engine = Engine::new(Arc::new(provider), store, Style::default(), Policy::default());
    for word in ["first round", "second round"] {
        let begin = Instant::now();
        let now = "2026-08-21T10:00:00Z".parse()?;
        let run = engine.once(&served, &RunOptions::default(), now, &Unwatched).await?;
        let report = run.sources.first().context("no report")?;
        say(&format!(
            "{word}: {} created, {} unchanged, {} calls, {} ms, peak {} MiB",
            report.created,
            report.unchanged,
            api.calls()?,
            begin.elapsed().as_millis(),
            memory_mib("VmHWM:")?
        ))?;
    }
    Ok(())
}

/// Resident memory, as it is (`VmRSS:`) or at its peak so far (`VmHWM:`).
fn memory_mib(what: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)).context("no such figure")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024)
}
