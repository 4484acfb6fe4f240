//! What one bad Host means for the others, and what a store that is away means for all. Conflicts and crashes are the
//! business of the laws and scenarios of the test bed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::*;
use crate::machine::Machine;
use crate::observed::{Index, Lens};
use crate::schema::Schema;

/// A store that answers well, save where it is told what else to say to a Host.
struct Moody<F> {
    lens: Lens,
    in_flight: usize,
    mood: F,
    /// Hosts that are there already, of another source.
    foreign: BTreeSet<Text>,
    /// What was asked for, in this order.
    asked: Mutex<Vec<String>>,
}

impl<F: Fn(&str) -> Option<StoreError> + Send + Sync + 'static> Moody<F> {
    fn new(in_flight: usize, mood: F) -> Self {
        let lens = Lens { schema: Schema::ours(), selector: "".parse().unwrap() };
        Self { lens, in_flight, mood, foreign: BTreeSet::new(), asked: Mutex::default() }
    }

    fn stored(&self, name: &str, source: &str) -> Stored {
        let source = json!({"name": source, "provider": "p", "scope": "x"});
        let object = json!({
            "metadata": {"name": name, "uid": "u", "resourceVersion": "1"},
            "spec": {"source": source, "machineID": name},
        });
        Stored::new(object, &self.lens)
    }

    fn ask(&self, what: &str, name: &str) -> Result<(), StoreError> {
        self.asked.lock().unwrap().push(format!("{what} {name}"));
        (self.mood)(name).map_or(Ok(()), Err)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl<F: Fn(&str) -> Option<StoreError> + Send + Sync + 'static> HostStore for Moody<F> {
    async fn observed(&self, _: &Source) -> Result<Arc<Index>, StoreError> {
        Ok(Arc::default())
    }

    async fn get(&self, name: &str) -> Result<Option<Stored>, StoreError> {
        self.ask("get", name)?;
        Ok(self.foreign.contains(name).then(|| self.stored(name, "other")))
    }

    async fn create(&self, host: &NewHost) -> Result<Stored, StoreError> {
        self.ask("create", &host.name)?;
        Ok(self.stored(&host.name, host.source.name()))
    }

    async fn write(&self, read: &Stored, part: Part<'_>) -> Result<Stored, StoreError> {
        let Part::Status(status) = part else { return Ok(read.clone()) };
        Ok(Stored::new(read.with_status(status, &self.lens), &self.lens))
    }

    async fn unserved(&self, _: &str, _: &BTreeSet<Text>) -> Result<Vec<Text>, StoreError> {
        Ok(Vec::new())
    }

    fn lens(&self) -> &Lens {
        &self.lens
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }
}

/// Makes Hosts of that many new machines, h0 and so on.
async fn create<F>(store: &Moody<F>, count: usize, dry_run: bool) -> Vec<Outcome>
where
    F: Fn(&str) -> Option<StoreError> + Send + Sync + 'static,
{
    let source = Source::new("p", &["x"]);
    let machines: Vec<Machine> =
        (0..count).map(|n| Machine { id: format!("h{n}").into(), ..Machine::default() }).collect();
    let tasks: Vec<Task<'_>> = machines
        .iter()
        .map(|machine| Task {
            verb: Verb::Create,
            host: machine.id.clone(),
            machine_id: machine.id.clone(),
            target: Target::Present(machine, desired::Seen::Listed),
        })
        .collect();
    let (slots, style) = (Semaphore::new(store.in_flight), Style::default());
    let now = Timestamp::UNIX_EPOCH;
    let writer = Writer { store, slots: &slots, source: &source, style: &style, now, dry_run };
    let outcomes = writer.carry_out(&tasks, |_| {}).await;
    assert_eq!(outcomes.len(), count, "every Host has an end");
    outcomes
}

fn done(outcomes: &[Outcome]) -> usize {
    outcomes.iter().filter(|outcome| outcome.end == End::Done).count()
}

fn silent() -> StoreError {
    StoreError::Unavailable("the connection broke".to_owned())
}

fn busy() -> StoreError {
    StoreError::Busy { message: "429".to_owned(), retry_after: Some(Duration::from_secs(3600)) }
}

#[tokio::test]
async fn one_bad_host_never_stops_the_others() {
    let refused = || StoreError::Refused("413".to_owned());
    for error in [silent as fn() -> StoreError, busy, refused] {
        for in_flight in [1, 4, 32] {
            let store = Moody::new(in_flight, move |name| (name == "h1").then(error));
            let outcomes = create(&store, 100, false).await;
            let failed: Vec<_> = outcomes.iter().filter(|o| o.end != End::Done).collect();
            assert_eq!(failed.len(), 1, "{in_flight} in flight");
            assert_eq!((&*failed[0].host, &failed[0].end), ("h1", &End::Failed(error())));
        }
    }
}

#[tokio::test]
async fn many_bad_hosts_with_a_good_one_now_and_then_stop_nobody() {
    let is_good = |name: &str| name.ends_with('0') || name.ends_with('5');
    let store = Moody::new(8, move |name| (!is_good(name)).then(silent));
    assert_eq!(done(&create(&store, 100, false).await), 20);
    assert_eq!(store.asked().len(), 100);
}

#[tokio::test]
async fn a_store_that_is_away_ends_a_round_soon() {
    for error in [silent as fn() -> StoreError, busy] {
        for (in_flight, tried) in [(1, 3), (4, 4), (32, 32)] {
            let store = Moody::new(in_flight, move |_| Some(error()));
            let outcomes = create(&store, 10_000, false).await;
            assert_eq!(done(&outcomes), 0);
            assert_eq!(store.asked().len(), tried, "{in_flight} in flight");
            let left = outcomes.iter().filter(|outcome| {
                matches!(&outcome.end, End::Failed(error) if error.to_string().starts_with("not tried"))
            });
            assert_eq!(left.count(), 10_000 - tried);
        }
    }
}

#[tokio::test]
async fn what_a_person_must_put_right_is_not_asked_of_the_store_again_and_again() {
    let store = Moody::new(1, |_| Some(StoreError::Invalid("401".to_owned())));
    create(&store, 100, false).await;
    assert_eq!(store.asked(), ["create h0"]);
}

#[tokio::test]
async fn a_dry_run_finds_out_that_a_name_is_taken_and_writes_nothing() {
    let mut store = Moody::new(4, |_| None);
    store.foreign.insert("h1".into());
    let outcomes = create(&store, 3, true).await;
    let left: Vec<_> = outcomes.iter().filter(|o| o.end == End::Left(Why::Foreign)).collect();
    assert_eq!(left.iter().map(|o| &*o.host).collect::<Vec<_>>(), ["h1"]);
    assert_eq!(done(&outcomes), 2);
    let mut asked = store.asked();
    asked.sort();
    assert_eq!(asked, ["get h0", "get h1", "get h2"]);
}
