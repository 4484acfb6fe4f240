//! A fetcher as a program: the one place where everything is put together.
//!
//! Not what a provider is (its [`App`] says that) and not what a round does (see `round`). What is built here is
//! handed on, so that the running can be tested without a process.

use std::future::Future;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::app::{App, InvalidConfig};
use crate::args::{Args, Command};
use crate::config::Log;
use crate::exit;
use crate::metrics::Metrics;
use crate::provider::Provider;
use crate::round::Engine;
use crate::settings::{self, Settings};
use crate::store::any::AnyStore;
use crate::store::kube::Mode;
use crate::{admin, check, telemetry};

mod attempt;
mod course;
mod health;
mod once;
mod serve;
mod signals;
mod summary;
mod systemd;
mod terminal;
#[cfg(test)]
mod tests;

pub use serve::{Instance, serve};

/// How long a provider may take to say good-bye.
const CLOSING: Duration = Duration::from_secs(5);

/// Runs the fetcher of this app to its end: what stands in a provider's `main`.
#[must_use]
pub fn main<A: App>() -> ExitCode {
    // One crypto provider for all; a second call would change nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let args = match Args::parse_from::<A>(std::env::args_os()) {
        Ok(args) => args,
        Err(said) => {
            let _ = said.print();
            return ExitCode::from(if said.use_stderr() { exit::USAGE } else { exit::IN_SYNC });
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed::<A>(&format!("the runtime cannot be started: {error}")),
    };
    let code = match runtime.block_on(run::<A>(args)) {
        Ok(code) => ExitCode::from(code),
        Err(InvalidConfig(why)) => failed::<A>(&why),
    };
    // A read of a file that hangs must not keep a stopped process.
    runtime.shutdown_background();
    code
}

fn failed<A: App>(why: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "fetcher-{}: {why}", A::NAME);
    ExitCode::from(exit::USAGE)
}

async fn run<A: App>(args: Args<A::Flags>) -> Result<u8, InvalidConfig> {
    match args.command {
        Some(Command::Schema) => {
            let schema = crate::config::schema::<A>();
            print(&(serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"));
            Ok(exit::IN_SYNC)
        }
        Some(Command::Check) => {
            let (findings, code) = Box::pin(check::run::<A>(args)).await;
            print(&findings);
            Ok(code)
        }
        // In boxes, because the futures of a provider are nested nearly as deep as the compiler goes.
        None if args.run.once => Box::pin(run_once::<A>(args)).await,
        None => Box::pin(run_daemon::<A>(args)).await,
    }
}

/// Standard output; a reader that has gone away is no failure of ours.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// What the file and the flags come to, and the provider that they describe.
pub(crate) fn build<A: App>(
    args: Args<A::Flags>,
) -> Result<(Settings, A::Provider, Log), InvalidConfig> {
    let quiet = args.quiet(std::io::stderr().is_terminal());
    let config = settings::load::<A>(args.common.config.as_deref())?;
    let log = settings::log(config.log, &args.common, quiet);
    let (mut settings, section) = Settings::new(config, &args.common)?;
    let provider = A::build(section, args.flags)?;
    settings.selector = settings.selector.and(provider.requires());
    Ok((settings, provider, log))
}

async fn run_once<A: App>(args: Args<A::Flags>) -> Result<u8, InvalidConfig> {
    let run = args.run.clone();
    let (settings, provider, log) = build::<A>(args)?;
    telemetry::init(log);
    let options = once::options(&run)?;
    let signals = signals::Signals::listen()?;
    let store = AnyStore::open(&settings.store, A::NAME, settings.selector, Mode::Once).await?;
    once::announce(A::NAME, &store);
    let provider = Arc::new(provider);
    let (style, policy) = (settings.style, settings.policy);
    let mut engine = Engine::new(Arc::clone(&provider), Arc::new(store), style, policy);
    engine.concurrency = settings.concurrency;
    let work = Box::pin(once::once(&engine, &options, run.exit_code));
    let report = once::under(signals.first(), signals.second(), work, &*provider).await;
    let Some(report) = report else { return Ok(exit::FAILED) };
    let report = report.map_err(|error| InvalidConfig(format!("--approve: {error}")))?;
    print(&crate::output::render(&report, run.output.unwrap_or_default()));
    Ok(report.exit_code)
}

async fn run_daemon<A: App>(args: Args<A::Flags>) -> Result<u8, InvalidConfig> {
    let (settings, provider, log) = build::<A>(args)?;
    telemetry::init(log);
    let signals = signals::Signals::listen()?;
    let store = AnyStore::open(&settings.store, A::NAME, settings.selector, Mode::Daemon).await?;
    let listener = match settings.listen {
        Some(address) => Some(admin::bind(address).await?),
        None => None,
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        store = store.place(),
        schedule = settings.schedule.to_string(),
        "fetcher-{} begins",
        A::NAME
    );
    let (style, policy) = (settings.style, settings.policy);
    let mut engine = Engine::new(Arc::new(provider), Arc::new(store), style, policy);
    engine.concurrency = settings.concurrency;
    let instance =
        Instance { engine, schedule: settings.schedule, metrics: Metrics::new(A::NAME), listener };
    tokio::select! {
        () = serve(instance, signals.first()) => Ok(exit::IN_SYNC),
        () = signals.second() => {
            signals::abandoned();
            Ok(exit::FAILED)
        }
    }
}

/// Lets the provider take leave, but not for long.
pub(crate) async fn close(provider: &impl Provider) {
    let _ = tokio::time::timeout(CLOSING, provider.close()).await;
}

/// Which sources there are, asked with a deadline.
pub(crate) async fn discover(
    provider: &impl Provider,
) -> Result<crate::provider::Discovery, crate::provider::FetchError> {
    let deadline = crate::round::FETCH_DEADLINE;
    within(deadline, provider.sources()).await.unwrap_or_else(|| {
        Err(crate::provider::FetchError::unavailable(format!(
            "the provider did not say within {} s which sources there are",
            deadline.as_secs()
        )))
    })
}

async fn within<T>(deadline: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(deadline, future).await.ok()
}
