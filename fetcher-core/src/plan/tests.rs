//! The truth table of `decide` row by row, and what a listing must be to be believed.

use std::sync::Arc;

use super::*;
use crate::desired::Seen;
use crate::observed::{Absence, Entry, Standing};
use crate::schema::Schema;

fn entry(standing: Standing, digest: u64) -> Entry {
    Entry {
        revision: 1,
        uid: "u".into(),
        machine_id: "m".into(),
        digest,
        standing,
        first_seen: None,
        before: None,
        selected: true,
    }
}

#[test]
fn the_truth_table() {
    let gone = || {
        Standing::Gone(Absence { since: jiff::Timestamp::UNIX_EPOCH, until: None, counted: true })
    };
    let unreadable = || Standing::Unreadable("x".into());
    let ours = |standing, digest| Some((entry(standing, digest), Owner::Ours));
    let table = [
        (None, None, Verdict::InSync),
        (Some(1), None, Verdict::Do(Verb::Create)),
        (Some(1), ours(Standing::Present, 1), Verdict::InSync),
        (Some(1), ours(Standing::Present, 2), Verdict::Do(Verb::Update)),
        (Some(1), ours(gone(), 1), Verdict::Do(Verb::Return)),
        (None, ours(gone(), 1), Verdict::InSync),
        (None, ours(Standing::Present, 1), Verdict::Do(Verb::MarkGone)),
        (Some(1), ours(Standing::Bare, 1), Verdict::Do(Verb::Update)),
        (None, ours(Standing::Bare, 1), Verdict::Do(Verb::MarkGone)),
        (
            Some(1),
            Some((entry(Standing::Present, 1), Owner::Foreign)),
            Verdict::Leave(Why::Foreign),
        ),
        (None, Some((entry(Standing::Present, 1), Owner::Foreign)), Verdict::Leave(Why::Foreign)),
        (Some(1), ours(Standing::Deleting, 2), Verdict::Leave(Why::Deleting)),
        (None, ours(Standing::Deleting, 2), Verdict::Leave(Why::Deleting)),
        (Some(1), ours(unreadable(), 2), Verdict::Leave(Why::Unreadable)),
        (None, ours(unreadable(), 2), Verdict::Leave(Why::Unreadable)),
    ];
    for (wanted, observed, verdict) in table {
        let observed = observed.as_ref().map(|(entry, owner)| (entry, *owner));
        assert_eq!(decide(wanted, observed), verdict, "{wanted:?} {observed:?}");
    }
}

fn machine(id: &str) -> Machine {
    Machine { id: id.into(), ..Machine::default() }
}

#[test]
fn the_same_id_twice_is_one_machine_if_it_is_the_same_and_an_error_if_not() {
    let twice = Arc::new(vec![machine("a"), machine("b"), machine("a"), machine("a")]);
    let once = whole(&twice, &Expect::default()).unwrap();
    let mut ids: Vec<_> = once.iter().map(|machine| &*machine.id).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["a", "b"]);
    let other = Machine { hostname: Some("x".into()), ..machine("a") };
    let error = whole(&Arc::new(vec![machine("a"), other]), &Expect::default()).unwrap_err();
    assert_eq!(error.to_string(), "id \"a\" is listed twice with different content");
}

#[test]
fn a_listing_without_what_is_expected_of_it_is_an_error() {
    let listing = Arc::new(vec![machine("a")]);
    let expect =
        |ids: &[&str], min| Expect { ids: ids.iter().map(ToString::to_string).collect(), min };
    assert!(whole(&listing, &expect(&["a"], 1)).is_ok());
    let error = whole(&listing, &expect(&["z"], 0)).unwrap_err().to_string();
    assert!(error.contains("\"z\"") && error.contains("expect.ids"), "{error}");
    let error = whole(&listing, &expect(&[], 2)).unwrap_err().to_string();
    assert!(error.contains("expect.min"), "{error}");
}

#[test]
fn a_plan_counts_every_machine_and_every_host_once() {
    let lens = Lens { schema: Schema::ours(), selector: "env=prod".parse().unwrap() };
    let style = Style::default();
    let source = Source::new("p", &["x"]);
    let tagged = |id: &str, env: &str| {
        let mut machine = machine(id);
        machine.tags.insert("env".into(), env.into());
        machine
    };
    let ended = Machine { life: Life::Terminated, ..tagged("ended", "prod") };
    let machines = [
        tagged("new", "prod"),
        tagged("same", "prod"),
        tagged("other", "prod"),
        tagged("dev", "dev"),
        ended,
    ];
    let name = |id: &str| desired::name(&source, &machine(id));
    let digest = desired::wanted(&source, &machines[1], Seen::Listed, &style, &lens);
    let of = |id: &str, digest| {
        (name(id), Entry { machine_id: id.into(), ..entry(Standing::Present, digest) })
    };
    let hosts =
        [of("same", digest), of("other", 1), of("dev", 1), of("ended", 1), of("vanished", 1)]
            .into_iter()
            .collect();
    let asked = asked(&source, &machines, Eyes { style: &style, lens: &lens });
    let plan = plan(&machines, &asked, &Index { hosts });
    let mut changes: Vec<_> =
        plan.changes.iter().map(|c| (c.verb, &*machines[c.machine].id)).collect();
    changes.sort_unstable();
    assert_eq!(changes, [(Verb::Create, "new"), (Verb::Update, "other")]);
    let mut absent: Vec<_> = plan.absent.iter().map(|a| (&*a.machine_id, a.listed)).collect();
    absent.sort_unstable();
    assert_eq!(absent, [("dev", Some(3)), ("ended", Some(4)), ("vanished", None)]);
    assert_eq!((plan.unchanged, plan.selected), (1, 3));
}

#[test]
fn what_is_cut_of_wanted_machines_is_counted_and_the_first_host_of_it_named() {
    let lens = Lens { schema: Schema::ours(), selector: "".parse().unwrap() };
    let (style, source) = (Style::default(), Source::new("p", &["x"]));
    let long = |id: &str, tags: usize| {
        let mut machine = Machine { hostname: Some("x".repeat(400).into()), ..machine(id) };
        (0..tags).for_each(|n| machine.tags.insert(format!("k{n}").into(), "v".into()));
        machine
    };
    let ended = Machine { life: Life::Terminated, ..long("a", 401) };
    let machines = [long("c", 401), machine("plain"), long("b", 0), ended];
    let asked = asked(&source, &machines, Eyes { style: &style, lens: &lens });
    let first = Some(desired::name(&source, &machine("b")));
    assert_eq!(
        plan(&machines, &asked, &Index::default()).cut,
        Cut { values: 1 + (401 - 128) + 1, hosts: 2, first }
    );
}

#[test]
fn what_is_asked_is_in_the_order_of_the_listing_however_many_share_the_work() {
    let lens = Lens { schema: Schema::ours(), selector: "".parse().unwrap() };
    let (style, source) = (Style::default(), Source::new("p", &["x"]));
    let eyes = Eyes { style: &style, lens: &lens };
    let machines: Vec<_> = (0..2 * SHARE + 1).map(|n| machine(&n.to_string())).collect();
    let alone = machines.iter().map(|machine| asked_for(&source, machine, eyes));
    assert_eq!(asked(&source, &machines, eyes), alone.collect::<Vec<_>>());
}
