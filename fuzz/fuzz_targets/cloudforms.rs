//! Any bytes as the pages of a collection: the first byte chooses VMs or hypervisors.
#![no_main]

use fetcher_cloudforms::recorded;
use fetcher_core::machine::Source;
use fetcher_fuzz::{entries, hold, keep, parts, there};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let [kind, pages @ ..] = data else { return };
    let pages = parts(pages);
    let listed = match kind % 2 {
        0 => recorded::vms(pages.iter().copied()),
        _ => recorded::hypervisors(pages.iter().copied()),
    };
    keep(&pages, |key| matches!(key, "password" | "auth_token" | "custom_attributes"), &listed);
    let Ok(machines) = listed else { return };
    hold(&Source::new("cloudforms", &["dc1"]), &machines);
    let [page] = pages.as_slice() else { return };
    // What is not read of it may be no text.
    let Ok(page) = serde_json::from_slice::<Value>(page) else { return };
    for row in entries(&page, "resources") {
        let is_active = match kind % 2 {
            0 => row["active"] == true && row["template"] != true,
            _ => row["ems_id"].as_str().is_some_and(|id| !id.is_empty()),
        };
        if is_active {
            there(&machines, row["guid"].as_str().unwrap_or_default().trim());
        }
    }
});
