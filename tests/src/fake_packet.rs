//! A Packet API that remembers: projects, devices, one key; written from the facts of the last specification.
//!
//! Not a simulation of machines: a test changes the world by hand, between two rounds or between two pages. It
//! always sends the secrets that a client may ask it to leave out, because `exclude` is a hint only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::fake_faults::{self, Answer, Api, Request, Script, Server};

/// A text that no output of a fetcher may hold.
pub const SECRET: &str = "MUST-NEVER-BE-STORED";
/// The key that opens the API.
pub const TOKEN: &str = "packet-token-of-the-tests";

/// What happens after a page was served.
type Between = Box<dyn FnMut(usize, &mut World) + Send>;

/// What there is.
pub struct World {
    /// Devices by project.
    pub projects: BTreeMap<String, Vec<Value>>,
    /// The key that is valid now.
    pub token: String,
    /// Devices of which one asked for alone is 403: their order failed.
    pub forbidden: BTreeSet<String>,
    /// Devices that lists leave out though they exist.
    pub hidden: BTreeSet<String>,
    /// Added to every total.
    pub wrong_total: i64,
    /// What `last_page` says of an empty list: 0 or 1.
    pub empty_last_page: usize,
    /// Whether only the first page is ever served, whatever is asked.
    pub stuck: bool,
    between: Option<Between>,
}

/// A Packet API on loopback.
pub struct FakePacket {
    /// Its base, version included.
    pub url: String,
    /// What goes wrong, and what was asked.
    pub script: Arc<Script>,
    world: Arc<Mutex<World>>,
    _server: Server,
}

impl FakePacket {
    /// A server with these projects and devices.
    ///
    /// # Errors
    /// No port.
    pub async fn start(projects: BTreeMap<String, Vec<Value>>) -> std::io::Result<Self> {
        let world = Arc::new(Mutex::new(World {
            projects,
            token: TOKEN.to_owned(),
            forbidden: BTreeSet::new(),
            hidden: BTreeSet::new(),
            wrong_total: 0,
            empty_last_page: 1,
            stuck: false,
            between: None,
        }));
        let script = Arc::new(Script::default());
        let api = Arc::new(Served(Arc::clone(&world)));
        let server = fake_faults::serve(api, Arc::clone(&script)).await?;
        Ok(Self { url: format!("{}/metal/v1", server.origin), script, world, _server: server })
    }

    /// The world, to be looked at and changed.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens after each page, by its number.
    pub fn between(&self, happens: impl FnMut(usize, &mut World) + Send + 'static) {
        self.world().between(happens);
    }
}

impl World {
    /// What happens after each page from now on.
    pub fn between(&mut self, happens: impl FnMut(usize, &mut Self) + Send + 'static) {
        self.between = Some(Box::new(happens));
    }

    /// The devices of a project.
    pub fn devices(&mut self, project: &str) -> &mut Vec<Value> {
        self.projects.entry(project.to_owned()).or_default()
    }

    /// One device.
    pub fn device(&mut self, id: &str) -> Option<&mut Value> {
        self.projects.values_mut().flatten().find(|device| device["id"] == id)
    }

    /// Deletes one.
    pub fn delete(&mut self, id: &str) {
        self.projects.values_mut().for_each(|all| all.retain(|device| device["id"] != id));
    }
}

/// The n-th device: an id, a name, a state, an address, the tags `inventory` and `role=…`, and secrets.
pub fn device(n: usize) -> Value {
    let [.., a, b, c] = (n as u32).to_be_bytes();
    json!({
        "id": id(n), "short_id": format!("{n:08x}"), "hostname": format!("edge-{n}"), "state": "active",
        "tags": ["inventory", format!("role={}", if n.is_multiple_of(2) { "edge" } else { "core" })],
        "created_at": "2025-03-04T10:15:00Z", "updated_at": "2026-02-01T08:00:12Z",
        "billing_cycle": "hourly", "locked": false, "spot_instance": false, "termination_time": null,
        "root_password": SECRET, "userdata": SECRET, "customdata": {"k": SECRET}, "user": SECRET,
        "facility": {"code": "am6"}, "metro": {"code": "am", "country": "NL"},
        "plan": {"slug": "c3.small.x86", "specs": {"cpus": [{"count": 1, "type": "8 cores"}],
            "memory": {"total": "32GB"}, "drives": [{"count": 2, "type": "SSD", "size": "480GB"}]}},
        "operating_system": {"slug": "ubuntu_24_04", "name": "Ubuntu 24.04 LTS", "version": "24.04"},
        "ip_addresses": [
            {"address": format!("10.{a}.{b}.{c}"), "cidr": 31, "public": false, "management": true}],
        "network_ports": [{"name": "eth0", "data": {"mac": format!("b4:96:91:{a:02x}:{b:02x}:{c:02x}")}}],
    })
}

/// The id of the n-th device.
pub fn id(n: usize) -> String {
    format!("{n:08x}-7d1b-4a0e-9c3e-2b8f5f4e9a01")
}

struct Served(Arc<Mutex<World>>);

impl Api for Served {
    fn answer(&self, request: &Request) -> Answer {
        let mut world = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if request.header("x-auth-token") != Some(&world.token) {
            return error(401, "Invalid authentication token");
        }
        let path = request.path.strip_prefix("/metal/v1/").unwrap_or_default();
        match path.split('/').collect::<Vec<_>>().as_slice() {
            ["projects"] | ["organizations", _, "projects"] => {
                let all: Vec<_> = world.projects.keys().map(|id| json!({"id": id})).collect();
                page(&world, "projects", &all.iter().collect::<Vec<_>>(), request)
            }
            ["projects", id, "devices"] => {
                let answer = devices(&world, id, request);
                happen(&mut world, request.number("page", 1));
                answer
            }
            ["devices", id] if world.forbidden.contains(*id) => {
                error(403, "You are not authorized to view this device")
            }
            ["devices", id] => one(&world, id),
            _ => error(404, "Not found"),
        }
    }
}

fn devices(world: &World, project: &str, request: &Request) -> Answer {
    let Some(all) = world.projects.get(project) else { return error(404, "Not found") };
    let wanted = request.param("tag");
    let has = |device: &&Value| {
        let mut tags = device["tags"].as_array().into_iter().flatten();
        let is_hidden = device["id"].as_str().is_some_and(|id| world.hidden.contains(id));
        !is_hidden && wanted.is_none_or(|tag| tags.any(|its| its == tag))
    };
    page(world, "devices", &all.iter().filter(has).collect::<Vec<_>>(), request)
}

fn one(world: &World, id: &str) -> Answer {
    let found = world.projects.iter().find_map(|(project, devices)| {
        let mut device = devices.iter().find(|device| device["id"] == id)?.clone();
        device["project"] = json!({ "id": project, "name": "of the tests" });
        Some(device)
    });
    found.map_or_else(|| error(404, "Not found"), |device| Answer::json(200, &device))
}

fn page(world: &World, key: &str, all: &[&Value], request: &Request) -> Answer {
    let size = request.number("per_page", 10).clamp(1, 100);
    let page = request.number("page", 1).max(1);
    let served = if world.stuck { 1 } else { page };
    let items: Vec<_> = all.iter().skip((served - 1) * size).take(size).collect();
    let last = all.len().div_ceil(size).max(world.empty_last_page.min(1));
    let next = (page < last)
        .then(|| json!({"href": format!("{}?page={}&per_page={size}", request.path, page + 1)}));
    let total = (all.len() as i64 + world.wrong_total).max(0);
    let meta = json!({"first": {"href": request.path}, "previous": null, "next": next,
        "current_page": page, "last_page": last, "total": total});
    Answer::json(200, &json!({ key: items, "meta": meta }))
}

fn happen(world: &mut World, page: usize) {
    if let Some(mut happens) = world.between.take() {
        happens(page, world);
        world.between.get_or_insert(happens);
    }
}

fn error(status: u16, text: &str) -> Answer {
    Answer::json(status, &json!({ "errors": [text] }))
}
