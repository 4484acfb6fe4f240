//! What one source may say of the brake, and how its numbers are read.
//!
//! Not the brake itself, nor its policy for the instance: see `brake`.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

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

/// A part of a whole.
pub(crate) fn fraction<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let fraction = f64::deserialize(deserializer)?;
    if (0.0..=1.0).contains(&fraction) {
        Ok(fraction)
    } else {
        Err(de::Error::custom(format!(
            "maxFraction is {fraction}: give a part of the whole, 0 to 1 (0.1 is ten percent)"
        )))
    }
}
