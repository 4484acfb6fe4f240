//! What a provider crate hands to the core to become a program: its name, its part of the configuration, its flags.
//!
//! Not the running of it: `daemon::main::<MyApp>()` does that, so that a provider's `main.rs` is one line.

use crate::provider::Provider;

/// A provider as a program.
pub trait App: 'static {
    /// The provider's word: the key of its section in the configuration, `spec.source.provider`, `fetcher-NAME`.
    const NAME: &'static str;
    /// One line for `--help`.
    const ABOUT: &'static str;
    /// The facts its machines have beside [`crate::selector::FACTS`], by their keys without `@`.
    const FACTS: &'static [&'static str];

    /// Its section of the configuration file; strict (`deny_unknown_fields`). The default is the one without a file.
    type Section: serde::de::DeserializeOwned + schemars::JsonSchema + Default + Send;
    /// Its own flags (`--region`, `--file`), each with an environment variable; they win over the section.
    type Flags: clap::Args + std::fmt::Debug + Send;
    /// What it runs.
    type Provider: Provider;

    /// The provider for this section and these flags. Touches files at the most, never the network.
    ///
    /// # Errors
    /// What the configuration gets wrong, naming the key and the remedy.
    fn build(section: Self::Section, flags: Self::Flags) -> Result<Self::Provider, InvalidConfig>;
}

/// A configuration that cannot be used: one sentence that names the key and the remedy, without secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidConfig(pub String);
