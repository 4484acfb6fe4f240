//! fetcher-baremetal against sushy-tools, and against a thousand BMCs of which some are slow and some are dead.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Result;
use fetcher_tests::fake_bmc::{FakeBmcs, PASSWORD as BMC_PASSWORD, USER as BMC_USER, system, uuid};
use fetcher_tests::fake_faults::Fault;
use fetcher_tests::poll::poll_until;
use fetcher_tests::servers::sushy::{Sushy, System};
use fetcher_tests::servers::{PASSWORD, USER};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};

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
    for n in 0..20 {
        let status = &hosts[&uuid(n)]["status"];
        assert_eq!(status["state"], if n == 4 { "Stopped" } else { "Running" });
        assert_eq!(status["hardware"]["uuid"], uuid(n));
        assert_eq!(status["interfaces"][0]["mac"], format!("00:5c:52:31:00:{n:02x}"));
        assert_eq!(status["tags"], serde_json::json!({"team": "core"}));
    }

    // The same without the authority, and with the certificate itself pinned, right and wrong.
    let server = sushy.secured().map(|s| s.server.certificate.clone()).unwrap_or_default();
    let server = CertificateDer::from_pem_file(server)?;
    let right: String = Sha256::digest(&server).iter().map(|byte| format!("{byte:02X}")).collect();
    for (trust, error) in [
        (String::new(), Some("certificate")),
        (format!("certificateFingerprint: '{right}',"), None),
        (format!("certificateFingerprint: '{}',", "00".repeat(32)), Some("certificate")),
    ] {
        desk.configure(&source.replace("caFile: ca.crt,", &trust), "team=core")?;
        let (code, run) = desk.once(&[]).await?;
        let said = run["sources"][0]["error"].as_str();
        assert_eq!(code == 0, error.is_none(), "{run}");
        assert_eq!(
            said.is_some_and(|said| said.contains(error.unwrap_or("?"))),
            code == 1,
            "{run}"
        );
        assert_eq!(desk.hosts()?, hosts, "whom it does not trust it does not believe: {run}");
    }
    desk.configure(&source, "team=core")?;
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
async fn of_a_thousand_bmcs_sixty_four_are_asked_at_once_and_the_slow_and_dead_harm_no_other()
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
    // A BMC is no fast computer: and so as many are asked at once as may be.
    fake.script.always("/redfish/v1/", Fault::Slow(Duration::from_millis(100)));
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
    desk.add("concurrency: 64")?;
    let start = Instant::now();
    let (code, run) = desk.once(&[]).await?;
    eprintln!("1,000 BMCs: {:?}", start.elapsed());
    assert_eq!(code, 1, "the dead are failed sources");
    let sources = run["sources"].as_array().cloned().unwrap_or_default();
    let failed = sources.iter().filter(|s| s["result"] == "failed").count();
    assert_eq!((sources.len(), failed), (BMCS, SILENT.len() + DEAD.len()));
    assert_eq!(desk.hosts()?.len(), BMCS - failed, "every other BMC's system is a Host");
    // Those that never answer are given up, which the server learns a moment later.
    let most = fake.script.most_at_once();
    assert!((64..=64 + SILENT.len()).contains(&most), "{most} at once");
    Ok(())
}

#[tokio::test]
async fn a_bmc_with_another_address_and_the_same_name_keeps_its_host() -> Result<()> {
    let bmcs = ["old", "new"].map(|name| (name.to_owned(), vec![system(1)]));
    let fake = FakeBmcs::start(bmcs.into(), 50).await?;
    let source = |at: &str| {
        format!(
            "    - redfish: {{endpoints: [{{name: r12-u07, url: '{}'}}], tags: {{team: core}}, \
             auth: {{user: {BMC_USER}, password: {{file: password}}}}}}",
            fake.url(at)
        )
    };
    let desk = Desk::new(&source("old"), "team=core")?;
    std::fs::write(desk.dir().join("password"), BMC_PASSWORD)?;
    assert_eq!(counts(&desk.round().await?), [1, 0, 0, 0]);
    desk.configure(&source("new"), "team=core")?;
    assert_eq!(counts(&desk.round().await?), [0, 0, 0, 1], "the address is not the identity");
    Ok(())
}

#[tokio::test]
async fn a_broken_member_of_an_aggregator_keeps_its_host_and_the_others_go_on() -> Result<()> {
    let fake =
        FakeBmcs::start([("rack".to_owned(), (0..5).map(system).collect())].into(), 2).await?;
    let source = format!(
        "    - redfish: {{endpoints: [{{name: rack, url: '{}'}}], tags: {{team: core}}, \
         auth: {{user: {BMC_USER}, password: {{file: password}}}}, http: {{attempts: 1}}}}",
        fake.url("rack")
    );
    let desk = Desk::new(&source, "team=core")?;
    std::fs::write(desk.dir().join("password"), BMC_PASSWORD)?;
    assert_eq!(counts(&desk.round().await?), [5, 0, 0, 0]);
    let before = desk.hosts()?;
    // One is broken, one has another state, and one is gone.
    fake.script.always("/Systems/1?", Fault::Says(500, "text/html", "<html>"));
    if let Some(all) = fake.world().bmcs.get_mut("rack") {
        all[2]["PowerState"] = "Off".into();
        all.pop();
    }
    for expected in [[0, 1, 0, 2], [0, 0, 0, 3]] {
        let (code, run) = desk.once(&[]).await?;
        let report = &run["sources"][0];
        assert_eq!((code, counts(report)), (1, expected), "{run}");
        assert_eq!(
            report["unconfirmed"], 2,
            "who cannot be read may be any of the absent: {report}"
        );
    }
    assert_eq!(desk.hosts()?[&uuid(1)], before[&uuid(1)]);
    // Healed, the list is whole, and who left it is gone.
    fake.script.heal();
    assert_eq!(counts(&desk.round().await?), [0, 0, 1, 4]);
    assert_eq!(desk.hosts()?[&uuid(4)]["status"]["state"], "Gone");
    Ok(())
}

#[tokio::test]
async fn a_daemon_that_is_stopped_in_the_middle_of_a_round_closes_its_session() -> Result<()> {
    let fake = FakeBmcs::start([("bmc".to_owned(), vec![system(1)])].into(), 50).await?;
    fake.script.always("/bmc/redfish/v1/Systems/", Fault::Slow(Duration::from_secs(3600)));
    let source = format!(
        "    - redfish: {{endpoints: [{{name: bmc, url: '{}'}}], tags: {{team: core}}, \
         auth: {{user: {BMC_USER}, password: {{file: password}}, method: session}}}}",
        fake.url("bmc")
    );
    let desk = Desk::new(&source, "team=core")?;
    std::fs::write(desk.dir().join("password"), BMC_PASSWORD)?;
    let mut running = desk.fetcher().start(&[]).await?;
    poll_until("the system is asked for", Duration::from_secs(60), async || {
        let calls = fake.script.calls();
        Ok(calls.iter().any(|call| call.contains("/Systems/")).then_some(()))
    })
    .await?;
    // It lets the round end, which it does not, then drops it.
    let ended = running.terminate(Duration::from_secs(60)).await?;
    assert_eq!(ended.code, Some(0), "{}", running.stderr());
    let world = fake.world();
    assert!(world.opened > 0, "{}", running.stderr());
    assert!(world.sessions.is_empty(), "{:?}: {}", world.sessions, running.stderr());
    Ok(())
}
