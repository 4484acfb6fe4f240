//! Whether a collection is whole: pages, links and counts in both their spellings.

use super::*;

/// A service whose systems come on these two pages, the second one at `?$skip=1`.
async fn two_pages(first: Value, second: Value) -> MockServer {
    let server = root().await;
    Mock::given(path(SYSTEMS))
        .and(query_param_is_missing("$skip"))
        .respond_with(ok(first))
        .mount(&server)
        .await;
    Mock::given(path(SYSTEMS))
        .and(query_param("$skip", "1"))
        .respond_with(ok(second))
        .mount(&server)
        .await;
    for system in [one(), odd()] {
        give(&server, system["@odata.id"].as_str().unwrap(), ok(system.clone())).await;
    }
    server
}

const NEXT: &str = "/redfish/v1/Systems?$skip=1";

#[tokio::test]
async fn a_bare_next_link_and_a_bare_count_are_followed_too() {
    let server = two_pages(
        json!({"Members": links(&["/redfish/v1/Systems/1"]), "@odata.count": 2, "@odata.nextLink": NEXT}),
        json!({"Members": links(&["/redfish/v1/Systems/node-b%201"]), "Members@odata.count": 2}),
    )
    .await;
    assert_eq!(fetch(&endpoint(&server, "")).await.unwrap().len(), 2);
}

#[tokio::test]
async fn both_spellings_in_one_page_are_no_error() {
    let server = two_pages(
        json!({"Members": links(&["/redfish/v1/Systems/1"]), "Members@odata.count": 2, "@odata.count": 2,
            "Members@odata.nextLink": NEXT, "@odata.nextLink": NEXT}),
        json!({"Members": links(&["/redfish/v1/Systems/node-b%201"]), "Members@odata.nextLink": "",
            "@odata.nextLink": null}),
    )
    .await;
    assert_eq!(fetch(&endpoint(&server, "")).await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_largest_count_of_any_page_is_what_must_be_there() {
    let few = || json!({"Members": links(&["/redfish/v1/Systems/1"])});
    let page = |key: &str, count: usize| {
        let mut page = few();
        page[key] = json!(count);
        page
    };
    let linked = |mut page: Value| {
        page["Members@odata.nextLink"] = json!(NEXT);
        page
    };
    for (first, second) in [
        (page("@odata.count", 3), json!({})),
        (linked(page("Members@odata.count", 3)), json!({"Members": []})),
        (linked(page("@odata.count", 3)), page("Members@odata.count", 1)),
    ] {
        let server = two_pages(first.clone(), second).await;
        let error = fetch(&endpoint(&server, "")).await.unwrap_err();
        assert_eq!(error.reason(), "inconsistent", "{first}: {error}");
    }
}

#[tokio::test]
async fn a_next_link_that_leads_back_or_away_ends_the_round() {
    for next in ["/redfish/v1/Systems", "http://evil.example.net/redfish/v1/Systems"] {
        let server = root().await;
        let page = json!({"Members": [], "Members@odata.count": 0, "Members@odata.nextLink": next});
        give(&server, SYSTEMS, ok(page)).await;
        assert_eq!(
            fetch(&endpoint(&server, "")).await.unwrap_err().reason(),
            "inconsistent",
            "{next}"
        );
    }
}

#[tokio::test]
async fn a_count_that_does_not_match_is_read_again_and_then_an_error() {
    let server = root().await;
    let page = json!({"Members": links(&["/redfish/v1/Systems/1"]), "Members@odata.count": 2});
    Mock::given(path(SYSTEMS)).respond_with(ok(page)).expect(3).mount(&server).await;
    assert_eq!(fetch(&endpoint(&server, "")).await.unwrap_err().reason(), "inconsistent");
}
