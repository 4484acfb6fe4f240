//! A glob of files: which sources it stands for just now.
//!
//! Not the memory of them: a file that no longer matches is left out here, and the core goes on to name its
//! source as unserved.

use std::path::PathBuf;
use std::sync::Arc;

use fetcher_core::app::InvalidConfig;
use fetcher_core::provider::{FetchError, SourceSettings};
use glob::{MatchOptions, Pattern, glob_with};

use super::config::stem;
use super::{File, Format};
use crate::config::valid_name;
use crate::provider::{Entry, Kind};

/// A glob, and what the configuration says of each file it matches.
#[derive(Debug)]
pub(crate) struct Glob {
    pattern: String,
    format: Option<Format>,
    settings: Arc<SourceSettings>,
}

/// What a glob stands for, and what it could not make a source of.
#[derive(Debug, Default)]
pub(crate) struct Expanded {
    pub(crate) entries: Vec<Entry>,
    pub(crate) failed: Vec<(String, FetchError)>,
}

impl Glob {
    pub(crate) fn new(
        pattern: String,
        format: Option<Format>,
        settings: Arc<SourceSettings>,
    ) -> Result<Self, InvalidConfig> {
        Pattern::new(&pattern)
            .map_err(|error| InvalidConfig(format!("the path {pattern:?} is no glob: {error}")))?;
        Ok(Self { pattern, format, settings })
    }

    /// The files that match now. None at all is a failure: a directory that is not mounted looks like that.
    pub(crate) async fn expand(&self) -> Expanded {
        let pattern = self.pattern.clone();
        let files = match tokio::task::spawn_blocking(move || files(&pattern)).await {
            Ok(Ok(files)) => files,
            Ok(Err(message)) => return self.failed(FetchError::unavailable(message)),
            Err(broken) => return self.failed(FetchError::unavailable(broken.to_string())),
        };
        if files.is_empty() {
            return self.failed(FetchError::invalid(format!(
                "no file matches {}: look at the path, and whether its directory is mounted",
                self.pattern
            )));
        }
        let mut expanded = Expanded::default();
        for path in files {
            let place = path.display().to_string();
            match self.entry(path) {
                Ok(entry) => expanded.entries.push(entry),
                Err(error) => expanded.failed.push((place, FetchError::invalid(error.0))),
            }
        }
        expanded
    }

    fn entry(&self, path: PathBuf) -> Result<Entry, InvalidConfig> {
        let name = stem(&path)?;
        valid_name(&name, &format!("the file {}", path.display()))?;
        let format = Format::of(&path, self.format)?;
        Ok(Entry::new(&name, Arc::clone(&self.settings), Kind::File(File::new(path, format))))
    }

    fn failed(&self, error: FetchError) -> Expanded {
        Expanded { entries: Vec::new(), failed: vec![(self.pattern.clone(), error)] }
    }
}

/// The regular files that match, in the order of their paths; hidden ones only when the pattern says so.
fn files(pattern: &str) -> Result<Vec<PathBuf>, String> {
    let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
    let matches = glob_with(pattern, options).map_err(|error| format!("{pattern}: {error}"))?;
    let mut files = Vec::new();
    for found in matches {
        let path = found.map_err(|error| error.to_string())?;
        if !path.is_dir() {
            files.push(path);
        }
    }
    Ok(files)
}
