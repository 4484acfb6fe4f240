//! The source `ironic` of fetcher-baremetal under the suite, with a Keystone before it. What only a real Ironic can
//! show is in `tests/it/ironic.rs`.

use fetcher_baremetal::Baremetal;
use fetcher_core::app::App;
use serde_json::{Value, json};

use super::{Adapter, Can, Change, Trouble};
use crate::fake_faults::Fault;
use crate::fake_ironic::{CREDENTIAL, FakeIronic, PASSWORD, SECRET, node, uuid};

const LIST: &str = "/v1/nodes?";
const ROTATED: &str = "rotated-credential-of-the-tests";

/// One Ironic.
pub struct IronicAdapter {
    fake: FakeIronic,
    secret: tempfile::TempPath,
}

impl IronicAdapter {
    /// The API under it.
    #[must_use]
    pub const fn fake(&self) -> &FakeIronic {
        &self.fake
    }

    fn set(&self, n: usize, key: &str, value: Value) {
        if let Some(node) = self.fake.world().node(&uuid(n)) {
            node[key] = value;
        }
    }
}

impl Adapter for IronicAdapter {
    type Provider = <Baremetal as App>::Provider;
    const MACHINES: usize = 55;
    // No provision state is the end of a node: a deleted one is no longer there.
    const MEANINGLESS: &'static [&'static str] = &["ended"];

    async fn start(machines: usize) -> anyhow::Result<Self> {
        let secret = tempfile::NamedTempFile::new()?.into_temp_path();
        std::fs::write(&secret, SECRET)?;
        Ok(Self { fake: FakeIronic::start((0..machines).map(node).collect(), 20).await?, secret })
    }

    fn provider(&self) -> anyhow::Result<Self::Provider> {
        let http = json!({"requestsPerSecond": 1000, "attempts": 2, "backoff": "10ms", "timeout": "2s",
            "bodyLimitMiB": 1});
        let keystone = json!({"url": self.fake.keystone, "id": CREDENTIAL,
            "secret": {"file": &*self.secret}, "http": http});
        let section = json!({"sources": [{"ironic": {"name": "dc1", "url": self.fake.url,
            "auth": {"keystone": keystone}, "http": http}}]});
        Ok(Baremetal::build(serde_json::from_value(section)?, Default::default())?)
    }

    fn id(&self, n: usize) -> String {
        uuid(n)
    }

    fn change(&self, change: Change) -> Can {
        match change {
            Change::Add(n) => self.fake.world().nodes.push(node(n)),
            Change::Remove(n) => self.fake.world().nodes.retain(|it| it["uuid"] != uuid(n)),
            Change::Role(n, role) => {
                let mut extra = node(n)["extra"].take();
                extra["role"] = role.map_or(Value::Null, |role| json!(role));
                self.set(n, "extra", extra);
            }
            Change::Name(n, name) => self.set(n, "name", json!(name)),
            Change::UnknownState(n) => self.set(n, "provision_state", json!("meditating")),
            Change::Bare(n) => {
                if let Some(node) = self.fake.world().node(&uuid(n)) {
                    *node = json!({"uuid": uuid(n), "name": null, "extra": {"role": "web"}});
                }
            }
            Change::Ended(_) => return Err("no state of Ironic is for ever"),
            Change::Reverse => self.fake.world().nodes.reverse(),
            Change::Twice => {
                let mut world = self.fake.world();
                let mut again = world.nodes.clone();
                again.iter_mut().for_each(|node| node["name"] = json!("another"));
                // Beside their twins: markers stand for the first of a uuid.
                for (at, node) in again.into_iter().enumerate() {
                    world.nodes.insert(2 * at + 1, node);
                }
            }
            Change::Empty => self.fake.world().nodes.clear(),
            Change::RemoveOnTheWay(n) => self
                .fake
                .world()
                .between(move |world| world.nodes.retain(|node| node["uuid"] != uuid(n))),
            Change::Hide(n) => {
                self.fake.world().hidden.insert(uuid(n));
            }
            Change::Rotate => {
                let mut world = self.fake.world();
                ROTATED.clone_into(&mut world.secret);
                world.tokens.clear();
            }
            Change::HandOver => std::fs::write(&self.secret, format!("{ROTATED}\n"))
                .map_err(|_| "the secret's file cannot be written")?,
        }
        Ok(())
    }

    fn trouble(&self, trouble: Trouble) -> Can {
        let script = &self.fake.script;
        match trouble {
            Trouble::LaterPage => script.always("marker=", Fault::Says(502, "text/html", "<html>")),
            Trouble::Lookup => script.always("/v1/nodes/", Fault::Says(502, "text/html", "<html>")),
            Trouble::ThrottledOnce(after) => script.once("marker=", Fault::Throttled(after)),
            other => script.always(LIST, super::fault(other)?),
        }
        Ok(())
    }

    fn heal(&self) {
        self.fake.script.heal();
    }

    fn secrets(&self) -> Vec<String> {
        vec![
            PASSWORD.to_owned(),
            SECRET.to_owned(),
            ROTATED.to_owned(),
            "token-of-the-tests".to_owned(),
        ]
    }
}
