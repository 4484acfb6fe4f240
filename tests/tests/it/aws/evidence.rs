//! What is evidence that an instance is gone, and what is none: against a region that remembers and hides things.

use fetcher_tests::fake_ec2_world::{self as region, FakeRegion, KEY, SECRET};
use fetcher_tests::fake_faults::Fault;

use super::*;

const MACHINES: usize = 60;
const LOOKUP: &str = "Filter.1.Name=instance-id";

/// A region of which every instance is a Host that is old enough to be missed.
async fn bed() -> Result<(FakeRegion, Run)> {
    let all = (0..MACHINES).map(|n| region::instance(n, &[("inventory", "yes")])).collect();
    let fake = FakeRegion::start(all).await?;
    let mut config = both(&fake.url, &json!([REGIONS[0]]));
    config["aws"]["accounts"] = json!([{}]);
    let run = Run::new(&config)?.key(KEY, SECRET);
    let first = run.once().await?;
    ensure!(first.sum("created") == u64::try_from(MACHINES)?, "{} {}", first.report, first.log);
    run.age()?;
    Ok((fake, run))
}

#[tokio::test]
async fn a_short_answer_and_a_lookup_that_errs_mark_nothing() -> Result<()> {
    let (fake, run) = bed().await?;
    (0..3).for_each(|n| fake.world().remove(&region::id(n)));
    fake.script.always(LOOKUP, Fault::Says(500, "text/html", "<html>"));
    let before = run.hosts()?;
    let outcome = run.once().await?;
    assert_eq!((outcome.sum("gone"), outcome.sum("unconfirmed")), (0, 3), "{}", outcome.report);
    assert_eq!(run.hosts()?, before);
    assert!(outcome.log.contains("lookup failed"), "{}", outcome.log);

    fake.script.heal();
    let outcome = run.once().await?;
    assert_eq!((outcome.code, outcome.sum("gone")), (0, 3), "{}", outcome.report);
    Ok(())
}

#[tokio::test]
async fn a_short_answer_and_a_lookup_without_its_control_id_mark_nothing() -> Result<()> {
    let (fake, run) = bed().await?;
    (0..3).for_each(|n| fake.world().remove(&region::id(n)));
    fake.world().deaf = true;
    let before = run.hosts()?;
    let outcome = run.once().await?;
    assert_eq!((outcome.sum("gone"), outcome.sum("unconfirmed")), (0, 3), "{}", outcome.report);
    assert_eq!(run.hosts()?, before);
    assert!(outcome.log.contains("was listed a moment ago"), "{}", outcome.log);
    Ok(())
}

#[tokio::test]
async fn a_lookup_that_contradicts_the_list_marks_nothing() -> Result<()> {
    let (fake, run) = bed().await?;
    fake.world().remove(&region::id(0));
    fake.world().hidden.insert(region::id(1));
    let before = run.hosts()?;
    let outcome = run.once().await?;
    assert_eq!((outcome.sum("gone"), outcome.sum("unconfirmed")), (0, 2), "{}", outcome.report);
    assert_eq!(run.hosts()?, before, "not even the one that is really gone");
    assert!(outcome.log.contains(&region::id(1)), "{}", outcome.log);
    Ok(())
}

#[tokio::test]
async fn terminated_instances_are_gone_without_the_brake_and_vanished_ones_with_it() -> Result<()> {
    let (fake, run) = bed().await?;
    for n in 0..40 {
        if let Some(one) = fake.world().instance(&region::id(n)) {
            one.state = if n % 2 == 0 { "terminated" } else { "shutting-down" }.to_owned();
        }
    }
    let outcome = run.once().await?;
    assert_eq!((outcome.code, outcome.sum("gone"), outcome.sum("withheld")), (0, 40, 0));
    let hosts = run.hosts()?;
    assert!((0..40).all(|n| present(&hosts[&name(&region::id(n))])["reason"] == "Terminated"));

    (40..52).for_each(|n| fake.world().remove(&region::id(n)));
    let outcome = run.once().await?;
    assert_eq!((outcome.code, outcome.sum("gone"), outcome.sum("withheld")), (3, 0, 12));
    Ok(())
}
