//! For a pull request: a table of the sources, then the changes, as many as a comment holds.

use std::fmt::Write;

use super::{LONGEST, Totals, approval, value, verb};
use crate::printable::markdown;
use crate::report::{ChangeReport, RoundResult, RunReport, SourceReport};

/// Bytes after which changes are only counted: forges cut or refuse comments of more than 65,536 characters.
const ENOUGH: usize = 48 << 10;
/// The most text of one value.
const VALUE: usize = 120;

pub(super) fn render(report: &RunReport) -> String {
    let mut out = String::new();
    // A String takes every write; so below.
    let _ =
        writeln!(out, "## fetcher-{}: {}\n", markdown(&report.provider, LONGEST), title(report));
    table(&mut out, report);
    withheld(&mut out, report);
    changes(&mut out, report);
    notes(&mut out, report);
    out
}

fn title(report: &RunReport) -> String {
    let totals = Totals::of(&report.sources);
    match (totals.changed(), report.dry_run) {
        (0, _) => "no changes".to_owned(),
        (n, true) => format!("{n} Hosts would change"),
        (n, false) => format!("{n} Hosts changed"),
    }
}

fn table(out: &mut String, report: &RunReport) {
    out.push_str("| source | result | selected | created | updated | gone | returned | unchanged | withheld | unconfirmed | failed |\n");
    out.push_str("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
    for source in &report.sources {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            markdown(&source.source, LONGEST),
            result(source),
            source.selected,
            source.created,
            source.updated,
            source.gone,
            source.returned,
            source.unchanged,
            source.withheld,
            source.unconfirmed,
            source.failed
        );
    }
}

fn result(source: &SourceReport) -> String {
    match (source.result, &source.error) {
        (RoundResult::Complete, _) => "complete".to_owned(),
        (RoundResult::Failed, Some(error)) => {
            format!("**failed**: {}", markdown(error, LONGEST))
        }
        (RoundResult::Failed, None) => "**failed**".to_owned(),
        (RoundResult::Suspended, _) => "suspended".to_owned(),
        (RoundResult::Unserved, _) => "no longer configured".to_owned(),
    }
}

fn withheld(out: &mut String, report: &RunReport) {
    if let Some(command) = approval(report) {
        let count = Totals::of(&report.sources).withheld;
        let _ = writeln!(
            out,
            "\n**{count} marks are withheld**: more would go at once than may. If these machines are truly gone, approve them:\n\n```\n{command}\n```"
        );
    }
}

fn changes(out: &mut String, report: &RunReport) {
    let count: usize = report.sources.iter().map(|source| source.changes.len()).sum();
    if count == 0 {
        return;
    }
    let _ = writeln!(out, "\n<details><summary>{count} changes</summary>\n");
    let all = report.sources.iter().flat_map(|source| &source.changes);
    let mut shown = 0;
    for change in all {
        if out.len() > ENOUGH {
            break;
        }
        one(out, change, report.dry_run);
        shown += 1;
    }
    if shown < count {
        let _ = writeln!(out, "- … and {} more", count - shown);
    }
    out.push_str("\n</details>\n");
}

fn one(out: &mut String, change: &ChangeReport, dry_run: bool) {
    let (verb, host) = (verb(change, dry_run), markdown(&change.host, LONGEST));
    let _ = write!(out, "- {verb} **{host}**");
    if change.reason != "listed" {
        let _ = write!(out, " ({})", markdown(&change.reason, LONGEST));
    }
    if let Some(id) = &change.approval {
        let _ = write!(out, ", approved {}", markdown(id, LONGEST));
    }
    out.push('\n');
    for field in &change.fields {
        let path = markdown(&field.path, LONGEST);
        let (from, to) = (value(&field.from), value(&field.to));
        let (from, to) = (markdown(&from, VALUE), markdown(&to, VALUE));
        let _ = writeln!(out, "  - {path}: {from} → {to}");
    }
}

fn notes(out: &mut String, report: &RunReport) {
    let all = report.sources.iter().flat_map(|source| &source.notes);
    let mut first = true;
    for note in all {
        if out.len() > ENOUGH + ENOUGH / 4 {
            out.push_str("- … and more\n");
            break;
        }
        if std::mem::take(&mut first) {
            out.push_str("\nTo be looked at:\n\n");
        }
        let host = note.host.as_deref().map(|host| format!("**{}** ", markdown(host, LONGEST)));
        let (reason, message) = (markdown(&note.reason, LONGEST), markdown(&note.message, LONGEST));
        let _ = writeln!(out, "- {}{reason}: {message}", host.unwrap_or_default());
    }
}
