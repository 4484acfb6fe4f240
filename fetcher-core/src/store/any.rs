//! The store that the configuration chose, whichever it is; and the one place where requests to it are counted.
//!
//! Not a store of its own: every call goes on to the one behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::file::FileStore;
use super::kube::{KubeStore, Mode, Watched};
use super::{HostStore, NewHost, Part, StoreError, Stored};
use crate::app::InvalidConfig;
use crate::config::StoreConfig;
use crate::machine::{Source, Text};
use crate::observed::{Index, Lens};
use crate::schema::Schema;
use crate::selector::Selector;

/// One of the stores.
pub struct AnyStore {
    kind: Kind,
    calls: Mutex<Calls>,
}

enum Kind {
    File(Arc<FileStore>),
    Kube(Box<KubeStore>),
}

/// What was asked of a store since the program began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Requests by kind: `observe`, `get`, `create`, `write`.
    pub requests: BTreeMap<&'static str, u64>,
    /// Errors by [`StoreError::reason`].
    pub errors: BTreeMap<&'static str, u64>,
}

impl AnyStore {
    /// The store of this configuration for the Hosts of `provider`. Asks no server.
    ///
    /// # Errors
    /// What is wrong with the configuration or a file it names.
    pub async fn open(
        config: &StoreConfig,
        provider: &str,
        selector: Selector,
        mode: Mode,
    ) -> Result<Self, InvalidConfig> {
        let kind = match config {
            StoreConfig::File(file) => {
                let lens = Lens { schema: Schema::ours(), selector };
                Kind::File(Arc::new(FileStore::new(file.path.clone(), lens)))
            }
            StoreConfig::Kubernetes(config) => {
                let version = env!("CARGO_PKG_VERSION");
                let store = KubeStore::open(config, provider, version, selector, mode).await?;
                Kind::Kube(Box::new(store))
            }
        };
        Ok(Self { kind, calls: Mutex::default() })
    }

    /// Where Hosts go, in words: the first line of a run.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.kind {
            Kind::File(store) => format!("file {}", store.path().display()),
            Kind::Kube(store) => store.identity().to_string(),
        }
    }

    /// When the certificate that we show the store ends, where there is one.
    #[must_use]
    pub fn expires(&self) -> Option<jiff::Timestamp> {
        match &self.kind {
            Kind::File(_) => None,
            Kind::Kube(store) => store.identity().expires,
        }
    }

    /// How the watch is doing, where there is one.
    #[must_use]
    pub fn watched(&self) -> Option<Watched> {
        match &self.kind {
            Kind::File(_) => None,
            Kind::Kube(store) => store.watched(),
        }
    }

    /// What was asked of the store so far.
    #[must_use]
    pub fn calls(&self) -> Calls {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count<T>(
        &self,
        request: &'static str,
        result: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.requests.entry(request).or_default() += 1;
        if let Err(error) = &result {
            *calls.errors.entry(error.reason()).or_default() += 1;
        }
        result
    }
}

impl HostStore for AnyStore {
    async fn observed(&self, source: &Source) -> Result<Arc<Index>, StoreError> {
        let result = match &self.kind {
            Kind::File(store) => store.observed(source).await,
            Kind::Kube(store) => store.observed(source).await,
        };
        self.count("observe", result)
    }

    async fn get(&self, name: &str) -> Result<Option<Stored>, StoreError> {
        let result = match &self.kind {
            Kind::File(store) => store.get(name).await,
            Kind::Kube(store) => store.get(name).await,
        };
        self.count("get", result)
    }

    async fn create(&self, host: &NewHost) -> Result<Stored, StoreError> {
        let result = match &self.kind {
            Kind::File(store) => store.create(host).await,
            Kind::Kube(store) => store.create(host).await,
        };
        self.count("create", result)
    }

    async fn write(&self, read: &Stored, part: Part<'_>) -> Result<Stored, StoreError> {
        let result = match &self.kind {
            Kind::File(store) => store.write(read, part).await,
            Kind::Kube(store) => store.write(read, part).await,
        };
        self.count("write", result)
    }

    async fn unserved(
        &self,
        provider: &str,
        served: &BTreeSet<Text>,
    ) -> Result<Vec<Text>, StoreError> {
        let result = match &self.kind {
            Kind::File(store) => store.unserved(provider, served).await,
            Kind::Kube(store) => store.unserved(provider, served).await,
        };
        self.count("observe", result)
    }

    fn lens(&self) -> &Lens {
        match &self.kind {
            Kind::File(store) => store.lens(),
            Kind::Kube(store) => store.lens(),
        }
    }

    fn in_flight(&self) -> usize {
        match &self.kind {
            Kind::File(store) => store.in_flight(),
            Kind::Kube(store) => store.in_flight(),
        }
    }
}
