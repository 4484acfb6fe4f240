//! One Ironic as a source: list, look up, check.

use std::sync::atomic::{AtomicU16, Ordering};

use fetcher_core::app::InvalidConfig;
use fetcher_core::http::{Http, HttpOptions};
use fetcher_core::machine::{Interner, Text};
use fetcher_core::provider::{Expect, Fetch, FetchError, Finding, Listing, Lookup, Progress};
use futures::{StreamExt, TryStreamExt, stream};

use super::api::{Api, Version};
use super::auth::{Auth, Scope};
use super::config::Config;
use super::map::{self, Macs, Rules};
use crate::normal::Unique;

/// Lookups in flight.
const LOOKUPS: usize = 4;

/// One Ironic.
#[derive(Debug)]
pub(crate) struct Ironic {
    api: Api,
    rules: Rules,
    ports: bool,
    expect: Expect,
    /// The microversion of which was last said what it lacks.
    told: AtomicU16,
}

impl Ironic {
    pub(super) fn new(config: Config) -> Result<Self, InvalidConfig> {
        let http = Http::new(HttpOptions::new(config.url).with(&config.http)?)?;
        let auth = Auth::new(config.auth)?;
        Ok(Self {
            api: Api { http, auth, page_size: config.page_size },
            rules: Rules { tags: config.tags, fields: config.fields },
            ports: config.ports,
            expect: config.expect,
            told: AtomicU16::default(),
        })
    }

    /// Where it is, for messages.
    pub(crate) fn place(&self) -> String {
        self.api.http.base().to_string()
    }

    /// All nodes, with the MACs of their ports. Ports come first: a node that is enrolled in between has none
    /// until the next round.
    pub(crate) async fn fetch(&self, request: Fetch<'_>) -> Result<Listing, FetchError> {
        let version = self.api.version().await?;
        if let Some(missing) = self.untold(version) {
            tracing::warn!(ironic = self.place(), %version, missing, "Ironic is too old for some fields of its nodes");
        }
        let macs = if self.ports { self.macs(version).await? } else { Macs::new() };
        let start = || (Interner::default(), Unique::default());
        let (_, all) = self
            .api
            .nodes(version, request.progress, start, |(interner, all), node| {
                all.add(map::machine(&node, &macs, &self.rules, interner))
            })
            .await?;
        Ok(Listing { machines: all.into_machines().into(), notes: Vec::new() })
    }

    /// What the microversion lacks, once for each that comes to be spoken: a line every round would be read by nobody.
    pub(super) fn untold(&self, version: Version) -> Option<String> {
        let is_told = self.told.swap(version.minor(), Ordering::Relaxed) == version.minor();
        let missing = version.missing();
        (!is_told && !missing.is_empty()).then(|| missing.join(", "))
    }

    /// The MACs of all nodes, each node's in order.
    async fn macs(&self, version: Version) -> Result<Macs, FetchError> {
        let mut macs = self.api.ports(version, Macs::new, map::add_port).await?;
        map::sort(&mut macs);
        Ok(macs)
    }

    /// Each node by its uuid; only Ironic's own "could not be found" counts as missing.
    pub(crate) async fn lookup(&self, ids: &[Text]) -> Result<Lookup, FetchError> {
        let version = self.api.version().await?;
        let asked: Vec<_> = stream::iter(ids.to_vec())
            .map(|id| async move {
                let node = self.api.node(version, &id).await?;
                Ok::<_, FetchError>((id, node))
            })
            .buffer_unordered(LOOKUPS)
            .try_collect()
            .await?;
        // A machine that was found may be written: without its MACs they would be taken off its Host.
        let is_any = asked.iter().any(|(_, node)| node.is_some());
        let macs = if self.ports && is_any { self.macs(version).await? } else { Macs::new() };
        let mut interner = Interner::default();
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for (id, node) in asked {
            match node {
                Some(node) => found.push(map::machine(&node, &macs, &self.rules, &mut interner)),
                None => missing.push(id),
            }
        }
        Ok(Lookup::Answered { found, missing })
    }

    /// Whether it answers, what it cannot say, and whether the login may list the nodes of all owners: without
    /// that right the list is short, and no error tells.
    pub(crate) async fn check(&self) -> Vec<Finding> {
        let place = self.place();
        let version = match self.api.version().await {
            Ok(version) => version,
            Err(error) => return vec![finding(false, format!("{place}: {error}"))],
        };
        let mut findings = vec![finding(true, spoken(&place, version))];
        let count = |count: &mut usize, _| {
            *count += 1;
            Ok(())
        };
        findings.push(match self.api.nodes(version, &Progress::default(), || 0, count).await {
            Ok(count) => finding(true, format!("{place}: {count} nodes are listed")),
            Err(error) => finding(false, format!("{place}: {error}")),
        });
        match self.api.auth.scope().await {
            Ok(Some(Scope::Project)) => findings.push(self.project_scope(&place)),
            Ok(Some(Scope::System)) => {
                findings.push(finding(true, format!("{place}: the token is of the whole system")));
            }
            // A login that failed was said above.
            Ok(None) | Err(_) => {}
        }
        findings
    }

    fn project_scope(&self, place: &str) -> Finding {
        let is_guarded = self.expect != Expect::default();
        let remedy = if is_guarded {
            "`expect` guards against it"
        } else {
            "use auth.keystone.method: systemPassword for a user with the role reader on the system, or name nodes \
             that must be listed in `expect`"
        };
        finding(
            is_guarded,
            format!(
                "{place}: the token is of one project: without the right baremetal:node:list_all Ironic lists only \
                 the nodes that the project owns or leases, and says nothing of the others; {remedy}"
            ),
        )
    }
}

fn spoken(place: &str, version: Version) -> String {
    let missing = version.missing();
    if missing.is_empty() {
        return format!("{place}: speaks microversion {version}");
    }
    format!("{place}: speaks microversion {version}, which has no {}", missing.join(", "))
}

const fn finding(ok: bool, text: String) -> Finding {
    Finding { ok, text }
}
