//! The daemon's loop: ticks begin rounds, rounds end, sources come and go, and a signal ends it all.
//!
//! It decides nothing about Hosts. One task each for a round and for asking which sources there are; everything else
//! happens here, one event after the other, so that nothing has to be locked.

use std::collections::BTreeMap;
use std::future::Future;
use std::hash::RandomState;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::attempt::{Ended, broke_off, failed, round};
use super::course::{Course, Start, of_fetch, reason};
use super::health::Health;
use super::summary::Summary;
use super::systemd;
use crate::admin::{self, Shown};
use crate::metrics::Metrics;
use crate::provider::{Discovery, FetchError, Provider, Served};
use crate::round::Engine;
use crate::schedule::{Backoff, Outcome, Schedule, Ticks, offset};
use crate::store::any::AnyStore;
use crate::telemetry;

/// How long rounds may go on after the first signal.
pub(super) const FINISHING: Duration = Duration::from_secs(20);
/// How often the provider is asked at the most which sources there are.
const DISCOVERY: Duration = Duration::from_secs(600);

/// Everything that a daemon runs on.
pub struct Instance<P> {
    /// Provider and store.
    pub engine: Engine<P, AnyStore>,
    /// When rounds begin.
    pub schedule: Schedule,
    /// What is shown.
    pub metrics: Metrics,
    /// Where it is shown.
    pub listener: Option<TcpListener>,
}

/// What the loop shares with its tasks.
pub(super) struct Shared<P> {
    pub(super) engine: Engine<P, AnyStore>,
    metrics: Metrics,
    pub(super) health: Health,
    places: Arc<Semaphore>,
}

impl<P: Provider> Shown for Shared<P> {
    fn metrics(&self) -> String {
        self.metrics.render(&self.engine.store, crate::clock::now())
    }
    fn live(&self) -> Result<(), String> {
        self.health.live(Instant::now())
    }
    fn ready(&self) -> Result<(), String> {
        self.health.ready()
    }
}

struct Loop<P> {
    shared: Arc<Shared<P>>,
    schedule: Schedule,
    seed: RandomState,
    courses: BTreeMap<String, Course>,
    /// None for a round that was to begin when the end came.
    rounds: JoinSet<Option<Ended>>,
    discovery: JoinSet<Result<Discovery, FetchError>>,
    /// Not to be asked before; none at the beginning.
    discover_at: Option<Instant>,
    discovery_backoff: Backoff,
    stopping: watch::Sender<bool>,
    summary: Summary,
    is_ready: bool,
}

/// Runs until `stop`, then lets rounds end within a deadline, and gives up those that do not: what they leave half
/// done, the next round repairs.
pub async fn serve<P: Provider>(instance: Instance<P>, stop: impl Future<Output = ()>) {
    let Instance { engine, schedule, metrics, listener } = instance;
    let places = Arc::new(Semaphore::new(engine.concurrency.get()));
    let health = Health::new(Instant::now());
    let shared = Arc::new(Shared { engine, metrics, health, places });
    let mut ports = JoinSet::new();
    if let Some(listener) = listener {
        ports.spawn(admin::serve(listener, Arc::clone(&shared)));
    }
    let mut ticks = match Ticks::start(&schedule).await {
        Ok(ticks) => ticks,
        // The schedule was refused as configuration if its expression could not be run.
        Err(error) => return tracing::error!(error = %error, "The schedule cannot be started"),
    };
    let mut daemon = Loop {
        shared,
        schedule,
        seed: RandomState::new(),
        courses: BTreeMap::new(),
        rounds: JoinSet::new(),
        discovery: JoinSet::new(),
        discover_at: None,
        discovery_backoff: Backoff::new(),
        stopping: watch::Sender::new(false),
        summary: Summary::default(),
        is_ready: false,
    };
    daemon.run(&mut ticks, stop).await;
    ticks.stop().await;
    daemon.finish().await;
}

impl<P: Provider> Loop<P> {
    async fn run(&mut self, ticks: &mut Ticks, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut beat = tokio::time::interval(systemd::beat());
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut stop => return,
                tick = ticks.next() => self.tick(tick).await,
                Some(answer) = self.discovery.join_next() => {
                    self.discovered(answer.unwrap_or_else(|_| Err(broke_off())));
                }
                Some(ended) = self.rounds.join_next() => {
                    if let Ok(Some(ended)) = ended {
                        self.ended(ended).await;
                    }
                }
                _ = beat.tick() => self.beat(),
            }
        }
    }

    async fn tick(&mut self, tick: Instant) {
        self.summarise().await;
        if self.discover_at.is_none_or(|time| time <= tick) && self.discovery.is_empty() {
            let shared = Arc::clone(&self.shared);
            self.discovery.spawn(async move { super::discover(&*shared.engine.provider).await });
        }
        let due: Vec<_> = self
            .courses
            .values_mut()
            .filter_map(|course| Some((course.served.clone(), course.tick(tick)?)))
            .collect();
        for (served, start) in due {
            self.begin(served, start, tick);
        }
    }

    /// Begins a round at its time, in a task of its own.
    fn begin(&mut self, served: Served, start: Start, tick: Instant) {
        let delay = match start {
            Start::Now => Duration::ZERO,
            Start::InPlace(tick) => {
                let place = offset(served.source.name(), &self.seed, self.schedule.spread());
                (tick + place).saturating_duration_since(Instant::now())
            }
        };
        let all: Vec<_> = self.courses.values().map(|course| course.served.clone()).collect();
        let shared = Arc::clone(&self.shared);
        let mut stopping = self.stopping.subscribe();
        self.rounds.spawn(async move {
            // Not a wait for a state: the place of this source in the period.
            let place = tokio::time::timeout(delay, stopping.wait_for(|stopping| *stopping));
            if place.await.is_ok() {
                return None;
            }
            let place = Arc::clone(&shared.places).acquire_owned();
            let place = tokio::select! {
                place = place => place.ok()?,
                _ = stopping.wait_for(|stopping| *stopping) => return None,
            };
            let ended = round(shared, served, all, tick).await;
            drop(place);
            Some(ended)
        });
    }

    async fn ended(&mut self, ended: Ended) {
        let Ended { served, tick, result, took, pages } = ended;
        let name = served.source.name().to_string();
        let error = result.as_ref().err();
        let period = self.schedule.period();
        let mut next = None;
        let mut failures = u32::from(error.is_some());
        if let Some(course) = self.courses.get_mut(&name) {
            next = course.ended(tick, Instant::now(), error, period);
            failures = course.failures();
        }
        let reason = error.map(reason);
        let report = result.unwrap_or_else(|error| failed(&name, &error));
        self.shared.health.ended(&name, Instant::now());
        self.shared.metrics.pages(pages);
        if self.courses.contains_key(&name) {
            let now = crate::clock::now();
            self.shared.metrics.observe(&report, reason.as_deref(), failures, took, now);
        }
        telemetry::ended(&report, took, false);
        self.summary.add(report);
        if let Some(start) = next {
            let tick = match start {
                Start::InPlace(tick) => tick,
                Start::Now => Instant::now(),
            };
            self.begin(served, start, tick);
        }
        self.beat();
        if self.rounds.is_empty() {
            self.summarise().await;
        }
    }

    /// An answer to which sources there are: those that are new begin at once.
    fn discovered(&mut self, answer: Result<Discovery, FetchError>) {
        let (outcome, discovery) = match answer {
            Ok(discovery) => {
                let gravest = discovery.failed.iter().map(|(_, error)| of_fetch(error)).max();
                (gravest.unwrap_or(Outcome::Well), Some(discovery))
            }
            Err(error) => {
                let message = error.to_string();
                tracing::warn!(
                    error = message,
                    reason = error.reason(),
                    "The provider did not say which sources there are: the last answer stays"
                );
                (of_fetch(&error), None)
            }
        };
        let wait = self.discovery_backoff.after(outcome, self.schedule.period());
        let wait = match outcome {
            Outcome::Well => DISCOVERY,
            Outcome::Failed(asked) => wait.min(DISCOVERY).max(asked.unwrap_or_default()),
            // In full, like a source that is refused: so that nobody's account is locked.
            Outcome::Denied => wait,
        };
        self.discover_at = Some(Instant::now() + wait);
        let failed = discovery.as_ref().map_or(1, |discovery| discovery.failed.len());
        let success = (failed == 0).then(crate::clock::now);
        if let Some(discovery) = discovery {
            self.take(discovery);
        }
        let served: Vec<_> = self.courses.keys().cloned().collect();
        self.shared.metrics.discovered(&served, failed, success);
        self.shared.health.discovered(served);
        self.shared.health.keep_awaiting(|source| self.courses.contains_key(source));
        if failed == 0 {
            self.summary.look_for_unserved();
        }
        self.beat();
    }

    /// Takes over what is served. While a part could not be asked, whoever is missing may belong to it, and stays.
    fn take(&mut self, discovery: Discovery) {
        for (part, error) in &discovery.failed {
            let message = error.to_string();
            tracing::warn!(
                part,
                error = message,
                reason = error.reason(),
                "A part of the provider could not be discovered: what is known of it stays"
            );
        }
        let now = Instant::now();
        let mut known = std::mem::take(&mut self.courses);
        for served in discovery.sources {
            let name = served.source.name().to_string();
            let course = match known.remove(&name) {
                Some(mut course) => {
                    course.served = served;
                    course
                }
                None => Course::new(served),
            };
            self.courses.insert(name, course);
        }
        if !discovery.failed.is_empty() {
            self.courses.append(&mut known);
        }
        let new: Vec<_> = self
            .courses
            .values_mut()
            .filter(|course| course.is_new())
            .filter_map(|course| Some((course.served.clone(), course.tick(now)?)))
            .collect();
        for (served, start) in new {
            self.begin(served, start, now);
        }
    }

    /// One line on all rounds that ended since the last one.
    async fn summarise(&mut self) {
        let served = self.courses.values().map(|course| &course.served);
        self.summary.say(&self.shared.engine, &self.shared.metrics, served).await;
    }

    fn beat(&mut self) {
        let health = &self.shared.health;
        if !self.is_ready {
            match health.ready() {
                Ok(()) => {
                    self.is_ready = true;
                    systemd::ready();
                }
                Err(why) => systemd::starting(&why),
            }
        }
        match health.live(Instant::now()) {
            Ok(()) => systemd::alive(),
            Err(why) => tracing::error!(why, "Standstill: the watchdog is no longer fed"),
        }
    }

    /// No new rounds; those under way may end within a deadline.
    async fn finish(&mut self) {
        systemd::stopping();
        self.stopping.send_replace(true);
        self.discovery.abort_all();
        let running = self.rounds.len();
        tracing::info!(running, "Stopping");
        let rounds = async {
            while let Some(ended) = self.rounds.join_next().await {
                if let Ok(Some(Ended { served, result, took, .. })) = ended {
                    let report =
                        result.unwrap_or_else(|error| failed(served.source.name(), &error));
                    telemetry::ended(&report, took, false);
                }
            }
        };
        if super::within(FINISHING, rounds).await.is_none() {
            let running = self.rounds.len();
            tracing::warn!(
                running,
                "Rounds are abandoned, the next ones will repair what is half done"
            );
            self.rounds.abort_all();
        }
        super::close(&*self.shared.engine.provider).await;
        tracing::info!("Stopped");
    }
}
