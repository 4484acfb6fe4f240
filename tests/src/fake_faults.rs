//! What can go wrong between a fetcher and a REST API, to order; and the loopback server that both fakes stand on.
//!
//! Not an API: `fake_packet` and `fake_cloudforms` are. A fault is planned for the requests whose path and query hold
//! a text, from the n-th of them on, and is used up. Included by the provider crates' own tests by path.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;

/// One thing that goes wrong with an answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status, content type and body instead.
    Says(u16, &'static str, &'static str),
    /// 200 with a page for people.
    Html,
    /// The answer as `text/plain`.
    OtherKind,
    /// The connection is closed without a byte of a body.
    Dropped,
    /// The answer, cut in the middle, and the connection closed.
    Truncated,
    /// The answer, this much later.
    Slow(Duration),
    /// 200 JSON of so many bytes.
    Huge(usize),
    /// 429, with `Retry-After` in seconds or without.
    Throttled(Option<u64>),
    /// 302 to this place.
    Redirect(String),
    /// The answer, its body handed through this.
    Edited(fn(&mut serde_json::Value)),
}

#[derive(Debug)]
struct Planned {
    at: String,
    skip: usize,
    times: usize,
    fault: Fault,
}

/// The faults to come, and the requests so far.
#[derive(Debug, Default)]
pub struct Script {
    planned: Mutex<Vec<Planned>>,
    calls: Mutex<Vec<String>>,
    at_once: Mutex<(usize, usize)>,
}

/// One request that is not answered yet.
struct UnderWay<'s>(&'s Script);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        lock(&self.0.at_once).0 -= 1;
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Script {
    /// The next request whose path and query hold `at` fails so.
    pub fn once(&self, at: &str, fault: Fault) {
        self.plan(at, 0, 1, fault);
    }

    /// All of them from now on.
    pub fn always(&self, at: &str, fault: Fault) {
        self.plan(at, 0, usize::MAX, fault);
    }

    /// After `skip` of them, `times` of them.
    pub fn plan(&self, at: &str, skip: usize, times: usize, fault: Fault) {
        lock(&self.planned).push(Planned { at: at.to_owned(), skip, times, fault });
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        lock(&self.planned).clear();
    }

    /// The requests so far, as `GET /path?query`, decoded.
    pub fn calls(&self) -> Vec<String> {
        lock(&self.calls).clone()
    }

    /// The requests since the last time this was asked.
    pub fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.calls))
    }

    /// How many requests were under way at once, at the most.
    pub fn most_at_once(&self) -> usize {
        lock(&self.at_once).1
    }

    fn begin(&self) -> UnderWay<'_> {
        let (now, most) = &mut *lock(&self.at_once);
        *now += 1;
        *most = (*most).max(*now);
        UnderWay(self)
    }

    fn next(&self, call: &str) -> Option<Fault> {
        let mut planned = lock(&self.planned);
        let at = planned.iter_mut().position(|plan| {
            let hit = plan.times > 0 && call.contains(&plan.at);
            let early = hit && plan.skip > 0;
            plan.skip -= usize::from(early);
            hit && !early
        })?;
        let plan = planned.get_mut(at)?;
        plan.times -= 1;
        Some(plan.fault.clone())
    }
}

/// An API that a server stands in for: an answer to each request, without any fault.
pub trait Api: Send + Sync + 'static {
    /// The status, and the body: JSON, or text where it is not an object or array.
    fn answer(&self, request: &Request) -> Answer;
}

/// One request.
#[derive(Debug)]
pub struct Request {
    /// `GET`, …
    pub method: String,
    /// Its path.
    pub path: String,
    /// The pairs of its query and of a form in its body, decoded.
    pub query: Vec<(String, String)>,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Request {
    /// The first value of a key of the query.
    pub fn param(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// A number of the query, or this.
    pub fn number(&self, key: &str, default: usize) -> usize {
        self.param(key).and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    status: u16,
    kind: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Answer {
    /// Status, content type, body.
    pub fn new(status: u16, kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, kind, headers: Vec::new(), body: body.into() }
    }

    /// JSON.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// The same with a header more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A server on a free port of loopback that ends with this value.
#[derive(Debug)]
pub struct Server {
    /// Its origin, `http://127.0.0.1:PORT`.
    pub origin: String,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves an API with its script.
///
/// # Errors
/// No port.
pub async fn serve(api: Arc<impl Api>, script: Arc<Script>) -> std::io::Result<Server> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let app = axum::Router::new().fallback(
        move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let (api, script) = (Arc::clone(&api), Arc::clone(&script));
            async move { respond(&*api, &script, &method, &uri, headers, body).await }
        },
    );
    let task = tokio::spawn(async move {
        // Ends with the task only.
        let _ = axum::serve(listener, app).await;
    });
    Ok(Server { origin, task })
}

async fn respond(
    api: &impl Api,
    script: &Script,
    method: &Method,
    uri: &Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let _under_way = script.begin();
    let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let mut query: Vec<(String, String)> = pairs.into_owned().collect();
    if headers.get("content-type").is_some_and(|kind| kind == "application/x-www-form-urlencoded") {
        query.extend(url::form_urlencoded::parse(&body).into_owned());
    }
    let shown: Vec<_> = query.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let call = format!("{method} {}?{}", uri.path(), shown.join("&"));
    lock(&script.calls).push(call.clone());
    let request =
        Request { method: method.to_string(), path: uri.path().to_owned(), query, headers, body };
    match script.next(&call) {
        None => whole(api.answer(&request)),
        Some(fault) => faulty(fault, || api.answer(&request)).await,
    }
}

async fn faulty(fault: Fault, answer: impl FnOnce() -> Answer) -> Response {
    match fault {
        Fault::Says(status, kind, body) => whole(Answer::new(status, kind, body)),
        Fault::Html => {
            let page = b"<!DOCTYPE html><title>Welcome</title><p>It works!".to_vec();
            whole(Answer::new(200, "text/html; charset=utf-8", page))
        }
        Fault::OtherKind => whole(Answer { kind: "text/plain", ..answer() }),
        Fault::Dropped => truncated(Answer::new(200, "application/json", " ")),
        Fault::Truncated => truncated(answer()),
        Fault::Slow(by) => {
            pause(by).await;
            whole(answer())
        }
        Fault::Huge(bytes) => {
            let filler = "x".repeat(bytes);
            whole(Answer::json(200, &serde_json::json!({ "filler": filler })))
        }
        Fault::Throttled(after) => {
            let mut response = Answer::new(429, "text/plain", "Retry later");
            if let Some(seconds) = after {
                response = response.with("retry-after", seconds.to_string());
            }
            whole(response)
        }
        Fault::Redirect(to) => whole(Answer::new(302, "text/plain", "").with("location", to)),
        Fault::Edited(edit) => {
            let mut answer = answer();
            let mut value = serde_json::from_slice(&answer.body).unwrap_or_default();
            edit(&mut value);
            answer.body = value.to_string().into_bytes();
            whole(answer)
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a slow answer is the fault itself")]
async fn pause(by: Duration) {
    tokio::time::sleep(by).await;
}

fn whole(mut answer: Answer) -> Response {
    let body = std::mem::take(&mut answer.body);
    built(answer, body.len(), Body::from(body))
}

/// Announces the whole body, sends half of it and breaks off.
fn truncated(answer: Answer) -> Response {
    let half = Bytes::copy_from_slice(answer.body.get(..answer.body.len() / 2).unwrap_or_default());
    let broken = futures::stream::iter([
        Ok(half),
        Err(std::io::Error::new(std::io::ErrorKind::ConnectionReset, "cut")),
    ]);
    let length = answer.body.len();
    built(answer, length, Body::from_stream(broken))
}

fn built(answer: Answer, length: usize, body: Body) -> Response {
    let mut response = Response::builder()
        .status(answer.status)
        .header("content-type", answer.kind)
        .header("content-length", length);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    // Every status and header above is well-formed.
    response.body(body).unwrap_or_else(|_| Response::new(Body::empty()))
}
