//! The engine of the fetcher fleet: it brings a store of Hosts in line with what providers list.
//!
//! In the order data flows: a [`provider`] lists [`machine`]s, a [`selector`] keeps the wanted ones, [`desired`] makes
//! them Hosts, [`plan`] compares them with what is [`observed`] by the truth table of [`decide`], [`confirm`] asks for a
//! second opinion on what is absent, [`brake`] lets it pass or not, [`apply`] writes to the [`store`], and the
//! [`report`] tells. A [`round`] is these steps in this order.

pub mod admin;
pub mod app;
pub mod apply;
pub mod approve;
pub mod args;
pub mod brake;
mod check;
pub mod clock;
pub mod config;
pub mod confirm;
pub mod contest;
pub mod daemon;
pub mod decide;
pub mod desired;
pub mod digest;
pub mod exit;
#[expect(
    unreachable_pub,
    clippy::duplicated_attributes,
    reason = "what the derive of kube makes of HostSpec and its columns"
)]
pub mod host;
pub mod http;
pub mod machine;
pub mod metrics;
mod naming;
pub mod observed;
pub mod output;
pub mod plan;
pub mod printable;
pub mod provider;
pub mod report;
pub mod round;
pub mod schedule;
pub mod schema;
pub mod secret;
pub mod selector;
pub mod settings;
pub mod store;
pub mod telemetry;
#[cfg(test)]
mod testing;
