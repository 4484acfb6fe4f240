//! DescribeInstances to the last page: all of it, or an error.
//!
//! Not the SDK's paginator: that notices a token that comes twice in a row, not one that comes again later, and knows
//! nothing of our rate limit. Each page is mapped and dropped before the next one is asked for.

use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};

use aws_sdk_ec2::operation::describe_instances::DescribeInstancesOutput;
use aws_sdk_ec2::types::Filter;
use fetcher_core::machine::{Interner, Machine, Text};
use fetcher_core::printable::printable;
use fetcher_core::provider::{FetchError, Progress};

use crate::clients::RegionClient;
use crate::errors::is_stale_token;
use crate::map::{self, Place};

pub(crate) const ACTION: &str = "ec2:DescribeInstances";

/// All instances that `filters` let through, in every state, by id.
pub(crate) async fn list(
    region: &RegionClient,
    filters: &[Filter],
    progress: Option<&Progress>,
) -> Result<Vec<Machine>, FetchError> {
    match pages(region, filters, progress).await {
        // A token expires; once is bad luck, so the list begins anew, once.
        Err(Stop::StaleToken(_)) => pages(region, filters, progress).await,
        other => other,
    }
    .map_err(|stop| match stop {
        Stop::StaleToken(error) | Stop::Failed(error) => error,
    })
}

enum Stop {
    StaleToken(FetchError),
    Failed(FetchError),
}

async fn pages(
    region: &RegionClient,
    filters: &[Filter],
    progress: Option<&Progress>,
) -> Result<Vec<Machine>, Stop> {
    let mut found = Found::new(region);
    let mut tokens = HashSet::new();
    let mut token: Option<String> = None;
    loop {
        let mut page = page(region, filters, token.take()).await?;
        let next = page.next_token.take().filter(|token| !token.is_empty());
        let new = found.add(page).map_err(Stop::Failed)?;
        if let Some(progress) = progress {
            progress.page(new);
        }
        // Only an absent token ends the list: a page may be short, or empty, and still carry one.
        let Some(next) = next else { return Ok(found.machines()) };
        if !tokens.insert(next.clone()) {
            return Err(Stop::Failed(region.inconsistent(&format!(
                "the list never ends: after {} pages a page points back to one that was read",
                tokens.len() + 1
            ))));
        }
        token = Some(next);
    }
}

async fn page(
    region: &RegionClient,
    filters: &[Filter],
    token: Option<String>,
) -> Result<DescribeInstancesOutput, Stop> {
    region.throttle.ready().await;
    let answer = region
        .ec2
        .describe_instances()
        .set_filters((!filters.is_empty()).then(|| filters.to_vec()))
        // Instances that AWS services manage can be hidden by a setting of the account.
        .include_managed_resources(true)
        .max_results(region.page_size)
        .set_next_token(token)
        .send()
        .await;
    match answer {
        Ok(page) => Ok(page),
        Err(error) => {
            let stale = is_stale_token(&error);
            let error = region.error(ACTION, &error).await;
            Err(if stale { Stop::StaleToken(error) } else { Stop::Failed(error) })
        }
    }
}

/// What the pages so far held.
struct Found<'a> {
    region: &'a RegionClient,
    place: Place,
    interner: Interner,
    machines: Vec<Machine>,
    by_id: HashMap<Text, usize>,
}

impl<'a> Found<'a> {
    fn new(region: &'a RegionClient) -> Self {
        let place =
            Place { account: Text::clone(&region.account), region: Text::clone(&region.name) };
        let (interner, machines, by_id) = Default::default();
        Self { region, place, interner, machines, by_id }
    }

    /// Takes the instances of a page; how many there were.
    fn add(&mut self, page: DescribeInstancesOutput) -> Result<usize, FetchError> {
        let before = self.machines.len();
        for reservation in page.reservations.unwrap_or_default() {
            if let Some(owner) = reservation.owner_id().filter(|id| *id != &*self.place.account) {
                return Err(self.region.inconsistent(&format!(
                    "an instance of account {} came in answer: the credentials now belong to another account",
                    printable(owner, 40)
                )));
            }
            for instance in reservation.instances() {
                let Some(machine) = map::machine(&self.place, instance, &mut self.interner) else {
                    return Err(self.region.inconsistent("an instance came without an id"));
                };
                self.insert(machine)?;
            }
        }
        Ok(self.machines.len() - before)
    }

    /// The set may change while pages are read: the same instance may come twice, but not in two ways.
    fn insert(&mut self, machine: Machine) -> Result<(), FetchError> {
        match self.by_id.entry(Text::clone(&machine.id)) {
            Entry::Vacant(free) => {
                free.insert(self.machines.len());
                self.machines.push(machine);
                Ok(())
            }
            Entry::Occupied(known) if self.machines[*known.get()] == machine => Ok(()),
            Entry::Occupied(_) => Err(self.region.inconsistent(&format!(
                "instance {} came twice with different content: it changed while pages were read",
                printable(&machine.id, 40)
            ))),
        }
    }

    fn machines(self) -> Vec<Machine> {
        let mut machines = self.machines;
        machines.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        machines
    }
}
