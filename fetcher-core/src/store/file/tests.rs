//! The file store: its commits, its conflicts, and every way the file can be damaged. The contract that all stores
//! share is tested by the test bed.

use jiff::Timestamp;

use super::*;
use crate::desired::{Seen, present_status};
use crate::machine::Machine;
use crate::schema::Schema;

fn store(path: &std::path::Path) -> FileStore {
    FileStore::new(path.to_owned(), Lens { schema: Schema::ours(), selector: "".parse().unwrap() })
}

fn host(name: &str) -> NewHost {
    NewHost {
        name: name.into(),
        labels: BTreeMap::from([("inventory.fetcher.dev/provider".to_owned(), "p".to_owned())]),
        source: Source::new("p", &["x"]),
        machine_id: format!("id-{name}").into(),
    }
}

#[tokio::test]
async fn two_stores_on_one_file_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inventory.json");
    let (a, b) = (store(&path), store(&path));
    let writes = (0..200).map(|n| {
        let store = if n % 2 == 0 { &a } else { &b };
        let host = host(&format!("h{n}"));
        async move { store.create(&host).await }
    });
    let made = futures::future::join_all(writes).await;
    assert!(made.iter().all(Result::is_ok));
    for store in [&a, &b] {
        assert_eq!(store.observed(&Source::new("p", &["x"])).await.unwrap().hosts.len(), 200);
    }
    let revisions: BTreeSet<u64> =
        made.iter().map(|made| made.as_ref().unwrap().entry.revision).collect();
    assert_eq!(revisions.len(), 200, "every write has a revision of its own");
}

#[tokio::test]
async fn writes_that_wait_for_each_other_share_a_commit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inventory.json");
    let store = store(&path);
    let all: Vec<_> = (0..1000).map(|n| host(&format!("h{n}"))).collect();
    // A thousand files written and made durable one by one would take longer than anybody waits for a test.
    let made = futures::future::join_all(all.iter().map(|host| store.create(host))).await;
    assert!(made.iter().all(Result::is_ok));
}

#[tokio::test]
async fn an_object_changed_by_hand_is_a_conflict_though_its_revision_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inventory.json");
    let store = store(&path);
    let made = store.create(&host("h")).await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"machineID\"", "\"role\":\"db\",\"machineID\"")).unwrap();
    let status = present_status(
        &Machine::default(),
        Seen::Listed,
        &crate::observed::Read::default(),
        Timestamp::UNIX_EPOCH,
    );
    let error = store.write(&made, Part::Status(&status)).await.unwrap_err();
    assert_eq!(error.to_string(), "host h: it has changed since it was read");
    let read = store.get("h").await.unwrap().unwrap();
    let written = store.write(&read, Part::Status(&status)).await.unwrap();
    assert_eq!(written.object["spec"]["role"], "db");
}

#[tokio::test]
async fn a_file_cut_anywhere_is_refused_with_the_place_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inventory.json");
    let whole = store(&path);
    for name in ["a", "b"] {
        whole.create(&host(name)).await.unwrap();
    }
    let bytes = std::fs::read(&path).unwrap();
    let end = bytes.len() - 1;
    for cut in 0..end {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let store = store(&path);
        let read = store.observed(&Source::new("p", &["x"])).await.unwrap_err();
        let write = store.create(&host("c")).await.unwrap_err();
        for error in [read, write] {
            let text = error.to_string();
            assert!(
                matches!(error, StoreError::Invalid(_)) && text.contains("is damaged"),
                "cut at {cut}: {text}"
            );
            assert!(
                text.contains("inventory.json") && text.contains("line "),
                "cut at {cut}: {text}"
            );
        }
        assert_eq!(std::fs::read(&path).unwrap(), &bytes[..cut]);
    }
    // Only the last line break is no part of the List.
    std::fs::write(&path, &bytes[..end]).unwrap();
    assert_eq!(store(&path).observed(&Source::new("p", &["x"])).await.unwrap().hosts.len(), 2);
}

#[tokio::test]
async fn what_is_no_list_of_named_objects_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inventory.json");
    for (content, message) in [
        ("[]", "it begins with `[`, and an object of the kind List is wanted"),
        (r#"["List", []]"#, "it begins with `[`, and an object of the kind List is wanted"),
        (r#"{"kind":"Host","items":[]}"#, "its kind is \"Host\", not \"List\""),
        (r#"{"kind":"List","items":[{"metadata":{}}]}"#, "items[0]: missing field `name`"),
        (
            r#"{"kind":"List","items":[{"metadata":{"name":"a"}},{"metadata":{"name":"a"}}]}"#,
            "items[1]: a second object of the name \"a\"",
        ),
    ] {
        std::fs::write(&path, content).unwrap();
        let error = store(&path).get("a").await.unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[tokio::test]
async fn an_object_that_is_no_readable_host_is_kept_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inventory.json");
    let odd = r#"{"metadata":{"name":"odd"},"spec":{"source":{"name":"p-x","provider":"p","scope":"x"},"machineID":"i"},"status":{"addresses":"none"}}"#;
    std::fs::write(&path, format!(r#"{{"kind":"List","items":[{odd}]}}"#)).unwrap();
    let store = store(&path);
    store.create(&host("h")).await.unwrap();
    let index = store.observed(&Source::new("p", &["x"])).await.unwrap();
    assert!(matches!(index.hosts["odd"].standing, crate::observed::Standing::Unreadable(_)));
    assert!(std::fs::read_to_string(&path).unwrap().contains(odd));
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named_with_the_remedy() {
    let store = store(std::path::Path::new("/nonexistent/inventory.json"));
    let error = store.create(&host("h")).await.unwrap_err().to_string();
    assert!(
        error.contains("cannot lock /nonexistent/inventory.json.lock")
            && error.contains("make its folder"),
        "{error}"
    );
}

#[tokio::test]
async fn hosts_with_a_number_that_no_reader_holds_are_unreadable_and_none_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inventory.json");
    let object = |name: &str| {
        format!(
            r#"{{"metadata":{{"name":"{name}"}},"spec":{{"machineID":"a","n":1e999,"source":{{"name":"p-x","provider":"p","scope":"x"}}}}}}"#
        )
    };
    let text = format!(r#"{{"kind":"List","items":[{},{}]}}"#, object("one"), object("two"));
    std::fs::write(&path, &text).unwrap();
    let store = store(&path);
    let index = store.observed(&Source::new("p", &["x"])).await.unwrap();
    let mut names: Vec<_> = index.hosts.keys().map(|name| name.to_string()).collect();
    names.sort();
    assert_eq!(names, ["one", "two"]);
    let standing = |name: &str| index.hosts[name].standing.clone();
    assert!(matches!(standing("one"), crate::observed::Standing::Unreadable(_)));
    assert_eq!(store.get("two").await.unwrap().unwrap().name, "two".into());
    store.create(&host("three")).await.unwrap();
    let after = std::fs::read_to_string(&path).unwrap();
    assert!(after.contains(&object("one")) && after.contains(&object("two")), "{after}");
}

proptest::proptest! {
    /// Names that stand there twice, objects that are none, and files cut anywhere are errors; else nothing is lost.
    #[test]
    fn a_document_is_whole_or_an_error(
        names in proptest::collection::vec("[a-c]{1,2}", 0..6), cut in proptest::option::of(0_usize..400),
        odd in proptest::option::of(".{0,10}"),
    ) {
        let items: Vec<_> = names.iter().map(|name| json!({"metadata": {"name": name}, "x": odd})).collect();
        let mut text = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string().into_bytes();
        let whole = text.len();
        text.truncate(cut.unwrap_or(whole));
        let read = Document::parse(&text, std::path::Path::new("inventory.json"));
        let distinct: BTreeSet<_> = names.iter().collect();
        let is_good = text.len() == whole && distinct.len() == names.len();
        proptest::prop_assert_eq!(read.is_ok(), is_good);
        if let Ok(document) = read {
            let mut again = Vec::new();
            document.write(&mut again).unwrap();
            let again = Document::parse(&again, std::path::Path::new("inventory.json")).unwrap();
            proptest::prop_assert_eq!(again.len(), names.len());
            for name in &names {
                let same = |document: &Document| document.get(name).map(|raw| raw.get().to_owned());
                proptest::prop_assert_eq!(same(&again), same(&document));
            }
        }
    }
}
