//! A TCP proxy on loopback that can go wrong on purpose: connections that fall silent without a FIN, that break, that
//! crawl. On threads of its own, so that it goes on whatever the test's runtime does.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;

/// A proxy to one address; it takes no more connections when dropped, and those it has are closed.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    target: SocketAddr,
    connections: Mutex<Vec<Arc<Connection>>>,
    /// New connections are taken and then stay silent.
    silent: AtomicBool,
    refuse: AtomicBool,
    closed: AtomicBool,
    /// Bytes a second and direction; 0 is as fast as it goes.
    rate: AtomicU64,
    accepted: AtomicUsize,
}

struct Connection {
    near: TcpStream,
    far: TcpStream,
    frozen: Mutex<bool>,
    thawed: Condvar,
}

impl Proxy {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// There is no free port.
    pub fn to(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            target,
            connections: Mutex::default(),
            silent: AtomicBool::new(false),
            refuse: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            rate: AtomicU64::new(0),
            accepted: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || accept(&listener, &shared));
        Ok(Self { address, state })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL.
    #[must_use]
    pub fn https(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Lets the connections there are now fall silent, in both directions and without closing them; new ones work.
    pub fn freeze(&self) {
        self.each(|c| *c.frozen.lock().unwrap_or_else(PoisonError::into_inner) = true);
    }

    /// What was frozen goes on, nothing lost.
    pub fn thaw(&self) {
        self.state.silent.store(false, Ordering::SeqCst);
        self.each(|c| {
            *c.frozen.lock().unwrap_or_else(PoisonError::into_inner) = false;
            c.thawed.notify_all();
        });
    }

    /// Freezes the connections there are and all that come, until `thaw`.
    pub fn go_silent(&self) {
        self.state.silent.store(true, Ordering::SeqCst);
        self.freeze();
    }

    /// Breaks the connections there are; new ones work.
    pub fn cut(&self) {
        self.each(Connection::close);
        self.connections().clear();
    }

    /// From now on new connections are closed at once (or taken again).
    pub fn refuse(&self, refuse: bool) {
        self.state.refuse.store(refuse, Ordering::SeqCst);
    }

    /// Slows every connection down to that many bytes a second and direction; 0 takes the limit away.
    pub fn slow(&self, bytes_a_second: u64) {
        self.state.rate.store(bytes_a_second, Ordering::SeqCst);
    }

    /// How many connections it has taken so far.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    fn each(&self, act: impl Fn(&Connection)) {
        self.connections().iter().for_each(|c| act(c));
    }

    fn connections(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Connection>>> {
        self.state.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.closed.store(true, Ordering::SeqCst);
        self.thaw();
        self.cut();
        // Wakes the accepting thread, which then ends.
        let _ = TcpStream::connect(self.address);
    }
}

impl Connection {
    fn close(&self) {
        let _ = self.near.shutdown(Shutdown::Both);
        let _ = self.far.shutdown(Shutdown::Both);
        self.thawed.notify_all();
    }

    fn wait_while_frozen(&self) {
        let mut frozen = self.frozen.lock().unwrap_or_else(PoisonError::into_inner);
        while *frozen {
            frozen = self.thawed.wait(frozen).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    for near in listener.incoming() {
        if state.closed.load(Ordering::SeqCst) {
            return;
        }
        let (Ok(near), false) = (near, state.refuse.load(Ordering::SeqCst)) else { continue };
        let Ok(far) = TcpStream::connect(state.target) else { continue };
        state.accepted.fetch_add(1, Ordering::SeqCst);
        let silent = state.silent.load(Ordering::SeqCst);
        let connection =
            Arc::new(Connection { near, far, frozen: Mutex::new(silent), thawed: Condvar::new() });
        state
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&connection));
        for outwards in [true, false] {
            let (connection, state) = (Arc::clone(&connection), Arc::clone(state));
            thread::spawn(move || {
                let _ = pump(&connection, &state, outwards);
                connection.close();
            });
        }
    }
}

fn pump(connection: &Connection, state: &State, outwards: bool) -> std::io::Result<()> {
    let (mut from, mut to) = (&connection.near, &connection.far);
    if !outwards {
        std::mem::swap(&mut from, &mut to);
    }
    let mut buffer = [0; 16 * 1024];
    loop {
        let rate = state.rate.load(Ordering::SeqCst);
        // A tenth of a second's worth at a time.
        let piece = if rate == 0 {
            buffer.len()
        } else {
            usize::try_from(rate / 10).unwrap_or(1).clamp(1, buffer.len())
        };
        let read = from.read(&mut buffer[..piece])?;
        connection.wait_while_frozen();
        if read == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..read])?;
        pause(Duration::from_millis((read as u64 * 1000).checked_div(rate).unwrap_or(0)));
    }
}

#[expect(clippy::disallowed_methods, reason = "the pause is what a slow line is")]
fn pause(time: Duration) {
    thread::sleep(time);
}
