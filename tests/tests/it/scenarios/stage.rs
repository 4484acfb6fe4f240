//! What a scenario plays on: a store, and the hands of whoever changes objects in it beside the fetcher.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use fetcher_core::observed::Lens;
use fetcher_core::schema::Schema;
use fetcher_core::store::HostStore;
use fetcher_core::store::file::FileStore;
use fetcher_tests::memory::MemoryStore;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A place for Hosts.
pub(super) trait Stage {
    type Store: HostStore;

    /// A store of a process of its own, with this selector.
    fn open(&self, selector: &str) -> Result<Self::Store>;
    /// All objects by name.
    fn objects(&self) -> Result<BTreeMap<String, Value>>;
    /// Changes an object as somebody else would; makes it where there is none.
    fn edit(&self, name: &str, edit: impl FnOnce(&mut Value)) -> Result<()>;
    /// Removes an object as somebody else would.
    fn remove(&self, name: &str) -> Result<()>;
}

fn lens(selector: &str) -> Result<Lens> {
    Ok(Lens { schema: Schema::ours(), selector: selector.parse()? })
}

/// In memory.
pub(super) struct InMemory(MemoryStore);

impl Default for InMemory {
    fn default() -> Self {
        let lens =
            Lens { schema: Schema::ours(), selector: fetcher_core::selector::Selector::default() };
        Self(MemoryStore::new(lens))
    }
}

impl Stage for InMemory {
    type Store = MemoryStore;

    fn open(&self, selector: &str) -> Result<MemoryStore> {
        Ok(self.0.beside(lens(selector)?))
    }

    fn objects(&self) -> Result<BTreeMap<String, Value>> {
        Ok(self.0.objects().into_iter().map(|(name, o)| (name.to_string(), o)).collect())
    }

    fn edit(&self, name: &str, edit: impl FnOnce(&mut Value)) -> Result<()> {
        self.0.edit(name, edit);
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.0.remove(name);
        Ok(())
    }
}

/// In a file, whose editor is a text editor.
pub(super) struct InFile(TempDir);

impl InFile {
    pub(super) fn new() -> Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("inventory.json")
    }

    fn with(&self, edit: impl FnOnce(&mut Vec<Value>)) -> Result<()> {
        let text = std::fs::read_to_string(self.path());
        let text =
            text.unwrap_or_else(|_| r#"{"apiVersion": "v1", "kind": "List", "items": []}"#.into());
        let mut list: Value = serde_json::from_str(&text)?;
        let mut items = list["items"].as_array().cloned().unwrap_or_default();
        edit(&mut items);
        list["items"] = items.into();
        Ok(std::fs::write(self.path(), list.to_string())?)
    }
}

impl Stage for InFile {
    type Store = FileStore;

    fn open(&self, selector: &str) -> Result<FileStore> {
        Ok(FileStore::new(self.path(), lens(selector)?))
    }

    fn objects(&self) -> Result<BTreeMap<String, Value>> {
        let mut objects = BTreeMap::new();
        if self.path().exists() {
            self.with(|items| {
                let named =
                    |item: &Value| item["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                objects = items.iter().map(|item| (named(item), item.clone())).collect();
            })?;
        }
        Ok(objects)
    }

    fn edit(&self, name: &str, edit: impl FnOnce(&mut Value)) -> Result<()> {
        self.with(|items| {
            let at = items.iter().position(|item| item["metadata"]["name"] == name);
            let at = at.unwrap_or_else(|| {
                items.push(json!({"metadata": {"name": name}}));
                items.len() - 1
            });
            edit(&mut items[at]);
        })
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.with(|items| items.retain(|item| item["metadata"]["name"] != name))
    }
}
