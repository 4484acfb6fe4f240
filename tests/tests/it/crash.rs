//! What is left after the worst: a fetcher killed at any moment of a round, and two that both believe they own a source.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Result, ensure};
use fetcher_tests::fetcher::Fetcher;
use fetcher_tests::kubeconfig::CONTEXT;
use fetcher_tests::namespace::Namespace;
use fetcher_tests::plane::Plane;
use fetcher_tests::poll::poll_until;
use serde_json::Value;

const AGENT: &str = "fetcher-baremetal";

/// A fetcher of its own list of machines, all in this rack, as the source `hall` of the namespace.
fn fetcher(namespace: &Namespace, list: &str) -> Result<Fetcher> {
    let config = format!(
        "selector: \"\"\nschedule: every 1s\n\
         store: {{kubernetes: {{namespace: {}, kubeconfig: {}, context: {CONTEXT}}}}}\n\
         baremetal: {{sources: [{{file: {{name: hall, path: {list}.yaml}}}}]}}\n",
        namespace.name(),
        namespace.kubeconfig()?.display()
    );
    let path = format!("{list}.config");
    std::fs::write(namespace.dir().join(&path), config)?;
    Ok(Fetcher::new(AGENT, namespace.dir())?.args(["--config", &path]))
}

fn write_list(namespace: &Namespace, list: &str, count: usize, rack: &str) -> Result<()> {
    let mut text = format!("count: {count}\nmachines:\n");
    for n in 0..count {
        writeln!(text, "  - {{id: m{n}, rack: {rack}, state: Running}}")?;
    }
    text.push_str("...\n");
    Ok(std::fs::write(namespace.dir().join(format!("{list}.yaml")), text)?)
}

async fn racks(namespace: &Namespace) -> Result<(usize, BTreeSet<String>)> {
    let list: Value =
        serde_json::from_str(&namespace.kubectl(&["get", "hosts", "-o", "json"]).await?.ok()?)?;
    let hosts = list["items"].as_array().cloned().unwrap_or_default();
    let rack =
        |host: &Value| host["status"]["location"]["rack"].as_str().unwrap_or("none").to_owned();
    Ok((hosts.len(), hosts.iter().map(rack).collect()))
}

/// Twenty kills: worth its seconds, because no fault injector knows all the moments a process can die at.
#[tokio::test]
async fn a_fetcher_killed_at_any_moment_is_made_good_by_the_next_round() -> Result<()> {
    let namespace = Plane::shared().await?.namespace("kill").await?;
    let fetcher = fetcher(&namespace, "hall")?;
    for moment in 1..=20_u64 {
        let rack = format!("r{moment}");
        // The first rounds create, the later ones update and create.
        write_list(&namespace, "hall", 30 + usize::try_from(moment)?, &rack)?;
        let mut running = fetcher.start(&["--once"]).await?;
        if running.ended(Duration::from_millis(moment * 17 % 211 + 5)).await.is_err() {
            running.kill().await?;
        }
        let ran = fetcher.run(&["--once"]).await?;
        ensure!(ran.code == 0, "after the kill at moment {moment}: {ran:?}");
        let (count, found) = racks(&namespace).await?;
        assert_eq!((count, found), (30 + usize::try_from(moment)?, BTreeSet::from([rack])));
        let again = fetcher.run(&["--once"]).await?;
        ensure!(again.stdout.contains("Nothing changed"), "moment {moment}: {again:?}");
    }
    Ok(())
}

#[tokio::test]
async fn two_fetchers_that_fight_over_a_host_stop_and_name_it() -> Result<()> {
    let namespace = Plane::shared().await?.namespace("fight").await?;
    let (one, other) = (fetcher(&namespace, "one")?, fetcher(&namespace, "other")?);
    write_list(&namespace, "one", 1, "left")?;
    write_list(&namespace, "other", 1, "right")?;
    let (mut one, mut other) = (one.start(&[]).await?, other.start(&[]).await?);
    poll_until("one of them gives way and says so", Duration::from_secs(60), async || {
        let said = one.stderr() + &other.stderr();
        Ok(said.contains("contested").then_some(()))
    })
    .await?;
    // Whoever has not given way makes one last write, and then there is peace.
    let audit = namespace.audit();
    for fetcher in [&mut one, &mut other] {
        fetcher.terminate(Duration::from_secs(60)).await?;
    }
    let writes = audit.counts(AGENT).await?.into_iter().filter(|(r, _)| r.starts_with("update"));
    assert!(writes.map(|(_, count)| count).sum::<usize>() <= 30, "the fight has an end");
    Ok(())
}
