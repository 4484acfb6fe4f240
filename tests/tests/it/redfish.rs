//! fetcher-baremetal against sushy-tools, and against a thousand BMCs of which some are slow and some are dead.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use fetcher_tests::fake_bmc::{FakeBmcs, PASSWORD as BMC_PASSWORD, USER as BMC_USER, system, uuid};
use fetcher_tests::fake_faults::Fault;
use fetcher_tests::servers::sushy::{Sushy, System};
use fetcher_tests::servers::{PASSWORD, USER};

use crate::baremetal::{Desk, counts};

#[tokio::test]
async fn twenty_systems_of_a_secured_service_become_hosts_and_stay_as_they_are() -> Result<()> {
    let systems: Vec<System> = (0..20)
        .map(|n| System {
            uuid: uuid(n),
            name: format!("fake{n:03}"),
            power: if n == 4 { "Off" } else { "On" }.to_owned(),
            mac: format!("00:5c:52:31:00:{n:02x}"),
        })
        .collect();
    let sushy = Sushy::start(&systems, true).await?;
    let source = format!(
        "    - redfish: {{endpoints: [{{name: rack7, url: '{}'}}], tags: {{team: core}}, interfaces: true, \
         auth: {{user: {USER}, password: {{file: password}}}}, \
         http: {{caFile: ca.crt, requestsPerSecond: 100, concurrency: 4}}}}",
        sushy.url(),
    );
    let desk = Desk::new(&source, "team=core")?;
    std::fs::write(desk.dir().join("password"), PASSWORD)?;
    // Its own copy: the server's folder goes with the server.
    let ca = sushy.secured().map(|s| s.ca.clone()).unwrap_or_default();
    std::fs::copy(ca, desk.dir().join("ca.crt"))?;
    let first = desk.round().await?;
    assert_eq!(counts(&first), [20, 0, 0, 0], "{first}");
    assert_eq!(counts(&desk.round().await?), [0, 0, 0, 20]);
    let hosts = desk.hosts()?;
    let status = &hosts[&uuid(4)]["status"];
    assert_eq!(status["state"], "Stopped");
    assert_eq!(status["hardware"]["uuid"], uuid(4));
    assert_eq!(status["interfaces"][0]["mac"], "00:5c:52:31:00:04");
    drop(sushy);
    let before = desk.text()?;
    let (code, run) = desk.once(&[]).await?;
    assert_eq!((code, run["sources"][0]["result"].as_str()), (1, Some("failed")), "{run}");
    assert_eq!(desk.text()?, before, "an unreachable BMC changes nothing");
    Ok(())
}

const BMCS: usize = 1000;
/// Each answer of these takes 10 s, and a round asks three times.
const SLOW: std::ops::Range<usize> = 0..20;
/// These take the connection and never answer.
const SILENT: std::ops::Range<usize> = 20..30;
/// These refuse it.
const DEAD: std::ops::Range<usize> = 30..50;

#[tokio::test]
async fn a_thousand_bmcs_take_less_than_a_minute_though_some_are_slow_and_some_are_dead()
-> Result<()> {
    let bmcs: BTreeMap<_, _> =
        (0..BMCS).map(|n| (format!("bmc-{n:04}"), vec![system(n)])).collect();
    let fake = FakeBmcs::start(bmcs, 50).await?;
    for n in SLOW {
        fake.script.always(&format!("/bmc-{n:04}/"), Fault::Slow(Duration::from_secs(10)));
    }
    for n in SILENT {
        fake.script.always(&format!("/bmc-{n:04}/"), Fault::Slow(Duration::from_secs(3600)));
    }
    let mut source = format!(
        "    - redfish:\n        tags: {{team: core}}\n        auth: {{user: {BMC_USER}, password: {{file: password}}}}\n        endpoints:\n"
    );
    for n in 0..BMCS {
        let name = format!("bmc-{n:04}");
        let url =
            if DEAD.contains(&n) { "http://127.0.0.1:9/".to_owned() } else { fake.url(&name) };
        writeln!(source, "          - {{name: {name}, url: '{url}'}}")?;
    }
    let desk = Desk::new(&source, "team=core")?;
    std::fs::write(desk.dir().join("password"), BMC_PASSWORD)?;
    let start = Instant::now();
    let (code, run) = desk.once(&[]).await?;
    let wall = start.elapsed();
    assert_eq!(code, 1, "the dead are failed sources");
    let sources = run["sources"].as_array().cloned().unwrap_or_default();
    let failed = sources.iter().filter(|s| s["result"] == "failed").count();
    assert_eq!((sources.len(), failed), (BMCS, SILENT.len() + DEAD.len()));
    assert_eq!(desk.hosts()?.len(), BMCS - failed, "every other BMC's system is a Host");
    eprintln!("1,000 BMCs: {wall:?}");
    ensure!(wall < Duration::from_secs(60), "a round took {wall:?}");
    Ok(())
}
