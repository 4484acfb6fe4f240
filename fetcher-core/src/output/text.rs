//! For people: what became of each source, each change with its fields, and what to do next.

use std::fmt::Write;

use super::{LONGEST, Totals, approval, value, verb};
use crate::printable::printable;
use crate::report::{ChangeReport, RoundResult, RunReport, SourceReport};

pub(super) fn render(report: &RunReport) -> String {
    let mut out = String::new();
    for source in &report.sources {
        render_source(&mut out, source, report.dry_run);
    }
    render_end(&mut out, report);
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // A String takes every write.
    let _ = writeln!(out, "{text}");
}

fn render_source(out: &mut String, source: &SourceReport, dry_run: bool) {
    let name = printable(&source.source, LONGEST);
    match source.result {
        RoundResult::Complete => {
            let (listed, selected) = (source.listed, source.selected);
            let counts = Totals::of([source]).words();
            line(out, format_args!("{name}: {listed} listed, {selected} selected; {counts}"));
        }
        RoundResult::Failed => {
            let error = printable(source.error.as_deref().unwrap_or("unknown"), 4 * LONGEST);
            line(out, format_args!("{name}: failed, nothing was changed: {error}"));
        }
        RoundResult::Suspended => line(out, format_args!("{name}: suspended, left as it is")),
        RoundResult::Unserved => {
            line(out, format_args!("{name}: no longer configured, its Hosts stay as they are"))
        }
    }
    for change in &source.changes {
        render_change(out, change, dry_run);
    }
    for note in &source.notes {
        let host = note.host.as_deref().map(|host| format!("{} ", printable(host, LONGEST)));
        let message = printable(&note.message, 4 * LONGEST);
        let reason = printable(&note.reason, LONGEST);
        line(out, format_args!("  ! {}{reason}: {message}", host.unwrap_or_default()));
    }
}

fn render_change(out: &mut String, change: &ChangeReport, dry_run: bool) {
    let sign = match change.verb.as_str() {
        _ if change.withheld => '?',
        "create" => '+',
        "gone" => '-',
        "return" => '<',
        _ => '~',
    };
    let host = printable(&change.host, LONGEST);
    let why = match (change.reason.as_str(), &change.approval) {
        ("listed", _) => String::new(),
        (reason, None) => format!(" ({})", printable(reason, LONGEST)),
        (reason, Some(id)) => {
            format!(" ({}, approved {})", printable(reason, LONGEST), printable(id, LONGEST))
        }
    };
    line(out, format_args!("  {sign} {} {host}{why}", verb(change, dry_run)));
    for field in &change.fields {
        let path = printable(&field.path, LONGEST);
        let (from, to) = (value(&field.from), value(&field.to));
        let (from, to) = (printable(&from, LONGEST), printable(&to, LONGEST));
        line(out, format_args!("      {path}: {from} -> {to}"));
    }
}

fn render_end(out: &mut String, report: &RunReport) {
    let totals = Totals::of(&report.sources);
    let troubles =
        totals.withheld + totals.unconfirmed + totals.failed_hosts + totals.failed_sources;
    if report.sources.is_empty() {
        line(out, format_args!("No source is configured or found: nothing was looked at."));
    } else if report.dry_run && totals.changed() > 0 {
        line(out, format_args!("Dry run: {} Hosts would be changed, none was.", totals.changed()));
    } else if totals.changed() == 0 && troubles == 0 {
        line(out, format_args!("Nothing changed: {} Hosts are as they must be.", totals.unchanged));
    } else if totals.changed() == 0 && totals.failed_sources > 0 {
        line(
            out,
            format_args!("{} of {} sources failed.", totals.failed_sources, report.sources.len()),
        );
    } else if totals.changed() == 0 {
        line(out, format_args!("Nothing changed."));
    } else {
        line(out, format_args!("{} Hosts changed.", totals.changed()));
    }
    if let Some(command) = approval(report) {
        line(
            out,
            format_args!(
                "{} marks are withheld: more would go at once than may. If these machines are truly gone, add to the command line: --once --approve {}",
                totals.withheld,
                command.rsplit(' ').next().unwrap_or_default()
            ),
        );
    }
}
