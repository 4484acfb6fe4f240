//! The benchmark: what a fetcher costs at a real apiserver, beside the least that anybody could pay for the same.
//!
//! The limit is prepared requests of the very same kind and bytes, sent by the same user under the same policy, with as
//! many in flight as serve it best. Fetcher and limit take turns (limit, fetcher, fetcher, limit, …), because one run
//! alone differs from the next by a quarter. It measures and asserts nothing about time; a small size of it runs among
//! the tests, where its requests are counted.

use std::path::PathBuf;

use anyhow::Result;
use fetcher_baremetal::file::{Format, parse::parse};
use fetcher_core::desired::Style;
use fetcher_core::machine::{Machine, Source};

use crate::kubeconfig;
use crate::namespace::Namespace;
use crate::plane::Plane;

pub mod change;
pub mod create;
pub mod kubectl;
pub mod limit;
pub mod list;
pub mod process;
pub mod sample;
pub mod table;
pub mod unchanged;

/// The User-Agent of the fetcher, and the name of its binary.
pub const FETCHER: &str = "fetcher-baremetal";
/// The tags that become labels.
const LABELS: [&str; 2] = ["team", "env"];
/// How many requests in flight the limit is tried with.
pub const IN_FLIGHT: [usize; 4] = [8, 16, 32, 64];

/// What all cases share: an apiserver, and how many machines there are.
pub struct Bench {
    /// The control plane.
    pub plane: Plane,
    /// How many machines the list holds.
    pub machines: usize,
}

/// A namespace with a fetcher, its configuration and its list.
pub(crate) struct House {
    pub(crate) namespace: Namespace,
    pub(crate) list: PathBuf,
    pub(crate) config: PathBuf,
}

impl Bench {
    /// A fresh namespace with the first version of the list in it.
    pub(crate) async fn house(&self) -> Result<House> {
        let namespace = self.plane.namespace("bench").await?;
        let list = namespace.dir().join("machines.yaml");
        let config = namespace.dir().join("config.yaml");
        std::fs::write(
            &config,
            format!(
                "selector: \"\"\nschedule: every 1s\nlabels: {{tags: [{}]}}\n\
                 store: {{kubernetes: {{namespace: {}, kubeconfig: {}, context: {}}}}}\n\
                 baremetal: {{sources: [{{file: {{name: bench, path: {}}}}}]}}\n",
                LABELS.join(", "),
                namespace.name(),
                namespace.kubeconfig()?.display(),
                kubeconfig::CONTEXT,
                list.display(),
            ),
        )?;
        let house = House { namespace, list, config };
        house.write(self.machines, 0)?;
        Ok(house)
    }
}

impl House {
    /// Puts another version of the list there, whole.
    pub(crate) fn write(&self, machines: usize, version: usize) -> Result<()> {
        let aside = self.list.with_extension("new");
        std::fs::write(&aside, list::yaml(machines, version))?;
        Ok(std::fs::rename(aside, &self.list)?)
    }
}

/// The machines of a version of the list, as the fetcher reads them.
pub(crate) fn machines(count: usize, version: usize) -> Result<Vec<Machine>> {
    Ok(parse(Format::Yaml, list::yaml(count, version).as_bytes())?)
}

/// The source that the list is.
pub(crate) fn source() -> Source {
    Source::new("baremetal", &["file", "bench"])
}

/// How its Hosts are labelled.
pub(crate) fn style() -> Style {
    Style { label_tags: LABELS.map(Into::into).into() }
}
