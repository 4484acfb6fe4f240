//! Where in a node something is kept: `extra.rack`, `traits`, `properties.vendor`.
//!
//! A small fixed grammar, not a query language: a name of the node, and keys below `extra` and `properties`,
//! the two parts of a node that are free JSON. `driver_info` and `instance_info` are no places: they hold secrets.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::wire::Node;
use crate::normal;

/// A place in a node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Place {
    root: Root,
    keys: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Root {
    Extra,
    Properties,
    Traits,
    ResourceClass,
    Owner,
    Lessee,
    ConductorGroup,
    Shard,
    Description,
}

/// The first word of each place, as Ironic spells it.
const ROOTS: &[(&str, Root)] = &[
    ("extra", Root::Extra),
    ("properties", Root::Properties),
    ("traits", Root::Traits),
    ("resource_class", Root::ResourceClass),
    ("owner", Root::Owner),
    ("lessee", Root::Lessee),
    ("conductor_group", Root::ConductorGroup),
    ("shard", Root::Shard),
    ("description", Root::Description),
];

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split('.');
        let first = words.next().unwrap_or_default();
        let keys: Vec<_> = words.map(ToOwned::to_owned).collect();
        let root = ROOTS.iter().find(|(word, _)| *word == first).map(|(_, root)| *root);
        match root {
            Some(root @ (Root::Extra | Root::Properties)) if keys.iter().all(|k| !k.is_empty()) => {
                Ok(Self { root, keys })
            }
            Some(root) if keys.is_empty() => Ok(Self { root, keys }),
            _ => Err(format!(
                "{text:?} is no place in a node: write extra.KEY, properties.KEY, or one of {}",
                ROOTS.iter().skip(2).map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
            )),
        }
    }
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl JsonSchema for Place {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "IronicPlace".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "examples": ["extra.rack", "traits"]})
    }
}

impl Place {
    /// The scalar there, as text; none where there is none or another shape.
    pub(super) fn text(&self, node: &Node) -> Option<String> {
        let text = match self.root {
            Root::Extra => normal::scalar(self.below(&node.extra)?)?,
            Root::Properties => normal::scalar(self.below(&node.properties)?)?,
            Root::Traits => return None,
            Root::ResourceClass => node.resource_class.clone()?,
            Root::Owner => node.owner.clone()?,
            Root::Lessee => node.lessee.clone()?,
            Root::ConductorGroup => node.conductor_group.clone()?,
            Root::Shard => node.shard.clone()?,
            Root::Description => node.description.clone()?,
        };
        normal::word(Some(&text)).map(ToOwned::to_owned)
    }

    /// The tags there: a list of plain tags, a map of keys to scalars, or one scalar under its own last word.
    pub(super) fn tags(&self, node: &Node) -> Vec<(String, String)> {
        let free = match self.root {
            Root::Extra => self.below(&node.extra),
            Root::Properties => self.below(&node.properties),
            Root::Traits => {
                return node.traits.iter().map(|t| (t.clone(), String::new())).collect();
            }
            _ => None,
        };
        match free {
            Some(Value::Array(list)) => list.iter().filter_map(listed).collect(),
            Some(Value::Object(map)) => map
                .iter()
                .filter(|(key, _)| !key.trim().is_empty())
                .filter_map(|(key, value)| Some((key.clone(), normal::scalar(value)?)))
                .collect(),
            _ => self.text(node).map(|text| (self.word().to_owned(), text)).into_iter().collect(),
        }
    }

    fn below<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.keys.iter().try_fold(value, |value, key| value.get(key))
    }

    /// Its last word: the key of a scalar's tag.
    fn word(&self) -> &str {
        let root = ROOTS.iter().find(|(_, root)| *root == self.root).map_or("", |(word, _)| word);
        self.keys.last().map_or(root, String::as_str)
    }
}

fn listed(value: &Value) -> Option<(String, String)> {
    let text = normal::scalar(value)?;
    normal::plain_tag(&text).map(|(key, value)| (key.to_owned(), value.to_owned()))
}
