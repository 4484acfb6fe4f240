//! What is wrong with a file, in words: the place first, the key where the reader knows only a value.
//!
//! Not the lines around it: they may hold what does not belong there.

use serde_saphyr::{Error, Location};

/// The error over this text, as one sentence.
pub(super) fn describe(text: &str, error: &Error) -> String {
    let error = error.without_snippet();
    let Some(place) = error.location().filter(|place| place.line() > 0) else {
        return words(error);
    };
    let at = format!("line {}, column {}", place.line(), place.column());
    let words = words(error);
    let words = words.strip_suffix(&format!(" at {at}")).unwrap_or(&words);
    match key(text, place) {
        Some(key) if !words.contains(key) => format!("{at}: {key}: {words}"),
        _ => format!("{at}: {words}"),
    }
}

/// The reader's own words, save where they speak of the reader and not of the file.
fn words(error: &Error) -> String {
    match error {
        Error::DuplicateMappingKey { key, .. } => {
            format!("the key {} stands here twice: leave out one", key.as_deref().unwrap_or(""))
        }
        Error::InvalidScalar { ty, .. } => match *ty {
            "u8" | "u16" | "u32" | "u64" | "usize" => {
                "a whole number, 0 or more, is wanted".to_owned()
            }
            other => format!("this is no {other}"),
        },
        Error::InvalidBooleanStrict { .. } => "true or false is wanted".to_owned(),
        Error::Unexpected { expected: "sequence start", .. } => {
            "a list is wanted, like [a, b]".to_owned()
        }
        Error::Unexpected { expected: "mapping start", .. } => {
            "keys with values are wanted, like {key: value}".to_owned()
        }
        Error::QuotingRequired { value, .. } => {
            format!("{value} is wanted as text: put it in quotes")
        }
        Error::Budget { .. } => {
            "one document without anchors and aliases is wanted, not nested deeper than 16"
                .to_owned()
        }
        other => other.to_string(),
    }
}

/// The key whose value begins at this place: the word before the colon, on the same line.
fn key(text: &str, place: Location) -> Option<&str> {
    let line = text.lines().nth(usize::try_from(place.line()).ok()?.checked_sub(1)?)?;
    let column = usize::try_from(place.column()).ok()?.checked_sub(1)?;
    let end = line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
    let before = line.get(..end)?.trim_end().strip_suffix(':')?;
    let key = before
        .rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
        .next()
        .unwrap_or_default();
    (!key.is_empty()).then_some(key)
}
