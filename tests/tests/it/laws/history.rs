//! Made-up histories of a made-up world, for the laws: its steps, and the play of them on a store, an engine and a
//! clock that is a number. What must be true after them is not said here: see `rules`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fetcher_core::brake::Policy;
use fetcher_core::desired::Style;
use fetcher_core::machine::{Life, Source, State, Text};
use fetcher_core::observed::Lens;
use fetcher_core::report::SourceReport;
use fetcher_core::round::{Engine, RunOptions, Unwatched};
use fetcher_core::schema::Schema;
use fetcher_core::store::HostStore;
use fetcher_tests::memory::{Faults, Faulty, MemoryStore};
use fetcher_tests::world::{Truth, World, machine};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

pub(super) const HOUR: SignedDuration = SignedDuration::from_hours(1);

pub(super) fn lens(selector: &str) -> Lens {
    Lens { schema: Schema::ours(), selector: selector.parse().unwrap() }
}

pub(super) fn sources() -> Vec<Source> {
    ["a", "b", "c"].map(|scope| Source::new("world", &[scope])).into()
}

/// A brake: the usual one, or one whose limits lie close together, so that one Host more or less matters.
pub(super) fn policy() -> impl Strategy<Value = Policy> {
    let any = (0..=10_u32, 0..=6_usize);
    prop_oneof![
        Just(Policy::default()),
        any.prop_map(|(tenths, floor)| Policy { max_fraction: f64::from(tenths) / 10.0, floor }),
    ]
}

/// One step of a history.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Add(usize, u8),
    Remove(usize, u8),
    RemoveMany(usize, u8),
    Terminate(usize, u8),
    Retag(usize, u8, bool),
    Change(usize, u8),
    Fails(usize, bool),
    LookupFails(bool),
    LookupLies(bool),
    Hide(u8, bool),
    Reverse(bool),
    PushDown(bool),
    Settle(u16),
    Foreign(u8),
    Wait(u16),
    Round,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let source = 0..3_usize;
    prop_oneof![
        4 => (source.clone(), 0..24_u8).prop_map(|(s, n)| Step::Add(s, n)),
        3 => (source.clone(), 0..24_u8).prop_map(|(s, n)| Step::Remove(s, n)),
        1 => (source.clone(), 0..24_u8).prop_map(|(s, n)| Step::RemoveMany(s, n)),
        1 => (source.clone(), 0..24_u8).prop_map(|(s, n)| Step::Terminate(s, n)),
        2 => (source.clone(), 0..24_u8, any::<bool>()).prop_map(|(s, n, on)| Step::Retag(s, n, on)),
        2 => (source.clone(), 0..24_u8).prop_map(|(s, n)| Step::Change(s, n)),
        1 => (source, any::<bool>()).prop_map(|(s, on)| Step::Fails(s, on)),
        1 => any::<bool>().prop_map(Step::LookupFails),
        1 => any::<bool>().prop_map(Step::LookupLies),
        1 => (0..24_u8, any::<bool>()).prop_map(|(n, on)| Step::Hide(n, on)),
        1 => any::<bool>().prop_map(Step::Reverse),
        1 => any::<bool>().prop_map(Step::PushDown),
        1 => (0..900_u16).prop_map(Step::Settle),
        2 => (0..24_u8).prop_map(Step::Foreign),
        4 => (1..5000_u16).prop_map(Step::Wait),
        8 => Just(Step::Round),
    ]
}

pub(super) fn history(length: usize) -> impl Strategy<Value = Vec<Step>> {
    // A world to begin with, so that most histories have something to lose.
    let seed: Vec<Step> = (0..3)
        .flat_map(|s| (0..20 - 7 * s).map(move |n| Step::Add(usize::from(s), n)))
        .chain([Step::Round])
        .collect();
    prop::collection::vec(step(), 1..length).prop_map(move |steps| [seed.clone(), steps].concat())
}

fn set(all: &mut BTreeSet<Text>, one: Text, on: bool) {
    if on {
        all.insert(one);
    } else {
        all.remove(&one);
    }
}

fn id(source: usize, number: u8) -> String {
    format!("{}{number}", ["a", "b", "c"][source])
}

/// A store, a world, an engine between them, and the time.
pub(super) struct Play {
    pub(super) world: Arc<World>,
    pub(super) store: Arc<MemoryStore>,
    pub(super) now: Timestamp,
    pub(super) policy: Policy,
    /// What was marked without approval on counted evidence: when, and which Host.
    pub(super) marks: Vec<(Timestamp, String)>,
    /// For every time a round was made: which Hosts were present before it.
    pub(super) presence: Vec<(Timestamp, BTreeSet<Text>)>,
}

impl Play {
    pub(super) fn new(selector: &str, policy: Policy) -> Self {
        let truth = Truth { sources: sources(), ..Truth::default() };
        Self {
            world: Arc::new(World::new(truth)),
            store: Arc::new(MemoryStore::new(lens(selector))),
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            policy,
            marks: Vec::new(),
            presence: Vec::new(),
        }
    }

    pub(super) fn turn(&mut self, step: &Step) {
        let source = |at: usize| sources()[at].clone();
        let (now, world) = (self.now, Arc::clone(&self.world));
        world.with(|truth| match step {
            Step::Add(s, n) => truth.put(&source(*s), machine(&id(*s, *n), &[("env", "prod")])),
            Step::Remove(s, n) => truth.remove(&source(*s), &id(*s, *n)),
            Step::RemoveMany(s, n) => (0..*n).for_each(|n| truth.remove(&source(*s), &id(*s, n))),
            Step::Terminate(s, n) => {
                if let Some(machine) = truth.machine(&source(*s), &id(*s, *n)) {
                    machine.life = Life::Terminated;
                }
            }
            Step::Retag(s, n, on) => {
                if let Some(machine) = truth.machine(&source(*s), &id(*s, *n)) {
                    machine.tags.insert("env".into(), if *on { "prod" } else { "dev" }.into());
                }
            }
            Step::Change(s, n) => {
                if let Some(machine) = truth.machine(&source(*s), &id(*s, *n)) {
                    machine.hostname = Some(format!("host-{}", now.as_second()).into());
                    machine.state = State::Stopped;
                }
            }
            Step::Fails(s, on) => {
                let name = source(*s).name().clone();
                set(&mut truth.fails, name, *on);
            }
            Step::LookupFails(on) => truth.lookup_fails = *on,
            Step::LookupLies(on) => truth.lookup_lies = *on,
            Step::Hide(n, on) => {
                let id = Text::from(id(0, *n));
                set(&mut truth.hidden, id, *on);
            }
            Step::Reverse(on) => truth.reversed = *on,
            Step::PushDown(on) => truth.pushes_down = *on,
            Step::Settle(seconds) => truth.settle = Duration::from_secs(u64::from(*seconds)),
            Step::Foreign(_) | Step::Wait(_) | Step::Round => {}
        });
        match step {
            Step::Foreign(n) => self.somebody_else_writes(*n),
            Step::Wait(seconds) => self.now += SignedDuration::from_secs(i64::from(*seconds)),
            _ => {}
        }
    }

    /// Labels, annotations, spec, conditions, the agent: on the n-th Host, if there is one.
    fn somebody_else_writes(&self, n: u8) {
        if let Some(name) = self.store.objects().keys().nth(usize::from(n)) {
            self.store.edit(name, |object| {
                object["metadata"]["labels"]["theirs"] = json!("label");
                object["metadata"]["annotations"]["theirs"] = json!("annotation");
                object["spec"]["role"] = json!("db");
                object["status"]["agent"]["load"] = json!(1.5);
                object["status"]["future"] = json!([1, null]);
                let conditions =
                    object["status"]["conditions"].as_array().cloned().unwrap_or_default();
                let theirs = json!({"type": "Backup", "status": "True"});
                let kept = conditions.into_iter().filter(|c| c["type"] != "Backup");
                object["status"]["conditions"] = kept.chain([theirs]).collect();
            });
        }
    }

    pub(super) fn present(&self) -> BTreeSet<Text> {
        let objects = self.store.objects();
        objects
            .into_iter()
            .filter(|(_, o)| o["status"]["state"] != "Gone")
            .map(|(name, _)| name)
            .collect()
    }

    /// The same moment with a store of its own, seen through this selector.
    pub(super) fn copy(&self, selector: &str) -> Self {
        Self {
            store: Arc::new(self.store.through(lens(selector))),
            world: Arc::clone(&self.world),
            now: self.now,
            ..Self::new(selector, self.policy)
        }
    }

    /// A process of its own, which remembers nothing, on this store.
    pub(super) fn engine<S: HostStore>(&self, store: &Arc<S>) -> Engine<World, S> {
        Engine::new(Arc::clone(&self.world), Arc::clone(store), Style::default(), self.policy)
    }

    /// One run over all sources: its reports, and how many writes it sent.
    pub(super) async fn once(&self) -> (Vec<SourceReport>, usize) {
        let faulty = self.once_with(Faults::default()).await;
        (faulty.0, faulty.1.writes())
    }

    /// One run during which this goes wrong.
    pub(super) async fn once_with(
        &self,
        faults: Faults,
    ) -> (Vec<SourceReport>, Arc<Faulty<MemoryStore>>) {
        let faulty = Arc::new(Faulty::new(Arc::clone(&self.store), faults));
        let (engine, served) = (self.engine(&faulty), self.world.served());
        let run = engine.once(&served, &RunOptions::default(), self.now, &Unwatched).await;
        (run.unwrap().sources, faulty)
    }

    /// Plays these steps, rounds included.
    pub(super) async fn all(&mut self, steps: &[Step]) {
        for step in steps {
            self.turn(step);
            if matches!(step, Step::Round) {
                self.once().await;
            }
        }
    }

    /// Statuses by name: what a round is for, without the store's own numbers.
    pub(super) fn statuses(&self) -> BTreeMap<Text, Value> {
        let objects = self.store.objects().into_iter();
        objects.map(|(name, mut object)| (name, object["status"].take())).collect()
    }
}
