//! What `check` says of the apiserver: reachable, as whom, the CRD, the rights, the namespace.
//!
//! It asks by reviews and by one create as a dry run; a Role in one namespace is enough for all of it. Nothing is
//! written.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::config::KubernetesConfig;
use super::failure::{Failure, Purpose};
use super::link::{Call, Link};
use super::resource::{Hosts, review};
use super::served;
use crate::machine::Source;
use crate::provider::Finding;
use crate::store::{NewHost, StoreError};

/// What a fetcher does, as verb and subresource.
const RIGHTS: [(&str, &str); 6] =
    [("get", ""), ("list", ""), ("watch", ""), ("create", ""), ("patch", ""), ("update", "status")];
/// A certificate that ends sooner is worth a word.
const SOON: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Looks at everything that a round would need of the apiserver, and stops at the first thing that the others hang on.
pub async fn check(
    config: &KubernetesConfig,
    provider: &'static str,
    version: &str,
    now: Timestamp,
) -> Vec<Finding> {
    let program = format!("fetcher-{provider}");
    let link = match Link::open(config, &format!("{program}/{version}")).await {
        Ok(link) => link,
        Err(error) => return vec![bad(error.to_string())],
    };
    let mut findings = vec![credentials(&link, now)];
    if findings[0].ok {
        let hosts = Hosts::new(&config.namespace, &program);
        look(&link, &hosts, config, provider, &mut findings).await;
    }
    findings
}

async fn look(
    link: &Link,
    hosts: &Hosts,
    config: &KubernetesConfig,
    provider: &'static str,
    findings: &mut Vec<Finding>,
) {
    let user = match whoami(link).await {
        Ok(user) => user,
        Err(error) => return findings.push(bad(error.to_string())),
    };
    findings.push(good(format!("the apiserver answers and knows us as user {user}")));
    let has_crd = match served(link).await {
        Ok(schema) if schema.missing().is_empty() => {
            findings.push(good("the CRD hosts.inventory.fetcher.dev/v1 is served"));
            true
        }
        Ok(schema) => {
            findings.push(good(format!(
                "the CRD hosts.inventory.fetcher.dev/v1 is served, an older one without {}: these are left out \
                 until deploy/crds/hosts.yaml is applied",
                schema.missing().join(", ")
            )));
            true
        }
        Err(error) => {
            findings.push(bad(error.to_string()));
            false
        }
    };
    let (rights, may_create) = rights(link, &user, &config.namespace).await;
    findings.push(rights);
    if has_crd && may_create {
        findings.push(namespace(link, hosts, config, provider).await);
    }
}

fn credentials(link: &Link, now: Timestamp) -> Finding {
    let identity = link.identity();
    match identity.expires {
        Some(end) if end <= now => bad(format!(
            "{identity}: the client certificate expired on {end}: renew it and replace the file; it is read again \
             without a restart"
        )),
        Some(end) if end.duration_since(now) < SOON => {
            good(format!("{identity}; the client certificate ends soon, on {end}"))
        }
        Some(end) => good(format!("{identity}; the client certificate is good until {end}")),
        None => good(identity.to_string()),
    }
}

/// The user that the apiserver takes us for.
async fn whoami(link: &Link) -> Result<String, StoreError> {
    let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let call = review("/apis/authentication.k8s.io/v1/selfsubjectreviews", &body);
    let answer = ask(link, &call).await;
    let answer = answer.map_err(|failure| {
        failure.error(Purpose::Read, &format!("ask {} who we are", link.identity().server))
    })?;
    let user = &answer["status"]["userInfo"];
    Ok(user["username"].as_str().unwrap_or("without a name").to_owned())
}

async fn rights(link: &Link, user: &str, namespace: &str) -> (Finding, bool) {
    let mut denied = Vec::new();
    for (verb, subresource) in RIGHTS {
        match may(link, namespace, verb, subresource).await {
            Ok(true) => {}
            Ok(false) if subresource.is_empty() => denied.push(format!("{verb} hosts")),
            Ok(false) => denied.push(format!("{verb} hosts/{subresource}")),
            Err(error) => return (bad(error.to_string()), false),
        }
    }
    let may_create = !denied.iter().any(|right| right == "create hosts");
    let finding = match denied.len() {
        0 => good(format!("user {user} has all rights it needs in namespace {namespace}")),
        all if all == RIGHTS.len() => bad(format!(
            "user {user} may do nothing with hosts in namespace {namespace}: is store.kubernetes.namespace the right \
             one? The Role and RoleBinding of deploy/rbac in that namespace give the rights"
        )),
        _ => bad(format!(
            "user {user} may not {} in namespace {namespace}: apply the Role of deploy/rbac there",
            denied.join(", ")
        )),
    };
    (finding, may_create)
}

async fn may(
    link: &Link,
    namespace: &str,
    verb: &str,
    subresource: &str,
) -> Result<bool, StoreError> {
    let body = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "group": "inventory.fetcher.dev", "resource": "hosts",
            "namespace": namespace, "verb": verb, "subresource": subresource,
        }},
    });
    let call = review("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &body);
    let answer = ask(link, &call).await;
    let answer = answer.map_err(|failure| failure.error(Purpose::Read, "ask what we may do"))?;
    Ok(answer["status"]["allowed"] == true)
}

/// Whether a Host could be made there: the namespace exists, and no policy is in the way.
async fn namespace(
    link: &Link,
    hosts: &Hosts,
    config: &KubernetesConfig,
    provider: &'static str,
) -> Finding {
    let probe = NewHost {
        name: format!("{provider}-check").into(),
        labels: BTreeMap::new(),
        source: Source::new(provider, &["check"]),
        machine_id: "check".into(),
    };
    let namespace = &config.namespace;
    match link.send(&hosts.create(&probe, true)).await {
        Err(failure) => match failure.error(Purpose::Create, "create a Host as a dry run") {
            StoreError::Conflict(_) => good(format!("namespace {namespace} takes Hosts")),
            error => bad(error.to_string()),
        },
        Ok(_) => good(format!("namespace {namespace} takes Hosts")),
    }
}

async fn ask(link: &Link, call: &Call) -> Result<Value, Failure> {
    let body = link.send(call).await?;
    serde_json::from_slice(&body).map_err(|error| {
        Failure::Silence(format!("the answer is no JSON, so this is no apiserver: {error}"))
    })
}

fn good(text: impl Into<String>) -> Finding {
    Finding { ok: true, text: text.into() }
}

fn bad(text: impl Into<String>) -> Finding {
    Finding { ok: false, text: text.into() }
}
