//! From the configuration to a client: reads the files, and says in words what is wrong with them.
//!
//! No request is sent here. What was read is hashed, so that `link` can tell when a file has been rotated.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderValue;
use http::header::USER_AGENT;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use kube::client::{AuthError, ClientBuilder};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::config::{KubernetesConfig, Proof, Way};
use crate::app::InvalidConfig;

const CONNECT: Duration = Duration::from_secs(10);
const POD: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Which server, as whom, in which namespace: the first thing a run says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The URL of the apiserver.
    pub server: String,
    /// Who we are, as far as the files say: a certificate's subject, a kubeconfig's user, a token's file.
    pub user: String,
    /// When the client certificate ends.
    pub expires: Option<Timestamp>,
    /// The namespace of the Hosts.
    pub namespace: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server {}, user {}, namespace {}", self.server, self.user, self.namespace)
    }
}

/// A client, and the files it was made of.
pub(super) struct Opened {
    pub(super) client: Client,
    pub(super) identity: Identity,
    pub(super) files: Vec<PathBuf>,
    pub(super) fingerprint: u64,
}

/// Reads the files that the configuration names and makes a client of them. `agent` is sent as the User-Agent.
pub(super) async fn open(from: &KubernetesConfig, agent: &str) -> Result<Opened, InvalidConfig> {
    let way = from.way()?;
    // Hashed before it is read: a file that changes in between is read again next time.
    let mut files = files(&way);
    let (mut config, user) = match way {
        Way::Kubeconfig { file, context } => {
            let kubeconfig = read_kubeconfig(&file)?;
            files.extend(named_files(&kubeconfig, &context));
            load_kubeconfig(kubeconfig, &file, context).await?
        }
        Way::Explicit { server, ca, identity } => explicit(server.as_str(), ca, identity)?,
        Way::InCluster => in_cluster()?,
    };
    let fingerprint = fingerprint(&files);
    if let Some(token) = config.auth_info.token_file.take() {
        config.auth_info.token = Some(token_of(Path::new(&token))?.into());
    }
    let certificate = certificate(&config.auth_info)?;
    let identity = Identity {
        server: config.cluster_url.to_string().trim_end_matches('/').to_owned(),
        user: certificate.as_ref().and_then(|(subject, _)| subject.clone()).unwrap_or(user),
        expires: certificate.map(|(_, end)| end),
        namespace: from.namespace.clone(),
    };
    settle(&mut config, from, agent)?;
    let client = build(config).await?;
    Ok(Opened { client, identity, files, fingerprint })
}

/// A hash over the contents of `files`; one that cannot be read counts as empty.
pub(super) fn fingerprint(files: &[PathBuf]) -> u64 {
    let hasher = &mut DefaultHasher::new();
    for file in files {
        std::fs::read(file).unwrap_or_default().hash(hasher);
    }
    hasher.finish()
}

fn files(way: &Way) -> Vec<PathBuf> {
    match way {
        Way::Kubeconfig { file, .. } => vec![file.clone()],
        Way::Explicit { ca, identity, .. } => {
            let proof = match identity {
                Proof::Certificate { cert, key } => vec![cert.clone(), key.clone()],
                Proof::Token(token) => vec![token.clone()],
            };
            ca.iter().cloned().chain(proof).collect()
        }
        Way::InCluster => ["token", "ca.crt"].map(|name| Path::new(POD).join(name)).into(),
    }
}

fn read_kubeconfig(file: &Path) -> Result<Kubeconfig, InvalidConfig> {
    Kubeconfig::read_from(file)
        .map_err(|error| invalid(format!("kubeconfig {}: {error}", file.display())))
}

/// The files that a context of a kubeconfig names.
fn named_files(kubeconfig: &Kubeconfig, context: &str) -> Vec<PathBuf> {
    let context = kubeconfig.contexts.iter().find(|entry| entry.name == context);
    let Some(context) = context.and_then(|entry| entry.context.as_ref()) else {
        return Vec::new();
    };
    let cluster = kubeconfig.clusters.iter().find(|entry| entry.name == context.cluster);
    let user =
        kubeconfig.auth_infos.iter().find(|entry| Some(&entry.name) == context.user.as_ref());
    let ca = cluster
        .and_then(|entry| entry.cluster.as_ref())
        .and_then(|cluster| cluster.certificate_authority.clone());
    let user = user.and_then(|entry| entry.auth_info.clone()).unwrap_or_default();
    [ca, user.client_certificate, user.client_key, user.token_file]
        .into_iter()
        .flatten()
        .map(PathBuf::from)
        .collect()
}

async fn load_kubeconfig(
    kubeconfig: Kubeconfig,
    file: &Path,
    context: String,
) -> Result<(Config, String), InvalidConfig> {
    let Some(chosen) = kubeconfig.contexts.iter().find(|entry| entry.name == context) else {
        let known: Vec<&str> = kubeconfig.contexts.iter().map(|entry| &*entry.name).collect();
        return Err(invalid(format!(
            "kubeconfig {} has no context {context:?}; it has {}",
            file.display(),
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        )));
    };
    let chosen = chosen.context.clone().unwrap_or_default();
    let proxy = kubeconfig
        .clusters
        .iter()
        .find(|entry| entry.name == chosen.cluster)
        .and_then(|entry| entry.cluster.as_ref())
        .and_then(|cluster| cluster.proxy_url.clone());
    let options = KubeConfigOptions { context: Some(context), ..KubeConfigOptions::default() };
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|error| invalid(format!("kubeconfig {}: {error}", file.display())))?;
    // The client's own reading of kubeconfig falls back to HTTPS_PROXY; only what is written counts.
    if proxy.is_none() {
        config.proxy_url = None;
    }
    Ok((config, chosen.user.unwrap_or_else(|| "of the kubeconfig".to_owned())))
}

fn explicit(
    server: &str,
    ca: Option<PathBuf>,
    proof: Proof,
) -> Result<(Config, String), InvalidConfig> {
    let uri = server.parse().map_err(|error| invalid(format!("server {server}: {error}")))?;
    let mut config = Config::new(uri);
    config.root_cert = ca.map(|file| authorities(&file)).transpose()?;
    let user = match proof {
        Proof::Certificate { cert, key } => {
            for (name, file) in [("certFile", &cert), ("keyFile", &key)] {
                read(name, file)?;
            }
            let user = format!("of {}", cert.display());
            config.auth_info.client_certificate = Some(cert.to_string_lossy().into_owned());
            config.auth_info.client_key = Some(key.to_string_lossy().into_owned());
            user
        }
        Proof::Token(token) => {
            let user = format!("of the token in {}", token.display());
            config.auth_info.token_file = Some(token.to_string_lossy().into_owned());
            user
        }
    };
    Ok((config, user))
}

fn in_cluster() -> Result<(Config, String), InvalidConfig> {
    let mut config = Config::incluster().map_err(|error| {
        invalid(format!(
            "neither kubeconfig nor server is given, and this is no pod with a service account ({error}): \
             name kubeconfig and context, or server with its files"
        ))
    })?;
    config.root_cert_file = None;
    Ok((config, "of this pod's service account".to_owned()))
}

/// What no file says: deadlines, headers, no retry but ours.
fn settle(config: &mut Config, from: &KubernetesConfig, agent: &str) -> Result<(), InvalidConfig> {
    if let Some(proxy) = &from.proxy {
        let proxy =
            proxy.as_str().parse().map_err(|error| invalid(format!("proxy {proxy}: {error}")))?;
        config.proxy_url = Some(proxy);
    }
    let agent = HeaderValue::from_str(agent).map_err(|error| invalid(error.to_string()))?;
    config.headers.push((USER_AGENT, agent));
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT);
    Ok(())
}

/// On a thread of its own: a credential plugin named in a kubeconfig runs in here, and blocks.
async fn build(config: Config) -> Result<Client, InvalidConfig> {
    let built = tokio::task::spawn_blocking(move || {
        ClientBuilder::try_from(config).map(ClientBuilder::build)
    });
    match built.await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(kube::Error::Auth(AuthError::AuthExecRun { out, .. }))) => Err(invalid(format!(
            "the credential plugin of the kubeconfig ended with {}: {}",
            out.status,
            String::from_utf8_lossy(&out.stderr).trim()
        ))),
        Ok(Err(error)) => Err(invalid(super::failure::chain(&error))),
        Err(error) => Err(invalid(error.to_string())),
    }
}

fn read(key: &str, file: &Path) -> Result<Vec<u8>, InvalidConfig> {
    std::fs::read(file).map_err(|error| {
        invalid(format!("{key} {}: {error}; name a file that this user may read", file.display()))
    })
}

fn authorities(file: &Path) -> Result<Vec<Vec<u8>>, InvalidConfig> {
    let pem = read("caFile", file)?;
    let certs: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certs = certs
        .map_err(|error| invalid(format!("caFile {}: no PEM file: {error}", file.display())))?;
    if certs.is_empty() {
        return Err(invalid(format!("caFile {} holds no certificate", file.display())));
    }
    Ok(certs.into_iter().map(|cert| cert.to_vec()).collect())
}

/// Without the line feed that editors leave behind: an apiserver refuses it.
fn token_of(file: &Path) -> Result<String, InvalidConfig> {
    let text = String::from_utf8(read("tokenFile", file)?)
        .map_err(|_| invalid(format!("tokenFile {} holds no text", file.display())))?;
    let token = text.trim();
    if token.is_empty() {
        return Err(invalid(format!("tokenFile {} is empty", file.display())));
    }
    Ok(token.to_owned())
}

/// Subject and end of the client certificate, where there is one.
fn certificate(
    from: &kube::config::AuthInfo,
) -> Result<Option<(Option<String>, Timestamp)>, InvalidConfig> {
    let pem = match (&from.client_certificate_data, &from.client_certificate) {
        (Some(data), _) => {
            let data = serde_json::Value::from(data.as_str());
            let data: ByteString = serde_json::from_value(data)
                .map_err(|_| invalid("client-certificate-data of the kubeconfig is no base64"))?;
            data.0
        }
        (None, Some(file)) => read("client certificate", Path::new(file))?,
        (None, None) => return Ok(None),
    };
    let der = CertificateDer::from_pem_slice(&pem)
        .map_err(|error| invalid(format!("the client certificate is no PEM file: {error}")))?;
    let (_, cert) = x509_parser::parse_x509_certificate(&der)
        .map_err(|error| invalid(format!("the client certificate cannot be read: {error}")))?;
    let subject = cert.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    let end =
        Timestamp::from_second(cert.validity().not_after.timestamp()).unwrap_or(Timestamp::MAX);
    Ok(Some((subject.map(str::to_owned), end)))
}

fn invalid(message: impl fmt::Display) -> InvalidConfig {
    InvalidConfig(format!("store.kubernetes: {message}"))
}
