//! The source `maas` of fetcher-baremetal under the suite. MAAS has no tag with a value: the role is an annotation.
//! Its list is one array, so nothing can happen between pages.

use fetcher_baremetal::Baremetal;
use fetcher_core::app::App;
use serde_json::{Value, json};

use super::{Adapter, Can, Change, Trouble};
use crate::fake_faults::Fault;
use crate::fake_maas::{FakeMaas, KEY, machine};

const LIST: &str = "api/2.0/machines/";
const ROTATED: &str = "rotatedconsumer01:rotatedtokenkey01:rotatedsecretofthetests";

/// One MAAS.
pub struct MaasAdapter {
    fake: FakeMaas,
    key: tempfile::TempPath,
}

fn id(n: usize) -> String {
    format!("m{n:05}")
}

impl MaasAdapter {
    fn set(&self, n: usize, key: &str, value: Value) {
        if let Some(machine) = self.fake.world().machine(&id(n)) {
            machine[key] = value;
        }
    }
}

impl Adapter for MaasAdapter {
    type Provider = <Baremetal as App>::Provider;
    const MACHINES: usize = 40;
    const SELECTOR: &'static str = "annotation.role=web,inventory";
    const MEANINGLESS: &'static [&'static str] = &["moves_between_pages", "failing_page", "ended"];

    async fn start(machines: usize) -> anyhow::Result<Self> {
        let key = tempfile::NamedTempFile::new()?.into_temp_path();
        std::fs::write(&key, KEY)?;
        let all = (0..machines).map(|n| machine(&id(n))).collect();
        Ok(Self { fake: FakeMaas::start(all).await?, key })
    }

    fn provider(&self) -> anyhow::Result<Self::Provider> {
        let section = json!({"sources": [{"maas": {"name": "dc1", "url": self.fake.url,
            "apiKey": {"file": &*self.key},
            "http": {"requestsPerSecond": 1000, "attempts": 2, "backoff": "10ms", "timeout": "2s",
                "bodyLimitMiB": 1}}}]});
        Ok(Baremetal::build(serde_json::from_value(section)?, Default::default())?)
    }

    fn id(&self, n: usize) -> String {
        id(n)
    }

    fn change(&self, change: Change) -> Can {
        match change {
            Change::Add(n) => self.fake.world().machines.push(machine(&id(n))),
            Change::Remove(n) => self.fake.world().machines.retain(|m| m["system_id"] != id(n)),
            Change::Role(n, role) => {
                let annotations = role.map_or_else(|| json!({}), |role| json!({ "role": role }));
                self.set(n, "workload_annotations", annotations);
            }
            Change::Name(n, name) => self.set(n, "fqdn", json!(name)),
            Change::UnknownState(n) => {
                self.set(n, "status", json!(77));
                self.set(n, "status_name", json!("meditating"));
            }
            Change::Bare(n) => {
                let bare = json!({"system_id": id(n), "status": 6, "tag_names": ["inventory"],
                    "workload_annotations": {"role": "web"}});
                if let Some(machine) = self.fake.world().machine(&id(n)) {
                    *machine = bare;
                }
            }
            Change::Ended(_) => return Err("no status of MAAS is for ever"),
            Change::Reverse => self.fake.world().machines.reverse(),
            Change::Twice => {
                let mut world = self.fake.world();
                let mut again = world.machines.clone();
                again.iter_mut().for_each(|machine| machine["fqdn"] = json!("another"));
                world.machines.extend(again);
            }
            Change::Empty => self.fake.world().machines.retain_mut(|machine| {
                // A tag stays known as long as one machine has it.
                machine["workload_annotations"] = json!({});
                machine["system_id"] == id(0)
            }),
            Change::RemoveOnTheWay(_) => return Err("there is one page"),
            Change::Hide(n) => {
                self.fake.world().hidden.insert(id(n));
            }
            Change::Rotate => ROTATED.clone_into(&mut self.fake.world().key),
            Change::HandOver => std::fs::write(&self.key, format!("{ROTATED}\n"))
                .map_err(|_| "the key's file cannot be written")?,
        }
        Ok(())
    }

    fn trouble(&self, trouble: Trouble) -> Can {
        let script = &self.fake.script;
        match trouble {
            Trouble::LaterPage => return Err("there is one page"),
            Trouble::Lookup => {
                script.always("machines/m", Fault::Says(502, "text/html", "<html>"));
            }
            Trouble::ThrottledOnce(after) => script.once(LIST, Fault::Throttled(after)),
            other => script.always(LIST, super::fault(other)?),
        }
        Ok(())
    }

    fn heal(&self) {
        self.fake.script.heal();
    }

    fn secrets(&self) -> Vec<String> {
        KEY.split(':').chain(ROTATED.split(':')).map(ToOwned::to_owned).collect()
    }
}
