//! The documents against the code: every key of a crate's configuration is described in its README, and links lead somewhere.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use fetcher_core::app::App;
use fetcher_core::config::schema;
use fetcher_tests::programs::checkout;
use serde_json::Value;

/// Adds the keys of all objects that this part of `document` describes, its references followed.
fn keys(document: &Value, part: &Value, all: &mut BTreeSet<String>, seen: &mut BTreeSet<String>) {
    match part {
        Value::Object(object) => {
            let named = object.get("properties").and_then(Value::as_object);
            all.extend(named.into_iter().flat_map(|named| named.keys().cloned()));
            object.values().for_each(|value| keys(document, value, all, seen));
        }
        Value::Array(values) => values.iter().for_each(|value| keys(document, value, all, seen)),
        Value::String(text) => {
            if let Some(at) = text.strip_prefix('#')
                && seen.insert(text.clone())
                && let Some(part) = document.pointer(at)
            {
                keys(document, part, all, seen);
            }
        }
        _ => {}
    }
}

/// The keys of the section of `A` that its README names nowhere in code.
fn undescribed<A: App>(readme: &str) -> Result<Vec<String>> {
    let document = schema::<A>().to_value();
    let (mut all, mut seen) = Default::default();
    keys(&document, &document["properties"][A::NAME], &mut all, &mut seen);
    ensure!(all.len() > 5, "no keys in the schema of {}", A::NAME);
    let is_inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let code: Vec<&str> = readme.split('`').skip(1).step_by(2).collect();
    let is_said = |key: &str| code.iter().any(|it| it.split(|c| !is_inner(c)).any(|w| w == key));
    Ok(all.into_iter().filter(|key| !is_said(key)).collect())
}

#[test]
fn every_key_of_the_configuration_is_in_the_readme_of_its_crate() -> Result<()> {
    let none: Vec<String> = Vec::new();
    assert_eq!(
        undescribed::<fetcher_packet::Packet>(include_str!("../../../fetcher-packet/README.md"))?,
        none
    );
    assert_eq!(
        undescribed::<fetcher_cloudforms::Cloudforms>(include_str!(
            "../../../fetcher-cloudforms/README.md"
        ))?,
        none
    );
    assert_eq!(
        undescribed::<fetcher_baremetal::Baremetal>(include_str!(
            "../../../fetcher-baremetal/README.md"
        ))?,
        none
    );
    Ok(())
}

/// What `git` keeps of the checkout, so that nobody's leftovers count.
fn documents() -> Result<Vec<PathBuf>> {
    let root = checkout("");
    let listed = Command::new("git").arg("-C").arg(&root).args(["ls-files", "*.md"]).output()?;
    ensure!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    Ok(String::from_utf8(listed.stdout)?.lines().map(|path| root.join(path)).collect())
}

/// The anchors of a document's headings, as GitHub and GitLab make them.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    headings
        .map(|heading| heading.to_lowercase().chars().filter(kept).collect::<String>())
        .map(|heading| heading.replace(' ', "-"))
        .collect()
}

#[test]
fn every_link_between_documents_leads_somewhere() -> Result<()> {
    let documents = documents()?;
    let mut links = 0;
    for document in &documents {
        let text = std::fs::read_to_string(document)?;
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        for (target, _) in targets.filter(|(target, _)| !target.starts_with("http")) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = document.parent().context("no folder")?;
            let led = if path.is_empty() { document.clone() } else { folder.join(path) };
            ensure!(led.exists(), "{}: {target} leads nowhere", document.display());
            ensure!(
                anchor.is_empty()
                    || anchors(&std::fs::read_to_string(&led)?).contains(&anchor.to_owned()),
                "{}: there is no heading for {target}",
                document.display()
            );
            links += 1;
        }
    }
    assert!(documents.len() > 10 && links > 20, "{documents:?}: {links}");
    Ok(())
}
