//! Sources of kind `ironic`: the nodes of one `OpenStack` Ironic.
//!
//! Ironic knows no tags, no rack and no address of the operating system: where its operators keep those is
//! configured by [`place::Place`]s. Nothing is pushed down; the list is whole or an error.

mod api;
mod auth;
mod config;
mod map;
mod place;
#[doc(hidden)]
pub mod recorded;
mod source;
#[cfg(test)]
mod tests;
mod wire;

pub use config::Config;
pub(crate) use source::Ironic;
