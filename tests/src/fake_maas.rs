//! A MAAS that remembers: machines and an API key, written from the facts of 3.x.
//!
//! With its traps: one bare array, an unknown tag and an unknown parameter are a 400, errors are plain text, nested
//! objects are cut to `__incomplete__`, two interfaces share a MAC.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::fake_faults::{self, Answer, Api, Request, Script, Server};

/// The API key that opens the API.
pub const KEY: &str = "maasconsumer0001:maastokenkey00001:maassecretofthetests1";

/// What there is.
pub struct World {
    /// Machines.
    pub machines: Vec<Value>,
    /// The key that is valid now.
    pub key: String,
    /// Machines that lists leave out though they exist.
    pub hidden: BTreeSet<String>,
}

/// A MAAS on loopback.
pub struct FakeMaas {
    /// Its base, with `/MAAS`.
    pub url: String,
    /// What goes wrong, and what was asked.
    pub script: Arc<Script>,
    world: Arc<Mutex<World>>,
    _server: Server,
}

impl FakeMaas {
    /// A server with these machines.
    ///
    /// # Errors
    /// No port.
    pub async fn start(machines: Vec<Value>) -> std::io::Result<Self> {
        let world = World { machines, key: KEY.to_owned(), hidden: BTreeSet::new() };
        let world = Arc::new(Mutex::new(world));
        let script = Arc::new(Script::default());
        let server =
            fake_faults::serve(Arc::new(Served(Arc::clone(&world))), Arc::clone(&script)).await?;
        Ok(Self { url: format!("{}/MAAS", server.origin), script, world, _server: server })
    }

    /// The world, to be looked at and changed.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    /// One machine.
    pub fn machine(&mut self, id: &str) -> Option<&mut Value> {
        self.machines.iter_mut().find(|machine| machine["system_id"] == id)
    }
}

/// The machine of this id: deployed, with the tag `inventory` and the annotation `role`.
#[must_use]
pub fn machine(id: &str) -> Value {
    let mac = "b4:2e:99:00:12:07";
    json!({"system_id": id, "hostname": id, "fqdn": format!("{id}.maas"), "status": 6, "status_name": "Deployed",
        "power_state": "on", "power_type": "redfish", "tag_names": ["inventory"], "owner": "platform",
        "workload_annotations": {"role": "web"}, "architecture": "amd64/generic", "cpu_count": 8, "memory": 16384,
        "storage": 512_110.190_592, "osystem": "ubuntu", "distro_series": "noble", "locked": false,
        "hardware_uuid": null, "hardware_info": {"system_vendor": "Dell Inc.", "system_serial": "Unknown"},
        "zone": {"id": 2, "name": "az-b"}, "pool": {"system_id": id, "id": 1, "__incomplete__": true},
        "ip_addresses": ["10.12.0.7"],
        "interface_set": [{"name": "bond0", "type": "bond", "mac_address": mac},
            {"name": "eno1", "type": "physical", "mac_address": mac}]})
}

struct Served(Arc<Mutex<World>>);

fn text(status: u16, said: &str) -> Answer {
    Answer::new(status, "text/plain; charset=utf-8", said)
}

impl Api for Served {
    fn answer(&self, request: &Request) -> Answer {
        let world = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let header = request.header("authorization").unwrap_or_default();
        let parts: Vec<_> = world.key.split(':').collect();
        let signed = matches!(parts.as_slice(), [consumer, token, secret]
            if header.contains(&format!("oauth_consumer_key=\"{consumer}\""))
                && header.contains(&format!("oauth_token=\"{token}\""))
                && header.contains(&format!("oauth_signature=\"%26{secret}\"")));
        if !signed {
            return text(401, "Authorization Error: Invalid API key.");
        }
        match request.path.strip_prefix("/MAAS/api/2.0/machines/") {
            Some("") => list(&world, request),
            Some(id) => one(&world, id.trim_end_matches('/')),
            None => text(404, "Unknown API version or path."),
        }
    }
}

fn one(world: &World, id: &str) -> Answer {
    let found = world.machines.iter().find(|machine| machine["system_id"] == id);
    found.map_or_else(
        || text(404, "No Machine matches the given query."),
        |machine| Answer::json(200, machine),
    )
}

fn list(world: &World, request: &Request) -> Answer {
    let has = |machine: &Value, tag: &str| {
        machine["tag_names"].as_array().into_iter().flatten().any(|its| its == tag)
    };
    let mut tags = Vec::new();
    for (key, value) in &request.query {
        if key != "tags" {
            return Answer::json(400, &json!({ key: ["No such constraint."] }));
        }
        if !world.machines.iter().any(|machine| has(machine, value)) {
            let said = format!("No such tag(s): '{value}'.");
            return Answer::json(400, &json!({ "tags": [said] }));
        }
        tags.push(value);
    }
    let is_listed = |machine: &&Value| {
        let id = machine["system_id"].as_str().unwrap_or_default();
        !world.hidden.contains(id) && tags.iter().all(|tag| has(machine, tag))
    };
    Answer::json(200, &Value::Array(world.machines.iter().filter(is_listed).cloned().collect()))
}
