//! What an appliance is asked to leave out itself: VMs without the tags that the selector demands.
//!
//! An optimisation and nothing more: the selector is applied again by the core. A tag that does not exist makes every
//! list empty there, so only tags are pushed down that the appliance says it has; to know needs a right of its own.

use fetcher_core::provider::{FetchError, Finding};
use fetcher_core::selector::{Key, Selector, Test};

use crate::api::{Named, Page};
use crate::config::PAGE_SIZE;
use crate::session::Session;

/// The tags that every machine of the selector has, as paths below `/managed`. Not a value with a comma: it can be
/// several values joined by `map`.
pub(crate) fn wanted_tags(selector: &Selector) -> Vec<String> {
    let word = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let tags = selector.requirements().iter().filter_map(|it| match (&it.key, &it.test) {
        (Key::Tag(key), Test::In(values)) if values.len() == 1 => {
            let value = values.first()?;
            (word(key) && word(value)).then(|| format!("/{key}/{value}"))
        }
        _ => None,
    });
    tags.collect()
}

/// Those of these tags that exist; none where the appliance does not say.
///
/// # Errors
/// Whatever would befall the listing too, a refused login before all. Not what is wrong with the question itself: a
/// filter that this version does not know, a right that is missing, and the 500 that some give to those who are no admin.
pub(crate) async fn known(session: &Session, tags: Vec<String>) -> Result<Vec<String>, FetchError> {
    if tags.is_empty() {
        return Ok(tags);
    }
    let filter = |(at, tag): (usize, &String)| {
        format!("{}name='/managed{tag}'", if at == 0 { "" } else { "or " })
    };
    let filters: Vec<_> = tags.iter().enumerate().map(filter).collect();
    let answer = session
        .answer("tags", |call| {
            let call = call.query("expand", "resources").query("attributes", "name");
            let call = call.query("offset", &0).query("limit", &PAGE_SIZE);
            filters.iter().fold(call, |call, filter| call.query("filter[]", filter))
        })
        .await?;
    if matches!(answer.status.as_u16(), 400 | 403 | 404 | 500) {
        tracing::debug!(?answer, "Tags not looked up, so nothing is pushed down");
        return Ok(Vec::new());
    }
    let page: Page<Named> = answer.json()?;
    let names: Vec<_> = page.resources.iter().filter_map(|tag| tag.name.as_deref()).collect();
    let is_known = |tag: &String| names.contains(&format!("/managed{tag}").as_str());
    Ok(tags.into_iter().filter(is_known).collect())
}

/// What `check` says where tags cannot be looked up: nothing is wrong then, and everything takes longer.
pub(crate) async fn check(session: &Session, name: &str) -> Option<Finding> {
    let asked: Result<Page<Named>, _> = session
        .get("tags", |call| {
            let call = call.query("expand", "resources").query("attributes", "name");
            call.query("offset", &0).query("limit", &1)
        })
        .await;
    let error = asked.err()?;
    let text = format!(
        "appliance {name}: its tags cannot be viewed, so nothing is pushed down and all VMs are read: {error}"
    );
    Some(Finding { ok: true, text })
}
