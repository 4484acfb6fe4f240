//! The loop that keeps the daemon's index: a streaming list into an index aside, then short watches, one after
//! another.
//!
//! A watch goes on from the last only after a clean end in which the server has said, by a bookmark or when asked,
//! that it is where the index is, or beyond. After anything else the index is read anew: so a dead connection, a restarted apiserver and a
//! restored etcd are all noticed within 30 seconds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch::{Receiver, Sender};

use super::Inner;
use super::broken::{Break, EXPIRED, SILENT};
use super::events::{Event, Lines, Trouble};
use super::failure::Failure;
use super::link::{pause, wait};
use super::list::{self, Seen};
use super::mirror::{self, Mirror, Sources};
use crate::machine::Text;
use crate::observed::{Index, Lens};
use crate::store::StoreError;

/// How long the server may take to tell all that there is.
const INITIAL: &str = "600";
/// The longest silence while it does.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a watch lasts: a bookmark comes about two seconds before its end.
const WATCH: &str = "20";
/// When that bookmark has come, if one comes at all. A watch that ends sooner was broken off.
const DUE: Duration = Duration::from_secs(18);
/// How long a watch may last when the server does not end it.
const OVERDUE: Duration = Duration::from_secs(25);
/// How long the server may take to say where it is, so that a dead one is still noticed in time.
const ASKED: Duration = Duration::from_secs(10);
/// How long a reader waits for an index that is being read anew after a failure.
const GRACE: Duration = Duration::from_secs(10);

/// How the watch is doing, for metrics and `check`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Whether the index is whole, as far as is known.
    pub is_synced: bool,
    /// How long ago the last sign of life came from the watch; none before the first.
    pub heard: Option<Duration>,
    /// How often the index had to be read anew, by reason.
    pub restarts: BTreeMap<&'static str, u64>,
    /// How many Hosts the index holds.
    pub hosts: usize,
}

/// Where the index stands.
#[derive(Clone, Debug)]
enum Phase {
    /// Being read for the first time, or anew.
    Reading,
    /// Whole, and the watch goes on from it.
    Synced,
    /// The last attempt failed; another one will be made.
    Failed(StoreError),
}

/// The index of one provider's Hosts, kept by [`Watch::run`].
pub(super) struct Watch {
    provider: String,
    mirror: Mutex<Mirror>,
    heard: Mutex<Option<Instant>>,
    restarts: Mutex<BTreeMap<&'static str, u64>>,
    phase: Sender<Phase>,
}

impl Watch {
    pub(super) fn new(provider: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            mirror: Mutex::default(),
            heard: Mutex::default(),
            restarts: Mutex::default(),
            phase: Sender::new(Phase::Reading),
        }
    }

    /// The index of a source, once it is whole.
    pub(super) async fn index(&self, source: &str) -> Result<Arc<Index>, StoreError> {
        self.synced().await?;
        Ok(self.mirror().of(source))
    }

    /// Names of the sources that there are Hosts of.
    pub(super) async fn sources(&self) -> Result<Vec<Text>, StoreError> {
        self.synced().await?;
        Ok(self.mirror().names().cloned().collect())
    }

    /// Waits while the index is being read; an attempt that failed is waited out for a short time only.
    pub(super) async fn synced(&self) -> Result<(), StoreError> {
        let begin = Instant::now();
        let mut phase: Receiver<Phase> = self.phase.subscribe();
        loop {
            let failed = match &*phase.borrow_and_update() {
                Phase::Synced => return Ok(()),
                Phase::Reading => None,
                Phase::Failed(error) => Some(error.clone()),
            };
            let Some(error) = failed else {
                // The sender lives as long as `self`.
                let _ = phase.changed().await;
                continue;
            };
            let left = GRACE.saturating_sub(begin.elapsed());
            if tokio::time::timeout(left, phase.changed()).await.is_err() {
                return Err(error);
            }
        }
    }

    pub(super) fn answered(&self, seen: Seen) {
        self.mirror().answered(seen);
    }

    pub(super) fn watched(&self) -> Watched {
        let heard = *lock(&self.heard);
        Watched {
            is_synced: matches!(&*self.phase.borrow(), Phase::Synced),
            heard: heard.map(|heard| heard.elapsed()),
            restarts: lock(&self.restarts).clone(),
            hosts: self.mirror().hosts(),
        }
    }

    /// Keeps the index, for ever.
    pub(super) async fn run(&self, at: &Inner) {
        let mut failures = 0;
        loop {
            let broken = match at.seen_through().await {
                Ok(lens) => self.follow(at, lens, &mut failures).await,
                Err(error) => error.into(),
            };
            let wait = wait(failures, broken.wait);
            failures += 1;
            tracing::warn!(
                reason = broken.reason, error = %broken.error, wait = ?wait,
                "The watch of the Hosts broke, they are read anew"
            );
            *lock(&self.restarts).entry(broken.reason).or_default() += 1;
            self.phase.send_replace(Phase::Failed(broken.error));
            if broken.reason == SILENT {
                at.link.reconnect().await;
            }
            pause(wait).await;
        }
    }

    async fn follow(&self, at: &Inner, lens: &Lens, failures: &mut u32) -> Break {
        self.phase.send_replace(Phase::Reading);
        self.mirror().begin();
        match self.read(at, lens).await {
            Ok((sources, revision)) => self.mirror().swap(sources, revision),
            Err(broken) => return broken,
        }
        self.phase.send_replace(Phase::Synced);
        // Asked for before: a line that is written would hold the lock from one field to the next.
        let (hosts, revision) = {
            let mirror = self.mirror();
            (mirror.hosts(), mirror.at())
        };
        tracing::debug!(hosts, revision, "Read all Hosts");
        loop {
            if let Err(broken) = self.watch(at, lens).await {
                return broken;
            }
            *failures = 0;
        }
    }

    /// All Hosts of the provider, aside, and the revision they hold for.
    async fn read(&self, at: &Inner, lens: &Lens) -> Result<(Sources, u64), Break> {
        let call = at.hosts.select(
            &list::of_provider(&self.provider),
            &[
                ("watch", "true"),
                ("allowWatchBookmarks", "true"),
                ("sendInitialEvents", "true"),
                ("resourceVersionMatch", "NotOlderThan"),
                ("timeoutSeconds", INITIAL),
            ],
        );
        let body = match at.link.stream(&call, SILENCE).await {
            Ok(body) => body,
            Err(Failure::Answer(refusal)) if matches!(refusal.code, 400 | 422) => {
                return self.read_pages(at, lens).await;
            }
            Err(failure) => return Err(failure.into()),
        };
        let mut aside = Sources::default();
        let mut lines = Lines::new(body);
        while let Some(line) = lines.next(SILENCE).await? {
            self.hear(lines.heard);
            match Event::new(&line, lens)? {
                Event::Put(seen) => mirror::put(&mut aside, seen),
                Event::Remove(seen) => mirror::remove(&mut aside, &seen),
                Event::Bookmark { revision, is_initial_end: true } => return Ok((aside, revision)),
                Event::Bookmark { .. } => {}
                Event::Error(refusal) => return Err(refusal.into()),
            }
        }
        Err(Break::new(
            "cut",
            &format!("the server ended the list of all Hosts before it was whole ({INITIAL} s)"),
        ))
    }

    /// The same from a server that does not stream lists.
    async fn read_pages(&self, at: &Inner, lens: &Lens) -> Result<(Sources, u64), Break> {
        let selector = list::of_provider(&self.provider);
        let fold = |aside: &mut Sources, object: &str| mirror::put(aside, Seen::new(object, lens));
        let read = list::list(&at.link, &at.hosts, &selector, fold).await?;
        self.hear(Instant::now());
        Ok(read)
    }

    /// One watch, to a clean end by which the index is proven whole.
    ///
    /// It begins one revision before the one the index stands at, because an apiserver sends no bookmark for the very
    /// revision it was asked to begin from: where nothing changes, none would ever come. A server whose history begins
    /// here is asked from here. Nor does it send one for the revision of the newest change of any Host, if the watch
    /// begins before that: then it is asked by a list.
    async fn watch(&self, at: &Inner, lens: &Lens) -> Result<(), Break> {
        let before = self.mirror().at().saturating_sub(1);
        match self.watch_from(before, at, lens).await {
            Err(broken) if broken.reason == EXPIRED && self.mirror().at() == before + 1 => {
                self.watch_from(before + 1, at, lens).await
            }
            ended => ended,
        }
    }

    async fn watch_from(&self, from: u64, at: &Inner, lens: &Lens) -> Result<(), Break> {
        let begin = Instant::now();
        let (from, reach) = (from.to_string(), self.mirror().reach());
        let call = at.hosts.select(
            &list::of_provider(&self.provider),
            &[
                ("watch", "true"),
                ("allowWatchBookmarks", "true"),
                ("resourceVersion", &from),
                ("timeoutSeconds", WATCH),
            ],
        );
        let mut lines = Lines::new(at.link.stream(&call, OVERDUE).await?);
        self.hear(lines.heard);
        let mut proof = None;
        while let Some(line) = lines.next(OVERDUE.saturating_sub(begin.elapsed())).await? {
            self.hear(lines.heard);
            match Event::new(&line, lens)? {
                Event::Put(seen) => self.mirror().put(seen),
                Event::Remove(seen) => self.mirror().remove(&seen),
                Event::Error(refusal) => return Err(refusal.into()),
                Event::Bookmark { revision, .. } => {
                    proof = Some(revision >= reach.max(self.mirror().at()));
                    self.mirror().bookmark(revision);
                }
            }
        }
        match proof {
            Some(true) => Ok(()),
            None if begin.elapsed() >= DUE => self.ask(at).await,
            _ => Err(Break::unproven("the server ended it without saying that all was told")),
        }
    }

    /// Asks a server that had no bookmark to send whether it is where the index is, or beyond.
    ///
    /// A list of one Host does: it tells the newest revision of all, and brings the apiserver's cache of Hosts there,
    /// so that the next watch gets its bookmark.
    async fn ask(&self, at: &Inner) -> Result<(), Break> {
        let reach = self.mirror().reach();
        let answer = list::revision(&at.link, &at.hosts, &self.provider);
        let revision = tokio::time::timeout(ASKED, answer).await.map_err(|_| Trouble::Silent)??;
        self.hear(Instant::now());
        if revision >= reach {
            return Ok(());
        }
        Err(Break::unproven(&format!(
            "the server is at revision {revision}, and has been at {reach}"
        )))
    }

    fn hear(&self, when: Instant) {
        *lock(&self.heard) = Some(when);
    }

    fn mirror(&self) -> MutexGuard<'_, Mirror> {
        lock(&self.mirror)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
