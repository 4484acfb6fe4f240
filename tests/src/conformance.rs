//! The provider conformance suite: what every fetcher must keep, whatever API it speaks.
//!
//! A case changes a provider's world or breaks its API, lets the real engine make a round into a real file store, and
//! asserts what the store holds afterwards. A provider joins by an [`Adapter`]; see `tests/README.md`. Not a test of any
//! mapping: each crate has its own.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use fetcher_core::brake::Policy;
use fetcher_core::desired::Style;
use fetcher_core::machine::Text;
use fetcher_core::observed::Lens;
use fetcher_core::provider::{Provider, Served};
use fetcher_core::report::{RoundResult, SourceReport};
use fetcher_core::round::{Engine, RunOptions, Unwatched};
use fetcher_core::schema::Schema;
use fetcher_core::store::file::FileStore;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::fake_faults::Fault;

mod aws;
pub mod cases;
mod cloudforms;
mod file;
mod ironic;
mod maas;
mod netbox;
mod packet;
mod redfish;

pub use aws::AwsAdapter;
pub use cloudforms::CloudformsAdapter;
pub use file::FileAdapter;
pub use ironic::IronicAdapter;
pub use maas::MaasAdapter;
pub use netbox::NetBoxAdapter;
pub use packet::PacketAdapter;
pub use redfish::RedfishAdapter;

/// What all machines of a world are tagged with unless a case says otherwise: `role=web`.
pub const ROLE: &str = "web";

/// Whether an adapter can do what it is asked, or why it has no meaning for its provider.
pub type Can = Result<(), &'static str>;

/// A provider with a world that can be changed and an API that can be broken. The n-th machine is meant by its number.
pub trait Adapter: Sized + Send + Sync {
    /// The provider under test: the real one.
    type Provider: Provider;
    /// How many machines make three pages, the last one not full.
    const MACHINES: usize;
    /// What selects the machines of the role, in the words of its tags.
    const SELECTOR: &'static str = "role=web";
    /// The cases that have no meaning for it.
    const MEANINGLESS: &'static [&'static str];

    /// A world of this many machines, numbered from 0, all tagged `role=web`, in one source.
    fn start(machines: usize) -> impl Future<Output = anyhow::Result<Self>> + Send;
    /// The provider, as its program builds it from a configuration: quick to give up, and small limits.
    ///
    /// # Errors
    /// A configuration that does not fit.
    fn provider(&self) -> anyhow::Result<Self::Provider>;
    /// The id of the n-th machine.
    fn id(&self, n: usize) -> String;
    /// Changes the world.
    ///
    /// # Errors
    /// Why that has no meaning here.
    fn change(&self, change: Change) -> Can;
    /// Breaks the API.
    ///
    /// # Errors
    /// Why that has no meaning here.
    fn trouble(&self, trouble: Trouble) -> Can;
    /// Mends the API.
    fn heal(&self);
    /// Texts that no output may hold.
    fn secrets(&self) -> Vec<String>;
}

/// A change of the world.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// The machine is made.
    Add(usize),
    /// It is no longer there, in lists and lookups.
    Remove(usize),
    /// Its tag `role` has this value; without one the tag is taken off.
    Role(usize, Option<&'static str>),
    /// It goes by this name.
    Name(usize, &'static str),
    /// Its state is a word that nobody knows.
    UnknownState(usize),
    /// Everything that may be missing is missing, but its tag.
    Bare(usize),
    /// It is in a state that it never leaves.
    Ended(usize),
    /// The list comes in the other order.
    Reverse,
    /// The list comes twice over, the second time with another name for each machine.
    Twice,
    /// Nothing is there any more.
    Empty,
    /// The machine is removed after the first page of the next listing.
    RemoveOnTheWay(usize),
    /// Lists leave it out though it exists.
    Hide(usize),
    /// The credentials are others now; the provider's are as they were.
    Rotate,
    /// The provider gets the new credentials where it reads them.
    HandOver,
}

/// Something that is wrong with the API's answers to lists, for good unless it says otherwise.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    /// A page for people, with status 200.
    Html,
    /// The right content under another content type.
    OtherKind,
    /// An answer that breaks off in the middle.
    Truncated,
    /// More than anybody should read.
    Huge,
    /// An answer that takes longer than anybody should wait.
    Slow,
    /// A redirect to another host.
    Redirect,
    /// 429 once, with `Retry-After` or without.
    ThrottledOnce(Option<u64>),
    /// 429 for ever.
    Throttled,
    /// This status, with a page for people.
    Status(u16),
    /// A later page fails.
    LaterPage,
    /// Lookups fail.
    Lookup,
    /// Nobody answers at all.
    Down,
}

/// The fault of an HTTP API for a trouble that concerns every list alike.
fn fault(trouble: Trouble) -> Result<Fault, &'static str> {
    const PAGE: &str = "<!DOCTYPE html><title>Sorry</title>";
    Ok(match trouble {
        Trouble::Html => Fault::Html,
        Trouble::OtherKind => Fault::OtherKind,
        Trouble::Truncated => Fault::Truncated,
        Trouble::Huge => Fault::Huge(2 * 1024 * 1024),
        Trouble::Slow => Fault::Slow(std::time::Duration::from_secs(30)),
        // A host that would answer anything is not needed: it must not even be asked.
        Trouble::Redirect => Fault::Redirect("http://another-host.invalid/".to_owned()),
        Trouble::Throttled => Fault::Throttled(None),
        Trouble::ThrottledOnce(after) => Fault::Throttled(after),
        Trouble::Status(status) => Fault::Says(status, "text/html", PAGE),
        Trouble::Down => Fault::Dropped,
        Trouble::LaterPage | Trouble::Lookup => return Err("not a trouble of every list"),
    })
}

/// A provider, a store, and the clock of a case.
pub struct Bed<A: Adapter> {
    /// The world.
    pub adapter: A,
    /// What brings the one into the other.
    pub engine: Engine<A::Provider, FileStore>,
    served: Vec<Served>,
    file: PathBuf,
    now: Timestamp,
    _dir: tempfile::TempDir,
}

impl<A: Adapter> Bed<A> {
    /// A world of the adapter's usual size, after a first round: every machine is a Host.
    ///
    /// # Errors
    /// What could not be started, or a first round that was not whole.
    pub async fn full() -> anyhow::Result<Self> {
        Self::of(A::MACHINES, A::SELECTOR).await
    }

    /// The same with so many machines and this selector.
    ///
    /// # Errors
    /// What could not be started, or a first round that was not whole.
    pub async fn of(machines: usize, selector: &str) -> anyhow::Result<Self> {
        // Each test's process may be the first to need it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let adapter = A::start(machines).await?;
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("inventory.json");
        let lens = Lens { schema: Schema::ours(), selector: selector.parse()? };
        let store = Arc::new(FileStore::new(file.clone(), lens));
        let provider = Arc::new(adapter.provider()?);
        let served = provider.sources().await?.sources;
        let style = Style { label_tags: vec![Text::from("role")] };
        let engine = Engine::new(provider, store, style, Policy::default());
        let now = "2026-08-21T10:00:00Z".parse()?;
        let mut bed = Self { adapter, engine, served, file, now, _dir: dir };
        let first = bed.round().await?;
        anyhow::ensure!(first.result == RoundResult::Complete, "first round: {first:?}");
        anyhow::ensure!(first.created == machines, "first round: {first:?}");
        // From here on no machine is too young to be missed.
        bed.now = bed.now.checked_add(SignedDuration::try_from(bed.engine.provider.settle())?)?;
        Ok(bed)
    }

    /// One round of the only source, a minute after the last.
    ///
    /// # Errors
    /// No report of it.
    pub async fn round(&mut self) -> anyhow::Result<SourceReport> {
        self.now = self.now.checked_add(SignedDuration::from_secs(60))?;
        let options = RunOptions::default();
        let run = self.engine.once(&self.served, &options, self.now, &Unwatched).await?;
        let report = run.sources.into_iter().next();
        report.ok_or_else(|| anyhow::anyhow!("no source was served"))
    }

    /// Hosts by the id of their machine.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn hosts(&self) -> anyhow::Result<BTreeMap<String, Value>> {
        let list: Value = serde_json::from_str(&self.text()?)?;
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let id = |host: &Value| host["spec"]["machineID"].as_str().unwrap_or_default().to_owned();
        Ok(items.into_iter().map(|host| (id(&host), host)).collect())
    }

    /// The Host of the n-th machine.
    ///
    /// # Errors
    /// There is none.
    pub fn host(&self, n: usize) -> anyhow::Result<Value> {
        let host = self.hosts()?.remove(&self.adapter.id(n));
        host.ok_or_else(|| anyhow::anyhow!("no Host of machine {n}"))
    }

    /// Ids of machines whose Hosts are marked gone, with the reason.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn gone(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let gone = self.hosts()?.into_iter().filter(|(_, host)| host["status"]["state"] == "Gone");
        let reason = |host: &Value| {
            let conditions = host["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let present = conditions.into_iter().find(|it| it["type"] == "Present");
            present.map(|it| it["reason"].as_str().unwrap_or_default().to_owned())
        };
        Ok(gone.map(|(id, host)| (id, reason(&host).unwrap_or_default())).collect())
    }

    /// The store's file as it is.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn text(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(&self.file)?)
    }
}
