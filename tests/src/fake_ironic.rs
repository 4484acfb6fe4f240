//! An Ironic with its Keystone that remembers: nodes, ports, an application credential and its tokens, written from the
//! facts of 2026.
//!
//! With its traps: no version header means 1.1, a version it does not have is a 406, the marker of a deleted node is a
//! 404, a full page has a `next` that names a host only Ironic knows, errors are JSON within JSON, passwords are there.
//! A real Ironic is in `servers::ironic`; it can be neither broken at will nor given a Keystone.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::fake_faults::{self, Answer, Api, Request, Script, Server};

/// A text that no output of a fetcher may hold.
pub const PASSWORD: &str = "IRONIC-MUST-NEVER-BE-STORED";
/// The id of the application credential.
pub const CREDENTIAL: &str = "21dced0fd20347869b93710d2b98aae0";
/// Its secret.
pub const SECRET: &str = "application-credential-of-the-tests";

/// The newest microversion.
const NEWEST: u16 = 115;

type Between = Box<dyn FnMut(&mut World) + Send>;

/// What there is.
pub struct World {
    /// Nodes, in the order of their enrolment, which is the order of lists.
    pub nodes: Vec<Value>,
    /// Ports.
    pub ports: Vec<Value>,
    /// What a limit is cut to.
    pub page: usize,
    /// The secret of the application credential that is valid now.
    pub secret: String,
    /// Tokens that are valid now.
    pub tokens: BTreeSet<String>,
    /// How long a token lives by its own word, in seconds.
    pub life: i64,
    /// How many logins there were.
    pub logins: usize,
    /// Nodes that lists leave out though they exist.
    pub hidden: BTreeSet<String>,
    between: Option<Between>,
}

/// An Ironic on loopback, and a Keystone below `/identity` of the same port.
pub struct FakeIronic {
    /// Where Ironic is, without `/v1`.
    pub url: String,
    /// Where Keystone is.
    pub keystone: String,
    /// What goes wrong, and what was asked.
    pub script: Arc<Script>,
    world: Arc<Mutex<World>>,
    _server: Server,
}

impl FakeIronic {
    /// A server with these nodes, a port for each, which pages by `page`.
    ///
    /// # Errors
    /// No port.
    pub async fn start(nodes: Vec<Value>, page: usize) -> std::io::Result<Self> {
        let ports = nodes.iter().enumerate().map(|(n, node)| port(n, node)).collect();
        let world = Arc::new(Mutex::new(World {
            nodes,
            ports,
            page,
            secret: SECRET.to_owned(),
            tokens: BTreeSet::new(),
            life: 3600,
            logins: 0,
            hidden: BTreeSet::new(),
            between: None,
        }));
        let script = Arc::new(Script::default());
        let served = Served(Arc::clone(&world));
        let server = fake_faults::serve(Arc::new(served), Arc::clone(&script)).await?;
        let keystone = format!("{}/identity", server.origin);
        Ok(Self { url: server.origin.clone(), keystone, script, world, _server: server })
    }

    /// The world, to be looked at and changed.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    /// One node.
    pub fn node(&mut self, uuid: &str) -> Option<&mut Value> {
        self.nodes.iter_mut().find(|node| node["uuid"] == uuid)
    }

    /// What happens after the next page of nodes.
    pub fn between(&mut self, happens: impl FnMut(&mut Self) + Send + 'static) {
        self.between = Some(Box::new(happens));
    }

    fn log_in(&mut self, body: &[u8]) -> Answer {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let credential = &asked["auth"]["identity"]["application_credential"];
        if credential["id"] != CREDENTIAL || credential["secret"] != self.secret.as_str() {
            let said = "The request you have made requires authentication.";
            let error = json!({"code": 401, "message": said, "title": "Unauthorized"});
            return Answer::json(401, &json!({ "error": error }));
        }
        self.logins += 1;
        let token = format!("gAAAAAB-token-of-the-tests-{:04}", self.logins);
        self.tokens.insert(token.clone());
        let issued = jiff::Timestamp::UNIX_EPOCH;
        let expires = issued + jiff::SignedDuration::from_secs(self.life);
        let project = json!({"id": "5d1e7c9a0b0c4a0fb2f3", "name": "inventory"});
        let said = json!({"methods": ["application_credential"], "project": project,
            "issued_at": issued.to_string(), "expires_at": expires.to_string()});
        Answer::json(201, &json!({ "token": said })).with("X-Subject-Token", token)
    }
}

/// The uuid of the n-th node.
#[must_use]
pub fn uuid(n: usize) -> String {
    format!("3c1f8b5e-6d0f-4e52-9d4b-{n:012x}")
}

/// The n-th node: active, with the tag `role=web` in its `extra`, and a password where Ironic masks it at best.
#[must_use]
pub fn node(n: usize) -> Value {
    json!({"uuid": uuid(n), "name": format!("bm-{n:05}"), "driver": "redfish",
        "driver_info": {"redfish_address": "https://10.250.12.7", "redfish_password": PASSWORD},
        "provision_state": "active", "provision_updated_at": "2026-05-03T11:20:00+00:00", "power_state": "power on",
        "instance_uuid": null, "instance_info": {"configdrive": PASSWORD},
        "properties": {"cpus": "32", "cpu_arch": "x86_64", "memory_mb": "131072", "local_gb": 960},
        "resource_class": "baremetal.large", "traits": ["CUSTOM_NVME"], "owner": null, "lessee": null,
        "description": null, "maintenance": false, "fault": null, "last_error": null, "retired": false,
        "protected": false, "conductor_group": "", "shard": null, "parent_node": null,
        "extra": {"role": "web", "site": "dc1", "rack": format!("r{:02}", n % 10)},
        "created_at": "2024-01-10T09:00:00+00:00", "updated_at": null, "links": []})
}

fn port(n: usize, node: &Value) -> Value {
    let [.., c, b, a] = n.to_be_bytes();
    let address = format!("52:54:00:{c:02x}:{b:02x}:{a:02x}");
    json!({"uuid": format!("7e2d9a10-1111-4222-8333-{n:012x}"), "address": address, "node_uuid": node["uuid"]})
}

struct Served(Arc<Mutex<World>>);

impl Api for Served {
    fn answer(&self, request: &Request) -> Answer {
        let mut world = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match request.path.as_str() {
            "/identity/v3/auth/tokens" => return world.log_in(&request.body),
            "/v1/" => {
                let newest = format!("1.{NEWEST}");
                let root = json!({"name": "OpenStack Ironic API", "id": "v1"});
                return Answer::json(200, &root)
                    .with("X-OpenStack-Ironic-API-Minimum-Version", "1.1")
                    .with("X-OpenStack-Ironic-API-Maximum-Version", newest);
            }
            _ => {}
        }
        if !request.header("x-auth-token").is_some_and(|token| world.tokens.contains(token)) {
            return Answer::json(401, &json!({"error": {"code": 401, "message": "Unauthorized"}}));
        }
        let spoken = request.header("x-openstack-ironic-api-version").unwrap_or("1.1");
        let minor = spoken.strip_prefix("1.").and_then(|minor| minor.parse::<u16>().ok());
        match minor.filter(|minor| (1..=NEWEST).contains(minor)) {
            Some(minor) => resource(&mut world, request, minor),
            None => fault(406, &format!("Version {spoken} was requested but is not supported")),
        }
    }
}

fn resource(world: &mut World, request: &Request, minor: u16) -> Answer {
    match request.path.strip_prefix("/v1/nodes") {
        Some("") => {
            let listed: Vec<_> = {
                let is_shown = |node: &&Value| {
                    !node["uuid"].as_str().is_some_and(|uuid| world.hidden.contains(uuid))
                };
                world.nodes.iter().filter(is_shown).map(|node| spoken(node, minor)).collect()
            };
            let answer = page(request, "nodes", &listed, world.page);
            if let Some(mut happens) = world.between.take() {
                happens(world);
            }
            answer
        }
        Some(id) => {
            let id = id.trim_start_matches('/');
            let found = world.nodes.iter().find(|node| node["uuid"] == id);
            found.map_or_else(
                || not_found("Node", id),
                |node| Answer::json(200, &spoken(node, minor)),
            )
        }
        None if request.path == "/v1/ports" => page(request, "ports", &world.ports, world.page),
        None => Answer::new(404, "text/plain", "404 Not Found"),
    }
}

/// Versions before 1.5 have no names, before 1.37 no traits.
fn spoken(node: &Value, minor: u16) -> Value {
    let mut node = node.clone();
    for (field, since) in [("name", 5), ("traits", 37), ("owner", 50), ("lessee", 65)] {
        if minor < since
            && let Some(fields) = node.as_object_mut()
        {
            fields.remove(field);
        }
    }
    node
}

/// The entries after the marker; `next` whenever the page is full, without the query's filters.
fn page(request: &Request, list: &str, all: &[Value], most: usize) -> Answer {
    let begin = match request.param("marker") {
        None => 0,
        Some(marker) => match all.iter().position(|entry| entry["uuid"] == marker) {
            Some(at) => at + 1,
            None => return not_found("Node", marker),
        },
    };
    let limit = request.number("limit", most).min(most);
    let entries: Vec<_> = all.iter().skip(begin).take(limit).collect();
    let mut body = json!({ list: entries });
    if let Some(last) = entries.last().filter(|_| entries.len() == limit) {
        let marker = last["uuid"].as_str().unwrap_or_default();
        body["next"] =
            json!(format!("http://ironic.internal:6385/v1/{list}?limit={limit}&marker={marker}"));
    }
    Answer::json(200, &body)
}

fn not_found(what: &str, id: &str) -> Answer {
    fault(404, &format!("{what} {id} could not be found."))
}

/// An error as Ironic writes it: a text that is JSON itself.
fn fault(status: u16, said: &str) -> Answer {
    let inner = json!({"faultcode": "Client", "faultstring": said, "debuginfo": null});
    Answer::json(status, &json!({ "error_message": inner.to_string() }))
}
