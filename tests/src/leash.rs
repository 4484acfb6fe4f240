//! A program that a test has started and that ends with it, by way of the binary `leash`.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::programs;

/// The first line that `leash` prints.
#[derive(Debug, Serialize, Deserialize)]
pub struct Started {
    /// The program's process id.
    pub pid: u32,
}

/// The last line that `leash` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The exit code, if it ended by itself.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
}

/// What to run: program, arguments, and the whole environment it gets beside PATH.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The program's file.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its environment.
    pub environment: Vec<(String, String)>,
    /// The folder it runs in.
    pub dir: PathBuf,
}

impl Invocation {
    /// Puts environment and folder on `command`: nothing of the tester's own settings reaches the program.
    pub(crate) fn surround(&self, command: &mut Command) {
        command.env_clear();
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.env("HOME", &self.dir);
        command.envs(self.environment.iter().map(|(k, v)| (k, v)));
        command.current_dir(&self.dir);
    }
}

/// A running program; dropping it kills it and whatever it has started.
pub struct Leashed {
    pid: Pid,
    logs: TempDir,
    lines: Lines<BufReader<ChildStdout>>,
    ended: Option<Ended>,
    _input: ChildStdin,
    _leash: Child,
}

impl Leashed {
    /// Starts it.
    ///
    /// # Errors
    /// The program is not there, or cannot be run.
    pub async fn start(what: &Invocation) -> Result<Self> {
        let logs = tempfile::Builder::new().prefix("fleet-logs-").tempdir()?;
        let mut command = Command::new(programs::workspace("leash")?);
        command
            .args([logs.path().join("stdout"), logs.path().join("stderr")])
            .arg(&what.program)
            .args(&what.arguments);
        what.surround(&mut command);
        // A group of its own: Ctrl-C ends the test, and that ends this.
        let mut leash =
            command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = leash.stdin.take().context("leash has no standard input")?;
        let output = leash.stdout.take().context("leash has no standard output")?;
        let mut lines = BufReader::new(output).lines();
        let first = lines.next_line().await?;
        let first = first
            .with_context(|| format!("{} did not start, see above", what.program.display()))?;
        let pid = serde_json::from_str::<Started>(&first)?.pid;
        let pid = Pid::from_raw(pid.cast_signed()).context("leash named no process")?;
        Ok(Self { pid, logs, lines, ended: None, _input: input, _leash: leash })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid, signal).with_context(|| format!("{signal:?} to {}", self.pid()))
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// It has not, within that time; the message holds what it has printed.
    pub async fn ended(&mut self, within: Duration) -> Result<Ended> {
        if let Some(ended) = self.ended {
            return Ok(ended);
        }
        let line = timeout(within, self.lines.next_line()).await;
        let line = line.with_context(|| {
            format!("still running after {within:?}; it said:\n{}", self.stderr())
        })?;
        let ended = serde_json::from_str(&line?.context("leash ended without a word")?)?;
        self.ended = Some(ended);
        Ok(ended)
    }

    /// SIGTERM, and waits until it has ended.
    ///
    /// # Errors
    /// As `ended`.
    pub async fn terminate(&mut self, within: Duration) -> Result<Ended> {
        self.signal(Signal::TERM)?;
        self.ended(within).await
    }

    /// SIGKILL, and waits until it has ended; it may have ended by itself the moment before.
    ///
    /// # Errors
    /// As `ended`.
    pub async fn kill(&mut self) -> Result<Ended> {
        match kill_process(self.pid, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(error).with_context(|| format!("SIGKILL to {}", self.pid())),
        }
        self.ended(Duration::from_secs(60)).await
    }

    /// What it has printed on standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.log("stdout")
    }

    /// What it has printed on standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.log("stderr")
    }

    fn log(&self, name: &str) -> String {
        fs::read(self.logs.path().join(name))
            .map(|l| String::from_utf8_lossy(&l).into_owned())
            .unwrap_or_default()
    }
}
