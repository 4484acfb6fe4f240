//! One measurement, and the file that measurements are gathered in: so that a long benchmark can be made in parts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Case {
    /// All machines are new.
    Create,
    /// One in a hundred has changed in its status.
    Change,
    /// None has changed.
    Unchanged,
    /// The list is parsed, and nothing else.
    Parse,
}

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Who {
    /// Prepared requests, nothing else.
    Limit,
    /// The fetcher's binary with `--once`, from its start to its end.
    Once,
    /// A daemon's round, its list parsed before; and the daemon itself where nothing changed.
    Daemon,
    /// `kubectl apply` of all Hosts, then of their status.
    Kubectl,
    /// The parser of this format.
    Yaml,
    /// The parser of this format.
    Json,
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// What was done.
    pub case: Case,
    /// Who did it.
    pub who: Who,
    /// How many machines the list held.
    pub machines: usize,
    /// How many requests were in flight, where that was for us to say.
    pub in_flight: Option<usize>,
    /// Seconds it took.
    pub wall: f64,
    /// Seconds of processor time, where they were measured.
    pub cpu: Option<f64>,
    /// The most memory it held, in bytes.
    pub peak: Option<u64>,
    /// Requests the apiserver answered, by verb, resource and code, as the audit log has them.
    pub requests: BTreeMap<String, usize>,
}

impl Sample {
    /// A measurement of time alone.
    #[must_use]
    pub fn new(case: Case, who: Who, machines: usize, wall: f64) -> Self {
        let requests = BTreeMap::new();
        Self { case, who, machines, in_flight: None, wall, cpu: None, peak: None, requests }
    }
}

/// Whose turn it is in pair `pair`, from 0: A B, B A, A B, …
#[must_use]
pub fn turn(pair: usize, fetcher: Who) -> [Who; 2] {
    if pair.is_multiple_of(2) { [Who::Limit, fetcher] } else { [fetcher, Who::Limit] }
}

/// Adds measurements to the file, which need not be there.
///
/// # Errors
/// The file cannot be written.
pub fn append(path: &Path, samples: &[Sample]) -> Result<()> {
    let mut file = File::options().create(true).append(true).open(path);
    let file = file.as_mut().map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))?;
    for sample in samples {
        writeln!(file, "{}", serde_json::to_string(sample)?)?;
    }
    Ok(())
}

/// All measurements of the file, none where it is not there.
///
/// # Errors
/// A line of it is no measurement.
pub fn read(path: &Path) -> Result<Vec<Sample>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let lines = BufReader::new(File::open(path)?).lines();
    lines
        .map(|line| serde_json::from_str(&line?).with_context(|| format!("in {}", path.display())))
        .collect()
}
