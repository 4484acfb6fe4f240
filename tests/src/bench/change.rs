//! One machine in a hundred has changed: a daemon's round beside the limit, on one and the same fleet.
//!
//! Each turn takes the next version of the list: the limit writes its changes, or the fetcher does, so that both always
//! find the fleet as the version before left it. The round is the real engine's, run in this process over an index that
//! its watch keeps; the list is parsed before the clock starts, and the parsing is measured for itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fetcher_baremetal::Baremetal;
use fetcher_core::app::App;
use fetcher_core::brake::Policy;
use fetcher_core::config::StoreConfig;
use fetcher_core::desired::{self, Seen};
use fetcher_core::machine::Machine;
use fetcher_core::provider::{Fetch, Progress, Provider, Served};
use fetcher_core::round::{Engine, Unwatched};
use fetcher_core::selector::Selector;
use fetcher_core::store::HostStore;
use fetcher_core::store::any::AnyStore;
use fetcher_core::store::kube::{KubernetesConfig, Mode};
use jiff::Timestamp;
use serde_json::json;

use super::limit::{self, Limit, prepare};
use super::sample::{Case, Sample, Who, turn};
use super::{Bench, FETCHER, House, IN_FLIGHT, list, machines, process, source, style};
use crate::kubeconfig::CONTEXT;
use crate::poll::poll_until;
use crate::programs;

/// A namespace full of Hosts, and the version of the list that they are of.
pub struct Fleet {
    pub(super) house: House,
    machines: usize,
    version: usize,
    changed: Vec<Machine>,
}

/// A daemon's engine in this process.
struct Daemon {
    engine: Engine<<Baremetal as App>::Provider, AnyStore>,
    served: Served,
}

impl Bench {
    /// A fresh namespace, filled by the fetcher.
    ///
    /// # Errors
    /// The fetcher failed.
    pub async fn fleet(&self) -> Result<Fleet> {
        let house = self.house().await?;
        let mut fleet = Fleet { house, machines: self.machines, version: 0, changed: Vec::new() };
        fleet.once(Case::Create).await?;
        Ok(fleet)
    }

    /// `pairs` pairs, the first of them being number `first`, with as many in flight as serve the limit best; and the
    /// fetcher's binary with `--once`, which reads all Hosts before it writes one.
    ///
    /// # Errors
    /// A request or the fetcher failed.
    pub async fn change(
        &self,
        fleet: &mut Fleet,
        first: usize,
        pairs: usize,
    ) -> Result<Vec<Sample>> {
        let daemon = Daemon::open(&fleet.house).await?;
        let in_flight = daemon.best(fleet).await?;
        let mut samples = Vec::new();
        for who in (first..first + pairs).flat_map(|pair| turn(pair, Who::Daemon)) {
            fleet.next()?;
            samples.push(match who {
                Who::Limit => daemon.limit(fleet, in_flight).await?,
                _ => daemon.round(fleet).await?,
            });
        }
        fleet.next()?;
        samples.push(fleet.once(Case::Change).await?);
        Ok(samples)
    }
}

impl Fleet {
    /// Writes the next version of the list.
    fn next(&mut self) -> Result<()> {
        self.version += 1;
        let all = machines(self.machines, self.version)?;
        let changed = list::changed(self.machines, self.version);
        self.changed = changed.map(|n| all[n].clone()).collect();
        self.house.write(self.machines, self.version)
    }

    /// The fetcher's binary over the list as it is.
    pub(super) async fn once(&mut self, case: Case) -> Result<Sample> {
        let mut audit = self.house.namespace.audit();
        audit.restart().await?;
        let (program, config) = (programs::workspace(FETCHER)?, &self.house.config);
        let config = config.to_str().context("a path that is no text")?;
        let arguments = ["--once", "--config", config];
        let (ran, cost) = process::run(&program, &arguments, self.house.namespace.dir()).await?;
        ensure!(ran.code == 0, "{ran:?}");
        Ok(Sample {
            cpu: Some(cost.cpu),
            peak: Some(cost.peak),
            requests: audit.counts(FETCHER).await?,
            ..Sample::new(case, Who::Once, self.machines, cost.wall)
        })
    }
}

impl Daemon {
    async fn open(house: &House) -> Result<Self> {
        let path = house.list.to_str().context("a path that is no text")?;
        let file = json!({"sources": [{"file": {"name": "bench", "path": path}}]});
        let provider = Baremetal::build(serde_json::from_value(file)?, Default::default())?;
        let served = provider.sources().await?.sources.into_iter().next().context("no source")?;
        let config = StoreConfig::Kubernetes(Box::new(KubernetesConfig {
            namespace: house.namespace.name().to_owned(),
            kubeconfig: Some(house.namespace.kubeconfig()?),
            context: Some(CONTEXT.to_owned()),
            ..KubernetesConfig::default()
        }));
        let (name, all) = (Baremetal::NAME, Selector::default());
        let store = AnyStore::open(&config, name, all, Mode::Daemon).await?;
        let engine = Engine::new(Arc::new(provider), Arc::new(store), style(), Policy::default());
        Ok(Self { engine, served })
    }

    /// How many in flight serve the limit best: the best of three each, because each is short.
    async fn best(&self, fleet: &mut Fleet) -> Result<usize> {
        let mut best = (f64::MAX, 0);
        for in_flight in IN_FLIGHT.repeat(3) {
            fleet.next()?;
            let sample = self.limit(fleet, in_flight).await?;
            if sample.wall < best.0 {
                best = (sample.wall, in_flight);
            }
        }
        Ok(best.1)
    }

    async fn limit(&self, fleet: &Fleet, in_flight: usize) -> Result<Sample> {
        let prepared = prepare(&fleet.changed)?;
        let limit = Limit::new(&fleet.house.namespace)?;
        // Connections of its own, as the daemon has them: a first request on each, outside of the time.
        limit.connect(&prepared, in_flight).await?;
        let mut audit = fleet.house.namespace.audit();
        audit.restart().await?;
        let took = limit.change(&prepared, in_flight).await?;
        let requests = audit.counts(limit::AGENT).await?;
        self.caught_up(fleet).await?;
        Ok(Sample {
            in_flight: Some(in_flight),
            requests,
            ..Sample::new(Case::Change, Who::Limit, fleet.machines, took.as_secs_f64())
        })
    }

    async fn round(&self, fleet: &Fleet) -> Result<Sample> {
        let source = &self.served.source;
        let (selector, progress) = (Selector::default(), Progress::default());
        let request = Fetch { source, selector: &selector, progress: &progress };
        self.engine.provider.fetch(request).await?;
        let mut audit = fleet.house.namespace.audit();
        audit.restart().await?;
        let (me, all) = (std::process::id(), std::slice::from_ref(&self.served));
        let (before, start) = (process::cpu(me)?, Instant::now());
        let report = self.engine.round(&self.served, all, Timestamp::now(), &Unwatched).await?;
        let took = start.elapsed();
        let cpu = process::cpu(me)? - before;
        let as_planned = report.updated == fleet.changed.len() && report.failed == 0;
        ensure!(as_planned, "{} to change: {report:?}", fleet.changed.len());
        Ok(Sample {
            cpu: Some(cpu),
            requests: audit.counts(FETCHER).await?,
            ..Sample::new(Case::Change, Who::Daemon, fleet.machines, took.as_secs_f64())
        })
    }

    /// Waits until the watch has told what the limit wrote: that it is just what the fetcher would have written.
    async fn caught_up(&self, fleet: &Fleet) -> Result<()> {
        let (source, style) = (source(), style());
        poll_until("the index is as the limit left it", Duration::from_secs(60), async || {
            let (index, lens) =
                (self.engine.store.observed(&source).await?, self.engine.store.lens());
            let told = fleet.changed.iter().all(|machine| {
                let entry = index.hosts.get(&desired::name(&source, machine));
                let wanted = desired::wanted(&source, machine, Seen::Listed, &style, lens);
                entry.is_some_and(|entry| entry.digest == wanted)
            });
            Ok(told.then_some(()))
        })
        .await
    }
}
