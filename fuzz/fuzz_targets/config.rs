//! Any text as a configuration file of fetcher-baremetal.
#![no_main]

use fetcher_baremetal::Baremetal;
use fetcher_baremetal::config::Flags;
use fetcher_core::app::App;
use fetcher_core::config::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match parse::<Baremetal>(text) {
        Ok(config) => {
            let _ = Baremetal::build(config.section.unwrap_or_default(), Flags::default());
        }
        Err(error) => drop(error.to_string()),
    }
});
