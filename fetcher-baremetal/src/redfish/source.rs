//! One BMC or aggregator as a source: list, look up, check. What is read of each member: see `member.rs`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use fetcher_core::http::Http;
use fetcher_core::machine::{Interner, Machine, Text};
use fetcher_core::provider::{Fetch, FetchError, Finding, Listing, Lookup, Note};
use futures::{StreamExt, TryStreamExt, stream};

use super::api::Api;
use super::auth::Auth;
use super::config::AuthConfig;
use super::map::{self, Read, Rules};
use super::member::{self, Unread};
use crate::normal::Unique;
use crate::provider::ONLY_WITH;

/// Members in flight; the connection bounds the requests.
const MEMBERS: usize = 2;

/// One endpoint.
#[derive(Debug)]
pub(crate) struct Redfish {
    http: Http,
    auth: Auth,
    rules: Rules,
    /// Whether a member was not read for the last listing.
    gaps: AtomicBool,
    /// Whether one machine was all it had when every member was read last.
    alone: Mutex<Option<bool>>,
}

/// What one pass over the systems gave.
struct Pass {
    /// With those that are hidden: they exist, and are never missing.
    machines: Vec<Machine>,
    /// How many members are listed and were not read.
    unread: usize,
    notes: Vec<Note>,
}

impl Redfish {
    pub(super) fn new(http: Http, auth: Option<AuthConfig>, rules: Rules) -> Self {
        Self {
            http,
            auth: Auth::new(auth),
            rules,
            gaps: AtomicBool::default(),
            alone: Mutex::default(),
        }
    }

    /// The setting that is off.
    pub(crate) fn left_out(&self) -> Option<String> {
        (!self.rules.dpus).then(|| self.rules.only_with())
    }

    /// Where it is, for messages.
    pub(crate) fn place(&self) -> String {
        self.http.base().to_string()
    }

    /// All systems. A member that is listed and was not read is left out and noted: its Host is not marked, because
    /// the lookup does not call it missing either.
    pub(crate) async fn fetch(&self, request: Fetch<'_>) -> Result<Listing, FetchError> {
        let pass = self.pass().await?;
        self.gaps.store(pass.unread > 0, Ordering::Relaxed);
        request.progress.page(pass.machines.len());
        Ok(Listing { machines: pass.machines.into(), notes: pass.notes })
    }

    /// A second whole pass: an id is no address that could be asked for. Who is missing from it is missing, unless
    /// a member was not read, now or for the listing: it may be any of those that are asked for.
    pub(crate) async fn lookup(&self, ids: &[Text]) -> Result<Lookup, FetchError> {
        let Pass { machines, unread, .. } = self.pass().await?;
        let missing = if unread > 0 || self.gaps.load(Ordering::Relaxed) {
            Vec::new()
        } else {
            let there: BTreeSet<&Text> = machines.iter().map(|machine| &machine.id).collect();
            ids.iter().filter(|id| !there.contains(id)).cloned().collect()
        };
        let found = machines.into_iter().filter(|machine| ids.contains(&machine.id)).collect();
        Ok(Lookup::Answered { found, missing })
    }

    /// Whether it answers, takes the login, and gives what it lists.
    pub(crate) async fn check(&self) -> Finding {
        let place = self.place();
        match self.pass().await {
            Ok(pass) => {
                let left_out = self.left_out();
                let is_shown = |machine: &&Machine| {
                    left_out.is_none() || machine.facts.get(ONLY_WITH).is_none()
                };
                let count = pass.machines.iter().filter(is_shown).count();
                let mut text = format!("{place}: {count} systems are listed");
                for note in &pass.notes {
                    text = format!("{text}; {}", note.message);
                }
                Finding { ok: pass.unread == 0, text }
            }
            Err(error) => Finding { ok: false, text: format!("{place}: {error}") },
        }
    }

    /// Takes leave: when this has ended, the sessions of dropped rounds are closed too.
    pub(crate) async fn close(&self) {
        self.auth.closed().await;
    }

    async fn pass(&self) -> Result<Pass, FetchError> {
        let api = Api::open(&self.http, &self.auth).await?;
        let pass = self.systems(&api).await;
        let note = api.close().await;
        let mut pass = pass?;
        pass.notes.extend(note);
        Ok(pass)
    }

    async fn systems(&self, api: &Api<'_>) -> Result<Pass, FetchError> {
        let members = api.members(&api.systems).await?.ok_or_else(|| {
            FetchError::invalid(format!(
                "{}: its root names {}, which answers 404; check the url",
                self.place(),
                api.systems.id
            ))
        })?;
        let rules = &self.rules;
        let read: Vec<_> = stream::iter(members)
            .map(|link| async move { member::read(api, &link, rules).await })
            .buffered(MEMBERS)
            .try_collect()
            .await?;
        let (mut there, mut unread, mut notes) = (Vec::new(), 0, Vec::new());
        let mut first = None;
        for member in read {
            match member {
                Ok(member) => {
                    notes.extend(member::absent(&member));
                    there.push(member);
                }
                Err(Unread { note, error }) => {
                    unread += 1;
                    notes.push(note);
                    first = first.or(error);
                }
            }
        }
        match first {
            Some(error) if there.iter().all(|read| rules.hide(read)) => Err(error),
            _ => Ok(Pass { machines: self.machines(&there, unread)?, unread, notes }),
        }
    }

    fn machines(&self, there: &[Read], unread: usize) -> Result<Vec<Machine>, FetchError> {
        let (hidden, wanted): (Vec<_>, Vec<_>) =
            there.iter().partition(|read| self.rules.hide(read));
        let only = self.is_of_one(wanted.len(), unread);
        let mut interner = Interner::default();
        let mut all = Unique::default();
        for read in wanted {
            all.add(map::machine(read, only, &self.rules, &mut interner)).map_err(|error| {
                FetchError::inconsistent(format!(
                    "{}: {error}; if these are boards that share a UUID, set identity: serial or uri",
                    self.place()
                ))
            })?;
        }
        for read in hidden {
            // One with the identity of another harms nobody: that one is there, whoever asks.
            let _ = all.add(map::machine(read, false, &self.rules, &mut interner));
        }
        Ok(all.into_machines())
    }

    /// Whether this endpoint is the BMC of one machine alone. What was not read may be a machine too or a card: then it
    /// is what it was before, so that names and addresses do not come and go with it.
    fn is_of_one(&self, wanted: usize, unread: usize) -> bool {
        let mut alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        if unread == 0 {
            *alone = Some(wanted == 1);
        }
        wanted == 1 && alone.unwrap_or(unread == 0)
    }
}
