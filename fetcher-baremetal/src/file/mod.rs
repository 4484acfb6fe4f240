//! Sources of kind `file`: a list of machines that people or tools write, in YAML, JSON or CSV.
//!
//! Not a database: a file is read as a whole and believed as a whole, or not at all. Who is a file's
//! author is not our business; that it is complete is, see [`parse`].

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use fetcher_core::machine::Source;
use fetcher_core::provider::{Fetch, FetchError, Finding, Listing};

mod config;
mod csv;
pub mod document;
mod expand;
mod json;
mod map;
pub mod parse;
mod read;
mod short;
#[cfg(test)]
mod tests;
mod value;
mod yaml;

pub(crate) use config::Built;
pub use config::Config;
pub(crate) use expand::Glob;
pub use parse::Format;

/// One file of machines.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    format: Format,
    /// What the file was parsed to last: the same bytes are not parsed again.
    last: Mutex<Option<read::Parsed>>,
}

impl File {
    pub(crate) const fn new(path: PathBuf, format: Format) -> Self {
        Self { path, format, last: Mutex::new(None) }
    }

    /// The file, for messages.
    pub(crate) fn place(&self) -> String {
        self.path.display().to_string()
    }

    /// All machines of the file.
    pub(crate) async fn fetch(&self, request: Fetch<'_>) -> Result<Listing, FetchError> {
        let parsed = self.load().await?;
        request.progress.page(parsed.machines.len());
        Ok(Listing { machines: Arc::clone(&parsed.machines), notes: Vec::new() })
    }

    /// Whether the file can be read and understood now.
    pub(crate) async fn check(&self, source: &Source) -> Finding {
        match self.load().await {
            Ok(parsed) => Finding {
                ok: true,
                text: format!("{source}: {} machines in {}", parsed.machines.len(), self.place()),
            },
            Err(error) => Finding { ok: false, text: format!("{source}: {error}") },
        }
    }

    async fn load(&self) -> Result<read::Parsed, FetchError> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (path, format) = (self.path.clone(), self.format);
        let reading = tokio::task::spawn_blocking(move || read::load(&path, format, last));
        let parsed = reading.await.map_err(|broken| {
            FetchError::unavailable(format!("reading {} broke off: {broken}", self.place()))
        })??;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(parsed.clone());
        Ok(parsed)
    }
}
