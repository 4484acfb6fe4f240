//! TLS: whom the client believes, and what it says when it does not.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::{Http, HttpOptions, HttpSettings, pin};
use super::options;
use super::server::{Server, json};

type Ca = CertifiedIssuer<'static, KeyPair>;

fn ca() -> Ca {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server with a certificate of this CA, and the certificate's fingerprint.
async fn server(ca: &Ca, change: impl FnOnce(&mut CertificateParams)) -> (Server, String) {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let cert = params.signed_by(&key, ca).unwrap();
    let fingerprint = pin::in_words(&Sha256::digest(cert.der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![cert.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let tls = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    (Server::with_tls(vec![json(200, "{}")], Some(tls)).await, fingerprint)
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

async fn ask(options: HttpOptions) -> Result<Value, String> {
    Http::new(options).unwrap().get("x").json().await.map_err(|e| e.to_string())
}

async fn ask_with_ca(server: &Server, ca: &Ca) -> Result<Value, String> {
    let pem = file(&ca.pem());
    ask(HttpOptions { ca_file: Some(pem.path().to_owned()), ..options(&server.url) }).await
}

#[tokio::test]
async fn a_ca_file_is_trusted_and_nothing_else() {
    let (own, other) = (ca(), ca());
    let (server, _) = server(&own, |_| {}).await;
    assert!(ask_with_ca(&server, &own).await.is_ok());
    let error = ask_with_ca(&server, &other).await.unwrap_err();
    assert!(error.contains("by none of the CAs in caFile; put the CA"), "{error}");
    assert_eq!(server.seen().len(), 1, "nothing was sent to a server that is not trusted");
}

#[tokio::test]
async fn a_private_ca_without_ca_file_names_the_remedy() {
    let (server, _) = server(&ca(), |_| {}).await;
    let error = match Http::new(options(&server.url)) {
        Ok(http) => http.get("x").answer().await.unwrap_err().to_string(),
        // A machine without any root certificates.
        Err(error) => error.to_string(),
    };
    assert!(error.contains("set caFile"), "{error}");
}

#[tokio::test]
async fn an_expired_certificate_and_a_wrong_name_are_told_apart() {
    let ca = ca();
    let (expired, _) = server(&ca, |p| p.not_after = rcgen::date_time_ymd(2020, 1, 1)).await;
    let error = ask_with_ca(&expired, &ca).await.unwrap_err();
    assert!(error.contains("has expired") && error.contains("renew it"), "{error}");

    let (early, _) = server(&ca, |p| p.not_before = rcgen::date_time_ymd(4000, 1, 1)).await;
    let error = ask_with_ca(&early, &ca).await.unwrap_err();
    assert!(error.contains("not valid yet"), "{error}");

    let named = CertificateParams::new(vec!["bmc.example.org".to_owned()]).unwrap();
    let (elsewhere, _) = server(&ca, |p| *p = named).await;
    let error = ask_with_ca(&elsewhere, &ca).await.unwrap_err();
    assert!(error.contains("is for another name") && error.contains("bmc.example.org"), "{error}");
}

#[tokio::test]
async fn a_pinned_certificate_is_trusted_whoever_signed_it_and_no_other_one() {
    let ca = ca();
    let strange = |p: &mut CertificateParams| {
        *p = CertificateParams::new(vec!["idrac".to_owned()]).unwrap();
        p.not_after = rcgen::date_time_ymd(2020, 1, 1);
    };
    let (server, shown) = server(&ca, strange).await;
    let pinned = |text: &str| {
        let settings = HttpSettings {
            certificate_fingerprint: Some(text.to_owned()),
            ..HttpSettings::default()
        };
        options(&server.url).with(&settings)
    };
    assert!(ask(pinned(&shown).unwrap()).await.is_ok());
    assert!(ask(pinned(&shown.replace(':', "").to_lowercase()).unwrap()).await.is_ok());

    let error = ask(pinned(&"00:".repeat(32)).unwrap()).await.unwrap_err();
    assert!(error.contains(&shown), "the one that is shown is named: {error}");
    assert!(error.contains("certificateFingerprint"), "{error}");
    for wrong in ["", "00", "zz", &shown[1..]] {
        let error = pinned(wrong).unwrap_err().to_string();
        assert!(error.contains("64 hexadecimal digits"), "{wrong}: {error}");
    }
}

#[tokio::test]
async fn tls_to_a_plain_port_is_told_apart() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let plain = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        // Open until the client has read it: a reset would lose the words.
        let _ = socket.read_to_end(&mut Vec::new()).await;
    });
    let pem = file(&ca().pem());
    let base = url::Url::parse(&url).unwrap();
    let options = HttpOptions { ca_file: Some(pem.path().to_owned()), ..options(&base) };
    let error = ask(options).await.unwrap_err();
    plain.abort();
    assert!(error.contains("does not speak TLS there; check the port"), "{error}");
}

#[test]
fn a_ca_file_without_certificates_is_refused() {
    let base = url::Url::parse("https://host/").unwrap();
    let refused = |text: &str| {
        let pem = file(text);
        let options =
            HttpOptions { ca_file: Some(pem.path().to_owned()), ..HttpOptions::new(base.clone()) };
        Http::new(options).unwrap_err().to_string()
    };
    assert!(refused("").contains("holds no certificate"));
    assert!(refused("junk").contains("holds no certificate"));
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(refused(damaged).contains("caFile"), "{}", refused(damaged));
    let missing = HttpOptions { ca_file: Some("/no/such".into()), ..HttpOptions::new(base) };
    let error = Http::new(missing).unwrap_err().to_string();
    assert!(error.contains("/no/such") && error.contains("No such file"), "{error}");
}
