//! An EC2 and STS endpoint on loopback that answers each action from a script, well or badly.
//!
//! Raw HTTP on purpose: half a body and a body that never ends are what it is for.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One answer.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// Status and body.
    Http(u16, String),
    /// These bytes after a head without a length, then the end of the connection.
    Cut(String),
    /// The head says so many bytes; only these come.
    Short(usize, String),
    /// These bytes again and again.
    Endless(String),
    /// Nothing, for ever.
    Silence,
}

/// The server; dies with it.
pub(super) struct Server {
    pub(super) url: String,
    state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct State {
    scripts: HashMap<String, VecDeque<Answer>>,
    requests: Vec<HashMap<String, String>>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { url, state, task }
    }

    /// Answers `action` with these in turn; the last one again and again. `AssumeRole in eu-west-1` is what STS
    /// answers in that region alone.
    pub(super) fn script(&self, action: &str, answers: impl IntoIterator<Item = Answer>) {
        let answers = answers.into_iter().collect();
        self.state.lock().unwrap().scripts.insert(action.to_owned(), answers);
    }

    /// The parameters of every request for `action` so far.
    pub(super) fn requests(&self, action: &str) -> Vec<HashMap<String, String>> {
        let state = self.state.lock().unwrap();
        state.requests.iter().filter(|request| request["Action"] == action).cloned().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let Some(request) = read(&mut stream).await else { return };
    let action = request["Action"].clone();
    let answer = {
        let mut state = state.lock().unwrap();
        let there = format!("{action} in {}", request["Region"]);
        state.requests.push(request);
        let key = if state.scripts.contains_key(&there) { there } else { action.clone() };
        let script = state.scripts.entry(key).or_default();
        if script.len() > 1 { script.pop_front() } else { script.front().cloned() }
    };
    let answer =
        answer.unwrap_or_else(|| error(400, "InvalidAction", &format!("no script for {action}")));
    // The client may hang up in the middle; that is its right.
    let _ = write(&mut stream, answer).await;
}

async fn write(stream: &mut TcpStream, answer: Answer) -> std::io::Result<()> {
    let head = |status: u16| format!("HTTP/1.1 {status} X\r\nconnection: close\r\n");
    match answer {
        Answer::Http(status, body) => {
            let head = format!("{}content-length: {}\r\n\r\n", head(status), body.len());
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await
        }
        Answer::Cut(body) => stream.write_all(format!("{}\r\n{body}", head(200)).as_bytes()).await,
        Answer::Short(length, body) => {
            let head = format!("{}content-length: {length}\r\n\r\n{body}", head(200));
            stream.write_all(head.as_bytes()).await
        }
        Answer::Endless(body) => {
            stream.write_all(format!("{}\r\n", head(200)).as_bytes()).await?;
            loop {
                stream.write_all(body.as_bytes()).await?;
            }
        }
        Answer::Silence => {
            std::future::pending::<()>().await;
            Ok(())
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<HashMap<String, String>> {
    let mut bytes = Vec::new();
    let (region, body) = loop {
        let mut chunk = [0; 4096];
        let n = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut chunk))
            .await
            .ok()?
            .ok()?;
        if n == 0 {
            return None;
        }
        bytes.extend_from_slice(&chunk[..n]);
        let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..at]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.unwrap_or("0").parse().unwrap();
        if bytes.len() >= at + 4 + length {
            // Only the endpoint for STS has its region as path.
            let region = head.split(['/', ' ']).nth(2).unwrap_or_default().to_owned();
            break (region, String::from_utf8_lossy(&bytes[at + 4..at + 4 + length]).into_owned());
        }
    };
    Some(
        body.split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(k, v)| (decode(k), decode(v)))
            .chain([("Region".to_owned(), region)])
            .collect(),
    )
}

fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b == b'%' {
            let hex: Vec<u8> = bytes.by_ref().take(2).collect();
            out.push(u8::from_str_radix(&String::from_utf8(hex).unwrap(), 16).unwrap());
        } else {
            out.push(b);
        }
    }
    String::from_utf8(out).unwrap()
}

/// EC2's form of an error.
pub(super) fn error(status: u16, code: &str, message: &str) -> Answer {
    Answer::Http(
        status,
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code><Message>{message}\
             </Message></Error></Errors><RequestID>b1</RequestID></Response>"
        ),
    )
}

/// STS' form of an error.
pub(super) fn sts_error(status: u16, code: &str, message: &str) -> Answer {
    Answer::Http(
        status,
        format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}\
             </Code><Message>{message}</Message></Error><RequestId>b2</RequestId></ErrorResponse>"
        ),
    )
}

/// A page of DescribeInstances: one reservation of `account` with an item for each instance.
pub(super) fn page(account: &str, instances: &[String], token: Option<&str>) -> String {
    let reservation = if instances.is_empty() {
        String::new()
    } else {
        let instances = instances.concat();
        format!(
            "<item><reservationId>r-1</reservationId><ownerId>{account}</ownerId><instancesSet>{instances}\
             </instancesSet></item>"
        )
    };
    let token = token.map_or_else(String::new, |token| format!("<nextToken>{token}</nextToken>"));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DescribeInstancesResponse \
         xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>a</requestId><reservationSet>{reservation}\
         </reservationSet>{token}</DescribeInstancesResponse>\n"
    )
}

/// An instance with nothing but what every one has.
pub(super) fn instance(id: &str, state: &str) -> String {
    format!(
        "<item><instanceId>{id}</instanceId><instanceState><code>16</code><name>{state}</name></instanceState>\
         <instanceType>m7g.large</instanceType></item>"
    )
}
