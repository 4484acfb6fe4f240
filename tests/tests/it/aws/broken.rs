//! One region broken in each of the ways that EC2 and the network break: its Hosts stay as they were, and the others go on.

use super::front::{Front, Mode};
use super::*;

const SEVEN: usize = 7;

#[tokio::test]
async fn a_broken_region_keeps_its_hosts_and_the_others_go_on() -> Result<()> {
    let moto = Moto::start().await?;
    let ours = Account::new(moto.url(), OURS)?;
    for region in REGIONS {
        for _ in 0..SEVEN {
            ours.run(region, &[("inventory", "yes")]).await?;
        }
    }
    let front = Front::before(moto.url()).await?;
    let regions = |endpoint: &str| json!([{"name": REGIONS[0], "endpoint": endpoint}, REGIONS[1], REGIONS[2]]);
    let mut config = both(moto.url(), &regions(&front.url));
    config["aws"]["accounts"] = json!([{}]);
    config["aws"]["pageSize"] = json!(5);
    let run = Run::new(&config)?;
    let first = run.once().await?;
    ensure!(first.sum("created") == 21, "{} {}", first.report, first.log);
    let before = run.hosts()?;

    // Something happens in the broken region too, and nobody hears of it.
    ours.run(REGIONS[0], &[("inventory", "yes")]).await?;
    for (mode, why) in [
        (Mode::AuthFailure, "is not enabled for the account"),
        (Mode::Throttled, "RequestLimitExceeded"),
        (Mode::SecondPage, "InternalError"),
        (Mode::HalfBody, "ends in the middle"),
        (Mode::Endless, "longer than 64 MiB"),
    ] {
        front.set(mode);
        breaks(&run, &ours, &before, why).await.with_context(|| format!("{mode:?}"))?;
    }
    // Nobody listens at port 9.
    config["aws"]["regions"] = regions("http://127.0.0.1:9");
    run.configure(&config)?;
    breaks(&run, &ours, &before, "cannot be reached").await.context("wrong endpoint")?;

    config["aws"]["regions"] = regions(&front.url);
    run.configure(&config)?;
    front.set(Mode::Well);
    let mended = run.once().await?;
    let counts = ["created", "updated", "gone", "withheld"].map(|count| mended.sum(count));
    assert_eq!((mended.code, counts), (0, [1, 0, 0, 0]), "{}", mended.log);
    Ok(())
}

/// A round in which the first region fails for this reason, and a new instance of the second one is taken up.
async fn breaks(
    run: &Run,
    ours: &Account,
    before: &BTreeMap<String, Value>,
    why: &str,
) -> Result<()> {
    ours.run(REGIONS[1], &[("inventory", "yes")]).await?;
    let outcome = run.once().await?;
    let broken = format!("aws-{OURS}-{}", REGIONS[0]);
    ensure!(outcome.code == 1, "{} {}", outcome.code, outcome.report);
    ensure!(outcome.source(&broken)?["result"] == "failed", "{}", outcome.report);
    let counts = ["created", "updated", "gone", "withheld"].map(|count| outcome.sum(count));
    ensure!(counts == [1, 0, 0, 0], "{counts:?} {}", outcome.report);
    let line = outcome.log.lines().find(|line| line.contains(&broken) && line.contains(why));
    ensure!(line.is_some(), "the log does not say which and why: {}", outcome.log);
    let after = run.hosts()?;
    for (name, host) in before {
        ensure!(after.get(name) == Some(host), "{name} has changed");
    }
    Ok(())
}

#[tokio::test]
async fn a_first_region_that_is_not_enabled_does_not_take_its_accounts_along() -> Result<()> {
    let world = World { instances: 3, delay: std::time::Duration::ZERO };
    let ec2 = FakeEc2::start(world, 0).await?;
    let dead = fake_ec2::DISABLED;
    let regions = json!([{"name": dead, "endpoint": "http://127.0.0.1:9"}, REGIONS[0]]);
    let mut config = both(ec2.url(), &regions);
    config["selector"] = json!("");
    config["aws"]["endpoints"]["sts"] = json!(format!("{}/{{region}}", ec2.url()));
    let outcome = Run::new(&config)?.once().await?;
    for account in [OURS, THEIRS] {
        let (dead, alive) =
            (format!("aws-{account}-{dead}"), format!("aws-{account}-{}", REGIONS[0]));
        ensure!(outcome.source(&dead)?["result"] == "failed", "{}", outcome.report);
        ensure!(outcome.source(&alive)?["created"] == 3, "{} {}", outcome.report, outcome.log);
    }
    Ok(())
}
