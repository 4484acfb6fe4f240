//! The arithmetic of the brake, and what it never does.

use super::*;
use crate::observed::{Absence, Entry, Standing};
use crate::plan::Absent;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
}

fn entry(first_seen: i64, standing: Standing) -> Entry {
    Entry {
        revision: 1,
        uid: "u".into(),
        machine_id: "m".into(),
        digest: 0,
        standing,
        first_seen: Some(at(first_seen)),
        before: None,
        selected: true,
    }
}

fn gone(minute: i64, counted: bool) -> Standing {
    Standing::Gone(Absence { since: at(minute), until: None, counted })
}

fn index(entries: impl IntoIterator<Item = Entry>) -> Index {
    let hosts = entries.into_iter().enumerate().map(|(n, entry)| (format!("h{n}").into(), entry));
    Index { hosts: hosts.collect() }
}

fn many(count: usize, entry: &Entry) -> Vec<Entry> {
    vec![entry.clone(); count]
}

#[test]
fn the_limit_is_a_part_of_the_present_or_a_few() {
    let policy = Policy::default();
    let limits = [0, 1, 2, 9, 10, 49, 50, 100, 1000].map(|present| policy.limit(present));
    assert_eq!(limits, [0, 0, 1, 4, 5, 5, 5, 10, 100]);
    assert_eq!([0, 50, 100, 1000].map(|present| policy.limit_of_all(present)), [10, 10, 10, 100]);
    assert_eq!(Policy { max_fraction: 0.29, floor: 0 }.limit(100), 29);
    assert_eq!(Policy { max_fraction: f64::NAN, floor: 0 }.limit(100), 0);
}

#[test]
fn marks_of_the_last_hour_count_and_older_or_free_ones_do_not() {
    let old = entry(-1000, Standing::Present);
    let hosts = many(90, &old)
        .into_iter()
        .chain(many(4, &entry(-1000, gone(-30, true))))
        .chain(many(3, &entry(-1000, gone(-30, false))))
        .chain(many(3, &entry(-1000, gone(-90, true))))
        .chain(many(1, &entry(-1000, gone(500, true))));
    let census = Census::of(&index(hosts), at(0));
    assert_eq!(census, Census { present: 98, recent: 5, now: 90 });
    assert_eq!(census.room(Policy::default()), 4);
}

#[test]
fn a_mark_counts_within_the_hour_though_its_host_has_returned() {
    let mut back = entry(-1000, Standing::Present);
    back.before = Some(Absence { since: at(-20), until: Some(at(-10)), counted: true });
    let census = Census::of(&index(many(10, &back)), at(0));
    assert_eq!(census, Census { present: 10, recent: 10, now: 10 });
    assert_eq!(census.room(Policy::default()), 0);
}

#[test]
fn hosts_made_within_the_hour_do_not_loosen_the_brake_of_the_older_ones() {
    let hosts = many(10, &entry(-1000, Standing::Present))
        .into_iter()
        .chain(many(990, &entry(-5, Standing::Present)));
    assert_eq!(Census::of(&index(hosts), at(0)).room(Policy::default()), 5);
}

#[test]
fn an_inventory_younger_than_an_hour_is_measured_by_all_it_ever_had() {
    let hosts = many(97, &entry(-5, Standing::Present))
        .into_iter()
        .chain(many(3, &entry(-5, gone(-1, true))));
    let census = Census::of(&index(hosts), at(0));
    assert_eq!(census, Census { present: 100, recent: 3, now: 97 });
    assert_eq!(census.room(Policy::default()), 7);
}

fn confirmed(marks: &[(&str, Evidence)], unexamined: &[&str]) -> Confirmed {
    Confirmed {
        marks: marks
            .iter()
            .map(|(host, evidence)| Mark { host: (*host).into(), evidence: *evidence })
            .collect(),
        unexamined: unexamined
            .iter()
            .map(|host| Absent { host: (*host).into(), machine_id: "m".into(), listed: None })
            .collect(),
        ..Confirmed::default()
    }
}

fn names(marks: &[Mark]) -> Vec<&str> {
    marks.iter().map(|mark| &*mark.host).collect()
}

#[test]
fn over_the_limit_all_counted_marks_are_withheld_and_free_ones_pass() {
    use Evidence::{Deselected, SelectorChanged, Terminated, Vanished};
    let marks = [("a", Vanished), ("b", Deselected), ("c", Terminated), ("d", SelectorChanged)];
    let within = permit(&confirmed(&marks, &[]), 2, false);
    assert_eq!((names(&within.pass), names(&within.withheld)), (vec!["a", "b", "c"], vec!["d"]));
    let over = permit(&confirmed(&marks, &[]), 1, false);
    assert_eq!((names(&over.pass), names(&over.withheld)), (vec!["c"], vec!["a", "b", "d"]));
    let unexamined = permit(&confirmed(&marks, &["e"]), 2, false);
    assert_eq!(names(&unexamined.withheld), ["a", "b", "d", "e"]);
    let nothing = permit(&confirmed(&marks, &[]), 100, true);
    assert_eq!((names(&nothing.pass), names(&nothing.withheld)), (vec!["c"], vec!["a", "b", "d"]));
}

#[test]
fn an_approval_lets_through_the_approved_names_that_are_withheld_and_no_other() {
    let marks =
        [("a", Evidence::Vanished), ("b", Evidence::SelectorChanged), ("c", Evidence::Terminated)];
    let held = permit(&confirmed(&marks, &[]), 0, false);
    let names_approved = ["b", "c", "x"].map(Text::from).into();
    let (left, approved) = approve(held, &names_approved);
    assert_eq!(
        (names(&left.pass), names(&left.withheld), names(&approved)),
        (vec!["c"], vec!["a"], vec!["b"])
    );
}
