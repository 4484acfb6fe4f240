//! Any bytes as Keystone's answer to a login, the token in its header first.
#![no_main]

use fetcher_baremetal::ironic::recorded;
use fetcher_fuzz::{SECRET, parts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let parts = parts(data);
    let [token, body, ..] = parts.as_slice() else { return };
    let Ok(token) = http::HeaderValue::from_bytes(token) else { return };
    let is_open = String::from_utf8_lossy(body).contains(SECRET);
    if let Err(error) = recorded::login(token, body) {
        assert!(is_open || !format!("{error} {error:?}").contains(SECRET), "{error}");
    }
});
