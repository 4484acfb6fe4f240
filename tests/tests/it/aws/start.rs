//! How a fetcher-aws begins: without a configuration, with profiles, with a region less than last time.

use std::time::Duration;

use fetcher_tests::poll::poll_until;
use fetcher_tests::ports;

use super::*;

#[tokio::test]
async fn a_region_and_the_shells_credentials_are_all_that_a_first_run_needs() -> Result<()> {
    let moto = Moto::start().await?;
    let ours = Account::new(moto.url(), OURS)?;
    for region in [REGIONS[0], REGIONS[0], REGIONS[1]] {
        ours.run(region, &[("Name", "x")]).await?;
    }
    let run = Run::new(&Value::Null)?.env("AWS_ENDPOINT_URL", moto.url());
    let ran = run.fetcher.run(&["--once", "--region", REGIONS[0]]).await?;
    assert_eq!(ran.code, 0, "{} {}", ran.stdout, ran.stderr);
    let hosts = run.hosts()?;
    assert_eq!(hosts.len(), 2);
    let source = format!("aws-{OURS}-{}", REGIONS[0]);
    assert!(hosts.values().all(|host| host["spec"]["source"]["name"] == source), "{hosts:?}");
    Ok(())
}

#[tokio::test]
async fn a_flag_does_not_lift_what_the_file_says_of_its_region() -> Result<()> {
    let ec2 = FakeEc2::start(World { instances: 3, delay: Duration::ZERO }, 0).await?;
    let suspended = json!({"name": REGIONS[0], "suspend": true});
    let demanding = json!({"name": REGIONS[1], "expect": {"min": 9999}});
    let run = Run::new(&json!({
        "selector": "",
        "store": {"file": {"path": "inventory.json"}},
        "aws": {
            "regions": [suspended, demanding, REGIONS[2]],
            "endpoints": {"ec2": ec2.url(), "sts": ec2.url()},
        },
    }))?;
    for (region, code) in [(REGIONS[0], 0), (REGIONS[1], 1)] {
        let ran =
            run.fetcher.run(&["--config", "fetcher.yaml", "--once", "--region", region]).await?;
        assert_eq!(ran.code, code, "{} {}", ran.stdout, ran.stderr);
        assert!(
            run.hosts().is_ok_and(|hosts| hosts.is_empty()) || !run.path("inventory.json").exists()
        );
    }
    Ok(())
}

/// In the SDK's own chain the keys of the environment win, and both profiles would be one account.
#[tokio::test]
async fn profiles_of_the_configuration_win_over_keys_in_the_environment() -> Result<()> {
    let ec2 = FakeEc2::start(World { instances: 2, delay: Duration::ZERO }, 0).await?;
    let run = Run::new(&json!({
        "selector": "",
        "store": {"file": {"path": "inventory.json"}},
        "aws": {
            "regions": [REGIONS[0]],
            "credentialsFile": "keys",
            "accounts": [{"profile": "one"}, {"profile": "two"}],
            "endpoints": {"ec2": ec2.url(), "sts": ec2.url()},
        },
    }))?;
    let profile = |name, account| {
        format!("[{name}]\naws_access_key_id = AKIA{account}\naws_secret_access_key = secret\n")
    };
    let [one, two] = ["111111111111", THEIRS];
    std::fs::write(run.path("keys"), profile("one", one) + &profile("two", two))?;
    let outcome = run.once().await?;
    ensure!(outcome.code == 0, "{} {}", outcome.report, outcome.log);
    for account in [one, two] {
        let source = format!("aws-{account}-{}", REGIONS[0]);
        assert_eq!(outcome.source(&source)?["created"], 2, "{}", outcome.report);
    }
    Ok(())
}

#[tokio::test]
async fn a_region_that_leaves_the_list_is_no_longer_served_and_is_named() -> Result<()> {
    let ec2 = FakeEc2::start(World { instances: 3, delay: Duration::ZERO }, 0).await?;
    let port = ports::free()?;
    let config = |regions: &[&str]| {
        json!({
            "selector": "",
            "schedule": "every 1s",
            "listen": format!("127.0.0.1:{port}"),
            "store": {"file": {"path": "inventory.json"}},
            "aws": {"regions": regions, "endpoints": {"ec2": ec2.url(), "sts": ec2.url()}},
        })
    };
    let run = Run::new(&config(&REGIONS[..2]))?;
    assert_eq!(run.once().await?.sum("created"), 6);
    let before = run.hosts()?;
    run.configure(&config(&REGIONS[..1]))?;
    let left = format!("aws-{OURS}-{}", REGIONS[1]);

    let outcome = run.once().await?;
    assert_eq!(outcome.source(&left)?["result"], "unserved", "{}", outcome.report);
    assert_eq!((outcome.code, outcome.sum("gone")), (0, 0), "{}", outcome.report);

    let mut daemon = run.fetcher.start(&["--config", "fetcher.yaml"]).await?;
    let url = format!("http://127.0.0.1:{port}/metrics");
    let sample = format!("fetcher_source_unserved{{source=\"{left}\"}} 1");
    poll_until("the metric of the source that left", Duration::from_secs(60), async || {
        let Ok(answer) = reqwest::get(&url).await else { return Ok(None) };
        Ok(answer.text().await?.contains(&sample).then_some(()))
    })
    .await?;
    daemon.terminate(Duration::from_secs(60)).await?;
    let log = daemon.stderr();
    assert!(
        log.lines().any(|line| line.contains(&left) && line.contains("no longer configured")),
        "{log}"
    );
    assert_eq!(run.hosts()?, before);
    Ok(())
}
