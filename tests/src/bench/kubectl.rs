//! The same Hosts by `kubectl apply`: what somebody would do who has no fetcher.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::sample::{Case, Sample, Who};
use super::{Bench, limit, machines, process};
use crate::programs;

impl Bench {
    /// All Hosts by `kubectl apply --server-side`, then their status, as README.md shows for the file store's list.
    ///
    /// # Errors
    /// kubectl failed.
    pub async fn kubectl(&self) -> Result<Sample> {
        let house = self.house().await?;
        let list = house.namespace.dir().join("hosts.json");
        let hosts: Vec<Value> = limit::prepare(&machines(self.machines, 0)?)?
            .iter()
            .map(limit::Prepared::object)
            .collect::<Result<_>>()?;
        let all = json!({"apiVersion": "v1", "kind": "List", "items": hosts});
        std::fs::write(&list, all.to_string())?;
        let kubectl = programs::control_plane("kubectl")?;
        // The administrator's: a fetcher may update a status, not patch it.
        let kubeconfig = house.namespace.kubeconfig_of(&self.plane.admin(), self.plane.url())?;
        let list = list.display().to_string();
        let kubeconfig = kubeconfig.to_str().context("a path that is no text")?;
        let apply = ["--kubeconfig", kubeconfig, "apply", "--server-side", "-f", &list];
        let start = Instant::now();
        let (mut cpu, mut peak) = (0.0, 0);
        for part in [&[][..], &["--subresource=status"]] {
            let arguments = [&apply[..], part].concat();
            let (ran, cost) = process::run(&kubectl, &arguments, house.namespace.dir()).await?;
            ensure!(ran.code == 0, "kubectl: {}", ran.stderr);
            cpu += cost.cpu;
            peak = peak.max(cost.peak);
        }
        Ok(Sample {
            cpu: Some(cpu),
            peak: Some(peak),
            requests: house.namespace.audit().counts("kubectl").await?,
            ..Sample::new(Case::Create, Who::Kubectl, self.machines, start.elapsed().as_secs_f64())
        })
    }
}
