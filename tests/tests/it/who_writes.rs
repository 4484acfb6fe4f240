//! The table of `host.rs`, row by row, at a real apiserver: who writes what. The apiserver itself keeps the account, as
//! `managedFields`: every field that a program has set or changed stands there under its name.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use fetcher_core::host::is_our_label;
use fetcher_tests::fetcher::Fetcher;
use fetcher_tests::kubeconfig::CONTEXT;
use fetcher_tests::namespace::Namespace;
use fetcher_tests::plane::Plane;
use serde_json::{Value, json};

const AGENT: &str = "fetcher-baremetal";

struct House {
    namespace: Namespace,
    fetcher: Fetcher,
}

impl House {
    /// A fetcher whose list holds `m1` with these facts, and nine others.
    async fn new() -> Result<Self> {
        let namespace = Plane::shared().await?.namespace("who").await?;
        let config = format!(
            "selector: \"\"\nlabels: {{tags: [team]}}\n\
             store: {{kubernetes: {{namespace: {}, kubeconfig: {}, context: {CONTEXT}}}}}\n\
             baremetal: {{sources: [{{file: {{name: hall, path: hall.json}}}}]}}\n",
            namespace.name(),
            namespace.kubeconfig()?.display()
        );
        std::fs::write(namespace.dir().join("config.yaml"), config)?;
        let fetcher =
            Fetcher::new(AGENT, namespace.dir())?.args(["--once", "--config", "config.yaml"]);
        Ok(Self { namespace, fetcher })
    }

    async fn round(&self, machine: Option<Value>) -> Result<()> {
        let others = (0..9).map(|n| json!({"id": format!("other{n}"), "state": "Running"}));
        let machines: Vec<_> = others.chain(machine).collect();
        let list = json!({ "machines": machines }).to_string();
        std::fs::write(self.namespace.dir().join("hall.json"), list)?;
        self.fetcher.run(&[]).await?.ok()?;
        Ok(())
    }

    async fn host(&self) -> Result<Value> {
        let all = ["get", "hosts", "-o", "json", "--show-managed-fields"];
        let all: Value = serde_json::from_str(&self.namespace.kubectl(&all).await?.ok()?)?;
        let mut hosts = all["items"].as_array().into_iter().flatten();
        let host = hosts.find(|host| host["spec"]["machineID"] == "m1").cloned();
        host.context("no Host of m1")
    }
}

/// The fields that a program has written, as paths; keys of lists by their content.
fn written(host: &Value, manager: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    let entries = host["metadata"]["managedFields"].as_array().into_iter().flatten();
    for entry in entries.filter(|entry| entry["manager"] == manager) {
        walk(&entry["fieldsV1"], String::new(), &mut paths);
    }
    paths
}

fn walk(fields: &Value, path: String, paths: &mut BTreeSet<String>) {
    let inner = fields.as_object().into_iter().flatten().filter(|(key, _)| *key != ".");
    let mut is_leaf = true;
    for (key, value) in inner {
        is_leaf = false;
        let key = key.strip_prefix("f:").unwrap_or(key);
        walk(value, format!("{path}/{key}"), paths);
    }
    if is_leaf {
        paths.insert(path);
    }
}

#[tokio::test]
async fn the_fetcher_writes_the_fields_of_the_table_and_no_others() -> Result<()> {
    let house = House::new().await?;
    let machine = |state: &str, team: &str| {
        Some(json!({"id": "m1", "name": "one", "state": state, "rack": "r7",
            "addresses": ["10.0.0.1"], "tags": {"team": team}}))
    };
    house.round(machine("Running", "web")).await?;
    let first = house.host().await?;

    // People and tools, on every row that is theirs.
    let name = first["metadata"]["name"].as_str().context("no name")?;
    let theirs = json!({
        "metadata": {"labels": {"team": "theirs"}, "annotations": {"note": "theirs"}, "finalizers": ["example.com/keep"]},
        "spec": {"role": "db", "maintenance": {"reason": "disk"}},
    });
    let mut conditions = first["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions
        .push(json!({"type": "Backup", "status": "True", "reason": "Done", "message": "theirs"}));
    let agent = json!({"status": {"agent": {"kernel": "6.12"}, "conditions": conditions}});
    for (patch, subresource) in [(&theirs, None), (&agent, Some("--subresource=status"))] {
        let patch = patch.to_string();
        let mut arguments = vec!["patch", "host", name, "--type=merge", "--patch", &patch];
        arguments.extend(["--field-manager=people"].into_iter().chain(subresource));
        house.namespace.kubectl(&arguments).await?.ok()?;
    }

    // The whole life of the Host: changed, labelled anew, gone, back.
    house.round(machine("Stopped", "db")).await?;
    house.round(None).await?;
    assert_eq!(house.host().await?["status"]["state"], "Gone");
    house.round(machine("Running", "web")).await?;
    let last = house.host().await?;

    for path in written(&last, AGENT) {
        let mut keys = path.split('/').skip(1);
        let row = match (keys.next().unwrap_or_default(), keys.next().unwrap_or_default()) {
            // Keys of labels hold a slash themselves.
            ("metadata", "labels") => {
                path.strip_prefix("/metadata/labels/").is_none_or(is_our_label)
            }
            ("spec", "source" | "machineID") => true,
            ("status", "agent") => false,
            ("status", "conditions") => !path.contains("Backup"),
            ("status", _) => true,
            _ => false,
        };
        ensure!(row, "{path} is in no row of the table: {last:#}");
    }
    let people = written(&last, "people");
    for path in [
        "/metadata/labels/team",
        "/metadata/annotations/note",
        "/spec/role",
        "/spec/maintenance/reason",
        "/status/agent/kernel",
    ] {
        ensure!(people.contains(path), "{path} is no longer theirs: {people:?}");
    }
    assert_eq!(last["metadata"]["finalizers"], json!(["example.com/keep"]));
    assert_eq!(last["spec"]["source"], first["spec"]["source"]);
    assert_eq!(last["metadata"]["uid"], first["metadata"]["uid"]);
    let conditions = last["status"]["conditions"].as_array().context("no conditions")?;
    let kinds: BTreeSet<_> = conditions.iter().filter_map(|c| c["type"].as_str()).collect();
    assert_eq!(kinds, ["Backup", "Present"].into());
    Ok(())
}

#[tokio::test]
async fn source_and_machine_id_are_immutable_for_everybody() -> Result<()> {
    let house = House::new().await?;
    house.round(Some(json!({"id": "m1"}))).await?;
    let host = house.host().await?;
    let name = host["metadata"]["name"].as_str().context("no name")?;
    for patch in [json!({"spec": {"machineID": "m2"}}), json!({"spec": {"source": {"scope": "x"}}})]
    {
        let patch = patch.to_string();
        let ran =
            house.namespace.kubectl(&["patch", "host", name, "--type=merge", "-p", &patch]).await?;
        assert!(ran.code == 1 && ran.stderr.contains("immutable"), "{ran:?}");
    }
    Ok(())
}
