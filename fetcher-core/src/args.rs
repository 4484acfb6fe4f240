//! The command line: what changes from run to run. Every flag has an environment variable, and wins over the file.
//!
//! Not the meaning of the flags (see `settings`); only what can be said, and what cannot be said together.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Arg, ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::app::App;
use crate::config::{LogFormat, LogLevel};
use crate::selector::Selector;

#[cfg(test)]
mod tests;

/// Everything on the command line of a fetcher, with its provider's own flags.
#[derive(Debug, Parser)]
pub struct Args<F: clap::Args> {
    /// What to do, where it is not the running.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What every fetcher knows.
    #[command(flatten)]
    pub common: Common,
    /// How to run.
    #[command(flatten)]
    pub run: Run,
    /// What this provider knows.
    #[command(flatten, next_help_heading = "Provider")]
    pub flags: F,
}

/// What a fetcher can do beside running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Look at configuration, credentials, store and rights, and say what is missing
    Check,
    /// Print the JSON Schema of the configuration file
    Schema,
}

/// Flags that hold for every command.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Common {
    /// Configuration file (YAML); without it, flags and the provider's own environment say everything
    #[arg(long, value_name = "FILE", env = "FETCHER_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    /// Which machines are wanted, like 'team=web,env in (prod,staging),!retired'
    #[arg(long, value_name = "SELECTOR", env = "FETCHER_SELECTOR", global = true)]
    pub selector: Option<Selector>,
    /// Where Hosts are kept: file:PATH, kubernetes:NAMESPACE, or kubernetes:CONTEXT/NAMESPACE with --kubeconfig
    #[arg(long, value_name = "STORE", env = "FETCHER_STORE", global = true)]
    pub store: Option<StoreFlag>,
    /// Kubeconfig file for --store kubernetes:CONTEXT/NAMESPACE, or in place of the one in the configuration file
    #[arg(long, value_name = "FILE", env = "FETCHER_KUBECONFIG", global = true)]
    pub kubeconfig: Option<PathBuf>,
    /// How log lines are written
    #[arg(long, value_name = "FORMAT", env = "FETCHER_LOG_FORMAT", global = true)]
    pub log_format: Option<LogFormat>,
    /// Least severe log lines that are written
    #[arg(long, value_name = "LEVEL", env = "FETCHER_LOG_LEVEL", global = true)]
    pub log_level: Option<LogLevel>,
}

/// Flags of a run.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Run {
    /// Bring the store in line once, and end
    #[arg(long, env = "FETCHER_ONCE", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    pub once: bool,
    /// With --once: change nothing, show what would be done
    #[arg(long, env = "FETCHER_DRY_RUN", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    pub dry_run: bool,
    /// With --once: let withheld marks pass, by the checksum shown or by a plan (--output json; - for standard input)
    #[arg(long, value_name = "CHECKSUM|PLAN", env = "FETCHER_APPROVE")]
    pub approve: Option<String>,
    /// With --once: how the outcome is printed
    #[arg(long, value_name = "FORMAT", env = "FETCHER_OUTPUT")]
    pub output: Option<Output>,
    /// With --dry-run: exit with 4 where changes are pending
    #[arg(long, env = "FETCHER_EXIT_CODE", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    pub exit_code: bool,
}

/// How the outcome of a run is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    #[default]
    Text,
    /// One document for programs, and for --approve
    Json,
    /// For a pull request
    Markdown,
}

/// A store in one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreFlag {
    /// `file:PATH`.
    File(PathBuf),
    /// `kubernetes:NAMESPACE` or `kubernetes:CONTEXT/NAMESPACE`.
    Kubernetes {
        /// Of the kubeconfig; without it, what the configuration file says, else the service account of the pod.
        context: Option<String>,
        /// Of the Hosts.
        namespace: String,
    },
}

impl std::str::FromStr for StoreFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("kubernetes", place)) if !place.is_empty() => {
                // A context may hold slashes, a namespace never does.
                let (context, namespace) = match place.rsplit_once('/') {
                    Some((context, namespace)) => (Some(context.to_owned()), namespace),
                    None => (None, place),
                };
                Ok(Self::Kubernetes { context, namespace: namespace.to_owned() })
            }
            _ => {
                Err("give file:PATH, kubernetes:NAMESPACE or kubernetes:CONTEXT/NAMESPACE"
                    .to_owned())
            }
        }
    }
}

/// The command line of `fetcher-NAME`, which may show no value of the environment: some are secret.
fn command<A: App>() -> clap::Command {
    let name = format!("fetcher-{}", A::NAME);
    let run_only = ["once", "dry_run", "approve", "output", "exit_code"];
    Args::<A::Flags>::command()
        .name(name.clone())
        .bin_name(name)
        .about(A::ABOUT)
        .version(env!("CARGO_PKG_VERSION"))
        .after_help("Exit codes of --once: 0 in sync, 1 a source or a Host failed, 2 usage or configuration, 3 marks withheld (approve them with --approve), 4 changes pending (--dry-run --exit-code)")
        .mut_args(|arg| {
            let global = !run_only.contains(&arg.get_id().as_str());
            set_to_nothing(arg).hide_env_values(true).global(global)
        })
}

/// A variable that is set to nothing says nothing.
#[expect(clippy::disallowed_methods, reason = "the environment enters through the flags, here")]
fn set_to_nothing(arg: Arg) -> Arg {
    let empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    if empty { arg.env(None::<&'static str>) } else { arg }
}

impl<F: clap::Args> Args<F> {
    /// The command line in `words`, the program's name first.
    ///
    /// # Errors
    /// What is wrong with it, or the help or version that was asked for.
    pub fn parse_from<A: App<Flags = F>>(
        words: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, clap::Error> {
        let mut command = command::<A>();
        let matches = command.try_get_matches_from_mut(words)?;
        let args = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        match args.run.contradiction().filter(|_| args.command.is_none()) {
            None => Ok(args),
            Some(why) => Err(command.error(clap::error::ErrorKind::ArgumentConflict, why)),
        }
    }
}

impl Run {
    /// Flags that mean nothing without another one: said rather than ignored.
    const fn contradiction(&self) -> Option<&'static str> {
        match self {
            Self { once: false, dry_run: true, .. } => {
                Some("--dry-run goes with --once: give both")
            }
            Self { once: false, approve: Some(_), .. } => {
                Some("--approve goes with --once: give both; a running daemon may go on meanwhile")
            }
            Self { once: false, output: Some(_), .. } => {
                Some("--output goes with --once: give both")
            }
            Self { exit_code: true, dry_run: false, .. } => {
                Some("--exit-code goes with --once --dry-run: give all three")
            }
            _ => None,
        }
    }
}
