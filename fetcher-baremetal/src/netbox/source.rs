//! One `NetBox` as a source: list, look up, check.

use std::collections::BTreeMap;

use fetcher_core::app::InvalidConfig;
use fetcher_core::http::{Http, HttpOptions};
use fetcher_core::machine::{Interface, Interner, Machine, Text};
use fetcher_core::provider::{Fetch, FetchError, Finding, Listing, Lookup, Progress};
use fetcher_core::selector::Selector;

use super::api::{Api, pushed_down};
use super::config::Config;
use super::map::{self, List, Regions, Rules};
use super::wire::{Device, Nic, Site};
use crate::normal::{Unique, mac};

/// Ids in one query: their URL stays short enough for every proxy.
const IDS: usize = 50;

/// One `NetBox`.
#[derive(Debug)]
pub(crate) struct NetBox {
    api: Api,
    rules: Rules,
    lists: Vec<List>,
    interfaces: bool,
    regions: bool,
}

type Query = Vec<(String, String)>;

impl NetBox {
    pub(super) fn new(config: Config) -> Result<Self, InvalidConfig> {
        let mut base = config.url;
        let path = base.path().trim_end_matches('/').trim_end_matches("/api").to_owned();
        base.set_path(&path);
        let http = Http::new(HttpOptions::new(base).with(&config.http)?)?;
        let mut lists = vec![List::Devices];
        lists.extend(config.virtual_machines.then_some(List::VirtualMachines));
        Ok(Self {
            api: Api { http, token: config.token, page_size: config.page_size },
            rules: Rules {
                custom_fields: config.custom_fields,
                uuid_field: config.uuid_field,
                only_with: format!("netbox/{}/virtualMachines", config.name),
            },
            lists,
            interfaces: config.interfaces,
            regions: config.regions,
        })
    }

    /// Where it is, for messages.
    pub(crate) fn place(&self) -> String {
        self.api.http.base().to_string()
    }

    /// The setting that is off.
    pub(crate) fn left_out(&self) -> Option<String> {
        (!self.lists.contains(&List::VirtualMachines)).then(|| self.rules.only_with.clone())
    }

    /// All entries that the selector could match.
    pub(crate) async fn fetch(&self, request: Fetch<'_>) -> Result<Listing, FetchError> {
        let machines = self.all(request.selector, request.progress).await?;
        Ok(Listing { machines: machines.into(), notes: Vec::new() })
    }

    async fn all(
        &self,
        selector: &Selector,
        progress: &Progress,
    ) -> Result<Vec<Machine>, FetchError> {
        let regions = self.regions().await?;
        let mut machines = Vec::new();
        for &list in &self.lists {
            machines.extend(self.list(list, pushed_down(selector), &regions, progress).await?);
        }
        self.add_interfaces(&mut machines).await?;
        Ok(machines)
    }

    async fn list(
        &self,
        list: List,
        mut query: Query,
        regions: &Regions,
        progress: &Progress,
    ) -> Result<Vec<Machine>, FetchError> {
        // Rendering it is the slow part of a page, and it may hold secrets.
        query.push(("exclude".to_owned(), "config_context".to_owned()));
        let start = || (Interner::default(), Unique::default());
        let add = |(interner, all): &mut (Interner, Unique), device: Device| {
            all.add(map::machine(&device, list, regions, &self.rules, interner))
        };
        let page = |machines| progress.page(machines);
        let (_, all) =
            self.api.list(list.path(), &query, start, add, |(_, all)| all.len(), page).await?;
        Ok(all.into_machines())
    }

    async fn regions(&self) -> Result<Regions, FetchError> {
        if !self.regions {
            return Ok(Regions::new());
        }
        let add = |all: &mut BTreeMap<u64, Option<String>>, site: Site| {
            all.insert(site.id, site.region.and_then(|r| r.word().map(ToOwned::to_owned)));
            Ok(())
        };
        let sites = self
            .api
            .list("api/dcim/sites/", &[], BTreeMap::new, add, BTreeMap::len, |_| ())
            .await?;
        Ok(sites.into_iter().filter_map(|(id, region)| Some((id, region?))).collect())
    }

    /// The interfaces of the devices among these machines, those of 50 devices in one query.
    async fn add_interfaces(&self, machines: &mut [Machine]) -> Result<(), FetchError> {
        if !self.interfaces {
            return Ok(());
        }
        for batch in machines.chunks_mut(IDS) {
            let mut by_id: BTreeMap<u64, &mut Machine> = batch
                .iter_mut()
                .filter_map(|machine| match List::of(&machine.id) {
                    Some((List::Devices, id)) => Some((id, machine)),
                    _ => None,
                })
                .collect();
            if by_id.is_empty() {
                continue;
            }
            let query = ids("device_id", by_id.keys().copied());
            for (id, interface) in self.interfaces_of(&query).await? {
                let Some(machine) = by_id.get_mut(&id) else {
                    return Err(ignored("api/dcim/interfaces/", "device_id"));
                };
                machine.interfaces.push(interface);
            }
            for machine in by_id.into_values() {
                machine.interfaces.sort_unstable();
            }
        }
        Ok(())
    }

    async fn interfaces_of(&self, query: &Query) -> Result<Vec<(u64, Interface)>, FetchError> {
        let add = |(count, all): &mut (usize, Vec<_>), nic: Nic| {
            *count += 1;
            if let (Some(id), Some(mac)) = (nic.device.id, mac(nic.mac_address.as_deref())) {
                let name = nic.name.filter(|name| !name.is_empty()).map(Into::into);
                all.push((id, Interface { name, mac: Some(mac.into()) }));
            }
            Ok(())
        };
        let start = || (0, Vec::new());
        let path = "api/dcim/interfaces/";
        Ok(self.api.list(path, query, start, add, |(count, _)| *count, |_| ()).await?.1)
    }

    /// By the filter `id`, which takes many. What the permissions of the token hide is missing here as in the
    /// list: `expect` guards against narrowed ones.
    pub(crate) async fn lookup(&self, asked: &[Text]) -> Result<Lookup, FetchError> {
        let regions = self.regions().await?;
        let mut found = Vec::new();
        let mut missing = Vec::new();
        for list in [List::Devices, List::VirtualMachines] {
            let numbers: Vec<u64> = asked
                .iter()
                .filter_map(|id| List::of(id).filter(|(of, _)| *of == list).map(|(_, id)| id))
                .collect();
            for batch in numbers.chunks(IDS) {
                match self.there(list, batch, &regions).await {
                    Ok(there) => {
                        let gone = |id: &&u64| {
                            !there.iter().any(|m| List::of(&m.id) == Some((list, **id)))
                        };
                        missing.extend(batch.iter().filter(gone).map(|&id| list.id(id)));
                        found.extend(there);
                    }
                    // The token may not read what is not listed: no evidence for these, and nothing against others.
                    Err(_) if !self.lists.contains(&list) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        self.add_interfaces(&mut found).await?;
        Ok(Lookup::Answered { found, missing })
    }

    /// Those entries of a list that have one of these ids.
    async fn there(
        &self,
        list: List,
        numbers: &[u64],
        regions: &Regions,
    ) -> Result<Vec<Machine>, FetchError> {
        let query = ids("id", numbers.iter().copied());
        let there = self.list(list, query, regions, &Progress::default()).await?;
        let is_asked = |m: &Machine| List::of(&m.id).is_some_and(|(_, id)| numbers.contains(&id));
        if there.iter().all(is_asked) { Ok(there) } else { Err(ignored(list.path(), "id")) }
    }

    /// Whether it answers, takes the token, and how much it shows.
    pub(crate) async fn check(&self) -> Finding {
        let place = self.place();
        match self.all(&Selector::default(), &Progress::default()).await {
            Ok(machines) => Finding {
                ok: !machines.is_empty(),
                text: format!(
                    "{place}: {} entries are shown to this token; what its permissions hide is missing without an error",
                    machines.len()
                ),
            },
            Err(error) => Finding { ok: false, text: format!("{place}: {error}") },
        }
    }
}

fn ids(key: &str, ids: impl Iterator<Item = u64>) -> Query {
    ids.map(|id| (key.to_owned(), id.to_string())).collect()
}

/// The server answered with entries that were not asked for.
fn ignored(path: &str, parameter: &str) -> FetchError {
    FetchError::inconsistent(format!(
        "{path}: the server ignored the filter {parameter}: it answered with entries that were not asked for"
    ))
}
