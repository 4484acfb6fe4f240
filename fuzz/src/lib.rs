//! What must hold for the machines of any provider, whatever its API answered.

use std::collections::HashSet;

use fetcher_core::desired::{self, Seen, Style};
use fetcher_core::machine::{Machine, Source};
use fetcher_core::observed::{Lens, Read};
use fetcher_core::provider::FetchError;
use fetcher_core::schema::Schema;
use fetcher_core::store::Stored;
use serde_json::{Value, json};

/// What stands where an API sends secrets, and must never come out.
pub const SECRET: &str = "S3CRET";

/// The parts of an input: no JSON holds the byte between them.
pub fn parts(data: &[u8]) -> Vec<&[u8]> {
    data.split(|&byte| byte == 0xff).collect()
}

/// Each machine once, and each a Host that can be written, is read back as it was wanted, and is then left alone.
pub fn hold(source: &Source, machines: &[Machine]) {
    let lens = Lens { schema: Schema::ours(), selector: Default::default() };
    let style = Style { label_tags: vec!["role".into()] };
    let (mut ids, mut names) = (HashSet::new(), HashSet::new());
    for machine in machines {
        assert!(ids.insert(&machine.id), "{:?} stands there twice", machine.id);
        let name = desired::name(source, machine);
        assert!(is_name(&name), "{name:?} is no name");
        assert!(names.insert(name.clone()), "two machines are called {name:?}");
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let status = desired::present_status(machine, Seen::Listed, &Read::default(), now);
        let object = json!({
            "metadata": {"name": &*name, "uid": "1", "resourceVersion": "1",
                "labels": desired::labels(source, machine, &style)},
            "spec": {"source": {"name": &**source.name(), "provider": source.provider(), "scope": source.scope()},
                "machineID": &*machine.id},
            "status": status,
        });
        let read_back: Value = serde_json::from_str(&object.to_string()).unwrap();
        let stored = Stored::new(read_back, &lens);
        assert!(stored.read.is_some(), "{name} cannot be read back: {:?}", stored.entry.standing);
        let wanted = desired::wanted(source, machine, Seen::Listed, &style, &lens);
        assert_eq!(stored.entry.digest, wanted, "{name} would be written in every round");
    }
}

fn is_name(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// A secret that stands in these documents below keys that `hides` names, and nowhere else, is in no machine, no Host
/// and no error.
pub fn keep(
    documents: &[&[u8]],
    hides: impl Fn(&str) -> bool,
    result: &Result<Vec<Machine>, FetchError>,
) {
    let is_open = documents.iter().any(|text| match serde_json::from_slice::<Value>(text) {
        Ok(document) => shows(&document, &hides),
        // What is passed over need not even be text, so it cannot be told where this stands.
        Err(_) => text.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()),
    });
    if is_open {
        return;
    }
    let said = match result {
        Ok(machines) => format!("{machines:?}"),
        Err(error) => format!("{error} {error:?}"),
    };
    assert!(!said.contains(SECRET), "a secret came out: {said}");
}

fn shows(value: &Value, hides: &impl Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => text.contains(SECRET),
        Value::Array(all) => all.iter().any(|value| shows(value, hides)),
        Value::Object(all) => all
            .iter()
            .any(|(key, value)| key.contains(SECRET) || (!hides(key) && shows(value, hides))),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The entries of a list in a document: those that no listing may lose without an error.
pub fn entries<'v>(document: &'v Value, list: &str) -> &'v [Value] {
    document[list].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Holds that there is a machine of this id.
pub fn there(machines: &[Machine], id: &str) {
    assert!(machines.iter().any(|machine| &*machine.id == id), "{id:?} was lost");
}
