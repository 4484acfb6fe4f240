//! What one instance is told to do: one strict YAML file, and what holds where it is silent.
//!
//! Not the command line (see `args`, which wins over the file), and not a provider's section, which its own crate
//! knows. Nothing here touches the network, and no secret ever stands in the file: only the paths of secrets do.

use std::path::Path;

use crate::app::{App, InvalidConfig};

mod document;
mod gone;
mod keys;
mod mistake;
mod schema;
#[cfg(test)]
mod tests;

pub use document::Config;
pub use gone::GoneOverride;
pub(crate) use gone::fraction;
pub use keys::{Concurrency, FileConfig, Labels, Log, LogFormat, LogLevel, StoreConfig};
pub use schema::schema;

/// The largest file in bytes: room for every id of a large `expect`, and no room for a bomb.
const MAX_BYTES: u64 = 4 << 20;

/// The configuration in the file at `path`.
///
/// # Errors
/// A file that cannot be read, is too large, or does not say what the schema wants: naming the file, the key, the line
/// and the column.
pub fn load<A: App>(path: &Path) -> Result<Config<A>, InvalidConfig> {
    let named = path.display();
    let text = read(path).map_err(|error| {
        InvalidConfig(format!("the configuration {named} cannot be read: {error}; give the path of a YAML file with --config"))
    })?;
    parse(&text).map_err(|InvalidConfig(why)| {
        InvalidConfig(format!(
            "{named}: {why}; `fetcher-{} schema` prints what the file may hold",
            A::NAME
        ))
    })
}

fn read(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > MAX_BYTES {
        return Err(std::io::Error::other("it is larger than 4 MiB"));
    }
    std::fs::read_to_string(path)
}

/// The configuration in this text.
///
/// # Errors
/// What it gets wrong, naming the key, the line and the column; never showing the lines around, which may hold what
/// does not belong there.
pub fn parse<A: App>(text: &str) -> Result<Config<A>, InvalidConfig> {
    let blank = text.lines().all(|line| line.trim().is_empty() || line.trim().starts_with('#'));
    if blank {
        return Err(InvalidConfig(
            "the file is empty: leave out --config to run without one".to_owned(),
        ));
    }
    serde_saphyr::from_str_with_options(text, strict())
        .map_err(|error| InvalidConfig(mistake::describe(text, &error)))
}

/// YAML without its surprises: no `yes` for true, no numbers for text, no anchors, merges or tags.
fn strict() -> serde_saphyr::Options {
    serde_saphyr::options! {
        strict_booleans: true,
        no_schema: true,
        with_snippet: false,
        merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        budget: serde_saphyr::budget! {
            max_aliases: 0,
            max_anchors: 0,
            max_documents: 1,
            max_depth: 16,
            max_nodes: 100_000,
        },
    }
}
