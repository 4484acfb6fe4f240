//! fetcher-baremetal against a real Ironic: 200 nodes through their provision states, into a file store.

use std::time::Duration;

use anyhow::{Result, ensure};
use fetcher_core::provider::Provider as _;
use fetcher_tests::conformance::{Adapter as _, Bed, Change, IronicAdapter};
use fetcher_tests::fake_ironic::{node, uuid};
use fetcher_tests::poll::poll_until;
use fetcher_tests::servers::ironic::Ironic;
use fetcher_tests::servers::{PASSWORD, USER};
use reqwest::Method;
use serde_json::{Value, json};

use crate::baremetal::{Desk, counts, marks};

const NODES: usize = 200;

/// One call that must succeed; a node that is locked is asked again.
async fn call(ironic: &Ironic, method: Method, path: &str, body: &Value) -> Result<Value> {
    poll_until(path, Duration::from_secs(60), async || {
        let answer = ironic.request(method.clone(), path).json(body).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if matches!(status.as_u16(), 409 | 503) {
            return Ok(None);
        }
        ensure!(status.is_success(), "{path}: {status} {text}");
        Ok(Some(serde_json::from_str(&text).unwrap_or(Value::Null)))
    })
    .await
}

/// A node with a port, traits and what operators put into `extra`; its uuid.
async fn enroll(ironic: &Ironic, n: usize) -> Result<String> {
    let node = json!({"name": format!("bm-{n:03}"), "driver": "fake-hardware", "resource_class": "baremetal.large",
        "properties": {"cpus": "32", "memory_mb": "131072", "local_gb": "960", "cpu_arch": "x86_64"},
        "driver_info": {"redfish_address": format!("https://10.250.0.{}", n % 250), "redfish_password": "S3CRET"},
        "extra": {"tags": ["inventory"], "site": "ams1", "rack": format!("r{:02}", n % 10), "serial": format!("SN{n}")}});
    let uuid = call(ironic, Method::POST, "/v1/nodes", &node).await?["uuid"].clone();
    let address = format!("52:54:00:00:00:{n:02x}");
    let port = json!({"node_uuid": uuid, "address": address});
    call(ironic, Method::POST, "/v1/ports", &port).await?;
    let uuid = uuid.as_str().unwrap_or_default().to_owned();
    let traits = json!({"traits": ["CUSTOM_GOLD"]});
    call(ironic, Method::PUT, &format!("/v1/nodes/{uuid}/traits"), &traits).await?;
    Ok(uuid)
}

async fn provision(ironic: &Ironic, uuid: &str, verb: &str, state: &str) -> Result<()> {
    let path = format!("/v1/nodes/{uuid}/states/provision");
    call(ironic, Method::PUT, &path, &json!({ "target": verb })).await?;
    poll_until(&format!("{uuid} is {state}"), Duration::from_secs(60), async || {
        let node = call(ironic, Method::GET, &format!("/v1/nodes/{uuid}"), &Value::Null).await?;
        Ok((node["provision_state"] == state).then_some(()))
    })
    .await
}

fn state(desk: &Desk, uuid: &str) -> Result<(String, String)> {
    let host = desk.hosts()?.remove(uuid).unwrap_or_default();
    let text = |key: &str| host["status"][key].as_str().unwrap_or_default().to_owned();
    Ok((text("state"), text("providerState")))
}

#[tokio::test]
async fn two_hundred_nodes_walk_through_their_states() -> Result<()> {
    let ironic = Ironic::start().await?;
    let mut uuids = Vec::new();
    for n in 0..NODES {
        uuids.push(enroll(&ironic, n).await?);
    }
    let source = format!(
        "    - ironic: {{name: dc1, url: '{}', pageSize: 50, http: {{requestsPerSecond: 100}}}}",
        ironic.url()
    );
    let desk = Desk::new(&source, "inventory")?;
    let first = desk.round().await?;
    assert_eq!(counts(&first), [200, 0, 0, 0], "{first}");
    let again = desk.round().await?;
    assert_eq!(counts(&again), [0, 0, 0, 200], "a second run changes nothing: {again}");

    let hosts = desk.hosts()?;
    for (n, uuid) in uuids.iter().enumerate() {
        let status = &hosts[uuid]["status"];
        assert_eq!(status["hostname"], format!("bm-{n:03}"));
        assert_eq!(status["state"], "Provisioning");
        assert_eq!(status["providerState"], "enroll");
        let rack = format!("r{:02}", n % 10);
        assert_eq!(status["location"], json!({"site": "ams1", "rack": rack}));
        assert_eq!(status["hardware"]["serial"], format!("SN{n}"));
        assert_eq!(status["hardware"]["memoryBytes"], 131_072_u64 * 1024 * 1024);
        assert_eq!(status["interfaces"], json!([{"mac": format!("52:54:00:00:00:{n:02x}")}]));
        assert_eq!(status["tags"]["CUSTOM_GOLD"], "");
        let bmc = format!("10.250.0.{n}");
        assert_eq!(status["addresses"], json!([{"type": "ManagementIP", "address": bmc}]));
    }
    ensure!(!desk.text()?.contains("S3CRET"), "a password came into the store");

    let node = &uuids[3];
    for (verb, provision_state, host_state) in
        [("manage", "manageable", "Stopped"), ("provide", "available", "Stopped")]
    {
        provision(&ironic, node, verb, provision_state).await?;
        let report = desk.round().await?;
        assert_eq!(counts(&report), [0, 1, 0, 199], "{verb}: {report}");
        assert_eq!(state(&desk, node)?, (host_state.to_owned(), provision_state.to_owned()));
    }
    let image = json!([
        {"op": "add", "path": "/instance_info", "value": {"image_source": "http://127.0.0.1/x.img?sig=S3CRET",
            "image_checksum": "00", "root_gb": "10"}}]);
    call(&ironic, Method::PATCH, &format!("/v1/nodes/{node}"), &image).await?;
    provision(&ironic, node, "active", "active").await?;
    desk.round().await?;
    assert_eq!(state(&desk, node)?.1, "active");
    ensure!(!desk.text()?.contains("S3CRET"), "a signed link came into the store");
    provision(&ironic, node, "deleted", "available").await?;
    desk.round().await?;
    assert_eq!(state(&desk, node)?, ("Stopped".to_owned(), "available".to_owned()));

    let maintenance = format!("/v1/nodes/{}/maintenance", uuids[5]);
    call(&ironic, Method::PUT, &maintenance, &json!({"reason": "broken fan"})).await?;
    desk.configure(&source, "inventory,!@maintenance")?;
    let (code, run) = desk.once(&["--dry-run"]).await?;
    ensure!(code == 0 || code == 3, "{run}");
    assert_eq!(run["sources"][0]["selected"], 199, "a fact of Ironic selects: {run}");
    desk.configure(&source, "inventory")?;

    call(&ironic, Method::DELETE, &format!("/v1/nodes/{}", uuids[9]), &Value::Null).await?;
    let report = desk.round().await?;
    assert_eq!(report["gone"], 1, "{report}");
    assert_eq!(state(&desk, &uuids[9])?.0, "Gone");
    Ok(())
}

#[tokio::test]
async fn a_node_that_became_a_child_of_another_is_no_longer_selected_and_holds_up_no_other_mark()
-> Result<()> {
    let ironic = Ironic::start().await?;
    let mut uuids = Vec::new();
    for n in 0..8 {
        uuids.push(enroll(&ironic, n).await?);
    }
    let source = format!(
        "    - ironic: {{name: dc1, url: '{}', http: {{requestsPerSecond: 100}}}}",
        ironic.url()
    );
    let desk = Desk::new(&source, "inventory")?;
    assert_eq!(counts(&desk.round().await?), [8, 0, 0, 0]);
    // The harness itself speaks a version that knows no parents.
    let parent = json!([{"op": "add", "path": "/parent_node", "value": uuids[0]}]);
    let request = reqwest::Client::new().patch(format!("{}/v1/nodes/{}", ironic.url(), uuids[1]));
    let request = request.header("X-OpenStack-Ironic-API-Version", "1.83").json(&parent);
    request.send().await?.error_for_status()?;
    call(&ironic, Method::DELETE, &format!("/v1/nodes/{}", uuids[2]), &Value::Null).await?;
    let (code, run) = desk.once(&[]).await?;
    let both = [("Deselected".to_owned(), false), ("Vanished".to_owned(), false)];
    assert_eq!((code, marks(&run)), (0, both.to_vec()), "{run}");
    assert_eq!(counts(&desk.round().await?), [0, 0, 0, 6]);
    Ok(())
}

#[tokio::test]
async fn a_secured_ironic_lets_in_who_knows_the_password_and_nobody_is_marked_otherwise()
-> Result<()> {
    let ironic = Ironic::start_secured().await?;
    let mut uuids = Vec::new();
    for n in 0..3 {
        uuids.push(enroll(&ironic, n).await?);
    }
    let ca = ironic.secured().map(|s| s.ca.clone()).unwrap_or_default();
    let source = format!(
        "    - ironic: {{name: dc1, url: '{}', auth: {{basic: {{user: {USER}, password: {{file: password}}}}}}, \
         http: {{caFile: '{}'}}}}",
        ironic.url(),
        ca.display()
    );
    let desk = Desk::new(&source, "inventory")?;
    std::fs::write(desk.dir().join("password"), PASSWORD)?;
    assert_eq!(counts(&desk.round().await?), [3, 0, 0, 0]);
    let before = desk.text()?;
    std::fs::write(desk.dir().join("password"), "wrong-S3CRET")?;
    let (code, run) = desk.once(&[]).await?;
    assert_eq!(code, 1, "{run}");
    let said = run["sources"][0]["error"].as_str().unwrap_or_default();
    ensure!(said.contains("401") && !said.contains("S3CRET"), "{said}");
    assert_eq!(desk.text()?, before, "nothing was written");
    Ok(())
}

#[tokio::test]
async fn one_login_at_keystone_serves_many_rounds_and_is_renewed_before_its_token_ends()
-> Result<()> {
    let mut bed = Bed::<IronicAdapter>::full().await?;
    bed.round().await?;
    assert_eq!(bed.adapter.fake().world().logins, 1, "one login for all calls of two rounds");
    // Revoked, and from now on of so short a life that it is at its end as soon as it is given out.
    bed.adapter.fake().world().tokens.clear();
    bed.adapter.fake().world().life = 60;
    let report = bed.round().await?;
    assert_eq!(report.unchanged, IronicAdapter::MACHINES, "a dead token is renewed: {report:?}");
    let refused = bed.adapter.fake().world().logins;
    ensure!(refused > 2, "a token that is about to end is not used again: {refused} logins");
    Ok(())
}

#[tokio::test]
async fn check_says_that_a_credential_of_one_project_may_hide_the_nodes_of_others() -> Result<()> {
    let bed = Bed::<IronicAdapter>::full().await?;
    let findings = bed.engine.provider.check().await;
    let told = findings.iter().find(|finding| finding.text.contains("baremetal:node:list_all"));
    ensure!(told.is_some_and(|finding| !finding.ok), "{findings:?}");
    Ok(())
}

#[tokio::test]
async fn a_node_enrolled_or_deleted_on_the_way_hides_no_other() -> Result<()> {
    let mut bed = Bed::<IronicAdapter>::full().await?;
    // Node 19 ends the first page: it is the marker of the second.
    bed.adapter.change(Change::RemoveOnTheWay(19)).map_err(anyhow::Error::msg)?;
    let report = bed.round().await?;
    assert_eq!((report.gone, report.unchanged), (1, IronicAdapter::MACHINES - 1), "{report:?}");
    let new = IronicAdapter::MACHINES + 1;
    bed.adapter.fake().world().between(move |world| world.nodes.push(node(new)));
    let report = bed.round().await?;
    assert_eq!((report.gone, report.created), (0, 1), "{report:?}");
    ensure!(bed.hosts()?.contains_key(&uuid(new)), "the new one is there");
    Ok(())
}
