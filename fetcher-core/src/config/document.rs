//! The file as a whole: its top-level keys, read by hand.
//!
//! By hand because the provider's section stands under the provider's own name: a flattened struct would take any key
//! and lose its place in the file.

use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, Visitor};

use super::{Concurrency, Labels, Log, StoreConfig};
use crate::app::App;
use crate::brake::Policy;
use crate::schedule::Schedule;
use crate::selector::{Selector, SelectorError};

/// The configuration file of one instance. What it leaves out is none here, where flags may still say it.
#[derive(Debug)]
pub struct Config<A: App> {
    /// When rounds begin.
    pub schedule: Option<Schedule>,
    /// Which machines are wanted.
    pub selector: Option<Selector>,
    /// Where the Hosts are kept.
    pub store: Option<StoreConfig>,
    /// Which tags become labels.
    pub labels: Labels,
    /// The brake.
    pub gone: Policy,
    /// Where metrics and probes are served; nowhere where it is left out.
    pub listen: Option<SocketAddr>,
    /// What goes to standard error.
    pub log: Option<Log>,
    /// How many sources are worked on at once.
    pub concurrency: Concurrency,
    /// The provider's own section.
    pub section: Option<A::Section>,
}

impl<A: App> Default for Config<A> {
    fn default() -> Self {
        Self {
            schedule: None,
            selector: None,
            store: None,
            labels: Labels::default(),
            gone: Policy::default(),
            listen: None,
            log: None,
            concurrency: Concurrency::default(),
            section: None,
        }
    }
}

impl<A: App> Config<A> {
    /// All keys that the file may have at its top.
    pub(super) const KEYS: &'static [&'static str] = &[
        "schedule",
        "selector",
        "store",
        "labels",
        "gone",
        "listen",
        "log",
        "concurrency",
        A::NAME,
    ];
}

impl<'de, A: App> Deserialize<'de> for Config<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TopLevel(PhantomData))
    }
}

struct TopLevel<A>(PhantomData<A>);

impl<'de, A: App> Visitor<'de> for TopLevel<A> {
    type Value = Config<A>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a mapping with the keys {}", Config::<A>::KEYS.join(", "))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut config = Config::default();
        while let Some(key) = map.next_key_seed(Key::<A>(PhantomData))? {
            match key {
                "schedule" => config.schedule = Some(map.next_value()?),
                "selector" => config.selector = Some(map.next_value::<Wanted>()?.0),
                "store" => config.store = Some(map.next_value()?),
                "labels" => config.labels = map.next_value()?,
                "gone" => config.gone = map.next_value()?,
                "listen" => config.listen = Some(map.next_value::<Listen>()?.0),
                "log" => config.log = Some(map.next_value()?),
                "concurrency" => config.concurrency = map.next_value()?,
                _ => config.section = Some(map.next_value()?),
            }
        }
        Ok(config)
    }
}

/// One key at the top, refused while the reader still stands on it: so the error has its place.
struct Key<A>(PhantomData<A>);

impl<'de, A: App> DeserializeSeed<'de> for Key<A> {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<&'static str, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<A: App> Visitor<'_> for Key<A> {
    type Value = &'static str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one of the keys {}", Config::<A>::KEYS.join(", "))
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<&'static str, E> {
        let known = Config::<A>::KEYS.iter().find(|known| **known == key);
        known.copied().ok_or_else(|| E::unknown_field(key, Config::<A>::KEYS))
    }
}

struct Wanted(Selector);

impl<'de> Deserialize<'de> for Wanted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|error: SelectorError| de::Error::custom(error.in_line()))
    }
}

struct Listen(SocketAddr);

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| {
            de::Error::custom(format!(
                "listen is {text:?}: give an address and a port, like 127.0.0.1:9480 or [::]:9480"
            ))
        })
    }
}
