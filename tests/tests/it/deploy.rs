//! What holds for all of `deploy/`: every file has its check, the packages hold the files that belong in them, and what no
//! test runs is at least judged. Packages and images themselves: `tests/deploy`, which needs root and minutes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use fetcher_tests::fetcher::Fetcher;
use fetcher_tests::pki::Authority;
use fetcher_tests::programs::{checkout, python};
use serde_json::Value;

const PROVIDERS: [&str; 4] = ["aws", "baremetal", "cloudforms", "packet"];

/// Every file under a folder, by its path from there.
fn files(folder: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(inner) = folders.pop() {
        for entry in std::fs::read_dir(folder.join(&inner))? {
            let entry = entry?;
            let path = inner.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.to_str().context("a name that is no text")?.to_owned());
            }
        }
    }
    Ok(found)
}

/// What stands between back quotes, in the cells of the table's rows.
fn cells(text: &str) -> Vec<Vec<Vec<&str>>> {
    let rows = text.lines().filter(|line| line.starts_with('|') && line.contains('`'));
    let quoted =
        rows.map(|row| row.split('|').skip(1).map(|cell| cell.split('`').skip(1).step_by(2)));
    quoted.map(|row| row.map(Iterator::collect).collect()).collect()
}

/// Whether a path is meant by a pattern: the path itself, or with `*` for a part of a name.
fn is_meant(path: &str, pattern: &str) -> bool {
    let Some((begin, end)) = pattern.split_once('*') else { return path == pattern };
    let middle = path.strip_prefix(begin).and_then(|rest| rest.strip_suffix(end));
    middle.is_some_and(|middle| !middle.contains('/'))
}

#[test]
fn every_file_stands_in_the_readme_with_its_check() -> Result<()> {
    let readme = std::fs::read_to_string(checkout("deploy/README.md"))?;
    let files = files(&checkout("deploy"))?;
    let rows = cells(&readme);
    let patterns: Vec<&str> =
        rows.iter().filter_map(|row| row.first()).flatten().copied().collect();
    let unnamed: Vec<_> = files
        .iter()
        .filter(|file| !file.ends_with("README.md"))
        .filter(|file| !patterns.iter().any(|pattern| is_meant(file, pattern)))
        .collect();
    assert!(unnamed.is_empty(), "no row of deploy/README.md names {unnamed:?}");
    for pattern in patterns {
        assert!(files.iter().any(|file| is_meant(file, pattern)), "there is no file {pattern}");
    }
    for check in rows.iter().filter_map(|row| row.get(1)).flatten() {
        assert!(checkout(check).exists(), "there is no check {check}");
    }
    Ok(())
}

#[test]
fn the_containerfile_is_clean() -> Result<()> {
    let hadolint = python("lint", "hadolint")?;
    let ran = Command::new(hadolint).arg(checkout("deploy/container/Containerfile")).output()?;
    let said = [ran.stdout, ran.stderr].concat();
    ensure!(ran.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
    Ok(())
}

#[test]
fn every_script_can_be_read_by_its_shell() -> Result<()> {
    for folder in ["deploy", "tests/deploy", "tests/setup"] {
        let folder = checkout(folder);
        for file in files(&folder)? {
            let Ok(text) = std::fs::read_to_string(folder.join(&file)) else { continue };
            let shell = match text.lines().next() {
                Some(line) if line.ends_with("bash") => "bash",
                Some("#!/bin/sh") => "sh",
                _ => continue,
            };
            let ran = Command::new(shell).arg("-n").arg(folder.join(&file)).output()?;
            ensure!(ran.status.success(), "{file}: {}", String::from_utf8_lossy(&ran.stderr));
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_example_is_a_configuration_that_its_binary_takes() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let authority = Authority::create(dir.path(), "somebody")?.certificate;
    let examples = checkout("deploy/examples");
    let configurations = files(&examples)?;
    let configurations =
        configurations.iter().filter(|file| file.ends_with(".yaml") && *file != "machines.yaml");
    let authority = authority.display().to_string();
    for file in configurations {
        let text = std::fs::read_to_string(examples.join(file))?;
        let document: Value = serde_saphyr::from_str(&text)?;
        let provider = PROVIDERS.iter().find(|provider| document.get(provider).is_some());
        let provider = provider.with_context(|| format!("{file} is of no provider"))?;
        // The one file that is read before anybody is asked.
        let place = dir.path().join(file);
        let ours = text.replace("/etc/fetcher/cloudforms-ca.pem", &authority);
        std::fs::write(&place, ours.replace("/etc/fetcher/ca.pem", &authority))?;
        // Without credentials nobody is asked.
        let fetcher = Fetcher::new(&format!("fetcher-{provider}"), dir.path())?;
        let fetcher = fetcher.env("AWS_EC2_METADATA_DISABLED", "true");
        let ran = fetcher.run(&["check", "--config", &place.display().to_string()]).await?;
        assert!(ran.stdout.contains(&format!("{file} can be used")), "{ran:?}");
    }
    Ok(())
}

#[test]
fn every_credential_in_an_example_is_loaded_by_its_unit() -> Result<()> {
    let deploy = checkout("deploy");
    let mut named = 0;
    for file in files(&deploy)?.iter().filter(|file| file.ends_with(".yaml")) {
        let text = std::fs::read_to_string(deploy.join(file))?;
        for place in text.split("/run/credentials/").skip(1) {
            let place = place.split([' ', '}', '\n', '"', '\'']).next().unwrap_or_default();
            let (unit, name) = place.split_once('/').with_context(|| format!("{file}: {place}"))?;
            let loaded = std::fs::read_to_string(deploy.join("systemd").join(unit))
                .with_context(|| format!("{file} names {unit}"))?;
            let load = format!("LoadCredential={name}:");
            ensure!(
                loaded.lines().any(|line| line.starts_with(&load)),
                "{file} names the credential {name}, which {unit} does not load"
            );
            named += 1;
        }
    }
    ensure!(named > 5, "{named} credentials in all examples: are they looked for where they are?");
    Ok(())
}

/// What `[package.metadata.deb]` of a crate says.
fn package(provider: &str) -> Result<Value> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1", "--manifest-path"])
        .arg(checkout("Cargo.toml"))
        .output()?;
    ensure!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout)?;
    let name = format!("fetcher-{provider}");
    let packages = metadata["packages"].as_array().context("no packages")?;
    let package = packages.iter().find(|package| package["name"] == name).context(name)?;
    Ok(package["metadata"]["deb"].clone())
}

#[test]
fn a_package_holds_the_binary_its_units_and_its_words() -> Result<()> {
    for provider in PROVIDERS {
        let package = package(provider)?;
        let home = checkout(&format!("fetcher-{provider}"));
        let mut sources = BTreeSet::new();
        for asset in package["assets"].as_array().context("no assets")? {
            let source = asset[0].as_str().context("no source")?;
            if !source.starts_with("target/") {
                ensure!(home.join(source).is_file(), "fetcher-{provider}: there is no {source}");
            }
            sources.insert(source.to_owned());
        }
        let binary = format!("target/release/fetcher-{provider}");
        assert!(sources.contains(&binary) && sources.contains("README.md"), "{sources:?}");
        let units = files(&checkout("deploy/systemd"))?;
        for unit in units.iter().filter(|unit| unit.starts_with(&format!("fetcher-{provider}"))) {
            assert!(
                sources.contains(&format!("../deploy/systemd/{unit}")),
                "{unit} is in no package"
            );
        }
        let scripts = home.join(package["maintainer-scripts"].as_str().context("no scripts")?);
        assert_eq!(files(&scripts)?.len(), 3, "postinst, prerm, postrm");
    }
    Ok(())
}
