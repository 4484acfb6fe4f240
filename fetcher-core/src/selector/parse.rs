//! Reading a selector: from text to requirements, or an error that points at the place.
//!
//! Not its meaning: see the parent. One pass over the characters, no look-ahead beyond one token.

use std::collections::BTreeSet;

use super::{Key, Requirement, Test};

/// A selector that cannot be read. Displays as three lines: what is wrong, the text, a caret under the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{expected} at character {}\n  {text}\n  {:>width$}", .at + 1, "^", width = .at + 1)]
pub struct SelectorError {
    expected: String,
    text: String,
    at: usize,
}

impl SelectorError {
    /// The same in one line, for where no caret can stand under the place.
    pub(crate) fn in_line(&self) -> String {
        let Self { expected, text, at } = self;
        let before: String = text.chars().take(*at).collect();
        match before.as_str() {
            "" => format!("{expected} at its beginning"),
            before => format!("{expected} at character {}, after `{before}`", at + 1),
        }
    }
}

/// Characters that end a word outside quotes.
const SPECIAL: &[char] = &[',', '=', '!', '(', ')', '\'', '"'];

pub(super) fn selector(text: &str) -> Result<Vec<Requirement>, SelectorError> {
    let mut reader = Reader { text, chars: text.chars().collect(), at: 0 };
    let mut requirements = Vec::new();
    reader.skip_blanks();
    if reader.peek().is_none() {
        return Ok(requirements);
    }
    loop {
        requirements.push(requirement(&mut reader)?);
        reader.skip_blanks();
        match reader.peek() {
            None => return Ok(requirements),
            Some(',') => reader.at += 1,
            Some(_) => return Err(reader.error("expected `,` or the end")),
        }
    }
}

fn requirement(reader: &mut Reader<'_>) -> Result<Requirement, SelectorError> {
    reader.skip_blanks();
    if reader.peek() == Some('!') {
        reader.at += 1;
        reader.skip_blanks();
        return Ok(Requirement { key: key(reader)?, test: Test::Absent });
    }
    let key = key(reader)?;
    reader.skip_blanks();
    let test = match reader.peek() {
        None | Some(',') => Test::Exists,
        Some('=') => {
            reader.at += 1;
            if reader.peek() == Some('=') {
                reader.at += 1;
            }
            Test::In(BTreeSet::from([value(reader)?]))
        }
        Some('!') => {
            reader.at += 1;
            reader.take('=', "expected `=` after `!`")?;
            Test::NotIn(BTreeSet::from([value(reader)?]))
        }
        Some(_) => set(reader)?,
    };
    Ok(Requirement { key, test })
}

/// `in (x,y)` or `notin (x,y)`.
fn set(reader: &mut Reader<'_>) -> Result<Test, SelectorError> {
    let start = reader.at;
    let word = reader.bare();
    if word != "in" && word != "notin" {
        reader.at = start;
        return Err(reader.error(
            "expected `=`, `==`, `!=`, `in`, `notin` or `,` (text with a blank wants quotes)",
        ));
    }
    reader.skip_blanks();
    reader.take('(', "expected `(`")?;
    let mut values = BTreeSet::new();
    loop {
        values.insert(value(reader)?);
        reader.skip_blanks();
        match reader.peek() {
            Some(',') => reader.at += 1,
            Some(')') => break,
            _ => return Err(reader.error("expected `,` or `)`")),
        }
    }
    reader.at += 1;
    Ok(if word == "in" { Test::In(values) } else { Test::NotIn(values) })
}

fn key(reader: &mut Reader<'_>) -> Result<Key, SelectorError> {
    let fact = reader.peek() == Some('@');
    if fact {
        reader.at += 1;
    }
    let key = match reader.peek() {
        Some(quote @ ('"' | '\'')) => reader.quoted(quote)?,
        _ => reader.bare(),
    };
    if key.is_empty() {
        return Err(reader.error(if fact {
            "expected the name of a fact"
        } else {
            "expected a key"
        }));
    }
    Ok(if fact { Key::Fact(key) } else { Key::Tag(key) })
}

/// A value; the empty one is allowed, as in Kubernetes.
fn value(reader: &mut Reader<'_>) -> Result<String, SelectorError> {
    reader.skip_blanks();
    match reader.peek() {
        Some(quote @ ('"' | '\'')) => reader.quoted(quote),
        _ => Ok(reader.bare()),
    }
}

struct Reader<'a> {
    text: &'a str,
    chars: Vec<char>,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn take(&mut self, wanted: char, expected: &str) -> Result<(), SelectorError> {
        if self.peek() != Some(wanted) {
            return Err(self.error(expected));
        }
        self.at += 1;
        Ok(())
    }

    fn bare(&mut self) -> String {
        let start = self.at;
        while self.peek().is_some_and(|c| !c.is_whitespace() && !SPECIAL.contains(&c)) {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    /// Text in quotes; a backslash takes the next character as it is.
    fn quoted(&mut self, quote: char) -> Result<String, SelectorError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                '\\' => match self.peek() {
                    Some(escaped) => {
                        text.push(escaped);
                        self.at += 1;
                    }
                    None => break,
                },
                c if c == quote => return Ok(text),
                c => text.push(c),
            }
        }
        self.at = start;
        Err(self.error("this quote is not closed"))
    }

    fn error(&self, expected: &str) -> SelectorError {
        // Control characters would move the caret, or the terminal.
        let text = self.text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        SelectorError { expected: expected.to_owned(), text, at: self.at }
    }
}

/// `text` as it may stand in a selector.
pub(super) fn quote_if_needed(text: &str) -> String {
    let bare = !text.is_empty()
        && !text.starts_with('@')
        && !text.contains(|c: char| c.is_whitespace() || SPECIAL.contains(&c));
    if bare { text.to_owned() } else { quote(text) }
}

/// `text` in double quotes.
pub(super) fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
