//! A session at one appliance: one login with the password, then a token for every call.
//!
//! Not the calls themselves. The password is sent only to log in, because an appliance allows five requests with
//! one in 20 seconds; the token lives ten minutes from its last use, and one that has died is renewed once a call. A
//! password that was refused is not tried again for a while: every try counts towards locking the account.

use std::time::Duration;

use fetcher_core::http::{Answer, Call, Http};
use fetcher_core::provider::FetchError;
use fetcher_core::secret::{Secret, SecretRef};
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::api::Login;

/// How long a refused password is not tried again: less than the five minutes after which a source that was denied is
/// asked anew, so that both sources of an appliance cost one try of theirs and a repaired account is found by the next.
const REFUSED: Duration = Duration::from_secs(4 * 60);

/// A session, logged in when it is first used.
#[derive(Debug)]
pub(crate) struct Session {
    http: Http,
    username: String,
    password: SecretRef,
    group: Option<String>,
    state: Mutex<State>,
}

/// What came of logging in.
#[derive(Debug, Default)]
struct State {
    token: Option<Secret>,
    refusal: Option<Refusal>,
}

/// A password that was not taken.
#[derive(Debug)]
struct Refusal {
    password: Secret,
    at: Instant,
    error: FetchError,
}

impl Refusal {
    /// Whether this password would be refused again: another one may be tried at once.
    fn holds(&self, password: &Secret, now: Instant) -> bool {
        self.password == *password && now.duration_since(self.at) < REFUSED
    }
}

impl Session {
    /// Not logged in yet.
    pub(crate) fn new(
        http: Http,
        username: String,
        password: SecretRef,
        group: Option<String>,
    ) -> Self {
        Self { http, username, password, group, state: Mutex::default() }
    }

    /// Where the password is.
    pub(crate) const fn password(&self) -> &SecretRef {
        &self.password
    }

    /// What a GET of `path` gives, as `query` completes it.
    ///
    /// # Errors
    /// Those of [`Session::answer`] and of [`Answer::json`].
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: impl Fn(Call) -> Call + Send,
    ) -> Result<T, FetchError> {
        self.answer(path, query).await?.json()
    }

    /// The answer to a GET of `path`, whatever its status.
    ///
    /// # Errors
    /// Those of the login; a 401 right after a login is final.
    pub(crate) async fn answer(
        &self,
        path: &str,
        query: impl Fn(Call) -> Call + Send,
    ) -> Result<Answer, FetchError> {
        let token = self.token(None).await?;
        let answer = self.send(query(self.http.get(path)), &token).await?;
        if answer.status.as_u16() != 401 {
            return Ok(answer);
        }
        let token = self.token(Some(&token)).await?;
        let answer = self.send(query(self.http.get(path)), &token).await?;
        match answer.status.as_u16() {
            401 => Err(self.refused(&answer)),
            _ => Ok(answer),
        }
    }

    /// Ends the session at the appliance, if there is one. One that cannot be ended dies of itself.
    pub(crate) async fn close(&self) {
        if let Some(token) = self.state.lock().await.token.take() {
            let call = self.http.delete("auth").no_retry();
            if let Err(error) = self.send(call, &token).await {
                tracing::debug!(%error, "Session not logged out");
            }
        }
    }

    async fn send(&self, call: Call, token: &Secret) -> Result<Answer, FetchError> {
        self.in_group(call.secret_header("X-Auth-Token", token)).answer().await
    }

    /// The token; a new one where there is none or only the `dead` one. Those who come meanwhile wait for it.
    async fn token(&self, dead: Option<&Secret>) -> Result<Secret, FetchError> {
        let mut state = self.state.lock().await;
        match &state.token {
            Some(living) if Some(living) != dead => return Ok(living.clone()),
            Some(_) | None => state.token = None,
        }
        let password = self.password.read()?;
        if let Some(refusal) = &state.refusal
            && refusal.holds(&password, Instant::now())
        {
            return Err(refusal.error.clone());
        }
        let login = self.login(&password).await;
        state.refusal = match &login {
            Err(error @ FetchError::Denied { .. }) => {
                Some(Refusal { password, at: Instant::now(), error: error.clone() })
            }
            Ok(_) | Err(_) => None,
        };
        state.token = login.as_ref().ok().cloned();
        login
    }

    async fn login(&self, password: &Secret) -> Result<Secret, FetchError> {
        let call = self.http.get("auth").basic(&self.username, password);
        let answer = self.in_group(call).answer().await?;
        if answer.status.as_u16() == 401 {
            return Err(self.refused(&answer));
        }
        let kind = answer.header("content-type").unwrap_or_default();
        if answer.status.is_success() && !kind.starts_with("application/json") {
            // Not quoted, as `json` would: it could hold a token.
            return Err(FetchError::inconsistent(format!(
                "{answer:?}: no JSON; is the url that of the appliance, and nothing in between?"
            )));
        }
        let login: Login = answer.json()?;
        Ok(Secret::new(login.auth_token))
    }

    fn in_group(&self, call: Call) -> Call {
        match &self.group {
            // Escaped, as the API wants it: a group's name may hold anything.
            Some(group) => {
                let escaped: String =
                    url::form_urlencoded::byte_serialize(group.as_bytes()).collect();
                call.header("X-MIQ-Group", &escaped.replace('+', "%20"))
            }
            None => call,
        }
    }

    fn refused(&self, answer: &Answer) -> FetchError {
        let group = match &self.group {
            Some(group) => format!(", and whether the user is in the group {group:?}"),
            None => String::new(),
        };
        FetchError::denied(format!(
            "{}; that is the user {:?} with {}{group}",
            answer.failure(),
            self.username,
            self.password
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_password_is_not_tried_again_for_a_while_and_another_one_is() {
        let at = Instant::now();
        let password = Secret::new("wrong");
        let refusal = Refusal { password, at, error: FetchError::denied("no") };
        let holds = |password: &str, after| refusal.holds(&Secret::new(password), at + after);
        assert!(holds("wrong", Duration::from_secs(200)));
        assert!(!holds("wrong", Duration::from_secs(300)), "a source is asked again after that");
        assert!(!holds("right", Duration::ZERO));
    }
}
