//! The bytes of a file as machines.
//!
//! Not the reading of it, see `read`. A file is one of three formats with one meaning. It must show that it is
//! complete: JSON closes itself, YAML and CSV end with a line `...`; so a file that was cut off anywhere is an
//! error, and never a smaller list.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use fetcher_core::app::InvalidConfig;
use fetcher_core::machine::Machine;
use schemars::JsonSchema;
use serde::Deserialize;

use super::document::Document;
use super::map::fill;
use super::{csv, json, yaml};

/// How a list of machines is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// YAML 1.2, its last line `...`.
    Yaml,
    /// JSON, the same document.
    Json,
    /// Comma-separated values with a header line, its last line `...`.
    Csv,
}

impl Format {
    /// The format that is `given`, else what the extension of `path` says.
    ///
    /// # Errors
    /// Neither says.
    pub fn of(path: &Path, given: Option<Self>) -> Result<Self, InvalidConfig> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
        match (given, extension.to_ascii_lowercase().as_str()) {
            (Some(format), _) => Ok(format),
            (None, "yaml" | "yml") => Ok(Self::Yaml),
            (None, "json") => Ok(Self::Json),
            (None, "csv") => Ok(Self::Csv),
            (None, _) => Err(InvalidConfig(format!(
                "the format of {} is unknown: let its name end in .yaml, .yml, .json or .csv, or give it a `format`",
                path.display()
            ))),
        }
    }
}

/// Why a file is not what it must be, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// The column, from 1, where it is known.
    pub column: Option<usize>,
    /// What is wrong, with the remedy; without the text of the file.
    pub reason: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(f, "line {line}, column {column}: ")?,
            (Some(line), None) => write!(f, "line {line}: ")?,
            (None, _) => {}
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for ParseError {}

impl ParseError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { line: None, column: None, reason: reason.into() }
    }

    pub(super) fn at(line: usize, reason: impl Into<String>) -> Self {
        Self { line: Some(line), column: None, reason: reason.into() }
    }
}

/// All machines of a file, each id once.
///
/// # Errors
/// Anything that makes it less than a whole list: see [`ParseError`].
pub fn parse(format: Format, bytes: &[u8]) -> Result<Vec<Machine>, ParseError> {
    let text = text(bytes)?;
    if text.trim().is_empty() {
        return Err(ParseError::new(
            "the file is empty: a list without any machine is written as `count: 0` and `machines: []`",
        ));
    }
    let document = match format {
        Format::Yaml => yaml::read(text),
        Format::Json => json::read(text),
        Format::Csv => csv::read(text),
    }?;
    believe(&document)?;
    unique(&document.machines.list, |index| match format {
        Format::Yaml => yaml::line(text, index),
        Format::Json => json::line(text, index),
        Format::Csv => csv::line(text, index),
    })?;
    let Document { mut machines, defaults, .. } = document;
    fill(&mut machines, defaults);
    machines.list.shrink_to_fit();
    Ok(machines.list)
}

/// The file as text; a byte order mark, as spreadsheets write it, is left out.
fn text(bytes: &[u8]) -> Result<&str, ParseError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = line_of(bytes, error.valid_up_to());
        ParseError::at(line, "a byte here is no UTF-8: save the file in that encoding")
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The line, from 1, of the byte at `offset`.
pub(super) fn line_of(bytes: &[u8], offset: usize) -> usize {
    let before = bytes.get(..offset).unwrap_or(bytes);
    before.split(|&byte| byte == b'\n').count()
}

/// Refuses a document that is whole, but not what it says of itself.
fn believe(document: &Document) -> Result<(), ParseError> {
    let listed = document.machines.list.len();
    let own = &document.defaults.hardware;
    if own.serial.is_some() || own.uuid.is_some() {
        return Err(ParseError::new(
            "a `serial` or `uuid` belongs to one machine, not to `defaults`",
        ));
    }
    match document.count {
        None if listed == 0 => Err(ParseError::new(
            "the list has no machine: if that is meant, say so with a `count` of 0",
        )),
        Some(count) if count != listed => Err(ParseError::new(format!(
            "the file says a `count` of {count} and lists {listed} machines: it is cut short, or its `count` is old"
        ))),
        None | Some(_) => Ok(()),
    }
}

/// Refuses a list that holds an id twice; `line` tells where the machine of an index stands.
fn unique(machines: &[Machine], line: impl Fn(usize) -> Option<usize>) -> Result<(), ParseError> {
    let mut first = HashMap::with_capacity(machines.len());
    for (index, machine) in machines.iter().enumerate() {
        let Some(earlier) = first.insert(&machine.id, index) else { continue };
        let place = match line(earlier) {
            Some(line) => format!("line {line}"),
            None => format!("machine {}", earlier + 1),
        };
        let reason =
            format!("the id {:?} is that of {place} too: an id is one machine's alone", machine.id);
        return Err(ParseError { line: line(index), column: None, reason });
    }
    Ok(())
}

/// The line that ends a file of lines, where nothing else could show that it was cut short: YAML's own mark
/// for the end of a document.
pub(super) const END: &str = "...";

/// Refuses a text whose last line is not [`END`].
pub(super) fn ended(text: &str) -> Result<(), ParseError> {
    let text = text.trim_end();
    if text.lines().next_back() == Some(END) {
        return Ok(());
    }
    Err(ParseError::at(
        text.lines().count().max(1),
        "the file may be cut short, because its last line is not `...`: end a complete list with a line of three dots",
    ))
}
