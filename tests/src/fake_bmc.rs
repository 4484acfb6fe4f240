//! One process that answers for many BMCs and aggregators: each has a folder of its own on the same port.
//!
//! A fetcher only reaches them all because it follows `@odata.id` and builds no address. Slow and dead ones are
//! made by the script.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::fake_faults::{self, Answer, Api, Request, Script, Server};

/// The user that is let in.
pub const USER: &str = "ops";
/// Its password, at first.
pub const PASSWORD: &str = "bmc-password-of-the-tests";
/// What it becomes when it is rotated.
pub const ROTATED: &str = "rotated-password-of-the-tests";

/// `ops` and each of the passwords, in base 64.
const BASIC: [(&str, &str); 2] = [
    (PASSWORD, "b3BzOmJtYy1wYXNzd29yZC1vZi10aGUtdGVzdHM="),
    (ROTATED, "b3BzOnJvdGF0ZWQtcGFzc3dvcmQtb2YtdGhlLXRlc3Rz"),
];

type Between = Box<dyn FnMut(&mut World) + Send>;

/// What there is.
pub struct World {
    /// Systems by their id, of each BMC by its name.
    pub bmcs: BTreeMap<String, Vec<Value>>,
    /// The password that is valid now.
    pub password: String,
    /// Systems a page of a collection.
    pub page: usize,
    /// Systems that collections leave out though they exist.
    pub hidden: BTreeSet<String>,
    between: Option<Between>,
}

/// Many BMCs on loopback.
pub struct FakeBmcs {
    /// The base of all of them.
    pub origin: String,
    /// What goes wrong, and what was asked.
    pub script: Arc<Script>,
    world: Arc<Mutex<World>>,
    _server: Server,
}

impl FakeBmcs {
    /// A server for these BMCs, which page by `page`.
    ///
    /// # Errors
    /// No port.
    pub async fn start(bmcs: BTreeMap<String, Vec<Value>>, page: usize) -> std::io::Result<Self> {
        let password = PASSWORD.to_owned();
        let world = World { bmcs, password, page, hidden: BTreeSet::new(), between: None };
        let world = Arc::new(Mutex::new(world));
        let script = Arc::new(Script::default());
        let server =
            fake_faults::serve(Arc::new(Served(Arc::clone(&world))), Arc::clone(&script)).await?;
        Ok(Self { origin: server.origin.clone(), script, world, _server: server })
    }

    /// The address of one.
    #[must_use]
    pub fn url(&self, bmc: &str) -> String {
        format!("{}/{bmc}/", self.origin)
    }

    /// The world, to be looked at and changed.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    /// What happens after the next page of a collection.
    pub fn between(&mut self, happens: impl FnMut(&mut Self) + Send + 'static) {
        self.between = Some(Box::new(happens));
    }
}

/// The n-th system: on, with a UUID and a serial number.
#[must_use]
pub fn system(n: usize) -> Value {
    json!({"Id": n.to_string(), "Name": "System", "SystemType": "Physical", "UUID": uuid(n).to_uppercase(),
        "SerialNumber": format!("SN{n:06}"), "Manufacturer": "Contoso", "Model": "R3500",
        "HostName": format!("h{n}.example.net"), "PowerState": "On",
        "Status": {"State": "Enabled", "Health": "OK"}, "MemorySummary": {"TotalSystemMemoryGiB": 64}})
}

/// The UUID of the n-th system.
#[must_use]
pub fn uuid(n: usize) -> String {
    format!("4c4c4544-0042-4410-8056-{n:012x}")
}

struct Served(Arc<Mutex<World>>);

impl Api for Served {
    fn answer(&self, request: &Request) -> Answer {
        let mut world = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((bmc, path)) = request.path.trim_start_matches('/').split_once("/redfish/v1/")
        else {
            return error(404, "Base.1.18.ResourceNotFound");
        };
        let base = format!("/{bmc}/redfish/v1");
        if path.is_empty() {
            let root = json!({"RedfishVersion": "1.18.0", "Systems": {"@odata.id": format!("{base}/Systems")}});
            return Answer::json(200, &root);
        }
        let known = BASIC.iter().find(|(password, _)| *password == world.password);
        let wanted = known.map(|(_, encoded)| format!("Basic {encoded}"));
        if request.header("authorization").map(ToOwned::to_owned) != wanted {
            return error(401, "Base.1.18.NoValidSession");
        }
        match path.strip_prefix("Systems") {
            Some("") => {
                let page = collection(&world, bmc, &base, request.number("$skip", 0));
                if let Some(mut happens) = world.between.take() {
                    happens(&mut world);
                }
                page
            }
            Some(id) => one(&world, bmc, &base, id.trim_start_matches('/')),
            None => error(404, "Base.1.18.ResourceNotFound"),
        }
    }
}

fn collection(world: &World, bmc: &str, base: &str, skip: usize) -> Answer {
    let systems = world.bmcs.get(bmc).map(Vec::as_slice).unwrap_or_default();
    let ids: Vec<&str> = systems
        .iter()
        .filter_map(|system| system["Id"].as_str())
        .filter(|id| !world.hidden.contains(*id))
        .collect();
    let members: Vec<_> = ids
        .iter()
        .skip(skip)
        .take(world.page)
        .map(|id| json!({"@odata.id": format!("{base}/Systems/{id}")}))
        .collect();
    let mut page = json!({"Name": "Computer System Collection", "Members@odata.count": ids.len(),
        "Members": members});
    if skip + world.page < ids.len() {
        page["Members@odata.nextLink"] =
            json!(format!("{base}/Systems?$skip={}", skip + world.page));
    }
    Answer::json(200, &page)
}

fn one(world: &World, bmc: &str, base: &str, id: &str) -> Answer {
    let systems = world.bmcs.get(bmc).map(Vec::as_slice).unwrap_or_default();
    let Some(system) = systems.iter().find(|system| system["Id"] == id) else {
        return error(404, "Base.1.18.ResourceNotFound");
    };
    let mut system = system.clone();
    system["@odata.id"] = json!(format!("{base}/Systems/{id}"));
    Answer::json(200, &system)
}

fn error(status: u16, code: &str) -> Answer {
    Answer::json(
        status,
        &json!({"error": {"code": code, "message": "refused",
        "@Message.ExtendedInfo": [{"MessageId": code}]}}),
    )
}
