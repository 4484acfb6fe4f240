//! Made-up machines of one data centre, in numbers: what the fetcher reads and the limit prepares.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// How many groups the machines fall into: version `v` of the list changes group `v`, a hundredth of all.
const GROUPS: usize = 100;

/// The machines that version `version` changes against the one before it, by their place in the list.
pub fn changed(count: usize, version: usize) -> impl Iterator<Item = usize> {
    (0..count).filter(move |n| n % GROUPS == version % GROUPS)
}

/// The list as YAML, one key a line; 1.1 KB a machine.
#[must_use]
pub fn yaml(count: usize, version: usize) -> String {
    let mut text = format!("count: {count}\ndefaults: {}\nmachines:\n", defaults());
    for n in 0..count {
        for (at, (key, value)) in machine(n, version).as_object().into_iter().flatten().enumerate()
        {
            // A String takes every write; JSON is YAML.
            let _ = writeln!(text, "{} {key}: {value}", if at == 0 { "-" } else { " " });
        }
    }
    text + "...\n"
}

/// The list as JSON.
#[must_use]
pub fn json(count: usize, version: usize) -> String {
    let machines: Vec<Value> = (0..count).map(|n| machine(n, version)).collect();
    json!({"count": count, "defaults": defaults(), "machines": machines}).to_string()
}

fn defaults() -> Value {
    json!({"state": "Running", "region": "eu-central", "site": "fra1",
        "hardware": {"architecture": "x86_64", "vendor": "Dell Inc."},
        "os": {"name": "Ubuntu", "version": "24.04"}, "owner": {"tenant": "platform"}})
}

fn machine(n: usize, version: usize) -> Value {
    let (net, high, low) = (n / 62_500, n / 250 % 250, n % 250);
    let mac = |port: usize| {
        format!("b0:7b:{:02x}:{:02x}:{:02x}:{port:02x}", n >> 16, n >> 8 & 255, n & 255)
    };
    let group = n % GROUPS;
    let word = if group == 0 || group > version { 0 } else { group };
    json!({
        "id": format!("a-{n:06}"),
        "name": format!("node-{n:06}.fra1.example.net"),
        "role": "worker",
        "providerState": format!("burn-in {word}"),
        "addresses": [format!("10.{}.{high}.{low}", 20 + net), format!("203.{net}.{high}.{low}"),
            {"type": "ManagementIP", "address": format!("10.{}.{high}.{low}", 99 + net)}],
        "rack": format!("r{}", n / 40),
        "position": format!("u{}", n % 40 + 1),
        "hardware": {"type": "web-g3", "model": "PowerEdge R660", "cpus": 64, "memory": "256GiB",
            "serial": format!("7Q{n:06}"), "disks": ["2x 480GB SSD", "4x 3.84TB NVMe"]},
        "interfaces": [{"name": "eno1", "mac": mac(1)}, {"name": "eno2", "mac": mac(2)}],
        "tags": {"env": if n.is_multiple_of(5) { "staging" } else { "prod" }, "team": format!("team-{}", n % 12),
            "service": format!("service-{}", n % 50), "cluster": format!("fra1-{}", n % 20),
            "cost-center": "4711", "warranty": "2029-03"},
        "createdAt": "2024-05-01T08:00:00Z",
    })
}
