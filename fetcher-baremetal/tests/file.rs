//! Sources of kind `file` through the provider: what the core sees of files that come, change and go.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use fetcher_baremetal::Baremetal;
use fetcher_baremetal::config::{Flags, Section};
use fetcher_baremetal::provider::Provider as Files;
use fetcher_core::app::App;
use fetcher_core::machine::Source;
use fetcher_core::provider::{Fetch, FetchError, Listing, Lookup, Progress, Provider};
use fetcher_core::selector::Selector;

fn build(yaml: &str) -> Result<Files, String> {
    let section: Section = serde_saphyr::from_str(yaml).unwrap();
    Baremetal::build(section, Flags::default()).map_err(|error| error.to_string())
}

fn one(path: &Path) -> Files {
    build(&format!("sources: [{{file: {{name: dc, path: {path:?}}}}}]")).unwrap()
}

async fn fetch(files: &Files, source: &Source) -> Result<Listing, FetchError> {
    let selector = Selector::default();
    let progress = Progress::default();
    files.fetch(Fetch { source, selector: &selector, progress: &progress }).await
}

async fn names(files: &Files) -> Vec<String> {
    let discovery = files.sources().await.unwrap();
    discovery.sources.iter().map(|served| served.source.to_string()).collect()
}

const A: &str = "machines:\n- id: a\n...\n";
const AB: &str = "machines:\n- id: a\n- id: b\n...\n";

#[tokio::test]
async fn the_name_is_the_identity_and_the_path_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (dir.path().join("here.yaml"), dir.path().join("there.yaml"));
    assert_eq!(names(&one(&here)).await, ["baremetal-file-dc"]);
    assert_eq!(names(&one(&there)).await, ["baremetal-file-dc"]);
    let unnamed = build("sources: [{file: {path: /x/ams1.csv}}]").unwrap();
    assert_eq!(names(&unnamed).await, ["baremetal-file-ams1"]);
}

#[tokio::test]
async fn a_file_is_parsed_again_only_when_its_bytes_have_changed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dc.yaml");
    fs::write(&path, A).unwrap();
    let files = one(&path);
    let source = Source::new("baremetal", &["file", "dc"]);
    let first = fetch(&files, &source).await.unwrap();
    let second = fetch(&files, &source).await.unwrap();
    assert!(Arc::ptr_eq(&first.machines, &second.machines));
    // The same size and time, other bytes: only the content can tell.
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, A.replace("id: a", "id: z")).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    let third = fetch(&files, &source).await.unwrap();
    assert_eq!(third.machines[0].id.as_ref(), "z");
}

#[tokio::test]
async fn a_file_that_is_gone_or_broken_is_an_error_and_then_serves_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dc.yaml");
    let files = one(&path);
    let source = Source::new("baremetal", &["file", "dc"]);
    let gone = fetch(&files, &source).await.unwrap_err();
    assert_eq!(gone.reason(), "invalid");
    assert!(gone.to_string().contains("dc.yaml is not there"), "{gone}");
    fs::write(&path, AB).unwrap();
    assert_eq!(fetch(&files, &source).await.unwrap().machines.len(), 2);
    fs::write(&path, &AB[..AB.len() - 5]).unwrap();
    let cut = fetch(&files, &source).await.unwrap_err().to_string();
    assert!(cut.contains("dc.yaml: line 3: the file may be cut short"), "{cut}");
    fs::remove_file(&path).unwrap();
    assert!(fetch(&files, &source).await.is_err());
    fs::write(&path, A).unwrap();
    assert_eq!(fetch(&files, &source).await.unwrap().machines.len(), 1);
}

#[tokio::test]
async fn a_file_that_is_rewritten_under_our_eyes_is_whole_or_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dc.yaml");
    let rows: String = (0..500).map(|n| format!("- id: m{n}\n")).collect();
    let text = format!("machines:\n{rows}...\n");
    fs::write(&path, &text).unwrap();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (path, stop) = (path.clone(), Arc::clone(&stop));
        move || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                fs::write(&path, &text).unwrap();
            }
        }
    });
    let source = Source::new("baremetal", &["file", "dc"]);
    for _ in 0..300 {
        if let Ok(listing) = fetch(&one(&path), &source).await {
            assert_eq!(listing.machines.len(), 500);
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    writer.join().unwrap();
}

#[tokio::test]
async fn a_directory_or_a_pipe_is_refused_without_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dc.yaml");
    fs::create_dir(&path).unwrap();
    let source = Source::new("baremetal", &["file", "dc"]);
    let error = fetch(&one(&path), &source).await.unwrap_err().to_string();
    assert!(error.ends_with("dc.yaml is not a regular file"), "{error}");
    fs::remove_dir(&path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let error = fetch(&one(&path), &source).await.unwrap_err().to_string();
    assert!(error.ends_with("dc.yaml is not a regular file"), "{error}");
}

#[tokio::test]
async fn each_file_of_a_glob_is_a_source_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["ams1.yaml", "fra1.yaml", ".hidden.yaml", "notes.txt"] {
        fs::write(dir.path().join(name), A).unwrap();
    }
    let pattern = dir.path().join("*.yaml");
    let files =
        build(&format!("sources: [{{file: {{path: {pattern:?}, suspend: true}}}}]")).unwrap();
    let discovery = files.sources().await.unwrap();
    assert!(discovery.failed.is_empty());
    assert!(discovery.sources.iter().all(|served| served.settings.suspend));
    assert_eq!(names(&files).await, ["baremetal-file-ams1", "baremetal-file-fra1"]);
    let fra1 = Source::new("baremetal", &["file", "fra1"]);
    let first = fetch(&files, &fra1).await.unwrap();
    files.sources().await.unwrap();
    let second = fetch(&files, &fra1).await.unwrap();
    assert!(Arc::ptr_eq(&first.machines, &second.machines), "a discovery forgets no file");
    fs::remove_file(dir.path().join("fra1.yaml")).unwrap();
    assert!(fetch(&files, &fra1).await.is_err(), "a file that vanished is never an empty list");
    assert_eq!(names(&files).await, ["baremetal-file-ams1"]);
    assert!(fetch(&files, &fra1).await.is_err());
}

#[tokio::test]
async fn a_glob_that_matches_nothing_is_a_failure_beside_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let (path, pattern) = (dir.path().join("dc.yaml"), dir.path().join("none/*.csv"));
    fs::write(&path, A).unwrap();
    let yaml = format!("sources: [{{file: {{path: {path:?}}}}}, {{file: {{path: {pattern:?}}}}}]");
    let discovery = build(&yaml).unwrap().sources().await.unwrap();
    assert_eq!(discovery.sources.len(), 1);
    let [(part, error)] = discovery.failed.as_slice() else { panic!("{discovery:?}") };
    assert!(part.ends_with("none/*.csv"), "{part}");
    assert!(error.to_string().contains("no file matches"), "{error}");
}

#[tokio::test]
async fn two_files_of_one_stem_are_served_by_nobody() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["fra1.yaml", "fra1.csv", "ams1.csv"] {
        fs::write(dir.path().join(name), A).unwrap();
    }
    let pattern = dir.path().join("*");
    let files = build(&format!("sources: [{{file: {{path: {pattern:?}}}}}]")).unwrap();
    let discovery = files.sources().await.unwrap();
    let [(part, error)] = discovery.failed.as_slice() else { panic!("{discovery:?}") };
    assert_eq!(part, "baremetal-file-fra1");
    let error = error.to_string();
    assert!(error.contains("fra1.yaml") && error.contains("fra1.csv"), "{error}");
    assert_eq!(discovery.sources.len(), 1);
    assert!(fetch(&files, &Source::new("baremetal", &["file", "fra1"])).await.is_err());
}

#[tokio::test]
async fn nobody_is_asked_twice_about_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dc.yaml");
    fs::write(&path, A).unwrap();
    let source = Source::new("baremetal", &["file", "dc"]);
    let answer = one(&path).lookup(&source, &["a".into()]).await.unwrap();
    assert!(matches!(answer, Lookup::Unsupported));
}

#[tokio::test]
async fn check_says_of_each_file_what_is_in_it_or_why_not() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.yaml"), AB).unwrap();
    fs::write(dir.path().join("b.yaml"), "machines: [\n").unwrap();
    let pattern = dir.path().join("*.yaml");
    let findings =
        build(&format!("sources: [{{file: {{path: {pattern:?}}}}}]")).unwrap().check().await;
    let [good, bad] = findings.as_slice() else { panic!("{findings:?}") };
    assert!(good.ok && good.text.starts_with("baremetal-file-a: 2 machines in "), "{}", good.text);
    assert!(!bad.ok && bad.text.contains("b.yaml: line 1: "), "{}", bad.text);
}

#[test]
fn a_configuration_that_cannot_be_served_says_why() {
    for (yaml, expected) in [
        ("sources: []", "give --file PATH"),
        (
            "sources: [{file: {name: a, path: x.yaml}}, {file: {name: a, path: y.csv}}]",
            "x.yaml and y.csv would both be the source baremetal-file-a",
        ),
        ("sources: [{file: {name: a, path: '*.yaml'}}]", "leave out `name`"),
        ("sources: [{file: {path: '[.yaml'}}]", "is no glob"),
        ("sources: [{file: {path: machines.txt}}]", "let its name end in .yaml"),
        ("sources: [{file: {path: ..}}]", "give it a `name`"),
        ("sources: [{file: {name: a/b, path: x.yaml}}]", "holds a slash"),
    ] {
        let error = build(yaml).unwrap_err();
        assert!(error.contains(expected), "{yaml}: {error}");
    }
    assert!(build("sources: [{file: {path: machines.txt, format: csv}}]").is_ok());
}

#[tokio::test]
async fn the_example_configuration_serves_the_example_list() {
    let example = include_str!("../../deploy/examples/fetcher-baremetal.yaml");
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/examples/");
    let text = example.replace("deploy/examples/", root);
    let config = fetcher_core::config::parse::<Baremetal>(&text).unwrap();
    let files = Baremetal::build(config.section.unwrap(), Flags::default()).unwrap();
    let discovery = files.sources().await.unwrap();
    let [served] = discovery.sources.as_slice() else { panic!("{discovery:?}") };
    let listing = fetch(&files, &served.source).await.unwrap();
    assert!(listing.machines.len() >= served.settings.expect.min);
    for id in &served.settings.expect.ids {
        assert!(listing.machines.iter().any(|machine| machine.id.as_ref() == id), "{id}");
    }
}
