//! A fetcher's binary as a user runs it: one shot, or as a daemon that gets signals.

use std::path::Path;
use std::process::Stdio;

use anyhow::Result;
use tokio::process::Command;

use crate::kubectl::Ran;
use crate::leash::{Invocation, Leashed};
use crate::programs;

/// A fetcher with the arguments that all its runs in a test share.
#[derive(Debug, Clone)]
pub struct Fetcher {
    what: Invocation,
}

impl Fetcher {
    /// The workspace's binary `name`, run in the folder `dir`, with nothing in its environment but PATH and HOME.
    ///
    /// # Errors
    /// It has not been built.
    pub fn new(name: &str, dir: &Path) -> Result<Self> {
        let program = programs::workspace(name)?;
        Ok(Self {
            what: Invocation {
                program,
                arguments: Vec::new(),
                environment: Vec::new(),
                dir: dir.into(),
            },
        })
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.what.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.what.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs it to its end, with these arguments beside the shared ones.
    ///
    /// # Errors
    /// It could not be started.
    pub async fn run(&self, arguments: &[&str]) -> Result<Ran> {
        let what = self.clone().args(arguments.iter().copied()).what;
        let mut command = Command::new(&what.program);
        what.surround(&mut command);
        let output =
            command.args(&what.arguments).stdin(Stdio::null()).kill_on_drop(true).output().await?;
        Ran::new(format!("{} {}", what.program.display(), what.arguments.join(" ")), output)
    }

    /// Starts it and leaves it running.
    ///
    /// # Errors
    /// It could not be started.
    pub async fn start(&self, arguments: &[&str]) -> Result<Leashed> {
        Leashed::start(&self.clone().args(arguments.iter().copied()).what).await
    }
}
