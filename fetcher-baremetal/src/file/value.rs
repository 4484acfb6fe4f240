//! The single values of a file, each parsed where it stands, so that an error can point there.
//!
//! Not the shape of a file, see [`document`](super::document), and not the parts of a machine that have several
//! values, see [`short`](super::short).

use std::fmt;
use std::str::FromStr;

use fetcher_core::machine::State;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// The longest id, in characters: what a Host's `spec.machineID` may hold.
const ID_MAX: usize = 253;
/// The largest size in bytes: what a JSON number holds exactly.
const SIZE_MAX: u64 = (1 << 53) - 1;

/// A machine's id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Id(pub String);

impl TryFrom<String> for Id {
    type Error = String;

    fn try_from(id: String) -> Result<Self, String> {
        let why = if id.is_empty() {
            "is empty"
        } else if id.trim() != id {
            "begins or ends with white space"
        } else if id.chars().any(char::is_control) {
            "holds a control character"
        } else if id.chars().count() > ID_MAX {
            "is longer than 253 characters"
        } else {
            return Ok(Self(id));
        };
        Err(format!(
            "the id {why}: it is what a machine is known by for ever, like a serial number"
        ))
    }
}

/// A machine's state in the words of the inventory, in any case; never `Gone`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct StateWord(pub State);

/// The states a file may give, as they are written.
const STATES: [State; 6] = [
    State::Provisioning,
    State::Running,
    State::Stopped,
    State::Deprovisioning,
    State::Failed,
    State::Unknown,
];

impl TryFrom<String> for StateWord {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        word.parse()
    }
}

impl FromStr for StateWord {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let known = STATES.into_iter().find(|state| state.as_str().eq_ignore_ascii_case(word));
        known.map(Self).ok_or_else(|| {
            let words = STATES.map(State::as_str).join(", ");
            if word.eq_ignore_ascii_case("gone") {
                format!(
                    "no machine of a list is Gone: take it out of the list, or say one of {words}"
                )
            } else {
                format!("{word:?} is no state: say one of {words}; `providerState` takes any word")
            }
        })
    }
}

/// A size in bytes: a number, or a text with a unit (`256GiB`, `3.84 TB`, `512Mi`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no size: write bytes, or a number with a unit like 256GiB or 3.84TB"
            )
        };
        let text = text.trim();
        let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let unit = unit_bytes(unit.trim()).ok_or_else(wrong)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        // Twelve digits behind the point are finer than a byte of a terabyte.
        if fraction.len() > 12 || fraction.is_empty() {
            return Err(wrong());
        }
        let scale = 10_u128.pow(fraction.len().try_into().map_err(|_| wrong())?);
        let whole = u128::from(whole.parse::<u64>().map_err(|_| wrong())?);
        let fraction = u128::from(fraction.parse::<u64>().map_err(|_| wrong())?);
        let bytes = (whole * scale + fraction) * unit / scale;
        u64::try_from(bytes).map_err(|_| too_large()).and_then(Self::bytes)
    }
}

impl Size {
    fn bytes(bytes: u64) -> Result<Self, String> {
        if bytes > SIZE_MAX { Err(too_large()) } else { Ok(Self(bytes)) }
    }
}

fn too_large() -> String {
    "the size is larger than 8 PiB".to_owned()
}

/// The bytes of a unit: powers of 1000 (`GB`, `G`) or of 1024 (`GiB`, `Gi`).
fn unit_bytes(unit: &str) -> Option<u128> {
    let prefix = unit.strip_suffix(['B', 'b']).unwrap_or(unit);
    let (letter, base) = match prefix.strip_suffix('i') {
        Some(letter) => (letter, 1024_u128),
        None => (prefix, 1000),
    };
    let power = match letter {
        "" if base == 1000 => 0,
        "k" | "K" => 1,
        "m" | "M" => 2,
        "g" | "G" => 3,
        "t" | "T" => 4,
        "p" | "P" => 5,
        _ => return None,
    };
    Some(base.pow(power))
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sizes;
        impl Visitor<'_> for Sizes {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size: bytes, or a text with a unit like 256GiB")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: Error>(self, bytes: u64) -> Result<Size, E> {
                Size::bytes(bytes).map_err(E::custom)
            }

            fn visit_i64<E: Error>(self, bytes: i64) -> Result<Size, E> {
                let bytes = u64::try_from(bytes)
                    .map_err(|_| E::invalid_value(Unexpected::Signed(bytes), &self))?;
                self.visit_u64(bytes)
            }
        }
        deserializer.deserialize_any(Sizes)
    }
}

/// A hardware address, lower case with colons: 6 octets, 8 (EUI-64) or 20 (InfiniBand).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Mac(pub String);

impl TryFrom<String> for Mac {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Mac {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits: Vec<char> = text.chars().filter(|c| !matches!(c, ':' | '-' | '.')).collect();
        let hex = digits.iter().all(char::is_ascii_hexdigit);
        if !hex || ![12, 16, 40].contains(&digits.len()) {
            return Err(format!("{text:?} is no hardware address like 52:54:00:12:34:56"));
        }
        let octets: Vec<String> = digits.chunks(2).map(|octet| octet.iter().collect()).collect();
        Ok(Self(octets.join(":").to_ascii_lowercase()))
    }
}

/// A [`JsonSchema`] of a value that is written as a text, and perhaps as a number.
macro_rules! schema {
    ($type:ty, $name:literal, $schema:tt) => {
        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

schema!(Id, "Id", {"type": "string", "minLength": 1, "maxLength": 253});
schema!(StateWord, "State", {
    "enum": ["Provisioning", "Running", "Stopped", "Deprovisioning", "Failed", "Unknown"]
});
schema!(Size, "Size", {
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": 9_007_199_254_740_991_u64},
        {"type": "string", "pattern": "^[0-9]+(\\.[0-9]{1,12})? *([kKmMgGtTpP]i?)?[bB]?$"}
    ]
});
schema!(Mac, "Mac", {"type": "string", "pattern": "^[0-9a-fA-F:.-]+$"});

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Option<u64> {
        text.parse::<Size>().ok().map(|size| size.0)
    }

    #[test]
    fn a_size_has_decimal_and_binary_units_and_is_exact() {
        for (text, expected) in [
            ("0", 0),
            ("274877906944", 256 << 30),
            ("256GiB", 256 << 30),
            ("256Gi", 256 << 30),
            ("3.84TB", 3_840_000_000_000),
            ("3.84 TB", 3_840_000_000_000),
            ("1.5GiB", 3 << 29),
            ("480 GB", 480_000_000_000),
            ("480G", 480_000_000_000),
            ("64kb", 64_000),
            ("12B", 12),
        ] {
            assert_eq!(bytes(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "GiB",
            "-1",
            "1.GB",
            ".5GB",
            "1.2.3GB",
            "1iB",
            "1 gig",
            "9PiB",
            "9e3",
            "99999999999999999999",
        ] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn a_hardware_address_is_lower_case_with_colons_however_it_was_written() {
        for text in ["52:54:00:AB:34:56", "52-54-00-ab-34-56", "5254.00ab.3456", "525400ab3456"] {
            assert_eq!(text.parse(), Ok(Mac("52:54:00:ab:34:56".to_owned())), "{text}");
        }
        for text in ["", "52:54:00:ab:34", "52:54:00:ab:34:5g", "eth0"] {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_state_is_one_of_ours_in_any_case_and_never_gone() {
        assert_eq!("running".parse(), Ok(StateWord(State::Running)));
        assert!("Gone".parse::<StateWord>().unwrap_err().contains("take it out"));
        assert!("active".parse::<StateWord>().unwrap_err().contains("providerState"));
    }
}
