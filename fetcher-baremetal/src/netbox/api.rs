//! The calls to `NetBox`: offset paging that trusts neither `limit`, nor `next`, nor filters.
//!
//! Not the mapping. Sources: `docs/integrations/rest-api.md`, `netbox/netbox/api/pagination.py`.

use std::collections::BTreeSet;

use fetcher_core::http::{Answer, Http};
use fetcher_core::provider::FetchError;
use fetcher_core::secret::{Secret, SecretRef};
use fetcher_core::selector::{Key, Selector, Test};
use serde::de::DeserializeOwned;

use super::wire::Page;

/// How often a list is read again because it changed under our hands.
const PASSES: u32 = 3;

/// The way to one `NetBox`.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) http: Http,
    pub(super) token: SecretRef,
    pub(super) page_size: u32,
}

/// What a pass over a list may end with beside the list.
pub(super) enum Failed {
    /// It moved while it was read: read it again.
    Moved(String),
    /// Reading it again makes no sense.
    Final(FetchError),
}

impl From<FetchError> for Failed {
    fn from(error: FetchError) -> Self {
        Self::Final(error)
    }
}

impl Api {
    /// A whole list: `start` begins it, `add` gets each entry, `len` says how many different ones there are, which
    /// must be as many as the server counts.
    pub(super) async fn list<T: DeserializeOwned, S>(
        &self,
        path: &str,
        query: &[(String, String)],
        start: impl Fn() -> S,
        mut add: impl FnMut(&mut S, T) -> Result<(), FetchError>,
        len: impl Fn(&S) -> usize,
        mut page_read: impl FnMut(usize),
    ) -> Result<S, FetchError> {
        let mut why = String::new();
        for _ in 0..PASSES {
            let mut all = start();
            match self.pass(path, query, &mut all, &mut add, &len, &mut page_read).await {
                Ok(()) => return Ok(all),
                Err(Failed::Moved(moved)) => why = moved,
                Err(Failed::Final(error)) => return Err(error),
            }
        }
        Err(FetchError::inconsistent(format!(
            "{path}: {why}, {PASSES} times in a row; the list changes while it is read, or the server hides entries"
        )))
    }

    async fn pass<T: DeserializeOwned, S>(
        &self,
        path: &str,
        query: &[(String, String)],
        all: &mut S,
        add: &mut impl FnMut(&mut S, T) -> Result<(), FetchError>,
        len: &impl Fn(&S) -> usize,
        page_read: &mut impl FnMut(usize),
    ) -> Result<(), Failed> {
        let mut offset = 0;
        loop {
            let page: Page<T> = self.get(path, query, offset).await?;
            let got = page.results.len();
            page_read(got);
            for entry in page.results {
                add(all, entry).map_err(|error| Failed::Moved(error.to_string()))?;
            }
            // The server cuts the limit silently: only what came counts.
            offset += got;
            if page.next.is_none() {
                let there = len(all);
                return if there == page.count {
                    Ok(())
                } else {
                    Err(Failed::Moved(format!(
                        "{there} entries came where {} are counted",
                        page.count
                    )))
                };
            }
            if got == 0 {
                return Err(Failed::Moved(format!(
                    "an empty page at {offset} that is not the last"
                )));
            }
        }
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(String, String)],
        offset: usize,
    ) -> Result<Page<T>, FetchError> {
        let token = self.token.read()?;
        let scheme = if token.expose().starts_with("nbt_") { "Bearer" } else { "Token" };
        let header = Secret::new(format!("{scheme} {}", token.expose()));
        let mut call = self.http.get(path).hide(&token).secret_header("Authorization", &header);
        for (key, value) in query {
            call = call.query(key, value);
        }
        call =
            call.query("limit", &self.page_size).query("offset", &offset).query("ordering", "id");
        let answer = call.answer().await?;
        if answer.status.is_success() { answer.json() } else { Err(failure(&answer, query)) }
    }
}

/// The tags that every wanted machine has, as `NetBox` filters by them: repeated `tag` is AND. Custom fields
/// are tags here and none there.
pub(super) fn pushed_down(selector: &Selector) -> Vec<(String, String)> {
    let is_slug = |key: &str| {
        !key.starts_with("cf_")
            && !key.is_empty()
            && key
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
    };
    let slugs: BTreeSet<&String> = selector
        .requirements()
        .iter()
        .filter_map(|requirement| match (&requirement.key, &requirement.test) {
            (Key::Tag(key), Test::Exists) if is_slug(key) => Some(key),
            // A tag has no value: only the empty one can be wanted.
            (Key::Tag(key), Test::In(values)) if is_slug(key) && values.contains("") => Some(key),
            _ => None,
        })
        .collect();
    slugs.into_iter().map(|slug| ("tag".to_owned(), slug.clone())).collect()
}

/// A tag that was deleted is a 400, not an empty list.
fn failure(answer: &Answer, query: &[(String, String)]) -> FetchError {
    let failure = answer.failure();
    let is_filtered = query.iter().any(|(key, _)| key == "tag");
    if answer.status.as_u16() == 400 && is_filtered {
        return FetchError::invalid(format!(
            "{failure}; if it names a tag: the selector wants one that this NetBox does not have (any more), by its slug"
        ));
    }
    failure
}
