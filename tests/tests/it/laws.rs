//! The laws of the round, held over made-up histories of a made-up world: what must be true after every round,
//! whatever came before, whatever failed, and in whatever order things were listed.
//!
//! On the store in memory, which keeps the contract of all stores: thousands of rounds a second, every request
//! counted. Time is a number here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fetcher_core::brake::Policy;
use fetcher_core::desired::Style;
use fetcher_core::machine::{Life, Source, State, Text};
use fetcher_core::observed::Lens;
use fetcher_core::report::{RoundResult, SourceReport};
use fetcher_core::round::{Engine, RunOptions, Unwatched};
use fetcher_core::schema::Schema;
use fetcher_tests::memory::{Faults, Faulty, MemoryStore};
use fetcher_tests::world::{Truth, World, machine};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn lens(selector: &str) -> Lens {
    Lens { schema: Schema::ours(), selector: selector.parse().unwrap() }
}

fn sources() -> Vec<Source> {
    ["a", "b"].map(|scope| Source::new("world", &[scope])).into()
}

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
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
    Foreign(u8),
    Wait(u16),
    Round,
}

fn step() -> impl Strategy<Value = Step> {
    let source = 0..2_usize;
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
        2 => (0..24_u8).prop_map(Step::Foreign),
        4 => (1..5000_u16).prop_map(Step::Wait),
        8 => Just(Step::Round),
    ]
}

fn history(length: usize) -> impl Strategy<Value = Vec<Step>> {
    // A world to begin with, so that most histories have something to lose.
    let seed: Vec<Step> =
        (0..2).flat_map(|s| (0..20).map(move |n| Step::Add(s, n))).chain([Step::Round]).collect();
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
    format!("{}{number}", if source == 0 { "a" } else { "b" })
}

/// A store, a world, an engine between them, and the time.
struct Play {
    world: Arc<World>,
    store: Arc<MemoryStore>,
    now: Timestamp,
    /// What was marked without approval on counted evidence: when, and which Host.
    marks: Vec<(Timestamp, String)>,
    /// For every time a round was made: which Hosts were present before it.
    presence: Vec<(Timestamp, BTreeSet<Text>)>,
}

impl Play {
    fn new(selector: &str) -> Self {
        let truth = Truth { sources: sources(), ..Truth::default() };
        Self {
            world: Arc::new(World::new(truth)),
            store: Arc::new(MemoryStore::new(lens(selector))),
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            marks: Vec::new(),
            presence: Vec::new(),
        }
    }

    fn turn(&mut self, step: &Step) {
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

    fn present(&self) -> BTreeSet<Text> {
        let objects = self.store.objects();
        objects
            .into_iter()
            .filter(|(_, o)| o["status"]["state"] != "Gone")
            .map(|(name, _)| name)
            .collect()
    }

    async fn once(&self) -> (Vec<SourceReport>, usize) {
        let faulty = Arc::new(Faulty::new(Arc::clone(&self.store), Faults::default()));
        let engine = Engine::new(
            Arc::clone(&self.world),
            Arc::clone(&faulty),
            Style::default(),
            Policy::default(),
        );
        let served = self.world.served();
        let report =
            engine.once(&served, &RunOptions::default(), self.now, &Unwatched).await.unwrap();
        (report.sources, faulty.writes())
    }
}

/// What others wrote, by Host: labels, annotations, the rest of spec, agent, unknown fields, foreign conditions.
fn foreign(objects: &BTreeMap<Text, Value>) -> BTreeMap<Text, Value> {
    let of = |object: &Value| {
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let theirs: Vec<Value> =
            conditions.into_iter().filter(|c| c["type"] != "Present").collect();
        json!([
            object["metadata"]["labels"]["theirs"],
            object["metadata"]["annotations"],
            object["spec"],
            object["status"]["agent"],
            object["status"]["future"],
            theirs,
            object["metadata"]["uid"],
        ])
    };
    objects.iter().map(|(name, object)| (name.clone(), of(object))).collect()
}

/// Plays the history and holds every law after every round.
async fn hold(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut play = Play::new("env=prod");
    play.store.edit("world-other", |object| {
        object["spec"] = json!({"source": {"name": "world-c", "provider": "world", "scope": "c"}, "machineID": "x"});
        object["status"]["state"] = json!("Running");
    });
    for step in &steps {
        play.turn(step);
        if matches!(step, Step::Round) {
            round(&mut play).await?;
        }
    }
    Ok(())
}

async fn round(play: &mut Play) -> Result<(), TestCaseError> {
    let before = play.store.objects();
    let (reports, writes) = play.once().await;
    let after = play.store.objects();
    for (name, theirs) in foreign(&before) {
        prop_assert_eq!(&foreign(&after)[&name], &theirs, "what others wrote survives: {}", name);
    }
    prop_assert_eq!(
        &before["world-other"],
        &after["world-other"],
        "another source's Host is untouched"
    );
    times(&before, &after)?;
    for (report, source) in reports.iter().zip(sources()) {
        if report.result == RoundResult::Failed {
            let touched = after
                .iter()
                .filter(|(name, o)| is_of(o, &source) && before.get(*name) != Some(o))
                .count();
            prop_assert_eq!(touched, 0, "an error writes nothing");
        }
        let clean = report.withheld + report.unconfirmed + report.failed == 0;
        if report.result == RoundResult::Complete && clean {
            listed_and_present(play, &source, &after)?;
        }
    }
    prop_assert!(
        writes <= reports.iter().map(|r| 2 * r.changes.len()).sum::<usize>(),
        "cost is what changed"
    );
    braked(play, &reports, &before)?;
    let (_, again) = play.once().await;
    prop_assert_eq!(again, 0, "a second round right after writes nothing");
    prop_assert_eq!(&play.store.objects(), &after);
    Ok(())
}

fn is_of(object: &Value, source: &Source) -> bool {
    object["spec"]["source"]["name"] == **source.name()
}

/// Present is what is listed, selected and not dead.
fn listed_and_present(
    play: &Play,
    source: &Source,
    after: &BTreeMap<Text, Value>,
) -> Result<(), TestCaseError> {
    let wanted: BTreeSet<String> = play.world.with(|truth| {
        let all = truth.machines.get(source.name()).into_iter().flat_map(BTreeMap::values);
        let wanted = all.filter(|m| {
            m.life == Life::Alive && &*m.tags["env"] == "prod" && !truth.hidden.contains(&m.id)
        });
        wanted.map(|machine| machine.id.to_string()).collect()
    });
    let ours = after
        .values()
        .filter(|object| is_of(object, source) && object["status"]["state"] != "Gone");
    let present: BTreeSet<String> =
        ours.map(|o| o["spec"]["machineID"].as_str().unwrap().to_owned()).collect();
    prop_assert_eq!(present, wanted);
    Ok(())
}

/// `firstSeen` for ever, `goneSince` for as long as it is gone.
fn times(
    before: &BTreeMap<Text, Value>,
    after: &BTreeMap<Text, Value>,
) -> Result<(), TestCaseError> {
    for (name, old) in before {
        let (old, new) = (&old["status"], &after[name]["status"]);
        if !old["firstSeen"].is_null() {
            prop_assert_eq!(&old["firstSeen"], &new["firstSeen"]);
        }
        if old["state"] == "Gone" && new["state"] == "Gone" {
            prop_assert_eq!(&old["goneSince"], &new["goneSince"]);
        }
        prop_assert_eq!(new["state"] == "Gone", !new["goneSince"].is_null());
        if old["state"] == "Gone" && new["state"] != "Gone" {
            prop_assert_eq!(
                &old["goneSince"],
                &new["lastGone"]["since"],
                "an absence is remembered on return"
            );
        }
    }
    Ok(())
}

/// In any sliding hour, marks without approval stay under the limit over what was present at its beginning.
fn braked(
    play: &mut Play,
    reports: &[SourceReport],
    before: &BTreeMap<Text, Value>,
) -> Result<(), TestCaseError> {
    let present: BTreeSet<Text> = before
        .iter()
        .filter(|(_, o)| o["status"]["state"] != "Gone")
        .map(|(name, _)| name.clone())
        .collect();
    play.presence.push((play.now, present));
    for report in reports {
        let counted = report
            .changes
            .iter()
            .filter(|c| c.verb == "gone" && !c.withheld && c.reason != "Terminated");
        play.marks.extend(counted.map(|change| (play.now, change.host.clone())));
    }
    let then = play.now - HOUR;
    let lately = play
        .marks
        .iter()
        .filter(|(time, _)| *time > then)
        .map(|(_, host)| host)
        .collect::<BTreeSet<_>>();
    // The most that was present at any time of the hour bounds every limit that may have been in force.
    let most = play
        .presence
        .iter()
        .filter(|(time, _)| *time >= then)
        .map(|(_, hosts)| hosts.len())
        .max()
        .unwrap_or(0);
    let most = most.max(play.present().len());
    prop_assert!(
        lately.len() <= Policy::default().limit_of_all(most),
        "{} marks within an hour of at most {} present",
        lately.len(),
        most
    );
    Ok(())
}

fn block<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_law_holds_after_every_round_of_every_history(steps in history(60)) {
        block(hold(steps))?;
    }

    #[test]
    fn once_and_the_daemon_end_in_the_same_state(steps in history(40)) {
        block(async {
            let (mut once, mut daemon) = (Play::new("env=prod"), Play::new("env=prod"));
            let engine = Engine::new(
                Arc::clone(&daemon.world), Arc::clone(&daemon.store), Style::default(), Policy::default(),
            );
            for step in &steps {
                once.turn(step);
                daemon.turn(step);
                if matches!(step, Step::Round) {
                    once.once().await;
                    let served = daemon.world.served();
                    for source in &served {
                        let _ = engine.round(source, &served, daemon.now, &Unwatched).await;
                    }
                    prop_assert_eq!(statuses(&once.store), statuses(&daemon.store));
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_crash_after_any_request_is_repaired_by_one_round(
        past in history(25), next in prop::collection::vec(step(), 1..15), lost in any::<bool>()
    ) {
        block(async {
            let mut play = Play::new("env=prod");
            for step in &past {
                play.turn(step);
                if matches!(step, Step::Round) {
                    play.once().await;
                }
            }
            next.iter().for_each(|step| play.turn(step));
            let copy = || Play {
                store: Arc::new(play.store.through(lens("env=prod"))),
                world: Arc::clone(&play.world),
                now: play.now,
                ..Play::new("env=prod")
            };
            let whole = copy();
            whole.once().await;
            for dies_after in 0..40 {
                let crashed = copy();
                let faults = Faults { dies_after: Some(dies_after), answer_lost: lost, ..Faults::default() };
                let faulty = Arc::new(Faulty::new(Arc::clone(&crashed.store), faults));
                let engine =
                    Engine::new(Arc::clone(&play.world), Arc::clone(&faulty), Style::default(), Policy::default());
                engine.once(&play.world.served(), &RunOptions::default(), play.now, &Unwatched).await.unwrap();
                crashed.once().await;
                prop_assert_eq!(statuses(&crashed.store), statuses(&whole.store), "died after {}", dies_after);
                if faulty.requests() < dies_after {
                    break;
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn up_to_four_conflicts_a_host_change_nothing_of_the_outcome(
        steps in history(25), conflicts in prop::collection::btree_set(0..60_usize, 0..=4)
    ) {
        block(async {
            let mut play = Play::new("env=prod");
            for step in &steps {
                play.turn(step);
            }
            let store = Arc::new(play.store.through(lens("env=prod")));
            let faulty = Arc::new(Faulty::new(Arc::clone(&store), Faults { conflicts, ..Faults::default() }));
            let engine = Engine::new(Arc::clone(&play.world), faulty, Style::default(), Policy::default());
            engine.once(&play.world.served(), &RunOptions::default(), play.now, &Unwatched).await.unwrap();
            play.once().await;
            prop_assert_eq!(statuses(&store), statuses(&play.store));
            Ok(())
        })?;
    }

    #[test]
    fn an_edit_of_the_selector_marks_nothing(
        steps in history(25), selector in prop::sample::select(vec!["env=dev", "!env", "nothing=x", "env=prod,other"])
    ) {
        block(async {
            let mut play = Play::new("env=prod");
            for step in &steps {
                let takes_away = matches!(
                    step,
                    Step::Remove(..) | Step::RemoveMany(..) | Step::Terminate(..) | Step::Retag(..)
                );
                if !takes_away {
                    play.turn(step);
                }
                if matches!(step, Step::Round) {
                    play.once().await;
                }
            }
            let edited = Play { store: Arc::new(play.store.through(lens(selector))), ..play };
            let before = edited.present();
            let (reports, _) = edited.once().await;
            prop_assert!(reports.iter().all(|report| report.gone == 0));
            prop_assert!(before.is_subset(&edited.present()));
            Ok(())
        })?;
    }
}

/// Statuses by name: what a round is for, without the store's own numbers.
fn statuses(store: &MemoryStore) -> BTreeMap<Text, Value> {
    store.objects().into_iter().map(|(name, mut object)| (name, object["status"].take())).collect()
}

#[test]
fn a_leak_below_the_limit_of_a_round_is_stopped_within_the_hour() {
    block(async {
        let mut play = Play::new("env=prod");
        let source = &sources()[0];
        play.world.with(|t| {
            (0..100).for_each(|n| t.put(source, machine(&format!("m{n}"), &[("env", "prod")])))
        });
        play.once().await;
        play.now += HOUR * 3;
        let mut marked = 0;
        for leak in 0..10_u8 {
            play.world
                .with(|t| (0..9).for_each(|n| t.remove(source, &format!("m{}", leak * 9 + n))));
            let (reports, _) = play.once().await;
            marked += reports[0].gone;
            assert!(leak == 0 || reports[0].withheld > 0, "the second leak of nine is withheld");
            play.now += SignedDuration::from_mins(5);
        }
        assert_eq!(marked, 9);
    });
}

#[test]
fn a_group_that_replaces_half_its_machines_is_not_stopped() {
    block(async {
        let play = Play::new("env=prod");
        let source = &sources()[0];
        play.world.with(|t| {
            (0..20).for_each(|n| t.put(source, machine(&format!("m{n}"), &[("env", "prod")])))
        });
        play.once().await;
        play.world.with(|t| {
            for n in 0..10 {
                t.machine(source, &format!("m{n}")).unwrap().life = Life::Terminated;
                t.put(source, machine(&format!("n{n}"), &[("env", "prod")]));
            }
        });
        let (reports, _) = play.once().await;
        assert_eq!((reports[0].gone, reports[0].created, reports[0].withheld), (10, 10, 0));
    });
}

#[test]
fn a_source_that_selects_nothing_is_over_whatever_its_size() {
    block(async {
        let play = Play::new("env=prod");
        play.world.with(|truth| truth.put(&sources()[0], machine("only", &[("env", "prod")])));
        play.once().await;
        play.world.with(|truth| truth.remove(&sources()[0], "only"));
        let (reports, _) = play.once().await;
        assert_eq!((reports[0].gone, reports[0].withheld), (0, 1));
        assert!(reports[0].checksum.is_some());
    });
}

#[test]
fn a_withheld_deselection_that_was_kept_up_to_date_stays_one() {
    block(async {
        let play = Play::new("env=prod");
        let source = &sources()[0];
        play.world.with(|t| {
            (0..20).for_each(|n| t.put(source, machine(&format!("m{n}"), &[("env", "prod")])))
        });
        play.once().await;
        play.world.with(|t| {
            for n in 0..4 {
                t.machine(source, &format!("m{n}"))
                    .unwrap()
                    .tags
                    .insert("env".into(), "dev".into());
                t.remove(source, &format!("m{}", n + 4));
            }
        });
        let (first, _) = play.once().await;
        assert_eq!((first[0].withheld, first[0].updated, first[0].gone), (8, 4, 0));
        let (second, writes) = play.once().await;
        assert_eq!((second[0].withheld, second[0].gone, writes), (8, 0, 0));
        play.world.with(|t| {
            for n in 0..4 {
                t.machine(source, &format!("m{n}"))
                    .unwrap()
                    .tags
                    .insert("env".into(), "prod".into());
            }
        });
        let (third, _) = play.once().await;
        assert_eq!((third[0].withheld, third[0].updated, third[0].gone), (0, 4, 4));
    });
}
