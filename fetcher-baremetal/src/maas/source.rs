//! One MAAS as a source: list, look up, check.

use std::collections::BTreeSet;

use fetcher_core::app::InvalidConfig;
use fetcher_core::http::Http;
use fetcher_core::machine::{Interner, Machine, Text};
use fetcher_core::provider::{Fetch, FetchError, Finding, Listing, Lookup};
use futures::{StreamExt, TryStreamExt, stream};

use super::api::{self, Api, pushed_down};
use super::config::Config;
use super::{map, wire};
use crate::normal::Unique;

/// Lookups in flight.
const LOOKUPS: usize = 4;

/// One MAAS.
#[derive(Debug)]
pub(crate) struct Maas {
    api: Api,
    dpus: bool,
    /// The setting that smart network cards are shown by, for their facts.
    only_with: String,
}

impl Maas {
    pub(super) fn new(config: Config) -> Result<Self, InvalidConfig> {
        let http = Http::new(api::options(config.url).with(&config.http)?)?;
        let only_with = format!("maas/{}/dpus", config.name);
        Ok(Self { api: Api { http, key: config.api_key }, dpus: config.dpus, only_with })
    }

    /// Where it is, for messages.
    pub(crate) fn place(&self) -> String {
        self.api.http.base().to_string()
    }

    /// The setting that is off.
    pub(crate) fn left_out(&self) -> Option<String> {
        (!self.dpus).then(|| self.only_with.clone())
    }

    /// All machines that the selector could match, in one answer; smart network cards too, whether or not they are
    /// selected.
    pub(crate) async fn fetch(&self, request: Fetch<'_>) -> Result<Listing, FetchError> {
        let listed = self.api.machines(&pushed_down(request.selector)).await?;
        request.progress.page(listed.len());
        Ok(Listing { machines: machines(&listed, &self.only_with)?.into(), notes: Vec::new() })
    }

    /// Each machine by its id; only MAAS's own "No Machine matches" counts as missing.
    pub(crate) async fn lookup(&self, ids: &[Text]) -> Result<Lookup, FetchError> {
        let asked: Vec<_> = stream::iter(ids.to_vec())
            .map(|id| async move {
                let machine = self.api.machine(&id).await?;
                Ok::<_, FetchError>((id, machine))
            })
            .buffer_unordered(LOOKUPS)
            .try_collect()
            .await?;
        let mut interner = Interner::default();
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for (id, machine) in asked {
            match machine {
                Some(machine) => {
                    found.push(map::machine(&machine, &self.only_with, &mut interner));
                }
                None => missing.push(id),
            }
        }
        Ok(Lookup::Answered { found, missing })
    }

    /// Whether it answers, takes the key, and how much it shows.
    pub(crate) async fn check(&self) -> Finding {
        let place = self.place();
        match self.api.machines(&BTreeSet::new()).await {
            Ok(machines) => Finding {
                ok: !machines.is_empty(),
                text: format!(
                    "{place}: {} machines are shown to this key; what its user may not see is missing without an error",
                    machines.len()
                ),
            },
            Err(error) => Finding { ok: false, text: format!("{place}: {error}") },
        }
    }
}

/// What is listed as machines, each once.
pub(super) fn machines(
    listed: &[wire::Machine],
    only_with: &str,
) -> Result<Vec<Machine>, FetchError> {
    let mut interner = Interner::default();
    let mut all = Unique::default();
    for machine in listed {
        all.add(map::machine(machine, only_with, &mut interner))?;
    }
    Ok(all.into_machines())
}
