//! The collections that machines are read from, `/api/vms` and `/api/hosts`, as one thing to read whole and to
//! ask for single rows of.
//!
//! Not the session, and not when a collection is whole (`paging`).

use std::collections::HashSet;

use fetcher_core::machine::{Interner, Machine, Text};
use fetcher_core::provider::{FetchError, Lookup, Progress};
use serde::de::DeserializeOwned;

use crate::api::{HOST_ATTRIBUTES, Hypervisor, Page, VM_ATTRIBUTES, Vm};
use crate::map;
use crate::paging::{Paging, Row, Size, Step};
use crate::session::Session;

/// A row of a collection.
pub(crate) trait Resource: DeserializeOwned + Send + Sync {
    /// The collection.
    const PATH: &'static str;
    /// What is asked for of each row.
    const ATTRIBUTES: &'static str;
    /// What lets through the rows that are there; also what makes the appliance say how many they are.
    const FILTER: &'static str;

    /// Its id at the appliance.
    fn id(&self) -> &str;
    /// Whether it is there.
    fn is_listed(&self) -> bool;
    /// Whether it is switched on, by its manager's word.
    fn is_on(&self) -> bool;
    /// It as a machine; none without a guid.
    fn machine(&self, texts: &mut Interner) -> Option<Machine>;
}

impl Resource for Vm {
    const PATH: &'static str = "vms";
    const ATTRIBUTES: &'static str = VM_ATTRIBUTES;
    const FILTER: &'static str = "active=true";

    fn id(&self) -> &str {
        &self.id
    }

    fn is_listed(&self) -> bool {
        map::is_listed(self)
    }

    fn is_on(&self) -> bool {
        map::is_on(self)
    }

    fn machine(&self, texts: &mut Interner) -> Option<Machine> {
        map::vm(self, texts)
    }
}

impl Resource for Hypervisor {
    const PATH: &'static str = "hosts";
    const ATTRIBUTES: &'static str = HOST_ATTRIBUTES;
    const FILTER: &'static str = "ems_id!=NULL";

    fn id(&self) -> &str {
        &self.id
    }

    fn is_listed(&self) -> bool {
        self.ems_id.as_deref().is_some_and(|id| !id.is_empty())
    }

    /// A hypervisor in maintenance or standby is a machine of the inventory like any other.
    fn is_on(&self) -> bool {
        true
    }

    fn machine(&self, texts: &mut Interner) -> Option<Machine> {
        map::hypervisor(self, texts)
    }
}

/// How a collection is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading<'a> {
    pub(crate) session: &'a Session,
    pub(crate) page_size: usize,
    /// The appliance's name, for the fact [`map::NOT_ON`].
    pub(crate) appliance: &'a str,
}

impl Reading<'_> {
    /// All machines of the collection that have all of these tags (`/environment/prod`, known to exist).
    pub(crate) async fn whole<T: Resource>(
        &self,
        by_tag: &[String],
        progress: &Progress,
    ) -> Result<Vec<Machine>, FetchError> {
        let mut texts = Interner::default();
        let mut paging = Paging::new(self.page_size);
        loop {
            let page: Page<T> = self
                .session
                .get(T::PATH, |call| {
                    let call = call.query("filter[]", T::FILTER);
                    let call = page_of::<T>(call, paging.offset(), paging.limit());
                    if by_tag.is_empty() { call } else { call.query("by_tag", &by_tag.join(",")) }
                })
                .await?;
            progress.page(page.resources.len());
            if take(&mut paging, &page, self.appliance, &mut texts)? == Step::Whole {
                return distinct(paging.into_machines());
            }
        }
    }

    /// What became of these guids: missing is what the appliance no longer has, and what it no longer counts as there.
    pub(crate) async fn lookup<T: Resource>(&self, ids: &[Text]) -> Result<Lookup, FetchError> {
        let filters = ids.iter().enumerate().map(|(at, id)| guid_filter(at, id));
        let filters: Vec<String> = filters.collect::<Result<_, _>>()?;
        let page: Page<T> = self
            .session
            .get(T::PATH, |call| {
                let call = page_of::<T>(call, 0, crate::config::PAGE_SIZE);
                filters.iter().fold(call, |call, filter| call.query("filter[]", filter))
            })
            .await?;
        if page.resources.len() != page.subcount || page.subcount > ids.len() {
            return Err(FetchError::inconsistent(format!(
                "asked for {} {} by guid, the appliance answered with {} of {}",
                ids.len(),
                T::PATH,
                page.resources.len(),
                page.subcount
            )));
        }
        let mut texts = Interner::default();
        let rows = page.resources.iter().map(|row| self::row(row, self.appliance, &mut texts));
        let rows: Vec<Row> = rows.collect::<Result<_, _>>()?;
        let found: Vec<_> = rows.into_iter().filter_map(|row| row.machine).collect();
        if let Some(stranger) = found.iter().find(|machine| !ids.contains(&machine.id)) {
            return Err(FetchError::inconsistent(format!(
                "asked for {} by guid, the appliance answered with {} too: it does not know this filter",
                T::PATH,
                stranger.id
            )));
        }
        let is_found = |id: &&Text| found.iter().any(|machine| machine.id == **id);
        let missing = ids.iter().filter(|id| !is_found(id)).cloned().collect();
        Ok(Lookup::Answered { found, missing })
    }
}

/// Takes in a page of this appliance.
pub(crate) fn take<T: Resource>(
    paging: &mut Paging,
    page: &Page<T>,
    appliance: &str,
    texts: &mut Interner,
) -> Result<Step, FetchError> {
    let rows = page.resources.iter().map(|row| self::row(row, appliance, texts));
    paging.take(rows.collect::<Result<_, _>>()?, numbers(page))
}

/// A row that is not there is kept as a row, for the count, without a machine.
fn row<T: Resource>(row: &T, appliance: &str, texts: &mut Interner) -> Result<Row, FetchError> {
    let id = Text::from(row.id());
    if !row.is_listed() {
        return Ok(Row { id, machine: None });
    }
    match row.machine(texts) {
        Some(mut machine) => {
            // Whether such a machine is selected is for `requires` to say: it is there, and a lookup must find it.
            if !row.is_on() {
                machine.facts.insert(texts.text(map::NOT_ON), texts.text(appliance));
            }
            Ok(Row { id, machine: Some(machine) })
        }
        None => Err(FetchError::inconsistent(format!(
            "{}/{id:?} has no guid, which is the identity",
            T::PATH
        ))),
    }
}

fn page_of<T: Resource>(
    call: fetcher_core::http::Call,
    offset: usize,
    limit: usize,
) -> fetcher_core::http::Call {
    call.query("expand", "resources,tags")
        .query("attributes", T::ATTRIBUTES)
        .query("offset", &offset)
        .query("limit", &limit)
        .query("sort_by", "id")
        .query("sort_order", "asc")
}

fn numbers<T>(page: &Page<T>) -> Size {
    Size { count: page.count, subcount: page.subcount, subquery_count: page.subquery_count }
}

/// The filter that adds this guid to those before it.
fn guid_filter(at: usize, guid: &str) -> Result<String, FetchError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if guid.is_empty() || !guid.bytes().all(plain) {
        return Err(FetchError::inconsistent(format!("{guid:?} is no guid")));
    }
    let or = if at == 0 { "" } else { "or " };
    Ok(format!("{or}guid='{guid}'"))
}

/// The machines, if no two have one identity.
pub(crate) fn distinct(machines: Vec<Machine>) -> Result<Vec<Machine>, FetchError> {
    let mut seen = HashSet::with_capacity(machines.len());
    match machines.iter().find(|machine| !seen.insert(&machine.id)) {
        None => Ok(machines),
        Some(twice) => Err(FetchError::inconsistent(format!(
            "the guid {} stands for two rows, the second named {:?}",
            twice.id,
            twice.hostname.as_deref().unwrap_or_default()
        ))),
    }
}
