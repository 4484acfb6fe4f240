//! The appliances: which sources they are, what is pushed down to them, how fresh they say their data is.
//!
//! Not the reading of a collection (`collection`), the session (`session`) or the mapping (`map`).

use std::sync::Arc;
use std::time::Duration;

use fetcher_core::app::InvalidConfig;
use fetcher_core::http::{Http, HttpOptions};
use fetcher_core::machine::{Source, Text};
use fetcher_core::printable::printable;
use fetcher_core::provider::{
    self, Discovery, Expect, Fetch, FetchError, Finding, Listing, Lookup, Note, Served,
    SourceSettings,
};
use fetcher_core::selector::{Key, Selector, Test};
use futures::future::join_all;

use crate::api::{Hypervisor, MANAGER_ATTRIBUTES, Manager, Named, Page, Vm};
use crate::collection::Reading;
use crate::config::{Config, PAGE_SIZE};
use crate::session::Session;

/// The word for this infrastructure API.
pub(crate) const NAME: &str = "cloudforms";

/// What the source of hypervisors is called after its appliance; no appliance's name holds a slash.
const HYPERVISORS: &str = "/hypervisors";

/// The appliances to ask.
#[derive(Debug)]
pub struct Cloudforms(Vec<Asked>);

#[derive(Debug)]
struct Asked {
    config: Config,
    session: Session,
}

impl Cloudforms {
    /// Reads files at the most.
    ///
    /// # Errors
    /// What of a connection's settings cannot be used.
    pub(crate) fn new(configs: Vec<Config>) -> Result<Self, InvalidConfig> {
        configs.into_iter().map(Asked::new).collect::<Result<_, _>>().map(Self)
    }

    /// The appliance of a source, and whether its hypervisors are meant.
    fn asked(&self, source: &Source) -> Result<(&Asked, bool), FetchError> {
        let scope: &str = source.scope();
        let (name, hypervisors) = match scope.strip_suffix(HYPERVISORS) {
            Some(name) => (name, true),
            None => (scope, false),
        };
        let asked = self.0.iter().find(|asked| asked.config.appliance.name == name);
        asked.map(|asked| (asked, hypervisors)).ok_or_else(|| {
            FetchError::invalid(format!("no appliance {name:?} under cloudforms.appliances"))
        })
    }
}

/// How this API wants to be asked: 300 requests in five minutes from one address, 5 logins in 20 seconds, and a 429
/// that does not say how long; a page of VMs with computed attributes can take a minute.
fn options(config: &Config) -> Result<HttpOptions, InvalidConfig> {
    HttpOptions {
        requests_per_second: 0.8,
        burst: 55,
        concurrency: 4,
        attempts: 4,
        backoff: Duration::from_secs(3),
        timeout: Duration::from_secs(90),
        deadline: Duration::from_secs(180),
        ..HttpOptions::new(config.url.clone())
    }
    .with(&config.appliance.http)
}

impl Asked {
    fn new(config: Config) -> Result<Self, InvalidConfig> {
        let options = options(&config).map_err(|e| {
            InvalidConfig(format!("http of appliance {}: {e}", config.appliance.name))
        })?;
        Self::with(config, options)
    }

    fn with(config: Config, options: HttpOptions) -> Result<Self, InvalidConfig> {
        let appliance = &config.appliance;
        let session = Session::new(
            Http::new(options)?,
            appliance.username.clone(),
            config.password.clone(),
            appliance.group.clone().filter(|group| !group.trim().is_empty()),
        );
        Ok(Self { config, session })
    }

    const fn reading(&self) -> Reading<'_> {
        Reading {
            session: &self.session,
            page_size: self.config.appliance.page_size,
            only_on: self.config.appliance.only_powered_on,
        }
    }

    fn served(&self) -> impl Iterator<Item = Served> {
        let appliance = &self.config.appliance;
        let settings = |expect: Expect| {
            let (gone, suspend) = (appliance.gone, appliance.suspend);
            Arc::new(SourceSettings { expect, gone, suspend })
        };
        let vms = Served {
            source: Source::new(NAME, &[&appliance.name]),
            settings: settings(appliance.expect.clone()),
        };
        let hypervisors = appliance.hypervisors.then(|| Served {
            source: Source::new(NAME, &[&format!("{}{HYPERVISORS}", appliance.name)]),
            settings: settings(Expect::default()),
        });
        [Some(vms), hypervisors].into_iter().flatten()
    }

    async fn fetch(&self, hypervisors: bool, request: Fetch<'_>) -> Result<Listing, FetchError> {
        let by_tag = match self.config.appliance.push_down {
            true => self.known(wanted_tags(request.selector)).await,
            false => Vec::new(),
        };
        let (reading, progress) = (self.reading(), request.progress);
        let machines = match hypervisors {
            true => reading.whole::<Hypervisor>(&by_tag, progress).await?,
            false => reading.whole::<Vm>(&by_tag, progress).await?,
        };
        Ok(Listing { machines: machines.into(), notes: self.freshness().await })
    }

    /// Those of these tags that exist. A tag that does not would make every list empty, and to know needs a right of
    /// its own: in doubt nothing is pushed down.
    async fn known(&self, tags: Vec<String>) -> Vec<String> {
        if tags.is_empty() {
            return tags;
        }
        let filter = |(at, tag): (usize, &String)| {
            format!("{}name='/managed{tag}'", if at == 0 { "" } else { "or " })
        };
        let filters: Vec<_> = tags.iter().enumerate().map(filter).collect();
        let answer: Result<Page<Named>, _> = self
            .session
            .get("tags", |call| {
                let call = call.query("expand", "resources").query("attributes", "name");
                let call = call.query("offset", &0).query("limit", &PAGE_SIZE);
                filters.iter().fold(call, |call, filter| call.query("filter[]", filter))
            })
            .await;
        match answer {
            Ok(page) => {
                let names: Vec<_> =
                    page.resources.iter().filter_map(|tag| tag.name.as_deref()).collect();
                let is_known = |tag: &String| names.contains(&format!("/managed{tag}").as_str());
                tags.into_iter().filter(is_known).collect()
            }
            Err(error) => {
                tracing::debug!(%error, "Tags not looked up, so nothing is pushed down");
                Vec::new()
            }
        }
    }

    /// What the managers say of their last refresh: the VMs of one that broke look as they were, for ever.
    async fn freshness(&self) -> Vec<Note> {
        let answer: Result<Page<Manager>, _> = self
            .session
            .get("providers", |call| {
                let call =
                    call.query("expand", "resources").query("attributes", MANAGER_ATTRIBUTES);
                call.query("offset", &0).query("limit", &PAGE_SIZE).query("sort_by", "id")
            })
            .await;
        match answer {
            Ok(page) => page.resources.iter().filter_map(stale).collect(),
            Err(error) => vec![Note {
                reason: "RefreshUnknown",
                message: format!(
                    "whether the managers of {} are refreshed could not be read: {error}; the role needs to view providers",
                    self.config.appliance.name
                ),
            }],
        }
    }

    async fn check(&self) -> Vec<Finding> {
        let name = &self.config.appliance.name;
        if let Err(error) = self.session.password().read() {
            return vec![Finding { ok: false, text: format!("appliance {name}: {error}") }];
        }
        let first: Result<Page<Named>, _> = self
            .session
            .get("vms", |call| {
                let call = call.query("expand", "resources").query("attributes", "name");
                call.query("filter[]", "active=true").query("offset", &0).query("limit", &1)
            })
            .await;
        let seen = match first {
            Ok(page) => {
                let all = page.subquery_count.unwrap_or(page.count);
                let text = format!("appliance {name}: {all} active VMs visible to its group");
                Finding { ok: all > 0, text }
            }
            Err(error) => {
                return vec![Finding { ok: false, text: format!("appliance {name}: {error}") }];
            }
        };
        let notes = self.freshness().await.into_iter();
        let notes = notes.map(|note| Finding { ok: false, text: note.message });
        std::iter::once(seen).chain(notes).collect()
    }
}

/// The note on a manager whose refresh broke or never was.
fn stale(manager: &Manager) -> Option<Note> {
    let status = manager.last_refresh_status.as_deref().unwrap_or_default();
    let name = printable(manager.name.as_deref().unwrap_or("without a name"), 100);
    let message = match (&manager.last_refresh_date, status) {
        (_, "error") => {
            let why = manager.last_refresh_error.as_deref().unwrap_or("no reason given");
            let last = manager.last_refresh_date.as_deref().unwrap_or("never");
            format!(
                "the refresh of manager {name} fails (last: {}): {}; its machines are shown as they were then",
                printable(last, 40),
                printable(why, 200)
            )
        }
        (None, "") => format!("manager {name} was never refreshed: its machines are missing"),
        _ => return None,
    };
    Some(Note { reason: "StaleRefresh", message })
}

/// The tags that every machine of the selector has, as paths below `/managed`. Not a value with a comma: it can be
/// several values joined by `map`.
fn wanted_tags(selector: &Selector) -> Vec<String> {
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

impl provider::Provider for Cloudforms {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn sources(&self) -> Result<Discovery, FetchError> {
        let sources = self.0.iter().flat_map(Asked::served).collect();
        Ok(Discovery { sources, failed: Vec::new() })
    }

    async fn fetch(&self, request: Fetch<'_>) -> Result<Listing, FetchError> {
        let (asked, hypervisors) = self.asked(request.source)?;
        asked.fetch(hypervisors, request).await
    }

    async fn lookup(&self, source: &Source, ids: &[Text]) -> Result<Lookup, FetchError> {
        match self.asked(source)? {
            (asked, true) => asked.reading().lookup::<Hypervisor>(ids).await,
            (asked, false) => asked.reading().lookup::<Vm>(ids).await,
        }
    }

    /// One request names them all, in a query that proxies must let through: 70 bytes an id.
    fn lookup_batch(&self) -> usize {
        50
    }

    async fn check(&self) -> Vec<Finding> {
        join_all(self.0.iter().map(Asked::check)).await.into_iter().flatten().collect()
    }

    async fn close(&self) {
        join_all(self.0.iter().map(|asked| asked.session.close())).await;
    }
}

#[cfg(test)]
mod tests;
