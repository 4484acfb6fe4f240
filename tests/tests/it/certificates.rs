//! Certificates that renew themselves: `deploy/certificates` on the fetcher's machine, `approve-renewals.sh` on the control
//! plane, and a fetcher that goes on meanwhile; at a real apiserver, with certificates of ten minutes.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fetcher_tests::fetcher::Fetcher;
use fetcher_tests::kubectl::{Kubectl, Ran};
use fetcher_tests::namespace::Namespace;
use fetcher_tests::pki::Validity;
use fetcher_tests::plane::Plane;
use fetcher_tests::poll::poll_until;
use fetcher_tests::{ports, programs};
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};
use tokio::process::Command;

const SOON: Duration = Duration::from_secs(120);
/// Less than the ten minutes that a renewal asks for, so that the two never end in the same second.
const NINE_MINUTES: Duration = Duration::from_secs(540);
const SIGNER: &str = "kubernetes.io/kube-apiserver-client";

/// The folder that `fleet-certificate` keeps, with a certificate that ends in nine minutes and began an hour ago.
fn folder(namespace: &Namespace) -> Result<PathBuf> {
    let folder = namespace.dir().join("certificates");
    std::fs::create_dir_all(folder.join("certificates/issued-0"))?;
    let first = namespace.mint("first", Validity::For(NINE_MINUTES))?;
    std::fs::copy(first.certificate, folder.join("certificates/issued-0/tls.crt"))?;
    std::fs::copy(first.key, folder.join("certificates/issued-0/tls.key"))?;
    std::os::unix::fs::symlink("certificates/issued-0", folder.join("current"))?;
    std::fs::copy(namespace.plane().ca(), folder.join("ca.crt"))?;
    std::fs::write(folder.join("server"), namespace.plane().url())?;
    Ok(folder)
}

fn renew(folder: &Path) -> Command {
    let mut command = Command::new("bash");
    command
        .arg(programs::checkout("deploy/certificates/fleet-certificate"))
        .arg("renew")
        .arg(folder)
        .env("FLEET_EXPIRATION_SECONDS", "600")
        .env("FLEET_PATIENCE", "120")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// `approve-renewals.sh`, as the user that `deploy/rbac` binds for it. Returns what it says.
async fn approve(namespace: &Namespace) -> Result<String> {
    let plane = namespace.plane();
    let user = "fleet-certificate-approver";
    let identity = plane.mint(namespace.dir(), user, user, "approvers", Validity::Day)?;
    let kubectl = programs::control_plane("kubectl")?;
    let path = std::env::var("PATH")?;
    let folder = kubectl.parent().context("kubectl has no folder")?;
    let run = Command::new("bash")
        .arg(programs::checkout("deploy/control-plane/approve-renewals.sh"))
        .arg(namespace.kubeconfig_of(&identity, plane.url())?)
        .env("PATH", format!("{}:{path}", folder.display()))
        .env("KUBECACHEDIR", namespace.dir().join("cache"))
        .output()
        .await?;
    let said = String::from_utf8(run.stdout)?;
    ensure!(run.status.success(), "{said}{}", String::from_utf8_lossy(&run.stderr));
    Ok(said)
}

async fn openssl(arguments: &[&str]) -> Result<String> {
    let run = Command::new("openssl").args(arguments).output().await?;
    ensure!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    Ok(String::from_utf8(run.stdout)?)
}

/// When the present certificate ends, in seconds since 1970, and its subject.
async fn present(folder: &Path) -> Result<(f64, String)> {
    let certificate = folder.join("current/tls.crt").display().to_string();
    let read = ["x509", "-in", &certificate, "-noout", "-dateopt", "iso_8601"];
    let end = openssl(&[&read[..], &["-enddate"]].concat()).await?;
    let end: jiff::Timestamp = end.trim().trim_start_matches("notAfter=").parse()?;
    // The signer has its own order.
    let subject = ["-subject", "-nameopt", "sep_multiline"];
    let subject = openssl(&[&read[..4], &subject].concat()).await?;
    let mut lines: Vec<_> = subject.lines().collect();
    lines.sort_unstable();
    Ok((end.as_duration().as_secs_f64(), lines.join("\n")))
}

#[tokio::test]
async fn a_certificate_renews_itself_and_the_running_fetcher_takes_it_up() -> Result<()> {
    let plane = Plane::own().await?;
    plane.start_controller_manager().await?;
    let namespace = plane.namespace("renewal").await?;
    let folder = folder(&namespace)?;
    let (first, subject) = present(&folder).await?;

    let port = ports::free()?;
    let machines = namespace.dir().join("machines.yaml");
    std::fs::write(&machines, "machines:\n- {id: m1, name: a}\n...\n")?;
    let current = folder.join("current");
    let config = json!({
        "schedule": "every 1s", "selector": "", "listen": format!("127.0.0.1:{port}"),
        "store": {"kubernetes": {
            "namespace": namespace.name(), "server": plane.url(), "caFile": folder.join("ca.crt"),
            "certFile": current.join("tls.crt"), "keyFile": current.join("tls.key"),
        }},
        "baremetal": {"sources": [{"file": {"name": "a", "path": machines}}]},
    });
    let file = namespace.dir().join("fleet.yaml");
    std::fs::write(&file, config.to_string())?;
    let fetcher = Fetcher::new("fetcher-baremetal", namespace.dir())?;
    let _fetcher = fetcher.start(&["--config", &file.display().to_string()]).await?;
    shows_end(port, first).await?;

    let mut renewal = renew(&folder).spawn()?;
    poll_until("the renewal is signed", SOON, async || {
        approve(&namespace).await?;
        Ok(renewal.try_wait()?)
    })
    .await?;
    let ran = renewal.wait_with_output().await?;
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let (second, same) = present(&folder).await?;
    assert_eq!(same, subject);
    assert_ne!(second, first);
    shows_end(port, second).await?;
    std::fs::write(&machines, "machines:\n- {id: m1, name: a}\n- {id: m2, name: b}\n...\n")?;
    poll_until("a Host made with the new certificate", SOON, async || {
        let got = namespace.kubectl(&["get", "hosts", "-o", "name"]).await?.ok()?;
        Ok((got.lines().count() == 2).then_some(()))
    })
    .await?;

    let again = renew(&folder).output().await?;
    let said = String::from_utf8(again.stderr)?;
    assert!(again.status.success() && said.contains("Nothing to do before"), "{said}");
    assert_eq!(present(&folder).await?, (second, same));
    Ok(())
}

/// Waits until the fetcher shows that its certificate ends then.
async fn shows_end(port: u16, end: f64) -> Result<()> {
    let metric = "fetcher_client_certificate_expiry_timestamp_seconds{certificate=\"store\"} ";
    let url = format!("http://127.0.0.1:{port}/metrics");
    poll_until("the fetcher uses the certificate", SOON, async || {
        let Ok(answer) = reqwest::get(&url).await else { return Ok(None) };
        let text = answer.text().await?;
        let shown = text.lines().find_map(|line| line.strip_prefix(metric)?.parse().ok());
        Ok((shown == Some(end)).then_some(()))
    })
    .await
}

/// A request for a certificate, and why it is no renewal; empty for one that is.
struct Case {
    name: &'static str,
    subject: String,
    more: &'static [&'static str],
    usages: &'static [&'static str],
    signer: &'static str,
    why: &'static str,
}

impl Case {
    fn new(name: &'static str, subject: String, why: &'static str) -> Self {
        Self { name, subject, more: &[], usages: &["client auth"], signer: SIGNER, why }
    }

    /// The request, PEM.
    async fn request(&self) -> Result<String> {
        let mut arguments = vec!["req", "-new", "-newkey", "ec", "-pkeyopt"];
        arguments.extend(["ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null"]);
        arguments.extend(["-subj", &self.subject]);
        arguments.extend(self.more);
        openssl(&arguments).await
    }

    async fn create(&self, kubectl: &Kubectl, request: &str) -> Result<Ran> {
        let object = json!({
            "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
            "metadata": {"name": self.name},
            "spec": {
                "request": k8s_openapi::ByteString(request.as_bytes().to_vec()),
                "signerName": self.signer, "usages": self.usages, "expirationSeconds": 600,
            },
        });
        kubectl.run_with_input(&["create", "-f", "-"], &object.to_string()).await
    }
}

fn cases(me: &str) -> Vec<Case> {
    let own = || format!("/O=fetchers/CN={me}");
    let subject = "the subject is another one";
    let extensions = "it asks for extensions";
    vec![
        Case::new("own", own(), ""),
        Case::new("other-user", "/O=fetchers/CN=somebody".to_owned(), subject),
        Case::new("other-group", format!("/O=people/CN={me}"), subject),
        Case::new("more-groups", format!("/O=people{}", own()), subject),
        Case::new("no-group", format!("/CN={me}"), subject),
        Case::new("more-names", format!("{}/OU=more", own()), subject),
        Case::new("two-names", format!("{}/CN=admin", own()), subject),
        Case {
            more: &["-addext", "subjectAltName=DNS:apiserver"],
            ..Case::new("names", own(), extensions)
        },
        Case {
            more: &["-addext", "basicConstraints=CA:TRUE"],
            ..Case::new("authority", own(), extensions)
        },
        Case {
            usages: &["client auth", "digital signature"],
            ..Case::new("more-usages", own(), "the usages are")
        },
        Case { signer: "example.com/somebody", ..Case::new("signer", own(), "the signer is") },
    ]
}

#[tokio::test]
async fn a_request_for_anything_but_ones_own_subject_waits_for_a_person() -> Result<()> {
    let plane = Plane::shared().await?;
    let namespace = plane.namespace("approve").await?;
    let me = Kubectl::new(namespace.kubeconfig()?);
    let cases = cases(namespace.name());
    for case in &cases {
        case.create(&me, &case.request().await?).await?.ok()?;
    }
    // Another reader of PEM might take the second block.
    let blocks = [cases[0].request().await?, cases[1].request().await?].concat();
    let two = Case::new("two-blocks", String::new(), "no plain PEM of one request");
    two.create(&me, &blocks).await?.ok()?;
    // Who may approve by hand does so by hand.
    let admins =
        Case::new("for-another", cases[0].subject.clone(), "the requester is in system:masters");
    admins.create(&plane.kubectl(), &admins.request().await?).await?.ok()?;
    let masters = Case::new("masters", "/O=system:masters/CN=me".to_owned(), "");
    let ran = masters.create(&me, &masters.request().await?).await?;
    assert!(
        ran.code != 0 && ran.stderr.contains("system:masters"),
        "the apiserver itself: {ran:?}"
    );

    let said = approve(&namespace).await?;
    for case in cases.iter().chain([&two, &admins]) {
        let begin = match case.why {
            "" => format!("Approved {} of ", case.name),
            why => format!("Left {} for a person: {why}", case.name),
        };
        assert!(said.lines().any(|line| line.starts_with(&begin)), "{begin}:\n{said}");
    }
    let all = plane.kubectl().run(&["get", "csr", "-o", "json"]).await?.ok()?;
    let all: Value = serde_json::from_str(&all)?;
    let approved: Vec<_> = all["items"]
        .as_array()
        .context("no items")?
        .iter()
        .filter(|item| item["status"]["conditions"].is_array())
        .filter_map(|item| item["metadata"]["name"].as_str())
        .collect();
    assert_eq!(approved, ["own"]);
    Ok(())
}

#[tokio::test]
async fn who_approves_renewals_may_do_nothing_else_and_a_fetcher_approves_none() -> Result<()> {
    let namespace = Plane::shared().await?.namespace("approver").await?;
    let user = "fleet-certificate-approver";
    let approver =
        namespace.plane().mint(namespace.dir(), user, user, "approvers", Validity::Day)?;
    let may = async |identity, [verb, group, resource, name]: [&str; 4]| {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let review = serde_json::from_value(
            json!({"metadata": {}, "spec": {"resourceAttributes": {
                "verb": verb, "group": group, "resource": resource, "subresource": subresource,
                "name": name, "namespace": if group.starts_with("certificates") { "" } else { namespace.name() },
            }}}),
        )?;
        let client = namespace.plane().client(identity, "fleet-tests")?;
        let reviews = Api::<SelfSubjectAccessReview>::all(client);
        let answer = reviews.create(&PostParams::default(), &review).await?;
        Ok::<_, anyhow::Error>(answer.status.is_some_and(|status| status.allowed))
    };
    let of = "certificates.k8s.io";
    for (question, approver_may, fetcher_may) in [
        (["update", of, "certificatesigningrequests/approval", ""], true, false),
        (["approve", of, "signers", SIGNER], true, false),
        (["approve", of, "signers", "kubernetes.io/kubelet-serving"], false, false),
        (["sign", of, "signers", SIGNER], false, false),
        (["list", of, "certificatesigningrequests", ""], true, false),
        (["create", of, "certificatesigningrequests", ""], false, true),
        (["delete", of, "certificatesigningrequests", ""], false, false),
        (["list", "inventory.fetcher.dev", "hosts", ""], false, true),
        (["get", "", "secrets", ""], false, false),
    ] {
        assert_eq!(may(&approver, question).await?, approver_may, "{question:?}");
        assert_eq!(may(namespace.fetcher(), question).await?, fetcher_may, "{question:?}");
    }
    Ok(())
}
