//! The embedded store: one JSON file in the shape of a kubectl `List`, one Host a line.
//!
//! Not a database: every commit writes the whole file anew beside the old one and renames it into place, under a lock
//! file, so that a crash leaves the one or the other and two processes lose nothing. Writes that wait for each other
//! share one commit. The revisions are the file's own, in an annotation, because an apiserver refuses an object that
//! comes with a `resourceVersion`: the file can be carried to one by `kubectl apply --server-side`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::sync::oneshot;

use self::document::Document;
use super::{HostStore, NewHost, Part, StoreError, Stored};
use crate::machine::{Source, Text};
use crate::observed::{Index, Lens};

mod disk;
mod document;
#[cfg(test)]
mod tests;

/// How many writes may wait for one commit.
const IN_FLIGHT: usize = 4096;

/// Hosts in one file.
#[derive(Debug)]
pub struct FileStore {
    path: PathBuf,
    lens: Lens,
    /// The document as last read or written, for as long as the file is the same.
    cached: Mutex<Option<(disk::Stamp, Arc<Document>)>>,
    /// One reads at a time: hundreds of sources that begin together would each read and parse the whole file.
    reading: tokio::sync::Mutex<()>,
    waiting: Mutex<Vec<Waiting>>,
    committing: tokio::sync::Mutex<()>,
}

/// A write that waits for the next commit.
#[derive(Debug)]
struct Waiting {
    write: Swap,
    answer: oneshot::Sender<Result<Stored, StoreError>>,
}

/// A compare-and-swap of one object.
#[derive(Debug)]
struct Swap {
    name: Text,
    /// The object as it was read; none where there must be none.
    read: Option<Value>,
    /// What it shall be.
    next: Value,
}

impl FileStore {
    /// The store in the file at `path`, which need not exist yet. Nothing is read before it is asked for.
    #[must_use]
    pub fn new(path: PathBuf, lens: Lens) -> Self {
        Self {
            path,
            lens,
            cached: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
            waiting: Mutex::default(),
            committing: tokio::sync::Mutex::default(),
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Whether the file can be read and its folder written, in words.
    ///
    /// # Errors
    /// What is wrong with it, with the remedy.
    pub async fn check(self: &Arc<Self>) -> Result<String, StoreError> {
        let document = self.read().await?;
        let this = Arc::clone(self);
        blocking(move || disk::Lock::take(&this.path, disk::PATIENCE).map(drop)).await?;
        Ok(format!("{} holds {} Hosts", self.path.display(), document.len()))
    }

    async fn read(&self) -> Result<Arc<Document>, StoreError> {
        let _one = self.reading.lock().await;
        let (path, cached) = (self.path.clone(), self.cached());
        let (stamp, document) = blocking(move || load(&path, cached)).await?;
        self.remember(stamp, &document);
        Ok(document)
    }

    fn cached(&self) -> Option<(disk::Stamp, Arc<Document>)> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, stamp: disk::Stamp, document: &Arc<Document>) {
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((stamp, Arc::clone(document)));
    }

    fn stored(&self, object: Value) -> Stored {
        let (name, revision, uid) = document::identity(&object);
        Stored::at(object, &self.lens, name, revision, &uid)
    }

    /// Hands in a write, and sees to it that it is committed: by whoever gets to it first.
    async fn swap(&self, write: Swap) -> Result<Stored, StoreError> {
        let (answer, mut answered) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(Waiting { write, answer });
        // Lets the others of this round hand in theirs: one commit serves them all.
        tokio::task::yield_now().await;
        let _commit = self.committing.lock().await;
        if let Ok(answer) = answered.try_recv() {
            return answer;
        }
        self.commit().await;
        answered
            .try_recv()
            .unwrap_or_else(|_| Err(StoreError::Unavailable("the commit was given up".to_owned())))
    }

    async fn commit(&self) {
        let batch =
            std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let (writes, answers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|w| (w.write, w.answer)).unzip();
        let (path, cached) = (self.path.clone(), self.cached());
        match blocking(move || commit(&path, cached, writes)).await {
            Ok(Committed { stamp, document, results }) => {
                self.remember(stamp, &document);
                for (answer, result) in answers.into_iter().zip(results) {
                    // Nobody waits any more where a round was given up; the write stands all the same.
                    let _ = answer.send(result.map(|object| self.stored(object)));
                }
            }
            Err(error) => {
                for answer in answers {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }
}

impl HostStore for FileStore {
    async fn observed(&self, source: &Source) -> Result<Arc<Index>, StoreError> {
        let document = self.read().await?;
        let mut index = Index::default();
        for object in document.objects() {
            if document::source(object).as_deref() == Some(&**source.name()) {
                let stored = self.stored(document::parse(object));
                index.hosts.insert(stored.name, stored.entry);
            }
        }
        Ok(Arc::new(index))
    }

    async fn get(&self, name: &str) -> Result<Option<Stored>, StoreError> {
        let document = self.read().await?;
        Ok(document.get(name).map(|object| self.stored(document::parse(object))))
    }

    async fn create(&self, host: &NewHost) -> Result<Stored, StoreError> {
        let next = json!({
            "apiVersion": "inventory.fetcher.dev/v1",
            "kind": "Host",
            "metadata": {"name": host.name, "labels": host.labels},
            "spec": {
                "source": {
                    "name": host.source.name(),
                    "provider": host.source.provider(),
                    "scope": host.source.scope(),
                },
                "machineID": host.machine_id,
            },
        });
        self.swap(Swap { name: host.name.clone(), read: None, next }).await
    }

    async fn write(&self, read: &Stored, part: Part<'_>) -> Result<Stored, StoreError> {
        let next = match part {
            Part::Status(status) => read.with_status(status, &self.lens),
            Part::Labels(changes) => with_labels(&read.object, changes),
        };
        self.swap(Swap { name: read.name.clone(), read: Some(read.object.clone()), next }).await
    }

    async fn unserved(
        &self,
        provider: &str,
        served: &BTreeSet<Text>,
    ) -> Result<Vec<Text>, StoreError> {
        let document = self.read().await?;
        let mut names = BTreeSet::new();
        for object in document.objects() {
            let spec = document::parse(object)["spec"]["source"].take();
            let name = spec["name"].as_str().unwrap_or_default();
            if spec["provider"] == provider && !served.contains(name) {
                names.insert(Text::from(name));
            }
        }
        Ok(names.into_iter().collect())
    }

    fn lens(&self) -> &Lens {
        &self.lens
    }

    fn in_flight(&self) -> usize {
        IN_FLIGHT
    }
}

fn with_labels(object: &Value, changes: &BTreeMap<String, Option<String>>) -> Value {
    let mut object = object.clone();
    let labels = &mut object["metadata"]["labels"];
    for (key, value) in changes {
        match value {
            Some(value) => labels[key] = json!(value),
            None => drop(labels.as_object_mut().and_then(|labels| labels.remove(key))),
        }
    }
    object
}

/// The document at `path`: the cached one while the file is the same, else read anew; empty where there is no file.
fn load(
    path: &std::path::Path,
    cached: Option<(disk::Stamp, Arc<Document>)>,
) -> Result<(disk::Stamp, Arc<Document>), StoreError> {
    let stamp = disk::Stamp::of(path)?;
    if let Some((_, document)) = cached.filter(|(known, _)| *known == stamp) {
        return Ok((stamp, document));
    }
    let (stamp, bytes) = disk::read(path)?;
    let document = match bytes {
        Some(bytes) => Document::parse(&bytes, path)?,
        None => Document::default(),
    };
    Ok((stamp, Arc::new(document)))
}

struct Committed {
    stamp: disk::Stamp,
    document: Arc<Document>,
    results: Vec<Result<Value, StoreError>>,
}

/// Reads the file under its lock, swaps what still is as it was read, and writes the file once.
fn commit(
    path: &std::path::Path,
    cached: Option<(disk::Stamp, Arc<Document>)>,
    writes: Vec<Swap>,
) -> Result<Committed, StoreError> {
    let _lock = disk::Lock::take(path, disk::PATIENCE)?;
    let (mut stamp, mut document) = load(path, cached)?;
    let mut next = Document::clone(&document);
    let results: Vec<_> =
        writes.into_iter().map(|write| next.swap(write.name, write.read, write.next)).collect();
    if results.iter().any(Result::is_ok) {
        disk::replace(path, |to| next.write(to))?;
        stamp = disk::Stamp::of(path)?;
        document = Arc::new(next);
    }
    Ok(Committed { stamp, document, results })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|error| {
        Err(StoreError::Unavailable(format!("the file store broke off: {error}")))
    })
}
