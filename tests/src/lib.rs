//! tests

pub mod fake_cloudforms;
pub mod fake_faults;
pub mod fake_packet;
