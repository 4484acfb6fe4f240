//! Which accounts and regions there are: ids from ARNs or GetCallerIdentity, enabled regions from DescribeRegions.
//!
//! Not the schedule of asking. One account that cannot be asked keeps what it was last known to be and says why; it
//! never stops the others.

use std::sync::{Mutex, PoisonError};

use fetcher_core::machine::Text;
use fetcher_core::printable::printable;
use fetcher_core::provider::FetchError;
use tokio::sync::OnceCell;

use crate::clients::{Reach, RegionClient, Session};
use crate::config::{AccountPlan, Fleet};
use crate::errors;
use crate::regions::{Region, Regions};

pub(crate) const REGIONS: &str = "ec2:DescribeRegions";

/// One account of the configuration, and what was last found out about it.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) plan: AccountPlan,
    session: OnceCell<Session>,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    id: Option<Text>,
    regions: Option<Vec<String>>,
}

/// What an account was found to be.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) id: Text,
    pub(crate) regions: Vec<Region>,
    /// What could not be asked, where the last answer stands in for it.
    pub(crate) stale: Option<FetchError>,
}

impl Account {
    pub(crate) fn new(plan: AccountPlan) -> Self {
        Self { plan, session: OnceCell::new(), last: Mutex::default() }
    }

    /// The account's session, opened on first use.
    pub(crate) async fn session(&self, fleet: &Fleet, reach: &Reach) -> &Session {
        let homes =
            fleet.discovery_region.clone().map_or_else(|| homes(&self.plan), |one| vec![one]);
        self.session
            .get_or_init(|| Session::open(&self.plan, fleet.calls, &fleet.endpoints, &homes, reach))
            .await
    }

    /// Its id and regions; an error if they are not known from before either.
    pub(crate) async fn discover(&self, fleet: &Fleet, reach: &Reach) -> Result<Found, FetchError> {
        let session = self.session(fleet, reach).await;
        let mut stale = None;
        let id = match self.id(session).await {
            Ok(id) => id,
            Err(error) => {
                let known = self.last().id.clone();
                stale = Some(error.clone());
                known.ok_or(error)?
            }
        };
        let regions = match self.regions(session, fleet, &id).await {
            Ok(regions) => regions,
            Err(error) => {
                let known = self.last().regions.clone();
                stale = Some(error.clone());
                known.ok_or(error)?.iter().map(|name| self.plan.region(name)).collect()
            }
        };
        Ok(Found { id, regions, stale })
    }

    /// The account's id: read from the role's ARN, or asked for.
    async fn id(&self, session: &Session) -> Result<Text, FetchError> {
        if let Some(role) = &self.plan.role {
            return Ok(role.account.as_str().into());
        }
        let id = caller(session, &self.plan.label()).await?;
        let mut last = self.last();
        if last.id.as_ref().is_some_and(|known| *known != id) {
            // The regions of another account are no stand-in for this one's.
            last.regions = None;
        }
        last.id = Some(Text::clone(&id));
        Ok(id)
    }

    async fn regions(
        &self,
        session: &Session,
        fleet: &Fleet,
        id: &str,
    ) -> Result<Vec<Region>, FetchError> {
        match &self.plan.regions {
            Some(Regions::Listed(regions)) => {
                Ok(regions.iter().map(|region| self.plan.region(&region.name)).collect())
            }
            Some(Regions::All) => {
                let home = self.plan.region(session.homes.now());
                let names = enabled(session, fleet, id, &home).await?;
                let regions = names.iter().map(|name| self.plan.region(name)).collect();
                self.last().regions = Some(names);
                Ok(regions)
            }
            None => session.shell_region.as_ref().map(|name| vec![self.plan.region(name)]).ok_or_else(|| {
                FetchError::invalid(
                    "no region is named: give `--region`, `aws.regions` in the configuration, or AWS_REGION",
                )
            }),
        }
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The regions that are listed: near to what is asked, and enabled as far as anybody says. Suspended ones last.
fn homes(plan: &AccountPlan) -> Vec<String> {
    let listed = plan.regions.as_ref().map_or(&[][..], Regions::listed);
    let mut regions: Vec<_> = listed.iter().map(|region| plan.region(&region.name)).collect();
    regions.sort_by_key(|region| region.suspend);
    regions.into_iter().map(|region| region.name).collect()
}

/// The account that the session's credentials belong to.
async fn caller(session: &Session, label: &str) -> Result<Text, FetchError> {
    const ACTION: &str = "sts:GetCallerIdentity";
    let ask = |home| session.sts(home).get_caller_identity().send();
    // In a box, because the futures above it are nested nearly as deep as the compiler goes.
    match Box::pin(session.homes.ask(ask, errors::is_of_region)).await {
        Ok(caller) => caller.account().map(Text::from).ok_or_else(|| {
            FetchError::inconsistent(format!("{ACTION} of {label}: the answer names no account"))
        }),
        Err(error) => Err(session.error(ACTION, label, session.homes.now(), &error).await),
    }
}

/// The regions that are enabled for the account, by name.
async fn enabled(
    session: &Session,
    fleet: &Fleet,
    id: &str,
    home: &Region,
) -> Result<Vec<String>, FetchError> {
    let client = session.region(id, &home.name, ec2_endpoint(fleet, home));
    // Without `AllRegions` only enabled ones are answered.
    let answer = match client.ec2.describe_regions().all_regions(false).send().await {
        Ok(answer) => answer,
        Err(error) => return Err(client.error(REGIONS, &error).await),
    };
    let mut names: Vec<String> = answer
        .regions()
        .iter()
        .filter(|region| region.opt_in_status() != Some("not-opted-in"))
        .filter_map(|region| region.region_name().map(str::to_owned))
        .collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Err(FetchError::inconsistent(format!(
            "{REGIONS} of account {id} in {}: not one region is enabled, which cannot be",
            home.name
        )));
    }
    Ok(names)
}

/// Refuses to speak for an account that the credentials no longer belong to: there, everything would be missing.
///
/// A role's ARN pins the account; credentials that are used as they are may be exchanged under a running daemon.
pub(crate) async fn same_account(region: &RegionClient) -> Result<(), FetchError> {
    if region.session().is_pinned() {
        return Ok(());
    }
    let now = caller(region.session(), &region.account).await?;
    if now == region.account {
        return Ok(());
    }
    Err(FetchError::denied(format!(
        "the credentials now belong to account {}, no longer to {}: nothing can be said about its instances",
        printable(&now, 40),
        region.account
    )))
}

/// The endpoint of a region, if it is not the public one.
pub(crate) fn ec2_endpoint(fleet: &Fleet, region: &Region) -> Option<String> {
    region
        .endpoint
        .clone()
        .or_else(|| fleet.endpoints.ec2.as_ref().map(|url| url.replace("{region}", &region.name)))
}
