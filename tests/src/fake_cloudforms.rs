//! A ManageIQ appliance that remembers: VMs, hypervisors, managers, tags, sessions; written from the facts.
//!
//! Not a simulation of machines: a test changes the world by hand, between two rounds or between two pages. It has the
//! corners of the real one: `count` knows no filter, links lead to a host of its own, past the end is a 500, columns
//! must be named, an unknown tag is an empty list, the archived stay in the table.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};

use super::fake_faults::{self, Answer, Api, Request, Script, Server};

/// The user's name.
pub const USER: &str = "inventory";
/// Its password; no output of a fetcher may hold it.
pub const PASSWORD: &str = "cloudforms-password-of-the-tests";
/// The manager that VMs belong to unless told otherwise.
pub const MANAGER: &str = "10000000000003";

/// What happens after a page was served.
type Between = Box<dyn FnMut(usize, &mut World) + Send>;

/// What there is.
pub struct World {
    /// All VMs, the archived among them.
    pub vms: Vec<Value>,
    /// All hypervisors.
    pub hosts: Vec<Value>,
    /// The managers.
    pub providers: Vec<Value>,
    /// VMs that lists leave out though they exist, by guid.
    pub hidden: BTreeSet<String>,
    /// The tags that exist, `/managed/category/value`.
    pub tags: BTreeSet<String>,
    /// The password that is valid now.
    pub password: String,
    /// The only group that may act, if one must.
    pub group: Option<String>,
    /// How many requests a token lasts.
    pub token_uses: usize,
    /// The largest page.
    pub largest: usize,
    /// Whether `subquery_count` is said.
    pub subquery: bool,
    /// Whether every page begins anew: a server that ignores the order and the offset.
    pub unordered: bool,
    /// Collections that the role may not view.
    pub forbidden: BTreeSet<String>,
    /// Requests with a password so far.
    pub logins: usize,
    /// Sessions that were ended by their owner.
    pub logouts: usize,
    /// The tokens alive, with the uses they have left.
    tokens: Vec<(String, usize)>,
    between: Option<Between>,
}

/// An appliance on loopback.
pub struct FakeCloudforms {
    /// Its address, without `/api`.
    pub url: String,
    /// What goes wrong, and what was asked.
    pub script: Arc<Script>,
    world: Arc<Mutex<World>>,
    _server: Server,
}

impl FakeCloudforms {
    /// A server with these VMs and one manager.
    ///
    /// # Errors
    /// No port.
    pub async fn start(vms: Vec<Value>) -> std::io::Result<Self> {
        let tags = ["/managed/environment/prod", "/managed/environment/test"];
        let world = Arc::new(Mutex::new(World {
            vms,
            hosts: Vec::new(),
            hidden: BTreeSet::new(),
            providers: vec![json!({"id": MANAGER, "name": "vc-dc1", "last_refresh_error": null,
                "last_refresh_date": "2999-01-01T00:00:00Z", "last_refresh_status": "success"})],
            tags: tags.map(str::to_owned).into(),
            password: PASSWORD.to_owned(),
            group: None,
            token_uses: usize::MAX,
            largest: 1000,
            subquery: true,
            unordered: false,
            forbidden: BTreeSet::new(),
            logins: 0,
            logouts: 0,
            tokens: Vec::new(),
            between: None,
        }));
        let script = Arc::new(Script::default());
        let api = Arc::new(Served(Arc::clone(&world)));
        let server = fake_faults::serve(api, Arc::clone(&script)).await?;
        Ok(Self { url: server.origin.clone(), script, world, _server: server })
    }

    /// The world, to be looked at and changed.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens after each page, by its offset.
    pub fn between(&self, happens: impl FnMut(usize, &mut World) + Send + 'static) {
        self.world().between(happens);
    }
}

impl World {
    /// What happens after each page from now on.
    pub fn between(&mut self, happens: impl FnMut(usize, &mut Self) + Send + 'static) {
        self.between = Some(Box::new(happens));
    }

    /// One VM, by its guid.
    pub fn vm(&mut self, guid: &str) -> Option<&mut Value> {
        self.vms.iter_mut().find(|vm| vm["guid"] == guid)
    }

    /// Purges one.
    pub fn purge(&mut self, guid: &str) {
        self.vms.retain(|vm| vm["guid"] != guid);
    }

    /// Takes the manager off the appliance: all its VMs are archived.
    pub fn remove_manager(&mut self) {
        for vm in self.vms.iter_mut().filter(|vm| vm["ems_id"] == MANAGER) {
            vm["ems_id"] = Value::Null;
            vm["power_state"] = json!("unknown");
        }
    }

    /// Adds it again: the VMs are found again by what they are, and are the same rows.
    pub fn add_manager(&mut self) {
        for vm in self.vms.iter_mut().filter(|vm| vm["ems_id"].is_null()) {
            vm["ems_id"] = json!(MANAGER);
            vm["power_state"] = json!("on");
        }
    }

    /// Every session dies.
    pub fn expire(&mut self) {
        self.tokens.clear();
    }
}

/// The n-th VM: a guid, a name, an address, a tag.
pub fn vm(n: usize) -> Value {
    let [.., a, b, c] = (n as u32).to_be_bytes();
    let environment = if n.is_multiple_of(2) { "prod" } else { "test" };
    json!({
        "id": format!("1{n:013}"), "guid": guid(n), "name": format!("vm-{n}"), "vendor": "vmware",
        "type": "ManageIQ::Providers::Vmware::InfraManager::Vm", "template": false, "cloud": false,
        "retired": null, "power_state": "on", "raw_power_state": "poweredOn", "connection_state": "connected",
        "ipaddresses": [format!("10.{a}.{b}.{c}")], "hostnames": [format!("vm-{n}.dc1.example.com")],
        "mac_addresses": [format!("00:50:56:{a:02x}:{b:02x}:{c:02x}")], "num_cpu": 4, "cpu_total_cores": 4,
        "ram_size": 8192, "ems_id": MANAGER, "ext_management_system": {"id": MANAGER, "name": "vc-dc1"},
        "ems_cluster_name": "prod-a", "host_name": "esx07.dc1.example.com", "ems_ref": format!("vm-{n}"),
        "uid_ems": guid(n), "created_on": "2024-11-05T14:02:10Z", "ems_created_on": "2024-11-05T13:58:00Z",
        "boot_time": "2026-07-01T03:00:11Z", "operating_system": {"product_name": "linux_generic"},
        "tags": [{"id": "91", "name": format!("/managed/environment/{environment}")}],
    })
}

/// The n-th hypervisor.
pub fn hypervisor(n: usize) -> Value {
    json!({
        "id": format!("2{n:013}"), "guid": guid(1_000_000 + n), "name": format!("esx{n}"),
        "hostname": format!("esx{n}.dc1.example.com"), "ipaddress": format!("10.30.0.{n}"),
        "ipmi_address": format!("10.31.0.{n}"), "vmm_vendor": "vmware", "vmm_product": "ESXi",
        "power_state": "on", "connection_state": "connected", "ems_id": MANAGER, "tags": [],
    })
}

/// The guid of the n-th VM.
pub fn guid(n: usize) -> String {
    format!("{n:08x}-0f6e-4b3a-9b5e-1f2a3b4c5d6e")
}

struct Served(Arc<Mutex<World>>);

impl Api for Served {
    fn answer(&self, request: &Request) -> Answer {
        let mut world = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let path = request.path.strip_prefix("/api/").unwrap_or_default();
        let group = request.header("x-miq-group").map(str::to_owned);
        if world.group.is_some() && world.group != group {
            return error(401, "unauthorized", "Invalid Authorization Group");
        }
        if path == "auth" && request.method == "GET" {
            return world.login(request.header("authorization").unwrap_or_default());
        }
        if !world.is_known(request.header("x-auth-token").unwrap_or_default()) {
            return error(401, "unauthorized", "Invalid Authentication Token specified");
        }
        if world.forbidden.contains(path) {
            return error(403, "forbidden", "Use of the list action is forbidden");
        }
        match path {
            "auth" if request.method == "DELETE" => {
                world.logouts += 1;
                world.tokens.clear();
                Answer::new(204, "application/json", "")
            }
            "vms" | "hosts" | "providers" => {
                let answer = collection(&world, path, request);
                if request.number("limit", 1000) > 1
                    && let Some(mut happens) = world.between.take()
                {
                    happens(request.number("offset", 0), &mut world);
                    world.between.get_or_insert(happens);
                }
                answer
            }
            "tags" => {
                let all: Vec<_> = world.tags.iter().map(|name| json!({ "name": name })).collect();
                page(&world, "tags", &all.iter().collect::<Vec<_>>(), request)
            }
            _ => error(404, "not_found", "No such collection"),
        }
    }
}

impl World {
    fn login(&mut self, authorization: &str) -> Answer {
        self.logins += 1;
        if authorization != format!("Basic {}", base64(&format!("{USER}:{}", self.password))) {
            return error(401, "unauthorized", "Authentication failed");
        }
        let token = format!("token-{}-of-the-tests", self.logins);
        self.tokens.push((token.clone(), self.token_uses));
        let body =
            json!({"auth_token": token, "token_ttl": 600, "expires_on": "2026-08-21T11:00:00Z"});
        Answer::json(200, &body)
    }

    fn is_known(&mut self, token: &str) -> bool {
        match self.tokens.iter_mut().find(|(known, left)| known == token && *left > 0) {
            Some((_, left)) => {
                *left -= 1;
                true
            }
            None => false,
        }
    }
}

/// Rows of one table that the scope of its collection shows, with the attributes that are computed.
fn collection(world: &World, path: &str, request: &Request) -> Answer {
    let all = match path {
        "vms" => &world.vms,
        "hosts" => &world.hosts,
        _ => &world.providers,
    };
    let by_guid = request.query.iter().any(|(_, filter)| filter.contains("guid="));
    let is_shown = |row: &&Value| {
        let hidden = row["guid"].as_str().is_some_and(|guid| world.hidden.contains(guid));
        row["template"] != true && (by_guid || !hidden)
    };
    let visible: Vec<_> = all.iter().filter(is_shown).collect();
    page(world, path, &visible, request)
}

fn page(world: &World, path: &str, visible: &[&Value], request: &Request) -> Answer {
    let filters: Vec<_> = request.query.iter().filter(|(key, _)| key == "filter[]").collect();
    let by_tag = request.param("by_tag").map(|tags| tags.split(',').collect::<Vec<_>>());
    let mut matching = Vec::new();
    for row in visible {
        let tagged = by_tag.iter().flatten().all(|tag| has_tag(row, &format!("/managed{tag}")));
        match passes(row, &filters) {
            None => return error(400, "bad_request", "Bad filter"),
            Some(passes) if passes && tagged => matching.push(*row),
            Some(_) => {}
        }
    }
    let (offset, limit) = (request.number("offset", 0), request.number("limit", 1000));
    if limit == 0 {
        return error(400, "bad_request", "limit");
    }
    if offset > 0 && offset >= matching.len() {
        return error(500, "internal_server_error", "undefined method for nil:NilClass");
    }
    if !world.unordered && request.param("sort_by") == Some("id") {
        matching.sort_by(|a, b| a["id"].as_str().cmp(&b["id"].as_str()));
    }
    let from = if world.unordered { 0 } else { offset };
    let rows: Vec<_> = matching
        .iter()
        .skip(from)
        .take(limit.min(world.largest))
        .map(|row| shown(path, row, request))
        .collect();
    let mut body = json!({"name": path, "count": visible.len(), "subcount": rows.len(), "pages": 1,
        "actions": [], "links": {"next": "http://localhost:3000/api/vms?offset=1000"}});
    if world.subquery && !filters.is_empty() && request.param("offset").is_some() {
        body["subquery_count"] = json!(matching.len());
    }
    body["resources"] = Value::Array(rows);
    Answer::json(200, &body)
}

/// Whether the row passes all filters, those with `or ` as alternatives; none for one that cannot be read.
fn passes(row: &Value, filters: &[&(String, String)]) -> Option<bool> {
    let mut result = None;
    for (_, filter) in filters {
        let (or, test) = match filter.strip_prefix("or ") {
            Some(rest) => (true, rest),
            None => (false, filter.as_str()),
        };
        let holds = holds(row, test)?;
        result = Some(match result {
            None => holds,
            Some(before) if or => before || holds,
            Some(before) => before && holds,
        });
    }
    Some(result.unwrap_or(true))
}

fn holds(row: &Value, test: &str) -> Option<bool> {
    if test == "active=true" {
        return Some(is_active(row));
    }
    if let Some(key) = test.strip_suffix("!=NULL") {
        return Some(!row[key].is_null());
    }
    let (key, value) = test.split_once('=')?;
    let value = value.strip_prefix('\'')?.strip_suffix('\'')?;
    Some(row[key] == value)
}

fn is_active(row: &Value) -> bool {
    !row["ems_id"].is_null() && row["retired"] != true && row["template"] != true
}

fn has_tag(row: &Value, name: &str) -> bool {
    row["tags"].as_array().into_iter().flatten().any(|tag| tag["name"] == name)
}

/// The row with the columns that were named, `href` and `id`.
fn shown(path: &str, row: &Value, request: &Request) -> Value {
    let id = row["id"].as_str().unwrap_or_default();
    let mut out = Map::new();
    out.insert("href".to_owned(), json!(format!("http://localhost:3000/api/{path}/{id}")));
    out.insert("id".to_owned(), json!(id));
    let expand: Vec<_> = request.param("expand").unwrap_or_default().split(',').collect();
    if !expand.contains(&"resources") {
        return Value::Object(out);
    }
    for name in request.param("attributes").unwrap_or_default().split(',') {
        let column = name.split('.').next().unwrap_or_default();
        let value = match column {
            "active" => json!(is_active(row)),
            "archived" => json!(row["ems_id"].is_null()),
            "orphaned" => json!(false),
            other => row[other].clone(),
        };
        // Null associations and virtual columns are left out, as before Jansa.
        if !value.is_null() {
            out.insert(column.to_owned(), value);
        }
    }
    if expand.contains(&"tags") {
        out.insert("tags".to_owned(), row["tags"].clone());
    }
    Value::Object(out)
}

fn error(status: u16, kind: &str, message: &str) -> Answer {
    let klass = "Api::Error";
    Answer::json(status, &json!({"error": {"kind": kind, "message": message, "klass": klass}}))
}

/// Base64 with padding, for the one header that needs it.
fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |bits: u32| char::from(DIGITS[(bits & 63) as usize]);
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            out.push(if at <= chunk.len() { digit(bits >> (18 - 6 * at)) } else { '=' });
        }
    }
    out
}
