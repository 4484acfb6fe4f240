//! kubectl, the real one, as a person would run it.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::programs;

/// kubectl with one kubeconfig.
pub struct Kubectl {
    kubeconfig: PathBuf,
}

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Ran {
    /// The command line, for messages.
    pub command: String,
    /// The exit code; -1 after a signal.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// Standard output, if the exit code was 0.
    ///
    /// # Errors
    /// It was not; the message holds both outputs.
    pub fn ok(self) -> Result<String> {
        ensure!(
            self.code == 0,
            "{} ended with {}\n{}{}",
            self.command,
            self.code,
            self.stdout,
            self.stderr
        );
        Ok(self.stdout)
    }

    pub(crate) fn new(command: String, output: std::process::Output) -> Result<Self> {
        Ok(Self {
            command,
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        })
    }
}

impl Kubectl {
    /// kubectl with this kubeconfig, and no other.
    #[must_use]
    pub fn new(kubeconfig: PathBuf) -> Self {
        Self { kubeconfig }
    }

    /// Runs it; how it ended is for the caller to judge.
    ///
    /// # Errors
    /// It could not be started.
    pub async fn run(&self, arguments: &[&str]) -> Result<Ran> {
        self.run_with_input(arguments, "").await
    }

    /// The same, with something on its standard input (`-f -`).
    ///
    /// # Errors
    /// It could not be started.
    pub async fn run_with_input(&self, arguments: &[&str], input: &str) -> Result<Ran> {
        // Beside the kubeconfig: another control plane may have had the same port.
        let cache = self.kubeconfig.with_extension("cache");
        let mut kubectl = Command::new(programs::control_plane("kubectl")?)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg("--cache-dir")
            .arg(cache)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut stdin = kubectl.stdin.take().context("kubectl has no standard input")?;
        // It may end without having read it; then its message counts, not the broken pipe.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        Ran::new(format!("kubectl {}", arguments.join(" ")), kubectl.wait_with_output().await?)
    }
}
