//! The part of the configuration that says which apiserver, as whom, and in which namespace.
//!
//! Only what is written counts: no default context, no `KUBECONFIG`, so that a first run never lands in a cluster
//! that nobody meant. Reading the files is `access`.

use std::num::NonZeroU16;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::app::InvalidConfig;

/// Where Hosts are kept at a Kubernetes apiserver.
///
/// Three ways in: `kubeconfig` with `context`; `server` with files of its own; neither, in a pod, for its service
/// account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KubernetesConfig {
    /// The namespace of this instance's Hosts.
    pub namespace: String,
    /// A kubeconfig file; `context` must be named with it.
    #[serde(default)]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig to use.
    #[serde(default)]
    pub context: Option<String>,
    /// The URL of the apiserver, where no kubeconfig is used.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub server: Option<Url>,
    /// The authorities that may sign the server's certificate, PEM; those of the system where it is left out.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The client certificate with its chain, PEM.
    #[serde(default)]
    pub cert_file: Option<PathBuf>,
    /// The key of the client certificate, PEM.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// A file that holds a bearer token.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// A proxy for the way to the apiserver (`http://` or `socks5://`); none from the environment is used.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub proxy: Option<Url>,
    /// How many writes are in flight at once, over all sources; 32 where it is left out.
    #[serde(default)]
    pub concurrency: Option<NonZeroU16>,
}

/// The way in that a configuration chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A context of a kubeconfig.
    Kubeconfig { file: PathBuf, context: String },
    /// A server, and files to prove who is who.
    Explicit { server: Url, ca: Option<PathBuf>, identity: Proof },
    /// The service account of the pod we run in.
    InCluster,
}

/// How we say who we are to an explicit server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    Certificate { cert: PathBuf, key: PathBuf },
    Token(PathBuf),
}

impl KubernetesConfig {
    /// Whether it can be used as it is written; touches no file.
    ///
    /// # Errors
    /// A sentence that names the key and the remedy.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        self.way().map(drop)
    }

    pub(super) fn way(&self) -> Result<Way, InvalidConfig> {
        if !crate::naming::is_label(&self.namespace) || self.namespace.len() > 63 {
            return invalid(format!(
                "namespace {:?} is no name of a namespace: at most 63 lower-case letters, digits and '-'",
                self.namespace
            ));
        }
        match (&self.kubeconfig, &self.server) {
            (Some(_), Some(_)) => {
                invalid("kubeconfig and server exclude each other: the kubeconfig names the server")
            }
            (Some(file), None) => self.kubeconfig(file.clone()),
            (None, Some(server)) => self.explicit(server.clone()),
            (None, None) => self.in_cluster(),
        }
    }

    fn kubeconfig(&self, file: PathBuf) -> Result<Way, InvalidConfig> {
        if let Some(key) = self.explicit_key() {
            return invalid(format!(
                "{key} goes with server; with kubeconfig it stands in that file"
            ));
        }
        match &self.context {
            Some(context) => Ok(Way::Kubeconfig { file, context: context.clone() }),
            None => invalid(
                "context is missing: with kubeconfig it must be spelled out (kubectl config get-contexts \
                 lists them), so that no other cluster than the one meant is written to",
            ),
        }
    }

    fn explicit(&self, server: Url) -> Result<Way, InvalidConfig> {
        let loopback = matches!(server.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        if server.scheme() != "https" && !(server.scheme() == "http" && loopback) {
            return invalid(format!(
                "server {server} is not https://: credentials would travel in the open"
            ));
        }
        if self.context.is_some() {
            return invalid("context goes with kubeconfig, not with server");
        }
        let identity = match (&self.cert_file, &self.key_file, &self.token_file) {
            (Some(cert), Some(key), None) => {
                Proof::Certificate { cert: cert.clone(), key: key.clone() }
            }
            (None, None, Some(token)) => Proof::Token(token.clone()),
            (Some(_), None, _) => {
                return invalid("keyFile is missing: certFile needs the key that belongs to it");
            }
            (None, Some(_), _) => {
                return invalid(
                    "certFile is missing: keyFile needs the certificate that belongs to it",
                );
            }
            (Some(_), Some(_), Some(_)) => {
                return invalid(
                    "tokenFile and certFile exclude each other: one of them says who we are",
                );
            }
            (None, None, None) => {
                return invalid(
                    "with server, certFile and keyFile or tokenFile must say who we are",
                );
            }
        };
        Ok(Way::Explicit { server, ca: self.ca_file.clone(), identity })
    }

    fn in_cluster(&self) -> Result<Way, InvalidConfig> {
        match self.explicit_key().or_else(|| self.context.as_ref().map(|_| "context")) {
            Some(key) => invalid(format!(
                "{key} is given, and neither server nor kubeconfig: add one of them"
            )),
            None => Ok(Way::InCluster),
        }
    }

    fn explicit_key(&self) -> Option<&'static str> {
        let given = [
            ("caFile", self.ca_file.is_some()),
            ("certFile", self.cert_file.is_some()),
            ("keyFile", self.key_file.is_some()),
            ("tokenFile", self.token_file.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(key, _)| key)
    }
}

fn invalid<T>(message: impl std::fmt::Display) -> Result<T, InvalidConfig> {
    Err(InvalidConfig(format!("store.kubernetes: {message}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn way(config: serde_json::Value) -> Result<Way, String> {
        let config: KubernetesConfig =
            serde_json::from_value(config).map_err(|error| error.to_string())?;
        config.way().map_err(|error| error.0)
    }

    #[test]
    fn three_ways_in_and_no_fourth() {
        let kubeconfig = way(json!({"namespace": "n", "kubeconfig": "/k", "context": "prod"}));
        assert!(matches!(kubeconfig, Ok(Way::Kubeconfig { .. })), "{kubeconfig:?}");
        let server = json!({"namespace": "n", "server": "https://a:6443", "certFile": "/c", "keyFile": "/k"});
        assert!(matches!(
            way(server),
            Ok(Way::Explicit { identity: Proof::Certificate { .. }, .. })
        ));
        let token = json!({"namespace": "n", "server": "https://a:6443", "tokenFile": "/t", "caFile": "/ca"});
        assert!(matches!(way(token), Ok(Way::Explicit { identity: Proof::Token(_), .. })));
        assert_eq!(way(json!({"namespace": "n"})), Ok(Way::InCluster));
    }

    #[test]
    fn what_does_not_go_together_is_refused_with_the_key_and_the_remedy() {
        let cases = [
            (json!({"namespace": "n", "kubeconfig": "/k"}), "context is missing"),
            (
                json!({"namespace": "n", "context": "c"}),
                "context is given, and neither server nor kubeconfig",
            ),
            (
                json!({"namespace": "n", "tokenFile": "/t"}),
                "tokenFile is given, and neither server nor kubeconfig",
            ),
            (
                json!({"namespace": "n", "kubeconfig": "/k", "context": "c", "caFile": "/x"}),
                "caFile goes with server",
            ),
            (
                json!({"namespace": "n", "kubeconfig": "/k", "server": "https://a"}),
                "exclude each other",
            ),
            (json!({"namespace": "n", "server": "https://a"}), "must say who we are"),
            (
                json!({"namespace": "n", "server": "https://a", "certFile": "/c"}),
                "keyFile is missing",
            ),
            (
                json!({"namespace": "n", "server": "http://a.example", "tokenFile": "/t"}),
                "not https://",
            ),
            (json!({"namespace": "A_b"}), "no name of a namespace"),
            (json!({}), "missing field `namespace`"),
            (json!({"namespace": "n", "contxt": "c"}), "unknown field `contxt`"),
        ];
        for (config, expected) in cases {
            let message = way(config.clone()).expect_err(&config.to_string());
            assert!(message.contains(expected), "{config}: {message}");
        }
    }
}
