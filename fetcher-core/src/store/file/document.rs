//! The content of the file: objects by name, each kept as the text it was read as until it is replaced.
//!
//! It knows nothing of disks and locks.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::machine::Text;
use crate::store::StoreError;

/// The file's own revision of an object.
const REVISION: &str = "inventory.fetcher.dev/file-revision";
/// The file's own id of an object: the revision it was created at.
const UID: &str = "inventory.fetcher.dev/file-uid";

/// All objects of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Document {
    objects: BTreeMap<Text, Arc<RawValue>>,
    revision: u64,
}

#[derive(Deserialize)]
struct List<'a> {
    kind: Text,
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
}

/// What is read of every object at once.
#[derive(Deserialize)]
struct Head {
    metadata: HeadMeta,
}

#[derive(Deserialize)]
struct HeadMeta {
    name: Text,
    #[serde(default)]
    annotations: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
struct Owned {
    spec: OwnedSpec,
}

#[derive(Deserialize)]
struct OwnedSpec {
    source: OwnedSource,
}

#[derive(Deserialize)]
struct OwnedSource {
    name: String,
}

impl Document {
    /// Reads a `List`.
    ///
    /// # Errors
    /// A text that is no whole List of named objects, with the place.
    pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Self, StoreError> {
        let damaged = |what: String| {
            StoreError::Invalid(format!(
                "{} is damaged and was left as it is: {what}; restore it from a copy, or move it away to begin anew",
                path.display()
            ))
        };
        // A reader that takes a list for an object would speak of itself.
        if bytes.trim_ascii_start().first() == Some(&b'[') {
            return Err(damaged(
                "it begins with `[`, and an object of the kind List is wanted".to_owned(),
            ));
        }
        let list: List<'_> =
            serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        if &*list.kind != "List" {
            return Err(damaged(format!("its kind is {:?}, not \"List\"", list.kind)));
        }
        let mut document = Self::default();
        for (at, item) in list.items.into_iter().enumerate() {
            let head: Head = serde_json::from_str(item.get())
                .map_err(|error| damaged(format!("items[{at}]: {error}")))?;
            document.revision = document.revision.max(revision(head.metadata.annotations.as_ref()));
            let name = head.metadata.name;
            if document.objects.insert(name.clone(), Arc::from(item.to_owned())).is_some() {
                return Err(damaged(format!("items[{at}]: a second object of the name {name:?}")));
            }
        }
        Ok(document)
    }

    /// Writes it as a `List`, one object a line, in the order of names.
    pub(super) fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        writeln!(to, r#"{{"apiVersion":"v1","kind":"List","items":["#)?;
        for (at, object) in self.objects.values().enumerate() {
            let comma = if at + 1 < self.objects.len() { "," } else { "" };
            writeln!(to, "{object}{comma}")?;
        }
        writeln!(to, "]}}")
    }

    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    pub(super) fn objects(&self) -> impl Iterator<Item = &RawValue> {
        self.objects.values().map(|object| &**object)
    }

    pub(super) fn get(&self, name: &str) -> Option<&RawValue> {
        self.objects.get(name).map(|object| &**object)
    }

    /// Puts `next` where the object still is as it was `read`, with a revision of its own, and gives it back.
    ///
    /// # Errors
    /// A conflict where it is not.
    pub(super) fn swap(
        &mut self,
        name: Text,
        read: Option<Value>,
        mut next: Value,
    ) -> Result<Value, StoreError> {
        let conflict = |what: &str| Err(StoreError::Conflict(format!("host {name}: {what}")));
        match (self.get(&name).map(parse), read) {
            (None, None) => {}
            (Some(_), None) => return conflict("one of that name exists"),
            (None, Some(_)) => return conflict("it has been removed since it was read"),
            (Some(now), Some(read)) if now != read => {
                return conflict("it has changed since it was read");
            }
            (Some(now), Some(_)) if now == next => return Ok(next),
            (Some(_), Some(_)) => {}
        }
        self.revision += 1;
        let annotations = &mut next["metadata"]["annotations"];
        annotations[REVISION] = json!(self.revision.to_string());
        if annotations[UID].is_null() {
            annotations[UID] = json!(self.revision.to_string());
        }
        let raw = serde_json::value::to_raw_value(&next)
            .map_err(|error| StoreError::Refused(format!("host {name}: {error}")))?;
        self.objects.insert(name, Arc::from(raw));
        Ok(next)
    }
}

/// The object in full; of one that somebody wrote a number into which no reader holds (`1e999`) only the name, so that
/// it is reported as unreadable and not lost.
pub(super) fn parse(object: &RawValue) -> Value {
    let name_alone = || {
        let head = serde_json::from_str::<Head>(object.get()).ok();
        head.map_or(Value::Null, |head| json!({ "metadata": { "name": head.metadata.name } }))
    };
    serde_json::from_str(object.get()).unwrap_or_else(|_| name_alone())
}

/// The name of the source that owns an object, if it is a Host with one.
pub(super) fn source(object: &RawValue) -> Option<String> {
    serde_json::from_str::<Owned>(object.get()).ok().map(|owned| owned.spec.source.name)
}

/// Name, revision and id of an object.
pub(super) fn identity(object: &Value) -> (Text, u64, String) {
    let meta = &object["metadata"];
    let annotation = |key: &str| meta["annotations"][key].as_str();
    let uid = annotation(UID).or_else(|| meta["uid"].as_str());
    let revision = annotation(REVISION).and_then(|revision| revision.parse().ok()).unwrap_or(0);
    (meta["name"].as_str().unwrap_or_default().into(), revision, uid.unwrap_or_default().to_owned())
}

fn revision(annotations: Option<&BTreeMap<String, Value>>) -> u64 {
    annotations.and_then(|all| all.get(REVISION)?.as_str()?.parse().ok()).unwrap_or(0)
}
