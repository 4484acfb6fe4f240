//! The words of a scenario: each step is a line of words, and says what the fetcher said or the inventory holds.
//!
//! | step | meaning |
//! |---|---|
//! | `serve S…` | the configuration names these sources and no others |
//! | `expect S min=N ID…`, `suspend S`, `selector TEXT`, `brake FRACTION FLOOR` | more of the configuration |
//! | `machine S ID… [key=value…]` | there are these machines, with these tags; `host=` and `state=` are no tags |
//! | `end S ID…`, `lose S ID…`, `hide ID…`, `show ID…` | they end for good, are gone, are left out of lists and back in them |
//! | `listing S fails/works`, `lookup fails/lies/none/works`, `settle 10m` | how the provider behaves |
//! | `wait 30m` | time goes by |
//! | `once [--dry-run] [--short] [--keep] [--approve shown/kept/CHECKSUM]` | a run; `shown` is the checksum that the last one printed, `kept` the plan of the last one that was to be kept; in short without the changes |
//! | `crash N` | a run whose process dies after N requests |
//! | `tick` | a round of each source by the daemon, which goes on living between two of them |
//! | `forgetful` | from now on the store keeps no hostname |
//! | `unanswered HOST…` | from now on the store answers no request for these Hosts; without any, all again |
//! | `set HOST path=json…`, `delete HOST` | somebody else changes an object, or makes it; removes it |
//! | `hosts`, `cat HOST` | the inventory in short; one object, without revision, id and names of versions |
//!
//! `m1..m9` stands for nine ids.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use fetcher_core::approve::Approval;
use fetcher_core::args::Output;
use fetcher_core::brake::Policy;
use fetcher_core::desired::Style;
use fetcher_core::host::is_our_label;
use fetcher_core::machine::{IdScope, Life, Machine, Source, State, Text};
use fetcher_core::provider::Expect;
use fetcher_core::report::{RoundResult, RunReport, SourceReport};
use fetcher_core::round::{Engine, RunOptions, Unwatched};
use fetcher_core::{exit, output};
use fetcher_tests::memory::{Faults, Faulty};
use fetcher_tests::world::{Truth, World, machine};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::stage::Stage;

/// 2027-01-15 08:00:00.
const BEGIN: i64 = 1_800_000_000;

/// A process of the fetcher.
type Process<S> = Engine<World, Faulty<<S as Stage>::Store>>;

pub(super) struct Scene<S: Stage> {
    stage: S,
    world: Arc<World>,
    now: Timestamp,
    selector: String,
    policy: Policy,
    forgets: bool,
    unanswered: BTreeSet<Text>,
    daemon: Option<Process<S>>,
    /// The checksum that was printed last.
    shown: String,
    /// The plan that was kept last, as JSON.
    kept: String,
}

fn source(name: &str) -> Source {
    Source::new("world", &[name])
}

/// `m1..m3` as `m1`, `m2`, `m3`; any other word as it is.
fn ids(word: &str) -> Result<Vec<String>> {
    let Some((from, to)) = word.split_once("..") else { return Ok(vec![word.to_owned()]) };
    let prefix = from.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = |text: &str| {
        text.strip_prefix(prefix).context("another prefix")?.parse::<u32>().context("no number")
    };
    Ok((number(from)?..=number(to)?).map(|n| format!("{prefix}{n}")).collect())
}

fn all_ids(words: &[&str]) -> Result<Vec<String>> {
    let all: Vec<Vec<String>> = words.iter().map(|word| ids(word)).collect::<Result<_>>()?;
    Ok(all.concat())
}

fn time(word: &str) -> Result<SignedDuration> {
    let (number, unit) = word.split_at(word.len() - 1);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => bail!("{word} is no time: 10s, 5m, 3h"),
    };
    Ok(SignedDuration::from_secs(number.parse::<i64>()? * seconds))
}

impl<S: Stage> Scene<S> {
    pub(super) fn new(stage: S) -> Self {
        Self {
            stage,
            world: Arc::new(World::new(Truth::default())),
            now: Timestamp::from_second(BEGIN).unwrap(),
            selector: String::new(),
            policy: Policy::default(),
            forgets: false,
            unanswered: BTreeSet::new(),
            daemon: None,
            shown: String::new(),
            kept: String::new(),
        }
    }

    pub(super) async fn step(&mut self, step: &str) -> Result<String> {
        let words: Vec<&str> = step.split_whitespace().collect();
        let (verb, rest) = words.split_first().context("an empty step")?;
        match *verb {
            "once" => return self.once(rest).await,
            "crash" => return self.crash(rest).await,
            "tick" => return self.tick().await,
            "hosts" => return self.hosts(),
            "cat" => return self.cat(rest),
            "set" => self.set(rest)?,
            "delete" => self.stage.remove(rest.first().context("delete HOST")?)?,
            "wait" => self.now += time(rest.first().context("wait TIME")?)?,
            "selector" => rest.join(" ").clone_into(&mut self.selector),
            "forgetful" => self.forgets = true,
            "unanswered" => self.unanswered = rest.iter().map(|name| (*name).into()).collect(),
            "brake" => {
                let [fraction, floor] = rest else { bail!("brake FRACTION FLOOR") };
                self.policy = Policy { max_fraction: fraction.parse()?, floor: floor.parse()? };
            }
            _ => self.world.with(|truth| turn(truth, verb, rest))?,
        }
        if matches!(*verb, "selector" | "forgetful" | "unanswered" | "brake") {
            self.daemon = None;
        }
        Ok(String::new())
    }

    fn process(&self, dies_after: Option<usize>) -> Result<Process<S>> {
        let faults = Faults {
            dies_after,
            forgets_hostnames: self.forgets,
            unanswered: self.unanswered.clone(),
            ..Faults::default()
        };
        let store = Faulty::new(Arc::new(self.stage.open(&self.selector)?), faults);
        Ok(Engine::new(Arc::clone(&self.world), Arc::new(store), Style::default(), self.policy))
    }

    async fn once(&mut self, words: &[&str]) -> Result<String> {
        let (mut options, mut short, mut keep) = (RunOptions::default(), false, false);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--dry-run" => options.dry_run = true,
                "--short" => short = true,
                "--keep" => keep = true,
                "--approve" => {
                    let id = words.next().context("--approve CHECKSUM")?;
                    let id = match *id {
                        "shown" => &self.shown,
                        "kept" => &self.kept,
                        checksum => checksum,
                    };
                    options.approve = Some(Approval::parse(id)?);
                }
                other => bail!("{other} is no flag here"),
            }
        }
        let served = self.world.served();
        match self.process(None)?.once(&served, &options, self.now, &Unwatched).await {
            Ok(report) => {
                if keep {
                    self.kept = output::render(&report, Output::Json);
                }
                Ok(said(&self.said(&report), short))
            }
            Err(error) => {
                let error = error.to_string().replace(&self.shown, "<checksum>");
                Ok(format!("{error}\nexit {}", exit::USAGE))
            }
        }
    }

    async fn crash(&self, words: &[&str]) -> Result<String> {
        let requests = words.first().context("crash REQUESTS")?.parse()?;
        let process = self.process(Some(requests))?;
        let served = self.world.served();
        process.once(&served, &RunOptions::default(), self.now, &Unwatched).await?;
        Ok(format!("the process died after {requests} requests"))
    }

    async fn tick(&mut self) -> Result<String> {
        let daemon = match self.daemon.take() {
            Some(daemon) => daemon,
            None => self.process(None)?,
        };
        let served = self.world.served();
        let mut report = RunReport::default();
        for one in &served {
            let round = daemon.round(one, &served, self.now, &Unwatched).await;
            report.sources.push(round.unwrap_or_else(|error| SourceReport {
                source: one.source.name().to_string(),
                result: RoundResult::Failed,
                error: Some(error.to_string()),
                ..SourceReport::default()
            }));
        }
        report.sources.extend(daemon.unserved(&served).await);
        self.daemon = Some(daemon);
        Ok(self.said(&report))
    }

    /// What is printed, its checksums by word: they hold ids that each store makes up itself.
    fn said(&mut self, report: &RunReport) -> String {
        let code = exit::code(report, false);
        let mut text = output::render(report, Output::Text);
        let checksums = report.sources.iter().filter_map(|source| source.checksum.as_ref());
        for checksum in report.checksum.iter().chain(checksums) {
            text = text.replace(checksum, "<checksum>");
        }
        if !self.shown.is_empty() {
            text = text.replace(&self.shown, "<checksum>");
        }
        if let Some(checksum) = &report.checksum {
            self.shown.clone_from(checksum);
        }
        text + &format!("exit {code}")
    }

    fn set(&self, words: &[&str]) -> Result<()> {
        let (name, changes) = words.split_first().context("set HOST path=json")?;
        let changes: Vec<(String, Value)> = changes
            .iter()
            .map(|change| {
                let (path, value) = change.split_once('=').context("path=json")?;
                let pointer = format!("/{}", path.replace('.', "/").replace('~', "."));
                Ok((pointer, serde_json::from_str(value).unwrap_or_else(|_| json!(value))))
            })
            .collect::<Result<_>>()?;
        self.stage.edit(name, |object| {
            for (pointer, value) in changes {
                let mut place = &mut *object;
                for key in pointer.split('/').skip(1) {
                    place = inner(place, key);
                }
                *place = value;
            }
        })
    }

    fn hosts(&self) -> Result<String> {
        let mut text = String::new();
        for (name, object) in self.stage.objects()? {
            writeln!(text, "{}", row(&name, &object).trim_end())?;
        }
        Ok(if text.is_empty() { "no Hosts".to_owned() } else { text })
    }

    fn cat(&self, words: &[&str]) -> Result<String> {
        let name = words.first().context("cat HOST")?;
        let mut object = self.stage.objects()?.remove(*name).context("no such Host")?;
        object["metadata"] = json!({
            "labels": object["metadata"]["labels"], "name": object["metadata"]["name"],
        });
        let object = json!({"metadata": object["metadata"], "spec": object["spec"], "status": object["status"]});
        Ok(serde_json::to_string_pretty(&object)?)
    }
}

/// All of it, or what stands at the beginning of lines.
fn said(text: &str, short: bool) -> String {
    let lines = text.lines().filter(|line| !short || !line.starts_with(' '));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The place of this key; a number is a place in a list, and makes one room more at its end.
fn inner<'a>(place: &'a mut Value, key: &str) -> &'a mut Value {
    match (key.parse::<usize>(), place.is_array()) {
        (Ok(at), true) => {
            if let Some(list) = place.as_array_mut().filter(|list| list.len() == at) {
                list.push(Value::Null);
            }
            &mut place[at]
        }
        _ => &mut place[key],
    }
}

/// One Host in a line: name, state, why, and what others have put on it.
fn row(name: &str, object: &Value) -> String {
    let status = &object["status"];
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let clock = |value: &Value| text(value).get(11..16).unwrap_or("-").to_owned();
    let present =
        status["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == "Present");
    let reason = present.map_or_else(|| "-".to_owned(), |condition| text(&condition["reason"]));
    let mut row = format!(
        "{name:<12} {:<13}{reason:<16}seen {}",
        text(&status["state"]),
        clock(&status["firstSeen"])
    );
    if status["goneSince"].is_string() {
        let _ = write!(row, "  gone {}", clock(&status["goneSince"]));
    }
    if present.is_some_and(|condition| text(&condition["message"]).contains("approved")) {
        row += " approved";
    }
    let was = &status["lastGone"];
    if was["since"].is_string() {
        let _ = write!(
            row,
            "  was gone {} to {} {}",
            clock(&was["since"]),
            clock(&was["until"]),
            text(&was["reason"])
        );
    }
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
    for (key, value) in labels.filter(|(key, _)| !is_our_label(key)) {
        let _ = write!(row, "  {key}={}", text(value));
    }
    let spec = object["spec"].as_object().into_iter().flatten();
    for (key, value) in spec.filter(|(key, _)| !matches!(key.as_str(), "source" | "machineID")) {
        let _ = write!(row, "  spec.{key}={value}");
    }
    row
}

/// What happens on the provider's side, or in the configuration.
fn turn(truth: &mut Truth, verb: &str, words: &[&str]) -> Result<()> {
    let Some((first, rest)) = words.split_first() else { bail!("{verb} needs more words") };
    match verb {
        "serve" => truth.sources = words.iter().map(|name| source(name)).collect(),
        "machine" => machines(truth, first, rest)?,
        "end" => {
            for id in all_ids(rest)? {
                let machine = truth.machine(&source(first), &id).context("no such machine")?;
                machine.life = Life::Terminated;
            }
        }
        "lose" => all_ids(rest)?.iter().for_each(|id| truth.remove(&source(first), id)),
        "hide" => truth.hidden.extend(all_ids(words)?.into_iter().map(Text::from)),
        "show" => {
            let ids: BTreeSet<String> = all_ids(words)?.into_iter().collect();
            truth.hidden.retain(|id| !ids.contains(&**id));
        }
        "listing" => {
            let name = source(first).name().clone();
            let _ = if rest == ["fails"] {
                truth.fails.insert(name)
            } else {
                truth.fails.remove(&name)
            };
        }
        "lookup" => {
            truth.lookup_fails = *first == "fails";
            truth.lookup_lies = *first == "lies";
            truth.no_lookup = *first == "none";
        }
        "settle" => truth.settle = Duration::try_from(time(first)?)?,
        "suspend" => truth.settings.entry(source(first).name().clone()).or_default().suspend = true,
        "expect" => {
            let mut expect = Expect::default();
            for word in rest {
                match word.strip_prefix("min=") {
                    Some(number) => expect.min = number.parse()?,
                    None => expect.ids.extend(ids(word)?),
                }
            }
            truth.settings.entry(source(first).name().clone()).or_default().expect = expect;
        }
        other => bail!("{other} is no step"),
    }
    Ok(())
}

fn machines(truth: &mut Truth, name: &str, words: &[&str]) -> Result<()> {
    let (facts, names): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.contains('='));
    for id in all_ids(&names)? {
        let mut new = Machine { id_scope: IdScope::Provider, ..machine(&id, &[]) };
        for (key, value) in facts.iter().filter_map(|fact| fact.split_once('=')) {
            match key {
                "host" => new.hostname = Some(value.into()),
                "state" => new.state = serde_json::from_value::<State>(json!(value))?,
                tag => new.tags.insert(tag.into(), value.into()),
            }
        }
        truth.put(&source(name), new);
    }
    Ok(())
}
