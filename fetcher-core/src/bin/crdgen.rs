//! Prints the CRD of Host, generated from the Rust types: `cargo run -p fetcher-core --bin crdgen > deploy/crds/hosts.yaml`.

use std::io::Write;

fn main() -> anyhow::Result<()> {
    let yaml = fetcher_core::host::crd_yaml()?;
    Ok(std::io::stdout().write_all(yaml.as_bytes())?)
}
