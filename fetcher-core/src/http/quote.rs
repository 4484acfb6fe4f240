//! Words about failures: where, what, why; short, fit for a terminal, and without any secret of the call.

use std::error::Error;

use url::Url;

use crate::printable::printable;

/// How much of a body is quoted, in characters.
const QUOTE: usize = 200;
/// How much of a body is looked at for the quote, in bytes; more than the longest secret.
const LOOKED_AT: usize = 256 * 1024;

/// The texts of one call that no error may show.
#[derive(Clone, Default)]
pub(super) struct Hidden(Vec<String>);

impl Hidden {
    /// Hides this text, and the forms it takes in a URL or in JSON.
    pub(super) fn add(&mut self, text: &str) {
        let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let json = serde_json::to_string(text).unwrap_or_default();
        let json = json.trim_matches('"').to_owned();
        for form in [text.to_owned(), encoded, json] {
            if !form.is_empty() && !self.0.contains(&form) {
                self.0.push(form);
            }
        }
        // The longest first: one may be a part of another.
        self.0.sort_by_key(|form| std::cmp::Reverse(form.len()));
    }

    /// The text without what is hidden.
    pub(super) fn clean(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "[redacted]"))
    }

    /// The beginning of a body, cleaned, on one line.
    pub(super) fn quote(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(&body[..body.len().min(LOOKED_AT)]);
        let words = self.clean(&text).split_whitespace().collect::<Vec<_>>().join(" ");
        printable(&words, QUOTE)
    }

    /// An error with its real causes, cleaned.
    pub(super) fn causes(&self, error: &(dyn Error + 'static)) -> String {
        let mut texts: Vec<String> = Vec::new();
        let mut next = Some(error);
        while let Some(cause) = next {
            let text = cause.to_string();
            // Some wrappers print what they wrap.
            if !texts.iter().any(|said| said.contains(&text)) {
                texts.push(text);
            }
            next = cause.source();
        }
        printable(&self.clean(&texts.join(": ")), 2 * QUOTE)
    }
}

/// A URL for an error or a log: without its query, which may hold anything.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    printable(url.as_str(), 300)
}

/// A reference from outside for an error, without its query.
pub(super) fn place(reference: &str) -> String {
    let path = reference.split(['?', '#']).next().unwrap_or_default();
    format!("{:?}", printable(path, 120))
}
