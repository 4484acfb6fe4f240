//! Nothing has changed: the daemon's binary round after round, the same with `--once`, and parsing for itself.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fetcher_baremetal::file::Format;
use fetcher_baremetal::file::parse::parse;
use serde_json::Value;

use super::change::Fleet;
use super::sample::{Case, Sample, Who};
use super::{Bench, FETCHER, list, process};
use crate::fetcher::Fetcher;
use crate::leash::Leashed;
use crate::poll::poll_until;

impl Bench {
    /// A daemon's `rounds` rounds, per round, on a fleet that is in sync; then `--once`.
    ///
    /// # Errors
    /// The fetcher failed.
    pub async fn unchanged(&self, fleet: &mut Fleet, rounds: usize) -> Result<Vec<Sample>> {
        let dir = fleet.house.namespace.dir();
        let config = fleet.house.config.to_str().context("a path that is no text")?;
        let arguments = ["--config", config, "--log-format", "json", "--log-level", "debug"];
        let mut daemon = Fetcher::new(FETCHER, dir)?.args(arguments).start(&[]).await?;
        // The first rounds parse the list and find their place.
        let before = ended(&daemon, 3).await?;
        let mut audit = fleet.house.namespace.audit();
        audit.restart().await?;
        let cpu = process::cpu(daemon.pid())?;
        let after = ended(&daemon, before.len() + rounds).await?;
        let cpu = process::cpu(daemon.pid())? - cpu;
        let made = &after[before.len()..];
        #[expect(clippy::cast_precision_loss, reason = "a handful of rounds")]
        let each = |sum: f64| sum / made.len() as f64;
        let sample = Sample {
            cpu: Some(each(cpu)),
            peak: Some(process::peak(daemon.pid())?),
            requests: audit.counts(FETCHER).await?,
            ..Sample::new(Case::Unchanged, Who::Daemon, self.machines, each(made.iter().sum()))
        };
        daemon.terminate(Duration::from_secs(60)).await?;
        Ok(vec![sample, fleet.once(Case::Unchanged).await?])
    }

    /// The list parsed, as YAML and as JSON.
    ///
    /// # Errors
    /// It is no list.
    pub fn parse(&self) -> Result<Vec<Sample>> {
        let yaml = (Who::Yaml, Format::Yaml, list::yaml(self.machines, 0));
        let json = (Who::Json, Format::Json, list::json(self.machines, 0));
        [yaml, json]
            .map(|(who, format, text)| {
                let start = Instant::now();
                parse(format, text.as_bytes())?;
                Ok(Sample::new(Case::Parse, who, self.machines, start.elapsed().as_secs_f64()))
            })
            .into_iter()
            .collect()
    }
}

/// How long each round took that the daemon's log tells of, once there are so many.
async fn ended(daemon: &Leashed, rounds: usize) -> Result<Vec<f64>> {
    poll_until("the daemon's rounds end", Duration::from_secs(300), async || {
        let log = daemon.stderr();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let took: Vec<f64> = lines
            .filter(|line| line["message"] == "Round complete")
            .filter_map(|line| line["took"].as_f64())
            .collect();
        Ok((took.len() >= rounds).then_some(took))
    })
    .await
}
