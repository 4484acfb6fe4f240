//! All machines are new: the fetcher's binary with `--once`, from its start to its end, beside the limit.

use anyhow::{Result, ensure};

use super::limit::{self, Limit, prepare};
use super::sample::{Case, Sample, Who, turn};
use super::{Bench, FETCHER, IN_FLIGHT, machines, process};
use crate::namespace::Namespace;
use crate::programs;

/// How many of the machines the numbers in flight are tried with.
const TRIED: usize = 2000;

impl Bench {
    /// The pair of this number, from 0; `in_flight` as it was found to serve the limit best.
    ///
    /// # Errors
    /// A request or the fetcher failed.
    pub async fn create(&self, pair: usize, in_flight: usize) -> Result<Vec<Sample>> {
        let mut samples = Vec::new();
        for who in turn(pair, Who::Once) {
            samples.push(match who {
                Who::Limit => self.limit(self.machines, in_flight).await?.0,
                _ => self.once().await?.0,
            });
        }
        Ok(samples)
    }

    /// How many in flight serve the limit best.
    ///
    /// # Errors
    /// A request failed.
    pub async fn best_for_creates(&self) -> Result<usize> {
        let mut best = (f64::MAX, 0);
        for in_flight in IN_FLIGHT {
            let (sample, _) = self.limit(self.machines.min(TRIED), in_flight).await?;
            if sample.wall < best.0 {
                best = (sample.wall, in_flight);
            }
        }
        Ok(best.1)
    }

    /// The limit once, and where it left its Hosts.
    ///
    /// # Errors
    /// A request failed.
    pub async fn limit(&self, count: usize, in_flight: usize) -> Result<(Sample, Namespace)> {
        let namespace = self.plane.namespace("limit").await?;
        let prepared = prepare(&machines(count, 0)?)?;
        let took = Limit::new(&namespace)?.create(&prepared, in_flight).await?;
        let sample = Sample {
            in_flight: Some(in_flight),
            requests: namespace.audit().counts(limit::AGENT).await?,
            ..Sample::new(Case::Create, Who::Limit, count, took.as_secs_f64())
        };
        Ok((sample, namespace))
    }

    /// The fetcher once, and where it left its Hosts.
    ///
    /// # Errors
    /// It failed.
    pub async fn once(&self) -> Result<(Sample, Namespace)> {
        let house = self.house().await?;
        let program = programs::workspace(FETCHER)?;
        let config = house.config.display().to_string();
        let (ran, cost) =
            process::run(&program, &["--once", "--config", &config], house.namespace.dir()).await?;
        ensure!(ran.code == 0, "{ran:?}");
        let sample = Sample {
            cpu: Some(cost.cpu),
            peak: Some(cost.peak),
            requests: house.namespace.audit().counts(FETCHER).await?,
            ..Sample::new(Case::Create, Who::Once, self.machines, cost.wall)
        };
        Ok((sample, house.namespace))
    }
}
