//! The store at a real apiserver: its contract, who writes what, what a write costs, and what a person is told.
//!
//! What a server that misbehaves does to it is tested in fetcher-core, the watch's own rules in `watch`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use fetcher_core::host::HostStatus;
use fetcher_core::observed::{Index, Standing};
use fetcher_core::provider::Finding;
use fetcher_core::store::kube::{KubeStore, KubernetesConfig, Mode, check};
use fetcher_core::store::{HostStore, Part, Stored};
use fetcher_tests::kubeconfig::CONTEXT;
use fetcher_tests::namespace::Namespace;
use fetcher_tests::pki::{Authority, Identity, Validity};
use fetcher_tests::plane::Plane;
use fetcher_tests::poll::poll_until;
use fetcher_tests::store_contract::{PROVIDER, new_host, source, status};
use serde_json::{Value, json};

pub(crate) const AGENT: &str = "fetcher-baremetal";
const SOON: Duration = Duration::from_secs(60);

mod contract_of_lists {
    use super::*;

    async fn make() -> Result<(KubeStore, Namespace)> {
        fresh(Mode::Once).await
    }

    fetcher_tests::store_contract!(make);
}

mod contract_of_the_watch {
    use super::*;

    async fn make() -> Result<(KubeStore, Namespace)> {
        fresh(Mode::Daemon).await
    }

    fetcher_tests::store_contract!(make);
}

async fn fresh(mode: Mode) -> Result<(KubeStore, Namespace)> {
    let namespace = Plane::shared().await?.namespace("store").await?;
    let store = open(&config(&namespace)?, mode).await?;
    Ok((store, namespace))
}

pub(crate) async fn open(config: &KubernetesConfig, mode: Mode) -> Result<KubeStore> {
    let store = KubeStore::open(config, PROVIDER, "0-test", "".parse()?, mode).await;
    store.map_err(|error| anyhow::anyhow!("{error}"))
}

/// By kubeconfig, as a person would.
pub(crate) fn config(namespace: &Namespace) -> Result<KubernetesConfig> {
    Ok(KubernetesConfig {
        namespace: namespace.name().to_owned(),
        kubeconfig: Some(namespace.kubeconfig()?),
        context: Some(CONTEXT.to_owned()),
        ..KubernetesConfig::default()
    })
}

/// By files of its own, as a service would.
pub(crate) fn explicit(namespace: &Namespace, user: &Identity) -> Result<KubernetesConfig> {
    Ok(KubernetesConfig {
        namespace: namespace.name().to_owned(),
        server: Some(namespace.plane().url().parse()?),
        ca_file: Some(namespace.plane().ca()),
        cert_file: Some(user.certificate.clone()),
        key_file: Some(user.key.clone()),
        ..KubernetesConfig::default()
    })
}

async fn got(store: &KubeStore, name: &str) -> Result<Stored> {
    store.get(name).await?.with_context(|| format!("{name} is not there"))
}

/// A Host with a status.
async fn made(store: &KubeStore, name: &str) -> Result<Stored> {
    let host = store.create(&new_host(&source("one"), name)).await?;
    Ok(store.write(&host, Part::Status(&status(name))).await?)
}

async fn patch(
    namespace: &Namespace,
    name: &str,
    subresource: Option<&str>,
    patch: &Value,
) -> Result<()> {
    let patch = patch.to_string();
    let mut arguments = vec!["patch", "host", name, "--type=merge", "--patch", &patch];
    arguments.extend(subresource.map(|_| "--subresource=status"));
    namespace.kubectl(&arguments).await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn what_others_wrote_survives_every_write_byte_for_byte() -> Result<()> {
    let (store, namespace) = fresh(Mode::Once).await?;
    made(&store, "a").await?;
    let foreign = json!({
        "metadata": {
            "labels": {"team": "fleet", "inventory.example.com/zone": "theirs"},
            "annotations": {"note": "by hand \u{e9}\n", "kubectl.kubernetes.io/x": "{}"},
            "finalizers": ["example.com/keep"],
        },
        "spec": {
            "maintenance": {"reason": "disk", "until": "2026-05-01T00:00:00Z"}, "role": "db", "os": "debian-13",
            "ansible": {"port": 2222, "nested": {"list": [1, 2.5, null, "x"], "empty": {}}},
        },
    });
    patch(&namespace, "a", None, &foreign).await?;
    let mut conditions = got(&store, "a").await?.object["status"]["conditions"].clone();
    let backup = json!({"type": "Backup", "status": "False", "reason": "Old", "message": "m", "observedGeneration": 1});
    conditions.as_array_mut().context("no conditions")?.insert(0, backup.clone());
    let agent = json!({"load": [0.25, 1.5e300], "kernel": "6.12", "empty": [], "deep": {"a": {"b": 9_007_199_254_740_993_u64}}});
    let theirs = json!({"status": {"agent": agent, "conditions": conditions}});
    patch(&namespace, "a", Some("status"), &theirs).await?;

    let before = got(&store, "a").await?;
    let change = BTreeMap::from([
        ("inventory.fetcher.dev/zone".to_owned(), None),
        ("tag.inventory.fetcher.dev/env".to_owned(), Some("prod".to_owned())),
    ]);
    let host = store.write(&before, Part::Labels(&change)).await?;
    let mut less = status("renamed");
    less.tags = Default::default();
    less.location.zone = None;
    less.conditions[0].status = "False".to_owned();
    store.write(&host, Part::Status(&less)).await?;

    let mut expected = before.object.clone();
    let labels = expected["metadata"]["labels"].as_object_mut().context("no labels")?;
    labels.remove("inventory.fetcher.dev/zone");
    labels.insert("tag.inventory.fetcher.dev/env".to_owned(), "prod".into());
    expected["status"]["hostname"] = "renamed".into();
    expected["status"]["location"] = json!({"rack": "r7"});
    expected["status"]["conditions"][1]["status"] = "False".into();
    expected["status"].as_object_mut().context("no status")?.remove("tags");
    let mut after = got(&store, "a").await?.object;
    for object in [&mut expected, &mut after] {
        let meta = object["metadata"].as_object_mut().context("no metadata")?;
        meta.retain(|key, _| key != "resourceVersion" && key != "managedFields");
    }
    assert_eq!(after, expected);
    assert_eq!(after["status"]["conditions"][0], backup);
    assert_eq!(after["status"]["agent"], agent);
    Ok(())
}

#[tokio::test]
async fn a_change_of_status_costs_one_get_and_one_write() -> Result<()> {
    let (store, namespace) = fresh(Mode::Once).await?;
    made(&store, "a").await?;
    let mut audit = namespace.audit();
    assert_eq!(
        audit.counts(AGENT).await?,
        counts([("create hosts 201", 1), ("update hosts/status 200", 1)]),
        "a create is two writes"
    );
    audit.restart().await?;
    let host = got(&store, "a").await?;
    let host = store.write(&host, Part::Status(&status("b"))).await?;
    assert_eq!(
        audit.counts(AGENT).await?,
        counts([("get hosts 200", 1), ("update hosts/status 200", 1)])
    );
    audit.restart().await?;
    let change = BTreeMap::from([("tag.inventory.fetcher.dev/x".to_owned(), Some("y".to_owned()))]);
    let host = store.write(&host, Part::Labels(&change)).await?;
    store.write(&host, Part::Status(&status("c"))).await?;
    assert_eq!(
        audit.counts(AGENT).await?,
        counts([("patch hosts 200", 1), ("update hosts/status 200", 1)]),
        "labels and status follow each other without another read"
    );
    Ok(())
}

fn counts<const N: usize>(counts: [(&str, usize); N]) -> BTreeMap<String, usize> {
    counts.map(|(request, count)| (request.to_owned(), count)).into()
}

#[tokio::test]
async fn a_host_whose_labels_were_taken_off_is_still_observed_and_has_another_digest() -> Result<()>
{
    for mode in [Mode::Once, Mode::Daemon] {
        let (store, namespace) = fresh(mode).await?;
        let before = made(&store, "a").await?;
        let none = json!({"metadata": {"labels": null}});
        patch(&namespace, "a", None, &none).await?;
        let index =
            until(&store, |index| index.hosts["a"].revision > before.entry.revision).await?;
        assert_ne!(index.hosts["a"].digest, before.entry.digest, "{mode:?}");
        assert_eq!(index.hosts["a"].standing, Standing::Present);
    }
    Ok(())
}

/// The index of source `one`, once it is as wanted.
pub(crate) async fn until(
    store: &KubeStore,
    is_wanted: impl Fn(&Index) -> bool,
) -> Result<std::sync::Arc<Index>> {
    let one = source("one");
    poll_until("the index is as wanted", SOON, async || {
        let index = store.observed(&one).await?;
        Ok(is_wanted(&index).then_some(index))
    })
    .await
}

#[tokio::test]
async fn a_rotated_certificate_is_taken_up_without_a_restart() -> Result<()> {
    let namespace = Plane::shared().await?.namespace("rotated").await?;
    let first = namespace.mint("current", Validity::For(Duration::from_secs(3600)))?;
    let store = open(&explicit(&namespace, &first)?, Mode::Once).await?;
    made(&store, "a").await?;
    let first_end = store.identity().expires;
    namespace.mint("current", Validity::Day)?;
    poll_until("the new certificate is used", SOON, async || {
        got(&store, "a").await?;
        Ok((store.identity().expires > first_end).then_some(()))
    })
    .await?;
    // Half a rotation: the key is not the certificate's. The old pair goes on until both are there.
    let other = namespace.mint("other", Validity::Day)?;
    std::fs::copy(&other.key, &first.key)?;
    let begin = std::time::Instant::now();
    poll_until("requests go on with the old pair", SOON, async || {
        got(&store, "a").await?;
        Ok((begin.elapsed() > Duration::from_secs(7)).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_rotated_token_is_taken_up_without_a_restart_and_its_line_feed_is_no_matter() -> Result<()>
{
    let namespace = Plane::shared().await?.namespace("token").await?;
    let file = namespace.dir().join("token");
    service_account(&namespace, &file).await?;
    let config = KubernetesConfig {
        cert_file: None,
        key_file: None,
        token_file: Some(file.clone()),
        ..explicit(&namespace, namespace.fetcher())?
    };
    let store = open(&config, Mode::Once).await?;
    poll_until("the binding works", SOON, async || Ok(store.get("a").await.ok())).await?;
    std::fs::write(&file, "no longer good")?;
    let error = poll_until("the token that is no good is used", SOON, async || {
        Ok(store.get("a").await.err())
    });
    let error = error.await?;
    assert_eq!(error.reason(), "invalid");
    assert!(error.to_string().contains("does not accept our credentials"), "{error}");
    service_account(&namespace, &file).await?;
    store.get("a").await?;
    Ok(())
}

/// A token of a service account with the fetcher's role, as kubectl prints it: with a line feed.
async fn service_account(namespace: &Namespace, file: &Path) -> Result<()> {
    let account = format!("{}:robot", namespace.name());
    let _ = namespace.kubectl(&["create", "serviceaccount", "robot"]).await?;
    let binding =
        ["create", "rolebinding", "robot", "--clusterrole=fetcher", "--serviceaccount", &account];
    let _ = namespace.kubectl(&binding).await?;
    let token = namespace.kubectl(&["create", "token", "robot"]).await?.ok()?;
    std::fs::write(file, format!("{}\n", token.trim()))?;
    Ok(())
}

#[tokio::test]
async fn two_at_once_make_one_write_and_one_conflict() -> Result<()> {
    let (store, _namespace) = fresh(Mode::Once).await?;
    let host = made(&store, "a").await?;
    let (one, two) = (status("one"), status("two"));
    let (one, two) = tokio::join!(
        store.write(&host, Part::Status(&one)),
        store.write(&host, Part::Status(&two))
    );
    let refused: Vec<_> = [one, two].into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.iter().map(|error| error.reason()).collect::<Vec<_>>(), ["conflict"]);
    Ok(())
}

#[tokio::test]
async fn a_host_that_the_crd_refuses_is_named_with_the_field_and_hides_no_other() -> Result<()> {
    let (store, _namespace) = fresh(Mode::Once).await?;
    let host = made(&store, "a").await?;
    let long = HostStatus { hostname: Some("x".repeat(1000).into()), ..status("a") };
    let error = store.write(&host, Part::Status(&long)).await.unwrap_err();
    assert_eq!(error.reason(), "refused");
    assert!(error.to_string().contains("status.hostname"), "{error}");
    made(&store, "b").await?;
    Ok(())
}

#[tokio::test]
async fn an_older_crd_leaves_fields_out_and_a_newer_one_keeps_what_we_do_not_know() -> Result<()> {
    let plane = Plane::own().await?;
    let namespace = plane.namespace("crd").await?;
    let crd = fetcher_core::host::crd_yaml()?;
    let crd: Value = serde_saphyr::from_str(&crd)?;

    let older = with_status(&crd, |properties| {
        properties.as_object_mut().unwrap().remove("facts");
        properties["location"]["properties"].as_object_mut().unwrap().remove("rack");
    });
    let store = served(&namespace, &older, &["status.facts", "status.location.rack"]).await?;
    let host = made(&store, "older").await?;
    let wanted = store.lens().entry(
        &fetcher_core::observed::Read {
            status: Some(status("older")),
            ..host.read.clone().unwrap()
        },
        0,
        "",
    );
    assert_eq!(host.entry.digest, wanted.digest, "what the server prunes is not in the digest");
    let findings = checked(&config(&namespace)?).await;
    assert!(findings.iter().all(|finding| finding.ok), "{findings:?}");
    assert!(says(&findings, "status.location.rack"), "{findings:?}");

    let newer = with_status(&crd, |properties| {
        properties["future"] =
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        properties["hardware"]["properties"]["tpm"] = json!({"type": "string"});
        properties["state"]["enum"].as_array_mut().unwrap().push("Sleeping".into());
    });
    let store = served(&namespace, &newer, &[]).await?;
    let future = json!({"status": {"future": {"a": [1, {"b": null}]}, "hardware": {"tpm": "2.0"}}});
    patch(&namespace, "older", Some("status"), &future).await?;
    let before = got(&store, "older").await?;
    let host = store.write(&before, Part::Status(&status("newer"))).await?;
    assert!(before.object["status"]["future"]["a"][1].is_object());
    assert_eq!(host.object["status"]["future"], before.object["status"]["future"]);
    assert_eq!(host.object["status"]["hardware"], json!({"tpm": "2.0"}));

    made(&store, "readable").await?;
    patch(&namespace, "older", Some("status"), &json!({"status": {"state": "Sleeping"}})).await?;
    for mode in [Mode::Once, Mode::Daemon] {
        let index = open(&config(&namespace)?, mode).await?.observed(&source("one")).await?;
        assert!(
            matches!(&index.hosts["older"].standing, Standing::Unreadable(why) if why.contains("Sleeping"))
        );
        assert_eq!(index.hosts["readable"].standing, Standing::Present);
    }

    namespace
        .kubectl(&["delete", "crd", "hosts.inventory.fetcher.dev", "--wait=false"])
        .await?
        .ok()?;
    poll_until("check names the CRD that is gone", SOON, async || {
        let findings = checked(&config(&namespace)?).await;
        Ok(says(&findings, "kubectl apply -f deploy/crds/hosts.yaml").then_some(()))
    })
    .await?;
    // The apiserver takes its documents down one after the other: what it serves of the CRD may be nothing for a moment.
    let way = crate::check::way(&namespace);
    let ran = poll_until("the binary's check names it as well", SOON, async || {
        let ran = way.check(namespace.dir()).await?;
        Ok(ran.stdout.contains("kubectl apply -f deploy/crds/hosts.yaml").then_some(ran))
    })
    .await?;
    assert_eq!(ran.code, 2, "{ran:?}");
    Ok(())
}

fn with_status(crd: &Value, change: impl Fn(&mut Value)) -> Value {
    let mut crd = crd.clone();
    let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    change(&mut schema["status"]["properties"]);
    crd
}

/// A store that has read the schema of this CRD, once the apiserver serves it.
async fn served(namespace: &Namespace, crd: &Value, missing: &[&str]) -> Result<KubeStore> {
    let kubectl = namespace.plane().kubectl();
    kubectl.run_with_input(&["replace", "-f", "-"], &crd.to_string()).await?.ok()?;
    let marker = crd["spec"]["versions"][0]["schema"].to_string().contains("\"tpm\"");
    poll_until("the apiserver serves the CRD", SOON, async || {
        // While it is published anew there may be none.
        let path = "/openapi/v3/apis/inventory.fetcher.dev/v1";
        let schema = kubectl.run(&["get", "--raw", path]).await?;
        if schema.code != 0 || schema.stdout.contains("\"tpm\"") != marker {
            return Ok(None);
        }
        let store = open(&config(namespace)?, Mode::Once).await?;
        if store.observed(&source("one")).await.is_err() {
            return Ok(None);
        }
        Ok((store.lens().schema.missing() == missing).then_some(store))
    })
    .await
}

async fn checked(config: &KubernetesConfig) -> Vec<Finding> {
    check(config, PROVIDER, "0-test", jiff::Timestamp::now()).await
}

fn says(findings: &[Finding], text: &str) -> bool {
    findings.iter().any(|finding| finding.text.contains(text))
}

#[tokio::test]
async fn check_finds_nothing_wrong_where_nothing_is_and_writes_nothing() -> Result<()> {
    let namespace = Plane::shared().await?.namespace("check").await?;
    let findings = checked(&config(&namespace)?).await;
    assert!(findings.iter().all(|finding| finding.ok), "{findings:#?}");
    assert!(says(&findings, &format!("knows us as user {}", namespace.name())), "{findings:#?}");
    let store = open(&config(&namespace)?, Mode::Once).await?;
    assert_eq!(store.unserved(PROVIDER, &[].into()).await?, vec![]);
    assert!(store.identity().to_string().contains(&format!("user {}", namespace.name())));
    Ok(())
}

#[tokio::test]
async fn check_says_in_words_what_is_wrong_and_what_to_do() -> Result<()> {
    let plane = Plane::shared().await?;
    let namespace = plane.namespace("check").await?;
    let good = explicit(&namespace, namespace.fetcher())?;
    let nobody_listens = format!("https://127.0.0.1:{}", fetcher_tests::ports::free()?);
    let other = Authority::create(namespace.dir(), "other")?;
    let expired = namespace.mint("expired", Validity::Ended(Duration::from_secs(60)))?;
    let reader = namespace.person("reader", "inventory-reader").await?;
    let stranger = Identity::named(namespace.dir(), "stranger");
    let stranger = other.client(stranger, "stranger", None, Validity::Day)?;
    let missing = namespace.dir().join("not-there.crt");
    let set = |change: &dyn Fn(&mut KubernetesConfig)| {
        let mut config = good.clone();
        change(&mut config);
        config
    };
    let of = |user: &Identity| explicit(&namespace, user);
    let cases = [
        (set(&|c| c.server = nobody_listens.parse().ok()), "is the apiserver running"),
        (set(&|c| c.ca_file = Some(other.certificate.clone())), "caFile"),
        (set(&|c| c.ca_file = Some(missing.clone())), "not-there.crt"),
        (set(&|c| c.ca_file = c.key_file.clone()), "holds no certificate"),
        (
            set(&|c| {
                c.server = Some(
                    c.server
                        .as_ref()
                        .unwrap()
                        .as_str()
                        .replace("127.0.0.1", "[::1]")
                        .parse()
                        .unwrap(),
                )
            }),
            "127.0.0.1",
        ),
        (
            set(&|c| c.namespace = "elsewhere".to_owned()),
            "is store.kubernetes.namespace the right one?",
        ),
        (of(&expired)?, "expired on"),
        (of(&reader)?, "may not create hosts, patch hosts, update hosts/status"),
        (of(&stranger)?, "401"),
        (
            KubernetesConfig { context: Some("prod".to_owned()), ..config(&namespace)? },
            "has no context \"prod\"; it has",
        ),
    ];
    for (config, expected) in cases {
        let findings = checked(&config).await;
        let wrong: Vec<_> = findings.into_iter().filter(|finding| !finding.ok).collect();
        assert!(
            says(&wrong, expected) || expected == "127.0.0.1" && !wrong.is_empty(),
            "{expected}: {wrong:#?}"
        );
    }
    let admin = KubernetesConfig { namespace: "nowhere".to_owned(), ..of(&plane.admin())? };
    let findings = checked(&admin).await;
    assert!(says(&findings, "kubectl create namespace"), "{findings:#?}");
    Ok(())
}
