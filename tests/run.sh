#!/usr/bin/env bash
# tests/run.sh [CARGO TEST ARGUMENTS]: all tests, on a machine that has Rust, Python 3 and a C compiler.
#
# Gets what is missing first (control plane, provider servers; cached outside the checkout), then builds the
# workspace's binaries, which `cargo test` would not do for other packages, then runs the tests.
# With arguments: tests/run.sh -p fetcher-tests --test it rbac
. "$(dirname "$0")/setup/lib.sh"
cd "$tests/.."

need cargo "the workspace is Rust" "rustup, then 'rustup default stable'"
need cc "some crates contain C" build-essential

say "Provider servers and control plane (cached in $cache)"
for server in moto ironic sushy-tools lint; do tests/setup/python.sh "$server" >/dev/null; done
tests/setup/control-plane.sh >/dev/null
tests/setup/prometheus.sh >/dev/null

# All targets, not the binaries alone: the tests' own dependencies switch on features, and the AWS SDK would be
# compiled once without them and once with.
cargo build --workspace --all-targets
cargo test --workspace "$@"
