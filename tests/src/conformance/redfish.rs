//! The source `redfish` of fetcher-baremetal under the suite: one aggregator. Redfish has no tags: all are tagged by
//! the configuration, so none can be taken off.

use std::collections::BTreeMap;

use fetcher_baremetal::Baremetal;
use fetcher_core::app::App;
use serde_json::{Value, json};

use super::{Adapter, Can, Change, ROLE, Trouble};
use crate::fake_bmc::{FakeBmcs, PASSWORD, ROTATED, USER, system, uuid};
use crate::fake_faults::Fault;

const BMC: &str = "rack-7";
const LIST: &str = "/redfish/v1/Systems";

/// One aggregator.
pub struct RedfishAdapter {
    fake: FakeBmcs,
    password: tempfile::TempPath,
}

/// Whether this is the n-th system.
fn is(system: &Value, n: usize) -> bool {
    system["Id"].as_str().and_then(|id| id.parse().ok()) == Some(n)
}

impl RedfishAdapter {
    fn with(&self, change: impl FnOnce(&mut Vec<Value>)) {
        change(self.fake.world().bmcs.entry(BMC.to_owned()).or_default());
    }

    fn set(&self, n: usize, key: &str, value: Value) {
        self.with(|all| {
            if let Some(system) = all.iter_mut().find(|system| is(system, n)) {
                system[key] = value;
            }
        });
    }
}

impl Adapter for RedfishAdapter {
    type Provider = <Baremetal as App>::Provider;
    const MACHINES: usize = 28;
    const MEANINGLESS: &'static [&'static str] =
        &["lookup_contradicts", "lookup_fails", "retagged", "ended"];

    async fn start(machines: usize) -> anyhow::Result<Self> {
        let password = tempfile::NamedTempFile::new()?.into_temp_path();
        std::fs::write(&password, PASSWORD)?;
        let bmcs = BTreeMap::from([(BMC.to_owned(), (0..machines).map(system).collect())]);
        Ok(Self { fake: FakeBmcs::start(bmcs, 10).await?, password })
    }

    fn provider(&self) -> anyhow::Result<Self::Provider> {
        let section = json!({"sources": [{"redfish": {
            "endpoints": [{"name": BMC, "url": self.fake.url(BMC)}],
            "auth": {"user": USER, "password": {"file": &*self.password}}, "tags": {"role": ROLE},
            "http": {"requestsPerSecond": 1000, "attempts": 2, "backoff": "10ms", "timeout": "2s",
                "bodyLimitMiB": 1}}}]});
        Ok(Baremetal::build(serde_json::from_value(section)?, Default::default())?)
    }

    fn id(&self, n: usize) -> String {
        uuid(n)
    }

    fn change(&self, change: Change) -> Can {
        match change {
            Change::Add(n) => self.with(|all| all.push(system(n))),
            Change::Remove(n) => self.with(|all| all.retain(|s| !is(s, n))),
            Change::Role(..) => return Err("its tags are those of the configuration"),
            Change::Name(n, name) => self.set(n, "HostName", json!(name)),
            Change::UnknownState(n) => self.set(n, "PowerState", json!("meditating")),
            Change::Bare(n) => self.with(|all| {
                if let Some(system) = all.iter_mut().find(|s| is(s, n)) {
                    *system = json!({"Id": n.to_string(), "Name": "System", "UUID": uuid(n)});
                }
            }),
            Change::Ended(_) => return Err("Redfish knows no end of a system"),
            Change::Reverse => self.with(|all| all.reverse()),
            Change::Twice => self.with(|all| {
                let mut again = all.clone();
                for system in &mut again {
                    let id = system["Id"].as_str().unwrap_or_default().to_owned();
                    system["Id"] = json!(format!("{id}-again"));
                    system["HostName"] = json!("another");
                }
                all.extend(again);
            }),
            Change::Empty => self.with(Vec::clear),
            Change::RemoveOnTheWay(n) => self.fake.world().between(move |world| {
                if let Some(all) = world.bmcs.get_mut(BMC) {
                    all.retain(|system| !is(system, n));
                }
            }),
            Change::Hide(_) => return Err("its lookup reads the list again"),
            Change::Rotate => ROTATED.clone_into(&mut self.fake.world().password),
            Change::HandOver => std::fs::write(&self.password, format!("{ROTATED}\n"))
                .map_err(|_| "the password's file cannot be written")?,
        }
        Ok(())
    }

    fn trouble(&self, trouble: Trouble) -> Can {
        let script = &self.fake.script;
        match trouble {
            Trouble::LaterPage => {
                script.always("$skip=10", Fault::Says(502, "text/html", "<html>"))
            }
            Trouble::Lookup => return Err("its lookup reads the list again"),
            Trouble::ThrottledOnce(after) => script.once("$skip=10", Fault::Throttled(after)),
            other => script.always(LIST, super::fault(other)?),
        }
        Ok(())
    }

    fn heal(&self) {
        self.fake.script.heal();
    }

    fn secrets(&self) -> Vec<String> {
        vec![PASSWORD.to_owned(), ROTATED.to_owned()]
    }
}
