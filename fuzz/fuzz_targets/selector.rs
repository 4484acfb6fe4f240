//! Any text as a selector.
#![no_main]

use fetcher_core::selector::Selector;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(selector) = text.parse::<Selector>() else { return };
    let printed = selector.to_string();
    match printed.parse::<Selector>() {
        Ok(again) => assert_eq!(again, selector, "{printed:?}"),
        Err(error) => panic!("{printed:?} was printed and cannot be read: {error}"),
    }
});
