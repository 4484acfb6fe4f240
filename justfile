# The recipes of the house; `just` alone lists them. Those of CI are in .ci/run.

[private]
default:
    @just --list

# Format everything.
fmt:
    cargo fmt --all

# Format and lints, as CI checks them.
lint:
    cargo fmt --all -- --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# All tests, or those that the arguments of cargo test choose.
test *ARGS:
    tests/run.sh {{ARGS}}

# The tests that need no server.
unit:
    cargo test --workspace --lib

# Everything that CI runs.
ci:
    bash .ci/run

# Each crate on its own: finds a feature that only another crate switches on.
each:
    for crate in fetcher-core fetcher-aws fetcher-baremetal fetcher-cloudforms fetcher-packet fetcher-tests; do cargo check -p $crate --all-targets || exit 1; done

# The CRD, from the Rust types.
generate:
    cargo run -q -p fetcher-core --bin crdgen > deploy/crds/hosts.yaml

# Licences, sources, advisories and doubled crates (wants cargo-deny: cargo install --locked cargo-deny).
deny:
    cargo deny check

# Dependencies that nothing uses (wants cargo-machete: cargo install --locked cargo-machete).
machete:
    cargo machete

# What a fetcher costs at a real apiserver, beside the least it could: just bench 10000 7 --only create
bench MACHINES="10000" PAIRS="7" *ARGS:
    cargo build --release -q --workspace --bins
    {{CARGO_TARGET_DIR}}/release/bench --machines {{MACHINES}} --pairs {{PAIRS}} {{ARGS}}

# A thousand BMCs, some slow, silent or dead: time, calls and memory of each round; fails if memory is not flat.
bmcs BMCS="1000" ROUNDS="10":
    cargo run --release -q -p fetcher-tests --bin provider-load -- redfish {{BMCS}} {{ROUNDS}}

# A control plane to play with, until Ctrl-D; its kubeconfig is in the line it prints.
plane:
    cargo run -q -p fetcher-tests --bin plane

# Run a fetcher: just run baremetal --once --file machines.yaml
run PROVIDER *ARGS:
    cargo run -q -p fetcher-{{PROVIDER}} -- {{ARGS}}

# deploy/systemd in a booted systemd (root, Debian; ten minutes, DOWN=20 for four).
systemd:
    tests/deploy/systemd.sh

# The whole story once: control plane, a data centre that joins, its fetcher, a machine that goes and comes back.
story:
    tests/story.sh

# What a control plane needs for 1,000, 10,000 and 50,000 Hosts (minutes): the table in deploy/control-plane/README.md.
sizing *HOSTS:
    tests/benches/sizing.sh {{HOSTS}}

# The images of deploy/container, built and run (root, Debian; FETCHER_BIN=FOLDER for release binaries).
container:
    tests/deploy/container.sh

# The Debian packages: made, installed, configured, upgraded, purged (root, Debian).
packages:
    tests/deploy/packages.sh

# Size and start-up of the binaries that packages and images hold.
size:
    python3 tests/deploy/sizes.py "$(deploy/build.sh)"
