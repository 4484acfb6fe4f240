//! The loop over a provider that does as it is told, with the file store and without a process.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use super::*;
use crate::config::{FileConfig, StoreConfig};
use crate::machine::{Machine, Source, Text};
use crate::provider::{Discovery, Fetch, FetchError, Listing, Lookup, Served};
use crate::schedule::Schedule;
use crate::selector::Selector;

/// Sources and what a fetch of each gives: machines, an error, or no answer at all.
#[derive(Default)]
struct Puppet {
    sources: Mutex<Vec<&'static str>>,
    hang: Mutex<Vec<&'static str>>,
    deny: Mutex<Vec<&'static str>>,
    fetches: AtomicUsize,
    under_way: AtomicUsize,
    most: AtomicUsize,
    /// When it was asked for its sources; refused where `refuse` says so.
    asked: Mutex<Vec<tokio::time::Instant>>,
    refuse: Mutex<Option<FetchError>>,
    closed: AtomicUsize,
}

fn source(name: &str) -> Source {
    Source::new("toy", &[name])
}

impl Provider for Arc<Puppet> {
    fn name(&self) -> &'static str {
        "toy"
    }

    async fn sources(&self) -> Result<Discovery, FetchError> {
        self.asked.lock().unwrap().push(tokio::time::Instant::now());
        if let Some(error) = self.refuse.lock().unwrap().clone() {
            return Err(error);
        }
        let sources = self.sources.lock().unwrap().clone();
        let served =
            |name: &&str| Served { source: source(name), settings: std::sync::Arc::default() };
        Ok(Discovery { sources: sources.iter().map(served).collect(), failed: Vec::new() })
    }

    async fn fetch(&self, request: Fetch<'_>) -> Result<Listing, FetchError> {
        let is = |names: &Mutex<Vec<&str>>| {
            names.lock().unwrap().iter().any(|name| source(name) == *request.source)
        };
        self.fetches.fetch_add(1, Ordering::SeqCst);
        if is(&self.hang) {
            std::future::pending::<()>().await;
        }
        if is(&self.deny) {
            return Err(FetchError::denied("the token is not known"));
        }
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        let machine = Machine { id: "1".into(), ..Machine::default() };
        Ok(Listing { machines: Arc::new(vec![machine]), notes: Vec::new() })
    }

    async fn lookup(&self, _: &Source, _: &[Text]) -> Result<Lookup, FetchError> {
        Ok(Lookup::Unsupported)
    }

    async fn close(&self) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }
}

/// A daemon under test: its port, its end, and its folder.
struct Daemon {
    address: std::net::SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    ended: tokio::task::JoinHandle<()>,
    folder: tempfile::TempDir,
}

async fn start(puppet: &Arc<Puppet>, schedule: &str) -> Daemon {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hosts.json");
    let config = StoreConfig::File(FileConfig { path });
    let store = AnyStore::open(&config, "toy", Selector::default(), Mode::Daemon).await.unwrap();
    let listener = admin::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let engine = Engine::new(
        Arc::new(Arc::clone(puppet)),
        Arc::new(store),
        crate::desired::Style::default(),
        crate::brake::Policy::default(),
    );
    let schedule: Schedule = schedule.parse().unwrap();
    let metrics = Metrics::new("toy");
    let instance = Instance { engine, schedule, metrics, listener: Some(listener) };
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(serve(instance, async {
        let _ = stopped.await;
    }));
    Daemon { address, stop: Some(stop), ended, folder }
}

impl Daemon {
    /// Status code and body of a GET.
    async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let code = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (code, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    async fn end(mut self) -> Duration {
        let begun = Instant::now();
        let _ = self.stop.take().unwrap().send(());
        self.ended.await.unwrap();
        begun.elapsed()
    }
}

/// Asks again and again until it is so, with a deadline.
async fn until<F: Future<Output = bool>>(what: &str, mut is: impl FnMut() -> F) {
    let all = async {
        while !is().await {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(60), all).await.is_ok(), "never: {what}");
}

#[tokio::test]
async fn the_first_rounds_begin_at_once_and_others_follow() {
    let puppet = Arc::new(Puppet { sources: Mutex::new(vec!["a", "b"]), ..Puppet::default() });
    let daemon = start(&puppet, "every 1s").await;
    until("ready", || async { daemon.get("/readyz").await.0 == 200 }).await;
    until("more rounds", || async { puppet.fetches.load(Ordering::SeqCst) >= 6 }).await;
    let (code, text) = daemon.get("/metrics").await;
    assert_eq!(code, 200);
    assert!(text.contains("fetcher_changes_total{verb=\"create\"} 2"), "{text}");
    let stored = std::fs::read_to_string(daemon.folder.path().join("hosts.json")).unwrap();
    assert!(stored.contains("toy-a") && stored.contains("toy-b"), "{stored}");
    assert!(daemon.end().await < Duration::from_secs(5));
}

#[tokio::test]
async fn ready_waits_for_a_first_attempt_of_every_source_and_no_longer() {
    let puppet = Arc::new(Puppet { sources: Mutex::new(vec!["a", "slow"]), ..Puppet::default() });
    puppet.hang.lock().unwrap().push("slow");
    puppet.deny.lock().unwrap().push("a");
    let daemon = start(&puppet, "every 1s").await;
    until("both asked", || async { puppet.fetches.load(Ordering::SeqCst) >= 2 }).await;
    let (code, text) = daemon.get("/readyz").await;
    assert_eq!(code, 503, "{text}");
    assert!(text.contains("toy-slow"), "{text}");
    assert_eq!(daemon.get("/livez").await.0, 200);
    daemon.ended.abort();
}

#[tokio::test]
async fn a_dead_source_is_left_in_peace_and_harms_no_other() {
    let puppet = Arc::new(Puppet { sources: Mutex::new(vec!["a", "dead"]), ..Puppet::default() });
    puppet.deny.lock().unwrap().push("dead");
    let daemon = start(&puppet, "every 1s").await;
    until("three rounds of the other", || async { puppet.fetches.load(Ordering::SeqCst) >= 4 })
        .await;
    let text = daemon.get("/metrics").await.1;
    assert!(text.contains("fetcher_round_failures_total{reason=\"denied\"} 1"), "{text}");
    assert!(text.contains("fetcher_source_consecutive_failures{source=\"toy-dead\"} 1"), "{text}");
    assert_eq!(daemon.get("/readyz").await.0, 200, "well or badly");
    daemon.end().await;
}

#[tokio::test]
async fn not_more_sources_are_asked_at_once_than_may() {
    let names: Vec<&'static str> =
        (0..100).map(|n| &*Box::leak(format!("s{n}").into_boxed_str())).collect();
    let puppet = Arc::new(Puppet { sources: Mutex::new(names), ..Puppet::default() });
    let daemon = start(&puppet, "every 1h").await;
    until("all asked", || async { puppet.fetches.load(Ordering::SeqCst) >= 100 }).await;
    let most = puppet.most.load(Ordering::SeqCst);
    assert!(most <= crate::config::Concurrency::default().get(), "{most}");
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_round_that_hangs_is_abandoned_at_the_deadline() {
    let puppet = Arc::new(Puppet { sources: Mutex::new(vec!["slow"]), ..Puppet::default() });
    puppet.hang.lock().unwrap().push("slow");
    let mut daemon = start(&puppet, "every 1s").await;
    until("asked", || async { puppet.fetches.load(Ordering::SeqCst) >= 1 }).await;
    let begun = tokio::time::Instant::now();
    let _ = daemon.stop.take().unwrap().send(());
    daemon.ended.await.unwrap();
    let took = begun.elapsed();
    assert!(took >= serve::FINISHING && took < serve::FINISHING * 2, "{took:?}");
}

#[tokio::test]
async fn a_client_that_says_nothing_does_not_hold_up_the_others_or_the_end() {
    let puppet = Arc::new(Puppet { sources: Mutex::new(vec!["a"]), ..Puppet::default() });
    let daemon = start(&puppet, "every 1h").await;
    let mut silent = tokio::net::TcpStream::connect(daemon.address).await.unwrap();
    silent.write_all(b"GET /metr").await.unwrap();
    until("ready", || async { daemon.get("/readyz").await.0 == 200 }).await;
    assert_eq!(daemon.get("/nothing").await.0, 404);
    assert!(daemon.end().await < Duration::from_secs(5));
}

/// After how many minutes a daemon asks for the sources, where every answer is `error`, within nearly three hours.
async fn discovers(error: FetchError, schedule: &str) -> Vec<u64> {
    let puppet = Arc::new(Puppet { refuse: Mutex::new(Some(error)), ..Puppet::default() });
    let daemon = start(&puppet, schedule).await;
    // Not a whole number of hours, where a tick would be due as well.
    let long = Duration::from_secs(170 * 60);
    let _ = tokio::time::timeout(long, std::future::pending::<()>()).await;
    daemon.ended.abort();
    let asked = puppet.asked.lock().unwrap();
    asked.iter().map(|time| (*time - asked[0]).as_secs() / 60).collect()
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_not_shown_again_and_again_to_ask_for_the_sources() {
    let denied = discovers(FetchError::denied("the token is not known"), "every 30s").await;
    assert!((5..=6).contains(&denied[1]), "{denied:?}");
    let waits: Vec<_> = denied.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (wait, least) in waits.iter().zip([5, 10, 20, 40, 60]) {
        assert!((least..=least + 1).contains(wait), "{waits:?}");
    }
    assert_eq!(denied.len(), 6, "{denied:?}");
}

#[tokio::test(start_paused = true)]
async fn who_says_how_long_to_wait_is_not_asked_for_the_sources_before() {
    let busy = FetchError::throttled("busy", Some(Duration::from_secs(15 * 60)));
    let busy = discovers(busy, "every 30s").await;
    assert!(busy.windows(2).all(|pair| pair[1] - pair[0] >= 15), "{busy:?}");
    let down = discovers(FetchError::unavailable("down"), "every 1h").await;
    assert_eq!(down, [0, 60, 120], "no tick is left out for what is asked every ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_run_may_end_after_the_first_signal_and_is_given_up_at_the_deadline() {
    use std::future::{pending, ready};
    let puppet = Arc::new(Puppet::default());
    let closed = || puppet.closed.load(Ordering::SeqCst);
    let begun = tokio::time::Instant::now();
    let nearly = async {
        let late = serve::FINISHING - Duration::from_secs(1);
        tokio::time::timeout(late, pending::<()>()).await.is_err()
    };
    assert_eq!(once::under(ready(()), pending(), nearly, &puppet).await, Some(true));
    assert_eq!((begun.elapsed().as_secs() + 1, closed()), (serve::FINISHING.as_secs(), 1));

    let begun = tokio::time::Instant::now();
    assert_eq!(once::under(ready(()), pending(), pending::<()>(), &puppet).await, None);
    assert_eq!((begun.elapsed().as_secs(), closed()), (serve::FINISHING.as_secs(), 2));

    let begun = tokio::time::Instant::now();
    assert_eq!(once::under(ready(()), ready(()), pending::<()>(), &puppet).await, None);
    assert_eq!(begun.elapsed().as_secs(), 0, "the second signal ends it at once");
}
