//! What Ironic says, as far as it is read: nodes, ports, and its errors, which are JSON within JSON.
//!
//! Lenient where operators write (`extra`, `properties`), strict in what identity and state come from. No
//! `Debug` on a node: parts of it are free text that may hold secrets.

use serde::Deserialize;
use serde_json::Value;

use crate::normal::nullable;

/// A page of nodes.
#[derive(Deserialize)]
pub(super) struct Nodes {
    pub(super) nodes: Vec<Node>,
    /// Present exactly when the page was full. Only that is read of it: the link drops most filters, and its
    /// host is wrong behind a proxy.
    #[serde(default)]
    pub(super) next: Option<String>,
}

/// A page of ports.
#[derive(Deserialize)]
pub(super) struct Ports {
    pub(super) ports: Vec<Port>,
    #[serde(default)]
    pub(super) next: Option<String>,
}

/// A network port of a node.
#[derive(Deserialize)]
pub(super) struct Port {
    pub(super) uuid: String,
    #[serde(default)]
    pub(super) address: Option<String>,
    #[serde(default)]
    pub(super) node_uuid: Option<String>,
}

/// A node.
#[derive(Deserialize)]
pub(super) struct Node {
    pub(super) uuid: String,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) driver: Option<String>,
    #[serde(default)]
    pub(super) driver_info: Value,
    #[serde(default)]
    pub(super) provision_state: Option<String>,
    #[serde(default)]
    pub(super) provision_updated_at: Option<String>,
    #[serde(default)]
    pub(super) power_state: Option<String>,
    #[serde(default)]
    pub(super) instance_uuid: Option<String>,
    #[serde(default)]
    pub(super) instance_info: Value,
    #[serde(default)]
    pub(super) properties: Value,
    #[serde(default)]
    pub(super) resource_class: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) traits: Vec<String>,
    #[serde(default)]
    pub(super) owner: Option<String>,
    #[serde(default)]
    pub(super) lessee: Option<String>,
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) maintenance: bool,
    #[serde(default)]
    pub(super) fault: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) retired: bool,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) protected: bool,
    #[serde(default)]
    pub(super) conductor_group: Option<String>,
    #[serde(default)]
    pub(super) shard: Option<String>,
    #[serde(default)]
    pub(super) parent_node: Option<String>,
    #[serde(default)]
    pub(super) extra: Value,
    #[serde(default)]
    pub(super) created_at: Option<String>,
}

/// The sentence in an error of Ironic: `error_message` is a text that is itself JSON, an object, or plain text;
/// the middlewares before it write `error.message` or `error`.
pub(super) fn fault(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let said = body.get("error_message").or_else(|| body.get("error")).unwrap_or(&body);
    sentence(said)
}

fn sentence(said: &Value) -> Option<String> {
    match said {
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(inner)) => of_object(&inner),
            _ => Some(text.clone()),
        },
        Value::Object(map) => of_object(map),
        _ => None,
    }
    .filter(|text| !text.trim().is_empty())
}

fn of_object(map: &serde_json::Map<String, Value>) -> Option<String> {
    ["faultstring", "description", "message"]
        .iter()
        .find_map(|key| map.get(*key)?.as_str().map(ToOwned::to_owned))
}
