//! A session at one appliance: one login with the password, then a token for every call.
//!
//! Not the calls themselves. The password is sent only to log in, because an appliance allows five requests with
//! one in 20 seconds; the token lives ten minutes from its last use, and one that has died is renewed once a call.

use fetcher_core::http::{Answer, Call, Http};
use fetcher_core::provider::FetchError;
use fetcher_core::secret::{Secret, SecretRef};
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use crate::api::Login;

/// A session, logged in when it is first used.
#[derive(Debug)]
pub(crate) struct Session {
    http: Http,
    username: String,
    password: SecretRef,
    group: Option<String>,
    token: Mutex<Option<Secret>>,
}

impl Session {
    /// Not logged in yet.
    pub(crate) fn new(
        http: Http,
        username: String,
        password: SecretRef,
        group: Option<String>,
    ) -> Self {
        Self { http, username, password, group, token: Mutex::default() }
    }

    /// Where the password is.
    pub(crate) const fn password(&self) -> &SecretRef {
        &self.password
    }

    /// The answer to a GET of `path`, as `query` completes it.
    ///
    /// # Errors
    /// Those of the login and of [`Answer::json`]; a 401 right after a login is final.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: impl Fn(Call) -> Call + Send,
    ) -> Result<T, FetchError> {
        let token = self.token(None).await?;
        let answer = self.send(query(self.http.get(path)), &token).await?;
        if answer.status.as_u16() != 401 {
            return answer.json();
        }
        let token = self.token(Some(&token)).await?;
        let answer = self.send(query(self.http.get(path)), &token).await?;
        match answer.status.as_u16() {
            401 => Err(self.refused(&answer)),
            _ => answer.json(),
        }
    }

    /// Ends the session at the appliance, if there is one. One that cannot be ended dies of itself.
    pub(crate) async fn close(&self) {
        if let Some(token) = self.token.lock().await.take() {
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
        let mut token = self.token.lock().await;
        match &*token {
            Some(living) if Some(living) != dead => return Ok(living.clone()),
            Some(_) | None => *token = None,
        }
        let new = self.login().await?;
        *token = Some(new.clone());
        Ok(new)
    }

    async fn login(&self) -> Result<Secret, FetchError> {
        let password = self.password.read()?;
        let call = self.http.get("auth").basic(&self.username, &password);
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
