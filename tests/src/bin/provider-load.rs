//! How much a large provider costs: `provider-load packet 10000`, `provider-load cloudforms 50000`.
//!
//! The API is `fake_packet` or `fake_cloudforms` in a process of its own (this program again, with `serve`), so that the
//! figures are the fetcher's alone: calls as the API counted them, wall time, and the peak of resident memory, after the
//! listing and after a first round into a file store.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail};
use fetcher_core::app::App;
use fetcher_core::brake::Policy;
use fetcher_core::desired::Style;
use fetcher_core::observed::Lens;
use fetcher_core::provider::{Fetch, Progress, Provider};
use fetcher_core::round::{Engine, RunOptions, Unwatched};
use fetcher_core::schema::Schema;
use fetcher_core::selector::Selector;
use fetcher_core::store::file::FileStore;
use fetcher_tests::fake_cloudforms::{self, FakeCloudforms};
use fetcher_tests::fake_packet::{self, FakePacket};
use serde_json::json;

const PROJECT: &str = "c0ffee00-1111-4222-8333-444455556666";

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
        _ => bail!("usage: provider-load (packet|cloudforms) MACHINES"),
    }
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
        peak_mib()?
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
            peak_mib()?
        ))?;
    }
    Ok(())
}

/// The peak of resident memory so far.
fn peak_mib() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024)
}
