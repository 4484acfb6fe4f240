//! Requests to one apiserver: deadlines, patience with 429 and 5xx, a second connection where one broke, and
//! credentials that change under way.
//!
//! Not what is asked and not what an answer means. A rotated certificate, key, token, authority or kubeconfig is
//! taken up by making a new client when a file's content has changed; requests under way end on the old one.

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use kube::client::Body;

use super::access::{self, Identity};
use super::config::KubernetesConfig;
use super::failure::{Failure, Refusal, chain};
use crate::app::InvalidConfig;

/// How often the files are looked at, when requests are sent.
const LOOK: Duration = Duration::from_secs(5);
/// One attempt, its answer read.
const ATTEMPT: Duration = Duration::from_secs(30);
/// When the last attempt at one request begins at the latest: `apply` takes a store that says nothing for 60 s for dead.
const PATIENCE: Duration = Duration::from_secs(50);
/// The first wait, doubled with each attempt; and the least, whatever a server asks for.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// The longest time that a server may ask for; what is more is taken as this.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// How far those that were told the same are spread at most.
const SPREAD: Duration = Duration::from_secs(5);
/// The largest answer that is read: a page of the largest Hosts is a tenth of it.
const LARGEST: usize = 256 << 20;

/// The way to one apiserver.
pub(super) struct Link {
    config: KubernetesConfig,
    agent: String,
    now: Mutex<Now>,
    /// Requests whose connections broke together open one client anew.
    leaving: tokio::sync::Mutex<()>,
}

/// The client in use, and what it was made of.
struct Now {
    client: Arc<Client>,
    identity: Identity,
    files: Vec<PathBuf>,
    fingerprint: u64,
    looked: Instant,
}

/// One request.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    /// Path and query.
    pub(super) uri: String,
    /// Content type and content.
    pub(super) body: Option<(&'static str, Bytes)>,
}

impl Call {
    pub(super) const fn get(uri: String) -> Self {
        Self { method: Method::GET, uri, body: None }
    }

    fn request(&self) -> Result<Request<Body>, Failure> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(&*self.uri)
            .header(ACCEPT, "application/json");
        let mut content = Body::empty();
        if let Some((kind, bytes)) = &self.body {
            request = request.header(CONTENT_TYPE, *kind);
            content = Body::from(bytes.clone());
        }
        request.body(content).map_err(|error| Failure::Silence(error.to_string()))
    }
}

impl Link {
    pub(super) async fn open(
        config: &KubernetesConfig,
        agent: &str,
    ) -> Result<Self, InvalidConfig> {
        let now = Now::from(access::open(config, agent).await?);
        Ok(Self {
            config: config.clone(),
            agent: agent.to_owned(),
            now: Mutex::new(now),
            leaving: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn identity(&self) -> Identity {
        self.now().identity.clone()
    }

    /// Sends the request, again and again while the server is busy, and reads the answer.
    ///
    /// Once more where the connection broke, which says little of the server: it may have done as it was asked
    /// already, and then what is written conditionally, or created, comes back as a conflict.
    pub(super) async fn send(&self, call: &Call) -> Result<Bytes, Failure> {
        let give_up = Instant::now() + PATIENCE;
        let (mut attempt, mut refreshed, mut broke) = (0, false, false);
        loop {
            let refusal = match self.attempt(call).await {
                Err(Failure::Answer(refusal)) => refusal,
                Err(Failure::Silence(_)) if !broke => {
                    broke = true;
                    continue;
                }
                other => return other,
            };
            if refusal.is_busy() {
                let wait = wait(attempt, refusal.retry_after);
                if Instant::now() + wait > give_up {
                    return Err(Failure::Answer(refusal));
                }
                pause(wait).await;
                attempt += 1;
            } else if refusal.code == 401 && !refreshed && self.refresh().await {
                refreshed = true;
            } else {
                return Err(Failure::Answer(refusal));
            }
        }
    }

    async fn attempt(&self, call: &Call) -> Result<Bytes, Failure> {
        let request = call.request()?;
        let client = self.client().await;
        let answer = async {
            let response = client.send(request).await?;
            let (head, body) = response.into_parts();
            let body = whole(body).await?;
            if head.status.is_success() {
                return Ok(body);
            }
            Err(Failure::Answer(Refusal::new(head.status, &head.headers, &body)))
        };
        let ended = tokio::time::timeout(ATTEMPT, answer).await;
        let ended = ended.unwrap_or(Err(Failure::Overdue(ATTEMPT)));
        if matches!(ended, Err(Failure::Silence(_) | Failure::Overdue(_))) {
            self.leave(&client).await;
        }
        ended
    }

    /// Sends the request once, and hands out the answer to be read as it comes.
    pub(super) async fn stream(&self, call: &Call, patience: Duration) -> Result<Body, Failure> {
        let mut request = call.request()?;
        // An apiserver of 1.37 compresses each event on its own, which the client cannot read.
        request.headers_mut().insert(ACCEPT_ENCODING, http::HeaderValue::from_static("identity"));
        let client = self.client().await;
        let head = async {
            let response: Response<Body> = client.send(request).await?;
            if response.status().is_success() {
                return Ok(response.into_body());
            }
            let (head, body) = response.into_parts();
            let refusal = Refusal::new(head.status, &head.headers, &whole(body).await?);
            if refusal.code == 401 {
                self.refresh().await;
            }
            Err(Failure::Answer(refusal))
        };
        match tokio::time::timeout(patience, head).await {
            Ok(answer) => answer,
            Err(_) => {
                self.leave(&client).await;
                Err(Failure::Overdue(patience))
            }
        }
    }

    /// Leaves all connections behind: one that fell silent without an end is rarely alone, and a new request would
    /// be sent over the next of them.
    pub(super) async fn reconnect(&self) {
        let client = Arc::clone(&self.now().client);
        self.leave(&client).await;
    }

    /// The same, if nobody has done it since this client was taken.
    async fn leave(&self, client: &Arc<Client>) {
        let _one = self.leaving.lock().await;
        if Arc::ptr_eq(client, &self.now().client) {
            self.open_anew().await;
        }
    }

    async fn client(&self) -> Arc<Client> {
        let is_due = {
            let mut now = self.now();
            let is_due = now.looked.elapsed() >= LOOK;
            if is_due {
                now.looked = Instant::now();
            }
            is_due
        };
        if is_due {
            self.refresh().await;
        }
        Arc::clone(&self.now().client)
    }

    /// Whether what the files hold has changed and made a new client.
    async fn refresh(&self) -> bool {
        {
            let now = self.now();
            if access::fingerprint(&now.files) == now.fingerprint && !ends(&now.client) {
                return false;
            }
        }
        let is_new = self.open_anew().await;
        if is_new {
            tracing::info!(identity = %self.identity(), "Took up changed credentials of the apiserver");
        }
        is_new
    }

    async fn open_anew(&self) -> bool {
        match access::open(&self.config, &self.agent).await {
            Ok(opened) => {
                *self.now() = Now::from(opened);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "The apiserver's files are not usable, going on with what they held");
                false
            }
        }
    }

    fn now(&self) -> std::sync::MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<access::Opened> for Now {
    fn from(opened: access::Opened) -> Self {
        Self {
            client: Arc::new(opened.client),
            identity: opened.identity,
            files: opened.files,
            fingerprint: opened.fingerprint,
            looked: Instant::now(),
        }
    }
}

/// Whether the certificate of a credential plugin ends within a minute.
#[expect(
    clippy::disallowed_methods,
    reason = "the end of a credential is a time of the world's clock"
)]
fn ends(client: &Client) -> bool {
    let minute = SignedDuration::from_secs(60);
    client.valid_until().is_some_and(|end| end.duration_since(Timestamp::now()) < minute)
}

async fn whole(body: Body) -> Result<Bytes, Failure> {
    let collected = Limited::new(body, LARGEST).collect().await;
    collected.map(|body| body.to_bytes()).map_err(|error| Failure::Silence(chain(&*error)))
}

/// How long to wait before attempt `attempt + 1`: as told, else longer and longer; never all at the same moment.
pub(super) fn wait(attempt: u32, told: Option<Duration>) -> Duration {
    let own = FIRST_WAIT * 2_u32.pow(attempt.min(6));
    let base = told.map_or(own, |told| told.clamp(FIRST_WAIT, LONGEST_WAIT));
    base + (base / 2).min(SPREAD).mul_f64(jitter())
}

/// Evenly spread from 0 to 1.
fn jitter() -> f64 {
    let random = u32::try_from(RandomState::new().hash_one(0) >> 32).unwrap_or(0);
    f64::from(random) / f64::from(u32::MAX)
}

#[expect(clippy::disallowed_methods, reason = "the store waits as the apiserver asks it to")]
pub(super) async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_asks_for_is_waited_for_and_never_for_ever() {
        for told in [1, 40, 300].map(Duration::from_secs) {
            let waits = wait(0, Some(told));
            assert!(waits >= told && waits <= told + SPREAD, "{told:?}: {waits:?}");
        }
        assert!(wait(0, Some(Duration::MAX)) <= LONGEST_WAIT + SPREAD);
        assert!(
            wait(0, Some(Duration::ZERO)) >= FIRST_WAIT,
            "a server must not be asked without a pause"
        );
        assert!(wait(100, None) <= Duration::from_secs(20));
    }
}
