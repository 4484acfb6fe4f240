//! The READMEs against the code: every key of a crate's configuration is described in its README.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use fetcher_core::app::App;
use fetcher_core::config::schema;
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
