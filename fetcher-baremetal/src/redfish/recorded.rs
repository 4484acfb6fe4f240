//! An endpoint out of recordings: what a round makes of it, without the asking. For fuzzing.

use std::collections::BTreeMap;

use fetcher_core::http::Answer;
use fetcher_core::machine::{Interner, Location, Machine};
use fetcher_core::provider::FetchError;

use super::config::Identity;
use super::map::{self, Read, Rules};
use super::member::path;
use super::wire::{Collection, Root};

/// The addresses of systems that a root and a page of its systems name; none where the root names no systems.
///
/// # Errors
/// Those of a round.
pub fn members(root: &[u8], page: &[u8]) -> Result<Option<Vec<String>>, FetchError> {
    let root: Root = Answer::recorded(root).json()?;
    let page: Collection = Answer::recorded(page).json()?;
    Ok(root.systems.map(|_| page.members.iter().map(|link| path(&link.id)).collect()))
}

/// The machine of the system at `uri`, with one of its interfaces and its chassis.
///
/// # Errors
/// Those of a round.
pub fn system(uri: &str, system: &[u8], nic: &[u8], chassis: &[u8]) -> Result<Machine, FetchError> {
    let read = Read {
        uri: path(uri),
        system: Answer::recorded(system).json()?,
        nics: vec![Answer::recorded(nic).json()?],
        chassis: Some(Answer::recorded(chassis).json()?),
        absent: Vec::new(),
    };
    let rules = Rules {
        name: "bmc".to_owned(),
        bmc: "192.0.2.7".to_owned(),
        tags: BTreeMap::new(),
        location: Location::default(),
        identity: Identity::Auto,
        dpus: false,
        interfaces: true,
        chassis: true,
    };
    Ok(map::machine(&read, true, &rules, &mut Interner::default()))
}
