//! fetcher-packet under the suite.

use std::collections::BTreeMap;

use fetcher_core::app::App;
use fetcher_packet::Packet;
use serde_json::{Value, json};

use super::{Adapter, Can, Change, ROLE, Trouble};
use crate::fake_faults::Fault;
use crate::fake_packet::{FakePacket, SECRET, TOKEN, World, device, id};

const PROJECT: &str = "c0ffee00-1111-4222-8333-444455556666";
const LIST: &str = "projects/";

/// One project.
pub struct PacketAdapter {
    fake: FakePacket,
    token: tempfile::TempPath,
}

fn machine(n: usize) -> Value {
    let mut device = device(n);
    device["tags"] = json!([format!("role={ROLE}")]);
    device
}

fn set(world: &mut World, n: usize, key: &str, value: Value) {
    if let Some(device) = world.device(&id(n)) {
        device[key] = value;
    }
}

impl PacketAdapter {
    /// The API itself, for what only this provider has.
    #[must_use]
    pub const fn fake(&self) -> &FakePacket {
        &self.fake
    }
}

impl Adapter for PacketAdapter {
    type Provider = <Packet as App>::Provider;
    const MACHINES: usize = 230;
    const MEANINGLESS: &'static [&'static str] = &[];

    async fn start(machines: usize) -> anyhow::Result<Self> {
        let all = BTreeMap::from([(PROJECT.to_owned(), (0..machines).map(machine).collect())]);
        let token = tempfile::NamedTempFile::new()?.into_temp_path();
        std::fs::write(&token, TOKEN)?;
        Ok(Self { fake: FakePacket::start(all).await?, token })
    }

    fn provider(&self) -> anyhow::Result<Self::Provider> {
        let section = json!({"url": self.fake.url, "token": {"file": &*self.token},
            "projects": [{"id": PROJECT}],
            "http": {"requestsPerSecond": 1000, "attempts": 2, "backoff": "10ms", "timeout": "2s",
                "bodyLimitMiB": 1}});
        Ok(Packet::build(serde_json::from_value(section)?, Default::default())?)
    }

    fn id(&self, n: usize) -> String {
        id(n)
    }

    fn change(&self, change: Change) -> Can {
        let mut world = self.fake.world();
        let world = &mut *world;
        match change {
            Change::Add(n) => world.devices(PROJECT).push(machine(n)),
            Change::Remove(n) => world.delete(&id(n)),
            Change::Role(n, role) => {
                let tags: Vec<_> = role.iter().map(|role| format!("role={role}")).collect();
                set(world, n, "tags", json!(tags));
            }
            Change::Name(n, name) => set(world, n, "hostname", json!(name)),
            Change::UnknownState(n) => set(world, n, "state", json!("meditating")),
            Change::Bare(n) => {
                let tags = json!([format!("role={ROLE}")]);
                if let Some(device) = world.device(&id(n)) {
                    *device = json!({"id": id(n), "tags": tags});
                }
            }
            Change::Ended(n) => set(world, n, "state", json!("deleted")),
            Change::Reverse => world.devices(PROJECT).reverse(),
            Change::Twice => {
                let mut again = world.devices(PROJECT).clone();
                again.iter_mut().for_each(|device| device["hostname"] = json!("another"));
                world.devices(PROJECT).extend(again);
            }
            Change::Empty => world.devices(PROJECT).clear(),
            Change::RemoveOnTheWay(n) => world.between(move |_, world| world.delete(&id(n))),
            Change::Hide(n) => {
                world.hidden.insert(id(n));
            }
            Change::Rotate => world.token = "rotated-token-of-the-tests".to_owned(),
            Change::HandOver => std::fs::write(&self.token, "rotated-token-of-the-tests\n")
                .map_err(|_| "the key's file cannot be written")?,
        }
        Ok(())
    }

    fn trouble(&self, trouble: Trouble) -> Can {
        let script = &self.fake.script;
        match trouble {
            Trouble::LaterPage => script.always("page=2", Fault::Says(502, "text/html", "<html>")),
            Trouble::Lookup => {
                script.always("v1/devices/", Fault::Says(502, "text/html", "<html>"));
            }
            Trouble::ThrottledOnce(after) => script.once("page=2", Fault::Throttled(after)),
            other => script.always(LIST, super::fault(other)?),
        }
        Ok(())
    }

    fn heal(&self) {
        self.fake.script.heal();
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.to_owned(), TOKEN.to_owned(), "rotated-token-of-the-tests".to_owned()]
    }
}
