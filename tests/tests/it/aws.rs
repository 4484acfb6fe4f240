//! fetcher-aws as a user runs it: against moto for what it makes of EC2, against the fake endpoint for what moto
//! cannot say. Into the file store: what happens at an apiserver is the same for every fetcher, and tested there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use fetcher_tests::fake_ec2::{self, FakeEc2, World};
use fetcher_tests::fetcher::Fetcher;
use fetcher_tests::servers::moto::Moto;
use serde_json::{Value, json};
use tempfile::TempDir;

use account::{Account, element};

mod account;
mod broken;
mod evidence;
mod front;
mod scale;
mod start;

const OURS: &str = "123456789012";
const THEIRS: &str = "210987654321";
const REGIONS: [&str; 3] = ["eu-west-1", "eu-central-1", "us-east-1"];

/// A fetcher-aws with a folder, a configuration and credentials of its own.
struct Run {
    dir: TempDir,
    fetcher: Fetcher,
}

/// What one `--once` did.
struct Outcome {
    code: i32,
    report: Value,
    log: String,
}

impl Run {
    fn new(config: &Value) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("fleet-aws-").tempdir()?;
        let fetcher = Fetcher::new("fetcher-aws", dir.path())?
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ACCESS_KEY_ID", &format!("AKIA{OURS}"))
            .env("AWS_SECRET_ACCESS_KEY", &"x".repeat(40));
        let run = Self { dir, fetcher };
        run.configure(config)?;
        Ok(run)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// YAML is a superset of JSON.
    fn configure(&self, config: &Value) -> Result<()> {
        Ok(std::fs::write(self.path("fetcher.yaml"), serde_json::to_string_pretty(config)?)?)
    }

    fn env(self, name: &str, value: &str) -> Self {
        Self { fetcher: self.fetcher.env(name, value), ..self }
    }

    fn key(self, id: &str, secret: &str) -> Self {
        self.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret)
    }

    /// Lets every Host be years old.
    fn age(&self) -> Result<()> {
        let text = std::fs::read_to_string(self.path("inventory.json"))?;
        let value: Value = serde_json::from_str(&text)?;
        let first_seen = text_of(&value["items"][0]["status"]["firstSeen"]);
        Ok(std::fs::write(
            self.path("inventory.json"),
            text.replace(&first_seen[..10], "2020-01-01"),
        )?)
    }

    async fn once(&self) -> Result<Outcome> {
        let ran =
            self.fetcher.run(&["--config", "fetcher.yaml", "--once", "--output", "json"]).await?;
        let report = serde_json::from_str(&ran.stdout)
            .with_context(|| format!("no report: {} {}", ran.stdout, ran.stderr))?;
        Ok(Outcome { code: ran.code, report, log: ran.stderr })
    }

    /// The Hosts of the store by name.
    fn hosts(&self) -> Result<BTreeMap<String, Value>> {
        let list: Value = serde_json::from_slice(&std::fs::read(self.path("inventory.json"))?)?;
        let items = list["items"].as_array().context("no items")?;
        Ok(items.iter().map(|host| (text_of(&host["metadata"]["name"]), host.clone())).collect())
    }
}

impl Outcome {
    /// The sum of a count over all sources.
    fn sum(&self, count: &str) -> u64 {
        self.sources().filter_map(|source| source[count].as_u64()).sum()
    }

    fn sources(&self) -> impl Iterator<Item = &Value> {
        self.report["sources"].as_array().into_iter().flatten()
    }

    fn source(&self, name: &str) -> Result<&Value> {
        self.sources()
            .find(|source| source["source"] == name)
            .with_context(|| format!("no source {name} in {}", self.report))
    }

    /// Nothing was written, all is well.
    fn is_quiet(&self) -> bool {
        let writes =
            ["created", "updated", "gone", "returned", "withheld", "unconfirmed", "failed"];
        self.code == 0 && writes.iter().all(|count| self.sum(count) == 0)
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn name(id: &str) -> String {
    format!("aws-{id}")
}

fn present(host: &Value) -> &Value {
    host["status"]["conditions"]
        .as_array()
        .and_then(|conditions| conditions.iter().find(|condition| condition["type"] == "Present"))
        .unwrap_or(&Value::Null)
}

/// Lists both accounts in all regions of `endpoint`.
fn both(endpoint: &str, regions: &Value) -> Value {
    json!({
        "selector": "inventory=yes",
        "store": {"file": {"path": "inventory.json"}},
        "aws": {
            "regions": regions,
            "accounts": [{}, {"roleArn": format!("arn:aws:iam::{THEIRS}:role/inventory"), "externalId": "fleet"}],
            "endpoints": {"ec2": endpoint, "sts": endpoint},
            "pageSize": 20,
            "attempts": 2,
            "attemptTimeout": "20s",
        },
    })
}

#[tokio::test]
async fn two_accounts_in_three_regions_become_hosts_and_follow_every_change() -> Result<()> {
    let moto = Moto::start().await?;
    let accounts = [Account::new(moto.url(), OURS)?, Account::new(moto.url(), THEIRS)?];
    let mut wanted = BTreeMap::new();
    for account in &accounts {
        for region in REGIONS {
            for number in 0..50 {
                let tags =
                    [("Name", format!("{region}-{number}")), ("team", format!("t{}", number % 7))];
                let mut tags: Vec<_> = tags.iter().map(|(k, v)| (*k, v.as_str())).collect();
                // A few that nobody selects.
                tags.push(if number < 45 { ("inventory", "yes") } else { ("inventory", "no") });
                let id = account.run(region, &tags).await?;
                if number < 45 {
                    wanted.insert(name(&id), (account.id, region, number, id));
                }
            }
        }
    }
    let run = Run::new(&both(moto.url(), &json!(REGIONS)))?;

    let first = run.once().await?;
    ensure!(first.code == 0, "{} {}", first.report, first.log);
    assert_eq!((first.sum("created"), first.sources().count()), (270, 6));
    let hosts = run.hosts()?;
    assert!(hosts.keys().eq(wanted.keys()), "exactly the selected ones");
    for (name, (account, region, number, id)) in &wanted {
        let host = &hosts[name];
        let status = &host["status"];
        assert_eq!(host["spec"]["source"]["name"], format!("aws-{account}-{region}"));
        assert_eq!(host["spec"]["machineID"], id.as_str());
        assert_eq!(status["state"], "Running");
        assert_eq!(status["owner"]["account"], *account);
        assert_eq!(status["location"]["region"], *region);
        assert_eq!(status["tags"]["Name"], format!("{region}-{number}"));
        assert_eq!(status["hardware"]["type"], "t3.micro");
        assert_eq!(status["hardware"]["memoryBytes"], 1_u64 << 30);
        assert_eq!(present(host)["status"], "True");
        assert!(status["addresses"].as_array().is_some_and(|list| list.len() >= 3), "{status}");
    }

    assert!(run.once().await?.is_quiet(), "a second round writes nothing");

    let [ours, _] = &accounts;
    let region = REGIONS[0];
    let mut mine = wanted.values().filter(|(account, at, ..)| (*account, *at) == (OURS, region));
    let [stopped, ended, retagged, untagged] = [(); 4].map(|()| mine.next().unwrap().3.as_str());
    ours.act(region, "StopInstances", stopped).await?;
    ours.act(region, "TerminateInstances", ended).await?;
    ours.tag(region, retagged, "team", "moved").await?;
    ours.untag(region, untagged, "inventory").await?;
    let new = ours.run(region, &[("inventory", "yes")]).await?;

    let changed = run.once().await?;
    ensure!(changed.code == 0, "{} {}", changed.report, changed.log);
    let counts = ["created", "updated", "gone", "unchanged"].map(|count| changed.sum(count));
    assert_eq!(counts, [1, 2, 2, 266]);
    let hosts = run.hosts()?;
    assert_eq!(hosts[&name(stopped)]["status"]["state"], "Stopped");
    assert_eq!(hosts[&name(stopped)]["status"]["providerState"], "stopped");
    assert_eq!(hosts[&name(retagged)]["status"]["tags"]["team"], "moved");
    assert_eq!(present(&hosts[&name(ended)])["reason"], "Terminated");
    assert_eq!(present(&hosts[&name(untagged)])["reason"], "Deselected");
    assert_eq!(hosts[&name(&new)]["status"]["state"], "Running");

    ours.tag(region, untagged, "inventory", "yes").await?;
    let back = run.once().await?;
    assert_eq!((back.code, back.sum("returned")), (0, 1));

    // New ones while pages are read: in this round or the next, and nothing else changes.
    let while_paging = async {
        for _ in 0..10 {
            ours.run(region, &[("inventory", "yes")]).await?;
        }
        anyhow::Ok(())
    };
    let (under_way, launched) = tokio::join!(run.once(), while_paging);
    launched?;
    let rounds = [under_way?, run.once().await?];
    assert!(rounds.iter().all(|round| round.code == 0), "{} {}", rounds[0].log, rounds[1].log);
    let total = |count| rounds.iter().map(|round| round.sum(count)).sum::<u64>();
    assert_eq!(["created", "updated", "gone", "withheld"].map(total), [10, 0, 0, 0]);
    assert!(run.once().await?.is_quiet());
    Ok(())
}

/// The policy that is handed out.
const POLICY: &str = include_str!("../../../deploy/examples/aws-iam/inventory-policy.json");

/// A user at moto's IAM who may do what these policies allow: the id and the secret of a key.
async fn user(ours: &Account, name: &str, policies: &[&str]) -> Result<(String, String)> {
    ours.call("iam", "us-east-1", "CreateUser", &[("UserName", name)]).await?;
    for (at, policy) in policies.iter().enumerate() {
        let named = format!("p{at}");
        let put = [("UserName", name), ("PolicyName", &named), ("PolicyDocument", policy)];
        ours.call("iam", "us-east-1", "PutUserPolicy", &put).await?;
    }
    let key = ours.call("iam", "us-east-1", "CreateAccessKey", &[("UserName", name)]).await?;
    let part = |name| element(&key, name).with_context(|| format!("no {name} in {key}"));
    Ok((part("AccessKeyId")?, part("SecretAccessKey")?))
}

#[tokio::test]
async fn credentials_that_are_refused_mark_nothing_and_are_named() -> Result<()> {
    let moto = Moto::start().await?;
    let ours = Account::new(moto.url(), OURS)?;
    for _ in 0..3 {
        ours.run(REGIONS[0], &[("inventory", "yes")]).await?;
    }
    // AWS allows this to everybody; moto wants it said.
    let who = json!({"Version": "2012-10-17", "Statement":
        [{"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}]})
    .to_string();
    let (id, secret) = user(&ours, "reader", &[POLICY, &who]).await?;
    let (poor, poor_secret) = user(&ours, "poor", &[&who]).await?;
    moto.check_credentials(true).await?;

    let mut config = both(moto.url(), &json!([REGIONS[0]]));
    config["aws"]["accounts"] = json!([{}]);
    let mut run = Run::new(&config)?.key(&id, &secret);
    let first = run.once().await?;
    ensure!((first.code, first.sum("created")) == (0, 3), "{} {}", first.report, first.log);
    let before = run.hosts()?;

    let wrong = "w".repeat(40);
    let unknown = "AKIAUNKNOWN000000000";
    for (id, secret, named) in [
        (id.as_str(), wrong.as_str(), id.as_str()),
        (unknown, wrong.as_str(), unknown),
        (poor.as_str(), poor_secret.as_str(), "ec2:DescribeInstances"),
    ] {
        run = run.key(id, secret);
        let outcome = run.once().await?;
        assert_eq!(outcome.code, 1, "{named}: {}", outcome.report);
        assert!(outcome.log.contains(named), "{named} is not in {}", outcome.log);
        assert_eq!(run.hosts()?, before);
    }
    Ok(())
}

#[tokio::test]
async fn a_vanished_instance_needs_a_lookup_and_its_time() -> Result<()> {
    let world = World { instances: 30, delay: std::time::Duration::ZERO };
    let ec2 = FakeEc2::start(world, 0).await?;
    let run = Run::new(&json!({
        "selector": "",
        "store": {"file": {"path": "inventory.json"}},
        "aws": {"regions": [REGIONS[0]], "endpoints": {"ec2": ec2.url(), "sts": ec2.url()}},
    }))?;
    assert_eq!(run.once().await?.sum("created"), 30);

    ec2.have(29);
    let young = run.once().await?;
    assert_eq!((young.sum("gone"), young.sum("unconfirmed")), (0, 1), "EC2 may hide new ones");

    run.age()?;
    let old = run.once().await?;
    assert_eq!((old.code, old.sum("gone")), (0, 1), "{}", old.report);
    let gone = name(&fake_ec2::id(29, OURS, REGIONS[0]));
    assert_eq!(present(&run.hosts()?[&gone])["reason"], "Vanished");
    Ok(())
}
