//! One call under construction: what is sent, and what no error may show of it. Not the sending: see `send.rs`.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::Http;
use super::quote::Hidden;
use crate::provider::FetchError;
use crate::secret::Secret;

/// One call under construction; `json` or `answer` sends it.
#[must_use]
pub struct Call {
    pub(super) http: Http,
    pub(super) method: Method,
    pub(super) url: Result<Url, FetchError>,
    pub(super) headers: HeaderMap,
    pub(super) signed: Option<(HeaderName, Sign)>,
    pub(super) body: Option<Bytes>,
    pub(super) timeout: Option<Duration>,
    pub(super) attempts: u32,
    pub(super) hidden: Hidden,
}

type Sign = Arc<dyn Fn() -> Secret + Send + Sync>;

impl Call {
    pub(super) fn new(http: Http, method: Method, url: Result<Url, FetchError>) -> Self {
        let attempts = http.0.options.attempts;
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        Self {
            http,
            method,
            url,
            headers,
            signed: None,
            body: None,
            timeout: None,
            attempts,
            hidden: Hidden::default(),
        }
    }

    /// Adds a pair to the query. Not for secrets: servers and proxies log queries.
    pub fn query(mut self, key: &str, value: &(impl ToString + ?Sized)) -> Self {
        if let Ok(url) = &mut self.url {
            url.query_pairs_mut().append_pair(key, &value.to_string());
        }
        self
    }

    /// Sets a header.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.put(name, value, false)
    }

    /// Sets a header whose value no log and no error may show.
    pub fn secret_header(self, name: &str, secret: &Secret) -> Self {
        self.put(name, secret.expose(), true)
    }

    /// `Authorization: Basic`, sent with the first request.
    pub fn basic(mut self, user: &str, password: &Secret) -> Self {
        let pair = format!("{user}:{}", password.expose());
        let value = format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(pair));
        self = self.hide(password);
        self.put(header::AUTHORIZATION.as_str(), &value, true)
    }

    /// `Authorization: Bearer`.
    pub fn bearer(mut self, token: &Secret) -> Self {
        self = self.hide(token);
        self.put(header::AUTHORIZATION.as_str(), &format!("Bearer {}", token.expose()), true)
    }

    /// Sets a header anew for each attempt: for signatures with a nonce or a time.
    pub fn signed(
        mut self,
        name: HeaderName,
        sign: impl Fn() -> Secret + Send + Sync + 'static,
    ) -> Self {
        self.signed = Some((name, Arc::new(sign)));
        self
    }

    /// Keeps this text out of every error of this call, beside the secrets in its headers.
    pub fn hide(mut self, secret: &Secret) -> Self {
        self.hidden.add(secret.expose());
        self
    }

    /// Sends this as JSON. A secret in it must be hidden by [`Call::hide`].
    pub fn body_json<T: Serialize + ?Sized>(mut self, body: &T) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => {
                self.body = Some(bytes.into());
                self.put(header::CONTENT_TYPE.as_str(), "application/json", false)
            }
            Err(e) => self.broken(format!("the request cannot be written as JSON: {e}")),
        }
    }

    /// How long one attempt may take, instead of what the endpoint says.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sent once, whatever comes back.
    pub fn no_retry(mut self) -> Self {
        self.attempts = 1;
        self
    }

    /// Sends it; the body of a 2xx answer, out of JSON.
    ///
    /// # Errors
    /// Those of [`Call::answer`] and [`Answer::json`].
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, FetchError> {
        self.answer().await?.json()
    }

    fn put(mut self, name: &str, value: &str, secret: bool) -> Self {
        let Ok(name) = HeaderName::try_from(name) else {
            return self.broken(format!("{name:?} is no name of a header"));
        };
        if secret {
            self.hidden.add(value);
        }
        let parsed = if secret { sensitive(value) } else { HeaderValue::from_str(value).ok() };
        let Some(value) = parsed else {
            return self.broken(format!(
                "the value for the header {name} holds characters that no header can carry"
            ));
        };
        self.headers.insert(name, value);
        self
    }

    fn broken(mut self, why: String) -> Self {
        if self.url.is_ok() {
            self.url = Err(FetchError::invalid(why));
        }
        self
    }
}

pub(super) fn sensitive(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}
