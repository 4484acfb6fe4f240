//! The configured sources behind the one trait the core knows.
//!
//! Not any kind's work: a [`Kind`] is one source, and each call goes on to it. Only globs are settled here,
//! because they are the one place where a configured entry stands for several sources.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use fetcher_core::app::InvalidConfig;
use fetcher_core::machine::{Source, Text};
use fetcher_core::provider::{
    Discovery, Fetch, FetchError, Finding, Listing, Lookup, Served, SourceSettings,
};
use fetcher_core::selector::{Key, Selector, Test};
use futures::future::join_all;

use crate::config::SourceConfig;
use crate::file::{self, File, Glob};
use crate::ironic::Ironic;
use crate::maas::Maas;
use crate::netbox::NetBox;
use crate::redfish::Redfish;

/// The provider's word everywhere.
pub(crate) const NAME: &str = "baremetal";
/// The fact of a machine that is left out though it exists, and why.
pub(crate) const HIDDEN: &str = "hidden";
/// The fact of a machine that is shown by a setting of its source alone: which. Hosts record it, so that a setting that was
/// turned off is told from a machine that has changed.
pub(crate) const ONLY_WITH: &str = "only-with";

/// One source of some kind: what it is asked through.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A file of machines.
    File(File),
    /// An Ironic.
    Ironic(Box<Ironic>),
    /// A NetBox.
    NetBox(Box<NetBox>),
    /// A MAAS.
    Maas(Box<Maas>),
    /// A BMC or aggregator.
    Redfish(Box<Redfish>),
}

/// A source with its settings and what it is asked through.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    source: Source,
    settings: Arc<SourceSettings>,
    kind: Arc<Kind>,
}

impl Entry {
    /// The source of `kind` that is called `name`.
    pub(crate) fn new(name: &str, settings: Arc<SourceSettings>, kind: Kind) -> Self {
        let source = Source::new(NAME, &[kind.word(), name]);
        Self { source, settings, kind: Arc::new(kind) }
    }

    /// What it is asked through.
    #[cfg(test)]
    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// What the core is told of it.
    #[cfg(test)]
    pub(crate) fn settings(&self) -> &SourceSettings {
        &self.settings
    }

    fn served(&self) -> Served {
        Served { source: self.source.clone(), settings: Arc::clone(&self.settings) }
    }
}

/// All configured sources of one instance.
#[derive(Debug)]
pub struct Provider {
    fixed: BTreeMap<Source, Entry>,
    globs: Vec<Glob>,
    /// What the globs found last: kept, because a file remembers what it was parsed to.
    found: Mutex<BTreeMap<Source, Entry>>,
}

impl Provider {
    /// The provider of these sources.
    ///
    /// # Errors
    /// No source at all, two of one name, or what one of them gets wrong.
    pub(crate) fn new(configured: Vec<SourceConfig>) -> Result<Self, InvalidConfig> {
        if configured.is_empty() {
            return Err(InvalidConfig(
                "no source of machines is configured: give --file PATH, or name one under `baremetal.sources`"
                    .to_owned(),
            ));
        }
        let mut provider =
            Self { fixed: BTreeMap::new(), globs: Vec::new(), found: Mutex::default() };
        for config in configured {
            match config {
                SourceConfig::File(config) => match config.build()? {
                    file::Built::One(entry) => provider.add(entry)?,
                    file::Built::Many(glob) => provider.globs.push(glob),
                },
                SourceConfig::Ironic(config) => provider.add(config.build()?)?,
                SourceConfig::NetBox(config) => provider.add(config.build()?)?,
                SourceConfig::Maas(config) => provider.add(config.build()?)?,
                SourceConfig::Redfish(config) => {
                    for entry in config.build()? {
                        provider.add(entry)?;
                    }
                }
            }
        }
        Ok(provider)
    }

    fn add(&mut self, entry: Entry) -> Result<(), InvalidConfig> {
        match self.fixed.get(&entry.source) {
            None => {
                self.fixed.insert(entry.source.clone(), entry);
                Ok(())
            }
            Some(first) => Err(InvalidConfig(twice(first, &entry))),
        }
    }

    fn entry(&self, source: &Source) -> Result<Entry, FetchError> {
        let found = || {
            let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            found.get(source).cloned()
        };
        self.fixed.get(source).cloned().or_else(found).ok_or_else(|| {
            FetchError::invalid(format!("no source {source} is configured, or its file is gone"))
        })
    }

    /// The sources of all globs, and what hinders some: a stem that occurs twice is nobody's.
    async fn expand(&self) -> (BTreeMap<Source, Entry>, Vec<(String, FetchError)>) {
        let known = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut found: BTreeMap<Source, Entry> = BTreeMap::new();
        let mut failed = Vec::new();
        for glob in &self.globs {
            let expanded = glob.expand().await;
            failed.extend(expanded.failed);
            for entry in expanded.entries {
                let other = self.fixed.get(&entry.source).or_else(|| found.get(&entry.source));
                if let Some(first) = other {
                    if first.kind.place() != entry.kind.place() {
                        let error = FetchError::invalid(twice(first, &entry));
                        failed.push((entry.source.to_string(), error));
                    }
                    continue;
                }
                let same = known
                    .get(&entry.source)
                    .filter(|known| known.kind.place() == entry.kind.place());
                let entry = same.cloned().unwrap_or(entry);
                found.insert(entry.source.clone(), entry);
            }
        }
        for (source, _) in &failed {
            found.retain(|found, _| found.name().as_ref() != source);
        }
        (found, failed)
    }
}

/// Why two entries cannot both be served.
fn twice(first: &Entry, second: &Entry) -> String {
    format!(
        "{} and {} would both be the source {}: give one of them another `name`",
        first.kind.place(),
        second.kind.place(),
        first.source
    )
}

impl fetcher_core::provider::Provider for Provider {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn sources(&self) -> Result<Discovery, FetchError> {
        let (found, failed) = self.expand().await;
        let sources = self.fixed.values().chain(found.values()).map(Entry::served).collect();
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = found;
        Ok(Discovery { sources, failed })
    }

    async fn fetch(&self, request: Fetch<'_>) -> Result<Listing, FetchError> {
        self.entry(request.source)?.kind.fetch(request).await
    }

    async fn lookup(&self, source: &Source, ids: &[Text]) -> Result<Lookup, FetchError> {
        self.entry(source)?.kind.lookup(ids).await
    }

    async fn check(&self) -> Vec<Finding> {
        let (found, failed) = self.expand().await;
        let mut findings = Vec::new();
        for entry in self.fixed.values().chain(found.values()) {
            findings.extend(entry.kind.check(&entry.source).await);
        }
        findings.extend(
            failed
                .into_iter()
                .map(|(part, error)| Finding { ok: false, text: format!("{part}: {error}") }),
        );
        findings
    }

    /// All at once: the time that is left is for the slowest.
    async fn close(&self) {
        join_all(self.fixed.values().map(|entry| entry.kind.close())).await;
    }

    /// What a kind of source leaves out is there, but not selected: left out of the answers themselves, its Host
    /// would be absent from the listing while the lookup knows a machine that is selected.
    fn requires(&self) -> Selector {
        let fact = |key: &str| Key::Fact(key.to_owned());
        let shown = Selector::one(fact(HIDDEN), Test::Absent);
        let off: BTreeSet<String> =
            self.fixed.values().filter_map(|entry| entry.kind.left_out()).collect();
        if off.is_empty() {
            return shown;
        }
        shown.and(Selector::one(fact(ONLY_WITH), Test::NotIn(off)))
    }
}

impl Kind {
    /// Its word in the configuration and in the scope of its sources.
    const fn word(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Ironic(_) => "ironic",
            Self::NetBox(_) => "netbox",
            Self::Maas(_) => "maas",
            Self::Redfish(_) => "redfish",
        }
    }

    /// The file or address it reads, for messages.
    fn place(&self) -> String {
        match self {
            Self::File(file) => file.place(),
            Self::Ironic(ironic) => ironic.place(),
            Self::NetBox(netbox) => netbox.place(),
            Self::Maas(maas) => maas.place(),
            Self::Redfish(redfish) => redfish.place(),
        }
    }

    /// The setting that is off, as it stands in the fact [`ONLY_WITH`].
    fn left_out(&self) -> Option<String> {
        match self {
            Self::NetBox(netbox) => netbox.left_out(),
            Self::Maas(maas) => maas.left_out(),
            Self::Redfish(redfish) => redfish.left_out(),
            Self::File(_) | Self::Ironic(_) => None,
        }
    }

    async fn fetch(&self, request: Fetch<'_>) -> Result<Listing, FetchError> {
        match self {
            Self::File(file) => file.fetch(request).await,
            Self::Ironic(ironic) => ironic.fetch(request).await,
            Self::NetBox(netbox) => netbox.fetch(request).await,
            Self::Maas(maas) => maas.fetch(request).await,
            Self::Redfish(redfish) => redfish.fetch(request).await,
        }
    }

    async fn lookup(&self, ids: &[Text]) -> Result<Lookup, FetchError> {
        match self {
            // A file is read as a whole or not at all: who is not in it is not there.
            Self::File(_) => Ok(Lookup::Unsupported),
            Self::Ironic(ironic) => ironic.lookup(ids).await,
            Self::NetBox(netbox) => netbox.lookup(ids).await,
            Self::Maas(maas) => maas.lookup(ids).await,
            Self::Redfish(redfish) => redfish.lookup(ids).await,
        }
    }

    async fn check(&self, source: &Source) -> Vec<Finding> {
        match self {
            Self::File(file) => vec![file.check(source).await],
            Self::Ironic(ironic) => ironic.check().await,
            Self::NetBox(netbox) => vec![netbox.check().await],
            Self::Maas(maas) => vec![maas.check().await],
            Self::Redfish(redfish) => vec![redfish.check().await],
        }
    }

    async fn close(&self) {
        match self {
            Self::Redfish(redfish) => redfish.close().await,
            Self::File(_) | Self::Ironic(_) | Self::NetBox(_) | Self::Maas(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use fetcher_core::provider::Provider as _;

    use super::*;
    use crate::config::Section;

    #[test]
    fn what_a_setting_leaves_out_is_left_out_of_its_own_source_alone() {
        let required = |yaml: &str| {
            let section: Section = serde_saphyr::from_str(yaml).unwrap();
            Provider::new(section.sources).unwrap().requires().to_string()
        };
        let maas = |name: &str, dpus: bool| {
            format!(
                "- maas: {{name: {name}, url: 'http://m', apiKey: {{file: k}}, dpus: {dpus}}}\n"
            )
        };
        assert_eq!(required(&format!("sources:\n{}", maas("a", true))), "!@hidden");
        let netbox = "- netbox: {name: c, url: 'http://n', token: {file: t}}\n";
        let all = format!("sources:\n{}{}{netbox}", maas("a", true), maas("b", false));
        assert_eq!(
            required(&all),
            "!@hidden,@only-with notin (maas/b/dpus,netbox/c/virtualMachines)"
        );
    }
}
