//! The admin port: metrics and probes, and nothing that changes anything.
//!
//! Without authentication, so it belongs on loopback or a pod's network. Whoever opens a connection and says nothing
//! is cut off: the server beneath has no such limit of its own, so each connection gets one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

/// What the port shows: asked anew for each request.
pub trait Shown: Send + Sync + 'static {
    /// The metrics in the text format of Prometheus.
    fn metrics(&self) -> String;
    /// Whether the process works, or why a restart is wanted.
    fn live(&self) -> Result<(), String>;
    /// Whether every source has ended a first attempt, or what is waited for.
    fn ready(&self) -> Result<(), String>;
}

/// How long a request may take, its head included.
const PATIENCE: Duration = Duration::from_secs(10);

/// The port, bound.
///
/// # Errors
/// An address that is taken, or not ours.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, crate::app::InvalidConfig> {
    TcpListener::bind(address).await.map_err(|error| {
        crate::app::InvalidConfig(format!(
            "listen: {address} cannot be listened on: {error}; give another address or port, or leave `listen` out"
        ))
    })
}

/// Answers on the port until it is dropped.
pub async fn serve(listener: TcpListener, shown: Arc<impl Shown>) {
    let service = router(shown);
    loop {
        let Ok((connection, _)) = listener.accept().await else {
            // Out of file descriptors, mostly: the others must end first.
            pause().await;
            continue;
        };
        let service = hyper_util::service::TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let io = hyper_util::rt::TokioIo::new(connection);
            let mut server = hyper::server::conn::http1::Builder::new();
            server.timer(hyper_util::rt::TokioTimer::new()).header_read_timeout(PATIENCE);
            // A client that breaks off harms nobody but itself.
            let _ = server.serve_connection(io, service).await;
        });
    }
}

#[expect(clippy::disallowed_methods, reason = "nothing tells when descriptors are free again")]
async fn pause() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

fn router<S: Shown>(shown: Arc<S>) -> Router {
    Router::new()
        .route("/metrics", get(metrics::<S>))
        .route("/livez", get(|State(shown): State<Arc<S>>| async move { probe(shown.live()) }))
        .route("/readyz", get(|State(shown): State<Arc<S>>| async move { probe(shown.ready()) }))
        .with_state(shown)
}

async fn metrics<S: Shown>(State(shown): State<Arc<S>>) -> Response {
    ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], shown.metrics()).into_response()
}

fn probe(state: Result<(), String>) -> Response {
    match state {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()).into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why + "\n").into_response(),
    }
}
