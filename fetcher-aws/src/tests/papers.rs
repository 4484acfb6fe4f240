//! What is written for people, held to what the program is: the README's reference, the examples, the IAM policies.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

const README: &str = include_str!("../../README.md");
const EXAMPLES: [&str; 2] = [
    include_str!("../../../deploy/examples/aws.yaml"),
    include_str!("../../../deploy/examples/aws-all-regions.yaml"),
];
const INVENTORY: &str = include_str!("../../../deploy/examples/aws-iam/inventory-policy.json");
const TRUST: &str = include_str!("../../../deploy/examples/aws-iam/inventory-trust.json");
const FETCHER: &str = include_str!("../../../deploy/examples/aws-iam/fetcher-policy.json");

/// Every key of the schema, wherever it stands.
fn keys(schema: &Value, into: &mut BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::Object(properties)) = map.get("properties") {
                into.extend(properties.keys().cloned());
            }
            map.values().for_each(|value| keys(value, into));
        }
        Value::Array(list) => list.iter().for_each(|value| keys(value, into)),
        _ => {}
    }
}

#[test]
fn every_key_of_the_configuration_is_in_the_readme() {
    let mut all = BTreeSet::new();
    keys(&serde_json::to_value(schemars::schema_for!(Section)).unwrap(), &mut all);
    assert!(all.len() > 20, "{all:?}");
    let (_, reference) = README.split_once("| key | default | meaning |").unwrap();
    let (reference, _) = reference.split_once("\n\n").unwrap();
    // The core's own keys of `gone` and `expect` are explained where they are the instance's.
    for key in all.iter().filter(|key| !["maxFraction", "floor", "ids", "min"].contains(&&***key)) {
        let words = ["`{}`", ".{}`", "`{}[]`", "`{}."].map(|word| word.replace("{}", key));
        assert!(
            words.iter().any(|word| reference.contains(word.as_str())),
            "`{key}` is not in the README"
        );
    }
}

#[test]
fn every_fact_of_the_selector_is_in_the_readme() {
    for fact in crate::map::FACTS {
        assert!(README.contains(&format!("`@{fact}`")), "@{fact}");
    }
}

#[test]
fn the_examples_are_configurations() {
    for text in EXAMPLES {
        let file: Value = serde_saphyr::from_str(text).unwrap();
        let section: Section = serde_json::from_value(file["aws"].clone()).unwrap();
        config::fleet(section, &Flags::default()).unwrap();
    }
}

fn statement(policy: &str) -> Value {
    let policy: Value = serde_json::from_str(policy).unwrap();
    assert_eq!(policy["Version"], "2012-10-17");
    let [statement] = policy["Statement"].as_array().unwrap().as_slice() else { panic!() };
    assert_eq!(statement["Effect"], "Allow");
    statement.clone()
}

#[test]
fn the_policies_allow_what_is_called_and_no_more() {
    let actions = statement(INVENTORY)["Action"].clone();
    let actions: BTreeSet<&str> =
        actions.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let called = [crate::list::ACTION, crate::types::ACTION, crate::discover::REGIONS];
    assert_eq!(actions, BTreeSet::from(called));
    for action in called {
        assert!(README.contains(&format!("| `{action}` |")), "{action}");
    }
    assert_eq!(statement(TRUST)["Action"], "sts:AssumeRole");
    assert_eq!(statement(FETCHER)["Action"], "sts:AssumeRole");
    for policy in [INVENTORY, TRUST, FETCHER] {
        assert!(README.contains(policy), "the README shows another policy than {policy}");
    }
}

#[test]
fn the_policies_are_about_the_roles_of_the_example() {
    let file: Value = serde_saphyr::from_str(EXAMPLES[0]).unwrap();
    let accounts = file["aws"]["accounts"].as_array().unwrap();
    let roles: Vec<&Value> = accounts.iter().map(|account| &account["roleArn"]).collect();
    let allowed = statement(FETCHER)["Resource"].clone();
    assert_eq!(allowed.as_array().unwrap().iter().collect::<Vec<_>>(), roles);
    let external = &statement(TRUST)["Condition"]["StringEquals"]["sts:ExternalId"];
    assert!(accounts.iter().all(|account| account["externalId"] == *external));
}
