//! `list_ec2 ENDPOINT`: lists one region with fetcher-aws' provider and says what that cost this process.

#![expect(clippy::print_stdout, reason = "its output is its result")]

use std::time::Instant;

use anyhow::{Context, Result};
use fetcher_aws::Aws;
use fetcher_core::app::App;
use fetcher_core::provider::{Fetch, Progress, Provider};
use fetcher_core::selector::Selector;

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::args().nth(1).context("usage: list_ec2 ENDPOINT")?;
    let section = serde_json::from_value(serde_json::json!({
        "regions": ["eu-west-1"],
        "endpoints": {"ec2": url, "sts": url},
    }))?;
    let provider = Aws::build(section, Default::default())?;
    let source = provider.sources().await?.sources.first().context("no source")?.source.clone();
    let (selector, progress) = (Selector::default(), Progress::default());
    let start = Instant::now();
    let listing =
        provider.fetch(Fetch { source: &source, selector: &selector, progress: &progress }).await?;
    let wall = start.elapsed();
    println!(
        "{{\"client\": \"fetcher-aws\", \"instances\": {}, \"pages\": {}, \"wall\": {:.2}, \"cpu\": {:.2}, \"peakMiB\": {:.0}}}",
        listing.machines.len(),
        progress.read().0,
        wall.as_secs_f64(),
        cpu()?,
        peak_mib()?,
    );
    Ok(())
}

/// Seconds of processor this process has used, in the kernel and out of it: fields 14 and 15 of `stat`, in
/// hundredths of a second (proc_pid_stat(5); the name before them may hold blanks).
fn cpu() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let ticks: Vec<f64> =
        fields.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

/// The most memory that was resident.
fn peak_mib() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}
