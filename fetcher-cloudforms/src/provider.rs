//! The appliances: which sources they are, what a round asks of each, what `check` says of them.
//!
//! Not the reading of a collection (`collection`), the session (`session`) or the mapping (`map`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fetcher_core::app::InvalidConfig;
use fetcher_core::clock;
use fetcher_core::http::{Http, HttpOptions};
use fetcher_core::machine::{Source, Text};
use fetcher_core::provider::{
    self, Discovery, Expect, Fetch, FetchError, Finding, Listing, Lookup, Note, Served,
    SourceSettings,
};
use fetcher_core::selector::{Key, Selector, Test};
use futures::future::join_all;

use crate::api::{Hypervisor, Named, Page, Vm};
use crate::collection::{Reading, Resource};
use crate::config::Config;
use crate::map::NOT_ON;
use crate::session::Session;
use crate::{freshness, push_down};

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
/// that does not say how long; a page of VMs with computed attributes can take a minute. The three waits together are at
/// least 24.5 s, half of 7 + 14 + 28 s when chance makes them short: more than the window of the logins.
fn options(config: &Config) -> Result<HttpOptions, InvalidConfig> {
    HttpOptions {
        requests_per_second: 0.8,
        burst: 55,
        concurrency: 4,
        attempts: 4,
        backoff: Duration::from_secs(7),
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

    fn reading(&self) -> Reading<'_> {
        Reading {
            session: &self.session,
            page_size: self.config.appliance.page_size,
            appliance: &self.config.appliance.name,
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
            true => {
                push_down::known(&self.session, push_down::wanted_tags(request.selector)).await?
            }
            false => Vec::new(),
        };
        let (reading, progress) = (self.reading(), request.progress);
        let machines = match hypervisors {
            true => reading.whole::<Hypervisor>(&by_tag, progress).await?,
            false => reading.whole::<Vm>(&by_tag, progress).await?,
        };
        Ok(Listing { machines: machines.into(), notes: self.freshness().await })
    }

    async fn freshness(&self) -> Vec<Note> {
        let appliance = &self.config.appliance;
        let max_age = appliance.refresh_max_age;
        freshness::notes(&self.session, &appliance.name, max_age, clock::now()).await
    }

    async fn check(&self) -> Vec<Finding> {
        let appliance = &self.config.appliance;
        let name = &appliance.name;
        if let Err(error) = self.session.password().read() {
            return vec![Finding { ok: false, text: format!("appliance {name}: {error}") }];
        }
        let vms = match self.visible::<Vm>("active VMs").await {
            Ok(vms) => vms,
            // What else there is to ask would say the same.
            Err(refused) => return vec![refused],
        };
        let mut findings = vec![vms];
        if appliance.hypervisors {
            findings.push(self.visible::<Hypervisor>("hypervisors").await.unwrap_or_else(|e| e));
        }
        if appliance.push_down {
            findings.extend(push_down::check(&self.session, name).await);
        }
        let notes = self.freshness().await.into_iter();
        findings.extend(notes.map(|note| Finding { ok: false, text: note.message }));
        findings
    }

    /// How many rows of a collection the group sees, or why it sees none.
    async fn visible<T: Resource>(&self, what: &str) -> Result<Finding, Finding> {
        let name = &self.config.appliance.name;
        let first: Result<Page<Named>, _> = self
            .session
            .get(T::PATH, |call| {
                let call = call.query("expand", "resources").query("attributes", "name");
                call.query("filter[]", T::FILTER).query("offset", &0).query("limit", &1)
            })
            .await;
        match first {
            Ok(page) => {
                let all = page.subquery_count.unwrap_or(page.count);
                let text = format!("appliance {name}: {all} {what} visible to its group");
                Ok(Finding { ok: all > 0, text })
            }
            Err(error) => {
                Err(Finding { ok: false, text: format!("appliance {name}: {what}: {error}") })
            }
        }
    }
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

    /// A machine that is not on is there, but not selected where its appliance is told to leave it out.
    fn requires(&self) -> Selector {
        let strict = self.0.iter().filter(|asked| asked.config.appliance.only_powered_on);
        let strict: BTreeSet<_> = strict.map(|asked| asked.config.appliance.name.clone()).collect();
        if strict.is_empty() {
            return Selector::default();
        }
        Selector::one(Key::Fact(NOT_ON.to_owned()), Test::NotIn(strict))
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
