//! What a server that misbehaves makes of us. The apiserver itself is asked by the suites in `tests/`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wiremock::matchers::{
    body_partial_json, header, method, path, query_param, query_param_contains,
};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::*;
use crate::machine::Source;
use crate::observed::Standing;

mod broken;

const HOSTS: &str = "/apis/inventory.fetcher.dev/v1/namespaces/ns/hosts";
const OPENAPI: &str = "/openapi/v3/apis/inventory.fetcher.dev/v1";

struct Fake {
    server: MockServer,
    config: KubernetesConfig,
    _dir: tempfile::TempDir,
}

impl Fake {
    async fn new() -> Self {
        let server = MockServer::start().await;
        let dir = tempfile::tempdir().unwrap();
        let token = dir.path().join("token");
        std::fs::write(&token, "first\n").unwrap();
        let config = KubernetesConfig {
            namespace: "ns".to_owned(),
            server: Some(server.uri().parse().unwrap()),
            token_file: Some(token),
            ..KubernetesConfig::default()
        };
        Mock::given(method("GET"))
            .and(path(OPENAPI))
            .respond_with(ResponseTemplate::new(200).set_body_json(openapi()))
            .mount(&server)
            .await;
        Self { server, config, _dir: dir }
    }

    async fn store(&self, mode: Mode) -> KubeStore {
        KubeStore::open(&self.config, "p", "1.2.3", "".parse().unwrap(), mode).await.unwrap()
    }

    async fn requests(&self, of: &str) -> Vec<Request> {
        let mut requests = self.server.received_requests().await.unwrap();
        requests.retain(|request| request.url.path() == of);
        requests
    }
}

fn openapi() -> Value {
    use ::kube::CustomResourceExt;
    let crd = serde_json::to_value(crate::host::Host::crd()).unwrap();
    let mut schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    schema["x-kubernetes-group-version-kind"] =
        json!([{"group": "inventory.fetcher.dev", "version": "v1", "kind": "Host"}]);
    json!({"components": {"schemas": {"dev.fetcher.inventory.v1.Host": schema}}})
}

fn source() -> Source {
    Source::new("p", &["one"])
}

fn host(name: &str, revision: u64) -> Value {
    json!({
        "apiVersion": "inventory.fetcher.dev/v1", "kind": "Host",
        "metadata": {"name": name, "uid": "u", "resourceVersion": revision.to_string()},
        "spec": {"source": {"name": "p-one", "provider": "p", "scope": "one"}, "machineID": name},
        "status": {"state": "Running"},
    })
}

fn page(hosts: &[Value], next: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({
        "kind": "HostList", "metadata": {"resourceVersion": "9", "continue": next}, "items": hosts,
    }))
}

fn status(code: u16, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(code)
        .set_body_json(json!({"kind": "Status", "code": code, "message": message}))
}

#[tokio::test]
async fn a_410_in_the_middle_discards_all_pages() {
    let fake = Fake::new().await;
    let list = || Mock::given(method("GET")).and(path(HOSTS));
    let gone = status(410, "The provided continue parameter is too old");
    list()
        .and(query_param("continue", "2"))
        .respond_with(gone)
        .up_to_n_times(1)
        .mount(&fake.server)
        .await;
    let second = page(&[host("b", 2)], "");
    list().and(query_param("continue", "2")).respond_with(second).mount(&fake.server).await;
    let first = page(&[host("deleted-meanwhile", 1)], "2");
    list().respond_with(first).up_to_n_times(1).mount(&fake.server).await;
    list().respond_with(page(&[host("a", 1)], "2")).mount(&fake.server).await;

    let index = fake.store(Mode::Once).await.observed(&source()).await.unwrap();
    let mut names: Vec<&str> = index.hosts.keys().map(|name| &**name).collect();
    names.sort_unstable();
    assert_eq!(names, ["a", "b"]);
    let selector = query_param("fieldSelector", "spec.source.name=p-one");
    let requests = fake.requests(HOSTS).await;
    assert!(requests.iter().all(|request| wiremock::Match::matches(&selector, request)));
    assert_eq!(requests.len(), 4);
}

#[tokio::test]
async fn pages_that_never_fit_together_are_an_error_and_not_an_endless_list() {
    let fake = Fake::new().await;
    let list = Mock::given(method("GET")).and(path(HOSTS));
    list.respond_with(status(410, "too old")).mount(&fake.server).await;
    let error = fake.store(Mode::Once).await.observed(&source()).await.unwrap_err();
    assert_eq!(error.reason(), "busy", "{error}");
}

#[tokio::test]
async fn a_list_that_fails_half_way_is_an_error_and_no_shorter_index() {
    let fake = Fake::new().await;
    let list = || Mock::given(method("GET")).and(path(HOSTS));
    let broken = ResponseTemplate::new(200).set_body_string("{\"items\": [");
    list().and(query_param("continue", "2")).respond_with(broken).mount(&fake.server).await;
    list().respond_with(page(&[host("a", 1)], "2")).mount(&fake.server).await;
    let error = fake.store(Mode::Once).await.observed(&source()).await.unwrap_err();
    assert!(error.to_string().contains("no list of Hosts"), "{error}");
}

#[tokio::test]
async fn an_unreadable_host_does_not_hide_the_others() {
    let fake = Fake::new().await;
    let mut bad = host("bad", 2);
    bad["status"]["state"] = json!("Sleeping");
    let list = Mock::given(method("GET")).and(path(HOSTS));
    list.respond_with(page(&[host("a", 1), bad, host("c", 3)], "")).mount(&fake.server).await;
    let index = fake.store(Mode::Once).await.observed(&source()).await.unwrap();
    assert_eq!(index.hosts.len(), 3);
    assert_eq!(index.hosts["a"].standing, Standing::Present);
    assert!(
        matches!(&index.hosts["bad"].standing, Standing::Unreadable(why) if why.contains("Sleeping"))
    );
}

#[tokio::test]
async fn a_busy_server_is_waited_for_as_it_asks_and_then_the_write_is_made() {
    let fake = Fake::new().await;
    let put = || Mock::given(method("PUT")).and(path(format!("{HOSTS}/a/status")));
    let busy = status(429, "too many requests").insert_header("retry-after", "1");
    put().respond_with(busy).up_to_n_times(1).mount(&fake.server).await;
    put().respond_with(status(503, "not now")).up_to_n_times(1).mount(&fake.server).await;
    let ours = body_partial_json(
        json!({"metadata": {"resourceVersion": "1"}, "status": {"state": "Stopped"}}),
    );
    let answer = ResponseTemplate::new(200).set_body_json(host("a", 2));
    put().and(ours).respond_with(answer).mount(&fake.server).await;

    let store = fake.store(Mode::Once).await;
    let read = Stored::new(host("a", 1), store.lens());
    let wanted = crate::host::HostStatus {
        state: Some(crate::machine::State::Stopped),
        ..crate::host::HostStatus::default()
    };
    let begin = Instant::now();
    let written = store.write(&read, Part::Status(&wanted)).await.unwrap();
    assert_eq!(written.entry.revision, 2);
    assert!(begin.elapsed() >= Duration::from_secs(1), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_server_that_asks_for_more_patience_than_there_is_is_left_alone_at_once() {
    let fake = Fake::new().await;
    let to = format!("{HOSTS}/a");
    let busy = status(429, "too many requests").insert_header("retry-after", "3600");
    Mock::given(method("GET")).and(path(&to)).respond_with(busy).mount(&fake.server).await;
    let error = fake.store(Mode::Once).await.get("a").await.unwrap_err();
    let hour = Some(Duration::from_secs(3600));
    assert!(
        matches!(error, StoreError::Busy { retry_after, .. } if retry_after == hour),
        "{error:?}"
    );
    assert_eq!(fake.requests(&to).await.len(), 1);
}

#[tokio::test]
async fn a_stale_write_is_a_conflict_and_is_not_sent_again() {
    let fake = Fake::new().await;
    let to = format!("{HOSTS}/a/status");
    let put = Mock::given(method("PUT")).and(path(&to));
    put.respond_with(status(409, "the object has been modified")).mount(&fake.server).await;
    let store = fake.store(Mode::Once).await;
    let read = Stored::new(host("a", 1), store.lens());
    let wanted = crate::host::HostStatus::default();
    let error = store.write(&read, Part::Status(&wanted)).await.unwrap_err();
    assert_eq!(error.reason(), "conflict");
    assert_eq!(fake.requests(&to).await.len(), 1);
}

#[tokio::test]
async fn a_token_is_sent_without_its_line_feed_and_a_new_one_is_taken_up_after_a_401() {
    let fake = Fake::new().await;
    let get = || Mock::given(method("GET")).and(path(format!("{HOSTS}/a")));
    let fine = ResponseTemplate::new(200).set_body_json(host("a", 1));
    let (first, second) =
        (header("authorization", "Bearer first"), header("authorization", "Bearer second"));
    let program = header("user-agent", "fetcher-p/1.2.3");
    get()
        .and(first)
        .and(program)
        .respond_with(fine.clone())
        .up_to_n_times(1)
        .mount(&fake.server)
        .await;
    get().and(second).respond_with(fine).mount(&fake.server).await;
    get().respond_with(status(401, "Unauthorized")).mount(&fake.server).await;

    let store = fake.store(Mode::Once).await;
    assert!(store.get("a").await.unwrap().is_some());
    let error = store.get("a").await.unwrap_err();
    assert_eq!(error.reason(), "invalid");
    assert!(error.to_string().contains("renew"), "{error}");
    std::fs::write(fake.config.token_file.as_ref().unwrap(), "second").unwrap();
    assert!(store.get("a").await.unwrap().is_some());
}

#[tokio::test]
async fn a_missing_crd_is_named_with_its_remedy() {
    let server = MockServer::start().await;
    let missing = ResponseTemplate::new(404).set_body_string("404 page not found\n");
    Mock::given(method("GET")).respond_with(missing).mount(&server).await;
    let fake = Fake::new().await;
    let config =
        KubernetesConfig { server: Some(server.uri().parse().unwrap()), ..fake.config.clone() };
    let store = KubeStore::open(&config, "p", "1", "".parse().unwrap(), Mode::Once).await.unwrap();
    let error = store.observed(&source()).await.unwrap_err();
    assert_eq!(error.reason(), "invalid");
    assert!(error.to_string().contains("kubectl apply -f deploy/crds/hosts.yaml"), "{error}");
}

#[tokio::test]
async fn sources_that_are_not_served_are_asked_for_one_by_one() {
    let fake = Fake::new().await;
    let list = || Mock::given(method("GET")).and(path(HOSTS));
    let excluded = query_param_contains("fieldSelector", "spec.source.name!=p-one");
    list().and(excluded).respond_with(page(&[], "")).mount(&fake.server).await;
    list().respond_with(page(&[host("a", 1)], "next")).mount(&fake.server).await;
    let store = fake.store(Mode::Once).await;
    let served = BTreeSet::from(["p-two".into()]);
    let names = store.unserved("p", &served).await.unwrap();
    assert_eq!(names, ["p-one".into()]);
    assert_eq!(fake.requests(HOSTS).await.len(), 2);
}

#[tokio::test]
async fn more_sources_than_a_url_holds_are_told_apart_by_reading_all_hosts() {
    let fake = Fake::new().await;
    let list = Mock::given(method("GET")).and(path(HOSTS));
    list.respond_with(page(&[host("a", 1)], "")).mount(&fake.server).await;
    let store = fake.store(Mode::Once).await;
    let served: BTreeSet<Text> = (0..200).map(|n| format!("p-{n:040}").into()).collect();
    assert_eq!(store.unserved("p", &served).await.unwrap(), ["p-one".into()]);
    let requests = fake.requests(HOSTS).await;
    assert_eq!(requests.len(), 1);
    assert!(requests[0].url.as_str().len() < 8192);
}

/// One line of a watch.
fn event(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": kind, "object": object}))
}

fn bookmark(revision: u64, is_initial_end: bool) -> String {
    let annotations =
        if is_initial_end { json!({"k8s.io/initial-events-end": "true"}) } else { json!({}) };
    let metadata = json!({"resourceVersion": revision.to_string(), "annotations": annotations});
    event("BOOKMARK", &json!({"kind": "Host", "metadata": metadata}))
}

fn stream(lines: &[String]) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_string(lines.concat())
}

/// A server whose streaming list holds `a` at 5 and ends at revision 10, and whose watch answers as told.
async fn watched(answers: Vec<ResponseTemplate>) -> (Fake, KubeStore) {
    let fake = Fake::new().await;
    let watch = || Mock::given(method("GET")).and(path(HOSTS)).and(query_param("watch", "true"));
    let all = [event("ADDED", &host("a", 5)), bookmark(10, true)];
    watch()
        .and(query_param("sendInitialEvents", "true"))
        .and(query_param("resourceVersionMatch", "NotOlderThan"))
        .respond_with(stream(&all))
        .mount(&fake.server)
        .await;
    for answer in answers {
        watch().respond_with(answer).up_to_n_times(1).mount(&fake.server).await;
    }
    // Whatever comes after is not part of the test.
    let quiet = stream(&[bookmark(1000, false)]).set_delay(Duration::from_secs(3600));
    watch().respond_with(quiet).mount(&fake.server).await;
    let store = fake.store(Mode::Daemon).await;
    (fake, store)
}

/// The revisions that watches were begun from, once there are that many requests; `all` for a streaming list, `one`
/// for a list of one Host.
async fn begun_from(fake: &Fake, requests: usize) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(40);
    loop {
        let seen = fake.requests(HOSTS).await;
        if seen.len() >= requests || Instant::now() > deadline {
            let from = |request: &Request| {
                let value = |of: &str| request.url.query_pairs().find(|(key, _)| key == of);
                let other = if value("limit").is_some() { "one" } else { "all" };
                value("resourceVersion")
                    .map_or_else(|| other.to_owned(), |(_, from)| from.into_owned())
            };
            return seen.iter().map(from).collect();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_watch_goes_on_after_a_clean_end_that_a_bookmark_has_proven() {
    let first = stream(&[event("ADDED", &host("b", 12)), bookmark(15, false)]);
    let second = stream(&[event("DELETED", &host("a", 17)), bookmark(18, false)]);
    let (fake, store) = watched(vec![first, second]).await;
    assert_eq!(begun_from(&fake, 4).await, ["all", "9", "14", "17"]);
    let index = store.observed(&source()).await.unwrap();
    assert_eq!(index.hosts.keys().map(|name| &**name).collect::<Vec<_>>(), ["b"]);
    assert!(store.watched().unwrap().restarts.is_empty());
}

#[tokio::test]
async fn after_anything_else_all_hosts_are_read_anew() {
    let expired = json!({"kind": "Status", "code": 410, "message": "too old resource version"});
    for (reason, answer) in [
        ("unproven", stream(&[event("ADDED", &host("b", 12))])),
        ("unproven", stream(&[event("ADDED", &host("b", 12)), bookmark(11, false)])),
        ("unproven", stream(&[bookmark(9, false)])),
        ("expired", stream(&[bookmark(12, false), event("ERROR", &expired)])),
        ("garbled", stream(&[bookmark(12, false), "<html>\n".to_owned()])),
        ("cut", stream(&[bookmark(12, false), "{\"type\": \"ADD".to_owned()])),
        ("busy", status(429, "storage is (re)initializing")),
        ("refused", status(403, "hosts is forbidden")),
    ] {
        let (fake, store) = watched(vec![answer]).await;
        assert_eq!(begun_from(&fake, 4).await, ["all", "9", "all", "9"], "{reason}");
        let restarts = store.watched().unwrap().restarts;
        assert_eq!(restarts.into_iter().collect::<Vec<_>>(), [(reason, 1)]);
    }
}

#[tokio::test]
async fn a_server_whose_history_begins_here_is_asked_from_here_before_all_is_read_anew() {
    let expired = || status(410, "too old resource version: 9 (10)");
    let (fake, store) = watched(vec![expired()]).await;
    assert_eq!(begun_from(&fake, 3).await, ["all", "9", "10"]);
    assert!(store.watched().unwrap().restarts.is_empty());
    let (fake, store) = watched(vec![expired(), expired()]).await;
    assert_eq!(begun_from(&fake, 5).await, ["all", "9", "10", "all", "9"]);
    assert_eq!(store.watched().unwrap().restarts["expired"], 1);
}

/// Takes 19 seconds, the length of a watch: that it lasted is what tells it from one that was broken off.
#[tokio::test]
async fn a_server_without_a_bookmark_to_send_is_asked_where_it_is() {
    let told = Duration::from_secs(19);
    let case = async |listed: u64, reasons: &[&str], begun: &[&str]| {
        let quiet = stream(&[event("ADDED", &host("b", 12))]).set_delay(told);
        let (fake, store) = watched(vec![quiet]).await;
        let answer = json!({"metadata": {"resourceVersion": listed.to_string()}, "items": []});
        let one = Mock::given(method("GET")).and(path(HOSTS)).and(query_param("limit", "1"));
        one.respond_with(ResponseTemplate::new(200).set_body_json(answer))
            .mount(&fake.server)
            .await;
        assert_eq!(begun_from(&fake, begun.len()).await, begun, "at {listed}");
        let restarts = store.watched().unwrap().restarts;
        assert_eq!(restarts.into_keys().collect::<Vec<_>>(), reasons, "at {listed}");
    };
    tokio::join!(
        case(12, &[], &["all", "9", "one", "11"]),
        case(11, &["unproven"], &["all", "9", "one", "all", "9"]),
    );
}

#[tokio::test]
async fn what_the_watch_is_told_to_wait_is_waited() {
    let busy = status(429, "storage is (re)initializing").insert_header("retry-after", "1");
    let begin = Instant::now();
    let (fake, _store) = watched(vec![busy]).await;
    assert_eq!(begun_from(&fake, 3).await, ["all", "9", "all"]);
    assert!(begin.elapsed() >= Duration::from_secs(1), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn nothing_is_observed_before_the_whole_has_been_read_once() {
    let fake = Fake::new().await;
    let half = stream(&[event("ADDED", &host("a", 5))]);
    Mock::given(method("GET")).and(path(HOSTS)).respond_with(half).mount(&fake.server).await;
    let store = fake.store(Mode::Daemon).await;
    let error = store.observed(&source()).await.unwrap_err();
    assert_eq!(error.reason(), "unavailable", "{error}");
    assert!(!store.watched().unwrap().is_synced);
}

#[tokio::test]
async fn a_server_that_streams_no_lists_is_read_in_pages() {
    let fake = Fake::new().await;
    let get = || Mock::given(method("GET")).and(path(HOSTS));
    let refused = status(422, "sendInitialEvents is forbidden");
    get()
        .and(query_param("sendInitialEvents", "true"))
        .respond_with(refused)
        .mount(&fake.server)
        .await;
    let quiet = stream(&[bookmark(1000, false)]).set_delay(Duration::from_secs(3600));
    get().and(query_param("watch", "true")).respond_with(quiet).mount(&fake.server).await;
    get().respond_with(page(&[host("a", 1)], "")).mount(&fake.server).await;
    let store = fake.store(Mode::Daemon).await;
    assert_eq!(store.observed(&source()).await.unwrap().hosts.len(), 1);
    assert_eq!(begun_from(&fake, 3).await[2], "8");
}
