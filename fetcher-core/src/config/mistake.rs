//! What is wrong with a file, in words: the place first, the key where the reader knows only a value.
//!
//! Not the lines around it: they may hold what does not belong there.

use serde_saphyr::{Error, Location};

/// The error over this text, as one sentence.
pub(super) fn describe(text: &str, error: &Error) -> String {
    let error = error.without_snippet();
    let Some(place) = error.location().filter(|place| place.line() > 0) else {
        return words(error, None);
    };
    let at = format!("line {}, column {}", place.line(), place.column());
    let key = key(text, place);
    let words = words(error, key);
    let words = words.strip_suffix(&format!(" at {at}")).unwrap_or(&words);
    match key {
        Some(key) if !words.contains(key) => format!("{at}: {key}: {words}"),
        _ => format!("{at}: {words}"),
    }
}

/// The reader's own words on the value of `key`, save where they speak of the reader and not of the file.
fn words(error: &Error, key: Option<&str>) -> String {
    match error {
        Error::DuplicateMappingKey { key, .. } => {
            format!("the key {} stands here twice: leave out one", key.as_deref().unwrap_or(""))
        }
        Error::InvalidScalar { ty, .. } => match *ty {
            "u8" | "u16" | "u32" | "u64" | "usize" => {
                "a whole number, 0 or more, is wanted".to_owned()
            }
            "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number is wanted".to_owned(),
            "floating point" => "a number is wanted".to_owned(),
            other => format!("this is no {other}"),
        },
        Error::InvalidBooleanStrict { .. } => "true or false is wanted".to_owned(),
        Error::Unexpected { expected: "sequence start", .. } => {
            "a list is wanted, like [a, b]".to_owned()
        }
        Error::Unexpected { expected: "mapping start", .. } => {
            "keys with values are wanted, like {key: value}".to_owned()
        }
        Error::Unexpected { expected: "string scalar", .. } => {
            "a single value is wanted, no list and no keys".to_owned()
        }
        Error::ExpectedStringKeyForExternallyTaggedEnum { .. }
        | Error::ExternallyTaggedEnumExpectedScalarOrMapping { .. } => kind(key),
        Error::ExpectedMappingEndAfterEnumVariantValue { .. } => {
            "a second kind stands here: leave out all but one".to_owned()
        }
        Error::QuotingRequired { value, .. } if is_nothing(value) && key == Some("store") => {
            kind(key)
        }
        Error::QuotingRequired { value, .. } if is_nothing(value) => nothing(),
        Error::NullIntoString { .. } => nothing(),
        Error::SerdeInvalidType { unexpected, expected, .. } if unexpected == "unit value" => {
            format!("nothing stands here, and {expected} is wanted")
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

/// What is wanted where one of several kinds has to be chosen.
fn kind(key: Option<&str>) -> String {
    match key {
        Some("store") => "`store` wants one of `file`, `kubernetes`".to_owned(),
        Some(_) | None => "one key is wanted, which names the kind".to_owned(),
    }
}

fn nothing() -> String {
    "nothing stands here: give a value, or leave out the key".to_owned()
}

/// How YAML says that there is no value; a key with nothing after it is read as `~`.
fn is_nothing(value: &str) -> bool {
    matches!(value, "" | "~") || value.eq_ignore_ascii_case("null")
}

/// The key whose value begins at this place: the word before the colon, on the same line. A value that is nothing
/// begins at the colon, one of no keys is told of at its end.
fn key(text: &str, place: Location) -> Option<&str> {
    let line = text.lines().nth(usize::try_from(place.line()).ok()?.checked_sub(1)?)?;
    let column = usize::try_from(place.column()).ok()?.checked_sub(1)?;
    let end = line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
    let (before, rest) = line.split_at_checked(end)?;
    let before = match rest.chars().next() {
        Some(':') => before,
        Some('}') => before.trim_end().strip_suffix('{')?.trim_end().strip_suffix(':')?,
        Some(_) | None => before.trim_end().strip_suffix(':')?,
    };
    let key = before
        .rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
        .next()
        .unwrap_or_default();
    (!key.is_empty()).then_some(key)
}
