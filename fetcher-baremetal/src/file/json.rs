//! A list of machines in JSON.
//!
//! JSON shows by itself that it is whole: nothing that was cut off closes its outermost brace.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::document::Document;
use super::parse::{ParseError, line_of};

/// The document.
pub(super) fn read(text: &str) -> Result<Document, ParseError> {
    serde_json::from_str(text).map_err(|error| {
        let place = format!(" at line {} column {}", error.line(), error.column());
        let reason = error.to_string();
        let reason = reason.strip_suffix(&place).unwrap_or(&reason);
        let cut = if error.is_eof() { "the file is cut short: " } else { "" };
        ParseError {
            line: Some(error.line()),
            column: Some(error.column()),
            reason: format!("{cut}{reason}"),
        }
    })
}

/// The line on which the machine of this index begins.
pub(super) fn line(text: &str, index: usize) -> Option<usize> {
    #[derive(Deserialize)]
    struct Places<'a> {
        #[serde(borrow)]
        machines: Vec<&'a RawValue>,
    }
    let places: Places<'_> = serde_json::from_str(text).ok()?;
    let machine = places.machines.get(index)?.get();
    let offset = (machine.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    Some(line_of(text.as_bytes(), offset))
}
