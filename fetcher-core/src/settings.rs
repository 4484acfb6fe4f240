//! What holds for this run: the file, the flags that win over it, and what holds where both are silent.
//!
//! Pure: nothing is read or asked here.

use std::net::SocketAddr;
use std::path::Path;

use crate::app::{App, InvalidConfig};
use crate::args::{Args, Common, StoreFlag};
use crate::brake::Policy;
use crate::config::{Concurrency, Config, FileConfig, Log, StoreConfig};
use crate::desired::Style;
use crate::naming::is_label_name;
use crate::schedule::Schedule;
use crate::selector::{FACTS, Selector};
use crate::store::kube::KubernetesConfig;

#[cfg(test)]
mod tests;

/// All that the core needs to know of a run.
#[derive(Debug)]
pub struct Settings {
    /// When rounds begin.
    pub schedule: Schedule,
    /// Which machines are wanted.
    pub selector: Selector,
    /// Where the Hosts are kept.
    pub store: StoreConfig,
    /// Which tags become labels.
    pub style: Style,
    /// The brake.
    pub policy: Policy,
    /// How many sources are worked on at once.
    pub concurrency: Concurrency,
    /// Where metrics and probes are served.
    pub listen: Option<SocketAddr>,
}

impl Settings {
    /// The settings of this file under these flags, and the provider's section that is left of the file.
    ///
    /// # Errors
    /// What does not hold together, naming the key and the remedy.
    pub fn new<A: App>(
        config: Config<A>,
        flags: &Common,
    ) -> Result<(Self, A::Section), InvalidConfig> {
        let store = store(config.store, flags)?;
        let selector = flags.selector.clone().or(config.selector);
        let selector = match (selector, &store) {
            (Some(selector), _) => selector,
            (None, StoreConfig::File(_)) => Selector::default(),
            (None, StoreConfig::Kubernetes(_)) => {
                return invalid(
                    "selector is missing: the Kubernetes store wants it spelled out; `selector: \"\"` selects every machine",
                );
            }
        };
        known_facts::<A>(&selector)?;
        let settings = Self {
            schedule: config.schedule.unwrap_or_default(),
            selector,
            store,
            style: style(&config.labels.tags)?,
            policy: config.gone,
            concurrency: config.concurrency,
            listen: config.listen,
        };
        Ok((settings, config.section.unwrap_or_default()))
    }
}

/// What goes to standard error: flags before file before `quiet`, the level where nobody says one.
#[must_use]
pub fn log(file: Option<Log>, flags: &Common, quiet: Log) -> Log {
    let file = file.unwrap_or(quiet);
    Log {
        format: flags.log_format.unwrap_or(file.format),
        level: flags.log_level.unwrap_or(file.level),
    }
}

/// The settings, provider and log of a command line, its file read.
///
/// # Errors
/// What the file or the flags get wrong.
pub fn load<A: App>(path: Option<&Path>) -> Result<Config<A>, InvalidConfig> {
    path.map_or_else(|| Ok(Config::default()), crate::config::load)
}

fn store(file: Option<StoreConfig>, flags: &Common) -> Result<StoreConfig, InvalidConfig> {
    let store = match (&flags.store, file) {
        (None, file) => file.unwrap_or_default(),
        (Some(StoreFlag::File(path)), _) => StoreConfig::File(FileConfig { path: path.clone() }),
        (Some(StoreFlag::Kubernetes { context: None, namespace }), file) => {
            let rest = match file {
                Some(StoreConfig::Kubernetes(config)) => *config,
                Some(StoreConfig::File(_)) | None => KubernetesConfig::default(),
            };
            let namespace = namespace.clone();
            StoreConfig::Kubernetes(Box::new(KubernetesConfig { namespace, ..rest }))
        }
        (Some(StoreFlag::Kubernetes { context: Some(context), namespace }), _) => {
            let Some(kubeconfig) = flags.kubeconfig.clone() else {
                return invalid(
                    "--store names a context: give the kubeconfig it stands in with --kubeconfig",
                );
            };
            StoreConfig::Kubernetes(Box::new(KubernetesConfig {
                namespace: namespace.clone(),
                kubeconfig: Some(kubeconfig),
                context: Some(context.clone()),
                ..KubernetesConfig::default()
            }))
        }
    };
    let store = match &flags.kubeconfig {
        Some(kubeconfig) => by_kubeconfig(store, kubeconfig)?,
        None => store,
    };
    match &store {
        StoreConfig::Kubernetes(config) => config.validate()?,
        StoreConfig::File(config) if config.path.as_os_str().is_empty() => {
            return invalid("store.file.path is empty: give a file, like inventory.json");
        }
        StoreConfig::File(_) => {}
    }
    Ok(store)
}

/// The store with the kubeconfig of the flag in place of its own; refused where it has none, because Hosts would go
/// elsewhere than its user thinks.
fn by_kubeconfig(store: StoreConfig, kubeconfig: &Path) -> Result<StoreConfig, InvalidConfig> {
    let goes = match store {
        StoreConfig::Kubernetes(config) if config.kubeconfig.is_some() => {
            let kubeconfig = Some(kubeconfig.to_owned());
            return Ok(StoreConfig::Kubernetes(Box::new(KubernetesConfig {
                kubeconfig,
                ..*config
            })));
        }
        StoreConfig::Kubernetes(config) => match &config.server {
            Some(server) => format!("to the server {server} of the configuration"),
            None => "to the cluster this runs in".to_owned(),
        },
        StoreConfig::File(config) => format!("into the file {}", config.path.display()),
    };
    invalid(format!(
        "--kubeconfig is given, and Hosts go {goes}: add --store kubernetes:CONTEXT/NAMESPACE, or leave out --kubeconfig (and FETCHER_KUBECONFIG)"
    ))
}

fn known_facts<A: App>(selector: &Selector) -> Result<(), InvalidConfig> {
    let Some(unknown) = selector.unknown_facts(A::FACTS).next() else { return Ok(()) };
    let mut known: Vec<_> = FACTS.iter().chain(A::FACTS).map(|fact| format!("@{fact}")).collect();
    known.sort();
    invalid(format!(
        "selector asks for @{unknown}, which no machine of {} has: known are {}",
        A::NAME,
        known.join(", ")
    ))
}

fn style(tags: &[String]) -> Result<Style, InvalidConfig> {
    match tags.iter().find(|tag| !is_label_name(tag)) {
        None => Ok(Style { label_tags: tags.iter().map(|tag| tag.as_str().into()).collect() }),
        Some(tag) => invalid(format!(
            "labels.tags: {tag:?} can be no label key (letters, digits, `-`, `_` and `.`, at most 63): leave it out, the tag stands in status.tags all the same"
        )),
    }
}

fn invalid<T>(message: impl Into<String>) -> Result<T, InvalidConfig> {
    Err(InvalidConfig(message.into()))
}

impl<F: clap::Args> Args<F> {
    /// The level of lines on standard error where nobody says one: a person who runs `--once` reads the outcome.
    #[must_use]
    pub fn quiet(&self, terminal: bool) -> Log {
        use crate::config::LogLevel;
        let level = if self.run.once && terminal { LogLevel::Warn } else { LogLevel::Info };
        Log { level, ..Log::default() }
    }
}
