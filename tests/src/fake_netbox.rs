//! A NetBox that remembers: devices and a token, written from the facts of 4.6.
//!
//! With its traps: a query parameter it does not know is ignored, an unknown tag is a 400, a bad token is a 403, the
//! limit is cut silently, and `next` names a host that only it knows.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::fake_faults::{self, Answer, Api, Request, Script, Server};

/// A text that no output of a fetcher may hold.
pub const SECRET: &str = "NETBOX-MUST-NEVER-BE-STORED";
/// The token that opens the API.
pub const TOKEN: &str = "nbt_ABCDEFGHIJKL.0123456789abcdefghijklmnopqrstuvwxyzABCD";

type Between = Box<dyn FnMut(&mut World) + Send>;

/// What there is.
pub struct World {
    /// Devices.
    pub devices: Vec<Value>,
    /// Virtual machines; none means that the token may not see them.
    pub virtual_machines: Option<Vec<Value>>,
    /// The token that is valid now.
    pub token: String,
    /// Devices that lists leave out though they exist.
    pub hidden: BTreeSet<u64>,
    /// What a limit is cut to.
    pub page: usize,
    /// Whether `tag` and `id` are ignored as if they were misspelt.
    pub ignores_filters: bool,
    between: Option<Between>,
}

/// A NetBox on loopback.
pub struct FakeNetBox {
    /// Its base, without `/api`.
    pub url: String,
    /// What goes wrong, and what was asked.
    pub script: Arc<Script>,
    world: Arc<Mutex<World>>,
    _server: Server,
}

impl FakeNetBox {
    /// A server with these devices, which pages by `page`.
    ///
    /// # Errors
    /// No port.
    pub async fn start(devices: Vec<Value>, page: usize) -> std::io::Result<Self> {
        let world = Arc::new(Mutex::new(World {
            devices,
            virtual_machines: Some(Vec::new()),
            token: TOKEN.to_owned(),
            hidden: BTreeSet::new(),
            page,
            ignores_filters: false,
            between: None,
        }));
        let script = Arc::new(Script::default());
        let server =
            fake_faults::serve(Arc::new(Served(Arc::clone(&world))), Arc::clone(&script)).await?;
        Ok(Self { url: format!("{}/netbox", server.origin), script, world, _server: server })
    }

    /// The world, to be looked at and changed.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    /// One device.
    pub fn device(&mut self, id: u64) -> Option<&mut Value> {
        self.devices.iter_mut().find(|device| device["id"] == id)
    }

    /// Devices and virtual machines: a tag that any of them has is one that NetBox knows.
    fn entries(&self) -> impl Iterator<Item = &Value> {
        self.devices.iter().chain(self.virtual_machines.iter().flatten())
    }

    /// What happens after the next page.
    pub fn between(&mut self, happens: impl FnMut(&mut Self) + Send + 'static) {
        self.between = Some(Box::new(happens));
    }
}

/// The device of this id, with the tag `inventory`, the custom field `role` and a secret where NetBox may have one.
#[must_use]
pub fn device(id: u64) -> Value {
    json!({"id": id, "display": format!("d{id}"), "name": format!("d{id}"),
        "status": {"value": "active", "label": "Active"},
        "device_type": {"manufacturer": {"name": "Dell", "slug": "dell"}, "model": "R650", "slug": "r650"},
        "role": {"slug": "hypervisor"}, "site": {"id": 1, "slug": "dc1"}, "rack": {"id": 1, "name": "R12"},
        "position": 7.0, "serial": format!("SN{id:06}"), "asset_tag": null, "tenant": null, "platform": null,
        "primary_ip": {"address": format!("10.{}.{}.{}/24", id >> 16 & 255, id >> 8 & 255, id & 255)},
        "tags": [{"id": 11, "name": "Inventory", "slug": "inventory"}],
        "custom_fields": {"role": "web"},
        "config_context": {"password": SECRET}, "local_context_data": {"password": SECRET}})
}

struct Served(Arc<Mutex<World>>);

impl Api for Served {
    fn answer(&self, request: &Request) -> Answer {
        let mut world = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Each kind of token has its own scheme, and the other one is an error.
        let (scheme, kind) =
            if world.token.starts_with("nbt_") { ("Bearer", "v2") } else { ("Token", "v1") };
        if request.header("authorization") != Some(&format!("{scheme} {}", world.token)) {
            return Answer::json(403, &json!({"detail": format!("Invalid {kind} token")}));
        }
        let entries = match request.path.as_str() {
            "/netbox/api/dcim/devices/" => Some(&world.devices),
            "/netbox/api/virtualization/virtual-machines/" => world.virtual_machines.as_ref(),
            _ => return Answer::json(404, &json!({"detail": "Not found."})),
        };
        let Some(entries) = entries else {
            let said = "You do not have permission to perform this action.";
            return Answer::json(403, &json!({ "detail": said }));
        };
        let answer = list(&world, entries, request);
        if let Some(mut happens) = world.between.take() {
            happens(&mut world);
        }
        answer
    }
}

fn list(world: &World, entries: &[Value], request: &Request) -> Answer {
    let values = |key: &str| -> Vec<&str> {
        request.query.iter().filter(|(k, _)| k == key).map(|(_, v)| v.as_str()).collect()
    };
    let (mut tags, mut ids) = (values("tag"), values("id"));
    if world.ignores_filters {
        (tags, ids) = (Vec::new(), Vec::new());
    }
    let has = |device: &Value, slug: &str| {
        device["tags"].as_array().into_iter().flatten().any(|tag| tag["slug"] == slug)
    };
    if let Some(tag) = tags.iter().find(|tag| !world.entries().any(|d| has(d, tag))) {
        let text = format!("Select a valid choice. {tag} is not one of the available choices.");
        return Answer::json(400, &json!({"tag": [text]}));
    }
    let is_hidden = |device: &Value| {
        ids.is_empty() && device["id"].as_u64().is_some_and(|id| world.hidden.contains(&id))
    };
    let mut all: Vec<&Value> = entries
        .iter()
        .filter(|device| tags.iter().all(|tag| has(device, tag)))
        .filter(|device| ids.is_empty() || ids.contains(&device["id"].to_string().as_str()))
        .filter(|device| !is_hidden(device))
        .collect();
    if request.param("ordering") == Some("id") {
        all.sort_by_key(|device| device["id"].as_u64());
    }
    let (offset, limit) =
        (request.number("offset", 0), request.number("limit", 50).min(world.page));
    let page: Vec<_> = all.iter().skip(offset).take(limit).collect();
    let next = (offset + page.len() < all.len()).then(|| {
        format!("http://netbox.internal:8001/api/dcim/devices/?offset={}", offset + limit)
    });
    Answer::json(200, &json!({"count": all.len(), "next": next, "previous": null, "results": page}))
}
