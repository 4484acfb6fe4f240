//! `regions` in the configuration: `all`, or a list of names, each with settings of its own if it wants some.
//!
//! Not which regions exist or are enabled: that is asked for in `discover`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use fetcher_core::config::GoneOverride;
use fetcher_core::provider::Expect;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Which regions of an account.
#[derive(Clone, Debug, PartialEq)]
pub enum Regions {
    /// All that are enabled for it, asked for again and again.
    All,
    /// These.
    Listed(Vec<Region>),
}

/// One region: its name, or a mapping with settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Region {
    /// `eu-west-1`.
    pub name: String,
    /// Its EC2 endpoint, if not the public one.
    pub endpoint: Option<String>,
    /// What a listing must hold to be believed.
    pub expect: Expect,
    /// Its own brake, where it differs from the account's.
    pub gone: GoneOverride,
    /// Served, but neither asked nor changed.
    pub suspend: bool,
}

impl Region {
    /// The region of this name without settings.
    pub(crate) fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

impl Regions {
    /// Those that are named one by one.
    pub(crate) fn listed(&self) -> &[Region] {
        match self {
            Self::All => &[],
            Self::Listed(regions) => regions,
        }
    }

    /// What is wrong with it.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self::Listed(regions) = self else { return Ok(()) };
        if regions.is_empty() {
            return Err("the list is empty: name a region, or `all`".to_owned());
        }
        let mut seen = BTreeSet::new();
        for Region { name, .. } in regions {
            if !is_region(name) {
                return Err(format!("{name:?} is no region's name: expected one like eu-west-1"));
            }
            if !seen.insert(name) {
                return Err(format!("{name:?} is there twice"));
            }
        }
        Ok(())
    }
}

/// Whether this can be a region's name: it becomes part of a host name and of a Host's source.
pub(crate) fn is_region(name: &str) -> bool {
    let well = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    name.contains('-')
        && name.len() <= 40
        && name.bytes().all(well)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// [`Region`] as a mapping.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RegionMapping {
    /// `eu-west-1`.
    name: String,
    /// Its EC2 endpoint, if not the public one.
    #[serde(default)]
    endpoint: Option<String>,
    /// What a listing must hold to be believed.
    #[serde(default)]
    expect: Expect,
    /// Its own brake, where it differs from the account's.
    #[serde(default)]
    gone: GoneOverride,
    /// Served, but neither asked nor changed.
    #[serde(default)]
    suspend: bool,
}

// By hand and not `untagged`, so that an unknown key is an error that names the key and the place.
impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Region;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a region, or a mapping with `name`")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Region, E> {
                Ok(Region::named(name))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Region, A::Error> {
                let RegionMapping { name, endpoint, expect, gone, suspend } =
                    RegionMapping::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Region { name, endpoint, expect, gone, suspend })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for Regions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Regions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`all` or a list of regions")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Regions, E> {
                if word == "all" {
                    Ok(Regions::All)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Str(word), &self))
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Regions, A::Error> {
                let mut regions = Vec::new();
                while let Some(region) = list.next_element()? {
                    regions.push(region);
                }
                Ok(Regions::Listed(regions))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Region {
    fn schema_name() -> Cow<'static, str> {
        "Region".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mapping = generator.subschema_for::<RegionMapping>();
        json_schema!({
            "description": "The name of a region, or a mapping with `name` and settings of its own.",
            "anyOf": [{"type": "string"}, mapping],
        })
    }
}

impl JsonSchema for Regions {
    fn schema_name() -> Cow<'static, str> {
        "Regions".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let region = generator.subschema_for::<Region>();
        json_schema!({
            "description": "`all` regions that are enabled for the account, or a list of them.",
            "anyOf": [{"type": "string", "const": "all"}, {"type": "array", "items": region, "minItems": 1}],
        })
    }
}
