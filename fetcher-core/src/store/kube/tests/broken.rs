//! Connections that break: a server that says nothing and hangs up, at a request of the test's choice.

use std::sync::Mutex;

use jiff::Timestamp;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::*;
use crate::apply::{End, Target, Task, Writer};
use crate::decide::Verb;
use crate::desired::{Seen, Style};
use crate::machine::Machine;

/// What a request is answered with; none is silence.
type Answer = Option<(u16, Value)>;

/// A server of one request a connection.
struct Curt {
    config: KubernetesConfig,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
    _token: tempfile::NamedTempFile,
}

impl Curt {
    /// `answer` is told the request (`PUT /a/status`) and how many of the kind came before it.
    async fn start(answer: impl Fn(&str, usize) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::<String>::new()));
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let mut socket = BufReader::new(socket);
                let Some(request) = request(&mut socket).await else { continue };
                if request.contains(OPENAPI) {
                    reply(socket, 200, &openapi()).await;
                    continue;
                }
                let before = log.lock().unwrap().iter().filter(|seen| **seen == request).count();
                log.lock().unwrap().push(request.clone());
                if let Some((code, body)) = answer(&request, before) {
                    reply(socket, code, &body).await;
                }
            }
        });
        let token = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&token, "token").unwrap();
        let config = KubernetesConfig {
            namespace: "ns".to_owned(),
            server: Some(url.parse().unwrap()),
            token_file: Some(token.path().to_owned()),
            ..KubernetesConfig::default()
        };
        Self { config, seen, task, _token: token }
    }

    async fn store(&self) -> KubeStore {
        KubeStore::open(&self.config, "p", "1", "".parse().unwrap(), Mode::Once).await.unwrap()
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Curt {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Method and path below the Hosts, once the whole request has come.
async fn request(socket: &mut BufReader<TcpStream>) -> Option<String> {
    let (mut first, mut length) = (String::new(), 0);
    socket.read_line(&mut first).await.ok()?;
    loop {
        let mut line = String::new();
        socket.read_line(&mut line).await.ok()?;
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    socket.read_exact(&mut vec![0; length]).await.ok()?;
    let mut words = first.split_whitespace();
    let (method, path) = (words.next()?, words.next()?.split('?').next()?);
    Some(format!("{method} {}", path.strip_prefix(HOSTS).unwrap_or(path)))
}

async fn reply(mut socket: BufReader<TcpStream>, code: u16, body: &Value) {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = socket.write_all((head + &body).as_bytes()).await;
    let _ = socket.shutdown().await;
}

fn stopped() -> crate::host::HostStatus {
    let state = Some(crate::machine::State::Stopped);
    crate::host::HostStatus { state, ..crate::host::HostStatus::default() }
}

#[tokio::test]
async fn a_request_whose_connection_broke_is_sent_once_more() {
    let answer = |_: &str, before: usize| (before > 0).then(|| (200, host("a", 2)));
    let server = Curt::start(answer).await;
    let store = server.store().await;
    assert!(store.get("a").await.unwrap().is_some());
    let read = Stored::new(host("a", 1), store.lens());
    store.write(&read, Part::Status(&stopped())).await.unwrap();
    assert_eq!(server.seen(), ["GET /a", "GET /a", "PUT /a/status", "PUT /a/status"]);
}

#[tokio::test]
async fn a_request_that_breaks_every_connection_is_sent_no_third_time() {
    let server = Curt::start(|_, _| None).await;
    let error = server.store().await.get("a").await.unwrap_err();
    assert_eq!(error.reason(), "unavailable", "{error}");
    assert_eq!(server.seen(), ["GET /a", "GET /a"]);
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_found_and_finished() {
    let server = Curt::start(|request, before| match (request, before) {
        ("POST ", 0) => None,
        ("POST ", _) => Some((409, json!({"kind": "Status", "code": 409, "message": "exists"}))),
        ("GET /a", _) => {
            let mut bare = host("a", 1);
            bare.as_object_mut().unwrap().remove("status");
            Some((200, bare))
        }
        _ => Some((200, host("a", 2))),
    })
    .await;
    let (store, source, style) = (server.store().await, source(), Style::default());
    let machine = Machine { id: "a".into(), ..Machine::default() };
    let task = Task {
        verb: Verb::Create,
        host: "a".into(),
        machine_id: "a".into(),
        target: Target::Present(&machine, Seen::Listed),
    };
    let slots = Semaphore::new(1);
    let writer = Writer {
        store: &store,
        slots: &slots,
        source: &source,
        style: &style,
        now: Timestamp::UNIX_EPOCH,
        dry_run: false,
    };
    let outcomes = writer.carry_out(&[task], |_| {}).await;
    assert_eq!(outcomes[0].end, End::Done);
    let seen = server.seen();
    assert_eq!(seen.first_chunk(), Some(&["POST ", "POST ", "GET /a"].map(str::to_owned)));
    assert_eq!(seen.last().unwrap(), "PUT /a/status");
}
