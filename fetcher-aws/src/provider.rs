//! EC2 as a [`Provider`]: each account and region is a source.
//!
//! Only the joining of the parts: what exists is `discover`'s, listing is `list`'s, meaning is `map`'s.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use fetcher_core::machine::{Source, Text};
use fetcher_core::provider::{
    Discovery, Fetch, FetchError, Finding, Listing, Lookup, Provider, Served,
};
use fetcher_core::selector::{Key, Selector, Test};
use futures::{StreamExt, stream};

use crate::clients::{Reach, RegionClient};
use crate::config::{self, Fleet};
use crate::discover::{self, Account, Found};
use crate::{check, filters, list, lookup, types};

/// The provider's word.
pub const NAME: &str = "aws";

/// How long EC2 may leave a new instance out of lists.
/// (<https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html> names no bound; minutes are seen.)
const SETTLE: Duration = Duration::from_secs(600);

/// Accounts asked at the same time.
const SIDE_BY_SIDE: usize = 16;

/// EC2 of many accounts and regions.
#[derive(Debug)]
pub struct Ec2 {
    fleet: Fleet,
    accounts: Vec<Account>,
    reach: Reach,
    regions: RwLock<HashMap<Source, Arc<RegionClient>>>,
}

impl Ec2 {
    pub(crate) fn new(fleet: Fleet) -> Self {
        Self::over(fleet, Reach::default())
    }

    /// The same with other ways to reach the world.
    pub(crate) fn over(fleet: Fleet, reach: Reach) -> Self {
        let accounts = fleet.accounts.iter().cloned().map(Account::new).collect();
        Self { fleet, accounts, reach, regions: RwLock::default() }
    }

    /// What every account was found to be, in the order of the configuration.
    pub(crate) async fn discover(&self) -> Vec<(&Account, Result<Found, FetchError>)> {
        let asked: Vec<_> =
            self.accounts
                .iter()
                .map(|account| async move {
                    (account, account.discover(&self.fleet, &self.reach).await)
                })
                .collect();
        stream::iter(asked).buffered(SIDE_BY_SIDE).collect().await
    }

    /// The client of a source that `sources` has named.
    pub(crate) fn region(&self, source: &Source) -> Result<Arc<RegionClient>, FetchError> {
        let regions = self.regions.read().unwrap_or_else(PoisonError::into_inner);
        regions.get(source).map(Arc::clone).ok_or_else(|| {
            FetchError::invalid(format!(
                "{source} is none of the accounts and regions of the configuration"
            ))
        })
    }

    /// Keeps the clients that are there, builds new ones, drops those no longer served.
    async fn serve(
        &self,
        account: &Account,
        found: Found,
        served: &mut HashMap<Source, Arc<RegionClient>>,
    ) -> Discovery {
        let mut discovery = Discovery::default();
        if let Some(error) = found.stale {
            discovery.failed.push((found.id.to_string(), error));
        }
        let session = account.session(&self.fleet, &self.reach).await;
        for region in &found.regions {
            let source = Source::new(NAME, &[&found.id, &region.name]);
            let Entry::Vacant(free) = served.entry(source.clone()) else {
                let twice = "this account is in the configuration twice, as a role and by its own credentials: name it once";
                discovery.failed.push((source.to_string(), FetchError::invalid(twice)));
                continue;
            };
            let endpoint = discover::ec2_endpoint(&self.fleet, region);
            let kept = self.region(&source).ok().filter(|kept| kept.is_at(endpoint.as_deref()));
            free.insert(
                kept.unwrap_or_else(|| Arc::new(session.region(&found.id, &region.name, endpoint))),
            );
            let settings = Arc::new(config::settings(&account.plan, region));
            discovery.sources.push(Served { source, settings });
        }
        discovery
    }
}

impl Provider for Ec2 {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn sources(&self) -> Result<Discovery, FetchError> {
        let mut all = Discovery::default();
        let mut clients = HashMap::new();
        for (account, found) in self.discover().await {
            match found {
                Ok(found) => {
                    let part = self.serve(account, found, &mut clients).await;
                    all.sources.extend(part.sources);
                    all.failed.extend(part.failed);
                }
                Err(error) => all.failed.push((account.plan.label(), error)),
            }
        }
        *self.regions.write().unwrap_or_else(PoisonError::into_inner) = clients;
        Ok(all)
    }

    async fn fetch(&self, request: Fetch<'_>) -> Result<Listing, FetchError> {
        let region = self.region(request.source)?;
        let pushed = filters::pushed(request.selector);
        let mut machines = list::list(&region, &pushed, Some(request.progress)).await?;
        types::fill(&region, &mut machines).await?;
        Ok(Listing { machines: Arc::new(machines), notes: Vec::new() })
    }

    async fn lookup(&self, source: &Source, ids: &[Text]) -> Result<Lookup, FetchError> {
        lookup::lookup(&*self.region(source)?, ids).await
    }

    fn lookup_batch(&self) -> usize {
        lookup::BATCH
    }

    async fn check(&self) -> Vec<Finding> {
        check::check(self).await
    }

    /// An instance in a state that the configuration does not count as present is there, but not selected.
    fn requires(&self) -> Selector {
        if self.fleet.hidden.is_empty() {
            return Selector::default();
        }
        let hidden = self.fleet.hidden.iter().map(ToString::to_string).collect();
        Selector::one(Key::Fact("provider-state".to_owned()), Test::NotIn(hidden))
    }

    fn settle(&self) -> Duration {
        SETTLE
    }
}
