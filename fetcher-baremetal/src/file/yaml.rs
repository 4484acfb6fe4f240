//! A list of machines in YAML.
//!
//! A subset of YAML on purpose: no anchors, merge keys or tags (`defaults` does their work), so that what a
//! line says can be seen on that line.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::options::MergeKeyPolicy;
use serde_saphyr::{Error, Options, Spanned};

use super::document::Document;
use super::parse::{ParseError, ended};

/// The document.
pub(super) fn read(text: &str) -> Result<Document, ParseError> {
    ended(text)?;
    serde_saphyr::from_str_with_options(text, options(text)).map_err(|error| explain(&error))
}

/// The line on which the machine of this index begins.
pub(super) fn line(text: &str, index: usize) -> Option<usize> {
    #[derive(Deserialize)]
    struct Places {
        machines: Vec<Spanned<IgnoredAny>>,
    }
    let places: Places = serde_saphyr::from_str_with_options(text, options(text)).ok()?;
    usize::try_from(places.machines.get(index)?.referenced.line()).ok()
}

/// Strict, and with a budget that the length of the text itself bounds: every node has a byte at least.
fn options(text: &str) -> Options {
    let bytes = text.len() + 64;
    serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
        emit_comments: false,
        merge_keys: MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        budget: serde_saphyr::budget! {
            max_aliases: 0,
            max_anchors: 0,
            max_documents: 1,
            max_depth: 16,
            max_nodes: 2 * bytes,
            max_events: 4 * bytes,
            max_total_scalar_bytes: 2 * bytes,
        },
    }
}

/// The error without the library's advice to its programmer.
fn explain(error: &Error) -> ParseError {
    let text = error.without_snippet().to_string();
    let place = error.location();
    let (line, column) = (place.map(|place| place.line()), place.map(|place| place.column()));
    let suffix = match (line, column) {
        (Some(line), Some(column)) => format!(" at line {line}, column {column}"),
        _ => String::new(),
    };
    let reason = text.strip_suffix(&suffix).unwrap_or(&text);
    let reason = match reason.split_once(", set DuplicateKeyPolicy") {
        Some((reason, _)) => reason,
        None if reason.contains("Documents {") => {
            "a second document begins here: a file holds one, and `...` stands on its last line only"
        }
        None if reason.contains("Anchors {") || reason.contains("Aliases {") => {
            "anchors and aliases are not read: write out what is meant, or use `defaults`"
        }
        None => reason,
    };
    let number = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok());
    ParseError { line: number(line), column: number(column), reason: reason.to_owned() }
}
