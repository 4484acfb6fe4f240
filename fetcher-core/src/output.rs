//! The outcome of a run, printed: for people, for programs, for a pull request.
//!
//! Pure: from the report to text. Whatever came from outside is made fit for where it is printed.

use serde_json::Value;

use crate::args::Output;
use crate::report::{ChangeReport, RoundResult, RunReport, SourceReport};

mod markdown;
#[cfg(test)]
mod tests;
mod text;

/// The longest text from outside that is printed, in characters.
const LONGEST: usize = 500;

/// The report as it is printed, with its last line ended.
#[must_use]
pub fn render(report: &RunReport, output: Output) -> String {
    match output {
        Output::Text => text::render(report),
        Output::Json => {
            // A report is maps with text keys, which always can be written.
            let json = serde_json::to_string_pretty(report).unwrap_or_default();
            harmless(&json) + "\n"
        }
        Output::Markdown => markdown::render(report),
    }
}

/// The same JSON without characters that steer a terminal: they only stand within texts, where they may be escaped.
pub(crate) fn harmless(json: &str) -> String {
    let steers = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    if !json.contains(steers) {
        return json.to_owned();
    }
    let mut out = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if steers(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// Counts of all sources together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) created: usize,
    pub(crate) updated: usize,
    pub(crate) gone: usize,
    pub(crate) returned: usize,
    pub(crate) unchanged: usize,
    pub(crate) withheld: usize,
    pub(crate) unconfirmed: usize,
    pub(crate) conflicts: usize,
    pub(crate) failed_hosts: usize,
    pub(crate) failed_sources: usize,
}

impl Totals {
    /// These sources together.
    pub(crate) fn of<'a>(sources: impl IntoIterator<Item = &'a SourceReport>) -> Self {
        sources.into_iter().fold(Self::default(), |all, one| Self {
            created: all.created + one.created,
            updated: all.updated + one.updated,
            gone: all.gone + one.gone,
            returned: all.returned + one.returned,
            unchanged: all.unchanged + one.unchanged,
            withheld: all.withheld + one.withheld,
            unconfirmed: all.unconfirmed + one.unconfirmed,
            conflicts: all.conflicts + one.conflicts,
            failed_hosts: all.failed_hosts + one.failed,
            failed_sources: all.failed_sources + usize::from(one.result == RoundResult::Failed),
        })
    }

    /// How many Hosts were changed.
    pub(crate) const fn changed(&self) -> usize {
        self.created + self.updated + self.gone + self.returned
    }

    /// The counts in words, those of nothing left out save what is always asked.
    pub(crate) fn words(&self) -> String {
        let always = [
            (self.created, "created"),
            (self.updated, "updated"),
            (self.gone, "marked gone"),
            (self.returned, "returned"),
            (self.unchanged, "unchanged"),
        ];
        let troubles = [
            (self.withheld, "withheld"),
            (self.unconfirmed, "unconfirmed"),
            (self.failed_hosts, "failed"),
        ];
        let troubles = troubles.into_iter().filter(|(count, _)| *count > 0);
        let words: Vec<_> =
            always.into_iter().chain(troubles).map(|(n, word)| format!("{n} {word}")).collect();
        words.join(", ")
    }
}

/// What was or would be done, in the tense of the run.
fn verb(change: &ChangeReport, dry_run: bool) -> &'static str {
    match (change.verb.as_str(), change.withheld, dry_run) {
        (_, true, _) => "withheld",
        ("create", false, true) => "create",
        ("create", false, false) => "created",
        ("update", false, true) => "update",
        ("update", false, false) => "updated",
        ("gone", false, true) => "mark gone",
        ("gone", false, false) => "marked gone",
        ("return", false, true) => "return",
        ("return", false, false) => "returned",
        _ => "changed",
    }
}

/// A field's value in one line.
fn value(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// How to let the withheld pass, where any are.
fn approval(report: &RunReport) -> Option<String> {
    let checksum = report.checksum.as_ref()?;
    Some(format!("fetcher-{} --once --approve {checksum}", report.provider))
}
