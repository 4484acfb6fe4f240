//! The paths, queries and bodies of requests for Hosts: pure.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use super::link::Call;
use crate::observed::Lens;
use crate::store::{NewHost, Part, Stored};

pub(super) const GROUP_VERSION: &str = "inventory.fetcher.dev/v1";
const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// The Hosts of one namespace, as one field manager writes them.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    base: String,
    manager: String,
}

impl Hosts {
    pub(super) fn new(namespace: &str, manager: &str) -> Self {
        let base = format!("/apis/{GROUP_VERSION}/namespaces/{namespace}/hosts");
        Self { base, manager: manager.to_owned() }
    }

    pub(super) fn get(&self, name: &str) -> Call {
        Call::get(format!("{}/{name}", self.base))
    }

    pub(super) fn create(&self, host: &NewHost, dry_run: bool) -> Call {
        let body = json!({
            "apiVersion": GROUP_VERSION,
            "kind": "Host",
            "metadata": {"name": &*host.name, "labels": host.labels},
            "spec": {
                "source": {
                    "name": &**host.source.name(),
                    "provider": host.source.provider(),
                    "scope": &**host.source.scope(),
                },
                "machineID": &*host.machine_id,
            },
        });
        let dry_run = if dry_run { "&dryRun=All" } else { "" };
        let uri = format!("{}?fieldManager={}{dry_run}", self.base, self.manager);
        Call { method: Method::POST, uri, body: Some((JSON, bytes(&body))) }
    }

    /// One write of a part of what was read, refused by the apiserver if it is no longer that.
    pub(super) fn write(&self, read: &Stored, part: Part<'_>, lens: &Lens) -> Call {
        let (path, manager) = (format!("{}/{}", self.base, read.name), &self.manager);
        match part {
            Part::Labels(labels) => {
                let revision = &read.object["metadata"]["resourceVersion"];
                let body = json!({"metadata": {"resourceVersion": revision, "labels": labels}});
                Call {
                    method: Method::PATCH,
                    uri: format!("{path}?fieldManager={manager}"),
                    body: Some((MERGE_PATCH, bytes(&body))),
                }
            }
            Part::Status(status) => Call {
                method: Method::PUT,
                uri: format!("{path}/status?fieldManager={manager}"),
                body: Some((JSON, bytes(&read.with_status(status, lens)))),
            },
        }
    }

    /// Hosts by field selector, with further parameters of the query.
    pub(super) fn select(&self, selector: &str, more: &[(&str, &str)]) -> Call {
        let query = Serializer::new(String::new())
            .append_pair("fieldSelector", selector)
            .extend_pairs(more)
            .finish();
        Call::get(format!("{}?{query}", self.base))
    }
}

/// A request that makes an object which only asks: a review.
pub(super) fn review(uri: &str, body: &Value) -> Call {
    Call { method: Method::POST, uri: uri.to_owned(), body: Some((JSON, bytes(body))) }
}

fn bytes(value: &Value) -> Bytes {
    // The text of a `Value` cannot fail to be written.
    Bytes::from(serde_json::to_vec(value).unwrap_or_default())
}
