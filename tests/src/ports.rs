//! Free ports on loopback, below the range the system takes for outgoing connections: so that nobody's connection
//! sits on the port of a server that is down for a moment.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, bail};

const FIRST: u16 = 12_000;
const COUNT: u32 = 20_000;

/// A port on 127.0.0.1 that is free now. Nobody holds it until the server does: whoever starts one tries again.
///
/// # Errors
/// None is free.
pub fn free() -> Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..COUNT {
        // Each process begins somewhere else, so that two test runs rarely want the same port.
        let step =
            NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id().wrapping_mul(97));
        let port = FIRST + u16::try_from(step % COUNT)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port on 127.0.0.1 from {FIRST} on")
}
