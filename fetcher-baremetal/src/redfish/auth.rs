//! The login at a BMC, and the memory of a password that was refused.
//!
//! BMCs lock accounts and addresses after a few wrong passwords: a refused one is not tried again until it
//! changes or an hour has passed. Sessions are few: each is closed, also when the round is dropped half way.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fetcher_core::http::{Answer, Http};
use fetcher_core::provider::FetchError;
use fetcher_core::secret::Secret;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::config::{AuthConfig, Method};

/// How long a refused password is not tried again.
const PAUSE: Duration = Duration::from_secs(3600);

/// The login of one endpoint.
#[derive(Debug)]
pub(super) struct Auth {
    pub(super) config: Option<AuthConfig>,
    refused: Mutex<Option<Refused>>,
}

/// Which password was refused, by its hash, and when.
#[derive(Clone, Copy, Debug)]
struct Refused {
    hash: [u8; 32],
    at: Instant,
}

/// A user and a password that may be tried.
#[derive(Clone, Debug)]
pub(super) struct Credential {
    pub(super) user: String,
    pub(super) password: Secret,
    pub(super) method: Method,
    hash: [u8; 32],
}

impl Auth {
    pub(super) fn new(config: Option<AuthConfig>) -> Self {
        Self { config, refused: Mutex::default() }
    }

    /// The credential as it is now; none where none is configured.
    ///
    /// # Errors
    /// The secret cannot be read, or is the one that was refused less than an hour ago.
    pub(super) fn credential(&self, now: Instant) -> Result<Option<Credential>, FetchError> {
        let Some(config) = &self.config else { return Ok(None) };
        let password = config.password.read()?;
        let hash = Sha256::new()
            .chain_update(config.user.as_bytes())
            .chain_update([0])
            .chain_update(password.expose().as_bytes())
            .finalize()
            .into();
        let refused = *self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(refused) = refused.filter(|refused| refused.hash == hash) {
            let since = now.saturating_duration_since(refused.at);
            if since < PAUSE {
                return Err(FetchError::denied(format!(
                    "user {:?} and the password in {} were refused {} minutes ago: not tried again for an hour, or \
                     until the password changes, because BMCs lock accounts",
                    config.user,
                    config.password,
                    since.as_secs() / 60
                )));
            }
        }
        Ok(Some(Credential { user: config.user.clone(), password, method: config.method, hash }))
    }

    /// Remembers that this credential was refused.
    pub(super) fn refuse(&self, credential: &Credential, now: Instant) {
        let refused = Refused { hash: credential.hash, at: now };
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
    }
}

/// An open session; closed by [`Session::close`], or in the background when it is dropped before.
#[derive(Debug)]
pub(super) struct Session {
    http: Http,
    pub(super) token: Secret,
    location: Option<String>,
}

impl Session {
    /// Opens a session.
    ///
    /// # Errors
    /// The answer, for what its status means: 401 is the password, 503 often that no slot is free.
    pub(super) async fn open(
        http: &Http,
        at: &str,
        credential: &Credential,
    ) -> Result<Result<Self, Answer>, FetchError> {
        let body = json!({"UserName": credential.user, "Password": credential.password.expose()});
        let call = http.post(at).hide(&credential.password).body_json(&body);
        let answer = call.answer().await?;
        if !answer.status.is_success() {
            return Ok(Err(answer));
        }
        let location = answer.header("Location").map(ToOwned::to_owned);
        match answer.header("X-Auth-Token") {
            Some(token) => Ok(Ok(Self { http: http.clone(), token: Secret::new(token), location })),
            None => Err(FetchError::inconsistent(format!(
                "{}{at} opened a session without X-Auth-Token; use auth.method: basic",
                http.base()
            ))),
        }
    }

    /// Closes it. A failure is only logged: some answer 401 to a good logout.
    pub(super) async fn close(mut self) {
        if let Some(location) = self.location.take() {
            log_out(&self.http, &self.token, &location).await;
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(location) = self.location.take() else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (http, token) = (self.http.clone(), self.token.clone());
            runtime.spawn(async move { log_out(&http, &token, &location).await });
        }
    }
}

async fn log_out(http: &Http, token: &Secret, location: &str) {
    let call = http.delete(location).secret_header("X-Auth-Token", token);
    match call.answer().await {
        Ok(answer) if answer.status.is_success() => {}
        Ok(answer) => {
            tracing::debug!(endpoint = %http.base(), status = answer.status.as_u16(), "Session was not closed");
        }
        Err(error) => tracing::debug!(endpoint = %http.base(), %error, "Session was not closed"),
    }
}
