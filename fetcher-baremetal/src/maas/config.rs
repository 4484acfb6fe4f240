//! The settings of a source of kind `maas`.
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

use super::source::Maas;
use crate::config::{settings, valid_name};
use crate::provider::{Entry, Kind};

/// The machines of one MAAS.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// What the source is called; it owns the Hosts, so keep it when the address changes.
    pub name: String,
    /// Where it is, with `/MAAS`, without `/api/2.0`: `https://maas.example.net:5443/MAAS`.
    #[schemars(with = "String")]
    pub url: Url,
    /// Where the API key is: three parts with colons between them.
    pub api_key: SecretRef,
    /// Whether smart network cards that run a system of their own are machines.
    #[serde(default)]
    pub dpus: bool,
    /// The connection. One answer holds everything: `timeout` and `bodyLimitMiB` count.
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

impl Config {
    /// The source.
    ///
    /// # Errors
    /// A name that is none, a url that is none.
    pub(crate) fn build(self) -> Result<Entry, InvalidConfig> {
        let host = self.url.host_str().unwrap_or("?");
        valid_name(&self.name, &format!("the maas source at {host}"))?;
        let settings = settings(self.expect.clone(), self.gone, self.suspend);
        let name = self.name.clone();
        Ok(Entry::new(&name, settings, Kind::Maas(Box::new(Maas::new(self)?))))
    }
}
