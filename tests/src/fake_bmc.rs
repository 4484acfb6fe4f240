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

/// Where sessions are, below the root.
const SESSIONS: &str = "SessionService/Sessions";

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
    /// Sessions that are open, by their token.
    pub sessions: BTreeSet<String>,
    /// How many were opened.
    pub opened: usize,
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
        let (hidden, sessions) = (BTreeSet::new(), BTreeSet::new());
        let world = World { bmcs, password, page, hidden, sessions, opened: 0, between: None };
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
            let root = json!({"RedfishVersion": "1.18.0", "Systems": {"@odata.id": format!("{base}/Systems")},
                "Links": {"Sessions": {"@odata.id": format!("{base}/{SESSIONS}")}}});
            return Answer::json(200, &root);
        }
        if let Some(token) = path.strip_prefix(SESSIONS) {
            return session(&mut world, request, &base, token.trim_start_matches('/'));
        }
        let known = BASIC.iter().find(|(password, _)| *password == world.password);
        let wanted = known.map(|(_, encoded)| format!("Basic {encoded}"));
        let token = request.header("x-auth-token");
        let is_in_session = token.is_some_and(|token| world.sessions.contains(token));
        if !is_in_session && request.header("authorization").map(ToOwned::to_owned) != wanted {
            return no_session();
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

/// Opens one with the password, or closes the one of this token. It is called by another host than it is reached at.
fn session(world: &mut World, request: &Request, base: &str, token: &str) -> Answer {
    if request.method == "DELETE" {
        let is_open = world.sessions.remove(token);
        return if is_open { Answer::json(200, &json!({})) } else { no_session() };
    }
    let login: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    if login != json!({"UserName": USER, "Password": world.password}) {
        return no_session();
    }
    world.opened += 1;
    let token = format!("token-{}", world.opened);
    world.sessions.insert(token.clone());
    Answer::json(201, &json!({}))
        .with("Location", format!("https://bmc.example.net{base}/{SESSIONS}/{token}"))
        .with("X-Auth-Token", token)
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

fn no_session() -> Answer {
    error(401, "Base.1.18.NoValidSession")
}

fn error(status: u16, code: &str) -> Answer {
    Answer::json(
        status,
        &json!({"error": {"code": code, "message": "refused",
        "@Message.ExtendedInfo": [{"MessageId": code}]}}),
    )
}
