//! No secret of a call is in any error or `Debug`, whatever the server does with it.

use serde_json::{Value, json};

use super::http;
use super::server::{Reply, Server, reply};
use crate::secret::Secret;

const PASSWORD: &str = "hunter2/\"&é";
const ENCODED: &str = "YWRtaW46aHVudGVyMi8iJsOp"; // base64 of admin:PASSWORD

fn assert_hidden(text: &str) {
    for form in ["hunter2", "é", ENCODED, "hunter2%2F", r#"\""#] {
        assert!(!text.contains(form), "{form} is in {text}");
    }
}

#[test]
fn a_secret_never_prints_itself() {
    let secret = Secret::new(PASSWORD);
    assert_eq!(
        format!("{secret} {secret:?} {:?}", Some(&secret)),
        "[redacted] [redacted] Some([redacted])"
    );
}

#[tokio::test]
async fn a_server_that_echoes_secrets_does_not_bring_them_into_errors() {
    let encoded = "hunter2%2F%22%26%C3%A9";
    let moved = format!("Location: http://127.0.0.1:1/{encoded}?p=hunter2\r\n");
    for echo in [
        Reply::Echo(400, "text/plain"),
        Reply::Echo(403, "application/json"),
        Reply::Echo(500, "text/html"),
        Reply::Echo(200, "text/html"),
        Reply::Echo(200, "application/json"),
        reply(302, &moved, ""),
    ] {
        let server = Server::start(vec![echo]).await;
        let secret = Secret::new(PASSWORD);
        let call = http(&server)
            .post("login")
            .basic("admin", &secret)
            .header("x-form", encoded)
            .body_json(&json!({"password": PASSWORD}));
        let error = call.json::<Value>().await.unwrap_err();
        assert!(server.seen()[0].contains(ENCODED), "it was sent: {:?}", server.seen());
        assert_hidden(&error.to_string());
        assert_hidden(&format!("{error:?}"));
    }
}

#[tokio::test]
async fn tokens_and_signatures_are_hidden_too() {
    for status in [200, 401, 503] {
        let server = Server::start(vec![Reply::Echo(status, "text/plain")]).await;
        let http = http(&server);
        let token = Secret::new("tok-5f3a");
        let sign = Secret::new("sig-77b1");
        let error = http.get("x").bearer(&token).no_retry().json::<Value>().await.unwrap_err();
        assert!(!format!("{error:?}").contains("5f3a"), "{error}");
        let call = http.get("x").secret_header("x-auth-token", &token).no_retry();
        let error = call.json::<Value>().await.unwrap_err();
        assert!(!format!("{error:?}").contains("5f3a"), "{error}");
        let call = http.get("x").signed(http::header::AUTHORIZATION, move || sign.clone());
        let error = call.no_retry().json::<Value>().await.unwrap_err();
        assert!(!format!("{error:?}").contains("77b1"), "{error}");
    }
}

#[tokio::test]
async fn a_secret_that_no_header_can_carry_is_refused_without_being_shown() {
    let server = Server::start(vec![reply(200, "", "")]).await;
    let secret = Secret::new("hunter2\nX-Evil: 1");
    let error =
        http(&server).get("x").secret_header("x-auth-token", &secret).answer().await.unwrap_err();
    assert!(error.to_string().contains("the header x-auth-token"), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"), "{error}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn neither_an_answer_nor_a_client_shows_what_it_holds() {
    let server = Server::start(vec![reply(200, "X-Auth-Token: hunter2\r\n", "hunter2")]).await;
    let http = http(&server);
    let answer = http.get("x").answer().await.unwrap();
    assert!(!format!("{answer:?} {http:?}").contains("hunter2"));
}
