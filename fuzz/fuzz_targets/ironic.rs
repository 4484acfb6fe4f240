//! Any bytes as a page of nodes and a page of ports; and as what Ironic says of a request that it refuses.
#![no_main]

use fetcher_baremetal::ironic::recorded;
use fetcher_core::machine::Source;
use fetcher_fuzz::{SECRET, entries, hold, keep, parts, there};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    for status in [400, 401, 404, 406, 503] {
        drop(recorded::refusal(http::StatusCode::from_u16(status).unwrap(), data));
    }
    let parts = parts(data);
    let nodes = parts[0];
    let ports = parts.get(1).copied().unwrap_or(br#"{"ports": []}"#);
    let listed = recorded::nodes(nodes, ports);
    let page = serde_json::from_slice::<Value>(nodes).unwrap_or_default();
    // What operators write into these two becomes tags, as it is documented.
    let is_free = |node: &Value| {
        ["extra", "properties"].iter().any(|key| node[*key].to_string().contains(SECRET))
    };
    if !entries(&page, "nodes").iter().any(is_free) {
        let secret = |key: &str| key.ends_with("password") || key.ends_with("secret");
        keep(&[nodes, ports], secret, &listed);
    }
    let Ok(machines) = listed else { return };
    hold(&Source::new("baremetal", &["ironic", "dc1"]), &machines);
    for node in entries(&page, "nodes") {
        there(&machines, &node["uuid"].as_str().unwrap_or_default().to_ascii_lowercase());
    }
});
