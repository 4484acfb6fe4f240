//! fetcher-packet: the devices of a Packet (Equinix Metal) API for the host inventory.
//!
//! In the order data flows: `config` says what to ask, `provider` asks, `answer` says what an answer means,
//! `api` is the wire, `paging` knows when a list is whole, `map` makes machines of it.

mod answer;
mod api;
pub mod config;
mod map;
mod paging;
pub mod provider;
#[doc(hidden)]
pub mod recorded;

#[cfg(test)]
#[allow(unreachable_pub, dead_code, reason = "the test bed is shared between crates")]
#[path = "../../tests/src/fake_faults.rs"]
mod fake_faults;
#[cfg(test)]
#[allow(unreachable_pub, dead_code, reason = "the test bed is shared between crates")]
#[path = "../../tests/src/fake_packet.rs"]
mod fake_packet;

use fetcher_core::app::{App, InvalidConfig};

/// fetcher-packet as a program.
#[derive(Debug)]
pub struct Packet;

impl App for Packet {
    const NAME: &'static str = provider::NAME;
    const ABOUT: &'static str =
        "Brings the devices of a Packet (Equinix Metal) API into the host inventory";
    const FACTS: &'static [&'static str] = map::FACTS;

    type Section = config::Section;
    type Flags = config::Flags;
    type Provider = provider::Packet;

    fn build(section: Self::Section, flags: Self::Flags) -> Result<Self::Provider, InvalidConfig> {
        provider::Packet::new(config::Config::new(section, flags)?)
    }
}
