//! What a write changes in a Host, field by field: for the log line of the change and for plans.
//!
//! Only what is ours, and without the times that follow from the rest.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::json;
use crate::host::HostStatus;
use crate::observed::{Lens, Read};
use crate::report::FieldChange;

/// The fields in which the Host read differs from `labels` and `status`, in the order of paths.
pub(super) fn fields(
    before: &Read,
    labels: &BTreeMap<String, Option<String>>,
    status: &HostStatus,
    lens: &Lens,
) -> Vec<FieldChange> {
    let mut changes: Vec<FieldChange> = labels
        .iter()
        .map(|(key, to)| FieldChange {
            path: format!("metadata.labels[{key}]"),
            from: json(before.metadata.labels.as_ref().and_then(|labels| labels.get(key))),
            to: json(to),
        })
        .collect();
    let of = |status: &HostStatus| {
        let mut status = json(&*lens.known(status));
        if let Some(status) = status.as_object_mut() {
            let ours =
                status.get("conditions").and_then(Value::as_array).and_then(|list| present(list));
            status.remove("agent");
            status.remove("conditions");
            status.extend(ours.map(|present| ("present".to_owned(), present)));
        }
        status
    };
    let old = before.status.as_ref().map_or(Value::Null, of);
    differences("status", &old, &of(status), &mut changes);
    changes
}

/// Our condition as `status: reason`, without its times.
fn present(conditions: &[Value]) -> Option<Value> {
    let ours = conditions.iter().find(|condition| condition["type"] == crate::host::PRESENT)?;
    let text = |key: &str| ours[key].as_str().unwrap_or_default();
    Some(Value::String(format!("{} ({})", text("status"), text("reason"))))
}

fn differences(path: &str, from: &Value, to: &Value, changes: &mut Vec<FieldChange>) {
    if from == to {
        return;
    }
    let none = Map::new();
    let (Some(old), Some(new)) =
        (from.as_object().or_else(|| from.is_null().then_some(&none)), to.as_object())
    else {
        changes.push(FieldChange { path: path.to_owned(), from: from.clone(), to: to.clone() });
        return;
    };
    let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        let of = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
        let is_plain = key.bytes().all(|b| b.is_ascii_alphanumeric());
        let path = if is_plain { format!("{path}.{key}") } else { format!("{path}[{key}]") };
        let (from, to) = (of(old), of(new));
        // A struct that left as a whole is told field by field, like one that came.
        if to.is_null() && from.is_object() {
            differences(&path, &from, &Value::Object(Map::new()), changes);
        } else {
            differences(&path, &from, &to, changes);
        }
    }
}
