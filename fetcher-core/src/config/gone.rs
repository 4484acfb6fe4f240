//! The brake's settings: how many Hosts may be marked gone within an hour.
//!
//! Not the brake itself.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use crate::brake::Policy;

/// How many Hosts may be marked gone within an hour: max(fraction × present, min(floor, present / 2)) a source.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct GonePolicy {
    /// The part of the present Hosts that may be marked within an hour, 0 to 1.
    #[serde(deserialize_with = "fraction")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_fraction: f64,
    /// How many may be marked whatever the fraction says, up to half of them.
    pub floor: usize,
}

impl Default for GonePolicy {
    fn default() -> Self {
        let Policy { max_fraction, floor } = Policy::default();
        Self { max_fraction, floor }
    }
}

impl From<GonePolicy> for Policy {
    fn from(config: GonePolicy) -> Self {
        Self { max_fraction: config.max_fraction, floor: config.floor }
    }
}

/// The brake of one source, where it differs from the instance's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct GoneOverride {
    /// The part of the present Hosts that may be marked within an hour, 0 to 1.
    #[serde(deserialize_with = "some_fraction")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_fraction: Option<f64>,
    /// How many may be marked whatever the fraction says, up to half of them.
    pub floor: Option<usize>,
}

fn some_fraction<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    fraction(deserializer).map(Some)
}

fn fraction<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let fraction = f64::deserialize(deserializer)?;
    if (0.0..=1.0).contains(&fraction) {
        Ok(fraction)
    } else {
        Err(de::Error::custom(format!(
            "maxFraction is {fraction}: give a part of the whole, 0 to 1 (0.1 is ten percent)"
        )))
    }
}
