//! fetcher-aws: EC2 instances of many accounts and regions.
//!
//! Each account and region is a source. In the order data flows: [`config`] says which, `discover` finds their
//! ids and regions, `keys` sign for them (`homes` is where that is asked for), `clients` hold their sessions, `list` and `lookup` ask, `map` gives the answer its meaning.

mod check;
mod clients;
pub mod config;
mod discover;
mod errors;
mod filters;
mod homes;
mod keys;
mod list;
mod lookup;
mod map;
mod patience;
pub mod provider;
mod regions;
#[cfg(test)]
mod tests;
mod throttle;
mod types;
mod whole;

use fetcher_core::app::{App, InvalidConfig};

/// fetcher-aws as a program.
#[derive(Debug)]
pub struct Aws;

impl App for Aws {
    const NAME: &'static str = provider::NAME;
    const ABOUT: &'static str =
        "Brings EC2 instances of many accounts and regions into the host inventory";
    const FACTS: &'static [&'static str] = map::FACTS;

    type Section = config::Section;
    type Flags = config::Flags;
    type Provider = provider::Ec2;

    fn build(section: Self::Section, flags: Self::Flags) -> Result<Self::Provider, InvalidConfig> {
        config::fleet(section, &flags).map(provider::Ec2::new)
    }
}
