//! Which fields of `status` a store keeps, as a tree: ours from the CRD, the served one from the apiserver.
//!
//! Not a validator. It serves two ends: a field that an older served CRD would prune is left out of what we want
//! (else every round would rewrite every Host), and a write replaces the fields we know and no others.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use kube::CustomResourceExt;
use serde_json::{Map, Value};

use crate::host::Host;

/// A node of the schema of `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    /// Fields with names we know.
    Fields(BTreeMap<String, Self>),
    /// A list of such.
    List(Box<Self>),
    /// Anything that is replaced as a whole: a text, a number, a map of texts.
    Leaf,
}

/// The fields of `status` that a store keeps, of those that we write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    fields: Node,
    missing: Vec<String>,
}

/// Fields of `status` that others write: never read, never replaced.
const FOREIGN: &[&str] = &["agent"];

static OURS: LazyLock<Node> = LazyLock::new(|| {
    let crd = serde_json::to_value(Host::crd()).unwrap_or_default();
    let mut node =
        node(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]);
    if let Node::Fields(fields) = &mut node {
        fields.retain(|name, _| !FOREIGN.contains(&name.as_str()));
    }
    node
});

impl Schema {
    /// All that this version of the fetcher writes.
    #[must_use]
    pub fn ours() -> Self {
        Self { fields: OURS.clone(), missing: Vec::new() }
    }

    /// What is left of ours at a server whose schema of `status` is this (OpenAPI v3, as served under
    /// `/openapi/v3/apis/inventory.fetcher.dev/v1`, `properties.status` of the Host).
    #[must_use]
    pub fn served(status: &Value) -> Self {
        let mut missing = Vec::new();
        let fields = both(&OURS, &node(status), "status", &mut missing);
        Self { fields, missing }
    }

    /// The paths that we would write and the server does not keep.
    #[must_use]
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// `status` without the fields that the server does not keep.
    #[must_use]
    pub fn keep(&self, status: Value) -> Value {
        if self.missing.is_empty() { status } else { keep(&self.fields, status) }
    }

    /// `old` with every field we know replaced by what `new` holds, or removed where `new` holds none. Fields
    /// unknown to us, `agent` and foreign conditions stay as they are.
    #[must_use]
    pub fn replace(&self, old: &Value, new: &Value) -> Value {
        replace(&self.fields, old, new)
    }
}

fn node(schema: &Value) -> Node {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        return Node::Fields(
            properties.iter().map(|(name, schema)| (name.clone(), node(schema))).collect(),
        );
    }
    match schema.get("items") {
        Some(items) => Node::List(Box::new(node(items))),
        None => Node::Leaf,
    }
}

fn both(ours: &Node, served: &Node, path: &str, missing: &mut Vec<String>) -> Node {
    match (ours, served) {
        (Node::Fields(ours), Node::Fields(served)) => Node::Fields(
            ours.iter()
                .filter_map(|(name, ours)| {
                    let path = format!("{path}.{name}");
                    let Some(served) = served.get(name) else {
                        missing.push(path);
                        return None;
                    };
                    Some((name.clone(), both(ours, served, &path, missing)))
                })
                .collect(),
        ),
        (Node::List(ours), Node::List(served)) => {
            Node::List(Box::new(both(ours, served, &format!("{path}[]"), missing)))
        }
        // A server that keeps unknown fields, or a kind that changed: what it does with it is its answer's to show.
        (ours, _) => ours.clone(),
    }
}

fn keep(node: &Node, value: Value) -> Value {
    match (node, value) {
        (Node::Fields(fields), Value::Object(object)) => Value::Object(
            object
                .into_iter()
                .filter_map(|(name, value)| {
                    let value = keep(fields.get(&name)?, value);
                    Some((name, value))
                })
                .collect(),
        ),
        (Node::List(item), Value::Array(list)) => {
            Value::Array(list.into_iter().map(|value| keep(item, value)).collect())
        }
        (_, value) => value,
    }
}

fn replace(node: &Node, old: &Value, new: &Value) -> Value {
    let (Node::Fields(fields), new) = (node, new) else {
        return new.clone();
    };
    let mut object = old.as_object().cloned().unwrap_or_default();
    let none = Map::new();
    let new = new.as_object().unwrap_or(&none);
    for (name, field) in fields {
        let before = object.get(name);
        let after = match (name.as_str(), new.get(name)) {
            ("conditions", after) => conditions(before, after),
            (_, Some(after)) if matches!(field, Node::Fields(_)) => {
                Some(replace(field, before.unwrap_or(&Value::Null), after))
            }
            (_, Some(after)) => Some(after.clone()),
            (_, None) => remainder(field, before),
        };
        match after {
            Some(after) => object.insert(name.clone(), after),
            None => object.remove(name),
        };
    }
    Value::Object(object)
}

/// What stays of a struct that we no longer write: the fields in it that are not ours.
fn remainder(field: &Node, before: Option<&Value>) -> Option<Value> {
    let before = before.filter(|before| before.is_object() && matches!(field, Node::Fields(_)))?;
    let rest = replace(field, before, &Value::Null);
    rest.as_object().is_some_and(|rest| !rest.is_empty()).then_some(rest)
}

/// Our one condition takes its place among those of others.
fn conditions(before: Option<&Value>, after: Option<&Value>) -> Option<Value> {
    let is_ours = |condition: &Value| condition["type"] == crate::host::PRESENT;
    let ours = after.and_then(Value::as_array).and_then(|list| list.iter().find(|c| is_ours(c)));
    let mut list = before.and_then(Value::as_array).cloned().unwrap_or_default();
    match (list.iter().position(is_ours), ours) {
        (Some(at), Some(ours)) => list[at] = ours.clone(),
        (None, Some(ours)) => list.push(ours.clone()),
        (Some(at), None) => drop(list.remove(at)),
        (None, None) => {}
    }
    (!list.is_empty()).then_some(Value::Array(list))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_write_replaces_our_fields_and_keeps_every_other() {
        let old = json!({
            "state": "Running", "hostname": "a", "agent": {"load": 1.50}, "future": [1, null],
            "hardware": {"cpus": 2, "tpm": "2.0"}, "os": {"name": "x"}, "location": {"planet": "earth", "zone": "a"},
            "conditions": [{"type": "Backup", "status": "True"}, {"type": "Present", "status": "True"}],
        });
        let new = json!({
            "state": "Gone", "hardware": {"model": "m"},
            "conditions": [{"type": "Present", "status": "False"}],
        });
        assert_eq!(
            Schema::ours().replace(&old, &new),
            json!({
                "state": "Gone", "agent": {"load": 1.50}, "future": [1, null],
                "hardware": {"model": "m", "tpm": "2.0"}, "location": {"planet": "earth"},
                "conditions": [{"type": "Backup", "status": "True"}, {"type": "Present", "status": "False"}],
            })
        );
    }

    #[test]
    fn a_field_that_the_server_does_not_know_is_named_and_left_out() {
        let mut crd = serde_json::to_value(Host::crd()).unwrap();
        let status =
            &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"];
        status["properties"].as_object_mut().unwrap().remove("facts");
        status["properties"]["hardware"]["properties"].as_object_mut().unwrap().remove("uuid");
        let schema = Schema::served(status);
        assert_eq!(schema.missing(), ["status.facts", "status.hardware.uuid"]);
        assert_eq!(
            schema.keep(json!({"facts": {"a": "b"}, "hardware": {"uuid": "u", "cpus": 1}})),
            json!({"hardware": {"cpus": 1}})
        );
    }

    #[test]
    fn nothing_is_missing_at_a_server_with_our_own_crd() {
        let crd = serde_json::to_value(Host::crd()).unwrap();
        let status =
            &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"];
        assert_eq!(Schema::served(status), Schema::ours());
    }
}
