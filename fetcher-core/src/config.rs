//! What one instance is told to do.

use schemars::JsonSchema;
use serde::Deserialize;

/// The brake of one source, where it differs from the instance's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct GoneOverride {
    /// The part of the present Hosts that may be marked within an hour, 0 to 1.
    pub max_fraction: Option<f64>,
    /// How many may be marked whatever the fraction says, up to half of them.
    pub floor: Option<usize>,
}
