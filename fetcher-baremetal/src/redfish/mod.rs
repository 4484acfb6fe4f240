//! Sources of kind `redfish`: the systems behind each of a list of BMCs or aggregators.
//!
//! Each endpoint is a source of its own: one that does not answer is a failed source, never a gone host. A BMC
//! is a slow computer with few sessions and a lock on its accounts; what is asked of it is bounded accordingly.

mod api;
mod auth;
mod config;
mod map;
mod member;
#[doc(hidden)]
pub mod recorded;
mod session;
mod source;
#[cfg(test)]
mod tests;
mod wire;

pub use config::Config;
pub(crate) use source::Redfish;
