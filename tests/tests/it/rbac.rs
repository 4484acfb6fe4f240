//! `deploy/rbac` at a real apiserver: what a fetcher, a reader and an operator may do, and what is refused to them.

use std::time::Duration;

use anyhow::{Context, Result};
use fetcher_tests::namespace::Namespace;
use fetcher_tests::plane::Plane;
use fetcher_tests::poll::poll_until;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::plane::{host, hosts, hosts_in};

async fn patch(api: &Api<DynamicObject>, name: &str, patch: Value) -> kube::Result<DynamicObject> {
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
}

/// The HTTP status of a refusal and its message.
fn refused<T: std::fmt::Debug>(answer: kube::Result<T>) -> (u16, String) {
    match answer.unwrap_err() {
        kube::Error::Api(status) => (status.code, status.message),
        other => panic!("not an answer of the apiserver: {other:?}"),
    }
}

/// A namespace with one Host that its fetcher has made.
async fn with_a_host(prefix: &str) -> Result<(Namespace, Api<DynamicObject>)> {
    let namespace = Plane::shared().await?.namespace(prefix).await?;
    let api = hosts(namespace.client()?, &namespace);
    api.create(&PostParams::default(), &host("m1", &json!({}))).await?;
    Ok((namespace, api))
}

#[tokio::test]
async fn a_fetcher_creates_hosts_and_keeps_their_labels_and_status() -> Result<()> {
    let (_namespace, api) = with_a_host("fetcher-may").await?;
    let labelled =
        patch(&api, "m1", json!({"metadata": {"labels": {"inventory.fetcher.dev/zone": "a"}}}))
            .await?;
    let mut read = api.get("m1").await?;
    assert_eq!(read.metadata.resource_version, labelled.metadata.resource_version);
    read.data["status"] = json!({"state": "Running"});
    let written = api.replace_status("m1", &PostParams::default(), &read).await?;
    assert_eq!(written.data["status"]["state"], "Running");
    assert_eq!(api.list(&ListParams::default()).await?.items.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_fetcher_is_refused_every_change_of_spec() -> Result<()> {
    let (_namespace, api) = with_a_host("fetcher-spec").await?;
    let (code, message) = refused(patch(&api, "m1", json!({"spec": {"role": "db"}})).await);
    assert!(code == 403 && message.contains("edit-spec"), "{code} {message}");
    let (code, message) =
        refused(api.create(&PostParams::default(), &host("m2", &json!({"role": "db"}))).await);
    assert!(code == 403 && message.contains("edit-spec"), "{code} {message}");
    assert_eq!(
        refused(api.replace("m1", &PostParams::default(), &api.get("m1").await?).await).0,
        403
    );
    Ok(())
}

#[tokio::test]
async fn a_fetcher_is_refused_deletes_other_namespaces_and_everything_that_is_no_host() -> Result<()>
{
    let (namespace, api) = with_a_host("fetcher-no").await?;
    let (other, _) = with_a_host("fetcher-other").await?;
    assert_eq!(refused(api.delete("m1", &DeleteParams::default()).await).0, 403);
    assert_eq!(
        refused(api.delete_collection(&DeleteParams::default(), &ListParams::default()).await).0,
        403
    );
    let elsewhere = hosts_in(namespace.client()?, other.name());
    assert_eq!(refused(elsewhere.list(&ListParams::default()).await).0, 403);
    assert_eq!(refused(elsewhere.get("m1").await).0, 403);
    assert_eq!(
        refused(elsewhere.create(&PostParams::default(), &host("m2", &json!({}))).await).0,
        403
    );
    assert_eq!(
        refused(patch(&elsewhere, "m1", json!({"metadata": {"labels": {"a": "b"}}})).await).0,
        403
    );
    for resource in
        ["secrets", "configmaps", "namespaces", "crds", "rolebindings", "hosts --all-namespaces"]
    {
        let arguments: Vec<&str> = ["get"].into_iter().chain(resource.split(' ')).collect();
        let ran = namespace.kubectl_as(namespace.fetcher(), &arguments).await?;
        assert!(ran.code == 1 && ran.stderr.contains("Forbidden"), "{ran:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_fetcher_may_read_the_schema_of_hosts_and_ask_what_it_may_do() -> Result<()> {
    let (namespace, _) = with_a_host("fetcher-schema").await?;
    let schema = namespace.kubectl_as(
        namespace.fetcher(),
        &["get", "--raw", "/openapi/v3/apis/inventory.fetcher.dev/v1"],
    );
    assert!(schema.await?.ok()?.contains("machineID"));
    let can =
        namespace.kubectl_as(namespace.fetcher(), &["auth", "can-i", "create", "hosts"]).await?;
    assert_eq!(can.ok()?, "yes\n");
    let can =
        namespace.kubectl_as(namespace.fetcher(), &["auth", "can-i", "edit-spec", "hosts"]).await?;
    assert_eq!((can.code, can.stdout.as_str()), (1, "no\n"));
    Ok(())
}

#[tokio::test]
async fn an_operator_edits_spec_and_retires_hosts_but_does_not_write_status() -> Result<()> {
    let (namespace, _) = with_a_host("operator").await?;
    let operator = namespace.person("olga", "inventory-operator").await?;
    let api = hosts(namespace.plane().client(&operator, "people")?, &namespace);
    let edited = patch(&api, "m1", json!({"spec": {"role": "db"}})).await?;
    assert_eq!(edited.data["spec"]["role"], "db");
    api.create(&PostParams::default(), &host("m2", &json!({"role": "web"}))).await?;
    assert_eq!(refused(api.replace_status("m1", &PostParams::default(), &edited).await).0, 403);
    api.delete("m2", &DeleteParams::default()).await?;
    Ok(())
}

#[tokio::test]
async fn a_fetcher_keeps_the_labels_of_a_host_whose_spec_people_have_edited() -> Result<()> {
    let (namespace, fetcher) = with_a_host("both").await?;
    let operator = namespace.person("otto", "inventory-operator").await?;
    let people = hosts(namespace.plane().client(&operator, "people")?, &namespace);
    patch(&people, "m1", json!({"spec": {"role": "db"}})).await?;
    let labelled =
        patch(&fetcher, "m1", json!({"metadata": {"labels": {"inventory.fetcher.dev/zone": "a"}}}))
            .await?;
    assert_eq!(labelled.data["spec"]["role"], "db");
    Ok(())
}

#[tokio::test]
async fn a_reader_reads_and_changes_nothing() -> Result<()> {
    let (namespace, _) = with_a_host("reader").await?;
    let reader = namespace.person("rita", "inventory-reader").await?;
    let api = hosts(namespace.plane().client(&reader, "people")?, &namespace);
    assert_eq!(api.list(&ListParams::default()).await?.items.len(), 1);
    assert_eq!(refused(patch(&api, "m1", json!({"spec": {"role": "db"}})).await).0, 403);
    assert_eq!(refused(api.create(&PostParams::default(), &host("m2", &json!({}))).await).0, 403);
    assert_eq!(refused(api.delete("m1", &DeleteParams::default()).await).0, 403);
    Ok(())
}

#[tokio::test]
async fn fetchers_have_a_share_of_the_apiserver_of_their_own_and_people_another() -> Result<()> {
    let (namespace, _) = with_a_host("share").await?;
    let schema = ["get", "flowschema", "inventory-fetchers", "-o", "jsonpath={.metadata.uid}"];
    let ours = namespace.kubectl(&schema).await?.ok()?;
    let reader = namespace.person("sven", "inventory-reader").await?;
    let path = format!("/apis/inventory.fetcher.dev/v1/namespaces/{}/hosts", namespace.name());
    let schema_of = async |identity| {
        let client = namespace.plane().client(identity, "fleet-tests")?;
        let answer = client.send(http::Request::get(&path).body(kube::client::Body::empty())?);
        let answer = answer.await?;
        let uid = answer.headers().get("x-kubernetes-pf-flowschema-uid");
        Ok::<_, anyhow::Error>(uid.context("no flow schema")?.to_str()?.to_owned())
    };
    // The apiserver takes up a new FlowSchema a moment after it was stored.
    poll_until("requests of a fetcher are matched", Duration::from_secs(60), async || {
        Ok((schema_of(namespace.fetcher()).await? == ours).then_some(()))
    })
    .await?;
    assert_ne!(schema_of(&reader).await?, ours);
    Ok(())
}
