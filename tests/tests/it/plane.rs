//! The test bed itself: what the other suites rely on.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use fetcher_tests::leash::{Ended, Invocation, Leashed};
use fetcher_tests::namespace::Namespace;
use fetcher_tests::pki::Validity;
use fetcher_tests::plane::Plane;
use fetcher_tests::poll::poll_until;
use fetcher_tests::proxy::Proxy;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);

pub(crate) fn hosts(client: Client, namespace: &Namespace) -> Api<DynamicObject> {
    hosts_in(client, namespace.name())
}

pub(crate) fn hosts_in(client: Client, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("inventory.fetcher.dev", "v1", "Host");
    Api::namespaced_with(client, namespace, &ApiResource::from_gvk_with_plural(&kind, "hosts"))
}

pub(crate) fn host(name: &str, more: &Value) -> DynamicObject {
    let mut host = json!({
        "apiVersion": "inventory.fetcher.dev/v1", "kind": "Host", "metadata": { "name": name },
        "spec": { "source": { "name": "file-test", "provider": "baremetal", "scope": "test" }, "machineID": name },
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        host["spec"][key] = value.clone();
    }
    serde_json::from_value(host).unwrap()
}

#[tokio::test]
async fn the_audit_counts_the_requests_of_one_namespace_and_one_program() -> Result<()> {
    let plane = Plane::shared().await?;
    let (here, there) = (plane.namespace("audit").await?, plane.namespace("audit").await?);
    let mut audit = here.audit();
    let one = hosts(plane.client(here.fetcher(), "program-one/1")?, &here);
    let two = hosts(plane.client(here.fetcher(), "program-two/1")?, &here);
    one.create(&PostParams::default(), &host("a", &json!({}))).await?;
    one.create(&PostParams::default(), &host("b", &json!({}))).await?;
    one.create(&PostParams::default(), &host("b", &json!({}))).await.unwrap_err();
    two.list(&ListParams::default()).await?;
    hosts(plane.client(there.fetcher(), "program-one/1")?, &there)
        .list(&ListParams::default())
        .await?;
    let expected =
        BTreeMap::from([("create hosts 201".to_owned(), 2), ("create hosts 409".to_owned(), 1)]);
    assert_eq!(audit.counts("program-one").await?, expected);
    assert_eq!(audit.counts("program-").await?.get("list hosts 200"), Some(&1));
    audit.restart().await?;
    assert_eq!(audit.counts("").await?, BTreeMap::new());
    Ok(())
}

#[tokio::test]
async fn an_expired_certificate_is_refused_and_a_fresh_one_of_the_same_user_is_not() -> Result<()> {
    let namespace = Plane::shared().await?.namespace("expired").await?;
    let expired = namespace.mint("expired", Validity::Ended(Duration::from_secs(60)))?;
    let ran = namespace.kubectl_as(&expired, &["get", "hosts"]).await?;
    assert!(ran.code != 0 && ran.stderr.contains("must be logged in"), "{ran:?}");
    let fresh = namespace.mint("fresh", Validity::For(Duration::from_secs(600)))?;
    namespace.kubectl_as(&fresh, &["get", "hosts"]).await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn a_killed_apiserver_comes_back_on_the_same_address_with_the_same_objects() -> Result<()> {
    let plane = Plane::own().await?;
    let namespace = plane.namespace("killed").await?;
    let api = hosts(namespace.client()?, &namespace);
    api.create(&PostParams::default(), &host("stays", &json!({}))).await?;
    plane.kill_apiserver().await?;
    api.get("stays").await.unwrap_err();
    plane.start_apiserver().await?;
    api.get("stays").await?;
    Ok(())
}

#[tokio::test]
async fn a_restored_etcd_holds_what_it_held_and_a_bump_raises_the_revision() -> Result<()> {
    let plane = Plane::own().await?;
    let namespace = plane.namespace("restored").await?;
    let api = hosts(namespace.client()?, &namespace);
    let revision = |h: DynamicObject| h.metadata.resource_version.unwrap().parse::<u64>();
    let before = revision(api.create(&PostParams::default(), &host("before", &json!({}))).await?)?;
    let snapshot = namespace.dir().join("snapshot.db");
    plane.snapshot(&snapshot).await?;
    api.create(&PostParams::default(), &host("after", &json!({}))).await?;
    for bump in [false, true] {
        plane.restore(&snapshot, bump).await?;
        plane.start_apiserver().await?;
        let listed =
            poll_until("a list", SOON, async || Ok(api.list(&ListParams::default()).await.ok()))
                .await?;
        let names: Vec<_> = listed.items.iter().filter_map(|h| h.metadata.name.clone()).collect();
        assert_eq!(names, ["before"]);
        let new = revision(api.create(&PostParams::default(), &host("new", &json!({}))).await?)?;
        assert_eq!(new > before + 1_000_000_000, bump, "{before} -> {new}");
    }
    Ok(())
}

#[tokio::test]
async fn the_controller_manager_signs_the_certificate_of_a_new_fetcher() -> Result<()> {
    let plane = Plane::own().await?;
    plane.start_controller_manager().await?;
    let key = rcgen::KeyPair::generate()?;
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "fetcher-new");
    params.distinguished_name.push(rcgen::DnType::OrganizationName, "fetchers");
    let request = params.serialize_request(&key)?.pem()?;
    let object = json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": { "name": "new" },
        "spec": { "request": base64(request.as_bytes()), "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"] },
    });
    let kubectl = plane.kubectl();
    kubectl.run_with_input(&["create", "-f", "-"], &object.to_string()).await?.ok()?;
    kubectl.run(&["certificate", "approve", "new"]).await?.ok()?;
    let certificate = poll_until("the certificate is signed", SOON, async || {
        let got = kubectl
            .run(&["get", "csr", "new", "-o", "jsonpath={.status.certificate}"])
            .await?
            .ok()?;
        Ok((!got.is_empty()).then_some(got))
    });
    certificate.await?;
    Ok(())
}

fn base64(bytes: &[u8]) -> String {
    serde_json::to_value(k8s_openapi::ByteString(bytes.to_vec()))
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_frozen_connection_is_silent_until_it_is_thawed_and_a_cut_one_breaks() -> Result<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let echo = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let proxy = Proxy::to(echo.local_addr()?)?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = echo.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    });
    let mut stream = tokio::net::TcpStream::connect(proxy.address()).await?;
    let mut byte = [0];
    stream.write_all(b"a").await?;
    stream.read_exact(&mut byte).await?;
    proxy.freeze();
    stream.write_all(b"b").await?;
    tokio::time::timeout(Duration::from_millis(300), stream.read_exact(&mut byte))
        .await
        .unwrap_err();
    let mut other = tokio::net::TcpStream::connect(proxy.address()).await?;
    other.write_all(b"c").await?;
    other.read_exact(&mut byte).await?;
    proxy.thaw();
    stream.read_exact(&mut byte).await?;
    assert_eq!(&byte, b"b");
    proxy.cut();
    assert_eq!(stream.read(&mut byte).await.unwrap_or(0), 0);
    assert_eq!(proxy.accepted(), 2);
    Ok(())
}

fn shell(script: &str) -> Invocation {
    let arguments = vec!["-c".to_owned(), script.to_owned()];
    Invocation {
        program: "/bin/sh".into(),
        arguments,
        environment: Vec::new(),
        dir: std::env::temp_dir(),
    }
}

#[tokio::test]
async fn a_program_on_the_leash_tells_how_it_ended() -> Result<()> {
    let mut program = Leashed::start(&shell("echo out; echo err >&2; exit 7")).await?;
    assert_eq!(program.ended(SOON).await?, Ended { code: Some(7), signal: None });
    assert_eq!((program.stdout().as_str(), program.stderr().as_str()), ("out\n", "err\n"));
    let mut program = Leashed::start(&shell("exec tail -f /dev/null")).await?;
    assert_eq!(program.kill().await?, Ended { code: None, signal: Some(9) });
    Ok(())
}

#[tokio::test]
async fn a_dropped_leash_ends_the_program_and_what_it_has_started() -> Result<()> {
    let program = Leashed::start(&shell("tail -f /dev/null & echo $!; wait")).await?;
    let child =
        poll_until("the child", SOON, async || Ok(program.stdout().trim().parse::<u32>().ok()))
            .await?;
    let running = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    let parent = program.pid();
    assert!(running(parent) && running(child));
    drop(program);
    poll_until("both have ended", SOON, async || {
        Ok((!running(parent) && !running(child)).then_some(()))
    })
    .await
}

/// A plane of its own, because the end of any test on the shared one would fail by what is done here.
#[tokio::test]
async fn a_program_that_does_what_no_fetcher_may_is_found_in_the_audit_log() -> Result<()> {
    let plane = Plane::own().await?;
    let namespace = plane.namespace("trespass").await?;
    let rogue = hosts(plane.client(namespace.fetcher(), "fetcher-rogue/1.0")?, &namespace);
    rogue.create(&PostParams::default(), &host("m1", &json!({}))).await?;
    assert_eq!(namespace.audit().trespasses().await?, Vec::<String>::new());
    rogue.delete("m1", &DeleteParams::default()).await.unwrap_err();
    let found = namespace.audit().trespasses().await?;
    let [only] = found.as_slice() else { panic!("{found:?}") };
    assert!(only.contains("delete hosts m1") && only.ends_with("403"), "{only}");
    Ok(())
}
