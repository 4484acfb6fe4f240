//! The settings of a source of kind `ironic`.
//!
//! Not the asking: nothing here touches the network.

use fetcher_core::app::InvalidConfig;
use fetcher_core::config::GoneOverride;
use fetcher_core::http::HttpSettings;
use fetcher_core::provider::Expect;
use fetcher_core::secret::SecretRef;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::place::Place;
use super::source::Ironic;
use crate::config::{settings, valid_name};
use crate::provider::{Entry, Kind};

/// The nodes of one OpenStack Ironic.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// What the source is called; it owns the Hosts, so keep it when the address changes.
    pub name: String,
    /// Where the API is, without `/v1`: `https://ironic.example.net:6385`.
    #[schemars(with = "String")]
    pub url: Url,
    /// How to log in, by the server's `auth_strategy`.
    #[serde(default)]
    pub auth: AuthConfig,
    /// Where tags are kept; the first place that has a key wins. `extra` takes each scalar of `extra` as a tag.
    #[serde(default = "default_tags")]
    pub tags: Vec<Place>,
    /// Where operators keep what Ironic itself does not know.
    #[serde(default)]
    pub fields: Fields,
    /// Whether ports are listed too, for the MACs.
    #[serde(default = "yes")]
    pub ports: bool,
    /// Nodes a page; the server cuts it to its `max_limit`.
    #[serde(default = "default_page_size")]
    #[schemars(range(min = 1, max = 1000))]
    pub page_size: u32,
    /// The connection.
    #[serde(default)]
    pub http: HttpSettings,
    /// What a listing must hold to be believed.
    #[serde(default)]
    pub expect: Expect,
    /// Its own brake, where it differs from the instance's.
    #[serde(default)]
    pub gone: GoneOverride,
    /// Served, but neither asked nor changed.
    #[serde(default)]
    pub suspend: bool,
}

/// How to log in.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AuthConfig {
    /// `noauth`: nothing is sent.
    #[default]
    None,
    /// `http_basic`.
    Basic(Basic),
    /// `keystone`: a token, renewed before it ends.
    Keystone(Box<Keystone>),
}

/// A user and a password.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Basic {
    /// The user.
    pub user: String,
    /// Where its password is.
    pub password: SecretRef,
}

/// A login at Keystone.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Keystone {
    /// Where Keystone is, with or without `/v3`.
    #[schemars(with = "String")]
    pub url: Url,
    /// The id of the application credential, or of the user for `systemPassword`.
    pub id: String,
    /// Where its secret is.
    pub secret: SecretRef,
    /// What `id` and `secret` are.
    #[serde(default)]
    pub method: KeystoneMethod,
    /// The connection to Keystone.
    #[serde(default)]
    pub http: HttpSettings,
}

/// How to prove oneself to Keystone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum KeystoneMethod {
    /// An application credential: it is of one project.
    #[default]
    ApplicationCredential,
    /// A user's id and password, asking for a token of the whole system: only such a one may list the nodes of
    /// all owners by Ironic's default policy.
    SystemPassword,
}

/// Where operators keep what Ironic itself does not know.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Fields {
    /// Region.
    pub region: Option<Place>,
    /// Availability zone.
    pub zone: Option<Place>,
    /// Site.
    pub site: Option<Place>,
    /// Rack.
    pub rack: Option<Place>,
    /// Position in the rack.
    pub position: Option<Place>,
    /// Serial number.
    pub serial: Option<Place>,
    /// SMBIOS UUID.
    pub uuid: Option<Place>,
    /// Maker.
    pub vendor: Option<Place>,
    /// Model.
    pub model: Option<Place>,
    /// The address of the operating system: Ironic itself knows none.
    pub address: Option<Place>,
}

impl Default for Fields {
    fn default() -> Self {
        let at = |text: &str| text.parse().ok();
        Self {
            region: at("extra.region"),
            zone: at("extra.zone"),
            site: at("extra.site"),
            rack: at("extra.rack"),
            position: at("extra.position"),
            serial: at("extra.serial"),
            uuid: at("extra.system_uuid"),
            vendor: at("properties.vendor"),
            model: at("extra.model"),
            address: at("extra.address"),
        }
    }
}

pub(super) fn default_tags() -> Vec<Place> {
    ["extra.tags", "extra", "traits"].iter().filter_map(|text| text.parse().ok()).collect()
}

const fn yes() -> bool {
    true
}

const fn default_page_size() -> u32 {
    500
}

impl Config {
    /// The source.
    ///
    /// # Errors
    /// A name that is none, a url that is none, a page size out of its range.
    pub(crate) fn build(self) -> Result<Entry, InvalidConfig> {
        let host = self.url.host_str().unwrap_or("?");
        valid_name(&self.name, &format!("the ironic source at {host}"))?;
        if self.page_size == 0 || self.page_size > 1000 {
            return Err(InvalidConfig(format!(
                "pageSize of the ironic source {:?} must be 1 to 1000",
                self.name
            )));
        }
        let settings = settings(self.expect.clone(), self.gone, self.suspend);
        let name = self.name.clone();
        Ok(Entry::new(&name, settings, Kind::Ironic(Box::new(Ironic::new(self)?))))
    }
}
