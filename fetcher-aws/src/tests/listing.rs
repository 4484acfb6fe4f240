//! Whole listings, and answers that look like one.

use super::*;

#[tokio::test]
async fn two_pages_are_one_listing_by_id() {
    let got = listing([ok(&[running("i-2")], Some("t1")), ok(&[running("i-1")], None)]).await;
    assert_eq!(ids(&got.unwrap()), ["i-1", "i-2"]);
}

#[tokio::test]
async fn an_empty_page_with_a_token_does_not_end_the_list() {
    let got = listing([
        ok(&[running("i-1")], Some("t1")),
        ok(&[], Some("t2")),
        ok(&[], Some("t3")),
        ok(&[running("i-2")], None),
    ]);
    assert_eq!(ids(&got.await.unwrap()), ["i-1", "i-2"]);
}

#[tokio::test]
async fn an_empty_token_ends_the_list() {
    assert_eq!(ids(&listing([ok(&[running("i-1")], Some(""))]).await.unwrap()), ["i-1"]);
}

#[tokio::test]
async fn tokens_that_go_round_in_a_circle_are_an_error_even_with_others_between() {
    let got = listing([
        ok(&[running("i-1")], Some("a")),
        ok(&[running("i-2")], Some("b")),
        ok(&[running("i-3")], Some("a")),
    ]);
    let error = got.await.unwrap_err();
    assert_eq!(error.reason(), "inconsistent");
    assert!(error.to_string().contains("the list never ends"), "{error}");
}

#[tokio::test]
async fn the_same_instance_twice_is_one_machine() {
    let got = listing([ok(&[running("i-1")], Some("t")), ok(&[running("i-1")], None)]);
    assert_eq!(ids(&got.await.unwrap()), ["i-1"]);
}

#[tokio::test]
async fn the_same_instance_twice_in_two_states_is_an_error() {
    let got = listing([ok(&[running("i-1")], Some("t")), ok(&[instance("i-1", "stopping")], None)]);
    let error = got.await.unwrap_err();
    assert_eq!(error.reason(), "inconsistent");
    assert!(error.to_string().contains("i-1 came twice"), "{error}");
}

#[tokio::test]
async fn ended_instances_are_listed_as_ended_and_unknown_states_as_alive() {
    let got = listing([ok(
        &[
            instance("i-1", "shutting-down"),
            instance("i-2", "terminated"),
            instance("i-3", "hovering"),
            instance("i-4", "stopping"),
        ],
        None,
    )]);
    let got: Vec<_> = got.await.unwrap().iter().map(|m| (m.life, m.state)).collect();
    assert_eq!(
        got,
        [
            (Life::Terminated, State::Deprovisioning),
            (Life::Terminated, State::Deprovisioning),
            (Life::Alive, State::Unknown),
            (Life::Alive, State::Stopped),
        ]
    );
}

#[tokio::test]
async fn every_call_is_paged_and_asks_for_managed_instances_and_sends_the_selector() {
    let server = Server::start().await;
    let (ec2, source) = one(&server).await;
    server.script(LIST, [ok(&[], Some("t1")), ok(&[], None)]);
    fetch(&ec2, &source, "team in (\"a*\",b),env").await.unwrap();
    let requests = server.requests(LIST);
    for request in &requests {
        assert_eq!(request["MaxResults"], "1000");
        assert_eq!(request["IncludeManagedResources"], "true");
        assert_eq!(request["Filter.1.Name"], "tag:team");
        assert_eq!(request["Filter.1.Value.1"], "a\\*");
        assert_eq!(request["Filter.1.Value.2"], "b");
        assert_eq!(request["Filter.2.Name"], "tag-key");
        assert_eq!(request["Filter.2.Value.1"], "env");
    }
    assert_eq!(requests[0].get("NextToken"), None);
    assert_eq!(requests[1]["NextToken"], "t1");
}

#[tokio::test]
async fn throttled_and_then_answered_is_a_listing() {
    for code in ["RequestLimitExceeded", "EC2ThrottledException"] {
        let got =
            listing([error(503, code, "Request limit exceeded."), ok(&[running("i-1")], None)]);
        assert_eq!(ids(&got.await.unwrap()), ["i-1"], "{code}");
    }
}

#[tokio::test]
async fn throttled_for_ever_is_throttled_after_the_attempts() {
    let server = Server::start().await;
    let (ec2, source) = one(&server).await;
    server.script(LIST, [error(503, "RequestLimitExceeded", "Request limit exceeded.")]);
    let error = fetch(&ec2, &source, "").await.unwrap_err();
    assert_eq!(error.reason(), "throttled");
    assert_eq!(server.requests(LIST).len(), 3);
}

#[tokio::test]
async fn a_second_page_that_fails_fails_the_listing() {
    let got = listing([
        ok(&[running("i-1")], Some("t1")),
        error(500, "InternalError", "An internal error has occurred"),
    ]);
    let error = got.await.unwrap_err();
    assert_eq!(error.reason(), "unavailable");
    assert!(error.to_string().contains("InternalError"), "{error}");
    assert!(error.to_string().contains(ACCOUNT), "{error}");
    assert!(error.to_string().contains("eu-west-1"), "{error}");
}

#[tokio::test]
async fn an_expired_token_begins_the_list_anew_once() {
    let expired = || error(400, "InvalidNextToken", "The token has expired");
    let got = listing([
        ok(&[running("i-1")], Some("t1")),
        expired(),
        ok(&[running("i-1")], Some("t2")),
        ok(&[running("i-2")], None),
    ]);
    assert_eq!(ids(&got.await.unwrap()), ["i-1", "i-2"]);
    let got = listing([ok(&[], Some("t1")), expired(), ok(&[], Some("t2")), expired()]);
    assert!(got.await.is_err());
}

/// The SDK takes the end of the text for the end of all open elements: without a guard this is a whole, shorter page.
#[tokio::test]
async fn half_a_body_is_an_error_however_it_was_cut() {
    let whole = page(ACCOUNT, &[running("i-1"), running("i-2"), running("i-3")], Some("t1"));
    let positions = [
        whole.find("<item><instanceId>i-2").unwrap(),
        whole.find("i-3</instanceId>").unwrap(),
        whole.find("<nextToken>").unwrap(),
        whole.find("</DescribeInstancesResponse>").unwrap(),
        whole.len() - 5,
        0,
    ];
    for at in positions {
        let half = whole[..at].to_owned();
        for answer in [
            Answer::Http(200, half.clone()),
            Answer::Cut(half.clone()),
            Answer::Short(whole.len(), half.clone()),
        ] {
            let got = listing([answer.clone()]).await;
            assert_eq!(got.unwrap_err().reason(), "unavailable", "{answer:?}");
        }
    }
}

#[tokio::test]
async fn half_a_body_is_asked_for_again() {
    let half = page(ACCOUNT, &[running("i-1")], None)[..200].to_owned();
    let got = listing([Answer::Cut(half), ok(&[running("i-1")], None)]);
    assert_eq!(ids(&got.await.unwrap()), ["i-1"]);
}

#[tokio::test]
async fn a_body_that_never_ends_and_silence_are_errors() {
    let start = page(ACCOUNT, &[running("i-1")], None)[..100].to_owned();
    for answer in [Answer::Endless(start), Answer::Silence] {
        let got = listing([answer]).await;
        assert_eq!(got.unwrap_err().reason(), "unavailable");
    }
}

#[tokio::test]
async fn another_servers_answer_with_200_is_an_error() {
    for body in [
        "<html><body>Please log in</body></html>",
        "<ListAllMyBucketsResult></ListAllMyBucketsResult>",
        "<SomethingElseResponse></SomethingElseResponse>",
        "{}",
        "",
    ] {
        let got = listing([Answer::Http(200, body.to_owned())]).await;
        assert_eq!(got.unwrap_err().reason(), "unavailable", "{body}");
    }
}

#[tokio::test]
async fn a_page_of_html_with_500_is_an_error_that_says_so() {
    let got = listing([Answer::Http(500, "<html>oops</html>".to_owned())]).await.unwrap_err();
    assert_eq!(got.reason(), "unavailable");
    assert!(got.to_string().contains("HTTP status 500"), "{got}");
}

#[tokio::test]
async fn instances_of_another_account_are_an_error() {
    let got = listing([Answer::Http(200, page("111111111111", &[running("i-1")], None))]).await;
    let error = got.unwrap_err();
    assert_eq!(error.reason(), "inconsistent");
    assert!(error.to_string().contains("111111111111"), "{error}");
}

#[tokio::test]
async fn a_lookup_says_of_every_id_whether_it_is_there() {
    let server = Server::start().await;
    let (ec2, source) = one(&server).await;
    server.script(
        LIST,
        [ok(&[instance("i-1", "terminated")], Some("t")), ok(&[running("i-3")], None)],
    );
    let asked: Vec<Text> = ["i-1", "i-2", "i-3"].map(Text::from).to_vec();
    let Lookup::Answered { found, missing } = ec2.lookup(&source, &asked).await.unwrap() else {
        panic!("EC2 can look up");
    };
    assert_eq!(ids(&found), ["i-1", "i-3"]);
    assert_eq!(missing, ["i-2".into()]);
    let request = &server.requests(LIST)[0];
    assert_eq!(request["Filter.1.Name"], "instance-id");
    assert_eq!(request["Filter.1.Value.3"], "i-3");
    assert!(!request.keys().any(|key| key.starts_with("InstanceId")), "{request:?}");
}

#[tokio::test]
async fn a_lookup_with_credentials_of_another_account_says_nothing() {
    let server = Server::start().await;
    let (ec2, source) = one(&server).await;
    server.script("GetCallerIdentity", [caller("111111111111")]);
    server.script(LIST, [ok(&[], None)]);
    let error = ec2.lookup(&source, &["i-1".into()]).await.unwrap_err();
    assert_eq!(error.reason(), "denied");
    assert!(error.to_string().contains("now belong to account 111111111111"), "{error}");
}

#[tokio::test]
async fn a_lookup_that_brings_what_nobody_asked_for_is_an_error() {
    let server = Server::start().await;
    let (ec2, source) = one(&server).await;
    server.script(LIST, [ok(&[running("i-9")], None)]);
    let error = ec2.lookup(&source, &["i-1".into()]).await.unwrap_err();
    assert_eq!(error.reason(), "inconsistent");
}

const TYPE: &str = "DescribeInstanceTypes";
const TYPES: &str = "<DescribeInstanceTypesResponse><instanceTypeSet><item><instanceType>m7g.large</instanceType>\
    <vCpuInfo><defaultVCpus>2</defaultVCpus></vCpuInfo><memoryInfo><sizeInMiB>8192</sizeInMiB></memoryInfo></item>\
    </instanceTypeSet></DescribeInstanceTypesResponse>";

async fn with_types(server: &Server) -> (Ec2, Source) {
    server.script("GetCallerIdentity", [caller(ACCOUNT)]);
    server.script(LIST, [ok(&[running("i-1"), running("i-2")], None)]);
    let ec2 = ec2(server, "regions: [eu-west-1]");
    let source = ec2.sources().await.unwrap().sources[0].source.clone();
    (ec2, source)
}

#[tokio::test]
async fn memory_and_processors_of_a_type_are_asked_for_once() {
    let server = Server::start().await;
    let (ec2, source) = with_types(&server).await;
    server.script(TYPE, [Answer::Http(200, TYPES.to_owned())]);
    for _ in 0..3 {
        let got = fetch(&ec2, &source, "").await.unwrap();
        assert_eq!(got[1].hardware.memory_bytes, Some(8 << 30));
        assert_eq!(got[1].hardware.cpus, Some(2));
    }
    assert_eq!(server.requests(TYPE).len(), 1);
}

#[tokio::test]
async fn without_the_permission_for_types_machines_come_without_memory() {
    for (status, code) in [(403, "UnauthorizedOperation"), (400, "InvalidAction")] {
        let server = Server::start().await;
        let (ec2, source) = with_types(&server).await;
        server.script(TYPE, [error(status, code, "no")]);
        for _ in 0..3 {
            assert_eq!(fetch(&ec2, &source, "").await.unwrap()[0].hardware.memory_bytes, None);
        }
        let asked = server.requests(TYPE).len();
        assert_eq!(asked, 1, "{code} is not asked again at once");
    }
}

/// Memory that comes and goes would rewrite every Host, twice.
#[tokio::test]
async fn types_that_fail_for_now_fail_the_listing_and_the_remedy_is_named() {
    for (status, code, reason) in [
        (503, "Unavailable", "unavailable"),
        (503, "RequestLimitExceeded", "throttled"),
        (400, "InvalidParameterValue", "invalid"),
    ] {
        let server = Server::start().await;
        let (ec2, source) = with_types(&server).await;
        server.script(TYPE, [error(status, code, "later")]);
        let error = fetch(&ec2, &source, "").await.unwrap_err();
        assert_eq!(error.reason(), reason);
        assert!(error.to_string().contains("aws.instanceTypes: false"), "{error}");
    }
}

/// They pass, and the listing before them was answered: that is no reason to take the memory off every Host.
#[tokio::test]
async fn credentials_that_are_refused_for_types_fail_the_listing_until_they_are_not() {
    for answer in [
        error(400, "ExpiredToken", "x"),
        error(401, "AuthFailure", "x"),
        error(403, "SignatureDoesNotMatch", "x"),
        Answer::Http(403, "<html>a proxy</html>".to_owned()),
    ] {
        let server = Server::start().await;
        let (ec2, source) = with_types(&server).await;
        server.script(TYPE, [answer.clone(), Answer::Http(200, TYPES.to_owned())]);
        let refused = fetch(&ec2, &source, "").await.unwrap_err();
        assert_eq!(refused.reason(), "denied", "{answer:?}");
        let got = fetch(&ec2, &source, "").await.unwrap();
        assert_eq!(got[0].hardware.memory_bytes, Some(8 << 30), "{answer:?}");
    }
}

#[tokio::test]
async fn a_page_of_ec2_is_mapped_as_the_readme_says() {
    let xml = include_str!("../../fixtures/describe-instances.xml");
    let last = page(ACCOUNT, &[], None);
    let got = listing([Answer::Http(200, xml.to_owned()), Answer::Http(200, last)]).await.unwrap();
    insta::assert_debug_snapshot!(got);
}
