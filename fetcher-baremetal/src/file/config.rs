//! The settings of a source of kind `file`.
//!
//! Not the reading: whether the file is there is asked in every round, not here.

use std::path::{Path, PathBuf};

use fetcher_core::app::InvalidConfig;
use fetcher_core::config::GoneOverride;
use fetcher_core::provider::Expect;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{File, Format, Glob};
use crate::config::{settings, valid_name};
use crate::provider::{Entry, Kind};

/// A list of machines in a file, or in each file of a glob.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// What the source is called; it owns the Hosts, so keep it when the file moves. Without it, the
    /// file's name up to its extension. A glob has none: each of its files is a source of that name.
    #[serde(default)]
    pub name: Option<String>,
    /// The file, or a glob (`*`, `?`, `[…]`, `**`) of files; relative to the working directory.
    pub path: String,
    /// What is in it, where the extension does not say.
    #[serde(default)]
    pub format: Option<Format>,
    /// What each file must hold to be believed.
    #[serde(default)]
    pub expect: Expect,
    /// Its own brake, where it differs from the instance's.
    #[serde(default)]
    pub gone: GoneOverride,
    /// Served, but neither read nor changed.
    #[serde(default)]
    pub suspend: bool,
}

/// What an entry of the configuration stands for.
#[derive(Debug)]
pub(crate) enum Built {
    /// One file.
    One(Entry),
    /// Whatever a glob finds.
    Many(Glob),
}

impl Config {
    /// The settings of a file or glob that a flag names.
    #[must_use]
    pub fn new(path: String) -> Self {
        Self {
            name: None,
            path,
            format: None,
            expect: Expect::default(),
            gone: GoneOverride::default(),
            suspend: false,
        }
    }

    /// The source or sources.
    ///
    /// # Errors
    /// A glob that is none or has a name, a name that is none, a format that nothing says.
    pub(crate) fn build(self) -> Result<Built, InvalidConfig> {
        let settings = settings(self.expect, self.gone, self.suspend);
        if self.path.contains(['*', '?', '[']) {
            if let Some(name) = self.name {
                return Err(InvalidConfig(format!(
                    "the file source {name:?} has the glob {:?} as its path: leave out `name` (each file is a source named after it), or give the path of one file",
                    self.path
                )));
            }
            return Glob::new(self.path, self.format, settings).map(Built::Many);
        }
        let path = PathBuf::from(self.path);
        let name = match self.name {
            Some(name) => name,
            None => stem(&path)?,
        };
        valid_name(&name, &format!("the file {}", path.display()))?;
        let format = Format::of(&path, self.format)?;
        Ok(Built::One(Entry::new(&name, settings, Kind::File(File::new(path, format)))))
    }
}

/// The name of a file up to its extension.
pub(super) fn stem(path: &Path) -> Result<String, InvalidConfig> {
    path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned).ok_or_else(|| {
        InvalidConfig(format!(
            "{} has no name that could name its source: give it a `name`",
            path.display()
        ))
    })
}
