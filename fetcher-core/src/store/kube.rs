//! The store at a Kubernetes apiserver: Hosts as objects of one namespace.
//!
//! One call is one request. `--once` reads its sources by paged lists, the daemon keeps an index of all its Hosts by
//! one watch. Nothing is decided here; what an apiserver answers is told by its code, in words with a remedy.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

use self::failure::{Failure, Purpose};
use self::link::{Call, Link};
use self::list::Seen;
use self::resource::Hosts;
use self::watch::Watch;
use super::{HostStore, NewHost, Part, StoreError, Stored};
use crate::app::InvalidConfig;
use crate::machine::{Source, Text};
use crate::observed::{Index, Lens};
use crate::schema::Schema;
use crate::selector::Selector;

mod access;
mod broken;
mod check;
mod config;
mod events;
mod failure;
mod link;
mod list;
mod mirror;
mod resource;
#[cfg(test)]
mod tests;
mod watch;

pub use access::Identity;
pub use check::check;
pub use config::KubernetesConfig;
pub use watch::Watched;

/// Writes per second stop growing beyond this many at once: measured at etcd and apiserver on one machine.
const IN_FLIGHT: usize = 32;

/// How the store reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Each source by a list of its own, when asked.
    Once,
    /// All Hosts of the provider by a watch.
    Daemon,
}

/// The store at an apiserver.
pub struct KubeStore {
    inner: Arc<Inner>,
    keeper: Option<JoinHandle<()>>,
}

struct Inner {
    link: Link,
    hosts: Hosts,
    provider: String,
    in_flight: usize,
    lens: OnceCell<Lens>,
    /// The lens until the served schema has been read.
    plain: Lens,
    watch: Option<Watch>,
}

impl KubeStore {
    /// Makes the store for the Hosts of `provider`, seen through `selector`. Reads files, asks no server: one that
    /// is away is an error of the first call. `version` is the program's, for the User-Agent.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// What is wrong with the configuration or a file it names.
    pub async fn open(
        config: &KubernetesConfig,
        provider: &str,
        version: &str,
        selector: Selector,
        mode: Mode,
    ) -> Result<Self, InvalidConfig> {
        let program = format!("fetcher-{provider}");
        let link = Link::open(config, &format!("{program}/{version}")).await?;
        let inner = Arc::new(Inner {
            link,
            hosts: Hosts::new(&config.namespace, &program),
            provider: provider.to_owned(),
            in_flight: config.concurrency.map_or(IN_FLIGHT, |n| n.get().into()),
            lens: OnceCell::new(),
            plain: Lens { schema: Schema::ours(), selector },
            watch: (mode == Mode::Daemon).then(|| Watch::new(provider)),
        });
        let keeper = (mode == Mode::Daemon).then(|| {
            let inner = Arc::clone(&inner);
            tokio::spawn(async move { inner.keep().await })
        });
        Ok(Self { inner, keeper })
    }

    /// Server, user and namespace, as the files say: the first line of a run.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.inner.link.identity()
    }

    /// How the daemon's watch is doing; none with `--once`.
    #[must_use]
    pub fn watched(&self) -> Option<Watched> {
        self.inner.watch.as_ref().map(Watch::watched)
    }

    /// Waits until the daemon's index has been read for the first time, or anew.
    ///
    /// # Errors
    /// Why it could not be read, after a short time of trying.
    pub async fn synced(&self) -> Result<(), StoreError> {
        match &self.inner.watch {
            Some(watch) => watch.synced().await,
            None => Ok(()),
        }
    }
}

impl Drop for KubeStore {
    fn drop(&mut self) {
        if let Some(keeper) = &self.keeper {
            keeper.abort();
        }
    }
}

impl HostStore for KubeStore {
    async fn observed(&self, source: &Source) -> Result<Arc<Index>, StoreError> {
        let inner = &*self.inner;
        if let Some(watch) = &inner.watch {
            return watch.index(source.name()).await;
        }
        let lens = inner.seen_through().await?;
        let selector = list::of_source(source.name());
        let read = list::list(&inner.link, &inner.hosts, &selector, |index: &mut Index, object| {
            let Seen { name, entry, .. } = Seen::new(object, lens);
            index.hosts.insert(name, entry);
        });
        let (index, _) = read.await.map_err(|failure| inner.read_error(failure, "list Hosts"))?;
        Ok(Arc::new(index))
    }

    async fn get(&self, name: &str) -> Result<Option<Stored>, StoreError> {
        let what = || format!("get Host {name}");
        match self.inner.link.send(&self.inner.hosts.get(name)).await {
            Ok(body) => self.inner.stored(&body, &what()).await.map(Some),
            Err(Failure::Answer(refusal)) if refusal.is_absent() => Ok(None),
            Err(failure) => Err(failure.error(Purpose::Read, &what())),
        }
    }

    async fn create(&self, host: &NewHost) -> Result<Stored, StoreError> {
        let call = self.inner.hosts.create(host, false);
        self.inner.write(&call, Purpose::Create, || format!("create Host {}", host.name)).await
    }

    async fn write(&self, read: &Stored, part: Part<'_>) -> Result<Stored, StoreError> {
        let lens = self.inner.seen_through().await?;
        let call = self.inner.hosts.write(read, part, lens);
        let part = match part {
            Part::Labels(_) => "labels",
            Part::Status(_) => "status",
        };
        self.inner
            .write(&call, Purpose::Write, || format!("write {part} of Host {}", read.name))
            .await
    }

    async fn unserved(
        &self,
        provider: &str,
        served: &BTreeSet<Text>,
    ) -> Result<Vec<Text>, StoreError> {
        let inner = &*self.inner;
        if let Some(watch) = inner.watch.as_ref().filter(|_| provider == inner.provider) {
            let mut names = watch.sources().await?;
            names.retain(|name| !served.contains(name));
            names.sort();
            return Ok(names);
        }
        list::unserved(&inner.link, &inner.hosts, provider, served)
            .await
            .map_err(|failure| inner.read_error(failure, "list Hosts"))
    }

    fn lens(&self) -> &Lens {
        self.inner.lens.get().unwrap_or(&self.inner.plain)
    }

    fn in_flight(&self) -> usize {
        self.inner.in_flight
    }
}

impl Inner {
    async fn keep(&self) {
        if let Some(watch) = &self.watch {
            watch.run(self).await;
        }
    }

    /// The lens with the schema that the server serves: read once, at the first need.
    async fn seen_through(&self) -> Result<&Lens, StoreError> {
        self.lens
            .get_or_try_init(|| async {
                let schema = served(&self.link).await?;
                if !schema.missing().is_empty() {
                    tracing::warn!(
                        fields = schema.missing().join(", "),
                        "The apiserver has an older CRD, these fields are left out: apply deploy/crds/hosts.yaml"
                    );
                }
                Ok(Lens { schema, selector: self.plain.selector.clone() })
            })
            .await
    }

    async fn write(
        &self,
        call: &Call,
        purpose: Purpose,
        what: impl Fn() -> String + Send + Sync,
    ) -> Result<Stored, StoreError> {
        let body = self.link.send(call).await;
        let body = body.map_err(|failure| failure.error(purpose, &what()))?;
        let stored = self.stored(&body, &what()).await?;
        if let (Some(watch), Some(source)) = (&self.watch, stored.source()) {
            let (source, name) = (Arc::clone(source), Arc::clone(&stored.name));
            watch.answered(Seen { source, name, entry: stored.entry.clone() });
        }
        Ok(stored)
    }

    async fn stored(&self, body: &[u8], what: &str) -> Result<Stored, StoreError> {
        let lens = self.seen_through().await?;
        let object: Value = serde_json::from_slice(body).map_err(|error| {
            StoreError::Unavailable(format!("{what}: the answer is no JSON: {error}"))
        })?;
        Ok(Stored::new(object, lens))
    }

    fn read_error(&self, failure: Failure, what: &str) -> StoreError {
        let namespace = self.link.identity().namespace;
        failure.error(Purpose::Read, &format!("{what} of namespace {namespace}"))
    }
}

/// The fields that the server keeps of a Host's status.
async fn served(link: &Link) -> Result<Schema, StoreError> {
    let what = "read the served schema of hosts.inventory.fetcher.dev/v1";
    let call = Call::get(format!("/openapi/v3/apis/{}", resource::GROUP_VERSION));
    let body = link.send(&call).await.map_err(|failure| failure.error(Purpose::Read, what))?;
    let document: Value = serde_json::from_slice(&body)
        .map_err(|error| StoreError::Unavailable(format!("{what}: no JSON: {error}")))?;
    let schemas = document["components"]["schemas"].as_object();
    let host = schemas.into_iter().flatten().map(|(_, schema)| schema).find(|schema| {
        let kinds = schema["x-kubernetes-group-version-kind"].as_array();
        kinds.into_iter().flatten().any(|kind| kind["kind"] == "Host")
    });
    let status = host.and_then(|host| host["properties"].get("status")).ok_or_else(|| {
        StoreError::Invalid(format!(
            "{what}: it has no Host with a status: kubectl apply -f deploy/crds/hosts.yaml"
        ))
    })?;
    Ok(Schema::served(status))
}
