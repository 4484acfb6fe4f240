//! `deploy/monitoring`: the rules by promtool, and every metric that they and the dashboard name at a running fetcher.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Result, ensure};
use fetcher_tests::fetcher::Fetcher;
use fetcher_tests::kubeconfig::CONTEXT;
use fetcher_tests::plane::Plane;
use fetcher_tests::poll::poll_until;
use fetcher_tests::{ports, programs};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const SOON: Duration = Duration::from_secs(120);

/// promtool, with something on its standard input; its output if it was content.
async fn promtool(arguments: &[&str], input: &str) -> Result<String> {
    let mut promtool = Command::new(programs::prometheus("promtool")?)
        .args(arguments)
        .current_dir(programs::checkout("deploy/monitoring"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = promtool.stdin.take() {
        stdin.write_all(input.as_bytes()).await?;
    }
    let ran = promtool.wait_with_output().await?;
    let said = [ran.stdout, ran.stderr].concat();
    let said = String::from_utf8(said)?;
    ensure!(ran.status.success(), "promtool {arguments:?}: {said}");
    Ok(said)
}

#[tokio::test]
async fn the_rules_fire_when_they_should_and_only_then() -> Result<()> {
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"], "").await?;
    promtool(&["test", "rules", "rules.test.yaml"], "").await?;
    Ok(())
}

#[test]
fn every_alert_has_a_unit_test() -> Result<()> {
    let read =
        |name: &str| std::fs::read_to_string(programs::checkout("deploy/monitoring").join(name));
    let (rules, tests) = (read("rules.yaml")?, read("rules.test.yaml")?);
    let alerts: BTreeSet<_> = rules.lines().filter_map(|l| l.split("alert: ").nth(1)).collect();
    ensure!(alerts.len() > 10, "{alerts:?}");
    for alert in alerts {
        assert!(tests.contains(&format!("alertname: {alert}\n")), "{alert} has no test");
    }
    Ok(())
}

/// The expressions of all rules and of all panels and variables.
fn expressions() -> Result<Vec<String>> {
    let read =
        |name: &str| std::fs::read_to_string(programs::checkout("deploy/monitoring").join(name));
    let rules: Value = serde_saphyr::from_str(&read("rules.yaml")?)?;
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")?)?;
    let mut found = Vec::new();
    gather(&rules, &mut found);
    gather(&dashboard, &mut found);
    Ok(found)
}

fn gather(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str() {
                    Some(text) if key == "expr" || key == "query" => into.push(text.to_owned()),
                    _ => gather(value, into),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| gather(value, into)),
        _ => {}
    }
}

/// The metrics of ours that an expression names.
fn metrics(expression: &str) -> impl Iterator<Item = &str> {
    expression
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("fetcher_") || word.starts_with("process_"))
}

#[tokio::test]
async fn every_metric_of_rules_and_dashboard_is_in_the_scrape_of_a_running_fetcher() -> Result<()> {
    let namespace = Plane::shared().await?.namespace("scraped").await?;
    let fetcher = Fetcher::new("fetcher-baremetal", namespace.dir())?;
    let port = ports::free()?;
    let list = namespace.dir().join("machines.yaml");
    std::fs::write(&list, "machines:\n- {id: m1, name: a}\n...\n")?;
    let config = |name: &str| -> Result<String> {
        let file = namespace.dir().join(format!("{name}.yaml"));
        let config = json!({
            "schedule": "every 1s", "selector": "", "listen": format!("127.0.0.1:{port}"),
            "store": {"kubernetes": {
                "namespace": namespace.name(), "kubeconfig": namespace.kubeconfig()?, "context": CONTEXT,
            }},
            "baremetal": {"sources": [{"file": {"name": name, "path": list}}]},
        });
        std::fs::write(&file, config.to_string())?;
        Ok(file.display().to_string())
    };
    // A source that nobody serves any more is in the scrape too.
    fetcher.run(&["--once", "--config", &config("before")?]).await?.ok()?;
    let _fetcher = fetcher.start(&["--config", &config("now")?]).await?;

    let expressions = expressions()?;
    let wanted: BTreeSet<&str> = expressions.iter().flat_map(|text| metrics(text)).collect();
    ensure!(wanted.len() > 20, "{wanted:?}");
    let url = format!("http://127.0.0.1:{port}/metrics");
    let mut missing = BTreeSet::new();
    let scrape = poll_until("every metric is in the scrape", SOON, async || {
        let Ok(answer) = reqwest::get(&url).await else { return Ok(None) };
        let text = answer.text().await?;
        let shown: BTreeSet<&str> =
            text.lines().filter_map(|line| line.split(['{', ' ']).next()).collect();
        missing = wanted.difference(&shown).map(ToString::to_string).collect();
        Ok(missing.is_empty().then_some(text))
    });
    let scrape = scrape.await;
    let scrape = scrape.map_err(|error| error.context(format!("missing: {missing:?}")))?;
    let said = promtool(&["check", "metrics"], &scrape).await?;
    assert_eq!(said, "", "promtool check metrics");
    Ok(())
}
