//! The calls of one round to one endpoint: the root without a login, then everything with it.
//!
//! Addresses are never built, only followed: `@odata.id` and `nextLink` as they come, at this endpoint only.

use std::collections::BTreeSet;

use fetcher_core::http::{Answer, Http};
use fetcher_core::provider::{FetchError, Note};
use fetcher_core::secret::Secret;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::auth::{Auth, Credential};
use super::config::Method;
use super::session::Session;
use super::wire::{Collection, Link, Root};

/// How often a collection is read again because its count does not fit.
const PASSES: u32 = 3;

/// The members of a collection, and how many it says there are.
type Counted = (BTreeSet<Link>, Option<usize>);

/// One round's way to an endpoint.
pub(super) struct Api<'a> {
    http: &'a Http,
    auth: &'a Auth,
    credential: Option<Credential>,
    sessions: Option<Link>,
    pub(super) systems: Link,
    session: Mutex<Option<Session>>,
}

impl<'a> Api<'a> {
    /// Reads the root, which needs no login: an endpoint that is not there is not asked for more, and no password
    /// goes to what is no Redfish.
    pub(super) async fn open(http: &'a Http, auth: &'a Auth) -> Result<Self, FetchError> {
        let credential = auth.credential(Instant::now())?;
        let root: Root = http.get("redfish/v1/").answer().await?.json()?;
        let systems = root.systems.ok_or_else(|| {
            FetchError::invalid(format!(
                "{}redfish/v1/ names no Systems: this endpoint has no computer systems to list",
                http.base()
            ))
        })?;
        let sessions = root.links.and_then(|links| links.sessions);
        Ok(Self { http, auth, credential, sessions, systems, session: Mutex::default() })
    }

    /// Ends the round: a session is closed, or it is noted why it cannot be.
    pub(super) async fn close(self) -> Option<Note> {
        self.session.into_inner()?.close().await
    }

    /// The links of all members, each once, as many as the collection says it has; none for a 404.
    pub(super) async fn members(&self, collection: &Link) -> Result<Option<Vec<Link>>, FetchError> {
        for _ in 0..PASSES {
            let Some((members, count)) = self.pass(collection).await? else { return Ok(None) };
            if count.is_none_or(|count| count == members.len()) {
                return Ok(Some(members.into_iter().collect()));
            }
        }
        Err(FetchError::inconsistent(format!(
            "{}: its count and the members listed differ, {PASSES} times in a row",
            collection.id
        )))
    }

    /// The members once over, and the largest count that any page gave: the last one may have none.
    async fn pass(&self, collection: &Link) -> Result<Option<Counted>, FetchError> {
        let wrong = |why: &str| FetchError::inconsistent(format!("{}: {why}", collection.id));
        let mut at = self.http.base().join(&collection.id).map_err(|_| wrong("is no link"))?;
        let mut seen = BTreeSet::new();
        let (mut members, mut count) = (BTreeSet::new(), None);
        loop {
            if !seen.insert(at.to_string()) {
                return Err(wrong("its nextLink leads back to a page that was read"));
            }
            let answer = self.get(at.as_str()).await?;
            if answer.status.as_u16() == 404 && seen.len() == 1 {
                return Ok(None);
            }
            let page: Collection = answer.json()?;
            count = count.max(page.count());
            let next = page.next().map(|next| at.join(next)).transpose();
            members.extend(page.members);
            match next.map_err(|_| wrong("its nextLink is none"))? {
                None => return Ok(Some((members, count))),
                Some(next) => at = next,
            }
        }
    }

    /// A resource; none for a 404.
    pub(super) async fn resource<T: DeserializeOwned>(
        &self,
        link: &Link,
    ) -> Result<Option<T>, FetchError> {
        let answer = self.get(&link.id).await?;
        if answer.status.as_u16() == 404 { Ok(None) } else { answer.json().map(Some) }
    }

    /// GET with the login; after a 401 a session is opened anew once, and a password is remembered as refused.
    async fn get(&self, reference: &str) -> Result<Answer, FetchError> {
        let Some(credential) = &self.credential else {
            return self.http.get(reference).answer().await;
        };
        match credential.method {
            Method::Basic => {
                let call = self.http.get(reference).basic(&credential.user, &credential.password);
                let answer = call.answer().await?;
                self.judge(&answer, credential);
                Ok(answer)
            }
            Method::Session => {
                let token = self.token(credential, None).await?;
                let answer =
                    self.http.get(reference).secret_header("X-Auth-Token", &token).answer().await?;
                if answer.status.as_u16() != 401 {
                    return Ok(answer);
                }
                let token = self.token(credential, Some(&token)).await?;
                self.http.get(reference).secret_header("X-Auth-Token", &token).answer().await
            }
        }
    }

    /// The token of the session; a new one if there is none or it is the one that was `refused`.
    async fn token(
        &self,
        credential: &Credential,
        refused: Option<&Secret>,
    ) -> Result<Secret, FetchError> {
        let mut session = self.session.lock().await;
        if let Some(open) = session.as_ref().filter(|open| Some(&open.token) != refused) {
            return Ok(open.token.clone());
        }
        let at = self.sessions.as_ref().map_or("redfish/v1/SessionService/Sessions", |at| &at.id);
        match self.auth.open(self.http, at, credential).await? {
            Ok(opened) => {
                let token = opened.token.clone();
                if let Some(old) = session.replace(opened) {
                    old.close().await;
                }
                Ok(token)
            }
            Err(answer) => {
                self.judge(&answer, credential);
                Err(no_session(&answer))
            }
        }
    }

    fn judge(&self, answer: &Answer, credential: &Credential) {
        if answer.status.as_u16() == 401 {
            self.auth.refuse(credential, Instant::now());
        }
    }
}

/// What a refused session means, with the remedy where the status has one.
fn no_session(answer: &Answer) -> FetchError {
    match answer.status.as_u16() {
        404 | 405 => FetchError::invalid(format!(
            "{}; this BMC opens no sessions: use auth.method: basic",
            answer.failure()
        )),
        503 => FetchError::unavailable(format!(
            "{}; its session slots may all be taken: use auth.method: basic, or close some",
            answer.failure()
        )),
        _ => answer.failure(),
    }
}
