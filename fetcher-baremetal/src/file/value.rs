//! The single values of a file, each parsed where it stands, so that an error can point there.
//!
//! Not the shape of a file, see [`document`](super::document). What has a short form (an address, a disk)
//! is [`FromStr`] in that form, the same in every format.

use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;

use fetcher_core::machine::{AddressType, State};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
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

/// What may be written short, as a text, or in full, as a map.
pub trait ShortForm: FromStr<Err = String> {
    /// What the short form is, for errors and the schema.
    const SHORT: &'static str;
}

/// A value in either of its forms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Short<T>(pub T);

impl<'de, T: ShortForm + Deserialize<'de>> Deserialize<'de> for Short<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: ShortForm + Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = Short<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}, or a map", T::SHORT)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Short<T>, E> {
                text.parse().map(Short).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Short<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Short)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

/// One address with its kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "TypedAddress")]
#[schemars(with = "TypedAddress")]
pub struct Address {
    /// What kind of address it is.
    pub kind: AddressType,
    /// The address: an IP address in its canonical form, or a name.
    pub address: String,
}

/// One address with its kind.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Address")]
pub struct TypedAddress {
    /// The kind, as in the Host.
    #[serde(rename = "type")]
    kind: AddressType,
    /// The IP address, without a prefix length, or the name.
    address: String,
}

impl TryFrom<TypedAddress> for Address {
    type Error = String;

    fn try_from(typed: TypedAddress) -> Result<Self, String> {
        Self::new(typed.kind, &typed.address)
    }
}

impl Address {
    /// The address `text` of this `kind`.
    ///
    /// # Errors
    /// An IP address that is none, an empty name.
    pub fn new(kind: AddressType, text: &str) -> Result<Self, String> {
        let address = match kind {
            AddressType::InternalIP | AddressType::ExternalIP | AddressType::ManagementIP => {
                ip(text)?.to_string()
            }
            AddressType::Hostname | AddressType::InternalDNS | AddressType::ExternalDNS => {
                if text.is_empty() || text.contains(|c: char| c.is_control() || c.is_whitespace()) {
                    return Err(format!("{text:?} is no host name"));
                }
                text.to_owned()
            }
        };
        Ok(Self { kind, address })
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ip = ip(text)?;
        let kind = if is_internal(ip) { AddressType::InternalIP } else { AddressType::ExternalIP };
        Ok(Self { kind, address: ip.to_string() })
    }
}

impl ShortForm for Address {
    const SHORT: &'static str =
        "an IP address (private ones are InternalIP, all others ExternalIP)";
}

fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse::<IpAddr>().map(|ip| ip.to_canonical()).map_err(|_| {
        if text.contains('/') {
            format!("{text:?} is no IP address: leave out the prefix length")
        } else {
            format!("{text:?} is no IP address; a name is written as {{type: InternalDNS, address: NAME}}")
        }
    })
}

/// Whether the address is one of those that no internet router carries: RFC 1918, RFC 6598 (shared),
/// RFC 3927 and RFC 4291 (link-local), RFC 4193 (unique local), and loopback.
fn is_internal(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            ip.is_private() || ip.is_link_local() || ip.is_loopback() || shared
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback(),
    }
}

/// One local disk, or several alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Disk {
    /// Name or kind (`nvme0n1`, `SSD`).
    pub name: Option<String>,
    /// Size of one.
    pub size: Option<Size>,
    /// How many of this kind; absent means one.
    #[schemars(range(min = 1, max = 1024))]
    pub count: Option<NonZeroU32>,
}

impl FromStr for Disk {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no disk: write a size, with a count before it and a name behind it if need be, like `2x 480GB SSD`"
            )
        };
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
        let (count, rest) = match text.get(digits..).and_then(|rest| rest.strip_prefix('x')) {
            Some(rest) => (Some(text[..digits].parse().map_err(|_| wrong())?), rest.trim_start()),
            None => (None, text),
        };
        let (size, name) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let name = name.trim();
        Ok(Self {
            name: (!name.is_empty()).then(|| name.to_owned()),
            size: Some(size.parse().map_err(|_| wrong())?),
            count,
        })
    }
}

impl ShortForm for Disk {
    const SHORT: &'static str = "a disk as in `3.84TB` or `2x 480GB SSD`";
}

/// One network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Interface {
    /// Name (`eth0`).
    pub name: Option<String>,
    /// Hardware address.
    pub mac: Option<Mac>,
}

impl FromStr for Interface {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self { name: None, mac: Some(text.parse()?) })
    }
}

impl ShortForm for Interface {
    const SHORT: &'static str = "a hardware address like \"52:54:00:12:34:56\" (in quotes)";
}

/// What runs on a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Os {
    /// Name (`Ubuntu`, `Debian 13`).
    pub name: Option<String>,
    /// Version.
    pub version: Option<String>,
    /// The image it was made from.
    pub image: Option<String>,
}

impl FromStr for Os {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self { name: Some(text.to_owned()), ..Self::default() })
    }
}

impl ShortForm for Os {
    const SHORT: &'static str = "the name of an operating system";
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

impl<T: ShortForm + JsonSchema> JsonSchema for Short<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Short{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let full = generator.subschema_for::<T>();
        json_schema!({"anyOf": [{"type": "string", "description": T::SHORT}, full]})
    }
}

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
    fn a_plain_address_is_internal_where_no_internet_router_carries_it() {
        for text in [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.1.1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().kind, AddressType::InternalIP, "{text}");
        }
        for text in ["203.0.113.7", "172.32.0.1", "100.128.0.1", "2001:db8::1"] {
            assert_eq!(text.parse::<Address>().unwrap().kind, AddressType::ExternalIP, "{text}");
        }
        for text in ["", "10.0.0.300", "10.0.0.1/24", "web"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_disk_is_a_size_with_count_and_name_if_need_be() {
        let disk = |text: &str| {
            let disk: Disk = text.parse().ok()?;
            Some((disk.count.map(NonZeroU32::get), disk.size?.0, disk.name))
        };
        assert_eq!(disk("3.84TB"), Some((None, 3_840_000_000_000, None)));
        assert_eq!(disk("2x480GB"), Some((Some(2), 480_000_000_000, None)));
        let named = Some((Some(12), 18_000_000_000_000, Some("SAS HDD".to_owned())));
        assert_eq!(disk("12x 18TB SAS HDD"), named);
        for text in ["", "x", "0x 1TB", "2x", "SSD", "99999999999x1TB"] {
            assert_eq!(disk(text), None, "{text}");
        }
    }

    #[test]
    fn a_state_is_one_of_ours_in_any_case_and_never_gone() {
        assert_eq!("running".parse(), Ok(StateWord(State::Running)));
        assert!("Gone".parse::<StateWord>().unwrap_err().contains("take it out"));
        assert!("active".parse::<StateWord>().unwrap_err().contains("providerState"));
    }
}
