//! Normal forms of what data centres write in many ways: UUIDs, hardware addresses, IP addresses, tags, numbers.
//!
//! Not any kind's words: those are in its `map.rs`. Every function takes text from outside, gives none for what
//! is not there or says nothing ("Unknown", a UUID of zeros), and never panics.

use std::collections::BTreeMap;
use std::net::IpAddr;

use fetcher_core::machine::{Address, AddressType, Interner, Machine, Text};
use fetcher_core::provider::FetchError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// What firmware and tools write where nobody wrote anything.
const NOTHING: &[&str] = &[
    "unknown",
    "none",
    "null",
    "n/a",
    "default string",
    "not specified",
    "not available",
    "system serial number",
    "to be filled by o.e.m.",
];

/// The text without its edges, none where it says nothing.
pub(crate) fn word(text: Option<&str>) -> Option<&str> {
    let text = text?.trim();
    let nothing = text.is_empty() || NOTHING.iter().any(|word| text.eq_ignore_ascii_case(word));
    (!nothing).then_some(text)
}

/// An SMBIOS UUID in lower case; none for a text of another shape, and for all zeros or all ones, which
/// firmware shows when it has none.
pub(crate) fn uuid(text: Option<&str>) -> Option<String> {
    let text = text?.trim().to_ascii_lowercase();
    let shape = text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    let blank = |digit| text.bytes().all(|byte| byte == digit || byte == b'-');
    (shape && !blank(b'0') && !blank(b'f')).then_some(text)
}

/// A hardware address in lower case with colons: six bytes, or the twenty of `InfiniBand`; none for zeros.
pub(crate) fn mac(text: Option<&str>) -> Option<String> {
    let digits: String = text?.trim().to_ascii_lowercase().replace([':', '-', '.'], "");
    let bytes = digits.len() / 2;
    let shape = digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        && matches!(digits.len(), 12 | 16 | 40)
        && digits.bytes().any(|byte| byte != b'0');
    shape.then(|| {
        (0..bytes).filter_map(|at| digits.get(at * 2..at * 2 + 2)).collect::<Vec<_>>().join(":")
    })
}

/// An IP address, its prefix length cut off (`10.1.2.3/24`).
pub(crate) fn ip(text: Option<&str>) -> Option<IpAddr> {
    let text = text?.trim();
    text.split_once('/').map_or(text, |(address, _)| address).parse().ok()
}

/// The host of a BMC's address, which may be a URL, a name or an IP address, alone or with a port.
pub(crate) fn host(text: Option<&str>) -> Option<String> {
    let text = word(text)?;
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    let url = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let host = url::Url::parse(&url).ok()?.host_str()?.to_owned();
    Some(host.trim_start_matches('[').trim_end_matches(']').to_owned())
}

/// A place something was read from, without what a link may carry in secret: user, password, query.
pub(crate) fn bare_url(text: &str) -> String {
    match url::Url::parse(text) {
        Ok(mut url) if url.has_host() => {
            url.set_query(None);
            url.set_fragment(None);
            // Both only fail for URLs without a host.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.to_string()
        }
        _ => text.split(['?', '#']).next().unwrap_or_default().to_owned(),
    }
}

/// A plain tag: `k=v` becomes key and value, anything else a key with an empty value.
pub(crate) fn plain_tag(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    let (key, value) = (key.trim(), value.trim());
    (!key.is_empty()).then_some((key, value))
}

/// Adds a tag unless the key is there: who comes first wins.
pub(crate) fn add_tag(
    tags: &mut BTreeMap<Text, Text>,
    interner: &mut Interner,
    key: &str,
    value: &str,
) {
    tags.entry(interner.text(key)).or_insert_with(|| interner.text(value));
}

/// A scalar of JSON as text; none for null, lists and maps.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A whole number that may come as text (`"131072"`) or with a fraction.
pub(crate) fn number(value: Option<&Value>) -> Option<u64> {
    let number = match value? {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().and_then(whole))?,
        Value::String(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| text.parse().ok().and_then(whole))?
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    (number <= MAX_EXACT).then_some(number)
}

/// The largest whole number that every reader of JSON keeps: 2^53 - 1.
pub(crate) const MAX_EXACT: u64 = (1 << 53) - 1;

/// The whole number nearest to `number`; none beyond what JSON keeps exactly.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the range is checked first"
)]
pub(crate) fn whole(number: f64) -> Option<u64> {
    (number.is_finite() && (0.0..=MAX_EXACT as f64).contains(&number))
        .then(|| number.round() as u64)
}

/// `count` units of `size` bytes; none for zero, which tools show for "not known", and for what is too large.
pub(crate) fn bytes(count: Option<u64>, size: u64) -> Option<u64> {
    count?.checked_mul(size).filter(|&bytes| bytes > 0 && bytes <= MAX_EXACT)
}

/// A count of processors; none for zero.
pub(crate) fn cpus(count: Option<u64>) -> Option<u32> {
    u32::try_from(count?).ok().filter(|&count| count > 0)
}

/// Adds an address of `kind` unless it is there.
pub(crate) fn add_address(
    addresses: &mut Vec<Address>,
    interner: &mut Interner,
    kind: AddressType,
    address: &str,
) {
    if let Some(address) = interner.some(address) {
        let address = Address { kind, address };
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
}

/// Decoration whose shape drifts: what does not decode is none, as if it were missing. Not for identity or tags.
pub(crate) fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    from: D,
) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(from)?).ok())
}

/// A list of decoration: entries that do not decode are left out; none and no list are the empty list.
pub(crate) fn lenient_list<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    let values = match Value::deserialize(from)? {
        Value::Array(values) => values,
        _ => Vec::new(),
    };
    Ok(values.into_iter().filter_map(|value| serde_json::from_value(value).ok()).collect())
}

/// Null is the same as missing: the default.
pub(crate) fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// The machines of one listing, each id once.
#[derive(Debug, Default)]
pub(crate) struct Unique {
    machines: Vec<Machine>,
    at: BTreeMap<Text, usize>,
}

impl Unique {
    /// Adds a machine; the same one once more (a page border that moved) is dropped.
    ///
    /// # Errors
    /// The same id with other content: the listing changed under our hands.
    pub(crate) fn add(&mut self, machine: Machine) -> Result<(), FetchError> {
        match self.at.get(&machine.id).and_then(|&at| self.machines.get(at)) {
            None => {
                self.at.insert(machine.id.clone(), self.machines.len());
                self.machines.push(machine);
                Ok(())
            }
            Some(known) if *known == machine => Ok(()),
            Some(_) => Err(FetchError::inconsistent(format!(
                "the id {:?} is listed twice with different content",
                machine.id
            ))),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.machines.len()
    }

    /// The machines in the order they came.
    pub(crate) fn into_machines(self) -> Vec<Machine> {
        self.machines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_uuid_is_lower_case_and_never_zeros_or_ones() {
        let of = |text| uuid(Some(text));
        let good = "4c4c4544-0042-3410-8056-b4c04f4e3132";
        assert_eq!(of("4C4C4544-0042-3410-8056-B4C04F4E3132").as_deref(), Some(good));
        for bad in ["", "abc", "00000000-0000-0000-0000-000000000000"] {
            assert_eq!(of(bad), None, "{bad}");
        }
        assert_eq!(of("FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"), None);
    }

    #[test]
    fn a_mac_has_colons_and_lower_case() {
        for text in ["B4-2E-99-00-12-07", "b42e.9900.1207", "B4:2E:99:00:12:07", "b42e99001207"] {
            assert_eq!(mac(Some(text)).as_deref(), Some("b4:2e:99:00:12:07"), "{text}");
        }
        assert_eq!(mac(Some("00:00:00:00:00:00")), None);
        assert_eq!(mac(Some("unknown")), None);
    }

    #[test]
    fn an_address_loses_its_prefix_length() {
        for (text, address) in [
            ("10.1.2.3/24", "10.1.2.3"),
            ("10.1.2.3/32", "10.1.2.3"),
            ("2001:db8::7/64", "2001:db8::7"),
            ("2001:db8:0::20/128", "2001:db8::20"),
            ("10.1.2.3", "10.1.2.3"),
        ] {
            assert_eq!(ip(Some(text)).map(|ip| ip.to_string()).as_deref(), Some(address), "{text}");
        }
        assert_eq!(ip(Some("name/24")), None);
    }

    #[test]
    fn a_bmc_may_be_a_url_a_name_or_an_address() {
        for (text, wanted) in [
            ("https://user:secret@10.250.12.7:8443/redfish/v1", "10.250.12.7"),
            ("10.250.12.8", "10.250.12.8"),
            ("2001:db8::1", "2001:db8::1"),
            ("https://[2001:db8::1]/", "2001:db8::1"),
            ("bmc-7.example.net", "bmc-7.example.net"),
            ("bmc-7.example.net:623", "bmc-7.example.net"),
        ] {
            assert_eq!(host(Some(text)).as_deref(), Some(wanted), "{text}");
        }
    }

    #[test]
    fn a_link_loses_what_may_be_secret() {
        assert_eq!(
            bare_url("https://u:p@images.example.net/os.qcow2?temp_url_sig=abc#x"),
            "https://images.example.net/os.qcow2"
        );
        assert_eq!(
            bare_url("9a8b7c6d-0000-4000-8000-112233445566"),
            "9a8b7c6d-0000-4000-8000-112233445566"
        );
        assert_eq!(bare_url("file:///images/os.img?sig=a"), "file:///images/os.img");
    }

    #[test]
    fn numbers_come_as_numbers_and_as_text() {
        for (json, wanted) in [
            ("131072", Some(131_072)),
            ("\"131072\"", Some(131_072)),
            ("\" 32 \"", Some(32)),
            ("127.5", Some(128)),
            ("null", None),
            ("\"many\"", None),
            ("-1", None),
            ("1e300", None),
        ] {
            let value: Value = serde_json::from_str(json).unwrap();
            assert_eq!(number(Some(&value)), wanted, "{json}");
        }
    }

    #[test]
    fn the_same_id_twice_with_other_content_is_an_error() {
        let machine = |hostname: &str| Machine {
            id: "1".into(),
            hostname: Some(hostname.into()),
            ..Machine::default()
        };
        let mut unique = Unique::default();
        unique.add(machine("a")).unwrap();
        unique.add(machine("a")).unwrap();
        assert_eq!(unique.len(), 1);
        assert_eq!(unique.add(machine("b")).unwrap_err().reason(), "inconsistent");
    }

    proptest! {
        #[test]
        fn no_text_from_outside_makes_a_normal_form_panic(text in ".{0,64}") {
            let some = Some(text.as_str());
            let _ = (word(some), uuid(some), mac(some), ip(some), host(some));
            let _ = (bare_url(&text), plain_tag(&text), number(Some(&Value::String(text.clone()))));
        }

        #[test]
        fn no_password_of_a_link_survives(user in "[a-z]{1,8}", name in "[a-z]{3,12}") {
            let secret = "S3CRETS3CRET";
            let link = format!("https://{user}:{secret}@{name}.example.net/a?sig={secret}");
            prop_assert!(!bare_url(&link).contains(secret));
            prop_assert!(!host(Some(&link)).unwrap_or_default().contains(secret));
        }
    }
}
