//! The smaller keys of the file, each with what holds where it is left out.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::store::kube::KubernetesConfig;

/// Where the Hosts are kept: one key, the kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StoreConfig {
    /// One JSON file in the shape of a kubectl `List`.
    File(FileConfig),
    /// A namespace at a Kubernetes apiserver. `selector` must be spelled out with it.
    Kubernetes(Box<KubernetesConfig>),
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self::File(FileConfig { path: PathBuf::from("inventory.json") })
    }
}

/// The file store.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// The file; relative to the working directory. It is made where it is not there.
    pub path: PathBuf,
}

/// What of a machine becomes a label of its Host, beside provider, source, region and zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Labels {
    /// Keys of tags that become labels `tag.inventory.fetcher.dev/KEY`.
    pub tags: Vec<String>,
}

/// How many sources are worked on at once, 1 to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct Concurrency(usize);

impl Concurrency {
    /// The number.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0
    }
}

impl Default for Concurrency {
    fn default() -> Self {
        Self(32)
    }
}

impl TryFrom<i64> for Concurrency {
    type Error = String;

    fn try_from(sources: i64) -> Result<Self, String> {
        let number = usize::try_from(sources).ok().filter(|number| (1..=1000).contains(number));
        let wrong = || format!("concurrency is {sources}: give 1 to 1000 sources at once");
        number.map(Self).ok_or_else(wrong)
    }
}

/// What goes to standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// How a line is written.
    pub format: LogFormat,
    /// The least severe lines that are written.
    pub level: LogLevel,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How severe a line must be to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Only what a person must act on.
    Error,
    /// Failed rounds and withheld marks too.
    Warn,
    /// Changes and one summary a tick too.
    #[default]
    Info,
    /// Rounds without change and requests too.
    Debug,
    /// Everything.
    Trace,
}
