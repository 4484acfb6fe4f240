//! The engine of the fetcher fleet: it brings a store of Hosts in line with what providers list.
//!
//! In the order data flows: a [`provider`] lists [`machine`]s, a [`selector`] keeps the wanted ones, [`desired`] makes
//! them Hosts, [`decide`] compares them with what is [`observed`], and the [`store`] is brought in line.

pub mod app;
pub mod config;
pub mod decide;
pub mod desired;
pub mod digest;
#[expect(
    unreachable_pub,
    clippy::duplicated_attributes,
    reason = "what the derive of kube makes of HostSpec and its columns"
)]
pub mod host;
pub mod http;
pub mod machine;
mod naming;
pub mod observed;
pub mod printable;
pub mod provider;
pub mod report;
pub mod schema;
pub mod secret;
pub mod selector;
pub mod store;
