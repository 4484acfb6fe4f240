//! Any bytes as MAAS's list of machines.
#![no_main]

use fetcher_baremetal::maas::recorded;
use fetcher_core::machine::Source;
use fetcher_fuzz::{hold, keep, there};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let listed = recorded::machines(data);
    keep(&[data], |key| matches!(key, "power_parameters" | "power_pass"), &listed);
    let Ok(machines) = listed else { return };
    hold(&Source::new("baremetal", &["maas", "dc1"]), &machines);
    // What is not read of it may be no text.
    let Ok(list) = serde_json::from_slice::<Vec<Value>>(data) else { return };
    for machine in &list {
        there(&machines, machine["system_id"].as_str().unwrap_or_default());
    }
});
