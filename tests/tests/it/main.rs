//! The suites that need more than one crate, or a real server. One binary, so that they share one control plane.

mod plane;
mod rbac;
mod servers;
mod store_kube;
mod watch;
