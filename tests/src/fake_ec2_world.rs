//! An EC2 region that remembers: instances with tags and states, filters, pages with tokens, STS beside it.
//!
//! Written from AWS's descriptions and not from the client (see `fake_ec2` for load, and moto for the truth of EC2).
//! Requests are believed when the id of their access key is the world's; the signature is not computed again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fake_faults::{self, Answer, Api, Request, Script, Server};

/// The account that everything belongs to.
pub const ACCOUNT: &str = "210987654321";
/// The id of the access key at first.
pub const KEY: &str = "AKIAEXAMPLE000000001";
/// Its secret.
pub const SECRET: &str = "ec2-secret-of-the-tests";

/// One instance.
#[derive(Clone, Debug)]
pub struct Instance {
    /// `i-…`.
    pub id: String,
    /// `privateDnsName`.
    pub name: String,
    /// `instanceState`.
    pub state: String,
    /// `tagSet`.
    pub tags: BTreeMap<String, String>,
    /// Nothing comes of it but its id and tags.
    pub bare: bool,
}

/// A change of the world to come.
type Then = Box<dyn FnOnce(&mut World) + Send>;

/// What the region has.
#[derive(Default)]
pub struct World {
    /// In the order of lists.
    pub instances: Vec<Instance>,
    /// Lists come twice over, the second time under another name.
    pub twice: bool,
    /// Left out of lists, though a lookup by id finds them.
    pub hidden: BTreeSet<String>,
    /// Lookups by id find nothing, whatever there is.
    pub deaf: bool,
    /// The access key that is believed.
    pub key: String,
    /// What is left of lists that were begun, by token.
    rest: HashMap<String, Vec<Instance>>,
    between: Option<Then>,
}

/// A running region; ends with this value.
pub struct FakeRegion {
    /// Where EC2 and STS are asked.
    pub url: String,
    /// Faults, and the log of calls.
    pub script: Arc<Script>,
    world: Arc<Mutex<World>>,
    _server: Server,
}

/// The id of the n-th instance.
#[must_use]
pub fn id(n: usize) -> String {
    format!("i-0a1b2c3d{n:09x}")
}

/// The n-th instance, running, with these tags.
#[must_use]
pub fn instance(n: usize, tags: &[(&str, &str)]) -> Instance {
    let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Instance {
        id: id(n),
        name: format!("ip-10-0-{}-{}.eu-west-1.compute.internal", n / 256, n % 256),
        state: "running".to_owned(),
        tags: tags.collect(),
        bare: false,
    }
}

impl World {
    /// The instance of this id.
    pub fn instance(&mut self, id: &str) -> Option<&mut Instance> {
        self.instances.iter_mut().find(|instance| instance.id == id)
    }

    /// It is in no list and no lookup any more.
    pub fn remove(&mut self, id: &str) {
        self.instances.retain(|instance| instance.id != id);
    }

    /// Happens after the first page of the next list that has a second.
    pub fn between(&mut self, change: impl FnOnce(&mut Self) + Send + 'static) {
        self.between = Some(Box::new(change));
    }

    fn describe(&mut self, request: &Request) -> Answer {
        let size = request.number("MaxResults", 1000);
        let mut left = match request.param("NextToken") {
            None => self.begun(request),
            Some(token) => match self.rest.remove(token) {
                Some(left) => left,
                None => return refused(400, "InvalidNextToken", "The token is not known."),
            },
        };
        // A list is of the time when it began; what is gone since does not come.
        left.retain(|one| self.instances.iter().any(|there| there.id == one.id));
        let rest = left.split_off(size.min(left.len()));
        let mut token = String::new();
        if !rest.is_empty() {
            token = format!("token-{}", rest.len());
            self.rest.insert(token.clone(), rest);
            if let Some(change) = self.between.take() {
                change(self);
            }
        }
        xml(200, &page(&left, &token))
    }

    fn begun(&self, request: &Request) -> Vec<Instance> {
        let filters = filters(request);
        let by_id = filters.iter().any(|(name, _)| name == "instance-id");
        if by_id && self.deaf {
            return Vec::new();
        }
        let chosen = self.instances.iter().filter(|one| by_id || !self.hidden.contains(&one.id));
        let mut all: Vec<Instance> =
            chosen.filter(|one| filters.iter().all(|filter| holds(filter, one))).cloned().collect();
        if self.twice && !by_id {
            let again = all.clone().into_iter();
            all.extend(again.map(|one| Instance { name: "another.internal".to_owned(), ..one }));
        }
        all
    }
}

/// `Filter.1.Name=…&Filter.1.Value.1=…`: all must hold, each by any of its values.
fn filters(request: &Request) -> Vec<(String, Vec<String>)> {
    let name = |at: usize| request.param(&format!("Filter.{at}.Name"));
    let values = |at: usize| {
        (1..)
            .map_while(move |n| request.param(&format!("Filter.{at}.Value.{n}")).map(str::to_owned))
    };
    (1..).map_while(|at| Some((name(at)?.to_owned(), values(at).collect()))).collect()
}

fn holds((name, values): &(String, Vec<String>), one: &Instance) -> bool {
    let any = |text: &str| values.iter().any(|value| matches(value, text));
    match name.strip_prefix("tag:") {
        Some(key) => one.tags.get(key).is_some_and(|value| any(value)),
        None => match name.as_str() {
            "instance-id" => any(&one.id),
            "tag-key" => one.tags.keys().any(|key| any(key)),
            "instance-state-name" => any(&one.state),
            _ => false,
        },
    }
}

/// `*` is any text, `?` any character, and what follows `\` is itself.
fn matches(pattern: &str, text: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => text.is_empty(),
        Some('*') => (0..=text.len())
            .filter(|&at| text.is_char_boundary(at))
            .any(|at| text.get(at..).is_some_and(|tail| matches(rest.as_str(), tail))),
        Some(first) => {
            let mut tail = text.chars();
            let wanted = if first == '\\' { rest.next() } else { Some(first) };
            let next = tail.next();
            let fits = next.is_some() && (first == '?' || next == wanted);
            fits && matches(rest.as_str(), tail.as_str())
        }
    }
}

fn page(instances: &[Instance], token: &str) -> String {
    let items: String = instances.iter().map(item).collect();
    let token =
        if token.is_empty() { String::new() } else { format!("<nextToken>{token}</nextToken>") };
    format!(
        "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>\
         <reservationSet>{items}</reservationSet>{token}</DescribeInstancesResponse>"
    )
}

fn item(one: &Instance) -> String {
    let tags: String = one
        .tags
        .iter()
        .map(|(key, value)| format!("<item><key>{key}</key><value>{value}</value></item>"))
        .collect();
    let Instance { id, name, state, .. } = one;
    let rest = format!(
        "<instanceState><code>16</code><name>{state}</name></instanceState><privateDnsName>{name}</privateDnsName>\
         <instanceType>m7g.large</instanceType><launchTime>2026-08-30T06:12:44.000Z</launchTime>\
         <placement><availabilityZone>eu-west-1a</availabilityZone></placement><architecture>arm64</architecture>\
         <privateIpAddress>10.0.0.1</privateIpAddress><platformDetails>Linux/UNIX</platformDetails>"
    );
    let rest = if one.bare { String::new() } else { rest };
    format!(
        "<item><reservationId>r-1</reservationId><ownerId>{ACCOUNT}</ownerId><instancesSet><item><instanceId>{id}\
         </instanceId>{rest}<tagSet>{tags}</tagSet></item></instancesSet></item>"
    )
}

fn xml(status: u16, body: &str) -> Answer {
    Answer::new(status, "text/xml;charset=UTF-8", format!("{DECLARATION}{body}"))
}

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

fn refused(status: u16, code: &str, message: &str) -> Answer {
    xml(
        status,
        &format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>\
             <RequestID>r</RequestID></Response>"
        ),
    )
}

/// The key of `Credential=AKIA…/20260101/eu-west-1/ec2/aws4_request`.
fn key(request: &Request) -> Option<&str> {
    request.header("authorization")?.split("Credential=").nth(1)?.split('/').next()
}

struct Served(Arc<Mutex<World>>);

impl Api for Served {
    fn answer(&self, request: &Request) -> Answer {
        let mut world = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if key(request) != Some(&world.key) {
            let why = "AWS was not able to validate the provided access credentials";
            return refused(401, "AuthFailure", why);
        }
        if request.param("DryRun") == Some("true") {
            return refused(412, "DryRunOperation", "Request would have succeeded.");
        }
        match request.param("Action") {
            Some("DescribeInstances") => world.describe(request),
            Some("DescribeInstanceTypes") => xml(200, TYPES),
            Some("GetCallerIdentity") => xml(200, CALLER),
            action => refused(400, "InvalidAction", &format!("not known here: {action:?}")),
        }
    }
}

const TYPES: &str = "<DescribeInstanceTypesResponse><instanceTypeSet><item><instanceType>m7g.large</instanceType>\
    <vCpuInfo><defaultVCpus>2</defaultVCpus></vCpuInfo><memoryInfo><sizeInMiB>8192</sizeInMiB></memoryInfo></item>\
    </instanceTypeSet></DescribeInstanceTypesResponse>";

const CALLER: &str = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
    <GetCallerIdentityResult><Arn>arn:aws:iam::210987654321:user/x</Arn><UserId>A</UserId>\
    <Account>210987654321</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";

impl FakeRegion {
    /// Starts one with these instances.
    ///
    /// # Errors
    /// No port.
    pub async fn start(instances: Vec<Instance>) -> std::io::Result<Self> {
        let world = World { instances, key: KEY.to_owned(), ..World::default() };
        let (world, script) = (Arc::new(Mutex::new(world)), Arc::<Script>::default());
        let api = Arc::new(Served(Arc::clone(&world)));
        let server = fake_faults::serve(api, Arc::clone(&script)).await?;
        Ok(Self { url: server.origin.clone(), script, world, _server: server })
    }

    /// The world, to be changed.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
