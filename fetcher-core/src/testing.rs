//! A provider as small as one can be, for the tests of what is around providers.
//!
//! It lists the machines it is told to; not a model of any real provider.

use crate::app::{App, InvalidConfig};
use crate::machine::{Source, Text};
use crate::provider::{Discovery, Fetch, FetchError, Listing, Lookup, Provider};

/// The app of [`ToyProvider`].
#[derive(Debug)]
pub(crate) struct Toy;

/// Its section.
#[derive(Debug, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Section {
    /// How many machines it has.
    pub(crate) size: usize,
}

/// Its flags.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Flags {
    /// How many machines it has
    #[arg(long, env = "FETCHER_SIZE")]
    pub(crate) size: Option<usize>,
}

/// A provider without sources.
#[derive(Debug)]
pub(crate) struct ToyProvider;

impl App for Toy {
    const NAME: &'static str = "toy";
    const ABOUT: &'static str = "Brings toys into the host inventory";
    const FACTS: &'static [&'static str] = &["colour"];

    type Section = Section;
    type Flags = Flags;
    type Provider = ToyProvider;

    fn build(_: Section, _: Flags) -> Result<ToyProvider, InvalidConfig> {
        Ok(ToyProvider)
    }
}

impl Provider for ToyProvider {
    fn name(&self) -> &'static str {
        Toy::NAME
    }

    async fn sources(&self) -> Result<Discovery, FetchError> {
        Ok(Discovery::default())
    }

    async fn fetch(&self, _: Fetch<'_>) -> Result<Listing, FetchError> {
        Ok(Listing::default())
    }

    async fn lookup(&self, _: &Source, _: &[Text]) -> Result<Lookup, FetchError> {
        Ok(Lookup::Unsupported)
    }
}
