//! Nodes, refusals and logins out of recordings: what a round makes of them, without the asking. For fuzzing.

use fetcher_core::http::Answer;
use fetcher_core::machine::{Interner, Machine};
use fetcher_core::provider::FetchError;
use tokio::time::Instant;

use super::api;
use super::auth::{self, Scope};
use super::config::{Fields, default_tags};
use super::map::{self, Macs, Rules};
use super::wire::{Nodes, Ports};
use crate::normal::Unique;

/// The machines of one page of nodes and one page of ports, with the places of a configuration that names none.
///
/// # Errors
/// Those of a round.
pub fn nodes(nodes: &[u8], ports: &[u8]) -> Result<Vec<Machine>, FetchError> {
    let mut macs = Macs::new();
    for port in Answer::recorded(ports).json::<Ports>()?.ports {
        map::add_port(&mut macs, port);
    }
    map::sort(&mut macs);
    let rules = Rules { tags: default_tags(), fields: Fields::default() };
    let mut interner = Interner::default();
    let mut all = Unique::default();
    for node in Answer::recorded(nodes).json::<Nodes>()?.nodes {
        all.add(map::machine(&node, &macs, &rules, &mut interner))?;
    }
    Ok(all.into_machines())
}

/// What a body means with this status; none where it says that there is no such node.
#[must_use]
pub fn refusal(status: http::StatusCode, body: &[u8]) -> Option<FetchError> {
    let mut answer = Answer::recorded(body);
    answer.status = status;
    (!api::is_no_such_entry(&answer)).then(|| api::failure(&answer))
}

/// Whether a login of Keystone is one of the whole system.
///
/// # Errors
/// Those of a login.
pub fn login(token: http::HeaderValue, body: &[u8]) -> Result<bool, FetchError> {
    let mut answer = Answer::recorded(body);
    answer.headers.insert("X-Subject-Token", token);
    auth::token(answer, Instant::now()).map(|token| token.scope == Scope::System)
}
