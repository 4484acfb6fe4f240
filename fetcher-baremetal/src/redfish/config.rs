//! The settings of `redfish`: a list of endpoints, and what they have in common.
//!
//! Not the asking: nothing here touches the network. What an endpoint says wins over what the list says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fetcher_core::app::InvalidConfig;
use fetcher_core::config::GoneOverride;
use fetcher_core::http::{Http, HttpOptions, HttpSettings};
use fetcher_core::machine::Location;
use fetcher_core::provider::Expect;
use fetcher_core::secret::SecretRef;
use schemars::JsonSchema;
use serde::Deserialize;
use url::{Host, Url};

use super::map::Rules;
use super::source::Redfish;
use crate::config::{settings, valid_name};
use crate::provider::{Entry, Kind};

/// BMCs or aggregators that speak Redfish.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// Where they are; each is a source of its own.
    pub endpoints: Vec<Endpoint>,
    /// The login, unless an endpoint has its own.
    #[serde(default)]
    pub auth: Option<AuthConfig>,
    /// Tags of all machines: Redfish has none. A tag of an endpoint wins.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Where all of them stand; what an endpoint says wins.
    #[serde(default)]
    pub location: Location,
    /// What identifies a machine.
    #[serde(default)]
    pub identity: Identity,
    /// Whether smart network cards that run a system of their own (`SystemType` `DPU`) are machines.
    #[serde(default)]
    pub dpus: bool,
    /// Whether network interfaces are read, for MACs and the addresses that an agent on the host reports: a call
    /// for each of them, to a slow computer.
    #[serde(default)]
    pub interfaces: bool,
    /// Whether the chassis is read for its place in a rack: one call more.
    #[serde(default)]
    pub chassis: bool,
    /// The connections, unless an endpoint has its own.
    #[serde(default)]
    pub http: HttpSettings,
    /// The brake of each of them, where it differs from the instance's.
    #[serde(default)]
    pub gone: GoneOverride,
    /// Served, but neither asked nor changed.
    #[serde(default)]
    pub suspend: bool,
}

/// One BMC or aggregator.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Endpoint {
    /// What the source is called; it owns the Hosts, so keep it when the address changes.
    pub name: String,
    /// Where it is: `https://10.250.12.7`.
    #[schemars(with = "String")]
    pub url: Url,
    /// Its own login.
    #[serde(default)]
    pub auth: Option<AuthConfig>,
    /// Its own tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Where it stands.
    #[serde(default)]
    pub location: Location,
    /// Its own connection, in place of the list's.
    #[serde(default)]
    pub http: Option<HttpSettings>,
    /// What a listing must hold to be believed.
    #[serde(default)]
    pub expect: Expect,
    /// Its own brake; what it leaves out is as in the list's.
    #[serde(default)]
    pub gone: GoneOverride,
    /// Served, but neither asked nor changed.
    #[serde(default)]
    pub suspend: bool,
}

/// A login at a BMC; the role `ReadOnly` is enough.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AuthConfig {
    /// The user.
    pub user: String,
    /// Where its password is.
    pub password: SecretRef,
    /// How it is used.
    #[serde(default)]
    pub method: Method,
}

/// How a login is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Method {
    /// HTTP Basic: takes no session slot.
    #[default]
    Basic,
    /// A session for each round, closed at its end.
    Session,
}

/// What identifies a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Identity {
    /// The UUID; without one maker and serial number; without those its address at the endpoint.
    #[default]
    Auto,
    /// Maker and serial number, or its address: for boards whose UUIDs are not unique.
    Serial,
    /// Its address at the endpoint: for those whose UUIDs change with the firmware.
    Uri,
}

impl Config {
    /// The sources.
    ///
    /// # Errors
    /// No endpoint, a name or url that is none, two of one name, a password over plain http.
    pub(crate) fn build(self) -> Result<Vec<Entry>, InvalidConfig> {
        if self.endpoints.is_empty() {
            return Err(InvalidConfig(
                "a redfish source has no `endpoints`: name at least one with `name` and `url`"
                    .to_owned(),
            ));
        }
        let mut names = BTreeSet::new();
        let mut entries = Vec::new();
        let mut ways = Ways::default();
        for endpoint in &self.endpoints {
            if !names.insert(&endpoint.name) {
                return Err(InvalidConfig(format!(
                    "two redfish endpoints are called {:?}: give one of them another `name`",
                    endpoint.name
                )));
            }
            entries.push(self.entry(endpoint, &mut ways)?);
        }
        Ok(entries)
    }

    fn entry(&self, endpoint: &Endpoint, ways: &mut Ways) -> Result<Entry, InvalidConfig> {
        let host = endpoint.url.host_str().unwrap_or("?");
        valid_name(&endpoint.name, &format!("the redfish endpoint at {host}"))?;
        let http = endpoint.http.as_ref().unwrap_or(&self.http);
        let named = |why: InvalidConfig| {
            InvalidConfig(format!("the redfish endpoint {:?}: {why}", endpoint.name))
        };
        let http = ways.to(endpoint.url.clone(), http).map_err(named)?;
        let mut tags = self.tags.clone();
        tags.extend(endpoint.tags.clone());
        let rules = Rules {
            name: endpoint.name.clone(),
            bmc: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            tags,
            location: over(&endpoint.location, &self.location),
            identity: self.identity,
            dpus: self.dpus,
            interfaces: self.interfaces,
            chassis: self.chassis,
        };
        let auth = endpoint.auth.clone().or_else(|| self.auth.clone());
        if auth.is_some() {
            secret_way(&endpoint.url).map_err(named)?;
        }
        let gone = GoneOverride {
            max_fraction: endpoint.gone.max_fraction.or(self.gone.max_fraction),
            floor: endpoint.gone.floor.or(self.gone.floor),
        };
        let suspend = self.suspend || endpoint.suspend;
        let settings = settings(endpoint.expect.clone(), gone, suspend);
        let redfish = Redfish::new(http, auth, rules);
        Ok(Entry::new(&endpoint.name, settings, Kind::Redfish(Box::new(redfish))))
    }
}

/// Refuses a way on which a password could be read by others.
fn secret_way(url: &Url) -> Result<(), InvalidConfig> {
    let stays_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    if url.scheme() == "https" || stays_here {
        return Ok(());
    }
    Err(InvalidConfig(
        "its url is not https, and the password of its `auth` would cross the network for everybody to read: write \
         https (`http.certificateFingerprint` or `http.caFile` for a certificate of its own), or leave out `auth`"
            .to_owned(),
    ))
}

/// One connection for each kind of settings: all endpoints of a kind share its trust.
#[derive(Default)]
struct Ways(Vec<(HttpSettings, Http)>);

impl Ways {
    fn to(&mut self, url: Url, settings: &HttpSettings) -> Result<Http, InvalidConfig> {
        if let Some((_, known)) = self.0.iter().find(|(known, _)| known == settings) {
            return known.sibling(url);
        }
        let http = Http::new(options(url).with(settings)?)?;
        self.0.push((settings.clone(), http.clone()));
        Ok(http)
    }
}

/// What suits a BMC: two requests at once, one retry, and an end to waiting for one that hangs.
fn options(url: Url) -> HttpOptions {
    HttpOptions {
        concurrency: 2,
        attempts: 2,
        timeout: Duration::from_secs(20),
        deadline: Duration::from_secs(30),
        body_limit: 4 * 1024 * 1024,
        ..HttpOptions::new(url)
    }
}

fn over(own: &Location, common: &Location) -> Location {
    let pick = |own: &Option<_>, common: &Option<_>| own.clone().or_else(|| common.clone());
    Location {
        region: pick(&own.region, &common.region),
        zone: pick(&own.zone, &common.zone),
        site: pick(&own.site, &common.site),
        rack: pick(&own.rack, &common.rack),
        position: pick(&own.position, &common.position),
    }
}
