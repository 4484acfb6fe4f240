//! Which requests are sent again, how often and when.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use serde_json::Value;
use tokio::net::TcpListener;
use url::Url;

use super::super::retry::{LONGEST, Waits, retry_after};
use super::super::{Http, HttpOptions};
use super::server::{Server, json, reply, silent};
use super::{http, options};
use crate::provider::FetchError;

fn asked(after: &str, date: Option<&str>) -> Option<Duration> {
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", HeaderValue::from_str(after).ok()?);
    if let Some(date) = date {
        headers.insert("date", HeaderValue::from_str(date).ok()?);
    }
    retry_after(&headers)
}

#[tokio::test]
async fn what_passes_is_asked_again_and_then_well() {
    let server = Server::start(vec![
        reply(429, "Retry-After: 0\r\n", "Retry later"),
        reply(503, "", ""),
        json(200, "[1]"),
    ])
    .await;
    let value: Value = http(&server).get("x").json().await.unwrap();
    assert_eq!((value, server.seen().len()), (serde_json::json!([1]), 3));
}

#[tokio::test]
async fn what_is_refused_for_good_is_asked_once() {
    for status in [400, 401, 403, 404, 406, 422, 501] {
        let server = Server::start(vec![reply(status, "", "")]).await;
        http(&server).get("x").json::<Value>().await.unwrap_err();
        assert_eq!(server.seen().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_post_is_sent_again_only_where_it_was_not_taken() {
    for (status, sent) in [(500, 1), (502, 1), (504, 1), (429, 3), (503, 3)] {
        let server = Server::start(vec![reply(status, "", "")]).await;
        http(&server).post("x").answer().await.unwrap();
        assert_eq!(server.seen().len(), sent, "{status}");
    }
    let half = "HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n{}";
    let server = Server::start(vec![super::server::Reply::Bytes(half.into())]).await;
    http(&server).post("x").answer().await.unwrap_err();
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn no_retry_means_one_request() {
    let server = Server::start(vec![reply(503, "", "")]).await;
    http(&server).get("x").no_retry().answer().await.unwrap();
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_is_handed_to_the_caller_at_once() {
    let server = Server::start(vec![reply(429, "Retry-After: 300\r\n", "")]).await;
    let begun = Instant::now();
    let error = http(&server).get("x").json::<Value>().await.unwrap_err();
    let FetchError::Throttled { retry_after, .. } = error else { panic!("{error}") };
    assert_eq!(retry_after, Some(Duration::from_secs(300)));
    assert_eq!(server.seen().len(), 1);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn retry_after_is_waited_for_in_seconds_and_as_a_date() {
    let date =
        "Date: Sat, 21 Nov 2026 10:00:00 GMT\r\nRetry-After: Sat, 21 Nov 2026 10:00:01 GMT\r\n";
    for headers in ["Retry-After: 1\r\n", date] {
        let server = Server::start(vec![reply(429, headers, ""), json(200, "{}")]).await;
        let begun = Instant::now();
        http(&server).get("x").json::<Value>().await.unwrap();
        assert!(begun.elapsed() >= Duration::from_secs(1), "{headers}");
    }
}

#[tokio::test]
async fn no_server_is_named_with_the_real_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let http = Http::new(options(&Url::parse(&url).unwrap())).unwrap();
    let error = http.get("x?key=1").answer().await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("GET {url}x: no connection: ")), "{error}");
    assert!(error.contains("Connection refused") && !error.contains("key"), "{error}");
}

#[tokio::test]
async fn a_signature_is_made_anew_for_each_attempt() {
    let server = Server::start(vec![reply(503, "", ""), json(200, "{}")]).await;
    let count = std::sync::atomic::AtomicU32::new(0);
    http(&server)
        .get("x")
        .signed(http::header::AUTHORIZATION, move || {
            let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            crate::secret::Secret::new(format!("nonce-{n}"))
        })
        .json::<Value>()
        .await
        .unwrap();
    assert!(server.seen()[0].contains("authorization: nonce-0\r\n"));
    assert!(server.seen()[1].contains("authorization: nonce-1\r\n"));
}

#[tokio::test]
async fn no_more_requests_are_in_flight_than_allowed() {
    let server = Server::start(vec![silent()]).await;
    let http =
        Http::new(HttpOptions { concurrency: 2, attempts: 1, ..options(&server.url) }).unwrap();
    let mut calls = futures::future::join_all((0..6).map(|_| http.get("x").answer()));
    let two = async {
        while server.seen().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = &mut calls => panic!("a server that says nothing has answered"),
        () = two => {}
    }
    let race = tokio::time::timeout(Duration::from_millis(300), calls);
    assert!(race.await.is_err(), "a third would be seen by now");
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn retry_after_is_read_in_both_forms() {
    let date = Some("Sat, 21 Nov 2026 10:00:00 GMT");
    assert_eq!(asked(" 7 ", None), Some(Duration::from_secs(7)));
    assert_eq!(asked("Sat, 21 Nov 2026 10:01:00 GMT", date), Some(Duration::from_secs(60)));
    assert_eq!(asked("Sat, 21 Nov 2026 09:00:00 GMT", date), Some(Duration::ZERO));
    assert_eq!(asked("Sat, 21 Nov 2026 10:01:00 GMT", None), None, "our clock is not asked");
    assert_eq!(asked("99999999999999999999999", None), Some(LONGEST));
    for junk in ["", "soon", "-1", "1.5", "+3"] {
        assert_eq!(asked(junk, date), None, "{junk}");
    }
}

#[test]
fn without_retry_after_the_reset_of_the_rate_limit_is_waited_for() {
    let asked = |reset: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert("x-ratelimit-reset", HeaderValue::from_static(reset));
        headers.insert("date", HeaderValue::from_static("Sat, 21 Nov 2026 10:00:00 GMT"));
        retry_after(&headers)
    };
    assert_eq!(asked("1795255230"), Some(Duration::from_secs(30)));
    assert_eq!(asked("1795255000"), None, "it is over");
    assert_eq!(asked("60"), None, "a period in seconds, as others mean it");
    assert_eq!(asked("99999999999999999999"), None);
}

#[test]
fn waits_double_and_are_never_shorter_than_asked() {
    let mut waits = Waits::new(Duration::from_secs(1));
    for base in [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
        let wait = waits.next(None).as_secs_f64();
        assert!((base * 0.5..=base * 1.5).contains(&wait), "{wait} around {base}");
    }
    let asked = Duration::from_secs(600);
    assert_eq!(Waits::new(Duration::from_secs(1)).next(Some(asked)), asked);
    let own = Waits::new(Duration::from_secs(1)).next(Some(Duration::ZERO));
    assert!(own >= Duration::from_millis(500), "a server that asks for no wait gets one");
}

proptest! {
    #[test]
    fn any_retry_after_is_read_without_panic_and_capped(after in "\\PC*|[0-9]{1,40}|[A-Z][a-z]{2}, [0-9]{2} (Jan|Feb|Nov) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT", date in "\\PC*|Sat, 21 Nov (1970|2026|9999) 10:00:00 GMT") {
        prop_assert!(asked(&after, Some(&date)).is_none_or(|wait| wait <= LONGEST));
    }
}
