//! The document that a file of machines is: the shape that YAML and JSON share, and that CSV fills by columns.
//!
//! Not held in memory: each row becomes a [`Machine`] as soon as it was read, see [`Machines`].

use std::collections::BTreeMap;
use std::fmt;

use fetcher_core::machine::{Interner, Machine};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::map::machine;
use super::short::{Address, Disk, Interface, Os, Short};
use super::value::{Id, Size, StateWord};

/// A list of machines for the host inventory. A YAML file of it ends with the line `...`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Machines")]
pub struct Document {
    /// Where an editor finds the schema; means nothing to the fetcher.
    #[serde(rename = "$schema", default)]
    #[expect(dead_code, reason = "for editors")]
    schema: Option<String>,
    /// How many machines the list holds. Need not be given, but must be right; a list without any machine
    /// must say `count: 0`.
    #[serde(default)]
    pub count: Option<usize>,
    /// What holds for every machine that does not say otherwise: key by key, `os` and `disks` as a whole.
    #[serde(default)]
    pub defaults: Defaults,
    /// The machines.
    #[schemars(with = "Vec<Row>")]
    pub machines: Machines,
}

/// Every machine of the list, mapped as it was read.
#[derive(Debug, Default)]
pub struct Machines {
    /// In the order of the file.
    pub list: Vec<Machine>,
    /// Which of them say nothing of their state.
    pub stateless: Vec<usize>,
    texts: Interner,
}

impl Machines {
    /// Takes one more row.
    pub fn push(&mut self, row: Row) {
        if row.state.is_none() {
            self.stateless.push(self.list.len());
        }
        self.list.push(machine(row, &mut self.texts));
    }

    /// Ends the sharing of texts: all rows are read.
    pub(super) fn forget_texts(&mut self) {
        self.texts = Interner::default();
    }
}

/// What holds for every machine that does not say otherwise.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Defaults {
    /// What the machines are doing.
    pub state: Option<StateWord>,
    /// Your own word for that.
    pub provider_state: Option<String>,
    /// What they are for: in the selector `@role`.
    pub role: Option<String>,
    /// Region or metro.
    pub region: Option<String>,
    /// Zone within the region.
    pub zone: Option<String>,
    /// Data centre.
    pub site: Option<String>,
    /// Rack within the site.
    pub rack: Option<String>,
    /// What they are made of.
    pub hardware: Hardware,
    /// What runs on them: of use to a machine that says nothing of its `os`.
    pub os: Short<Os>,
    /// Whose they are.
    pub owner: Owner,
    /// Tags, key to value.
    pub tags: Tags,
}

/// One machine.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Row {
    /// What the machine is known by for ever (a serial number, an asset tag): another id is another machine.
    pub id: Id,
    /// The host name it goes by; may change.
    #[serde(default)]
    pub name: Option<String>,
    /// What it is doing; without it `Unknown`.
    #[serde(default)]
    pub state: Option<StateWord>,
    /// Your own word for that.
    #[serde(default)]
    pub provider_state: Option<String>,
    /// What it is for: in the selector `@role`.
    #[serde(default)]
    pub role: Option<String>,
    /// Where it can be reached, the preferred address of each kind first.
    #[serde(default)]
    pub addresses: Vec<Short<Address>>,
    /// Region or metro.
    #[serde(default)]
    pub region: Option<String>,
    /// Zone within the region.
    #[serde(default)]
    pub zone: Option<String>,
    /// Data centre.
    #[serde(default)]
    pub site: Option<String>,
    /// Rack within the site.
    #[serde(default)]
    pub rack: Option<String>,
    /// Position in the rack.
    #[serde(default)]
    pub position: Option<String>,
    /// What it is made of.
    #[serde(default)]
    pub hardware: Hardware,
    /// What runs on it.
    #[serde(default)]
    pub os: Short<Os>,
    /// Its network interfaces.
    #[serde(default)]
    pub interfaces: Vec<Short<Interface>>,
    /// Whose it is.
    #[serde(default)]
    pub owner: Owner,
    /// Tags, key to value.
    #[serde(default)]
    pub tags: Tags,
    /// When it came to be (RFC 3339).
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// When it last started (RFC 3339).
    #[serde(default)]
    pub launched_at: Option<Timestamp>,
}

/// What a machine is made of.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Hardware {
    /// Your name for this kind of machine.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Processor architecture (`x86_64`, `arm64`).
    pub architecture: Option<String>,
    /// Logical processors.
    pub cpus: Option<u32>,
    /// Main memory.
    pub memory: Option<Size>,
    /// Local disks.
    pub disks: Vec<Short<Disk>>,
    /// Serial number or service tag.
    pub serial: Option<String>,
    /// The SMBIOS UUID.
    pub uuid: Option<String>,
    /// Maker.
    pub vendor: Option<String>,
    /// Model.
    pub model: Option<String>,
}

/// Whose a machine is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Owner {
    /// Account it is billed to.
    pub account: Option<String>,
    /// Project it belongs to.
    pub project: Option<String>,
    /// Tenant it belongs to.
    pub tenant: Option<String>,
}

/// Tags, key to value; a key may stand there once.
#[derive(Debug, Default, JsonSchema)]
#[schemars(with = "BTreeMap<String, String>")]
pub struct Tags(pub BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Tags;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tags, A::Error> {
                let mut tags = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, String>()? {
                    // JSON lets a key stand there twice, and no reader agrees with the next on what that means.
                    if tags.contains_key(&key) {
                        return Err(A::Error::custom(format!(
                            "the tag {key:?} stands there twice"
                        )));
                    }
                    if key.trim().is_empty() {
                        return Err(A::Error::custom("a tag has an empty key"));
                    }
                    tags.insert(key, value);
                }
                Ok(Tags(tags))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

impl<'de> Deserialize<'de> for Machines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rows;
        impl<'de> Visitor<'de> for Rows {
            type Value = Machines;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of machines")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Machines, A::Error> {
                let mut machines = Machines::default();
                while let Some(row) = rows.next_element::<Row>()? {
                    machines.push(row);
                }
                Ok(machines)
            }
        }
        deserializer.deserialize_seq(Rows)
    }
}

/// The JSON Schema of the document, pretty, with a final newline: for editors and for who writes such files.
#[must_use]
pub fn schema() -> String {
    let schema = schemars::schema_for!(Document);
    format!("{:#}\n", schema.to_value())
}
