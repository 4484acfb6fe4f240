//! The client against servers that misbehave; nothing leaves loopback.

mod hostile;
mod retries;
mod secrets;
mod server;
mod trust;

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use self::server::{Server, json as json_reply, reply};
use super::{Http, HttpOptions, HttpSettings, segment};
use crate::provider::FetchError;

/// Fast retries and no limit of pace, so that a test takes no time.
fn options(base: &Url) -> HttpOptions {
    HttpOptions {
        backoff: Duration::from_millis(1),
        burst: 1_000,
        timeout: Duration::from_secs(5),
        deadline: Duration::from_secs(20),
        attempts: 3,
        ..HttpOptions::new(base.clone())
    }
}

fn http(server: &Server) -> Http {
    Http::new(options(&server.url)).unwrap()
}

fn refused(url: &str) -> String {
    Http::new(HttpOptions::new(Url::parse(url).unwrap())).unwrap_err().to_string()
}

#[tokio::test]
async fn a_call_sends_what_was_set_and_reads_json() {
    let server = Server::start(vec![json_reply(200, r#"{"n": 1}"#)]).await;
    let value: Value = http(&server)
        .post("login")
        .query("a b", "c&d")
        .query("page", &2)
        .header("x-version", "1.83")
        .body_json(&json!({"user": "me"}))
        .json()
        .await
        .unwrap();
    assert_eq!(value, json!({"n": 1}));
    let seen = server.seen().remove(0);
    assert!(seen.starts_with("POST /api/login?a+b=c%26d&page=2 HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("x-version: 1.83\r\n"), "{seen}");
    assert!(seen.contains("user-agent: fetcher/"), "{seen}");
    assert!(seen.ends_with("\r\n\r\n{\"user\":\"me\"}"), "{seen}");
}

#[tokio::test]
async fn references_are_resolved_like_links() {
    let server = Server::start(vec![json_reply(200, "{}")]).await;
    let http = http(&server);
    for reference in ["devices?page=2", "/redfish/v1", &format!("{}nodes#x", server.url)] {
        let _: Value = http.get(reference).json().await.unwrap();
    }
    let paths: Vec<String> =
        server.seen().iter().map(|r| r.lines().next().unwrap().to_owned()).collect();
    assert_eq!(
        paths,
        ["GET /api/devices?page=2 HTTP/1.1", "GET /redfish/v1 HTTP/1.1", "GET /api/nodes HTTP/1.1"]
    );
}

#[tokio::test]
async fn a_link_to_another_origin_is_not_followed() {
    let server = Server::start(vec![json_reply(200, "{}")]).await;
    let there = Server::start(vec![json_reply(200, "{}")]).await;
    let http = http(&server);
    let port = server.url.port().unwrap();
    for link in [
        there.url.to_string(),
        format!("https://127.0.0.1:{port}/"),
        "//example.org/".to_owned(),
        format!("http://u:p@127.0.0.1:{port}/"),
    ] {
        let error = http.get(&link).answer().await.unwrap_err();
        assert!(matches!(error, FetchError::Inconsistent { .. }), "{link}: {error}");
    }
    assert!(there.seen().is_empty() && server.seen().is_empty());
}

#[test]
fn a_base_is_a_plain_address_or_refused_with_the_remedy() {
    assert!(refused("https://user:hunter2@host/").contains("name a secret file"));
    assert!(!refused("https://user:hunter2@host/").contains("hunter2"));
    assert!(refused("ftp://host/").contains("must begin with https://"));
    assert!(refused("https://host/?api_key=hunter2").contains("without ?"));
    assert!(!refused("https://host/?api_key=hunter2").contains("hunter2"));
    let http = Http::new(HttpOptions::new(Url::parse("https://host/api").unwrap())).unwrap();
    assert_eq!(http.base().as_str(), "https://host/api/");
}

#[test]
fn settings_are_strict_and_win_over_the_defaults() {
    let settings: HttpSettings = serde_saphyr::from_str(
        "{timeout: 90s, requestsPerSecond: 0.5, bodyLimitMiB: 2, proxy: none}",
    )
    .unwrap();
    let options = HttpOptions::new(Url::parse("https://host/").unwrap()).with(&settings).unwrap();
    assert_eq!(options.timeout, Duration::from_secs(90));
    assert_eq!(options.deadline, Duration::from_secs(180));
    assert_eq!(options.body_limit, 2 << 20);
    let unknown = serde_saphyr::from_str::<HttpSettings>("{insecure: true}").unwrap_err();
    assert!(unknown.to_string().contains("insecure"), "{unknown}");
    for wrong in ["{requestsPerSecond: 0}", "{burst: 0}", "{concurrency: 0}", "{timeout: -1s}"] {
        let settings = serde_saphyr::from_str(wrong).unwrap();
        let base = HttpOptions::new(Url::parse("https://host/").unwrap());
        assert!(base.with(&settings).and_then(Http::new).is_err(), "{wrong}");
    }
}

#[test]
fn an_id_cannot_leave_its_segment() {
    assert_eq!(segment("a/b?c#d e%").unwrap(), "a%2Fb%3Fc%23d%20e%25");
    for id in ["", ".", "..", "%2e%2e"] {
        if let Ok(path) = segment(id) {
            let base = Url::parse("http://h/a/b/").unwrap();
            assert!(base.join(&path).unwrap().path().starts_with("/a/b/"), "{id}: {path}");
        }
    }
    assert!(segment("..").is_err() && segment("").is_err());
}

#[tokio::test]
async fn statuses_mean_what_the_caller_can_do() {
    for (status, reason) in [
        (401, "denied"),
        (403, "denied"),
        (429, "throttled"),
        (404, "invalid"),
        (410, "invalid"),
        (400, "inconsistent"),
        (422, "inconsistent"),
        (500, "unavailable"),
        (503, "unavailable"),
    ] {
        let server = Server::start(vec![reply(status, "", "why \x1b[2J\n\nnot")]).await;
        let error = http(&server).get("x?token=1").no_retry().json::<Value>().await.unwrap_err();
        assert_eq!(error.reason(), reason, "{status}: {error}");
        let text = error.to_string();
        assert!(text.contains("/api/x: ") && text.contains(&status.to_string()), "{text}");
        assert!(text.contains(r"why \u{1b}[2J not"), "{text}");
        assert!(!text.contains("token"), "{text}");
    }
}

#[tokio::test]
async fn an_answer_keeps_the_status_for_the_caller() {
    let server = Server::start(vec![reply(404, "X-Total: 7\r\n", "none")]).await;
    let answer = http(&server).get("x").answer().await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.header("x-total")), (404, Some("7")));
    assert_eq!(&answer.body[..], b"none");
}
