//! The engine of the fetcher fleet: it brings a store of Hosts in line with what providers list.
//!
//! In the order data flows: a [`provider`] lists [`machine`]s, a [`selector`] keeps the wanted ones.

pub mod app;
pub mod config;
pub mod machine;
mod naming;
pub mod provider;
pub mod selector;
