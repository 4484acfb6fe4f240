//! What an answer of the API means: its body where it is one, else its words for what went wrong.
//!
//! Any body could be a device with its root password: nothing is quoted of JSON but the API's own words for an error.

use fetcher_core::http::Answer;
use fetcher_core::printable::printable;
use fetcher_core::provider::FetchError;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The API's words for what went wrong; one or both.
#[derive(Deserialize)]
struct Words {
    #[serde(default)]
    errors: Option<Vec<String>>,
    #[serde(default)]
    error: Option<String>,
}

/// Whether the API itself answered, and not a page of something in between.
pub(crate) fn is_json(answer: &Answer) -> bool {
    let kind = answer.header("content-type").unwrap_or_default().trim_start();
    kind.to_ascii_lowercase().starts_with("application/json")
}

/// The body of a 2xx answer.
///
/// # Errors
/// [`failure`] for another status; a body of another kind or shape, which is not quoted.
pub(crate) fn body<T: DeserializeOwned>(answer: Answer) -> Result<T, FetchError> {
    if !answer.status.is_success() {
        return Err(failure(&answer));
    }
    if !is_json(&answer) {
        let kind = answer.header("content-type").unwrap_or("no content type");
        return Err(FetchError::inconsistent(format!(
            "{answer:?}: {:?} where JSON was expected: is packet.url the API, and nothing in between?",
            printable(kind, 60)
        )));
    }
    answer.json()
}

/// What an answer means that was not hoped for, in the API's words; a page for people is quoted, other data is not.
pub(crate) fn failure(answer: &Answer) -> FetchError {
    let begins = answer.body.trim_ascii_start().first();
    if !is_json(answer) && !matches!(begins, Some(b'{' | b'[' | b'"')) {
        return answer.failure();
    }
    let said = serde_json::from_slice::<Words>(&answer.body).map(|words| {
        let all = words.errors.into_iter().flatten().chain(words.error);
        all.collect::<Vec<_>>().join("; ")
    });
    answer.failure_saying(&said.unwrap_or_default())
}
