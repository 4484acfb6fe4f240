//! The arrows between crates, as cargo builds them for this machine: what `deny.toml` says too, for machines without
//! cargo-deny.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Result, ensure};
use fetcher_tests::programs::checkout;

const PROVIDERS: [&str; 4] =
    ["fetcher-aws", "fetcher-baremetal", "fetcher-cloudforms", "fetcher-packet"];

/// The names of the packages that come with `package` outside its tests, down to that depth.
fn brings(package: &str, depth: &str) -> Result<BTreeSet<String>> {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--edges=normal,build",
            "--prefix=none",
            "--format={p}",
            "--depth",
            depth,
        ])
        .args(["--package", package, "--manifest-path"])
        .arg(checkout("Cargo.toml"))
        .output()?;
    ensure!(tree.status.success(), "cargo tree: {}", String::from_utf8_lossy(&tree.stderr));
    let lines = String::from_utf8(tree.stdout)?;
    Ok(lines.lines().skip(1).filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
}

#[test]
fn only_fetcher_aws_pays_for_the_aws_sdk() -> Result<()> {
    for package in PROVIDERS {
        assert_eq!(
            brings(package, "99")?.contains("aws-sdk-ec2"),
            package == "fetcher-aws",
            "{package}"
        );
    }
    Ok(())
}

#[test]
fn no_provider_knows_kube_or_another_provider_and_core_knows_none() -> Result<()> {
    let is_kube = |name: &str| name.starts_with("kube") || name == "k8s-openapi";
    for package in PROVIDERS.iter().chain(&["fetcher-core"]) {
        let mut uses = brings(package, "1")?;
        uses.retain(|name| {
            PROVIDERS.contains(&name.as_str()) || is_kube(name) && *package != "fetcher-core"
        });
        assert!(uses.is_empty(), "{package} uses {uses:?}");
    }
    Ok(())
}

#[test]
fn there_is_one_tls_stack_and_one_crypto_provider() -> Result<()> {
    for package in PROVIDERS {
        let brought = brings(package, "99")?;
        for other in ["ring", "openssl", "openssl-sys", "native-tls"] {
            assert!(!brought.contains(other), "{package} brings {other}");
        }
        assert!(
            brought.contains("aws-lc-rs"),
            "{package} brings no aws-lc-rs: this test looks at the wrong thing"
        );
    }
    Ok(())
}
