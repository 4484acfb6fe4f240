//! The test bed: a real control plane, provider servers, and what the suites in `tests/it` need to use them.
//!
//! Everything listens on loopback, on a free port, and ends with the test, however the test ends: what is started
//! hangs on a pipe from the test process (`leash`, and the binary `plane`). Nothing here is part of a fetcher.
//!
//! A test usually begins with `Plane::shared()` and `plane.namespace("what-it-tests")`, runs a `Fetcher` with the
//! namespace's kubeconfig, and looks with `kubectl` or a client and in the `Audit` at what happened.

pub mod programs;
pub mod unit;

pub mod kubeconfig;
pub mod pki;

pub mod control_plane;
pub mod plane;

pub mod audit;
pub mod kubectl;
pub mod namespace;

pub mod fetcher;
pub mod leash;
pub mod poll;
pub mod ports;
pub mod proxy;
pub mod servers;
pub mod store_contract;

pub mod bench;
pub mod conformance;
pub mod fake_bmc;
pub mod fake_cloudforms;
pub mod fake_ec2;
pub mod fake_ec2_world;
pub mod fake_faults;
pub mod fake_ironic;
pub mod fake_maas;
pub mod fake_netbox;
pub mod fake_packet;

pub mod memory;
pub mod world;
