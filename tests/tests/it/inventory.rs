//! From a file into a real apiserver, by the binary that people run: what it costs, what the brake holds, what kubectl
//! shows, and how an inventory kept in a file is carried over.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use fetcher_tests::fetcher::Fetcher;
use fetcher_tests::kubeconfig::CONTEXT;
use fetcher_tests::kubectl::Ran;
use fetcher_tests::namespace::Namespace;
use fetcher_tests::plane::Plane;
use fetcher_tests::poll::poll_until;
use serde_json::Value;

const AGENT: &str = "fetcher-baremetal";

/// A namespace, and a fetcher that brings `machines.yaml` into it.
struct House {
    namespace: Namespace,
    fetcher: Fetcher,
}

impl House {
    async fn new(prefix: &str) -> Result<Self> {
        let namespace = Plane::shared().await?.namespace(prefix).await?;
        let config = format!(
            "selector: \"\"\nstore: {{kubernetes: {{namespace: {}, kubeconfig: {}, context: {CONTEXT}}}}}\n\
             labels: {{tags: [team]}}\nschedule: every 1s\n\
             baremetal: {{sources: [{{file: {{name: hall, path: machines.yaml}}}}]}}\n",
            namespace.name(),
            namespace.kubeconfig()?.display()
        );
        std::fs::write(namespace.dir().join("config.yaml"), config)?;
        let fetcher = Fetcher::new(AGENT, namespace.dir())?.args(["--config", "config.yaml"]);
        Ok(Self { namespace, fetcher })
    }

    /// A file of machines `m0` to `m{count - 1}`, without those left out, each with what `extra` says of it.
    fn list(
        &self,
        count: usize,
        without: std::ops::Range<usize>,
        extra: impl Fn(usize) -> &'static str,
    ) -> Result<()> {
        write_list(&self.namespace.dir().join("machines.yaml"), count, without, extra)
    }

    async fn once(&self, arguments: &[&str]) -> Result<Ran> {
        self.fetcher.run(&[&["--once"], arguments].concat()).await
    }

    /// One run, its exit code and its document.
    async fn document(&self, arguments: &[&str]) -> Result<(i32, Value)> {
        let ran = self.once(&[&["--output", "json"], arguments].concat()).await?;
        let document = serde_json::from_str(&ran.stdout);
        Ok((
            ran.code,
            document.map_err(|error| anyhow::anyhow!("{error}: {} {}", ran.stdout, ran.stderr))?,
        ))
    }

    /// What one run asks of the apiserver for Hosts, its lists apart.
    async fn cost(&self, arguments: &[&str]) -> Result<BTreeMap<String, usize>> {
        let audit = self.namespace.audit();
        let before = audit.counts(AGENT).await?;
        let ran = self.once(arguments).await?;
        ensure!(ran.code == 0, "{ran:?}");
        let mut after = audit.counts(AGENT).await?;
        for (request, count) in before {
            *after.entry(request).or_default() -= count;
        }
        after.retain(|request, count| {
            *count > 0 && request.contains(" hosts") && !request.starts_with("list")
        });
        Ok(after)
    }

    async fn hosts(&self) -> Result<Vec<Value>> {
        let list = self.namespace.kubectl(&["get", "hosts", "-o", "json"]).await?.ok()?;
        Ok(serde_json::from_str::<Value>(&list)?["items"].as_array().cloned().unwrap_or_default())
    }
}

fn write_list(
    path: &Path,
    count: usize,
    without: std::ops::Range<usize>,
    extra: impl Fn(usize) -> &'static str,
) -> Result<()> {
    let mut text =
        format!("count: {}\ndefaults: {{state: Running}}\nmachines:\n", count - without.len());
    for n in (0..count).filter(|n| !without.contains(n)) {
        writeln!(
            text,
            "  - {{id: m{n}, name: m{n}.example.net, addresses: [10.0.0.{}]{}}}",
            n % 250,
            extra(n)
        )?;
    }
    text.push_str("...\n");
    Ok(std::fs::write(path, text)?)
}

fn counts(pairs: &[(&str, usize)]) -> BTreeMap<String, usize> {
    pairs.iter().map(|(request, count)| ((*request).to_owned(), *count)).collect()
}

#[tokio::test]
async fn a_change_costs_what_changed() -> Result<()> {
    let house = House::new("cost").await?;
    house.list(20, 0..0, |_| ", tags: {team: web}")?;
    assert_eq!(
        house.cost(&["--dry-run"]).await?,
        counts(&[("get hosts 404", 20)]),
        "a dry run of new machines asks whether their names are free"
    );
    assert_eq!(
        house.cost(&[]).await?,
        counts(&[("create hosts 201", 20), ("update hosts/status 200", 20)]),
        "20 creates are 40 writes"
    );
    assert_eq!(house.cost(&[]).await?, counts(&[]), "nothing changed, nothing asked");
    house.list(20, 0..0, |n| {
        if n < 3 { ", rack: r7, tags: {team: web}" } else { ", tags: {team: web}" }
    })?;
    assert_eq!(house.cost(&["--dry-run"]).await?, counts(&[("get hosts 200", 3)]));
    assert_eq!(
        house.cost(&[]).await?,
        counts(&[("get hosts 200", 3), ("update hosts/status 200", 3)]),
        "a change of status is one read and one write"
    );
    house.list(20, 0..0, |n| {
        if n < 2 {
            ", rack: r7, tags: {team: db}"
        } else if n < 3 {
            ", rack: r7, tags: {team: web}"
        } else {
            ", tags: {team: web}"
        }
    })?;
    assert_eq!(
        house.cost(&[]).await?,
        counts(&[("get hosts 200", 2), ("patch hosts 200", 2), ("update hosts/status 200", 2)]),
        "a tag that is a label is one read and two writes"
    );
    assert_eq!(house.cost(&[]).await?, counts(&[]));

    let name = identities(&house.hosts().await?).into_keys().next().unwrap();
    let edit = ["label", "host", &name, "inventory.fetcher.dev/source=other", "--overwrite"];
    house.namespace.kubectl(&edit).await?.ok()?;
    let label = counts(&[("get hosts 200", 1), ("patch hosts 200", 1)]);
    assert_eq!(house.cost(&[]).await?, label, "a label of ours that was edited");
    let one = counts(&[("get hosts 200", 1), ("update hosts/status 200", 1)]);
    let extra = |n| if n < 2 { ", rack: r7, tags: {team: db}" } else { ", tags: {team: web}" };
    let without_19 = |n| if n == 2 { ", rack: r7, tags: {team: web}" } else { extra(n) };
    house.list(20, 19..20, without_19)?;
    assert_eq!(house.cost(&[]).await?, one, "gone");
    house.list(20, 0..0, without_19)?;
    assert_eq!(house.cost(&["--dry-run"]).await?, counts(&[("get hosts 200", 1)]));
    assert_eq!(house.cost(&[]).await?, one, "back again");
    assert_eq!(house.cost(&[]).await?, counts(&[]));
    Ok(())
}

#[tokio::test]
async fn the_brake_holds_a_loss_and_an_approval_lets_it_through() -> Result<()> {
    let house = House::new("brake").await?;
    house.list(100, 0..0, |_| "")?;
    ensure!(house.once(&[]).await?.code == 0);
    let uids: BTreeMap<String, String> = identities(&house.hosts().await?);

    house.list(100, 0..3, |_| "")?;
    let (code, document) = house.document(&[]).await?;
    assert_eq!((code, &document["sources"][0]["gone"]), (0, &Value::from(3)), "{document:#}");
    let gone =
        house.hosts().await?.into_iter().find(|host| host["spec"]["machineID"] == "m0").unwrap();
    assert_eq!(gone["status"]["conditions"][0]["reason"], "Vanished");
    assert_eq!(gone["status"]["state"], "Gone");
    assert!(gone["status"]["goneSince"].is_string());

    house.list(100, 0..53, |_| "")?;
    let (code, plan) = house.document(&[]).await?;
    assert_eq!((code, &plan["sources"][0]["withheld"]), (3, &Value::from(50)), "{plan:#}");
    assert_eq!(plan["sources"][0]["gone"], 0);
    let checksum = plan["checksum"].as_str().unwrap().to_owned();
    let text = house.once(&[]).await?;
    assert!(text.code == 3 && text.stdout.contains(&checksum), "the checksum is printed: {text:?}");

    let wrong = house.once(&["--approve", "0123456789ab"]).await?;
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.stderr.contains("matches nothing that is withheld now"), "{wrong:?}");

    // One of the fifty comes back: the checksum of fifty is of no use, the plan names the other forty-nine.
    house.list(100, 0..52, |_| "")?;
    assert_eq!(house.once(&["--approve", &checksum]).await?.code, 2);
    std::fs::write(house.namespace.dir().join("plan.json"), plan.to_string())?;
    let (code, document) = house.document(&["--approve", "plan.json"]).await?;
    assert_eq!((code, &document["sources"][0]["gone"]), (0, &Value::from(49)), "{document:#}");
    let approved =
        house.hosts().await?.into_iter().find(|host| host["spec"]["machineID"] == "m10").unwrap();
    let message = approved["status"]["conditions"][0]["message"].as_str().unwrap();
    assert!(message.contains(&format!("approved {checksum}")), "{message}");

    house.namespace.kubectl(&["label", "hosts", "--all", "theirs=kept"]).await?.ok()?;
    house.list(100, 0..0, |_| "")?;
    let (code, document) = house.document(&[]).await?;
    assert_eq!((code, &document["sources"][0]["returned"]), (0, &Value::from(52)), "{document:#}");
    let hosts = house.hosts().await?;
    assert_eq!(identities(&hosts), uids, "the same objects are back");
    assert!(hosts.iter().all(|host| host["metadata"]["labels"]["theirs"] == "kept"));
    Ok(())
}

fn identities(hosts: &[Value]) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    hosts
        .iter()
        .map(|host| (text(&host["metadata"]["name"]), text(&host["metadata"]["uid"])))
        .collect()
}

#[tokio::test]
async fn an_inventory_in_a_file_is_carried_to_an_apiserver_again_and_again() -> Result<()> {
    let house = House::new("carry").await?;
    let file = Fetcher::new(AGENT, house.namespace.dir())?.args(["--once", "--file", "hall.yaml"]);
    let list = |without| {
        write_list(&house.namespace.dir().join("hall.yaml"), 30, without, |_| ", rack: r1")
    };
    list(0..0)?;
    ensure!(file.run(&[]).await?.code == 0);
    list(0..2)?;
    let ran = file.run(&[]).await?;
    ensure!(ran.code == 0, "two of thirty may go: {ran:?}");
    let inventory = house.namespace.dir().join("inventory.json");
    for _ in 0..2 {
        let apply = ["apply", "--server-side", "-f", inventory.to_str().unwrap()];
        house.namespace.kubectl(&apply).await?.ok()?;
        house.namespace.kubectl(&[&apply[..], &["--subresource=status"]].concat()).await?.ok()?;
    }
    let gone = house
        .namespace
        .kubectl(&["get", "hosts", "--field-selector", "status.state=Gone", "-o", "name"])
        .await?;
    assert_eq!(gone.ok()?.lines().count(), 2);
    std::fs::copy(
        house.namespace.dir().join("hall.yaml"),
        house.namespace.dir().join("machines.yaml"),
    )?;
    // The labels that this configuration makes of tags need no tag here: the file store's run made the same labels.
    assert_eq!(house.cost(&[]).await?, counts(&[]), "the fetcher finds everything as it must be");
    Ok(())
}

#[tokio::test]
async fn kubectl_shows_explains_waits_and_selects() -> Result<()> {
    let house = House::new("kubectl").await?;
    house.list(12, 0..0, |n| if n == 0 { ", state: Stopped" } else { "" })?;
    ensure!(house.once(&[]).await?.code == 0);
    let namespace = &house.namespace;
    let kubectl =
        |arguments: Vec<&'static str>| async move { namespace.kubectl(&arguments).await?.ok() };
    let wide = kubectl(vec!["get", "hosts", "-o", "wide"]).await?;
    let head = wide.lines().next().unwrap_or_default();
    for column in [
        "PROVIDER",
        "STATE",
        "ADDRESS",
        "ZONE",
        "TYPE",
        "AGE",
        "SCOPE",
        "ID",
        "HOSTNAME",
        "OS",
        "GONE-SINCE",
    ] {
        assert!(head.contains(column), "{column} in {head}");
    }
    let explained = kubectl(vec!["explain", "host.status.addresses"]).await?;
    assert!(explained.contains("Where it can be reached"), "{explained}");
    let running =
        kubectl(vec!["get", "hosts", "--field-selector", "status.state=Running", "-o", "name"])
            .await?;
    assert_eq!(running.lines().count(), 11);
    let name = running.lines().next().unwrap_or_default().to_owned();
    let id: Value =
        serde_json::from_str(&house.namespace.kubectl(&["get", &name, "-o", "json"]).await?.ok()?)?;
    let number: usize =
        id["spec"]["machineID"].as_str().unwrap().trim_start_matches('m').parse()?;
    house.list(12, number..number + 1, |n| if n == 0 { ", state: Stopped" } else { "" })?;
    let wait = ["wait", "--for=condition=Present=false", &name, "--timeout=60s"];
    let (waited, ran) = tokio::join!(house.namespace.kubectl(&wait), house.once(&[]));
    ensure!(ran?.code == 0);
    waited?.ok()?;
    Ok(())
}

#[tokio::test]
async fn the_daemon_keeps_up_and_a_round_without_change_asks_for_nothing() -> Result<()> {
    let house = House::new("daemon").await?;
    house.list(20, 0..0, |_| "")?;
    let mut daemon = house.fetcher.start(&[]).await?;
    let soon = Duration::from_secs(60);
    poll_until("twenty Hosts are running", soon, async || {
        let hosts = house.hosts().await?;
        let running = hosts.iter().filter(|host| host["status"]["state"] == "Running").count();
        Ok((running == 20).then_some(()))
    })
    .await?;
    let mut audit = house.namespace.audit();
    audit.restart().await?;
    house.list(20, 0..1, |_| "")?;
    poll_until("the one that left is marked", soon, async || {
        let hosts = house.hosts().await?;
        Ok(hosts.iter().any(|host| host["status"]["state"] == "Gone").then_some(()))
    })
    .await?;
    let asked = audit.counts(AGENT).await?;
    let of = |prefix: &str| {
        asked.iter().filter(|(r, _)| r.starts_with(prefix)).map(|(_, n)| n).sum::<usize>()
    };
    assert_eq!((of("get hosts"), of("update hosts/status")), (1, 1), "{asked:?}");
    assert_eq!((of("list"), of("create"), of("patch")), (0, 0, 0), "{asked:?}");
    // Somebody takes one of our labels off: a change in our fields is put back.
    house
        .namespace
        .kubectl(&["label", "hosts", "--all", "inventory.fetcher.dev/source-"])
        .await?
        .ok()?;
    poll_until("the labels are back", soon, async || {
        let hosts = house.hosts().await?;
        let present = hosts.iter().filter(|host| host["status"]["state"] != "Gone");
        let back = present
            .filter(|h| h["metadata"]["labels"]["inventory.fetcher.dev/source"].is_string())
            .count();
        Ok((back == 19).then_some(()))
    })
    .await?;
    let ended = daemon.terminate(soon).await?;
    assert_eq!(ended.code, Some(0), "{}", daemon.stderr());
    Ok(())
}
