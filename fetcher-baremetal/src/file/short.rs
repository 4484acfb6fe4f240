//! The parts of a machine that a file may write short, as a text, or in full, as a map: an address, a disk, an
//! interface, an operating system.
//!
//! The short form is [`FromStr`], the same in every format. Not the values inside, see [`value`](super::value).

use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;

use fetcher_core::machine::AddressType;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::value::{Mac, Size};

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
}
