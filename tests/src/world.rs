//! A provider whose world a test makes up: machines that come, change and go, and every way of telling it wrong.
//!
//! For the laws and the scenarios, where the engine is under test and not an API.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use fetcher_core::machine::{Life, Machine, Source, State, Text};
use fetcher_core::provider::{
    Discovery, Fetch, FetchError, Listing, Lookup, Provider, Served, SourceSettings,
};

/// The provider.
#[derive(Debug, Default)]
pub struct World(Mutex<Truth>);

/// What there is, and what goes wrong in telling it.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// Machines by source name and id.
    pub machines: BTreeMap<Text, BTreeMap<Text, Machine>>,
    /// The sources in service.
    pub sources: Vec<Source>,
    /// What the configuration says of a source, by its name.
    pub settings: BTreeMap<Text, SourceSettings>,
    /// Sources whose listing fails.
    pub fails: BTreeSet<Text>,
    /// Whether lookups fail.
    pub lookup_fails: bool,
    /// Whether there are lookups at all.
    pub no_lookup: bool,
    /// Ids that listings leave out though they exist.
    pub hidden: BTreeSet<Text>,
    /// Whether lookups answer that nothing exists, not even what was just listed.
    pub lookup_lies: bool,
    /// Whether listings come in the other order.
    pub reversed: bool,
    /// Whether the selector is pushed down.
    pub pushes_down: bool,
    /// How long a new machine may be missing.
    pub settle: Duration,
}

impl World {
    /// A world with this truth.
    #[must_use]
    pub const fn new(truth: Truth) -> Self {
        Self(Mutex::new(truth))
    }

    /// Looks at it, or changes it.
    #[expect(clippy::unwrap_used, reason = "a poisoned lock is a failed test already")]
    pub fn with<T>(&self, look: impl FnOnce(&mut Truth) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// The sources as a daemon would have them.
    pub fn served(&self) -> Vec<Served> {
        self.with(|truth| {
            let settings = |source: &Source| truth.settings.get(source.name()).cloned();
            let of = |source: &Source| Served {
                source: source.clone(),
                settings: settings(source).unwrap_or_default().into(),
            };
            truth.sources.iter().map(of).collect()
        })
    }
}

impl Truth {
    /// Puts a machine into a source.
    pub fn put(&mut self, source: &Source, machine: Machine) {
        self.machines.entry(source.name().clone()).or_default().insert(machine.id.clone(), machine);
    }

    /// The machine of this id, if there is one.
    pub fn machine(&mut self, source: &Source, id: &str) -> Option<&mut Machine> {
        self.machines.get_mut(source.name())?.get_mut(id)
    }

    /// Takes a machine out of the world.
    pub fn remove(&mut self, source: &Source, id: &str) {
        if let Some(machines) = self.machines.get_mut(source.name()) {
            machines.remove(id);
        }
    }
}

/// A running machine with these tags.
#[must_use]
pub fn machine(id: &str, tags: &[(&str, &str)]) -> Machine {
    Machine {
        id: id.into(),
        state: State::Running,
        tags: tags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        ..Machine::default()
    }
}

impl Provider for World {
    fn name(&self) -> &'static str {
        "world"
    }

    async fn sources(&self) -> Result<Discovery, FetchError> {
        Ok(Discovery { sources: self.served(), failed: Vec::new() })
    }

    async fn fetch(&self, request: Fetch<'_>) -> Result<Listing, FetchError> {
        self.with(|truth| {
            let name = request.source.name();
            if truth.fails.contains(name) {
                return Err(FetchError::unavailable("the world is down"));
            }
            let all = truth.machines.get(name).into_iter().flat_map(BTreeMap::values);
            let mut machines: Vec<Machine> = all
                .filter(|machine| !truth.hidden.contains(&machine.id))
                .filter(|m| {
                    !truth.pushes_down || m.life == Life::Terminated || request.selector.matches(*m)
                })
                .cloned()
                .collect();
            if truth.reversed {
                machines.reverse();
            }
            Ok(Listing { machines: machines.into(), notes: Vec::new() })
        })
    }

    async fn lookup(&self, source: &Source, ids: &[Text]) -> Result<Lookup, FetchError> {
        self.with(|truth| {
            if truth.no_lookup {
                return Ok(Lookup::Unsupported);
            }
            if truth.lookup_fails {
                return Err(FetchError::unavailable("the lookup is down"));
            }
            if truth.lookup_lies {
                return Ok(Lookup::Answered { found: Vec::new(), missing: ids.to_vec() });
            }
            let known =
                |id: &Text| truth.machines.get(source.name()).and_then(|all| all.get(id)).cloned();
            let found: Vec<Machine> = ids.iter().filter_map(known).collect();
            let missing = ids.iter().filter(|id| known(id).is_none()).cloned().collect();
            Ok(Lookup::Answered { found, missing })
        })
    }

    fn lookup_batch(&self) -> usize {
        3
    }

    fn settle(&self) -> Duration {
        self.with(|truth| truth.settle)
    }
}
