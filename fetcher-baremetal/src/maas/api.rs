//! The calls to MAAS: the one list, and one machine.
//!
//! Never `?op=power_parameters`: it gives out the passwords of BMCs. Source: `src/maasserver/api/machines.py`.

use std::collections::BTreeSet;
use std::time::Duration;

use fetcher_core::http::{Answer, Call, Http, HttpOptions, segment};
use fetcher_core::provider::FetchError;
use fetcher_core::secret::SecretRef;
use fetcher_core::selector::{Key as SelectorKey, Selector, Test};
use url::Url;

use super::auth::Key;
use super::wire::Machine;

/// The way to one MAAS.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) http: Http,
    pub(super) key: SecretRef,
}

/// What suits the list: 40 s for 100 machines has been seen, and it is sent twice at the most.
pub(super) fn options(mut url: Url) -> HttpOptions {
    let path = url.path().trim_end_matches('/').trim_end_matches("/api/2.0").to_owned();
    url.set_path(&path);
    HttpOptions {
        timeout: Duration::from_secs(120),
        deadline: Duration::from_secs(240),
        attempts: 3,
        concurrency: 4,
        ..HttpOptions::new(url)
    }
}

impl Api {
    /// All machines with these tags; a bare array.
    pub(super) async fn machines(
        &self,
        tags: &BTreeSet<String>,
    ) -> Result<Vec<Machine>, FetchError> {
        let mut call = self.call("api/2.0/machines/")?;
        for tag in tags {
            call = call.query("tags", tag);
        }
        let answer = call.answer().await?;
        if answer.status.is_success() { answer.json() } else { Err(failure(&answer, tags)) }
    }

    /// One machine, none if MAAS says that there is none of this id.
    pub(super) async fn machine(&self, id: &str) -> Result<Option<Machine>, FetchError> {
        let answer = self.call(&format!("api/2.0/machines/{}/", segment(id)?))?.answer().await?;
        if is_no_such_machine(&answer) { Ok(None) } else { answer.json().map(Some) }
    }

    fn call(&self, reference: &str) -> Result<Call, FetchError> {
        let key = Key::parse(&self.key.read()?)?;
        let mut call = self.http.get(reference);
        for part in key.parts() {
            call = call.hide(part);
        }
        Ok(call.signed(http::header::AUTHORIZATION, move || key.header(now())))
    }
}

/// The time of a signature.
#[expect(
    clippy::disallowed_methods,
    reason = "OAuth wants the time of each request, and nothing is decided by it"
)]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// The tags that every wanted machine has, as MAAS filters by them: several are AND.
pub(super) fn pushed_down(selector: &Selector) -> BTreeSet<String> {
    let is_tag = |key: &str| {
        !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    selector
        .requirements()
        .iter()
        .filter_map(|requirement| match (&requirement.key, &requirement.test) {
            (SelectorKey::Tag(key), Test::Exists) if is_tag(key) => Some(key.clone()),
            // A tag has no value: only the empty one can be wanted.
            (SelectorKey::Tag(key), Test::In(values)) if is_tag(key) && values.contains("") => {
                Some(key.clone())
            }
            _ => None,
        })
        .collect()
}

/// Only MAAS's own 404 is believed, which is plain text: a proxy's page is no evidence.
fn is_no_such_machine(answer: &Answer) -> bool {
    let kind = answer.header("Content-Type").unwrap_or_default();
    let said = String::from_utf8_lossy(&answer.body);
    answer.status.as_u16() == 404
        && kind.starts_with("text/plain")
        && said.contains("matches the given query")
}

/// A tag that was deleted is a 400, not an empty list.
fn failure(answer: &Answer, tags: &BTreeSet<String>) -> FetchError {
    let failure = answer.failure();
    if answer.status.as_u16() == 400 && !tags.is_empty() {
        return FetchError::invalid(format!(
            "{failure}; if it names a tag: the selector wants one that this MAAS does not have (any more)"
        ));
    }
    failure
}
