//! What became of single instances: the second opinion before a Host is marked gone.
//!
//! By the `instance-id` filter and never by `InstanceIds`, which fails as a whole for one unknown id.

use std::collections::HashSet;

use fetcher_core::machine::Text;
use fetcher_core::printable::printable;
use fetcher_core::provider::{FetchError, Lookup};

use crate::clients::RegionClient;
use crate::{discover, filters, list, types};

/// Ids in one call: half of the 200 filter values that are quoted as the most a call takes.
pub(crate) const BATCH: usize = 100;

/// Which of `ids` there are, ended ones included.
pub(crate) async fn lookup(region: &RegionClient, ids: &[Text]) -> Result<Lookup, FetchError> {
    discover::same_account(region).await?;
    let mut found = list::list(region, &filters::ids(ids), None).await?;
    let asked: HashSet<&Text> = ids.iter().collect();
    if let Some(other) = found.iter().find(|machine| !asked.contains(&machine.id)) {
        let id = printable(&other.id, 40);
        return Err(region.inconsistent(&format!("{id} came in answer, which nobody asked for")));
    }
    types::fill(region, &mut found).await?;
    let there: HashSet<&Text> = found.iter().map(|machine| &machine.id).collect();
    let missing = ids.iter().filter(|id| !there.contains(id)).map(Text::clone).collect();
    Ok(Lookup::Answered { found, missing })
}
