//! fetcher-cloudforms under the suite.

use fetcher_cloudforms::Cloudforms;
use fetcher_core::app::App;
use serde_json::{Value, json};

use super::{Adapter, Can, Change, ROLE, Trouble};
use crate::fake_cloudforms::{FakeCloudforms, PASSWORD, USER, World, guid, vm};
use crate::fake_faults::Fault;

/// A list of VMs, and not a lookup, which names guids.
const LIST: &str = "filter[]=active=true";

/// One appliance.
pub struct CloudformsAdapter {
    fake: FakeCloudforms,
    password: tempfile::TempPath,
}

fn tags(role: Option<&str>) -> Value {
    role.iter().map(|role| json!({"name": format!("/managed/role/{role}")})).collect()
}

fn machine(n: usize) -> Value {
    let mut vm = vm(n);
    vm["tags"] = tags(Some(ROLE));
    vm
}

fn set(world: &mut World, n: usize, key: &str, value: Value) {
    if let Some(vm) = world.vm(&guid(n)) {
        vm[key] = value;
    }
}

impl CloudformsAdapter {
    /// The API itself, for what only this provider has.
    #[must_use]
    pub const fn fake(&self) -> &FakeCloudforms {
        &self.fake
    }
}

impl Adapter for CloudformsAdapter {
    type Provider = <Cloudforms as App>::Provider;
    const MACHINES: usize = 25;
    const MEANINGLESS: &'static [&'static str] = &["ended"];

    async fn start(machines: usize) -> anyhow::Result<Self> {
        let fake = FakeCloudforms::start((0..machines).map(machine).collect()).await?;
        fake.world().tags.insert(format!("/managed/role/{ROLE}"));
        let password = tempfile::NamedTempFile::new()?.into_temp_path();
        std::fs::write(&password, PASSWORD)?;
        Ok(Self { fake, password })
    }

    fn provider(&self) -> anyhow::Result<Self::Provider> {
        let section = json!({"appliances": [{"name": "dc1", "url": self.fake.url, "username": USER,
            "password": {"file": &*self.password}, "pageSize": 10,
            "http": {"requestsPerSecond": 1000, "attempts": 2, "backoff": "10ms", "timeout": "2s",
                "bodyLimitMiB": 1}}]});
        Ok(Cloudforms::build(serde_json::from_value(section)?, Default::default())?)
    }

    fn id(&self, n: usize) -> String {
        guid(n)
    }

    fn change(&self, change: Change) -> Can {
        let mut world = self.fake.world();
        let world = &mut *world;
        match change {
            Change::Add(n) => world.vms.push(machine(n)),
            Change::Remove(n) => world.purge(&guid(n)),
            Change::Role(n, role) => set(world, n, "tags", tags(role)),
            Change::Name(n, name) => set(world, n, "hostnames", json!([name])),
            Change::UnknownState(n) => set(world, n, "power_state", json!("levitating")),
            Change::Bare(n) => {
                if let Some(vm) = world.vm(&guid(n)) {
                    *vm = json!({"id": vm["id"], "guid": vm["guid"], "ems_id": vm["ems_id"],
                        "tags": tags(Some(ROLE))});
                }
            }
            Change::Ended(_) => {
                return Err("no state of ManageIQ is an end: a manager can come back");
            }
            Change::Reverse => world.vms.reverse(),
            Change::Twice => {
                let mut again = world.vms.clone();
                again.iter_mut().for_each(|vm| vm["hostnames"] = json!(["another"]));
                world.vms.extend(again);
            }
            Change::Empty => world.vms.clear(),
            Change::RemoveOnTheWay(n) => world.between(move |_, world| world.purge(&guid(n))),
            Change::Hide(n) => {
                world.hidden.insert(guid(n));
            }
            Change::Rotate => {
                world.password = "rotated-password-of-the-tests".to_owned();
                world.expire();
            }
            Change::HandOver => std::fs::write(&self.password, "rotated-password-of-the-tests\n")
                .map_err(|_| "the password's file cannot be written")?,
        }
        Ok(())
    }

    fn trouble(&self, trouble: Trouble) -> Can {
        let script = &self.fake.script;
        match trouble {
            Trouble::LaterPage => {
                script.always("offset=10", Fault::Says(502, "text/html", "<html>"))
            }
            Trouble::Lookup => script.always("guid=", Fault::Says(502, "text/html", "<html>")),
            Trouble::ThrottledOnce(after) => script.once("offset=10", Fault::Throttled(after)),
            other => script.always(LIST, super::fault(other)?),
        }
        Ok(())
    }

    fn heal(&self) {
        self.fake.script.heal();
    }

    fn secrets(&self) -> Vec<String> {
        vec![PASSWORD.to_owned(), "-of-the-tests".to_owned()]
    }
}
