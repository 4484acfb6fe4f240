//! Any bytes as a list of machines: the first byte chooses the format, the next two where the list is cut off.
#![no_main]

use std::collections::HashSet;

use fetcher_baremetal::file::parse::{Format, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [format, high, low, text @ ..] = data else { return };
    let format = match format % 3 {
        0 => Format::Yaml,
        1 => Format::Json,
        _ => Format::Csv,
    };
    let Ok(machines) = parse(format, text) else { return };
    let ids: HashSet<_> = machines.iter().map(|machine| &machine.id).collect();
    assert_eq!(ids.len(), machines.len(), "an id stands there twice");
    let cut = usize::from(u16::from_be_bytes([*high, *low])) % (text.len() + 1);
    if let Ok(fewer) = parse(format, &text[..cut]) {
        assert_eq!(fewer, machines, "a list cut at byte {cut} is another list");
    }
});
