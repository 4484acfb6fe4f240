//! The login at a BMC, and the memory of a password that was refused. Not the session it may open: see `session.rs`.
//!
//! BMCs lock accounts and addresses after a few wrong passwords: a refused one is not tried again until it
//! changes or an hour has passed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fetcher_core::http::{Answer, Http};
use fetcher_core::provider::FetchError;
use fetcher_core::secret::Secret;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::Instant;

use super::config::{AuthConfig, Method};
use super::session::Session;

/// How long a refused password is not tried again.
const PAUSE: Duration = Duration::from_secs(3600);

/// The login of one endpoint.
#[derive(Debug)]
pub(super) struct Auth {
    pub(super) config: Option<AuthConfig>,
    refused: Mutex<Option<Refused>>,
    /// Each session that is being opened, is open or is being closed holds a receiver.
    sessions: watch::Sender<()>,
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
        Self { config, refused: Mutex::default(), sessions: watch::Sender::default() }
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

    /// Opens a session, in a task of its own: a round that is dropped before the answer is here would leave behind
    /// a session of which nobody knows.
    ///
    /// # Errors
    /// The answer, for what its status means: 401 is the password, 503 often that no slot is free.
    pub(super) async fn open(
        &self,
        http: &Http,
        at: &str,
        credential: &Credential,
    ) -> Result<Result<Session, Answer>, FetchError> {
        let (http, at, credential) = (http.clone(), at.to_owned(), credential.clone());
        let held = self.sessions.subscribe();
        let opening = async move { Session::open(http, &at, &credential, held).await };
        tokio::spawn(opening).await.unwrap_or_else(|error| {
            Err(FetchError::unavailable(format!("the opening of a session broke off: {error}")))
        })
    }

    /// Ends when every session is closed, those of dropped rounds too.
    pub(super) async fn closed(&self) {
        self.sessions.closed().await;
    }
}
