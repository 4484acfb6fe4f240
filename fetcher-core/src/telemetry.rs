//! What goes to standard error: one line an event, for people or as JSON.
//!
//! The names in a line are an interface: `time`, `level`, `message`, and for a change `host`, `source`, `verb`,
//! `reason`, `approval`, `fields` (each with `path`, `from`, `to`). A formatter of our own, because the usual one
//! neither escapes what came from outside nor writes a list as a list.

use std::fmt::{self, Debug, Write};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat, LogLevel};
use crate::output::harmless;
use crate::printable::printable;

mod lines;
#[cfg(test)]
mod tests;

pub(crate) use lines::{ended, summary};

/// The longest value that is written, in characters.
const LONGEST: usize = 4000;

/// Begins to write to standard error. A second call changes nothing.
pub fn init(log: Log) {
    let layer = tracing_subscriber::fmt::layer()
        .event_format(Lines { format: log.format, now: crate::clock::now })
        .with_writer(std::io::stderr);
    let _ = tracing_subscriber::registry().with(filter(log.level)).with(layer).try_init();
}

/// Our own lines from `level` on; those of the crates beneath only where they warn, or when all is asked for.
fn filter(level: LogLevel) -> Targets {
    let ours = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let theirs = if level == LogLevel::Trace { ours } else { ours.min(LevelFilter::WARN) };
    // kube logs whole bodies that it cannot read, and every 5xx, which our own line tells better.
    Targets::new()
        .with_default(theirs)
        .with_target("fetcher", ours)
        .with_target("kube_client", LevelFilter::OFF)
}

/// Events as lines.
struct Lines {
    format: LogFormat,
    now: fn() -> jiff::Timestamp,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let time = format!("{:.3}", (self.now)());
        let line = match self.format {
            LogFormat::Text => text(&time, *event.metadata().level(), &fields.0),
            LogFormat::Json => json(&time, *event.metadata().level(), fields.0),
        };
        writeln!(out, "{line}")
    }
}

fn text(time: &str, level: Level, fields: &Map<String, Value>) -> String {
    let message = fields.get("message").and_then(Value::as_str).unwrap_or_default();
    let mut line = format!("{time} {level:>5} {}", printable(message, LONGEST));
    for (key, value) in fields.iter().filter(|(key, _)| *key != "message") {
        let value = match value {
            Value::String(text) if is_word(text) => text.clone(),
            other => other.to_string(),
        };
        // A String takes every write.
        let _ = write!(line, " {key}={}", printable(&value, LONGEST));
    }
    line
}

fn json(time: &str, level: Level, mut fields: Map<String, Value>) -> String {
    let message = fields.remove("message").unwrap_or_default();
    let mut line = format!(r#"{{"time":"{time}","level":"{level}","message":{message}"#);
    for (key, value) in fields {
        // A String takes every write.
        let _ = write!(line, ",{}:{value}", Value::from(key));
    }
    line.push('}');
    harmless(&line)
}

/// Whether a text stands well without quotes.
fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@,+".contains(c);
    !text.is_empty() && text.chars().all(plain)
}

/// The fields of one event. One called `fields` holds JSON and stays what it is.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format!("{value:?}").into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        let json = (field.name() == "fields").then(|| serde_json::from_str(value).ok()).flatten();
        self.put(field, json.unwrap_or_else(|| value.into()));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}
