//! The Host object: `hosts.inventory.fetcher.dev/v1`, as the apiserver serves it and kubectl shows it.
//!
//! Types and their schema only. What a machine becomes is in `desired`, how it is written in `store`; nothing here
//! touches a network. Who writes what:
//!
//! | field | written by | when |
//! |---|---|---|
//! | `metadata.name`, `spec.source`, `spec.machineID` | the fetcher | once, at creation; immutable |
//! | labels under `inventory.fetcher.dev/` and `tag.inventory.fetcher.dev/` | the fetcher | whenever they differ |
//! | all other labels, annotations, finalizers | people and tools | the fetcher never writes them |
//! | the rest of `spec` | people and tools | the fetcher never writes it |
//! | `status` without `agent` and without foreign conditions | the fetcher | whenever it differs |
//! | `status.conditions[type=Present]` | the fetcher | whenever it differs |
//! | `status.agent`, other conditions | a daemon on the host, tools | the fetcher carries them along unread |

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::machine::{Address, Hardware, Interface, Location, Os, Owner, State, Text, TextMap};

/// Prefix of the labels about the Host itself.
pub const LABELS: &str = "inventory.fetcher.dev/";
/// The label that names the provider.
pub const PROVIDER_LABEL: &str = "inventory.fetcher.dev/provider";
/// The label that names the region.
pub const REGION_LABEL: &str = "inventory.fetcher.dev/region";
/// The label that names the source.
pub const SOURCE_LABEL: &str = "inventory.fetcher.dev/source";
/// The label that names the zone.
pub const ZONE_LABEL: &str = "inventory.fetcher.dev/zone";
/// Prefix of the labels made from tags.
pub const TAG_LABELS: &str = "tag.inventory.fetcher.dev/";
/// The condition that says whether the machine is there, and why not.
pub const PRESENT: &str = "Present";

/// Whether a label is the fetcher's.
#[must_use]
pub fn is_our_label(key: &str) -> bool {
    key.starts_with(LABELS) || key.starts_with(TAG_LABELS)
}

/// What is wanted of the host. The fetcher writes `source` and `machineID` once; all else belongs to people and tools.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "inventory.fetcher.dev",
    version = "v1",
    kind = "Host",
    plural = "hosts",
    namespaced,
    status = "HostStatus",
    derive = "PartialEq",
    shortname = "ho",
    category = "inventory",
    doc = "A machine that some provider runs: which it is (spec), what the provider last said of it (status).",
    selectable = ".spec.source.name",
    selectable = ".spec.source.provider",
    selectable = ".spec.machineID",
    selectable = ".status.state",
    printcolumn(
        name = "Provider",
        type_ = "string",
        json_path = ".spec.source.provider",
        description = "The infrastructure API that lists it."
    ),
    printcolumn(
        name = "State",
        type_ = "string",
        json_path = ".status.state",
        description = "What it is doing."
    ),
    printcolumn(
        name = "Address",
        type_ = "string",
        json_path = ".status.addresses[0].address",
        description = "The first of its addresses."
    ),
    printcolumn(
        name = "Zone",
        type_ = "string",
        json_path = ".status.location.zone",
        description = "Where it stands."
    ),
    printcolumn(
        name = "Type",
        type_ = "string",
        json_path = ".status.hardware.type",
        description = "The provider's name for this kind of machine."
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "How long the inventory has known it."
    ),
    printcolumn(
        name = "Scope",
        type_ = "string",
        json_path = ".spec.source.scope",
        priority = 1,
        description = "Account and region, project, appliance or file."
    ),
    printcolumn(
        name = "ID",
        type_ = "string",
        json_path = ".spec.machineID",
        priority = 1,
        description = "The provider's id of it."
    ),
    printcolumn(
        name = "Hostname",
        type_ = "string",
        json_path = ".status.hostname",
        priority = 1,
        description = "The name it goes by."
    ),
    printcolumn(
        name = "OS",
        type_ = "string",
        json_path = ".status.os.name",
        priority = 1,
        description = "What runs on it."
    ),
    printcolumn(
        name = "Gone-Since",
        type_ = "date",
        json_path = ".status.goneSince",
        priority = 1,
        description = "Since when it is no longer there."
    )
)]
#[serde(rename_all = "camelCase")]
pub struct HostSpec {
    /// Where the machine is listed: it owns this Host. Set at creation, immutable.
    #[x_kube(validation = Rule::new("self == oldSelf").message("spec.source is immutable: it is the identity of the Host"))]
    pub source: SourceRef,
    /// The provider's id of the machine. Set at creation, immutable.
    #[serde(rename = "machineID")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("spec.machineID is immutable: it is the identity of the Host"))]
    pub machine_id: Text,
    /// Why the host is out of service, while it is. Written by people and tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,
    /// What the host is for. Written by people and tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub role: Option<String>,
    /// The operating system it should run. Written by people and tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub os: Option<String>,
    /// Variables for Ansible, free in form. Written by people and tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub ansible: Option<serde_json::Value>,
}

/// Why and how long a host is out of service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Maintenance {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
    /// Until when, as far as known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// The source that owns a Host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceRef {
    /// The name of the source, a label value: select by it with `--field-selector spec.source.name=…`.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: Text,
    /// The infrastructure API: `aws`, `baremetal`, `cloudforms`, `packet`.
    #[schemars(length(min = 1, max = 63))]
    pub provider: Text,
    /// What of it: an account and region, a project, an appliance, a configured endpoint or file.
    #[schemars(length(min = 1, max = 512))]
    pub scope: Text,
}

/// What the provider last said of the machine. Written by the fetcher through `/status`, except `agent`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct HostStatus {
    /// What the machine is doing: `Gone` when it is no longer there, `Unknown` when the provider's word is none we know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// The provider's own word for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub provider_state: Option<Text>,
    /// The name it goes by; never the identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub hostname: Option<Text>,
    /// Where it can be reached, the preferred address first.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    #[schemars(length(max = 256))]
    pub addresses: Vec<Address>,
    /// Where it stands.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "null_as_default")]
    pub location: Location,
    /// What it is made of.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "null_as_default")]
    pub hardware: Hardware,
    /// What runs on it.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "null_as_default")]
    pub os: Os,
    /// Its network interfaces.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    #[schemars(length(max = 256))]
    pub interfaces: Vec<Interface>,
    /// Whose it is.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "null_as_default")]
    pub owner: Owner,
    /// Tags as the provider has them.
    #[serde(skip_serializing_if = "TextMap::is_empty", deserialize_with = "null_as_default")]
    #[schemars(schema_with = "text_map")]
    pub tags: TextMap,
    /// Further facts of this provider: `manager`, `role`, `vpc`, …
    #[serde(skip_serializing_if = "TextMap::is_empty", deserialize_with = "null_as_default")]
    #[schemars(schema_with = "text_map")]
    pub facts: TextMap,
    /// When the machine came to be, as the provider says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When it last started, as the provider says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launched_at: Option<Timestamp>,
    /// When the inventory first saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Timestamp>,
    /// Since when it is gone; absent while it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gone_since: Option<Timestamp>,
    /// The last time it was gone and came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_gone: Option<LastGone>,
    /// `Present` is the fetcher's; others belong to whoever set them.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// What a daemon on the host says of it, free in form. Never the fetcher's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub agent: Option<serde_json::Value>,
}

/// An absence that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct LastGone {
    /// When it was marked gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When it was seen again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why it had been marked: `Terminated`, `Vanished`, `Deselected` or `SelectorChanged`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub reason: Option<Text>,
    /// The approval it was marked under, if the brake had held it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub approval: Option<Text>,
}

/// A condition in the manner of Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is about.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 316))]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    #[schemars(length(max = 7))]
    pub status: String,
    /// Why, in one word.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub reason: String,
    /// Why, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 32768))]
    pub message: String,
    /// When `status` last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Timestamp>,
    /// The generation of the Host it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub observed_generation: Option<i64>,
}

/// The CRD as it is committed in `deploy/crds/hosts.yaml` and applied to the apiserver.
///
/// # Errors
/// Never for the types of this file; a test holds that.
pub fn crd_yaml() -> Result<String, serde_saphyr::ser::Error> {
    use kube::CustomResourceExt;
    serde_saphyr::to_string(&Host::crd())
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Empty, null and absent are the same.
fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

fn free_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "nullable": true,
        "maxProperties": 256,
        "x-kubernetes-preserve-unknown-fields": true
    })
}

fn text_map(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 128,
        "additionalProperties": {"type": "string", "maxLength": 1024}
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_crd_is_the_generated_one() {
        let committed = include_str!("../../deploy/crds/hosts.yaml");
        let generated = super::crd_yaml().unwrap();
        assert!(
            committed == generated,
            "deploy/crds/hosts.yaml is out of date: cargo run -p fetcher-core --bin crdgen > deploy/crds/hosts.yaml"
        );
    }
}
