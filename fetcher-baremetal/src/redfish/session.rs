//! A session at a BMC, of which it has few: each is closed, also when its round is dropped half way.

use fetcher_core::http::{Answer, Http};
use fetcher_core::provider::{FetchError, Note};
use fetcher_core::secret::Secret;
use serde_json::json;
use tokio::sync::watch;
use url::Url;

use super::auth::Credential;
use super::wire::Link;

/// An open session; closed by [`Session::close`], or in the background when it is dropped before.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) token: Secret,
    http: Http,
    location: Option<Url>,
    /// Held until it is closed, for those who wait for that.
    held: Option<watch::Receiver<()>>,
}

impl Session {
    /// Opens a session.
    ///
    /// # Errors
    /// The answer, if it was refused.
    pub(super) async fn open(
        http: Http,
        at: &str,
        credential: &Credential,
        held: watch::Receiver<()>,
    ) -> Result<Result<Self, Answer>, FetchError> {
        let body = json!({"UserName": credential.user, "Password": credential.password.expose()});
        let call = http.post(at).hide(&credential.password).body_json(&body);
        let answer = call.answer().await?;
        if !answer.status.is_success() {
            return Ok(Err(answer));
        }
        let Some(token) = answer.header("X-Auth-Token").map(Secret::new) else {
            return Err(FetchError::inconsistent(format!(
                "{}{at} opened a session without X-Auth-Token; use auth.method: basic",
                http.base()
            )));
        };
        let location = location(http.base(), at, &answer);
        Ok(Ok(Self { token, http, location, held: Some(held) }))
    }

    /// Closes it, or notes why it cannot be. A failure is only logged: some answer 401 to a good logout.
    pub(super) async fn close(mut self) -> Option<Note> {
        let Some(location) = &self.location else { return Some(endless(&self.http)) };
        log_out(&self.http, &self.token, location).await;
        self.location = None;
        None
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(location) = self.location.take() else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (http, token, held) = (self.http.clone(), self.token.clone(), self.held.take());
            runtime.spawn(async move {
                log_out(&http, &token, &location).await;
                drop(held);
            });
        }
    }
}

/// Where a session that was opened at `at` is closed: what `Location` says, else its own address in the body. The path
/// alone, at our own endpoint: many a BMC names itself by another address than the one it is reached at.
fn location(base: &Url, at: &str, answer: &Answer) -> Option<Url> {
    let opened = base.join(at).ok()?;
    let here = |named: &str| {
        let named = opened.join(named).ok()?;
        let mut own = base.clone();
        own.set_path(named.path());
        own.set_query(named.query());
        // Neither nothing nor all sessions.
        (own.path() != opened.path() && own.path() != "/").then_some(own)
    };
    answer.header("Location").and_then(here).or_else(|| {
        let body: Link = serde_json::from_slice(&answer.body).ok()?;
        here(&body.id)
    })
}

async fn log_out(http: &Http, token: &Secret, location: &Url) {
    let call = http.delete(location.as_str()).secret_header("X-Auth-Token", token);
    match call.answer().await {
        Ok(answer) if answer.status.is_success() => {}
        Ok(answer) => {
            tracing::debug!(endpoint = %http.base(), status = answer.status.as_u16(), "Session was not closed");
        }
        Err(error) => tracing::debug!(endpoint = %http.base(), %error, "Session was not closed"),
    }
}

fn endless(http: &Http) -> Note {
    Note {
        reason: "SessionNotClosed",
        message: format!(
            "{} opened a session and said neither by Location nor in the body where it is closed: it keeps its slot \
             until it times out; use auth.method: basic",
            http.base()
        ),
    }
}
