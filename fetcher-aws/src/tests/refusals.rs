//! What AWS refuses, and the words that a person gets for it.

use aws_credential_types::credential_fn::provide_credentials_fn;
use aws_credential_types::provider::error::CredentialsError;

use super::*;

/// A listing that is refused with this code: the kind of the error, and what its words must name.
async fn check(status: u16, code: &str, reason: &str, words: &[&str]) {
    let server = Server::start().await;
    let (ec2, source) = one(&server).await;
    server.script(LIST, [error(status, code, "Something AWS says.")]);
    let error = fetch(&ec2, &source, "").await.unwrap_err();
    assert_eq!(error.reason(), reason, "{error}");
    for word in [ACCOUNT, "eu-west-1", code].iter().chain(words) {
        assert!(error.to_string().contains(word), "{word:?} is not in: {error}");
    }
    if reason == "denied" {
        assert_eq!(server.requests(LIST).len(), 1, "{code} is not asked again");
    }
}

#[tokio::test]
async fn a_region_that_is_not_enabled_and_a_wrong_key_are_named_both() {
    let words = ["region eu-west-1 is not enabled", "access key AKIAEXAMPLE000000001"];
    check(401, "AuthFailure", "denied", &words).await;
    check(403, "OptInRequired", "denied", &words).await;
}

#[tokio::test]
async fn a_missing_permission_names_the_action() {
    check(403, "UnauthorizedOperation", "denied", &["ec2:DescribeInstances", "IAM policy"]).await;
    check(403, "AccessDenied", "denied", &["ec2:DescribeInstances", "IAM policy"]).await;
}

#[tokio::test]
async fn an_encoded_authorization_failure_is_left_out() {
    let server = Server::start().await;
    let (ec2, source) = one(&server).await;
    let message = format!(
        "You are not authorized. Encoded authorization failure message: {}",
        "x".repeat(900)
    );
    server.script(LIST, [error(403, "UnauthorizedOperation", &message)]);
    let error = fetch(&ec2, &source, "").await.unwrap_err().to_string();
    assert!(error.contains("You are not authorized.") && !error.contains("xxx"), "{error}");
}

#[tokio::test]
async fn expired_credentials_and_a_wrong_clock_have_words_of_their_own() {
    check(400, "ExpiredToken", "denied", &["has expired", "log in again"]).await;
    for code in ["RequestExpired", "SignatureDoesNotMatch"] {
        check(400, code, "denied", &["clock of this machine", "NTP", "AKIAEXAMPLE000000001"]).await;
    }
    check(403, "InvalidClientTokenId", "denied", &["does not accept", "AKIAEXAMPLE000000001"])
        .await;
}

#[tokio::test]
async fn a_refusal_without_a_code_is_denied_and_names_the_key() {
    let refused = listing([Answer::Http(403, "<html>Forbidden</html>".to_owned())]).await;
    let error = refused.unwrap_err();
    assert_eq!(error.reason(), "denied");
    assert!(error.to_string().contains("AKIAEXAMPLE000000001"), "{error}");
}

#[tokio::test]
async fn a_request_that_is_wrong_is_invalid() {
    check(400, "InvalidParameterValue", "invalid", &["refused the request"]).await;
}

#[tokio::test]
async fn what_aws_says_cannot_move_a_terminal() {
    let server = Server::start().await;
    let (ec2, source) = one(&server).await;
    server.script(LIST, [error(400, "InvalidParameterValue", "&#x1b;[2Jhello")]);
    let error = fetch(&ec2, &source, "").await.unwrap_err().to_string();
    assert!(!error.contains('\u{1b}') && error.contains("hello"), "{error}");
}

#[tokio::test]
async fn an_endpoint_that_nobody_listens_at_is_unavailable() {
    let server = Server::start().await;
    server.script("GetCallerIdentity", [caller(ACCOUNT)]);
    let yaml = "regions: [{name: eu-west-1, endpoint: 'http://127.0.0.1:9'}]";
    let ec2 = ec2(&server, yaml);
    let source = ec2.sources().await.unwrap().sources[0].source.clone();
    let error = fetch(&ec2, &source, "").await.unwrap_err();
    assert_eq!(error.reason(), "unavailable");
    assert!(error.to_string().contains("cannot be reached"), "{error}");
}

const ROLE: &str = "accounts: [{roleArn: 'arn:aws:iam::111111111111:role/inventory', externalId: fleet}]\n\
    regions: [eu-west-1]\ninstanceTypes: false";

#[tokio::test]
async fn a_role_that_cannot_be_assumed_is_a_failed_source_of_its_account() {
    let server = Server::start().await;
    let refused =
        "User: arn:aws:iam::210987654321:user/x is not authorized to perform: sts:AssumeRole";
    server.script("AssumeRole", [sts_error(403, "AccessDenied", refused)]);
    let ec2 = ec2(&server, ROLE);
    let discovery = ec2.sources().await.unwrap();
    let source = &discovery.sources[0].source;
    assert_eq!(&**source.scope(), "111111111111/eu-west-1");
    let error = fetch(&ec2, source, "").await.unwrap_err();
    assert_eq!(error.reason(), "denied");
    for word in ["role/inventory", "trust policy", "external id", "111111111111"] {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    assert_eq!(server.requests(LIST).len(), 0);
    assert_eq!(server.requests("AssumeRole")[0]["ExternalId"], "fleet");
    assert_eq!(server.requests("AssumeRole")[0]["RoleSessionName"], "fetcher-aws");
    assert_eq!(server.requests("AssumeRole")[0]["DurationSeconds"], "3600");
}

#[tokio::test]
async fn sts_that_fails_is_unavailable_and_not_denied() {
    let server = Server::start().await;
    server.script("AssumeRole", [sts_error(500, "InternalFailure", "sorry")]);
    let ec2 = ec2(&server, ROLE);
    let source = ec2.sources().await.unwrap().sources[0].source.clone();
    let error = fetch(&ec2, &source, "").await.unwrap_err();
    assert_eq!(error.reason(), "unavailable", "{error}");
}

#[tokio::test]
async fn a_role_that_nobody_can_ask_for_says_who_is_missing() {
    let server = Server::start().await;
    let nobody = provide_credentials_fn(async || Err(CredentialsError::not_loaded("none")));
    let ec2 = ec2_as(SharedCredentialsProvider::new(nobody), &server, ROLE, &[]);
    let source = ec2.sources().await.unwrap().sources[0].source.clone();
    let error = fetch(&ec2, &source, "").await.unwrap_err();
    assert_eq!(error.reason(), "denied", "{error}");
    for word in ["sts:AssumeRole", "no AWS credentials found", "AWS_PROFILE"] {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}

#[tokio::test]
async fn a_role_whose_sts_nobody_listens_at_is_unavailable() {
    let mut server = Server::start().await;
    server.url = "http://127.0.0.1:9".to_owned();
    let ec2 = ec2(&server, ROLE);
    let source = ec2.sources().await.unwrap().sources[0].source.clone();
    let error = fetch(&ec2, &source, "").await.unwrap_err();
    assert_eq!(error.reason(), "unavailable", "{error}");
    for word in ["sts:AssumeRole", "111111111111", "cannot be reached"] {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}

#[tokio::test]
async fn a_key_that_aws_refuses_is_named_and_not_used_again() {
    let server = Server::start().await;
    server.script("AssumeRole", [assumed("ASIAOLD"), assumed("ASIANEW")]);
    let listed = Answer::Http(200, page("111111111111", &[running("i-1")], None));
    server.script(LIST, [error(400, "ExpiredToken", "The security token is expired"), listed]);
    let ec2 = ec2(&server, ROLE);
    let source = ec2.sources().await.unwrap().sources[0].source.clone();
    let error = fetch(&ec2, &source, "").await.unwrap_err().to_string();
    assert!(error.contains("ASIAOLD") && error.contains("has expired"), "{error}");
    for _ in 0..2 {
        assert_eq!(ids(&fetch(&ec2, &source, "").await.unwrap()), ["i-1"]);
    }
    assert_eq!(server.requests("AssumeRole").len(), 2);
}

#[tokio::test]
async fn regions_that_wait_for_one_role_share_its_refusal() {
    let server = Server::start().await;
    server.script("AssumeRole", [sts_error(403, "AccessDenied", "no")]);
    let ec2 = ec2(&server, &ROLE.replace("[eu-west-1]", "[eu-west-1, eu-west-2, eu-west-3]"));
    let served = ec2.sources().await.unwrap().sources;
    let rounds = served.iter().map(|served| fetch(&ec2, &served.source, ""));
    for got in futures::future::join_all(rounds).await {
        assert_eq!(got.unwrap_err().reason(), "denied");
    }
    assert_eq!(server.requests("AssumeRole").len(), 1);
}

#[tokio::test]
async fn a_429_of_a_gateway_is_waited_out() {
    let gateway = || Answer::Http(429, "slow down".to_owned());
    let got = listing([gateway(), ok(&[running("i-1")], None)]).await;
    assert_eq!(ids(&got.unwrap()), ["i-1"]);
    assert_eq!(listing([gateway()]).await.unwrap_err().reason(), "throttled");
}
