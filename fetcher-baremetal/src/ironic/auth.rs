//! The login: nothing, Basic, or a token of Keystone that is renewed before it ends.
//!
//! Not the retry after a 401: `api` asks once for a new token and then gives up.

use std::time::Duration;

use fetcher_core::app::InvalidConfig;
use fetcher_core::http::{Answer, Call, Http, HttpOptions};
use fetcher_core::provider::FetchError;
use fetcher_core::secret::Secret;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::config::{AuthConfig, Basic, Keystone, KeystoneMethod};

/// A token is renewed this long before it ends.
const MARGIN: Duration = Duration::from_secs(60);

/// The login of one source.
#[derive(Debug)]
pub(super) enum Auth {
    None,
    Basic(Basic),
    Keystone(Box<Session>),
}

/// A login at Keystone and the token it gave.
#[derive(Debug)]
pub(super) struct Session {
    config: Box<Keystone>,
    http: Http,
    token: Mutex<Option<Token>>,
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) secret: Secret,
    pub(super) scope: Scope,
    until: Option<Instant>,
}

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The whole system: nodes of all owners.
    System,
    /// One project: by Ironic's default policy only the nodes it owns or leases are listed, without an error.
    Project,
}

impl Auth {
    pub(super) fn new(config: AuthConfig) -> Result<Self, InvalidConfig> {
        Ok(match config {
            AuthConfig::None => Self::None,
            AuthConfig::Basic(basic) => Self::Basic(basic),
            AuthConfig::Keystone(config) => {
                let mut base = config.url.clone();
                let path = base.path().trim_end_matches('/').trim_end_matches("/v3").to_owned();
                base.set_path(&path);
                let http = Http::new(HttpOptions::new(base).with(&config.http)?)?;
                Self::Keystone(Box::new(Session { config, http, token: Mutex::default() }))
            }
        })
    }

    /// The call with the login on it.
    pub(super) async fn sign(&self, call: Call) -> Result<Call, FetchError> {
        match self {
            Self::None => Ok(call),
            Self::Basic(basic) => Ok(call.basic(&basic.user, &basic.password.read()?)),
            Self::Keystone(session) => {
                Ok(call.secret_header("X-Auth-Token", &session.token().await?.secret))
            }
        }
    }

    /// Forgets a token that was refused; whether there is a new one to be had.
    pub(super) async fn renew(&self) -> bool {
        match self {
            Self::None | Self::Basic(_) => false,
            Self::Keystone(session) => session.token.lock().await.take().is_some(),
        }
    }

    /// What the login is good for, as far as it says.
    pub(super) async fn scope(&self) -> Result<Option<Scope>, FetchError> {
        match self {
            Self::None | Self::Basic(_) => Ok(None),
            Self::Keystone(session) => Ok(Some(session.token().await?.scope)),
        }
    }
}

impl Session {
    async fn token(&self) -> Result<Token, FetchError> {
        let mut kept = self.token.lock().await;
        let now = Instant::now();
        if let Some(token) = kept.as_ref().filter(|t| t.until.is_none_or(|until| now < until)) {
            return Ok(token.clone());
        }
        let token = self.log_in(now).await?;
        *kept = Some(token.clone());
        Ok(token)
    }

    async fn log_in(&self, now: Instant) -> Result<Token, FetchError> {
        let secret = self.config.secret.read()?;
        let id = &self.config.id;
        let body = match self.config.method {
            KeystoneMethod::ApplicationCredential => json!({"auth": {"identity": {
                "methods": ["application_credential"],
                "application_credential": {"id": id, "secret": secret.expose()}}}}),
            KeystoneMethod::SystemPassword => json!({"auth": {
                "identity": {"methods": ["password"],
                    "password": {"user": {"id": id, "password": secret.expose()}}},
                "scope": {"system": {"all": true}}}}),
        };
        let call = self.http.post("v3/auth/tokens").hide(&secret).body_json(&body);
        token(call.answer().await?.ok()?, now)
    }
}

#[derive(Deserialize)]
struct Issued {
    token: IssuedToken,
}

#[derive(Deserialize)]
struct IssuedToken {
    #[serde(default)]
    issued_at: Option<String>,
    #[serde(default)]
    expires_at: Option<String>,
    #[serde(default)]
    system: Option<serde_json::Value>,
}

/// The token out of Keystone's answer. Its life is the difference of two of Keystone's own times: our clock is
/// not asked what the time is there.
pub(super) fn token(answer: Answer, now: Instant) -> Result<Token, FetchError> {
    let secret = answer.header("X-Subject-Token").map(Secret::new).ok_or_else(|| {
        FetchError::inconsistent("Keystone gave no X-Subject-Token; check the url of keystone")
    })?;
    let issued = answer.json::<Issued>()?.token;
    let time = |text: Option<String>| text?.parse::<jiff::Timestamp>().ok();
    let life = time(issued.issued_at)
        .zip(time(issued.expires_at))
        .and_then(|(from, to)| Duration::try_from(to.duration_since(from)).ok());
    Ok(Token {
        secret,
        scope: if issued.system.is_some() { Scope::System } else { Scope::Project },
        until: life.map(|life| now + life.saturating_sub(MARGIN)),
    })
}
