//! Any bytes as a page of NetBox's devices.
#![no_main]

use fetcher_baremetal::netbox::recorded;
use fetcher_core::machine::Source;
use fetcher_fuzz::{entries, hold, keep, there};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let listed = recorded::devices(data).map(|(machines, _)| machines);
    let secret = |key: &str| matches!(key, "config_context" | "local_context_data" | "comments");
    keep(&[data], secret, &listed);
    let Ok(machines) = listed else { return };
    hold(&Source::new("baremetal", &["netbox", "dc1"]), &machines);
    // What is not read of it may be no text.
    let Ok(page) = serde_json::from_slice::<Value>(data) else { return };
    for device in entries(&page, "results") {
        there(&machines, &format!("device-{}", device["id"]));
    }
});
