//! The raw limit: requests prepared beforehand, sent over plain HTTP/1.1 with as many in flight as asked for.
//!
//! What it cannot prepare is what the apiserver says: the second request of a Host is the answer to the first with our
//! status put in, spliced as bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fetcher_core::desired::{self, Seen};
use fetcher_core::machine::Machine;
use fetcher_core::observed::Read;
use futures::future::try_join_all;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

use super::{FETCHER, source, style};
use crate::namespace::Namespace;

/// Its User-Agent.
pub const AGENT: &str = "raw-limit";

/// What is to be sent about one Host.
#[derive(Clone, Debug)]
pub struct Prepared {
    name: String,
    host: Bytes,
    status: Bytes,
}

/// A client that may do what the fetcher of its namespace may.
pub struct Limit {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    hosts: String,
}

/// The requests for these machines, with the content that the fetcher would send.
///
/// # Errors
/// None that a list of machines could cause.
pub fn prepare<'a>(machines: impl IntoIterator<Item = &'a Machine>) -> Result<Vec<Prepared>> {
    let (source, style) = (source(), style());
    let now = Timestamp::now();
    let prepared = machines.into_iter().map(|machine| {
        let name = desired::name(&source, machine).to_string();
        let labels = desired::labels(&source, machine, &style);
        let status = desired::present_status(machine, Seen::Listed, &Read::default(), now);
        let host = json!({
            "apiVersion": "inventory.fetcher.dev/v1",
            "kind": "Host",
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "source": {"name": **source.name(), "provider": source.provider(), "scope": **source.scope()},
                "machineID": *machine.id,
            },
        });
        let status = serde_json::to_vec(&serde_json::to_value(status)?)?.into();
        Ok(Prepared { name, host: serde_json::to_vec(&host)?.into(), status })
    });
    prepared.collect()
}

impl Prepared {
    /// The whole object, as it would be written to a file.
    pub(super) fn object(&self) -> Result<Value> {
        let mut object: Value = serde_json::from_slice(&self.host)?;
        object["status"] = serde_json::from_slice(&self.status)?;
        Ok(object)
    }
}

impl Limit {
    /// A client of its own connections.
    ///
    /// # Errors
    /// The certificates cannot be read.
    pub fn new(namespace: &Namespace) -> Result<Self> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(namespace.plane().ca())?)?;
        let chain = vec![CertificateDer::from_pem_file(&namespace.fetcher().certificate)?];
        let key = PrivateKeyDer::from_pem_file(&namespace.fetcher().key)?;
        let tls = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?;
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
        let hosts = format!(
            "{}/apis/inventory.fetcher.dev/v1/namespaces/{}/hosts",
            namespace.plane().url(),
            namespace.name()
        );
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), hosts })
    }

    /// POST and PUT of the status, for each.
    ///
    /// # Errors
    /// An answer that is no success.
    pub async fn create(&self, all: &[Prepared], in_flight: usize) -> Result<Duration> {
        self.send(all, in_flight, |prepared| async move {
            let uri = format!("{}?fieldManager={FETCHER}", self.hosts);
            let made = self.request(Method::POST, uri, prepared.host.clone()).await?;
            self.put(prepared, &made).await
        })
        .await
    }

    /// GET and PUT of the status, for each.
    ///
    /// # Errors
    /// An answer that is no success.
    pub async fn change(&self, all: &[Prepared], in_flight: usize) -> Result<Duration> {
        self.send(all, in_flight, |prepared| async move {
            let uri = format!("{}/{}", self.hosts, prepared.name);
            let read = self.request(Method::GET, uri, Bytes::new()).await?;
            self.put(prepared, &read).await
        })
        .await
    }

    /// Opens as many connections as will be used.
    ///
    /// # Errors
    /// The apiserver cannot be reached.
    pub(super) async fn connect(&self, all: &[Prepared], in_flight: usize) -> Result<()> {
        let get = |prepared: &Prepared| format!("{}/{}", self.hosts, prepared.name);
        let reads = all.iter().cycle().take(in_flight).map(get);
        let reads = reads.map(|uri| self.request(Method::GET, uri, Bytes::new()));
        try_join_all(reads).await.map(drop)
    }

    async fn put(&self, prepared: &Prepared, object: &[u8]) -> Result<()> {
        let uri = format!("{}/{}/status?fieldManager={FETCHER}", self.hosts, prepared.name);
        let body = with_status(object, &prepared.status).context("an answer that is no object")?;
        self.request(Method::PUT, uri, body).await.map(drop)
    }

    async fn send<'a, F: Future<Output = Result<()>>>(
        &self,
        all: &'a [Prepared],
        in_flight: usize,
        one: impl Fn(&'a Prepared) -> F + Copy,
    ) -> Result<Duration> {
        let next = Arc::new(AtomicUsize::new(0));
        let start = Instant::now();
        let workers = (0..in_flight).map(|_| async {
            while let Some(prepared) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                one(prepared).await?;
            }
            Ok(())
        });
        try_join_all(workers).await.map(|_: Vec<()>| start.elapsed())
    }

    async fn request(&self, method: Method, uri: String, body: Bytes) -> Result<Bytes> {
        let request = Request::builder().method(method).uri(uri);
        let request = request.header(ACCEPT, "application/json").header(USER_AGENT, AGENT);
        let request = request.header(CONTENT_TYPE, "application/json").body(Full::new(body))?;
        let answer = self.client.request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
        Ok(body)
    }
}

/// The object with this status: an apiserver writes its keys in order, and `status` is the last of them.
fn with_status(object: &[u8], status: &[u8]) -> Option<Bytes> {
    let text = std::str::from_utf8(object).ok()?.trim_end();
    let end = text.rfind(r#","status":{"#).unwrap_or(text.len().checked_sub(1)?);
    Some([text.get(..end)?.as_bytes(), br#","status":"#, status, b"}"].concat().into())
}

#[cfg(test)]
mod tests {
    use super::with_status;

    #[test]
    fn a_status_takes_the_place_of_the_one_before_or_is_added() {
        let with = |object: &str| with_status(object.as_bytes(), br#"{"new":1}"#).unwrap();
        let wanted = r#"{"metadata":{"f:status":{}},"spec":{},"status":{"new":1}}"#;
        assert_eq!(with("{\"metadata\":{\"f:status\":{}},\"spec\":{}}\n"), wanted);
        let old = r#"{"metadata":{"f:status":{}},"spec":{},"status":{"a":[{"status":"x"}]}}"#;
        assert_eq!(with(old), wanted);
    }
}
