//! What a round did, as its report.

use std::collections::HashMap;

use super::RoundError;
use super::permitted::Permitted;
use crate::apply::{End, Outcome};
use crate::approve::Withheld;
use crate::confirm::Mark;
use crate::contest::Hold;
use crate::decide::{Verb, Why};
use crate::machine::Text;
use crate::plan::Cut;
use crate::provider::Served;
use crate::report::{ChangeReport, NoteReport, RoundResult, SourceReport};

const NOT_KEPT: &str = "the store keeps other content than was sent";

pub(super) fn suspended(served: &Served) -> SourceReport {
    ended(served.source.name(), RoundResult::Suspended)
}

pub(super) fn unserved(name: &str) -> SourceReport {
    ended(name, RoundResult::Unserved)
}

pub(super) fn failed(name: &str, error: &RoundError) -> SourceReport {
    SourceReport { error: Some(error.to_string()), ..ended(name, RoundResult::Failed) }
}

fn ended(name: &str, result: RoundResult) -> SourceReport {
    SourceReport { source: name.to_owned(), result, ..SourceReport::default() }
}

pub(super) fn complete(
    permitted: &Permitted,
    mut outcomes: Vec<Outcome>,
    held: &[(Text, Hold)],
) -> SourceReport {
    let round = &permitted.prepared;
    let marks = permitted.withheld().1;
    let mut report = SourceReport {
        listed: round.listing.machines.len(),
        selected: round.plan.selected,
        unchanged: round.plan.unchanged,
        withheld: permitted.permit.withheld.len(),
        unconfirmed: round.confirmed.unconfirmed.len(),
        checksum: marks.checksum(),
        ..ended(round.served.source.name(), RoundResult::Complete)
    };
    let reasons = reasons(permitted);
    // They ended in any order.
    outcomes.sort_by(|a, b| a.host.cmp(&b.host));
    for outcome in outcomes {
        tell(&mut report, outcome, &reasons);
    }
    report.changes.extend(permitted.permit.withheld.iter().map(|mark| withheld(mark, &marks)));
    report.changes.sort_by(|a, b| (&a.host, a.withheld).cmp(&(&b.host, b.withheld)));
    for (host, why) in &round.plan.left {
        leave(&mut report, host, *why);
    }
    for (host, hold) in held {
        report.failed += 1;
        report.notes.push(hold_note(host, *hold));
    }
    notes(&mut report, permitted);
    report
}

/// One task of the round, as it ended.
fn tell(report: &mut SourceReport, outcome: Outcome, reasons: &Reasons<'_>) {
    report.conflicts += outcome.conflicts;
    match outcome.end {
        End::Done => {
            if !is_kept(&outcome) {
                report.failed += 1;
                report.notes.push(note("notKept", Some(&outcome.host), NOT_KEPT.to_owned()));
            }
            count(report, outcome.verb);
            report.changes.push(change(outcome, reasons));
        }
        End::Left(why) => leave(report, &outcome.host, why),
        End::Failed(ref error) => {
            report.failed += 1;
            let message = format!("{} failed: {error}", outcome.verb.as_str());
            report.notes.push(note("failed", Some(&outcome.host), message));
        }
    }
}

/// Whether the store holds what was written as it was sent.
pub(super) fn is_kept(outcome: &Outcome) -> bool {
    outcome.wrote.is_none_or(|(wanted, answered)| wanted == answered)
}

/// The evidence and the approval of each mark that was let through, by its Host.
type Reasons<'a> = HashMap<&'a Text, (&'static str, Option<&'a str>)>;

fn reasons(permitted: &Permitted) -> Reasons<'_> {
    let passed = permitted.permit.pass.iter().map(|mark| (mark, None));
    let approved = permitted.approved.iter().map(|mark| (mark, permitted.approval.as_deref()));
    passed.chain(approved).map(|(mark, id)| (&mark.host, (mark.evidence.as_str(), id))).collect()
}

fn change(outcome: Outcome, reasons: &Reasons<'_>) -> ChangeReport {
    let mark = (outcome.verb == Verb::MarkGone).then(|| reasons.get(&outcome.host)).flatten();
    ChangeReport {
        verb: outcome.verb.as_str().to_owned(),
        reason: mark.map_or("listed", |(evidence, _)| evidence).to_owned(),
        approval: mark.and_then(|(_, approval)| approval.map(ToOwned::to_owned)),
        host: outcome.host.to_string(),
        withheld: false,
        checksum: None,
        fields: outcome.fields,
    }
}

fn withheld(mark: &Mark, marks: &Withheld) -> ChangeReport {
    ChangeReport {
        verb: Verb::MarkGone.as_str().to_owned(),
        host: mark.host.to_string(),
        reason: mark.evidence.as_str().to_owned(),
        withheld: true,
        checksum: marks.checksum_of(&mark.host),
        ..ChangeReport::default()
    }
}

const fn count(report: &mut SourceReport, verb: Verb) {
    match verb {
        Verb::Create => report.created += 1,
        Verb::Update => report.updated += 1,
        Verb::MarkGone => report.gone += 1,
        Verb::Return => report.returned += 1,
    }
}

fn leave(report: &mut SourceReport, host: &Text, why: Why) {
    let reason = match why {
        Why::Foreign => "foreign",
        Why::Deleting => "deleting",
        Why::Unreadable => "unreadable",
    };
    report.failed += 1;
    report.notes.push(note(reason, Some(host), format!("left alone: {}", why.as_str())));
}

fn hold_note(host: &Text, hold: Hold) -> NoteReport {
    match hold {
        Hold::Contested { until } => note(
            "contested",
            Some(host),
            format!(
                "somebody else rewrote it against us three times within ten minutes: left alone until {until}; \
                 look at its managedFields for who it is"
            ),
        ),
        Hold::NotKept => {
            let message = format!("{NOT_KEPT}: left alone until either side changes");
            note("notKept", Some(host), message)
        }
    }
}

/// What the confirmation and the provider have to say beside.
fn notes(report: &mut SourceReport, permitted: &Permitted) {
    let round = &permitted.prepared;
    for (host, why) in &round.confirmed.unconfirmed {
        report.notes.push(note(
            "unconfirmed",
            Some(host),
            format!("absent, and not marked: {why}"),
        ));
    }
    for (reason, message) in &round.confirmed.notes {
        report.notes.push(note(reason, None, message.clone()));
    }
    let Cut { values, hosts, first } = &round.plan.cut;
    if let Some(first) = first {
        let message = format!(
            "{values} values of {hosts} Hosts, this one the first, are longer, greater or more than a Host holds, and are cut"
        );
        report.notes.push(note("cut", Some(first), message));
    }
    for said in &round.listing.notes {
        report.notes.push(note(said.reason, None, said.message.clone()));
    }
}

fn note(reason: &str, host: Option<&Text>, message: String) -> NoteReport {
    NoteReport { reason: reason.to_owned(), host: host.map(ToString::to_string), message }
}
