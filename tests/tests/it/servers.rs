//! The provider servers start, answer as secured as asked, and end.

use anyhow::Result;
use fetcher_tests::servers::ironic::Ironic;
use fetcher_tests::servers::moto::Moto;
use fetcher_tests::servers::sushy::{Sushy, System};
use fetcher_tests::servers::{PASSWORD, USER};
use reqwest::{Certificate, Client, Method, StatusCode};
use serde_json::Value;

#[tokio::test]
async fn moto_answers_and_checks_signatures_when_told_to() -> Result<()> {
    let moto = Moto::start().await?;
    let state: Value =
        reqwest::get(format!("{}/moto-api/data.json", moto.url())).await?.json().await?;
    assert!(state.is_object());
    moto.check_credentials(true).await?;
    let unsigned = Client::new().post(moto.url()).body("Action=DescribeInstances").send().await?;
    assert_ne!(unsigned.status(), StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn ironic_keeps_nodes_and_lets_in_who_knows_the_password() -> Result<()> {
    let ironic = Ironic::start_secured().await?;
    let node = serde_json::json!({"name": "bm-1", "driver": "fake-hardware"});
    ironic.request(Method::POST, "/v1/nodes").json(&node).send().await?.error_for_status()?;
    let nodes: Value = ironic.request(Method::GET, "/v1/nodes").send().await?.json().await?;
    assert_eq!(nodes["nodes"][0]["name"], "bm-1");
    let stranger = trusting(&ironic.secured().unwrap().ca)?
        .get(format!("{}/v1/nodes", ironic.url()))
        .send()
        .await?;
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
    Ok(())
}

#[tokio::test]
async fn sushy_shows_the_given_systems_to_who_knows_the_password() -> Result<()> {
    let system = System {
        uuid: "0a0a0a0a-0000-4000-8000-000000000001".to_owned(),
        name: "bmc-1".to_owned(),
        power: "On".to_owned(),
        mac: "52:54:00:00:00:01".to_owned(),
    };
    let sushy = Sushy::start(std::slice::from_ref(&system), true).await?;
    let client = trusting(&sushy.secured().unwrap().ca)?;
    let url = format!("{}/redfish/v1/Systems", sushy.url());
    assert_eq!(client.get(&url).send().await?.status(), StatusCode::UNAUTHORIZED);
    let systems: Value =
        client.get(&url).basic_auth(USER, Some(PASSWORD)).send().await?.json().await?;
    assert_eq!(systems["Members@odata.count"], 1);
    Ok(())
}

fn trusting(ca: &std::path::Path) -> Result<Client> {
    Ok(Client::builder()
        .tls_certs_only([Certificate::from_pem(&std::fs::read(ca)?)?])
        .no_proxy()
        .build()?)
}
