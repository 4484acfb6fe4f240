//! What an endpoint is told: its address, its limits, its trust.
//!
//! [`HttpSettings`] is what a person may write; [`HttpOptions`] is the whole, with defaults the provider chose.

use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::app::InvalidConfig;

/// Everything one endpoint needs. The provider sets what is sensible for its API, then [`HttpOptions::with`] the
/// settings of the person.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Where the API is; its path is taken as a folder.
    pub base: Url,
    /// Sent as `User-Agent`.
    pub user_agent: String,
    /// Trusted instead of the system's roots: a file of certificates in PEM. Read once.
    pub ca_file: Option<PathBuf>,
    /// The SHA-256 of the one certificate that is trusted, whoever signed it and whatever its name and dates.
    pub fingerprint: Option<[u8; 32]>,
    /// Which proxy is used.
    pub proxy: ProxyChoice,
    /// How many requests a second on average, 0.001 to 10,000.
    pub requests_per_second: f64,
    /// How many at once before that counts.
    pub burst: u32,
    /// How many in flight at the most.
    pub concurrency: usize,
    /// How long one request may take, its body included.
    pub timeout: Duration,
    /// How long one call may take with all its retries.
    pub deadline: Duration,
    /// How often a request is sent at the most.
    pub attempts: u32,
    /// The first wait before a retry; it doubles up to thirty times this.
    pub backoff: Duration,
    /// The largest body that is read, in bytes after unpacking.
    pub body_limit: usize,
}

/// What a person may write about the connection to an endpoint; what is left out is the provider's default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct HttpSettings {
    /// A file of CA certificates in PEM, trusted instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The SHA-256 fingerprint of the server's own certificate, as `openssl x509 -fingerprint -sha256` prints it:
    /// trusts exactly this certificate, for devices that come with a self-signed one.
    pub certificate_fingerprint: Option<String>,
    /// `environment` obeys HTTPS_PROXY, HTTP_PROXY and NO_PROXY (never for loopback), `none` goes straight.
    pub proxy: Option<ProxyChoice>,
    /// Requests a second to this endpoint, on average.
    #[schemars(range(min = 0.001, max = 10_000))]
    pub requests_per_second: Option<f64>,
    /// How many requests may go at once before `requestsPerSecond` counts.
    #[schemars(range(min = 1))]
    pub burst: Option<u32>,
    /// Requests in flight at the most.
    #[schemars(range(min = 1, max = 1_000))]
    pub concurrency: Option<usize>,
    /// How long one request may take: `30s`, `2m`.
    // Its schema asks for ISO 8601 alone, which nobody writes.
    #[schemars(with = "Option<String>")]
    pub timeout: Option<SignedDuration>,
    /// How often a request is sent at the most, the first time included.
    #[schemars(range(min = 1, max = 100))]
    pub attempts: Option<u32>,
    /// The first wait before a request is sent again; it doubles up to thirty times this: `500ms`, `3s`.
    pub backoff: Option<SignedDuration>,
    /// The largest answer that is read, in MiB.
    #[serde(rename = "bodyLimitMiB")]
    #[schemars(range(min = 1, max = 4_096))]
    pub body_limit_mib: Option<usize>,
}

/// Which proxy is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ProxyChoice {
    /// What HTTPS_PROXY, HTTP_PROXY and NO_PROXY say; never for loopback.
    #[default]
    Environment,
    /// Straight to the endpoint.
    None,
}

impl HttpOptions {
    /// The defaults: 10 requests a second with a burst of 10, 8 in flight, 30 s a request, 5 attempts within two
    /// minutes, 64 MiB a body.
    #[must_use]
    pub fn new(base: Url) -> Self {
        Self {
            base,
            user_agent: concat!("fetcher/", env!("CARGO_PKG_VERSION")).to_owned(),
            ca_file: None,
            fingerprint: None,
            proxy: ProxyChoice::Environment,
            requests_per_second: 10.0,
            burst: 10,
            concurrency: 8,
            timeout: Duration::from_secs(30),
            deadline: Duration::from_secs(120),
            attempts: 5,
            backoff: Duration::from_millis(500),
            body_limit: 64 * 1024 * 1024,
        }
    }

    /// These options, with what the person wrote.
    ///
    /// # Errors
    /// A value out of its range, by its key.
    pub fn with(mut self, settings: &HttpSettings) -> Result<Self, InvalidConfig> {
        if settings.ca_file.is_some() {
            self.ca_file.clone_from(&settings.ca_file);
        }
        if let Some(text) = &settings.certificate_fingerprint {
            self.fingerprint = Some(super::tls::fingerprint(text)?);
        }
        self.proxy = settings.proxy.unwrap_or(self.proxy);
        self.requests_per_second = settings.requests_per_second.unwrap_or(self.requests_per_second);
        self.burst = settings.burst.unwrap_or(self.burst);
        self.concurrency = settings.concurrency.unwrap_or(self.concurrency);
        if let Some(timeout) = settings.timeout {
            self.timeout = Duration::try_from(timeout)
                .map_err(|_| InvalidConfig("timeout cannot be negative".to_owned()))?;
            self.deadline = self.deadline.max(self.timeout.saturating_mul(2));
        }
        self.attempts = settings.attempts.unwrap_or(self.attempts);
        if let Some(backoff) = settings.backoff {
            self.backoff = Duration::try_from(backoff)
                .map_err(|_| InvalidConfig("backoff cannot be negative".to_owned()))?;
        }
        if let Some(mib) = settings.body_limit_mib {
            self.body_limit = mib.saturating_mul(1024 * 1024);
        }
        Ok(self)
    }

    /// These options with a base that links can be resolved against, or what is wrong with them.
    pub(super) fn checked(mut self) -> Result<Self, InvalidConfig> {
        self.base = checked_base(self.base)?;
        let wrong = |text: &str| Err(InvalidConfig(text.to_owned()));
        if !(0.001..=10_000.0).contains(&self.requests_per_second) {
            return wrong("requestsPerSecond must be between 0.001 and 10000");
        }
        if self.burst == 0 || self.attempts == 0 || self.body_limit == 0 {
            return wrong("burst, attempts and the body limit must be at least 1");
        }
        if self.concurrency == 0 || self.concurrency > 1_000 {
            return wrong("concurrency must be between 1 and 1000");
        }
        if !(Duration::from_millis(1)..=Duration::from_secs(3_600)).contains(&self.timeout) {
            return wrong("timeout must be between 1ms and 1h");
        }
        if self.fingerprint.is_some() && self.ca_file.is_some() {
            return wrong("caFile and certificateFingerprint exclude each other: leave one out");
        }
        if self.fingerprint.is_some() && self.base.scheme() != "https" {
            return wrong("certificateFingerprint needs an https url");
        }
        Ok(self)
    }
}

/// The base as a folder without anything that is not a place.
fn checked_base(mut base: Url) -> Result<Url, InvalidConfig> {
    let origin = base.origin().ascii_serialization();
    if !base.username().is_empty() || base.password().is_some() {
        return Err(InvalidConfig(format!(
            "the url of {origin} holds a user or password: take them out and name a secret file instead"
        )));
    }
    if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
        return Err(InvalidConfig(format!(
            "a url must begin with https:// (or http://) and a host, not with {}:",
            base.scheme()
        )));
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(InvalidConfig(format!(
            "the url of {origin} must end with its path, without ? or #"
        )));
    }
    if !base.path().ends_with('/') {
        let path = format!("{}/", base.path());
        base.set_path(&path);
    }
    Ok(base)
}
