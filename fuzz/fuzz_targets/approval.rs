//! Any text as what `--approve` takes: a checksum, or a plan.
#![no_main]

use fetcher_core::approve::Approval;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(approval) = Approval::parse(text) {
        assert!(!approval.id().is_empty());
    }
});
