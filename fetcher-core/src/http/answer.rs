//! A whole answer: its status, its headers, its body within the limit; and what a failed one means.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use super::quote::Hidden;
use super::retry::retry_after;
use crate::printable::printable;
use crate::provider::FetchError;

/// An answer as the server gave it, its body whole and unpacked.
#[derive(Clone)]
pub struct Answer {
    /// Its status: any but a redirect.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    pub(super) place: String,
    pub(super) hidden: Hidden,
}

/// Neither headers nor body: a login's answer holds the token.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Answer({}: {}, {} bytes)", self.place, self.status, self.body.len())
    }
}

impl Answer {
    /// A body out of a recording, as an answer of status 200 with JSON: so that what reads answers can be held to
    /// recorded and to made-up ones without a server.
    #[doc(hidden)]
    #[must_use]
    pub fn recorded(body: &[u8]) -> Self {
        let json = header::HeaderValue::from_static("application/json");
        Self {
            status: StatusCode::OK,
            headers: HeaderMap::from_iter([(header::CONTENT_TYPE, json)]),
            body: Bytes::copy_from_slice(body),
            place: "recording".to_owned(),
            hidden: Hidden::default(),
        }
    }

    /// A header as text, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// This answer if its status is 2xx.
    ///
    /// # Errors
    /// What any other status means: see [`Answer::failure`].
    pub fn ok(self) -> Result<Self, FetchError> {
        if self.status.is_success() { Ok(self) } else { Err(self.failure()) }
    }

    /// The body of a 2xx answer, out of JSON.
    ///
    /// # Errors
    /// [`Answer::failure`] for another status; [`FetchError::Inconsistent`] for a body that is not JSON by its content
    /// type, or not of this shape.
    pub fn json<T: DeserializeOwned>(self) -> Result<T, FetchError> {
        let answer = self.ok()?;
        answer.expect_json()?;
        serde_json::from_slice(&answer.body).map_err(|_| answer.misshapen::<T>())
    }

    /// What this answer means when its status was not hoped for: `Denied` for 401 and 403, `Throttled` for 429,
    /// `Unavailable` for 5xx and 408, `Invalid` for an address that is not there (404, 410), else `Inconsistent`.
    #[must_use]
    pub fn failure(&self) -> FetchError {
        self.meaning(&self.hidden.quote(&self.body))
    }

    /// [`Answer::failure`] with these words of the server in place of its body: for an API that wraps them.
    #[must_use]
    pub fn failure_saying(&self, words: &str) -> FetchError {
        self.meaning(&self.hidden.quote(words.as_bytes()))
    }

    fn meaning(&self, quote: &str) -> FetchError {
        let said = if quote.is_empty() { String::new() } else { format!(": {quote}") };
        let what = format!("{}: {}{said}", self.place, self.status);
        match self.status.as_u16() {
            401 => FetchError::denied(format!("{what}; check the credentials")),
            403 => FetchError::denied(format!("{what}; check the credentials and their rights")),
            429 => FetchError::throttled(what, retry_after(&self.headers)),
            404 | 410 => FetchError::invalid(format!("{what}; check the url")),
            408 | 500..=599 => FetchError::unavailable(what),
            _ => FetchError::inconsistent(what),
        }
    }

    fn expect_json(&self) -> Result<(), FetchError> {
        let kind = self.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if essence == "application/json"
            || (essence.starts_with("application/") && essence.ends_with("+json"))
        {
            return Ok(());
        }
        let kind =
            if essence.is_empty() { "no content type".to_owned() } else { printable(&essence, 60) };
        // The data itself may hold secrets of machines: only a page for people is quoted.
        let is_data = matches!(self.body.trim_ascii_start().first(), Some(b'{' | b'['));
        let quote = if is_data {
            "not quoted, it is data".to_owned()
        } else {
            self.hidden.quote(&self.body)
        };
        Err(FetchError::inconsistent(format!(
            "{}: {} with {kind} where JSON was expected: {quote}",
            self.place, self.status,
        )))
    }

    /// Where the body does not fit, and why. Read again for the path, which costs too much to keep track of always.
    fn misshapen<T: DeserializeOwned>(&self) -> FetchError {
        let mut json = serde_json::Deserializer::from_slice(&self.body);
        let (path, why) = match serde_path_to_error::deserialize::<_, T>(&mut json) {
            Ok(_) => (".".to_owned(), "something follows the JSON".to_owned()),
            Err(e) => (e.path().to_string(), without_value(&e.inner().to_string())),
        };
        let at = if path == "." { String::new() } else { format!(" at {}", printable(&path, 100)) };
        let why = printable(&self.hidden.clean(&why), 300);
        FetchError::inconsistent(format!("{}: not the JSON this API speaks{at}: {why}", self.place))
    }
}

/// Serde quotes a string that it did not expect, and that may be a password of a machine: the path is enough.
fn without_value(why: &str) -> String {
    match (why.find('"'), why.rfind('"')) {
        (Some(first), Some(last)) if first < last => {
            format!("{}\"…{}", &why[..first], &why[last..])
        }
        _ => why.to_owned(),
    }
}
