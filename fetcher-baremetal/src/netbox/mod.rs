//! Sources of kind `netbox`: the devices, and if wanted the virtual machines, of one `NetBox`.
//!
//! `NetBox` is what people intend, not what runs: its status is not a power state. The server ignores query
//! parameters it does not know, so everything it filtered is checked again, and what it counted is counted.

mod api;
mod config;
mod map;
#[doc(hidden)]
pub mod recorded;
mod source;
#[cfg(test)]
mod tests;
mod wire;

pub use config::Config;
pub(crate) use source::NetBox;
