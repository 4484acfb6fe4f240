//! The judgement over one absent Host, as a table; and the asking, with its control id and its early end.

use std::future::{Future, ready};
use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::observed::Standing;
use crate::provider::{Discovery, Fetch, Listing};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn entry(selected: bool) -> Entry {
    Entry {
        revision: 1,
        uid: "u".into(),
        machine_id: "m".into(),
        digest: 0,
        standing: Standing::Present,
        first_seen: Some(at(0)),
        before: None,
        selected,
    }
}

fn machine(id: &str, env: &str, life: Life) -> Machine {
    let mut machine = Machine { id: id.into(), life, ..Machine::default() };
    machine.tags.insert("env".into(), env.into());
    machine
}

#[test]
fn every_answer_has_its_judgement() {
    use Evidence::{Deselected, SelectorChanged, Terminated, Vanished};
    let selector: Selector = "env=prod".parse().unwrap();
    let judge_at = |selected, answer, now| {
        judge(&entry(selected), answer, &selector, SignedDuration::from_secs(600), at(now))
    };
    let (dev, prod) = (machine("m", "dev", Life::Alive), machine("m", "prod", Life::Alive));
    let dead = machine("m", "prod", Life::Terminated);
    for selected in [true, false] {
        assert_eq!(judge_at(selected, Answer::Listed(&dead), 0), Judgement::Gone(Terminated));
        assert_eq!(judge_at(selected, Answer::Found(&dead), 0), Judgement::Gone(Terminated));
        assert_eq!(judge_at(selected, Answer::Found(&prod), 599), TOO_YOUNG);
        assert_eq!(judge_at(selected, Answer::Found(&prod), 600), Judgement::Inconsistent);
        assert_eq!(judge_at(selected, Answer::Missing, 600), Judgement::Gone(Vanished));
        assert_eq!(judge_at(selected, Answer::Missing, 599), TOO_YOUNG);
        assert!(matches!(judge_at(selected, Answer::None, 9999), Judgement::Unconfirmed(_)));
    }
    for answer in [Answer::Listed(&dev), Answer::Found(&dev)] {
        assert_eq!(judge_at(true, answer, 0), Judgement::Gone(Deselected));
        assert_eq!(judge_at(false, answer, 0), Judgement::Gone(SelectorChanged));
    }
}

/// A provider that answers lookups by a rule, and remembers what it was asked.
struct Oracle<F> {
    answer: F,
    asked: Mutex<Vec<usize>>,
}

impl<F> Provider for Oracle<F>
where
    F: Fn(&[Text]) -> Result<Lookup, FetchError> + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        "oracle"
    }
    fn sources(&self) -> impl Future<Output = Result<Discovery, FetchError>> + Send {
        ready(Ok(Discovery::default()))
    }
    fn fetch(&self, _: Fetch<'_>) -> impl Future<Output = Result<Listing, FetchError>> + Send {
        ready(Ok(Listing::default()))
    }
    fn lookup(
        &self,
        _: &Source,
        ids: &[Text],
    ) -> impl Future<Output = Result<Lookup, FetchError>> + Send {
        self.asked.lock().unwrap().push(ids.len());
        ready((self.answer)(ids))
    }
    fn lookup_batch(&self) -> usize {
        4
    }
    fn settle(&self) -> Duration {
        Duration::ZERO
    }
}

/// Asks about ten absent Hosts, `m0` to `m9`, with `c` still listed.
async fn ask<F>(room: usize, answer: F) -> (Confirmed, Vec<usize>)
where
    F: Fn(&[Text]) -> Result<Lookup, FetchError> + Send + Sync + 'static,
{
    let oracle = Oracle { answer, asked: Mutex::default() };
    let index = Index {
        hosts: (0..10)
            .map(|n| {
                (
                    Text::from(format!("h{n}")),
                    Entry { machine_id: format!("m{n}").into(), ..entry(true) },
                )
            })
            .collect(),
    };
    let absent = (0..10)
        .map(|n| Absent {
            host: format!("h{n}").into(),
            machine_id: format!("m{n}").into(),
            listed: None,
        })
        .collect();
    let source = Source::new("oracle", &["x"]);
    let machines = [machine("c", "prod", Life::Alive)];
    let selector = "env=prod".parse().unwrap();
    let case = Case {
        source: &source,
        machines: &machines,
        index: &index,
        selector: &selector,
        now: at(9999),
    };
    let confirmed = Confirmed::ask(&oracle, case, absent, room).await;
    (confirmed, oracle.asked.into_inner().unwrap())
}

fn control() -> Machine {
    machine("c", "prod", Life::Alive)
}

#[tokio::test]
async fn all_are_asked_about_in_batches_that_carry_a_control() {
    let (confirmed, asked) = ask(10, |ids| {
        let missing = ids.iter().filter(|id| &***id != "c").cloned().collect();
        Ok(Lookup::Answered { found: vec![control()], missing })
    })
    .await;
    assert_eq!(confirmed.marks.len(), 10);
    assert_eq!(asked, [5, 5, 3]);
}

#[tokio::test]
async fn asking_ends_as_soon_as_more_are_confirmed_than_may_pass() {
    let (confirmed, asked) =
        ask(2, |ids| Ok(Lookup::Answered { found: vec![control()], missing: ids.to_vec() })).await;
    assert_eq!(asked, [4], "three absent ones and the control");
    assert_eq!((confirmed.marks.len(), confirmed.unexamined.len()), (3, 7));
}

#[tokio::test]
async fn an_answer_without_its_control_is_not_believed() {
    let (confirmed, _) =
        ask(10, |ids| Ok(Lookup::Answered { found: vec![], missing: ids.to_vec() })).await;
    assert_eq!((confirmed.marks.len(), confirmed.unconfirmed.len()), (0, 10));
    assert!(confirmed.notes[0].1.contains("does not know c"), "{:?}", confirmed.notes);
}

#[tokio::test]
async fn a_lookup_that_fails_or_keeps_silent_marks_nothing() {
    let (confirmed, _) = ask(10, |_| Err(FetchError::unavailable("down"))).await;
    assert_eq!((confirmed.marks.len(), confirmed.unconfirmed.len()), (0, 10));
    let (confirmed, _) =
        ask(10, |_| Ok(Lookup::Answered { found: vec![control()], missing: vec![] })).await;
    assert_eq!((confirmed.marks.len(), confirmed.unconfirmed.len()), (0, 10));
}

#[tokio::test]
async fn one_contradiction_takes_the_listing_as_evidence_away_for_all() {
    let (confirmed, _) = ask(10, |ids| {
        let found = vec![
            control(),
            machine("m7", "prod", Life::Alive),
            machine("m8", "prod", Life::Terminated),
        ];
        let missing =
            ids.iter().filter(|id| !["c", "m7", "m8"].contains(&&***id)).cloned().collect();
        Ok(Lookup::Answered { found, missing })
    })
    .await;
    let marks: Vec<_> = confirmed.marks.iter().map(|mark| (&*mark.host, mark.evidence)).collect();
    assert_eq!(marks, [("h8", Evidence::Terminated)]);
    assert_eq!(confirmed.unconfirmed.len(), 9);
}

#[tokio::test]
async fn without_a_lookup_absence_from_a_whole_listing_stands() {
    let (confirmed, _) = ask(10, |_| Ok(Lookup::Unsupported)).await;
    assert_eq!(confirmed.marks.len(), 10);
}
