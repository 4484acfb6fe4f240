//! fetcher-aws under the suite.

use fetcher_aws::Aws;
use fetcher_core::app::App;
use serde_json::json;

use super::{Adapter, Can, Change, ROLE, Trouble};
use crate::fake_ec2_world::{FakeRegion, Instance, KEY, SECRET, World, id, instance};
use crate::fake_faults::Fault;

/// A list by the selector, and not a lookup, which names ids.
const LIST: &str = "Filter.1.Name=tag:role";
/// A page of it that is not the first.
const LATER: &str = "NextToken=";
/// A lookup.
const LOOKUP: &str = "Filter.1.Name=instance-id";

/// How EC2 asks for fewer calls.
const THROTTLED: &str = "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.\
    </Message></Error></Errors><RequestID>r</RequestID></Response>";

const ROTATED: &str = "AKIAEXAMPLE000000002";

/// One region of one account.
pub struct AwsAdapter {
    fake: FakeRegion,
    keys: tempfile::TempPath,
}

fn machine(n: usize) -> Instance {
    instance(n, &[("role", ROLE)])
}

fn keys(id: &str) -> String {
    format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = {SECRET}\n")
}

fn edit(world: &mut World, n: usize, edit: impl FnOnce(&mut Instance)) {
    if let Some(instance) = world.instance(&id(n)) {
        edit(instance);
    }
}

impl Adapter for AwsAdapter {
    type Provider = <Aws as App>::Provider;
    const MACHINES: usize = 25;
    const MEANINGLESS: &'static [&'static str] = &[];

    async fn start(machines: usize) -> anyhow::Result<Self> {
        let file = tempfile::NamedTempFile::new()?.into_temp_path();
        std::fs::write(&file, keys(KEY))?;
        let fake = FakeRegion::start((0..machines).map(machine).collect()).await?;
        Ok(Self { fake, keys: file })
    }

    fn provider(&self) -> anyhow::Result<Self::Provider> {
        let url = &self.fake.url;
        let section = json!({"regions": ["eu-west-1"], "endpoints": {"ec2": url, "sts": url},
            "credentialsFile": &*self.keys, "pageSize": 10, "requestsPerSecond": 1000, "attempts": 2,
            "attemptTimeout": "3s"});
        Ok(Aws::build(serde_json::from_value(section)?, Default::default())?)
    }

    fn id(&self, n: usize) -> String {
        id(n)
    }

    fn change(&self, change: Change) -> Can {
        let mut world = self.fake.world();
        let world = &mut *world;
        match change {
            Change::Add(n) => world.instances.push(machine(n)),
            Change::Remove(n) => world.remove(&id(n)),
            Change::Role(n, role) => edit(world, n, |one| {
                one.tags.remove("role");
                one.tags.extend(role.map(|role| ("role".to_owned(), role.to_owned())));
            }),
            Change::Name(n, name) => edit(world, n, |one| one.name = name.to_owned()),
            Change::UnknownState(n) => edit(world, n, |one| one.state = "hovering".to_owned()),
            Change::Bare(n) => edit(world, n, |one| one.bare = true),
            Change::Ended(n) => edit(world, n, |one| one.state = "terminated".to_owned()),
            Change::Reverse => world.instances.reverse(),
            Change::Twice => world.twice = true,
            Change::Empty => world.instances.clear(),
            Change::RemoveOnTheWay(n) => world.between(move |world| world.remove(&id(n))),
            Change::Hide(n) => {
                world.hidden.insert(id(n));
            }
            Change::Rotate => world.key = ROTATED.to_owned(),
            Change::HandOver => std::fs::write(&self.keys, keys(ROTATED))
                .map_err(|_| "the file of the keys cannot be written")?,
        }
        Ok(())
    }

    fn trouble(&self, trouble: Trouble) -> Can {
        let script = &self.fake.script;
        let throttled = || Fault::Says(503, "text/xml", THROTTLED);
        match trouble {
            Trouble::LaterPage => script.always(LATER, Fault::Says(502, "text/html", "<html>")),
            Trouble::Lookup => script.always(LOOKUP, Fault::Says(502, "text/html", "<html>")),
            // EC2 names no time to wait; a gateway before it may.
            Trouble::ThrottledOnce(Some(after)) => {
                script.once(LATER, Fault::Throttled(Some(after)));
            }
            Trouble::ThrottledOnce(None) => script.once(LATER, throttled()),
            Trouble::Throttled => script.always(LIST, throttled()),
            // A page of 1,000 instances has some MB: the limit is 64 MiB.
            Trouble::Huge => script.always(LIST, Fault::Huge(65 << 20)),
            other => script.always(LIST, super::fault(other)?),
        }
        Ok(())
    }

    fn heal(&self) {
        self.fake.script.heal();
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.to_owned()]
    }
}
