//! Any bytes as the pages of a project's devices, one after the other.
#![no_main]

use fetcher_core::machine::Source;
use fetcher_fuzz::{entries, hold, keep, parts, there};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const PROJECT: &str = "c0ffee00-1111-4222-8333-444455556666";

fuzz_target!(|data: &[u8]| {
    let pages = parts(data);
    let listed = fetcher_packet::recorded::devices(PROJECT, pages.iter().copied());
    let secret = |key: &str| {
        matches!(key, "root_password" | "userdata" | "customdata" | "user" | "created_by")
    };
    keep(&pages, secret, &listed);
    let Ok(machines) = listed else { return };
    hold(&Source::new("packet", &[PROJECT]), &machines);
    // Of several pages some may be of a reading that was begun anew.
    let [page] = pages.as_slice() else { return };
    let page = serde_json::from_slice::<Value>(page).unwrap_or_default();
    for device in entries(&page, "devices") {
        there(&machines, device["id"].as_str().unwrap_or_default());
    }
});
