//! The one way out to a REST API: retries, limits and deadlines, and errors in words that hold no secret.
//!
//! Not a client of any API: what is asked, and what a status means to it, belongs to the provider. `answer` is for
//! those who interpret statuses (a 404 of a lookup, a 401 that asks for a new login), `json` for all others.

mod answer;
mod call;
mod limit;
mod options;
mod pin;
mod quote;
mod retry;
mod send;
mod tls;

use std::sync::Arc;

use http::Method;
use tokio::sync::Semaphore;
use url::Url;

pub use answer::Answer;
pub use call::Call;
pub use options::{HttpOptions, HttpSettings, ProxyChoice};

use crate::app::InvalidConfig;
use crate::provider::FetchError;
use limit::Limit;

/// One endpoint of one API; clones share its connections and its limits.
#[derive(Clone)]
pub struct Http(Arc<Endpoint>);

struct Endpoint {
    client: reqwest::Client,
    options: HttpOptions,
    limit: Limit,
    in_flight: Semaphore,
}

/// Its address alone: a proxy's URL inside may hold a password.
impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Http({})", self.base())
    }
}

impl Http {
    /// The way to this endpoint. Reads the CA file, never the network.
    ///
    /// # Errors
    /// A base that is no `http` or `https` URL of a host, or that holds credentials; a CA file without certificates.
    pub fn new(options: HttpOptions) -> Result<Self, InvalidConfig> {
        let options = options.checked()?;
        Ok(Self::with_client(tls::client(&options)?, options))
    }

    /// Another endpoint with the same trust and settings, and a pace of its own: a thousand devices share one pool
    /// of roots and connections instead of reading the system's roots a thousand times.
    ///
    /// # Errors
    /// Those of [`Http::new`].
    pub fn sibling(&self, base: Url) -> Result<Self, InvalidConfig> {
        let options = HttpOptions { base, ..self.0.options.clone() }.checked()?;
        if tls::is_loopback(&options.base) != tls::is_loopback(self.base()) {
            return Self::new(options);
        }
        Ok(Self::with_client(self.0.client.clone(), options))
    }

    fn with_client(client: reqwest::Client, options: HttpOptions) -> Self {
        let limit = Limit::new(options.requests_per_second, options.burst);
        let in_flight = Semaphore::new(options.concurrency);
        Self(Arc::new(Endpoint { client, options, limit, in_flight }))
    }

    /// The base that references are resolved against; its path ends in `/`.
    #[must_use]
    pub fn base(&self) -> &Url {
        &self.0.options.base
    }

    /// GET of a reference as in a link: `devices` is below the base, `/v1/devices` below its host, and a whole URL
    /// must be of the base's origin (scheme, host, port), because the call may carry a secret.
    pub fn get(&self, reference: &str) -> Call {
        self.call(Method::GET, reference)
    }

    /// POST. Repeated only when the server said or shows that it did not take it: 429, 503, no connection.
    pub fn post(&self, reference: &str) -> Call {
        self.call(Method::POST, reference)
    }

    /// DELETE, of a session for example.
    pub fn delete(&self, reference: &str) -> Call {
        self.call(Method::DELETE, reference)
    }

    fn call(&self, method: Method, reference: &str) -> Call {
        Call::new(self.clone(), method, self.resolve(self.base(), reference))
    }

    /// `reference` seen from `from`, if it stays at this endpoint.
    fn resolve(&self, from: &Url, reference: &str) -> Result<Url, FetchError> {
        let shown = || quote::place(reference);
        let mut url = from.join(reference).map_err(|e| {
            FetchError::inconsistent(format!("{} is no link that can be followed: {e}", shown()))
        })?;
        if url.origin() != self.base().origin() {
            return Err(FetchError::inconsistent(format!(
                "a link leads away from {}, to {}: not followed, because it would carry the credentials there; \
                 if that is the API's own public address, configure it as the url",
                self.base().origin().ascii_serialization(),
                url.origin().ascii_serialization(),
            )));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(FetchError::inconsistent(format!(
                "a link of {} holds credentials: not followed",
                self.base()
            )));
        }
        url.set_fragment(None);
        Ok(url)
    }
}

/// An id from outside as one segment of a path, percent-encoded.
///
/// # Errors
/// [`FetchError::Inconsistent`] for what would change the path: nothing, `.` and `..`.
pub fn segment(id: &str) -> Result<String, FetchError> {
    let mut url = Url::parse("http://x/").map_err(|e| FetchError::invalid(e.to_string()))?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.clear().push(id);
    }
    match url.path().strip_prefix('/') {
        Some(encoded) if !encoded.is_empty() => Ok(encoded.to_owned()),
        _ => Err(FetchError::inconsistent(format!(
            "{:?} cannot be an id in a path",
            crate::printable::printable(id, 60)
        ))),
    }
}

#[cfg(test)]
mod tests;
