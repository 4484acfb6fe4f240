//! fetcher-cloudforms: the VMs of CloudForms and ManageIQ appliances for the host inventory.
//!
//! In the order data flows: `config` says what to ask, `provider` asks with a `session`, `push_down` narrows what is
//! asked for, a `collection` is read whole by `paging`, `api` is the wire, `map` makes machines of it, `freshness` says
//! how old they are.

mod api;
mod collection;
pub mod config;
mod freshness;
mod map;
mod paging;
pub mod provider;
mod push_down;
#[doc(hidden)]
pub mod recorded;
mod session;

#[cfg(test)]
#[allow(unreachable_pub, dead_code, reason = "the test bed is shared between crates")]
#[path = "../../tests/src/fake_cloudforms.rs"]
mod fake_cloudforms;
#[cfg(test)]
#[allow(unreachable_pub, dead_code, reason = "the test bed is shared between crates")]
#[path = "../../tests/src/fake_faults.rs"]
mod fake_faults;

use fetcher_core::app::{App, InvalidConfig};

/// fetcher-cloudforms as a program.
#[derive(Debug)]
pub struct Cloudforms;

impl App for Cloudforms {
    const NAME: &'static str = provider::NAME;
    const ABOUT: &'static str =
        "Brings the VMs of CloudForms (ManageIQ) appliances into the host inventory";
    const FACTS: &'static [&'static str] = map::FACTS;

    type Section = config::Section;
    type Flags = config::Flags;
    type Provider = provider::Cloudforms;

    fn build(section: Self::Section, flags: Self::Flags) -> Result<Self::Provider, InvalidConfig> {
        provider::Cloudforms::new(config::appliances(section, flags)?)
    }
}
