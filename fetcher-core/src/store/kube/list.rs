//! Reading Hosts page by page, one object at a time: what `--once` knows of the store.
//!
//! A page is dropped as soon as its objects are entries. A 410 in the middle means that the pages no longer fit
//! together: all are discarded and read anew.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::failure::Failure;
use super::link::{Link, pause, wait};
use super::resource::Hosts;
use crate::machine::Text;
use crate::observed::{Entry, Lens, Read, identity};

const PAGE: &str = "500";
/// How often pages that no longer fit together are read anew.
const ATTEMPTS: u32 = 5;
/// The longest field selector that is sent: proxies cut URLs at 8 KiB.
const LONGEST_SELECTOR: usize = 4096;

/// A Host as the index knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) source: Text,
    pub(super) name: Text,
    pub(super) entry: Entry,
}

impl Seen {
    /// From the text of one object; one that is no readable Host becomes an entry that says so.
    pub(super) fn new(object: &str, lens: &Lens) -> Self {
        match serde_json::from_str::<Read>(object) {
            Ok(read) => {
                let revision = read.metadata.resource_version.as_deref().unwrap_or_default();
                let uid = read.metadata.uid.as_deref().unwrap_or_default();
                let entry = lens.entry(&read, revision.parse().unwrap_or(0), uid);
                Self { source: read.spec.source.name, name: read.metadata.name, entry }
            }
            Err(error) => Self::unreadable(object, &error.to_string(), lens),
        }
    }

    fn unreadable(object: &str, reason: &str, lens: &Lens) -> Self {
        let object: Value = serde_json::from_str(object).unwrap_or_default();
        let (name, revision, uid) = identity(&object);
        let source = object["spec"]["source"]["name"].as_str().unwrap_or_default().into();
        Self { source, name, entry: lens.unreadable(reason, revision, &uid) }
    }
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(default)]
    metadata: PageMeta,
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PageMeta {
    resource_version: String,
    r#continue: String,
}

/// Folds every Host that the field selector matches into one value, and tells the revision it holds for.
pub(super) async fn list<T: Default + Send>(
    link: &Link,
    hosts: &Hosts,
    selector: &str,
    fold: impl Fn(&mut T, &str) + Send + Sync,
) -> Result<(T, u64), Failure> {
    let mut attempt = 0;
    loop {
        match pages(link, hosts, selector, &fold).await {
            Err(Failure::Answer(refusal)) if refusal.code == 410 && attempt + 1 < ATTEMPTS => {
                tracing::debug!(
                    attempt,
                    "The pages of a list no longer fit together, reading anew"
                );
                pause(wait(attempt, refusal.retry_after)).await;
                attempt += 1;
            }
            other => return other,
        }
    }
}

async fn pages<T: Default + Send>(
    link: &Link,
    hosts: &Hosts,
    selector: &str,
    fold: &(impl Fn(&mut T, &str) + Send + Sync),
) -> Result<(T, u64), Failure> {
    let mut all = T::default();
    let mut next = String::new();
    loop {
        let mut query = vec![("limit", PAGE)];
        if !next.is_empty() {
            query.push(("continue", &next));
        }
        let text = link.send(&hosts.select(selector, &query)).await?;
        let page = page(&text)?;
        page.items.iter().for_each(|item| fold(&mut all, item.get()));
        if page.metadata.r#continue.is_empty() {
            return Ok((all, page.metadata.resource_version.parse().unwrap_or(0)));
        }
        next = page.metadata.r#continue;
    }
}

fn page(text: &[u8]) -> Result<Page<'_>, Failure> {
    serde_json::from_slice(text)
        .map_err(|error| Failure::Silence(format!("the answer is no list of Hosts: {error}")))
}

/// The newest revision that the server knows, of whatever it keeps.
pub(super) async fn revision(link: &Link, hosts: &Hosts, provider: &str) -> Result<u64, Failure> {
    let text = link.send(&hosts.select(&of_provider(provider), &[("limit", "1")])).await?;
    Ok(page(&text)?.metadata.resource_version.parse().unwrap_or(0))
}

/// The names of this provider's sources that there are Hosts of, without those in `served`.
///
/// Asks for one Host of no known source, until there is none; where that would make too long a question, all Hosts
/// of the provider are read.
pub(super) async fn unserved(
    link: &Link,
    hosts: &Hosts,
    provider: &str,
    served: &BTreeSet<Text>,
) -> Result<Vec<Text>, Failure> {
    let mut selector = of_provider(provider);
    served.iter().for_each(|name| exclude(&mut selector, name));
    let mut found = BTreeSet::new();
    while selector.len() <= LONGEST_SELECTOR {
        let text = link.send(&hosts.select(&selector, &[("limit", "1")])).await?;
        let page = page(&text)?;
        let Some(name) = page.items.first().and_then(|item| source(item.get())) else {
            // An empty page with more to come: the server looked at a part only.
            if page.metadata.r#continue.is_empty() {
                return Ok(found.into_iter().collect());
            }
            break;
        };
        exclude(&mut selector, &name);
        found.insert(name);
    }
    let fold = |names: &mut BTreeSet<Text>, object: &str| names.extend(source(object));
    let (all, _) = list(link, hosts, &of_provider(provider), fold).await?;
    Ok(all.into_iter().filter(|name| !served.contains(name)).collect())
}

/// The field selector of all Hosts of a provider.
pub(super) fn of_provider(provider: &str) -> String {
    format!("spec.source.provider={provider}")
}

/// The field selector of all Hosts of a source.
pub(super) fn of_source(name: &str) -> String {
    format!("spec.source.name={name}")
}

fn exclude(selector: &mut String, name: &str) {
    selector.push_str(",spec.source.name!=");
    selector.push_str(name);
}

fn source(object: &str) -> Option<Text> {
    #[derive(Deserialize)]
    struct Owned {
        spec: Spec,
    }
    #[derive(Deserialize)]
    struct Spec {
        source: Named,
    }
    #[derive(Deserialize)]
    struct Named {
        name: Text,
    }
    serde_json::from_str::<Owned>(object).ok().map(|owned| owned.spec.source.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::Standing;

    fn lens() -> Lens {
        let selector = "".parse().unwrap();
        Lens { schema: crate::schema::Schema::ours(), selector }
    }

    #[test]
    fn an_object_that_is_no_readable_host_keeps_its_name_source_and_revision() {
        let object = r#"{"metadata": {"name": "a", "resourceVersion": "7", "uid": "u"},
            "spec": {"source": {"name": "s", "provider": "p", "scope": "x"}, "machineID": "m"},
            "status": {"state": "Sleeping"}}"#;
        let seen = Seen::new(object, &lens());
        assert_eq!((&*seen.source, &*seen.name, seen.entry.revision), ("s", "a", 7));
        assert!(matches!(seen.entry.standing, Standing::Unreadable(_)), "{seen:?}");
    }

    #[test]
    fn an_object_read_from_a_list_is_the_entry_that_a_get_of_it_makes() {
        let object = r#"{"metadata": {"name": "a", "resourceVersion": "7", "uid": "u",
            "labels": {"inventory.fetcher.dev/source": "s", "other": "x"}},
            "spec": {"source": {"name": "s", "provider": "p", "scope": "x"}, "machineID": "m"},
            "status": {"state": "Running", "hardware": {"cpus": 4}, "agent": {"load": 0.5}}}"#;
        let stored = crate::store::Stored::new(serde_json::from_str(object).unwrap(), &lens());
        assert_eq!(Seen::new(object, &lens()).entry, stored.entry);
    }
}
