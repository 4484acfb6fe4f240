//! Answers that are not answers: each is an error, within the deadline, never less than the whole.

use std::io::Write;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use super::super::{Http, HttpOptions};
use super::server::{Reply, Server, json, reply, silent};
use super::{http, options};
use crate::provider::FetchError;

async fn error_of(replies: Vec<Reply>) -> (FetchError, usize) {
    let server = Server::start(replies).await;
    let error = http(&server).get("x").json::<Value>().await.unwrap_err();
    (error, server.seen().len())
}

#[tokio::test]
async fn half_a_body_is_no_answer_and_is_asked_for_again() {
    let half = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{}";
    let (error, requests) = error_of(vec![Reply::Bytes(half.into())]).await;
    assert!(matches!(error, FetchError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("the answer broke off"), "{error}");
    assert_eq!(requests, 3);

    let chunked = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n";
    let (error, _) = error_of(vec![Reply::Bytes(chunked.into())]).await;
    assert!(error.to_string().contains("the answer broke off"), "{error}");
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_ends_with_the_timeout() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n";
    let server = Server::start(vec![Reply::Slow(head.to_owned())]).await;
    let begun = Instant::now();
    let error = http(&server)
        .get("x")
        .timeout(Duration::from_millis(200))
        .no_retry()
        .json::<Value>()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no whole answer within 200"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn a_server_that_says_nothing_ends_with_the_deadline_of_the_call() {
    let server = Server::start(vec![silent()]).await;
    let options = HttpOptions {
        timeout: Duration::from_millis(150),
        deadline: Duration::from_millis(300),
        attempts: 1_000,
        ..options(&server.url)
    };
    let begun = Instant::now();
    let error = Http::new(options).unwrap().get("x").answer().await.unwrap_err();
    assert!(matches!(error, FetchError::Unavailable { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(4));
    assert!(server.seen().len() <= 3, "{}", server.seen().len());
}

#[tokio::test]
async fn a_body_without_end_stops_at_the_limit() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
    let server = Server::start(vec![Reply::Endless(head.to_owned())]).await;
    let options = HttpOptions { body_limit: 100_000, ..options(&server.url) };
    let error = Http::new(options).unwrap().get("x").json::<Value>().await.unwrap_err();
    assert!(error.to_string().contains("larger than 100000 bytes"), "{error}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_packed_body_is_measured_unpacked() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&vec![b' '; 10 << 20]).unwrap();
    let packed = gzip.finish().unwrap();
    assert!(packed.len() < 20_000);
    let mut bytes = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        packed.len()
    )
    .into_bytes();
    bytes.extend(packed);
    let server = Server::start(vec![Reply::Bytes(bytes)]).await;
    let options = HttpOptions { body_limit: 1 << 20, ..options(&server.url) };
    let error = Http::new(options).unwrap().get("x").json::<Value>().await.unwrap_err();
    assert!(error.to_string().contains("larger than 1048576 bytes"), "{error}");
}

#[tokio::test]
async fn a_login_page_with_200_is_quoted_not_believed() {
    let page = format!("<html>\n<title>Sign in</title>\x07{}", "x".repeat(5_000));
    let (error, requests) = error_of(vec![reply(200, "Content-Type: text/html\r\n", &page)]).await;
    assert!(matches!(error, FetchError::Inconsistent { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("text/html where JSON was expected: <html> <title>Sign in"), "{text}");
    assert!(text.contains(r"\u{7}xx") && text.chars().count() < 400, "{text}");
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn json_by_its_content_type_only() {
    let (error, _) = error_of(vec![reply(200, "", "{}")]).await;
    assert!(error.to_string().contains("no content type where JSON"), "{error}");
    for kind in ["application/json; charset=utf-8", "Application/JSON", "application/hal+json"] {
        let server =
            Server::start(vec![reply(200, &format!("Content-Type: {kind}\r\n"), "{}")]).await;
        assert!(http(&server).get("x").json::<Value>().await.is_ok(), "{kind}");
    }
}

#[tokio::test]
async fn a_body_of_another_shape_is_named_by_its_place_without_its_value() {
    #[derive(Debug, Deserialize)]
    struct Wanted {
        #[expect(dead_code, reason = "only its type counts")]
        ports: Vec<u32>,
    }
    let server = Server::start(vec![json(200, r#"{"ports": [1, "hunter2\"x"]}"#)]).await;
    let error = http(&server).get("x").json::<Wanted>().await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("at ports[1]: invalid type: string"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");

    for body in ["", "{", "[] []", "nul"] {
        let server = Server::start(vec![json(200, body)]).await;
        let error = http(&server).get("x").json::<Value>().await.unwrap_err();
        assert!(matches!(error, FetchError::Inconsistent { .. }), "{body:?}: {error}");
    }
}

#[tokio::test]
async fn a_redirect_to_another_host_is_never_followed() {
    let there = Server::start(vec![json(200, "{}")]).await;
    let location = format!("Location: {}stolen?q=1\r\n", there.url);
    let server = Server::start(vec![reply(302, &location, "")]).await;
    let error = http(&server)
        .get("x")
        .secret_header("x-auth-token", &crate::secret::Secret::new("hunter2"))
        .json::<Value>()
        .await
        .unwrap_err();
    assert!(matches!(error, FetchError::Inconsistent { .. }), "{error}");
    assert!(
        error.to_string().contains(&format!("302 Found to {}stolen: not followed", there.url)),
        "{error}"
    );
    assert!(there.seen().is_empty());
}

#[tokio::test]
async fn a_redirect_within_the_endpoint_is_followed_a_few_times() {
    let slash = reply(301, "Location: /api/x/?a=1\r\n", "");
    let server = Server::start(vec![slash, json(200, "[7]")]).await;
    let value: Value = http(&server).get("x").json().await.unwrap();
    assert_eq!(value, serde_json::json!([7]));
    assert!(server.seen()[1].starts_with("GET /api/x/?a=1 "));

    let server = Server::start(vec![reply(302, "Location: /loop\r\n", "")]).await;
    let error = http(&server).get("x").answer().await.unwrap_err();
    assert!(error.to_string().contains("more than 3 redirects"), "{error}");
    assert_eq!(server.seen().len(), 4);

    for (status, headers) in [(302, ""), (302, "Location: http://[\r\n")] {
        let server = Server::start(vec![reply(status, headers, "")]).await;
        let error = http(&server).get("x").answer().await.unwrap_err();
        assert!(error.to_string().contains("without a place to go to"), "{error}");
    }
    let server = Server::start(vec![reply(302, "Location: /api/y\r\n", "")]).await;
    assert!(http(&server).post("x").answer().await.is_err(), "a POST is not sent elsewhere");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn not_modified_is_an_answer() {
    let server = Server::start(vec![reply(304, "ETag: \"1\"\r\n", "")]).await;
    let answer = http(&server).get("x").header("if-none-match", "\"1\"").answer().await.unwrap();
    assert_eq!(answer.status.as_u16(), 304);
}
