//! What every `HostStore` promises, as functions that any store is put through: kube, file, in memory.
//!
//! `store_contract!` makes a test of each. They see only what the trait shows; what a store does to the parts of an
//! object that others own is asked of the real apiserver in `store_kube`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use fetcher_core::host::{Condition, HostStatus, PRESENT};
use fetcher_core::machine::{Location, Source, State, Text};
use fetcher_core::observed::Standing;
use fetcher_core::store::{HostStore, NewHost, Part, Stored};

/// The provider of all Hosts in this suite.
pub const PROVIDER: &str = "baremetal";

/// Makes the tests of the contract. `$make` is an async function without arguments whose `Ok` is a store with no
/// Hosts in it, and whatever must live as long.
#[macro_export]
macro_rules! store_contract {
    ($make:path) => {
        $crate::store_contract!($make:
            what_was_created_is_got_and_what_was_not_is_none
            creating_a_name_twice_conflicts
            a_stale_write_conflicts_whatever_part_it_is
            a_write_to_a_host_that_never_was_conflicts
            labels_are_set_and_removed_and_others_stay
            a_status_replaces_all_of_ours
            a_part_leaves_the_other_alone
            revisions_rise_with_every_write
            a_write_of_what_is_there_already_changes_nothing
            only_the_own_source_is_observed
            what_is_observed_is_what_a_get_gives
            a_write_is_observed_as_soon_as_it_is_answered
            sources_that_are_not_served_are_named
        );
    };
    ($make:path: $($rule:ident)*) => {$(
        #[tokio::test]
        async fn $rule() -> anyhow::Result<()> {
            let (store, _guard) = $make().await?;
            $crate::store_contract::$rule(&store).await
        }
    )*};
}

/// A source of the suite.
#[must_use]
pub fn source(name: &str) -> Source {
    Source::new(PROVIDER, &[name])
}

/// A Host to be created.
#[must_use]
pub fn new_host(source: &Source, name: &str) -> NewHost {
    let labels =
        [("inventory.fetcher.dev/provider", PROVIDER), ("inventory.fetcher.dev/zone", "z1")];
    NewHost {
        name: name.into(),
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        source: source.clone(),
        machine_id: format!("id-of-{name}").into(),
    }
}

/// A status with something in every kind of field.
#[must_use]
pub fn status(hostname: &str) -> HostStatus {
    let present = Condition {
        kind: PRESENT.to_owned(),
        status: "True".to_owned(),
        reason: "Listed".to_owned(),
        last_transition_time: "2026-03-03T10:00:00Z".parse().ok(),
        ..Condition::default()
    };
    HostStatus {
        state: Some(State::Running),
        hostname: Some(hostname.into()),
        location: Location {
            zone: Some("z1".into()),
            rack: Some("r7".into()),
            ..Location::default()
        },
        tags: [("team", "fleet"), ("env", "prod")].map(|(k, v)| (k.into(), v.into())).into(),
        first_seen: "2026-03-03T10:00:00Z".parse().ok(),
        conditions: vec![present],
        ..HostStatus::default()
    }
}

async fn created(store: &impl HostStore, name: &str) -> Result<Stored> {
    Ok(store.create(&new_host(&source("one"), name)).await?)
}

async fn got(store: &impl HostStore, name: &str) -> Result<Stored> {
    store.get(name).await?.with_context(|| format!("{name} is not there"))
}

fn labels<const N: usize>(labels: [(&str, Option<&str>); N]) -> BTreeMap<String, Option<String>> {
    labels.map(|(key, value)| (key.to_owned(), value.map(str::to_owned))).into()
}

#[expect(clippy::needless_pass_by_value, reason = "an assertion takes what is compared")]
fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<()> {
    ensure!(found == expected, "{what}: {found:?} is not {expected:?}");
    Ok(())
}

fn conflict<T: std::fmt::Debug>(
    what: &str,
    result: Result<T, fetcher_core::store::StoreError>,
) -> Result<()> {
    let Err(error) = result else { anyhow::bail!("{what} was not refused") };
    same(&format!("{what}: {error}"), error.reason(), "conflict")
}

/// A created Host has the identity it was given and no status; a name that was never given is none.
pub async fn what_was_created_is_got_and_what_was_not_is_none(
    store: &impl HostStore,
) -> Result<()> {
    let made = created(store, "a").await?;
    let host = got(store, "a").await?;
    let read = host.read.as_ref().context("not readable")?;
    same("source", &*read.spec.source.name, "baremetal-one")?;
    same("scope", &*read.spec.source.scope, "one")?;
    same("machine", &*read.spec.machine_id, "id-of-a")?;
    let zone = read.metadata.labels.as_ref().and_then(|all| all.get("inventory.fetcher.dev/zone"));
    same("label", zone.map(String::as_str), Some("z1"))?;
    same("standing", &host.entry.standing, &Standing::Bare)?;
    same("the answer", &made.entry, &host.entry)?;
    ensure!(!host.entry.uid.is_empty(), "it has no id of its own");
    same("a Host that is not there", store.get("b").await?.is_none(), true)
}

/// The second one to create a name reads what the first one made.
pub async fn creating_a_name_twice_conflicts(store: &impl HostStore) -> Result<()> {
    let first = created(store, "a").await?;
    conflict("the second", store.create(&new_host(&source("two"), "a")).await)?;
    same("what is there", got(store, "a").await?.entry, first.entry)
}

/// Whoever read an older revision is told so, and changes nothing.
pub async fn a_stale_write_conflicts_whatever_part_it_is(store: &impl HostStore) -> Result<()> {
    let stale = created(store, "a").await?;
    let newer = store.write(&stale, Part::Status(&status("first"))).await?;
    conflict("a stale status", store.write(&stale, Part::Status(&status("second"))).await)?;
    let change = labels([("inventory.fetcher.dev/zone", Some("z2"))]);
    conflict("stale labels", store.write(&stale, Part::Labels(&change)).await)?;
    same("what is there", got(store, "a").await?.entry, newer.entry)
}

/// A Host that is gone from the store conflicts, so that the writer reads and decides again.
pub async fn a_write_to_a_host_that_never_was_conflicts(store: &impl HostStore) -> Result<()> {
    let mut host = created(store, "a").await?;
    host.name = "b".into();
    host.object["metadata"]["name"] = "b".into();
    conflict("status", store.write(&host, Part::Status(&status("x"))).await)?;
    let change = labels([("inventory.fetcher.dev/zone", None)]);
    conflict("labels", store.write(&host, Part::Labels(&change)).await)?;
    same("b", store.get("b").await?.is_none(), true)
}

/// A label without a value goes, one with a value is set, one not named stays.
pub async fn labels_are_set_and_removed_and_others_stay(store: &impl HostStore) -> Result<()> {
    let host = created(store, "a").await?;
    let change = labels([("rack", Some("r1")), ("team", Some("x"))]);
    let host = store.write(&host, Part::Labels(&change)).await?;
    let change =
        labels([("inventory.fetcher.dev/zone", None), ("never-there", None), ("team", Some("y"))]);
    store.write(&host, Part::Labels(&change)).await?;
    let read = got(store, "a").await?.read.context("not readable")?;
    let expected = [("inventory.fetcher.dev/provider", PROVIDER), ("rack", "r1"), ("team", "y")];
    let expected: BTreeMap<String, String> = expected.map(|(k, v)| (k.into(), v.into())).into();
    same("labels", read.metadata.labels.unwrap_or_default(), expected)
}

/// A field that left is gone, a tag that left is gone, and the rest is what was written.
pub async fn a_status_replaces_all_of_ours(store: &impl HostStore) -> Result<()> {
    let host = created(store, "a").await?;
    let host = store.write(&host, Part::Status(&status("first"))).await?;
    let read = host.read.as_ref().context("not readable")?;
    same("first status", read.status.as_ref(), Some(&status("first")))?;
    let mut second = status("second");
    second.tags.remove("env");
    second.location.rack = None;
    second.first_seen = None;
    let written = store.write(&host, Part::Status(&second)).await?;
    same("the answer", written.read.context("not readable")?.status, Some(second.clone()))?;
    let host = got(store, "a").await?;
    same("second status", host.read.context("not readable")?.status, Some(second))?;
    same("standing", host.entry.standing, Standing::Present)
}

/// Labels and status are written apart.
pub async fn a_part_leaves_the_other_alone(store: &impl HostStore) -> Result<()> {
    let host = created(store, "a").await?;
    let host = store.write(&host, Part::Status(&status("a"))).await?;
    let host = store.write(&host, Part::Labels(&labels([("team", Some("x"))]))).await?;
    let read = host.read.as_ref().context("not readable")?;
    same("status", read.status.as_ref(), Some(&status("a")))?;
    let before = read.metadata.labels.clone();
    store.write(&host, Part::Status(&status("b"))).await?;
    let read = got(store, "a").await?.read.context("not readable")?;
    same("labels", read.metadata.labels, before)
}

/// Each write is answered with a higher revision, and the object keeps its own id.
pub async fn revisions_rise_with_every_write(store: &impl HostStore) -> Result<()> {
    let first = created(store, "a").await?;
    let second = store.write(&first, Part::Status(&status("a"))).await?;
    let third = store.write(&second, Part::Labels(&labels([("team", Some("x"))]))).await?;
    let other = created(store, "b").await?;
    let revisions = [&first, &second, &third].map(|host| host.entry.revision);
    ensure!(revisions.is_sorted_by(|a, b| a < b), "{revisions:?} do not rise");
    same("id", &third.entry.uid, &first.entry.uid)?;
    ensure!(other.entry.uid != first.entry.uid, "two Hosts have one id");
    Ok(())
}

/// Writing what is already there is no error, and no change that anybody else would see.
pub async fn a_write_of_what_is_there_already_changes_nothing(
    store: &impl HostStore,
) -> Result<()> {
    let host = created(store, "a").await?;
    let host = store.write(&host, Part::Status(&status("a"))).await?;
    let again = store.write(&host, Part::Status(&status("a"))).await?;
    same("revision", again.entry.revision, host.entry.revision)?;
    let change = labels([("inventory.fetcher.dev/zone", Some("z1")), ("never-there", None)]);
    let again = store.write(&again, Part::Labels(&change)).await?;
    same("revision", again.entry.revision, host.entry.revision)
}

/// The Hosts of another source are not in the index, those of the own one all are.
pub async fn only_the_own_source_is_observed(store: &impl HostStore) -> Result<()> {
    let (one, two) = (source("one"), source("two"));
    same("an empty store", store.observed(&one).await?.hosts.len(), 0)?;
    for name in ["a", "b"] {
        store.create(&new_host(&one, name)).await?;
    }
    store.create(&new_host(&two, "c")).await?;
    let names = |index: &fetcher_core::observed::Index| -> BTreeSet<String> {
        index.hosts.keys().map(ToString::to_string).collect()
    };
    same("one", names(&*store.observed(&one).await?), ["a", "b"].map(str::to_owned).into())?;
    same("two", names(&*store.observed(&two).await?), ["c".to_owned()].into())?;
    same("three", store.observed(&source("three")).await?.hosts.len(), 0)
}

/// An entry of the index and one made of the object itself are the same.
pub async fn what_is_observed_is_what_a_get_gives(store: &impl HostStore) -> Result<()> {
    let host = created(store, "a").await?;
    store.write(&host, Part::Status(&status("a"))).await?;
    created(store, "b").await?;
    let index = store.observed(&source("one")).await?;
    for name in ["a", "b"] {
        same(name, index.hosts.get(name), Some(&got(store, name).await?.entry))?;
    }
    Ok(())
}

/// `observed` is never older than the last write that was answered.
pub async fn a_write_is_observed_as_soon_as_it_is_answered(store: &impl HostStore) -> Result<()> {
    let one = source("one");
    let mut host = created(store, "a").await?;
    for round in 0..20 {
        let status = status(&format!("host-{round}"));
        host = store.write(&host, Part::Status(&status)).await?;
        let index = store.observed(&one).await?;
        same("entry", index.hosts.get("a"), Some(&host.entry))?;
    }
    Ok(())
}

/// A source that has Hosts and is not served is named, once, whatever else there is.
pub async fn sources_that_are_not_served_are_named(store: &impl HostStore) -> Result<()> {
    let served = |names: &[&str]| -> BTreeSet<Text> {
        names.iter().map(|name| Text::clone(source(name).name())).collect()
    };
    same("an empty store", store.unserved(PROVIDER, &served(&[])).await?, vec![])?;
    for (at, name) in ["one", "one", "two", "three"].into_iter().enumerate() {
        store.create(&new_host(&source(name), &format!("host-{at}"))).await?;
    }
    let mut names = store.unserved(PROVIDER, &served(&["two", "four"])).await?;
    names.sort();
    same("unserved", names, vec!["baremetal-one".into(), "baremetal-three".into()])?;
    let all = served(&["one", "two", "three"]);
    same("all served", store.unserved(PROVIDER, &all).await?, vec![])?;
    same("another provider", store.unserved("packet", &served(&[])).await?, vec![])
}
