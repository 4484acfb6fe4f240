//! The suites that need more than one crate, or a real server. One binary, so that they share one control plane.

// The SDK's futures are nested deeply, and rounds and cases are around them.
#![recursion_limit = "256"]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy knows tests, but not the functions they share"
)]

mod architecture;
mod aws;
mod baremetal;
mod bench;
mod binary;
mod certificates;
mod check;
mod cloudforms;
mod conformance;
mod crash;
mod cuts;
mod deploy;
mod inventory;
mod ironic;
mod kustomize;
mod laws;
mod maas;
mod monitoring;
mod netbox;
mod packet;
mod pipelines;
mod plane;
mod rbac;
mod readme;
mod redfish;
mod scenarios;
mod servers;
mod service;
mod store_kube;
mod store_local;
mod story;
mod watch;
mod who_writes;
