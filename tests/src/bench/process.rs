//! What a program costs: wall time, processor time, peak memory.
//!
//! Of one that ends, by `wait4` in `tests/benches/measure.py` (the standard library has no such call, and `unsafe` is
//! forbidden here); of one that runs on, from `/proc`.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};
use serde::Deserialize;
use tokio::process::Command;

use crate::kubectl::Ran;
use crate::programs;

/// What a program cost from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Cost {
    /// Seconds from start to end.
    pub wall: f64,
    /// Seconds of processor time, in user and in system mode.
    pub cpu: f64,
    /// The most memory that was resident, in bytes.
    pub peak: u64,
}

/// Runs a program to its end in `dir`, with nothing in its environment but PATH and HOME.
///
/// # Errors
/// It could not be started.
pub async fn run(program: &Path, arguments: &[&str], dir: &Path) -> Result<(Ran, Cost)> {
    let cost = dir.join("cost.json");
    let mut command = Command::new("python3");
    command.arg(programs::checkout("tests/benches/measure.py")).arg("--json").arg(&cost);
    command.arg(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    let output = command.env("HOME", dir).current_dir(dir).output().await.context("python3")?;
    let ran = Ran::new(format!("{} {}", program.display(), arguments.join(" ")), output)?;
    let cost = std::fs::read(&cost).with_context(|| format!("{ran:?}"))?;
    Ok((ran, serde_json::from_slice(&cost)?))
}

/// Seconds of processor time that a running process has used.
///
/// # Errors
/// It has ended.
pub fn cpu(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Behind the name, which may hold anything, the 12th and 13th field: clock ticks, a hundredth of a second each.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u32 = fields.skip(11).take(2).map(|field| field.parse().unwrap_or(0)).sum();
    Ok(f64::from(ticks) / 100.0)
}

/// The most memory that a running process has held so far, in bytes.
///
/// # Errors
/// It has ended.
pub fn peak(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).context("no VmHWM")?;
    Ok(kib.trim().parse::<u64>()? * 1024)
}
