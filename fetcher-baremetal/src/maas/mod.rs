//! Sources of kind `maas`: the machines of one Canonical MAAS.
//!
//! One call lists everything, without pages and without a choice of fields: it is slow and heavy, and whole.

mod api;
mod auth;
mod config;
mod map;
#[doc(hidden)]
pub mod recorded;
mod source;
#[cfg(test)]
mod tests;
mod wire;

pub use config::Config;
pub(crate) use source::Maas;
