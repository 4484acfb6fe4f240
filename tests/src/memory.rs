//! A store in memory that keeps the contract of all stores, and a wrapper that makes any store fail on purpose.
//!
//! For the laws: thousands of rounds a second, every request counted, any of them the last one of its process. Not a
//! fake of an apiserver: what only that one does is tested against it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use fetcher_core::host::HostStatus;
use fetcher_core::machine::{Source, Text};
use fetcher_core::observed::{Index, Lens};
use fetcher_core::store::{HostStore, NewHost, Part, StoreError, Stored};
use serde_json::{Value, json};

/// Hosts by name, as JSON, as an apiserver would hold them.
#[derive(Debug)]
pub struct MemoryStore {
    lens: Lens,
    hosts: Arc<Mutex<Held>>,
}

/// What is held.
#[derive(Clone, Debug, Default, PartialEq)]
struct Held {
    objects: BTreeMap<Text, Value>,
    revision: u64,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(lens: Lens) -> Self {
        Self { lens, hosts: Arc::default() }
    }

    /// The same content, seen through another lens: as after an edit of the configuration.
    #[must_use]
    pub fn through(&self, lens: Lens) -> Self {
        Self { lens, hosts: Arc::new(Mutex::new(self.held().clone())) }
    }

    /// The very same content, seen through another lens: two processes at one store.
    #[must_use]
    pub fn beside(&self, lens: Lens) -> Self {
        Self { lens, hosts: Arc::clone(&self.hosts) }
    }

    /// All objects by name.
    #[must_use]
    pub fn objects(&self) -> BTreeMap<Text, Value> {
        self.held().objects.clone()
    }

    /// Changes an object as somebody else would, and raises its revision. Makes it where there is none.
    pub fn edit(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        let mut held = self.held();
        let name = Text::from(name);
        let mut object =
            held.objects.remove(&name).unwrap_or_else(|| json!({"metadata": {"name": name}}));
        edit(&mut object);
        held.put(name, object);
    }

    /// Removes an object, as somebody else would.
    pub fn remove(&self, name: &str) {
        self.held().objects.remove(name);
    }

    #[expect(clippy::unwrap_used, reason = "a poisoned lock is a failed test already")]
    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.hosts.lock().unwrap()
    }
}

impl Held {
    fn put(&mut self, name: Text, mut object: Value) -> Value {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = json!(format!("uid-{}", self.revision));
        }
        self.objects.insert(name, object.clone());
        object
    }
}

impl HostStore for MemoryStore {
    async fn observed(&self, source: &Source) -> Result<Arc<Index>, StoreError> {
        let held = self.held();
        let ours = held.objects.values().filter(|o| o["spec"]["source"]["name"] == **source.name());
        let stored = ours.map(|object| Stored::new(object.clone(), &self.lens));
        Ok(Arc::new(Index { hosts: stored.map(|stored| (stored.name, stored.entry)).collect() }))
    }

    async fn get(&self, name: &str) -> Result<Option<Stored>, StoreError> {
        Ok(self.held().objects.get(name).map(|object| Stored::new(object.clone(), &self.lens)))
    }

    async fn create(&self, host: &NewHost) -> Result<Stored, StoreError> {
        let mut held = self.held();
        if held.objects.contains_key(&host.name) {
            return Err(StoreError::Conflict(format!("host {} exists", host.name)));
        }
        let source = json!({
            "name": host.source.name(), "provider": host.source.provider(), "scope": host.source.scope(),
        });
        let object = json!({
            "metadata": {"name": host.name, "labels": host.labels},
            "spec": {"source": source, "machineID": host.machine_id},
        });
        Ok(Stored::new(held.put(host.name.clone(), object), &self.lens))
    }

    async fn write(&self, read: &Stored, part: Part<'_>) -> Result<Stored, StoreError> {
        let mut held = self.held();
        let Some(now) = held.objects.get(&read.name) else {
            return Err(StoreError::Conflict(format!("host {} is gone", read.name)));
        };
        if now["metadata"]["resourceVersion"] != read.object["metadata"]["resourceVersion"] {
            return Err(StoreError::Conflict(format!("host {} has changed", read.name)));
        }
        let mut object = now.clone();
        match part {
            Part::Status(status) => object = read.with_status(status, &self.lens),
            Part::Labels(changes) => {
                for (key, value) in changes {
                    object["metadata"]["labels"][key] = json!(value);
                }
                if let Some(labels) = object["metadata"]["labels"].as_object_mut() {
                    labels.retain(|_, value| !value.is_null());
                }
            }
        }
        // As at an apiserver, a write that changes nothing makes no new revision.
        let same = object == *now;
        let object = if same { object } else { held.put(read.name.clone(), object) };
        Ok(Stored::new(object, &self.lens))
    }

    async fn unserved(
        &self,
        provider: &str,
        served: &BTreeSet<Text>,
    ) -> Result<Vec<Text>, StoreError> {
        let held = self.held();
        let sources = held.objects.values().map(|object| &object["spec"]["source"]);
        let names = sources
            .filter(|source| source["provider"] == provider)
            .filter_map(|s| s["name"].as_str());
        let names: BTreeSet<Text> =
            names.filter(|name| !served.contains(*name)).map(Text::from).collect();
        Ok(names.into_iter().collect())
    }

    fn lens(&self) -> &Lens {
        &self.lens
    }

    fn in_flight(&self) -> usize {
        4
    }
}

/// A store that fails when told to, and counts.
#[derive(Debug)]
pub struct Faulty<S> {
    /// The store behind it.
    pub inner: Arc<S>,
    /// What goes wrong.
    pub faults: Faults,
    requests: AtomicUsize,
    writes: AtomicUsize,
}

/// What goes wrong.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// After that many requests the process is dead: no later one reaches the store.
    pub dies_after: Option<usize>,
    /// Whether the last request before death is carried out, its answer lost.
    pub answer_lost: bool,
    /// Writes (counted from 0) that are refused as conflicts.
    pub conflicts: BTreeSet<usize>,
    /// Whether the store answers well and keeps no `hostname`.
    pub forgets_hostnames: bool,
    /// Sources, by name, whose Hosts cannot be read as a whole.
    pub unreadable: BTreeSet<Text>,
    /// Hosts whose requests are never answered, and do not reach the store.
    pub unanswered: BTreeSet<Text>,
}

impl<S: HostStore> Faulty<S> {
    /// `inner` with these faults.
    pub fn new(inner: Arc<S>, faults: Faults) -> Self {
        Self { inner, faults, requests: AtomicUsize::new(0), writes: AtomicUsize::new(0) }
    }

    /// How many requests changed the store, or tried to.
    pub fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    /// How many requests there were.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Counts a request; an error when the process is dead. The last one alive may be carried out unanswered.
    fn alive(&self) -> Result<bool, StoreError> {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        match self.faults.dies_after {
            Some(last) if number > last => Err(dead()),
            Some(last) if number == last => Ok(false),
            _ => Ok(true),
        }
    }

    fn answers(&self, name: &str) -> Result<(), StoreError> {
        match self.faults.unanswered.contains(name) {
            true => Err(StoreError::Unavailable("no answer".to_owned())),
            false => Ok(()),
        }
    }

    async fn change(
        &self,
        name: &str,
        work: impl Future<Output = Result<Stored, StoreError>> + Send,
    ) -> Result<Stored, StoreError> {
        let alive = self.alive()?;
        self.answers(name)?;
        let number = self.writes.fetch_add(1, Ordering::SeqCst);
        if !alive && !self.faults.answer_lost {
            return Err(dead());
        }
        if self.faults.conflicts.contains(&number) {
            return Err(StoreError::Conflict("injected".to_owned()));
        }
        let answer = work.await;
        if alive { answer } else { Err(dead()) }
    }
}

fn dead() -> StoreError {
    StoreError::Unavailable("dead".to_owned())
}

impl<S: HostStore> HostStore for Faulty<S> {
    async fn observed(&self, source: &Source) -> Result<Arc<Index>, StoreError> {
        if self.faults.unreadable.contains(source.name()) {
            return Err(StoreError::Invalid("forbidden".to_owned()));
        }
        if self.alive()? { self.inner.observed(source).await } else { Err(dead()) }
    }

    async fn get(&self, name: &str) -> Result<Option<Stored>, StoreError> {
        if !self.alive()? {
            return Err(dead());
        }
        self.answers(name)?;
        self.inner.get(name).await
    }

    async fn create(&self, host: &NewHost) -> Result<Stored, StoreError> {
        self.change(&host.name, self.inner.create(host)).await
    }

    async fn write(&self, read: &Stored, part: Part<'_>) -> Result<Stored, StoreError> {
        if let (true, Part::Status(status)) = (self.faults.forgets_hostnames, part) {
            let less = HostStatus { hostname: None, ..status.clone() };
            let work = self.inner.write(read, Part::Status(&less));
            return self.change(&read.name, work).await;
        }
        self.change(&read.name, self.inner.write(read, part)).await
    }

    async fn unserved(
        &self,
        provider: &str,
        served: &BTreeSet<Text>,
    ) -> Result<Vec<Text>, StoreError> {
        self.inner.unserved(provider, served).await
    }

    fn lens(&self) -> &Lens {
        self.inner.lens()
    }

    fn in_flight(&self) -> usize {
        self.inner.in_flight()
    }
}
