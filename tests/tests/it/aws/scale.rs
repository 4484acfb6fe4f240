//! What listing costs in calls, and many sources at once. The times and the memory are measured by `tests/benches`.

use std::time::Duration;

use super::*;

#[tokio::test]
async fn ten_thousand_instances_take_eleven_calls_at_most() -> Result<()> {
    let world = World { instances: 10_000, delay: Duration::ZERO };
    let ec2 = FakeEc2::start(world, 0).await?;
    let run = Run::new(&json!({
        "selector": "team=team-1",
        "store": {"file": {"path": "inventory.json"}},
        "aws": {"regions": [REGIONS[0]], "endpoints": {"ec2": ec2.url(), "sts": ec2.url()}},
    }))?;
    let outcome = run.once().await?;
    ensure!(outcome.code == 0, "{} {}", outcome.report, outcome.log);
    assert_eq!(outcome.sum("created"), 250);
    assert!(ec2.calls() <= 11, "{} calls", ec2.calls());
    Ok(())
}

#[tokio::test]
async fn a_round_over_many_accounts_and_regions_asks_each_once_and_logs_one_line() -> Result<()> {
    let (accounts, regions) = (12, 17);
    let ec2 = FakeEc2::start(World { instances: 1, delay: Duration::from_millis(100) }, 0).await?;
    let arn = |n: usize| format!("arn:aws:iam::2109876543{n:02}:role/inventory");
    let run = Run::new(&json!({
        "selector": "",
        "store": {"file": {"path": "inventory.json"}},
        "aws": {
            "regions": (1..=regions).map(|n| format!("eu-west-{n}")).collect::<Vec<_>>(),
            "accounts": (0..accounts).map(|n| json!({"roleArn": arn(n)})).collect::<Vec<_>>(),
            "endpoints": {"ec2": ec2.url(), "sts": ec2.url()},
            "instanceTypes": false,
        },
    }))?;
    let first = run.once().await?;
    let sources = accounts * regions;
    assert_eq!((first.code, first.sum("created")), (0, u64::try_from(sources)?), "{}", first.log);
    assert_eq!(ec2.calls(), sources);

    let second = run.once().await?;
    assert!(second.is_quiet(), "{}", second.report);
    let round: Vec<_> = second.log.lines().filter(|line| !line.contains("begins")).collect();
    assert_eq!(round.len(), 1, "{}", second.log);
    assert!(round[0].contains(&format!("unchanged={sources}")), "{}", second.log);
    Ok(())
}
