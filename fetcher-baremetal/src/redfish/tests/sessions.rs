//! Sessions: opened once a round, and closed however the round ends.

use std::sync::atomic::{AtomicUsize, Ordering};

use fetcher_core::provider::Provider;
use wiremock::matchers::header;
use wiremock::{Request, Respond};

use super::*;

const SESSIONS: &str = "/redfish/v1/SessionService/Sessions";

/// Sessions that are counted, and end after `lives` requests.
async fn sessions(server: &MockServer) -> Arc<AtomicUsize> {
    struct Opens(Arc<AtomicUsize>);
    impl Respond for Opens {
        fn respond(&self, _: &Request) -> ResponseTemplate {
            let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            ResponseTemplate::new(201)
                .insert_header("X-Auth-Token", format!("token-{number}"))
                .insert_header("Location", format!("{SESSIONS}/{number}"))
        }
    }
    let opened = Arc::new(AtomicUsize::new(0));
    Mock::given(method("POST"))
        .and(path(SESSIONS))
        .respond_with(Opens(Arc::clone(&opened)))
        .mount(server)
        .await;
    Mock::given(method("DELETE")).respond_with(ResponseTemplate::new(204)).mount(server).await;
    opened
}

async fn closed(server: &MockServer) -> Vec<String> {
    let all = server.received_requests().await.unwrap();
    let mut closed: Vec<_> = all
        .iter()
        .filter(|request| request.method.as_str() == "DELETE")
        .map(|request| request.url.path().rsplit('/').next().unwrap().to_owned())
        .collect();
    closed.sort();
    closed
}

async fn asked(server: &MockServer, at: &str) -> bool {
    server.received_requests().await.unwrap().iter().any(|request| request.url.path() == at)
}

async fn until(what: &str, is: impl AsyncFn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while !is().await {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_session_is_closed_after_a_good_round_and_after_a_bad_one() {
    for status in [200, 500] {
        let server = root().await;
        sessions(&server).await;
        Mock::given(path(SYSTEMS))
            .and(header("X-Auth-Token", "token-1"))
            .respond_with(ResponseTemplate::new(status).set_body_json(json!({"Members": []})))
            .mount(&server)
            .await;
        assert_eq!(fetch(&endpoint(&server, &login("session").0)).await.is_ok(), status == 200);
        assert_eq!(closed(&server).await, ["1"], "{status}");
    }
}

#[tokio::test]
async fn a_session_that_vanished_is_opened_once_more_and_both_are_closed() {
    let server = root().await;
    let opened = sessions(&server).await;
    let page = ok(json!({"Members": []}));
    Mock::given(path(SYSTEMS))
        .and(header("X-Auth-Token", "token-2"))
        .respond_with(page)
        .mount(&server)
        .await;
    Mock::given(path(SYSTEMS))
        .respond_with(ResponseTemplate::new(401))
        .with_priority(9)
        .mount(&server)
        .await;
    assert!(fetch(&endpoint(&server, &login("session").0)).await.is_ok());
    assert_eq!(opened.load(Ordering::SeqCst), 2);
    assert_eq!(closed(&server).await, ["1", "2"]);
}

#[tokio::test]
async fn a_session_is_closed_when_the_round_is_dropped_half_way() {
    let server = root().await;
    sessions(&server).await;
    let slow = ok(json!({"Members": []})).set_delay(Duration::from_secs(30));
    give(&server, SYSTEMS, slow).await;
    let entry = endpoint(&server, &login("session").0);
    drop_at(&server, &entry, SYSTEMS).await;
    until("the session is closed", async || !closed(&server).await.is_empty()).await;
}

#[tokio::test]
async fn a_bmc_without_sessions_says_to_use_basic() {
    let server = root().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(405)).mount(&server).await;
    let error = fetch(&endpoint(&server, &login("session").0)).await.unwrap_err();
    assert!(error.to_string().contains("use auth.method: basic"), "{error}");
}

/// A service without systems whose sessions are opened by this answer, and closed by anybody.
async fn opening(answer: ResponseTemplate) -> MockServer {
    let server = root().await;
    give(&server, SYSTEMS, ok(json!({"Members": []}))).await;
    let answer = answer.insert_header("X-Auth-Token", "token");
    Mock::given(method("POST")).and(path(SESSIONS)).respond_with(answer).mount(&server).await;
    Mock::given(method("DELETE")).respond_with(ResponseTemplate::new(204)).mount(&server).await;
    server
}

#[tokio::test]
async fn a_session_is_closed_by_the_path_of_its_location_or_by_its_own_address() {
    let at =
        |location: &str| ResponseTemplate::new(201).insert_header("Location", location.to_owned());
    let body = json!({"@odata.id": format!("{SESSIONS}/7")});
    for answer in [
        at(&format!("https://bmc7.example.net{SESSIONS}/7")),
        at(&format!("http://10.250.12.7{SESSIONS}/7")),
        at("Sessions/7"),
        at("").set_body_json(&body),
        at(SESSIONS).set_body_json(&body),
        ResponseTemplate::new(201).set_body_json(&body),
    ] {
        let server = opening(answer).await;
        let listing = listing(&endpoint(&server, &login("session").0)).await.unwrap();
        assert!(asked(&server, &format!("{SESSIONS}/7")).await);
        assert_eq!(closed(&server).await, ["7"]);
        assert_eq!(listing.notes, []);
    }
}

#[tokio::test]
async fn a_session_that_nobody_can_close_is_noted() {
    let server = opening(ResponseTemplate::new(201)).await;
    let entry = endpoint(&server, &login("session").0);
    let listing = listing(&entry).await.unwrap();
    assert_eq!(listing.notes.len(), 1);
    assert_eq!(listing.notes[0].reason, "SessionNotClosed");
    assert!(listing.notes[0].message.contains("auth.method: basic"), "{listing:?}");
    let Kind::Redfish(redfish) = entry.kind() else { panic!("{entry:?}") };
    redfish.close().await;
}

/// A round that is dropped as soon as this was asked for.
async fn drop_at(server: &MockServer, entry: &Entry, at: &str) {
    tokio::select! {
        _ = fetch(entry) => panic!("the round ended before it was dropped"),
        () = until("it is asked for", async || asked(server, at).await) => {}
    }
}

#[tokio::test]
async fn taking_leave_waits_until_the_session_of_a_dropped_round_is_closed() {
    let server = root().await;
    sessions(&server).await;
    give(&server, SYSTEMS, ok(json!({"Members": []})).set_delay(Duration::from_secs(30))).await;
    let config =
        format!("{{endpoints: [{{name: bmc1, url: '{}'}}], {}}}", server.uri(), login("session").0);
    let config = serde_saphyr::from_str(&config).unwrap();
    let provider =
        crate::provider::Provider::new(vec![crate::config::SourceConfig::Redfish(config)]).unwrap();
    let source = Source::new("baremetal", &["redfish", "bmc1"]);
    let (selector, progress) = (Selector::default(), Progress::default());
    let request = Fetch { source: &source, selector: &selector, progress: &progress };
    tokio::select! {
        _ = Provider::fetch(&provider, request) => panic!("the round ended before it was dropped"),
        () = until("the systems are asked for", async || asked(&server, SYSTEMS).await) => {}
    }
    Provider::close(&provider).await;
    assert_eq!(closed(&server).await, ["1"]);
}

#[tokio::test]
async fn a_session_that_was_being_opened_when_its_round_was_dropped_is_closed_too() {
    let slow = ResponseTemplate::new(201)
        .insert_header("Location", format!("{SESSIONS}/7"))
        .set_delay(Duration::from_secs(1));
    let server = opening(slow).await;
    let entry = endpoint(&server, &login("session").0);
    tokio::select! {
        // On a machine that is that slow the round ended by itself, and closed it.
        _ = fetch(&entry) => {}
        () = until("it is opened", async || asked(&server, SESSIONS).await) => {}
    }
    let Kind::Redfish(redfish) = entry.kind() else { panic!("{entry:?}") };
    redfish.close().await;
    assert_eq!(closed(&server).await, ["7"]);
}
