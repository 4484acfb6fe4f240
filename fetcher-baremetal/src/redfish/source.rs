//! One BMC or aggregator as a source: list, look up, check.

use std::collections::BTreeSet;

use fetcher_core::http::Http;
use fetcher_core::machine::{Interner, Machine, Text};
use fetcher_core::provider::{Fetch, FetchError, Finding, Listing, Lookup, Note};
use futures::{StreamExt, TryStreamExt, stream};

use super::api::Api;
use super::auth::Auth;
use super::config::AuthConfig;
use super::map::{self, Read, Rules};
use super::wire::{Link, System};
use crate::normal::Unique;

/// Members in flight; the connection bounds the requests.
const MEMBERS: usize = 2;

/// One endpoint.
#[derive(Debug)]
pub(crate) struct Redfish {
    http: Http,
    auth: Auth,
    rules: Rules,
}

/// What one pass over the systems gave.
struct Pass {
    machines: Vec<Machine>,
    /// Systems of smart network cards that are not wanted: they exist, and are no machines here.
    dpus: Vec<Machine>,
    /// Members that are listed, and are not there.
    lost: Vec<Link>,
}

impl Redfish {
    pub(super) fn new(http: Http, auth: Option<AuthConfig>, rules: Rules) -> Self {
        Self { http, auth: Auth::new(auth), rules }
    }

    /// Where it is, for messages.
    pub(crate) fn place(&self) -> String {
        self.http.base().to_string()
    }

    /// All systems. A member that is listed and answers 404 is left out and noted: its Host is not marked,
    /// because the lookup does not call it missing either.
    pub(crate) async fn fetch(&self, request: Fetch<'_>) -> Result<Listing, FetchError> {
        let pass = self.pass().await?;
        request.progress.page(pass.machines.len());
        let notes = pass.lost.iter().map(lost).collect();
        Ok(Listing { machines: pass.machines.into(), notes })
    }

    /// A second whole pass: an id is no address that could be asked for. Who is missing from it is missing, unless
    /// a member could not be read: it may be any of those that are asked for.
    pub(crate) async fn lookup(&self, ids: &[Text]) -> Result<Lookup, FetchError> {
        let pass = self.pass().await?;
        let all = || pass.machines.iter().chain(&pass.dpus);
        let there: BTreeSet<&Text> = all().map(|machine| &machine.id).collect();
        let missing = if pass.lost.is_empty() {
            ids.iter().filter(|id| !there.contains(id)).cloned().collect()
        } else {
            Vec::new()
        };
        let found = all().filter(|machine| ids.contains(&machine.id));
        Ok(Lookup::Answered { found: found.cloned().collect(), missing })
    }

    /// Whether it answers, and takes the login.
    pub(crate) async fn check(&self) -> Finding {
        let place = self.place();
        match self.pass().await {
            Ok(pass) => {
                let count = pass.machines.len();
                Finding { ok: true, text: format!("{place}: {count} systems are listed") }
            }
            Err(error) => Finding { ok: false, text: format!("{place}: {error}") },
        }
    }

    async fn pass(&self) -> Result<Pass, FetchError> {
        let api = Api::open(&self.http, &self.auth).await?;
        let pass = self.systems(&api).await;
        api.close().await;
        pass
    }

    async fn systems(&self, api: &Api<'_>) -> Result<Pass, FetchError> {
        let members = api.members(&api.systems).await?;
        let read: Vec<_> = stream::iter(members)
            .map(|link| async move {
                let read = self.read(api, &link).await?;
                Ok::<_, FetchError>((link, read))
            })
            .buffered(MEMBERS)
            .try_collect()
            .await?;
        let (mut there, mut dpus, mut lost) = (Vec::new(), Vec::new(), Vec::new());
        for (link, read) in read {
            match read {
                Some(read) if !read.is_dpu() || self.rules.dpus => there.push(read),
                Some(dpu) => dpus.push(dpu),
                None => lost.push(link),
            }
        }
        // A lost one may be a host too: then this endpoint is not the BMC of one machine alone.
        let only = there.len() + lost.len() == 1;
        let mut interner = Interner::default();
        let mut all = Unique::default();
        for read in &there {
            all.add(map::machine(read, only, &self.rules, &mut interner)).map_err(|error| {
                FetchError::inconsistent(format!(
                    "{}: {error}; if these are boards that share a UUID, set identity: serial or uri",
                    self.place()
                ))
            })?;
        }
        let dpus = dpus.iter().map(|dpu| map::machine(dpu, false, &self.rules, &mut interner));
        Ok(Pass { machines: all.into_machines(), dpus: dpus.collect(), lost })
    }

    /// A system with what was asked for of it; none if the member is not there.
    async fn read(&self, api: &Api<'_>, link: &Link) -> Result<Option<Read>, FetchError> {
        let Some(system) = api.resource::<System>(link).await? else { return Ok(None) };
        let mut read = Read { uri: path(&link.id), system, ..Read::default() };
        if self.rules.interfaces
            && let Some(nics) = &read.system.ethernet_interfaces
        {
            for nic in api.members(nics).await? {
                read.nics.extend(api.resource(&nic).await?);
            }
        }
        if self.rules.chassis
            && let Some(chassis) = read.system.links.as_ref().and_then(|l| l.chassis.first())
        {
            read.chassis = api.resource(chassis).await?;
        }
        Ok(Some(read))
    }
}

/// The address of a system without what differs between firmwares: a slash at its end.
pub(super) fn path(id: &str) -> String {
    id.trim_end_matches('/').to_owned()
}

fn lost(link: &Link) -> Note {
    Note {
        reason: "MemberNotFound",
        message: format!("{} is listed and answers 404: left as it was", link.id),
    }
}
