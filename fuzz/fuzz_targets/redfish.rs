//! Any bytes as what an endpoint says: its root, its systems, one of them, an interface and a chassis.
#![no_main]

use fetcher_baremetal::redfish::recorded;
use fetcher_core::machine::Source;
use fetcher_fuzz::{entries, hold, keep, parts};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let parts = parts(data);
    let [root, page, system, nic, chassis, ..] = parts.as_slice() else { return };
    let mut uri = "/redfish/v1/Systems/1".to_owned();
    if let Ok(Some(members)) = recorded::members(root, page) {
        // What is not read of it may be no text.
        if let Ok(page) = serde_json::from_slice::<Value>(page) {
            assert_eq!(members.len(), entries(&page, "Members").len(), "a member was lost");
        }
        uri = members.into_iter().find(|uri| !uri.is_empty()).unwrap_or(uri);
    }
    let machine = recorded::system(&uri, system, nic, chassis).map(|machine| vec![machine]);
    // The address of a system is its identity where it has no other: not looked at here.
    if !uri.contains(fetcher_fuzz::SECRET) {
        keep(&[system, nic, chassis], |key| key == "Oem" || key == "Actions", &machine);
    }
    if let Ok(machines) = machine {
        hold(&Source::new("baremetal", &["redfish", "bmc"]), &machines);
    }
});
