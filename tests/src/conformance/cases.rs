//! The cases, each a sentence. An adapter that says that a change or trouble has no meaning for its provider ends the
//! case there with that verdict, which must be among those it announces.

use fetcher_core::provider::Provider as _;
use fetcher_core::report::{RoundResult, SourceReport};
use serde_json::Value;

use super::{Adapter, Bed, Change, Trouble};

/// The result of a case.
type Done = anyhow::Result<Verdict>;

/// How a case ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The promise is kept.
    Kept,
    /// The case has no meaning for this provider, for this reason.
    Meaningless(&'static str),
}

impl Verdict {
    /// Holds the verdict against what the adapter says of itself: no case passes by doing nothing unless that is said.
    ///
    /// # Errors
    /// A case that had no meaning unannounced, or had one though announced otherwise.
    pub fn expected(self, case: &str, meaningless: &[&str]) -> anyhow::Result<()> {
        let announced = meaningless.contains(&case);
        match self {
            Self::Kept => anyhow::ensure!(!announced, "{case} has a meaning after all"),
            Self::Meaningless(why) => anyhow::ensure!(announced, "{case} did nothing: {why}"),
        }
        Ok(())
    }
}

/// Goes on if the adapter can; else the case ends here, and says why.
macro_rules! unless_meaningless {
    ($can:expr) => {
        if let Err(why) = $can {
            return Ok(Verdict::Meaningless(why));
        }
    };
}

/// Asserts with the report at hand.
macro_rules! holds {
    ($condition:expr, $report:expr) => {
        anyhow::ensure!($condition, "{} does not hold: {:?}", stringify!($condition), $report)
    };
}

fn is_complete(report: &SourceReport) -> bool {
    report.result == RoundResult::Complete
}

/// A round under this trouble fails and leaves the store byte for byte; mended, the next one is in sync.
async fn fails_and_leaves<A: Adapter>(trouble: Trouble) -> Done {
    let mut bed = Bed::<A>::full().await?;
    unless_meaningless!(bed.adapter.trouble(trouble));
    left_alone(&mut bed).await?;
    bed.adapter.heal();
    let report = bed.round().await?;
    holds!(is_complete(&report) && report.unchanged == A::MACHINES, report);
    Ok(Verdict::Kept)
}

async fn left_alone<A: Adapter>(bed: &mut Bed<A>) -> Done {
    let before = bed.text()?;
    let report = bed.round().await?;
    holds!(report.result == RoundResult::Failed, report);
    let error = report.error.clone().unwrap_or_default();
    holds!(!error.is_empty() && error.len() < 2000 && !error.contains('\n'), report);
    for secret in bed.adapter.secrets() {
        holds!(!error.contains(&secret), report);
    }
    anyhow::ensure!(bed.text()? == before, "the store changed in a failed round");
    Ok(Verdict::Kept)
}

/// A long list is kept whole: one Host a machine, over all pages.
pub async fn paging<A: Adapter>() -> Done {
    let bed = Bed::<A>::full().await?;
    let hosts = bed.hosts()?;
    anyhow::ensure!(hosts.len() == A::MACHINES, "{} Hosts", hosts.len());
    for n in 0..A::MACHINES {
        anyhow::ensure!(hosts.contains_key(&bed.adapter.id(n)), "machine {n} was lost");
    }
    anyhow::ensure!(bed.gone()?.is_empty(), "marks in the first round");
    Ok(Verdict::Kept)
}

/// A second round right after the first writes nothing.
pub async fn converges<A: Adapter>() -> Done {
    let mut bed = Bed::<A>::full().await?;
    let before = bed.text()?;
    let report = bed.round().await?;
    holds!(is_complete(&report) && report.unchanged == A::MACHINES, report);
    anyhow::ensure!(bed.text()? == before, "the store changed though nothing did");
    Ok(Verdict::Kept)
}

/// The order of a list does not matter.
pub async fn order<A: Adapter>() -> Done {
    let mut bed = Bed::<A>::full().await?;
    let before = bed.text()?;
    unless_meaningless!(bed.adapter.change(Change::Reverse));
    let report = bed.round().await?;
    holds!(is_complete(&report), report);
    anyhow::ensure!(bed.text()? == before, "the order of the list changed the store");
    Ok(Verdict::Kept)
}

/// The same id twice with different content is an error, not a choice.
pub async fn duplicates<A: Adapter>() -> Done {
    let mut bed = Bed::<A>::full().await?;
    unless_meaningless!(bed.adapter.change(Change::Twice));
    left_alone(&mut bed).await
}

/// A machine that is removed between two pages takes no other with it.
pub async fn moves_between_pages<A: Adapter>() -> Done {
    let mut bed = Bed::<A>::full().await?;
    unless_meaningless!(bed.adapter.change(Change::RemoveOnTheWay(1)));
    for _ in 0..2 {
        let report = bed.round().await?;
        let removed = bed.adapter.id(1);
        for id in bed.gone()?.keys() {
            holds!(*id == removed, report);
        }
    }
    anyhow::ensure!(bed.gone()?.len() == 1, "the removed one is gone after the second round");
    Ok(Verdict::Kept)
}

/// A page that fails for good fails the round, whatever came before it.
pub async fn failing_page<A: Adapter>() -> Done {
    fails_and_leaves::<A>(Trouble::LaterPage).await
}

/// A 429 without `Retry-After` is waited out.
pub async fn throttled_once<A: Adapter>() -> Done {
    waited_out::<A>(None).await
}

/// A 429 with `Retry-After` is waited out.
pub async fn throttled_once_with_retry_after<A: Adapter>() -> Done {
    waited_out::<A>(Some(1)).await
}

async fn waited_out<A: Adapter>(after: Option<u64>) -> Done {
    let mut bed = Bed::<A>::full().await?;
    unless_meaningless!(bed.adapter.trouble(Trouble::ThrottledOnce(after)));
    let report = bed.round().await?;
    holds!(is_complete(&report) && report.unchanged == A::MACHINES, report);
    Ok(Verdict::Kept)
}

/// Throttled for ever: the round fails, nothing is marked.
pub async fn throttled_for_ever<A: Adapter>() -> Done {
    fails_and_leaves::<A>(Trouble::Throttled).await
}

/// Credentials that expired fail the round; rotated ones are taken up without a restart.
pub async fn credentials<A: Adapter>() -> Done {
    let mut bed = Bed::<A>::full().await?;
    unless_meaningless!(bed.adapter.change(Change::Rotate));
    left_alone(&mut bed).await?;
    unless_meaningless!(bed.adapter.change(Change::HandOver));
    let report = bed.round().await?;
    holds!(is_complete(&report) && report.unchanged == A::MACHINES, report);
    Ok(Verdict::Kept)
}

/// An empty answer after a full one marks nothing: everything is withheld.
pub async fn empty_after_full<A: Adapter>() -> Done {
    let mut bed = Bed::<A>::full().await?;
    unless_meaningless!(bed.adapter.change(Change::Empty));
    let report = bed.round().await?;
    let refused = report.result == RoundResult::Failed;
    holds!(refused || report.withheld == A::MACHINES, report);
    anyhow::ensure!(bed.gone()?.is_empty(), "an empty answer marked Hosts");
    Ok(Verdict::Kept)
}

/// A page for people with status 200.
pub async fn html<A: Adapter>() -> Done {
    fails_and_leaves::<A>(Trouble::Html).await
}

/// Another content type.
pub async fn content_type<A: Adapter>() -> Done {
    fails_and_leaves::<A>(Trouble::OtherKind).await
}

/// A body that breaks off.
pub async fn truncated_body<A: Adapter>() -> Done {
    fails_and_leaves::<A>(Trouble::Truncated).await
}

/// A body without an end.
pub async fn huge_body<A: Adapter>() -> Done {
    fails_and_leaves::<A>(Trouble::Huge).await
}

/// A body that takes too long.
pub async fn slow_body<A: Adapter>() -> Done {
    fails_and_leaves::<A>(Trouble::Slow).await
}

/// A redirect to another host is not followed.
pub async fn redirect<A: Adapter>() -> Done {
    fails_and_leaves::<A>(Trouble::Redirect).await
}

/// Nobody answers.
pub async fn down<A: Adapter>() -> Done {
    fails_and_leaves::<A>(Trouble::Down).await
}

/// Every refusal by status is an error and never an empty list.
pub async fn refusals<A: Adapter>() -> Done {
    let mut bed = Bed::<A>::full().await?;
    for status in [400, 401, 403, 404, 410, 500, 503] {
        bed.adapter.heal();
        unless_meaningless!(bed.adapter.trouble(Trouble::Status(status)));
        left_alone(&mut bed).await.map_err(|e| e.context(format!("status {status}")))?;
    }
    Ok(Verdict::Kept)
}

/// A state that nobody knows becomes `Unknown`, and the machine stays.
pub async fn unknown_state<A: Adapter>() -> Done {
    let mut bed = Bed::<A>::full().await?;
    unless_meaningless!(bed.adapter.change(Change::UnknownState(2)));
    let report = bed.round().await?;
    holds!(is_complete(&report) && report.updated == 1, report);
    let host = bed.host(2)?;
    anyhow::ensure!(host["status"]["state"] == "Unknown", "{host}");
    anyhow::ensure!(host["status"]["providerState"].is_string(), "the word is lost: {host}");
    Ok(Verdict::Kept)
}

/// Missing optional fields leave a machine that is there.
pub async fn missing_fields<A: Adapter>() -> Done {
    let mut bed = Bed::<A>::full().await?;
    unless_meaningless!(bed.adapter.change(Change::Bare(2)));
    let report = bed.round().await?;
    holds!(is_complete(&report) && report.failed == 0, report);
    anyhow::ensure!(bed.gone()?.is_empty() && bed.hosts()?.len() == A::MACHINES, "{report:?}");
    Ok(Verdict::Kept)
}

/// A machine is one Host for ever, by its id: valid, and another name for each.
pub async fn identity<A: Adapter>() -> Done {
    let bed = Bed::<A>::full().await?;
    let mut names = std::collections::BTreeSet::new();
    for host in bed.hosts()?.values() {
        let name = host["metadata"]["name"].as_str().unwrap_or_default();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        anyhow::ensure!(name.len() <= 63 && name.bytes().all(plain), "{name:?}");
        anyhow::ensure!(names.insert(name.to_owned()), "two Hosts of the name {name:?}");
    }
    Ok(Verdict::Kept)
}

/// A renamed machine is the same Host with another host name.
pub async fn renamed<A: Adapter>() -> Done {
    let mut bed = Bed::<A>::full().await?;
    let before = bed.host(1)?;
    unless_meaningless!(bed.adapter.change(Change::Name(1, "renamed.example.net")));
    let report = bed.round().await?;
    holds!(is_complete(&report) && report.updated == 1 && report.created == 0, report);
    let after = bed.host(1)?;
    anyhow::ensure!(after["metadata"]["name"] == before["metadata"]["name"], "{after}");
    anyhow::ensure!(after["status"]["hostname"] == "renamed.example.net", "{after}");
    Ok(Verdict::Kept)
}

/// Two machines of one name are two Hosts.
pub async fn same_name_twice<A: Adapter>() -> Done {
    let mut bed = Bed::<A>::full().await?;
    unless_meaningless!(bed.adapter.change(Change::Name(1, "same.example.net")));
    unless_meaningless!(bed.adapter.change(Change::Name(2, "same.example.net")));
    let report = bed.round().await?;
    holds!(is_complete(&report) && report.updated == 2, report);
    let (one, two) = (bed.host(1)?, bed.host(2)?);
    anyhow::ensure!(one["status"]["hostname"] == two["status"]["hostname"], "{one} {two}");
    anyhow::ensure!(one["metadata"]["name"] != two["metadata"]["name"], "{one} {two}");
    Ok(Verdict::Kept)
}

/// A machine that is no longer there is marked, and the same Host comes back with it.
pub async fn vanishes_and_returns<A: Adapter>() -> Done {
    let mut bed = Bed::<A>::full().await?;
    let before = bed.host(3)?;
    unless_meaningless!(bed.adapter.change(Change::Remove(3)));
    let report = bed.round().await?;
    holds!(is_complete(&report) && report.gone == 1, report);
    let gone = bed.gone()?;
    anyhow::ensure!(gone.len() == 1, "{gone:?}");
    anyhow::ensure!(gone.get(&bed.adapter.id(3)).is_some_and(|why| why == "Vanished"), "{gone:?}");
    unless_meaningless!(bed.adapter.change(Change::Add(3)));
    let report = bed.round().await?;
    holds!(is_complete(&report) && report.returned == 1 && report.created == 0, report);
    let after = bed.host(3)?;
    anyhow::ensure!(uid(&after) == uid(&before), "another object came back: {after}");
    Ok(Verdict::Kept)
}

fn uid(host: &Value) -> &Value {
    match &host["metadata"]["uid"] {
        Value::Null => &host["metadata"]["annotations"]["inventory.fetcher.dev/file-uid"],
        uid => uid,
    }
}

/// A lookup that knows a machine which the list left out: nothing is marked, and it is said.
pub async fn lookup_contradicts<A: Adapter>() -> Done {
    let mut bed = Bed::<A>::full().await?;
    unless_meaningless!(bed.adapter.change(Change::Hide(3)));
    let report = bed.round().await?;
    holds!(is_complete(&report) && report.gone == 0, report);
    holds!(report.notes.iter().any(|note| note.reason == "inconsistent"), report);
    anyhow::ensure!(bed.gone()?.is_empty(), "{report:?}");
    Ok(Verdict::Kept)
}

/// A lookup that fails is no evidence.
pub async fn lookup_fails<A: Adapter>() -> Done {
    let mut bed = Bed::<A>::full().await?;
    unless_meaningless!(bed.adapter.trouble(Trouble::Lookup));
    unless_meaningless!(bed.adapter.change(Change::Remove(3)));
    let report = bed.round().await?;
    holds!(is_complete(&report) && report.unconfirmed == 1 && report.gone == 0, report);
    anyhow::ensure!(bed.gone()?.is_empty(), "{report:?}");
    bed.adapter.heal();
    let report = bed.round().await?;
    holds!(is_complete(&report) && report.gone == 1, report);
    Ok(Verdict::Kept)
}

/// A machine whose tag was changed or taken off is `Deselected`, and comes back with it.
pub async fn retagged<A: Adapter>() -> Done {
    let mut bed = Bed::<A>::full().await?;
    unless_meaningless!(bed.adapter.change(Change::Role(1, Some("db"))));
    unless_meaningless!(bed.adapter.change(Change::Role(2, None)));
    let report = bed.round().await?;
    holds!(is_complete(&report) && report.gone == 2, report);
    let gone = bed.gone()?;
    anyhow::ensure!(gone.values().all(|why| why == "Deselected"), "{gone:?}");
    unless_meaningless!(bed.adapter.change(Change::Role(1, Some(super::ROLE))));
    let report = bed.round().await?;
    holds!(is_complete(&report) && report.returned == 1, report);
    Ok(Verdict::Kept)
}

/// A machine in a state that it never leaves is gone without the brake.
pub async fn ended<A: Adapter>() -> Done {
    let mut bed = Bed::<A>::full().await?;
    unless_meaningless!(bed.adapter.change(Change::Ended(1)));
    let report = bed.round().await?;
    holds!(is_complete(&report) && report.gone == 1, report);
    let gone = bed.gone()?;
    anyhow::ensure!(gone.values().all(|why| why == "Terminated"), "{gone:?}");
    Ok(Verdict::Kept)
}

/// A world that loses a quarter is believed only by a person.
pub async fn mass_removal<A: Adapter>() -> Done {
    let mut bed = Bed::<A>::full().await?;
    let lost = A::MACHINES / 4;
    for n in 0..lost {
        unless_meaningless!(bed.adapter.change(Change::Remove(n)));
    }
    let report = bed.round().await?;
    holds!(is_complete(&report) && report.withheld == lost && report.gone == 0, report);
    anyhow::ensure!(bed.gone()?.is_empty(), "{report:?}");
    Ok(Verdict::Kept)
}

/// No secret is in the store's file, in a report, or in what the provider shows of itself.
pub async fn secrets<A: Adapter>() -> Done {
    let mut bed = Bed::<A>::full().await?;
    let report = bed.round().await?;
    let findings = bed.engine.provider.check().await;
    let shown = format!("{} {report:?} {findings:?}", bed.text()?);
    for secret in bed.adapter.secrets() {
        anyhow::ensure!(!shown.contains(&secret), "a secret is shown");
    }
    Ok(Verdict::Kept)
}
