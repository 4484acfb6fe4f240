//! `deploy/kustomize`: rendered by kubectl, held against the schemas of Kubernetes, taken by a real apiserver, and its
//! configurations by the binaries. A pod that runs is `tests/deploy/container.sh`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use fetcher_tests::fetcher::Fetcher;
use fetcher_tests::plane::Plane;
use fetcher_tests::programs::{checkout, control_plane, python};
use serde_json::{Value, json};

const PROVIDERS: [&str; 4] = ["aws", "baremetal", "cloudforms", "packet"];

fn folders() -> Vec<String> {
    let overlays = PROVIDERS.iter().map(|provider| format!("overlays/{provider}"));
    overlays.chain(["sidecar".to_owned()]).collect()
}

/// The objects of a folder, as YAML.
fn rendered(folder: &str) -> Result<String> {
    let folder = checkout("deploy/kustomize").join(folder);
    let ran = Command::new(control_plane("kubectl")?).arg("kustomize").arg(&folder).output()?;
    let said = String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.success() && said.is_empty(), "{}: {said}", folder.display());
    Ok(String::from_utf8(ran.stdout)?)
}

/// What the apiserver made of the objects of a folder.
async fn taken(folder: &str) -> Result<Vec<Value>> {
    let kubectl = Plane::shared().await?.kubectl();
    let objects = rendered(folder)?;
    let ran = kubectl.run_with_input(&["apply", "--server-side", "-f", "-"], &objects).await?;
    // Of the pods' security the apiserver only warns.
    ensure!(ran.code == 0 && !ran.stderr.contains("PodSecurity"), "{folder}: {ran:?}");
    let all = kubectl.run_with_input(&["get", "-f", "-", "-o", "json"], &objects).await?.ok()?;
    let mut all: Value = serde_json::from_str(&all)?;
    serde_json::from_value(all["items"].take()).context("no list")
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Result<&'a Value> {
    objects.iter().find(|object| object["kind"] == kind).with_context(|| format!("no {kind}"))
}

#[test]
fn every_object_keeps_to_the_schemas_of_kubernetes() -> Result<()> {
    let validate = python("lint", "kubernetes-validate")?;
    let dir = tempfile::tempdir()?;
    for folder in folders() {
        let file = dir.path().join("objects.yaml");
        std::fs::write(&file, rendered(&folder)?)?;
        let ran = Command::new(&validate).arg("--strict").arg(&file).output()?;
        let said = [ran.stdout, ran.stderr].concat();
        ensure!(ran.status.success(), "{folder}: {}", String::from_utf8_lossy(&said));
    }
    Ok(())
}

#[tokio::test]
async fn a_real_apiserver_takes_every_overlay() -> Result<()> {
    for provider in PROVIDERS {
        let objects = taken(&format!("overlays/{provider}")).await?;
        for kind in [
            "Namespace",
            "CustomResourceDefinition",
            "ClusterRole",
            "RoleBinding",
            "ServiceAccount",
            "ConfigMap",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
        ] {
            of_kind(&objects, kind).with_context(|| provider.to_owned())?;
        }
        let namespace = format!("inventory-{provider}");
        let binding = of_kind(&objects, "RoleBinding")?;
        assert_eq!(binding["subjects"][0]["namespace"], *namespace, "{binding}");
        let spec = &of_kind(&objects, "Deployment")?["spec"];
        assert_eq!((&spec["replicas"], &spec["strategy"]["type"]), (&json!(1), &json!("Recreate")));
        assert_eq!(spec["template"]["metadata"]["annotations"]["prometheus.io/scrape"], "true");
        let pod = &spec["template"]["spec"];
        assert_eq!(
            (&pod["serviceAccountName"], &pod["securityContext"]["runAsUser"]),
            (&json!("fetcher"), &json!(65532))
        );
        let container = &pod["containers"][0];
        assert_eq!(container["image"], format!("registry.example.net/fetcher-{provider}:0.1.0"));
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
        assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/livez");
        assert!(container["resources"]["limits"]["memory"].is_string(), "{container}");
    }
    Ok(())
}

#[tokio::test]
async fn the_service_account_of_an_overlay_may_what_its_fetcher_needs_in_its_namespace_alone()
-> Result<()> {
    taken("overlays/packet").await?;
    let kubectl = Plane::shared().await?.kubectl();
    let user = "--as=system:serviceaccount:inventory-packet:fetcher";
    for (verb, resource, namespace, answer) in [
        ("create", "hosts", "inventory-packet", "yes\n"),
        ("update", "hosts/status", "inventory-packet", "yes\n"),
        ("delete", "hosts", "inventory-packet", "no\n"),
        ("get", "secrets", "inventory-packet", "no\n"),
        ("create", "hosts", "default", "no\n"),
    ] {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let subresource = format!("--subresource={subresource}");
        let question =
            ["auth", "can-i", verb, resource, &subresource, user, "--namespace", namespace];
        assert_eq!(
            kubectl.run(&question).await?.stdout,
            answer,
            "{verb} {resource} in {namespace}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_sidecar_starts_before_the_program_and_shares_a_folder_with_it() -> Result<()> {
    let objects = taken("sidecar").await?;
    let pod = &of_kind(&objects, "Deployment")?["spec"]["template"]["spec"];
    let (fetcher, program) = (&pod["initContainers"][0], &pod["containers"][0]);
    assert_eq!(fetcher["restartPolicy"], "Always", "a sidecar: {fetcher}");
    assert_eq!(fetcher["startupProbe"]["httpGet"]["path"], "/readyz");
    let shared = |container: &Value| {
        let mounts = container["volumeMounts"].as_array()?;
        mounts.iter().find(|mount| mount["name"] == "inventory").cloned()
    };
    assert_eq!(shared(fetcher).context("not mounted")?["readOnly"], Value::Null);
    assert_eq!(shared(program).context("not mounted")?["readOnly"], true);
    assert_eq!(pod["automountServiceAccountToken"], false);
    Ok(())
}

#[tokio::test]
async fn the_binary_takes_the_configuration_and_the_arguments_of_its_overlay() -> Result<()> {
    for folder in folders() {
        let objects = taken(&folder).await?;
        let provider = Path::new(&folder).file_name().and_then(|name| name.to_str());
        let provider = provider.filter(|name| *name != "sidecar").unwrap_or("packet");
        let dir = tempfile::tempdir()?;
        let config = of_kind(&objects, "ConfigMap")?["data"]["config.yaml"].as_str();
        std::fs::write(dir.path().join("config.yaml"), config.context("no config.yaml")?)?;
        // Without credentials nobody is asked.
        let fetcher = Fetcher::new(&format!("fetcher-{provider}"), dir.path())?;
        let fetcher = fetcher.env("AWS_EC2_METADATA_DISABLED", "true");

        let pod = &of_kind(&objects, "Deployment")?["spec"]["template"]["spec"];
        let container = pod["initContainers"].get(0).unwrap_or_else(|| &pod["containers"][0]);
        let arguments: Vec<String> = serde_json::from_value(container["args"].clone())?;
        let arguments = arguments.iter().map(|word| word.replace("/etc/fetcher/", ""));
        let fetcher = fetcher.args(arguments);
        let ran = fetcher.run(&["--help"]).await?;
        assert_eq!(ran.code, 0, "{folder}: {ran:?}");
        let ran = fetcher.run(&["check"]).await?;
        assert!(ran.stdout.contains("config.yaml can be used"), "{folder}: {ran:?}");
        if folder != "sidecar" {
            assert!(
                ran.stdout.contains("this is no pod with a service account"),
                "{folder}: {ran:?}"
            );
        }
    }
    Ok(())
}
