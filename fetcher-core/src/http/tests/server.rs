//! A server that says exactly what it is told to, byte for byte, also what no well-behaved one says.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// What a request is answered with; the connection is closed after it.
#[derive(Clone)]
pub(super) enum Reply {
    /// These bytes.
    Bytes(Vec<u8>),
    /// These bytes, then one more every ten milliseconds, for ever.
    Slow(String),
    /// These bytes, then ever more as fast as it goes.
    Endless(String),
    /// Whatever the request was, in this status and content type.
    Echo(u16, &'static str),
}

/// A whole answer of JSON.
pub(super) fn json(status: u16, body: &str) -> Reply {
    reply(status, "Content-Type: application/json\r\n", body)
}

/// A whole answer with these header lines.
pub(super) fn reply(status: u16, headers: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Bytes(
        format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
            .into_bytes(),
    )
}

/// A head that never ends.
pub(super) fn silent() -> Reply {
    Reply::Slow("HTTP/1.1 200 OK\r\nX: ".to_owned())
}

/// Runs until it is dropped.
pub(super) struct Server {
    pub(super) url: Url,
    seen: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Gives the replies one after the other, and then the last one again and again.
    pub(super) async fn start(replies: Vec<Reply>) -> Self {
        Self::with_tls(replies, None).await
    }

    pub(super) async fn with_tls(
        replies: Vec<Reply>,
        tls: Option<tokio_rustls::TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = Url::parse(&format!("{scheme}://127.0.0.1:{port}/api/")).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (replies, log, tls) = (replies.clone(), Arc::clone(&log), tls.clone());
                tokio::spawn(connection(socket, tls, replies, log));
            }
        });
        Self { url, seen, task }
    }

    /// The requests so far, as they came.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connection(
    socket: TcpStream,
    tls: Option<tokio_rustls::TlsAcceptor>,
    replies: Vec<Reply>,
    log: Arc<Mutex<Vec<String>>>,
) {
    match tls {
        None => drop(exchange(socket, replies, log).await),
        Some(tls) => {
            if let Ok(stream) = tls.accept(socket).await {
                drop(exchange(stream, replies, log).await);
            }
        }
    }
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    replies: Vec<Reply>,
    log: Arc<Mutex<Vec<String>>>,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !is_whole(&request) {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let nth = {
        let mut log = log.lock().unwrap();
        log.push(request.clone());
        log.len() - 1
    };
    match replies.get(nth).or_else(|| replies.last()).unwrap() {
        Reply::Bytes(bytes) => stream.write_all(bytes).await?,
        Reply::Echo(status, kind) => {
            let Reply::Bytes(bytes) =
                reply(*status, &format!("Content-Type: {kind}\r\n"), &request)
            else {
                unreachable!()
            };
            stream.write_all(&bytes).await?;
        }
        Reply::Endless(head) => {
            stream.write_all(head.as_bytes()).await?;
            loop {
                stream.write_all(&[b' '; 4096]).await?;
            }
        }
        Reply::Slow(head) => {
            stream.write_all(head.as_bytes()).await?;
            loop {
                #[expect(clippy::disallowed_methods, reason = "the slowness is the test")]
                tokio::time::sleep(Duration::from_millis(10)).await;
                stream.write_all(b" ").await?;
            }
        }
    }
    stream.shutdown().await
}

/// The head and, where a length is told, the body.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |n| n.trim().parse().unwrap());
    body.len() >= length
}
