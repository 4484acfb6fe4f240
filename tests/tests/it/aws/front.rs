//! What may stand between a fetcher and one region: passes calls on to moto, or breaks them in one of the ways that
//! EC2 and the network break.

use std::sync::{Arc, Mutex};

use anyhow::Result;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use reqwest::Client;

/// What becomes of DescribeInstances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It is passed on.
    Well,
    /// Refused, as in a region that is not enabled.
    AuthFailure,
    /// EC2 asks for fewer calls, for ever.
    Throttled,
    /// Every page but the first fails.
    SecondPage,
    /// The answer breaks off in the middle.
    HalfBody,
    /// The answer never ends.
    Endless,
}

/// A running front; ends with this value.
pub(super) struct Front {
    pub(super) url: String,
    mode: Arc<Mutex<Mode>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Passage {
    to: String,
    mode: Arc<Mutex<Mode>>,
    client: Client,
}

impl Front {
    /// Stands before the endpoint `to`.
    pub(super) async fn before(to: &str) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let mode = Arc::new(Mutex::new(Mode::Well));
        let client = Client::builder().no_proxy().build()?;
        let passage = Passage { to: to.to_owned(), mode: Arc::clone(&mode), client };
        let app = Router::new().fallback(answer).with_state(passage);
        let task = tokio::spawn(async move {
            // Ends with the task only.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { url, mode, task })
    }

    /// From now on it is like this.
    pub(super) fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }
}

async fn answer(State(passage): State<Passage>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let form = String::from_utf8_lossy(&body).into_owned();
    let mode = *passage.mode.lock().unwrap();
    if mode == Mode::Well || !form.contains("Action=DescribeInstances&") {
        return whole(200, passage.pass_on(&headers, body).await);
    }
    match mode {
        Mode::Throttled => refused(503, "RequestLimitExceeded", "Request limit exceeded."),
        Mode::AuthFailure => refused(401, "AuthFailure", "AWS was not able to validate you"),
        Mode::SecondPage if form.contains("NextToken=") => {
            refused(500, "InternalError", "An internal error has occurred")
        }
        Mode::HalfBody => {
            let all = passage.pass_on(&headers, body).await;
            whole(200, all.slice(..all.len() / 2))
        }
        Mode::Endless => {
            let all = passage.pass_on(&headers, body).await;
            let start = all.slice(..all.len() - 60);
            let more = Bytes::from(vec![b' '; 1 << 20]);
            let chunks = std::iter::once(start).chain(std::iter::repeat(more));
            let chunks = chunks.map(Ok::<_, std::convert::Infallible>);
            Response::new(Body::from_stream(futures::stream::iter(chunks)))
        }
        Mode::Well | Mode::SecondPage => whole(200, passage.pass_on(&headers, body).await),
    }
}

impl Passage {
    async fn pass_on(&self, headers: &HeaderMap, body: Bytes) -> Bytes {
        let mut call = self.client.post(&self.to).body(body);
        for name in ["authorization", "content-type", "x-amz-date"] {
            if let Some(value) = headers.get(name) {
                call = call.header(name, value);
            }
        }
        call.send().await.unwrap().bytes().await.unwrap()
    }
}

fn whole(status: u16, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status.try_into().unwrap();
    response.headers_mut().insert("content-type", "text/xml".parse().unwrap());
    response
}

fn refused(status: u16, code: &str, message: &str) -> Response<Body> {
    let error = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    let body = format!("<Response><Errors>{error}</Errors><RequestID>r</RequestID></Response>");
    whole(status, body.into())
}
