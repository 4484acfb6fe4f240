//! The source `netbox` of fetcher-baremetal under the suite. NetBox has no tag with a value: the role is a custom field.

use fetcher_baremetal::Baremetal;
use fetcher_core::app::App;
use serde_json::{Value, json};

use super::{Adapter, Can, Change, Trouble};
use crate::fake_faults::Fault;
use crate::fake_netbox::{FakeNetBox, SECRET, TOKEN, device};

const LIST: &str = "dcim/devices/";
const ROTATED: &str = "nbt_MNOPQRSTUVWX.rotated-token-of-the-tests-0123456789";

/// One NetBox.
pub struct NetBoxAdapter {
    fake: FakeNetBox,
    token: tempfile::TempPath,
}

/// NetBox counts from 1.
fn number(n: usize) -> u64 {
    n as u64 + 1
}

impl NetBoxAdapter {
    fn set(&self, n: usize, key: &str, value: Value) {
        if let Some(device) = self.fake.world().device(number(n)) {
            device[key] = value;
        }
    }
}

impl Adapter for NetBoxAdapter {
    type Provider = <Baremetal as App>::Provider;
    const MACHINES: usize = 55;
    const SELECTOR: &'static str = "cf_role=web,inventory";
    // A status of NetBox is what people typed: none of them is the end of a machine.
    const MEANINGLESS: &'static [&'static str] = &["ended"];

    async fn start(machines: usize) -> anyhow::Result<Self> {
        let all = (0..machines).map(|n| device(number(n))).collect();
        let token = tempfile::NamedTempFile::new()?.into_temp_path();
        std::fs::write(&token, TOKEN)?;
        Ok(Self { fake: FakeNetBox::start(all, 20).await?, token })
    }

    fn provider(&self) -> anyhow::Result<Self::Provider> {
        let section = json!({"sources": [{"netbox": {"name": "dc1", "url": self.fake.url,
            "token": {"file": &*self.token},
            "http": {"requestsPerSecond": 1000, "attempts": 2, "backoff": "10ms", "timeout": "2s",
                "bodyLimitMiB": 1}}}]});
        Ok(Baremetal::build(serde_json::from_value(section)?, Default::default())?)
    }

    fn id(&self, n: usize) -> String {
        format!("device-{}", number(n))
    }

    fn change(&self, change: Change) -> Can {
        match change {
            Change::Add(n) => self.fake.world().devices.push(device(number(n))),
            Change::Remove(n) => self.fake.world().devices.retain(|d| d["id"] != number(n)),
            Change::Role(n, role) => self.set(n, "custom_fields", json!({ "role": role })),
            Change::Name(n, name) => self.set(n, "name", json!(name)),
            Change::UnknownState(n) => self.set(n, "status", json!({"value": "meditating"})),
            Change::Bare(n) => {
                let bare = json!({"id": number(n), "name": null, "tags": [{"slug": "inventory"}],
                    "custom_fields": {"role": "web"}});
                if let Some(device) = self.fake.world().device(number(n)) {
                    *device = bare;
                }
            }
            Change::Ended(_) => return Err("no status of NetBox is for ever"),
            Change::Reverse => self.fake.world().devices.reverse(),
            Change::Twice => {
                let mut world = self.fake.world();
                let mut again = world.devices.clone();
                again.iter_mut().for_each(|device| device["name"] = json!("another"));
                world.devices.extend(again);
            }
            Change::Empty => self.fake.world().devices.retain_mut(|device| {
                // A tag stays known as long as one device has it.
                device["custom_fields"] = json!({});
                device["id"] == number(0)
            }),
            Change::RemoveOnTheWay(n) => self
                .fake
                .world()
                .between(move |world| world.devices.retain(|d| d["id"] != number(n))),
            Change::Hide(n) => {
                self.fake.world().hidden.insert(number(n));
            }
            Change::Rotate => ROTATED.clone_into(&mut self.fake.world().token),
            Change::HandOver => std::fs::write(&self.token, format!("{ROTATED}\n"))
                .map_err(|_| "the token's file cannot be written")?,
        }
        Ok(())
    }

    fn trouble(&self, trouble: Trouble) -> Can {
        let script = &self.fake.script;
        match trouble {
            Trouble::LaterPage => {
                script.always("offset=20", Fault::Says(502, "text/html", "<html>"))
            }
            Trouble::Lookup => script.always("?id=", Fault::Says(502, "text/html", "<html>")),
            Trouble::ThrottledOnce(after) => script.once("offset=20", Fault::Throttled(after)),
            other => script.always(LIST, super::fault(other)?),
        }
        Ok(())
    }

    fn heal(&self) {
        self.fake.script.heal();
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.to_owned(), TOKEN.to_owned(), ROTATED.to_owned()]
    }
}
