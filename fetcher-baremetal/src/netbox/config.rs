//! The settings of a source of kind `netbox`.
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

use super::source::NetBox;
use crate::config::{settings, valid_name};
use crate::provider::{Entry, Kind};

/// The devices of one NetBox.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// What the source is called; it owns the Hosts, so keep it when the address changes.
    pub name: String,
    /// Where it is, without `/api`: `https://netbox.example.net`, or with the path it lives under.
    #[schemars(with = "String")]
    pub url: Url,
    /// Where the token is: one of either kind, read-only is enough.
    pub token: SecretRef,
    /// Whether virtual machines are listed too.
    #[serde(default)]
    pub virtual_machines: bool,
    /// Whether network interfaces are read, for the MACs: a call for every 50 devices.
    #[serde(default)]
    pub interfaces: bool,
    /// Whether sites are read, for the region of a device.
    #[serde(default)]
    pub regions: bool,
    /// Which custom fields become tags, as `cf_NAME`; without it, all that hold a scalar.
    #[serde(default)]
    pub custom_fields: Option<Vec<String>>,
    /// The custom field that holds the SMBIOS UUID: NetBox itself has none.
    #[serde(default)]
    pub uuid_field: Option<String>,
    /// Entries a page; the server cuts it to its `MAX_PAGE_SIZE`.
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
        valid_name(&self.name, &format!("the netbox source at {host}"))?;
        if self.page_size == 0 || self.page_size > 1000 {
            return Err(InvalidConfig(format!(
                "pageSize of the netbox source {:?} must be 1 to 1000",
                self.name
            )));
        }
        let settings = settings(self.expect.clone(), self.gone, self.suspend);
        let name = self.name.clone();
        Ok(Entry::new(&name, settings, Kind::NetBox(Box::new(NetBox::new(self)?))))
    }
}
