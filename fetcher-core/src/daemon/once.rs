//! One run over all sources, as a person or a CI job asks for it.

use std::future::Future;
use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::time::Instant;

use crate::app::InvalidConfig;
use crate::approve::{Approval, ApprovalError};
use crate::args::Run;
use crate::provider::{Discovery, FetchError, Provider};
use crate::report::{RoundResult, RunReport, SourceReport};
use crate::round::{Engine, RunOptions, Unwatched};
use crate::store::HostStore;
use crate::store::any::AnyStore;
use crate::{exit, telemetry};

use super::serve::FINISHING;
use super::signals;
use super::terminal::Terminal;

/// The largest plan that is read for an approval, in bytes.
const PLAN_MAX: u64 = 256 << 20;

/// What the flags ask of the run; a plan is read from its file or from standard input.
pub(super) fn options(run: &Run) -> Result<RunOptions, InvalidConfig> {
    let approve = run.approve.as_deref().map(approval).transpose()?;
    Ok(RunOptions { dry_run: run.dry_run, approve })
}

fn approval(given: &str) -> Result<Approval, InvalidConfig> {
    let wrong = |why: String| InvalidConfig(format!("--approve: {why}"));
    let text = match given {
        "-" => text(std::io::stdin().lock())
            .map_err(|error| wrong(format!("standard input cannot be read: {error}")))?,
        path if Path::new(path).exists() => std::fs::File::open(path)
            .and_then(text)
            .map_err(|error| wrong(format!("{path} cannot be read: {error}")))?,
        checksum => checksum.to_owned(),
    };
    Approval::parse(&text).map_err(|error| wrong(error.to_string()))
}

fn text(from: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    from.take(PLAN_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// The first line: where Hosts go. A run in the wrong place must be seen at once.
pub(super) fn announce(provider: &str, store: &AnyStore) {
    let place = store.place();
    if std::io::stderr().is_terminal() {
        let place = crate::printable::printable(&place, 1000);
        let _ = writeln!(std::io::stderr(), "fetcher-{provider}: Hosts go to {place}");
    } else {
        tracing::info!(store = place, "fetcher-{provider} begins");
    }
}

/// Asks for the sources, runs over them, and tells the log.
///
/// # Errors
/// An approval that matches nothing that is withheld.
pub(super) async fn once<P: Provider, S: HostStore>(
    engine: &Engine<P, S>,
    options: &RunOptions,
    pending: bool,
) -> Result<RunReport, ApprovalError> {
    let began = Instant::now();
    let discovery = super::discover(&*engine.provider).await;
    let (discovery, whole) = match discovery {
        Ok(discovery) => {
            let whole = discovery.failed.is_empty();
            (discovery, whole)
        }
        Err(error) => (nothing(engine.provider.name(), error), false),
    };
    let now = crate::clock::now();
    let served = &discovery.sources;
    let mut report = if std::io::stderr().is_terminal() {
        let terminal = Terminal::default();
        terminal.during(engine.once(served, options, now, &terminal)).await?
    } else {
        engine.once(served, options, now, &Unwatched).await?
    };
    if !whole {
        // Who was not discovered may well be configured.
        report.sources.retain(|source| source.result != RoundResult::Unserved);
    }
    report.sources.extend(discovery.failed.iter().map(undiscovered));
    report.sources.sort_by(|a, b| a.source.cmp(&b.source));
    report.exit_code = exit::code(&report, pending);
    for source in &report.sources {
        telemetry::ended(source, began.elapsed(), report.dry_run);
    }
    telemetry::summary(&report);
    Ok(report)
}

/// `work` under signals, and the provider's leave after it. At the `first` the work may go on for a while and is then
/// given up, at the `second` all is given up at once; then there is no outcome, and what is half done the next run
/// repairs.
pub(super) async fn under<T>(
    first: impl Future<Output = ()>,
    second: impl Future<Output = ()>,
    work: impl Future<Output = T>,
    provider: &impl Provider,
) -> Option<T> {
    let all = async {
        let done = unless_late(first, work).await;
        super::close(provider).await;
        done
    };
    tokio::select! {
        done = all => done,
        () = second => {
            signals::abandoned();
            None
        }
    }
}

async fn unless_late<T>(
    first: impl Future<Output = ()>,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => return Some(done),
        () = first => {}
    }
    // A warning, because it is all that a person at a terminal sees of it.
    tracing::warn!(
        seconds = FINISHING.as_secs(),
        "Stopping: the run has these seconds to end, a second signal ends it at once"
    );
    let done = super::within(FINISHING, work).await;
    if done.is_none() {
        tracing::warn!("The run is abandoned, the next one will repair what is half done");
    }
    done
}

fn nothing(provider: &str, error: FetchError) -> Discovery {
    Discovery { sources: Vec::new(), failed: vec![(provider.to_owned(), error)] }
}

fn undiscovered((part, error): &(String, FetchError)) -> SourceReport {
    SourceReport {
        source: part.clone(),
        result: RoundResult::Failed,
        error: Some(error.to_string()),
        ..SourceReport::default()
    }
}
