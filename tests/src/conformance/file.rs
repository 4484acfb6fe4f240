//! The source `file` of fetcher-baremetal under the suite: its API is a file, and what can go wrong with one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use fetcher_baremetal::Baremetal;
use fetcher_core::app::App;
use serde_json::{Value, json};

use super::{Adapter, Can, Change, ROLE, Trouble};

/// One file of machines.
pub struct FileAdapter {
    dir: tempfile::TempDir,
    machines: Mutex<BTreeMap<usize, Value>>,
}

fn machine(n: usize) -> Value {
    json!({"id": format!("a-{n}"), "name": format!("host-{n}.example.net"), "state": "Running",
        "addresses": [format!("10.0.{}.{}", n / 250, n % 250)], "tags": {"role": ROLE}})
}

impl FileAdapter {
    fn path(&self) -> PathBuf {
        self.dir.path().join("fra1.json")
    }

    fn write(&self, content: &str) -> Can {
        std::fs::write(self.path(), content).map_err(|_| "the file cannot be written")
    }

    fn text(&self, reversed: bool) -> String {
        let machines = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = machines.values().cloned().collect();
        if reversed {
            all.reverse();
        }
        json!({ "machines": all }).to_string()
    }

    fn with(&self, change: impl FnOnce(&mut BTreeMap<usize, Value>)) -> Can {
        change(&mut self.machines.lock().unwrap_or_else(PoisonError::into_inner));
        self.write(&self.text(false))
    }

    fn set(&self, n: usize, key: &str, value: Value) -> Can {
        self.with(|all| {
            if let Some(machine) = all.get_mut(&n) {
                machine[key] = value;
            }
        })
    }
}

impl Adapter for FileAdapter {
    type Provider = <Baremetal as App>::Provider;
    const MACHINES: usize = 60;
    const MEANINGLESS: &'static [&'static str] = &[
        "moves_between_pages",
        "failing_page",
        "throttled_once",
        "throttled_once_with_retry_after",
        "throttled_for_ever",
        "credentials",
        "huge_body",
        "slow_body",
        "redirect",
        "refusals",
        "unknown_state",
        "lookup_contradicts",
        "lookup_fails",
        "ended",
    ];

    async fn start(machines: usize) -> anyhow::Result<Self> {
        let machines = Mutex::new((0..machines).map(|n| (n, machine(n))).collect());
        let adapter = Self { dir: tempfile::tempdir()?, machines };
        adapter.with(|_| ()).map_err(anyhow::Error::msg)?;
        Ok(adapter)
    }

    fn provider(&self) -> anyhow::Result<Self::Provider> {
        let section = json!({"sources": [{"file": {"name": "fra1", "path": self.path()}}]});
        Ok(Baremetal::build(serde_json::from_value(section)?, Default::default())?)
    }

    fn id(&self, n: usize) -> String {
        format!("a-{n}")
    }

    fn change(&self, change: Change) -> Can {
        match change {
            Change::Add(n) => self.with(|all| {
                all.insert(n, machine(n));
            }),
            Change::Remove(n) => self.with(|all| {
                all.remove(&n);
            }),
            Change::Role(n, role) => {
                let tags = role.map_or_else(|| json!({}), |role| json!({ "role": role }));
                self.set(n, "tags", tags)
            }
            Change::Name(n, name) => self.set(n, "name", json!(name)),
            Change::Bare(n) => self.with(|all| {
                all.insert(n, json!({"id": format!("a-{n}"), "tags": {"role": ROLE}}));
            }),
            Change::Reverse => self.write(&self.text(true)),
            Change::Twice => {
                let machines = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
                let another = |mut machine: Value| {
                    machine["name"] = json!("another");
                    machine
                };
                let again = machines.values().cloned().map(another);
                let both: Vec<_> = machines.values().cloned().chain(again).collect();
                self.write(&json!({ "machines": both }).to_string())
            }
            Change::Empty => self.write("{\"machines\": []}"),
            Change::UnknownState(_) => Err("a state that is none is an error of the file's author"),
            Change::Ended(_) => Err("a file knows no end but absence"),
            Change::RemoveOnTheWay(_) => Err("a file has no pages"),
            Change::Hide(_) => Err("a file has no lookup"),
            Change::Rotate | Change::HandOver => Err("a file has no credentials"),
        }
    }

    fn trouble(&self, trouble: Trouble) -> Can {
        let text = self.text(false);
        match trouble {
            Trouble::Html => self.write("<!DOCTYPE html><title>Welcome</title>"),
            Trouble::Truncated => self.write(text.get(..text.len() / 2).unwrap_or_default()),
            Trouble::Down => std::fs::remove_file(self.path()).map_err(|_| "no file to remove"),
            Trouble::OtherKind => self.write("id,name\na-1,host-1\n"),
            Trouble::LaterPage => Err("a file has no pages"),
            Trouble::Lookup => Err("a file has no lookup"),
            Trouble::Huge | Trouble::Slow | Trouble::Redirect | Trouble::Status(_) => {
                Err("a file is not asked over a network")
            }
            Trouble::Throttled | Trouble::ThrottledOnce(_) => Err("a file does not throttle"),
        }
    }

    fn heal(&self) {
        // A file that cannot be written shows in the next round.
        let _ = self.write(&self.text(false));
    }

    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }
}
