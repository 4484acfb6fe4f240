//! Any bytes as the file of the file store: read, and written to.
#![no_main]

use std::cell::RefCell;
use std::sync::Arc;

use fetcher_core::machine::Source;
use fetcher_core::observed::Lens;
use fetcher_core::schema::Schema;
use fetcher_core::store::file::FileStore;
use fetcher_core::store::{HostStore, NewHost};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tokio::runtime::Runtime;

thread_local! {
    /// Both outlive the inputs: neither is what is looked at.
    static BED: RefCell<(Runtime, tempfile::TempDir)> = RefCell::new((
        tokio::runtime::Builder::new_current_thread().build().unwrap(),
        // In memory: the disk is not what is looked at either.
        tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap(),
    ));
}

fuzz_target!(|data: &[u8]| BED.with_borrow(|(runtime, dir)| runtime.block_on(whole(dir, data))));

/// A file that cannot be read is left as it is; of one that can be, nothing is lost by a write.
async fn whole(dir: &tempfile::TempDir, data: &[u8]) {
    let path = dir.path().join("inventory.json");
    std::fs::write(&path, data).unwrap();
    let lens = Lens { schema: Schema::ours(), selector: Default::default() };
    let store = Arc::new(FileStore::new(path.clone(), lens));
    let source = Source::new("baremetal", &["file", "a"]);
    let read = store.observed(&source).await;
    let host = NewHost {
        name: "baremetal-new".into(),
        labels: Default::default(),
        source: source.clone(),
        machine_id: "new".into(),
    };
    let written = store.create(&host).await;
    assert_eq!(
        read.is_err(),
        written.is_err() && store.get(&host.name).await.is_err(),
        "{written:?}"
    );
    if written.is_err() {
        assert_eq!(std::fs::read(&path).unwrap(), data, "a refused write changed the file");
        return;
    }
    let after: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let after = after["items"].as_array().unwrap();
    // A number without end is read as a text only.
    let Ok(before) = serde_json::from_slice::<Value>(data) else { return };
    let before = before["items"].as_array().unwrap();
    assert_eq!(after.len(), before.len() + 1, "a Host was lost");
    assert!(before.iter().all(|object| after.contains(object)), "a Host was changed");
    assert_eq!(store.observed(&source).await.unwrap().hosts.len(), read.unwrap().hosts.len() + 1);
}
