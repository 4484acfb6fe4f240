//! What the suites of fetcher-baremetal's kinds share: one run of the binary into a file store, and what it left there.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use fetcher_tests::fetcher::Fetcher;
use fetcher_tests::ports;
use serde_json::Value;

/// A folder with a configuration and an inventory file.
pub(crate) struct Desk {
    dir: tempfile::TempDir,
    fetcher: Fetcher,
    port: u16,
}

impl Desk {
    /// A fetcher with these sources, as they stand under `baremetal.sources`, and this selector.
    pub(crate) fn new(sources: &str, selector: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let fetcher =
            Fetcher::new("fetcher-baremetal", dir.path())?.args(["--config", "config.yaml"]);
        let desk = Self { dir, fetcher, port: ports::free()? };
        desk.configure(sources, selector)?;
        Ok(desk)
    }

    /// Writes the configuration anew.
    pub(crate) fn configure(&self, sources: &str, selector: &str) -> Result<()> {
        let config = format!(
            "selector: '{selector}'\nstore: {{file: {{path: inventory.json}}}}\n\
             schedule: every 2s\nlisten: 127.0.0.1:{}\nbaremetal:\n  sources:\n{sources}\n",
            self.port
        );
        Ok(std::fs::write(self.dir.path().join("config.yaml"), config)?)
    }

    /// Adds a line to the configuration.
    pub(crate) fn add(&self, line: &str) -> Result<()> {
        let path = self.dir.path().join("config.yaml");
        let config = std::fs::read_to_string(&path)?;
        Ok(std::fs::write(path, format!("{line}\n{config}"))?)
    }

    /// Its folder.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where a daemon listens.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// The binary with its configuration.
    pub(crate) const fn fetcher(&self) -> &Fetcher {
        &self.fetcher
    }

    /// One run: its exit code and its document.
    pub(crate) async fn once(&self, arguments: &[&str]) -> Result<(i32, Value)> {
        let ran = self.fetcher.run(&[&["--once", "--output", "json"], arguments].concat()).await?;
        let document = serde_json::from_str(&ran.stdout);
        Ok((ran.code, document.with_context(|| format!("{} {}", ran.stdout, ran.stderr))?))
    }

    /// One run that must be whole: the report of its only source.
    pub(crate) async fn round(&self) -> Result<Value> {
        let (code, document) = self.once(&[]).await?;
        ensure!(code == 0, "exit {code}: {document}");
        Ok(document["sources"][0].clone())
    }

    /// Hosts by the id of their machine.
    pub(crate) fn hosts(&self) -> Result<BTreeMap<String, Value>> {
        let text = std::fs::read_to_string(self.dir.path().join("inventory.json"))?;
        let list: Value = serde_json::from_str(&text)?;
        let id = |host: &Value| host["spec"]["machineID"].as_str().unwrap_or_default().to_owned();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        Ok(items.into_iter().map(|host| (id(&host), host)).collect())
    }

    /// The text of the file store.
    pub(crate) fn text(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.dir.path().join("inventory.json"))?)
    }
}

/// What a report counts, as `created updated gone unchanged`.
pub(crate) fn counts(report: &Value) -> [u64; 4] {
    ["created", "updated", "gone", "unchanged"].map(|key| report[key].as_u64().unwrap_or(u64::MAX))
}

/// The marks of a run with one source, and which of them are withheld.
pub(crate) fn marks(run: &Value) -> Vec<(String, bool)> {
    let changes = run["sources"][0]["changes"].as_array().cloned().unwrap_or_default();
    let gone = changes.iter().filter(|change| change["verb"] == "gone");
    let mut marks: Vec<_> = gone
        .map(|mark| {
            (mark["reason"].as_str().unwrap_or_default().to_owned(), mark["withheld"] == true)
        })
        .collect();
    marks.sort();
    marks
}

/// What is to become of `left_out` Hosts whose setting was turned off, while one more machine has gone: that one is
/// marked, the others wait for a person, and once they are approved, all is quiet.
pub(crate) async fn waits_for_a_person(desk: &Desk, left_out: usize) -> Result<()> {
    let waiting = vec![("SelectorChanged".to_owned(), true); left_out];
    let (code, run) = desk.once(&[]).await?;
    let mut both = waiting.clone();
    both.push(("Vanished".to_owned(), false));
    assert_eq!((code, marks(&run)), (3, both), "{run}");
    let (code, run) = desk.once(&[]).await?;
    assert_eq!((code, marks(&run)), (3, waiting), "{run}");
    let source = &run["sources"][0];
    assert_eq!(source["updated"], 0, "{run}");
    ensure!(source.get("notes").is_none(), "{run}");
    let checksum = source["checksum"].as_str().context("no checksum")?;
    let (code, run) = desk.once(&["--approve", checksum]).await?;
    assert_eq!(code, 0, "{run}");
    assert_eq!(run["sources"][0]["gone"], left_out, "{run}");
    let report = desk.round().await?;
    let [created, updated, gone, _] = counts(&report);
    assert_eq!([created, updated, gone], [0; 3], "{report}");
    Ok(())
}
