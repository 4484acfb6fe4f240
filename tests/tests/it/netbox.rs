//! fetcher-baremetal against a NetBox with its traps, and all five kinds in one run with one of them down.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use fetcher_tests::fake_bmc::{FakeBmcs, PASSWORD, USER, system, uuid};
use fetcher_tests::fake_maas::{FakeMaas, KEY, machine};
use fetcher_tests::fake_netbox::{FakeNetBox, TOKEN, device};
use fetcher_tests::poll::poll_until;
use fetcher_tests::servers::ironic::Ironic;
use serde_json::json;

use crate::baremetal::{Desk, counts, marks, waits_for_a_person};

/// The sources of all five kinds.
const SOURCES: [&str; 5] = [
    "baremetal-file-dc1",
    "baremetal-ironic-dc1",
    "baremetal-maas-dc1",
    "baremetal-netbox-dc1",
    "baremetal-redfish-bmc1",
];
/// The one that is taken down.
const DOWN: &str = "baremetal-maas-dc1";

fn source(netbox: &FakeNetBox) -> String {
    format!(
        "    - netbox: {{name: dc1, url: '{}', token: {{file: token}}, http: {{requestsPerSecond: 100}}}}",
        netbox.url
    )
}

#[tokio::test]
async fn a_server_that_ignores_the_filter_makes_no_host_of_what_is_not_selected() -> Result<()> {
    let mut devices: Vec<_> = (1..=120).map(device).collect();
    for device in devices.iter_mut().skip(100) {
        device["tags"] = json!([{"slug": "spare"}]);
    }
    let netbox = FakeNetBox::start(devices, 50).await?;
    let desk = Desk::new(&source(&netbox), "inventory")?;
    std::fs::write(desk.dir().join("token"), TOKEN)?;
    assert_eq!(counts(&desk.round().await?), [100, 0, 0, 0]);
    netbox.world().ignores_filters = true;
    let report = desk.round().await?;
    assert_eq!((report["listed"].as_u64(), counts(&report)), (Some(120), [0, 0, 0, 100]));
    Ok(())
}

fn with_virtual_machines(netbox: &FakeNetBox, wanted: bool) -> String {
    source(netbox).replace("name: dc1", &format!("name: dc1, virtualMachines: {wanted}"))
}

/// Eight devices and two virtual machines, all of them Hosts.
async fn with_two_virtual_machines() -> Result<(FakeNetBox, Desk)> {
    let netbox = FakeNetBox::start((1..=8).map(device).collect(), 50).await?;
    netbox.world().virtual_machines = Some((1..=2).map(device).collect());
    let desk = Desk::new(&with_virtual_machines(&netbox, false), "inventory")?;
    std::fs::write(desk.dir().join("token"), TOKEN)?;
    let first = desk.round().await?;
    assert_eq!(counts(&first), [8, 0, 0, 0], "hidden from the start, never a Host: {first}");
    desk.configure(&with_virtual_machines(&netbox, true), "inventory")?;
    assert_eq!(counts(&desk.round().await?), [2, 0, 0, 8]);
    Ok((netbox, desk))
}

#[tokio::test]
async fn virtual_machines_that_are_no_longer_wanted_wait_for_a_person_and_hold_up_no_other_mark()
-> Result<()> {
    let (netbox, desk) = with_two_virtual_machines().await?;
    desk.configure(&with_virtual_machines(&netbox, false), "inventory")?;
    netbox.world().devices.retain(|device| device["id"] != 7);
    waits_for_a_person(&desk, 2).await
}

#[tokio::test]
async fn virtual_machines_that_the_token_may_not_see_are_no_evidence_and_hold_up_no_other_mark()
-> Result<()> {
    let (netbox, desk) = with_two_virtual_machines().await?;
    desk.configure(&with_virtual_machines(&netbox, false), "inventory")?;
    netbox.world().virtual_machines = None;
    netbox.world().devices.retain(|device| device["id"] != 7);
    let (_, run) = desk.once(&[]).await?;
    assert_eq!(marks(&run), [("Vanished".to_owned(), false)], "{run}");
    assert_eq!(run["sources"][0]["unconfirmed"], 2, "{run}");
    Ok(())
}

#[tokio::test]
async fn a_tag_deleted_in_netbox_marks_nothing() -> Result<()> {
    let netbox = FakeNetBox::start((1..=9).map(device).collect(), 50).await?;
    let desk = Desk::new(&source(&netbox), "inventory")?;
    std::fs::write(desk.dir().join("token"), TOKEN)?;
    desk.round().await?;
    let before = desk.text()?;
    for device in &mut netbox.world().devices {
        device["tags"] = json!([]);
    }
    let (code, run) = desk.once(&[]).await?;
    assert_eq!(code, 1);
    let said = run["sources"][0]["error"].as_str().unwrap_or_default();
    ensure!(said.contains("inventory is not one of"), "{said}");
    assert_eq!(desk.text()?, before);
    Ok(())
}

#[tokio::test]
async fn a_null_name_prefix_lengths_and_an_old_token_are_read_as_they_are_meant() -> Result<()> {
    let mut odd = device(2);
    odd["name"] = json!(null);
    odd["primary_ip"] = json!({"address": "2001:db8:12::20/128"});
    odd["oob_ip"] = json!({"address": "10.250.12.7/24"});
    odd["status"] = json!({"value": "burn-in", "label": "Burn-in"});
    let netbox = FakeNetBox::start(vec![device(1), odd], 50).await?;
    let old = "0123456789abcdef0123456789abcdef01234567";
    old.clone_into(&mut netbox.world().token);
    let desk = Desk::new(&source(&netbox), "inventory")?;
    std::fs::write(desk.dir().join("token"), old)?;
    assert_eq!(counts(&desk.round().await?), [2, 0, 0, 0]);
    let hosts = desk.hosts()?;
    let status = &hosts["device-2"]["status"];
    ensure!(status.get("hostname").is_none(), "{status}");
    assert_eq!(
        (&status["state"], &status["providerState"]),
        (&json!("Unknown"), &json!("burn-in"))
    );
    let addresses = json!([{"type": "InternalIP", "address": "2001:db8:12::20"},
        {"type": "ManagementIP", "address": "10.250.12.7"}]);
    assert_eq!(status["addresses"], addresses);
    Ok(())
}

#[tokio::test]
async fn one_machine_seen_by_netbox_and_its_bmc_is_two_hosts_of_one_serial_and_uuid() -> Result<()>
{
    let mut device = device(1);
    device["serial"] = json!("SN000007");
    device["custom_fields"] = json!({ "uuid": uuid(7) });
    let netbox = FakeNetBox::start(vec![device], 50).await?;
    let bmcs = FakeBmcs::start(BTreeMap::from([("bmc1".to_owned(), vec![system(7)])]), 50).await?;
    let sources = format!(
        "{}\n    - redfish: {{endpoints: [{{name: bmc1, url: '{}'}}], tags: {{inventory: ''}}, \
         auth: {{user: {USER}, password: {{file: password}}}}}}",
        source(&netbox).replace("token: {", "uuidField: uuid, token: {"),
        bmcs.url("bmc1"),
    );
    let desk = Desk::new(&sources, "inventory")?;
    std::fs::write(desk.dir().join("token"), TOKEN)?;
    std::fs::write(desk.dir().join("password"), PASSWORD)?;
    let (code, run) = desk.once(&[]).await?;
    let hosts = desk.hosts()?;
    assert_eq!((code, hosts.len()), (0, 2), "{run}");
    for host in hosts.values() {
        let hardware = &host["status"]["hardware"];
        assert_eq!((&hardware["serial"], &hardware["uuid"]), (&json!("SN000007"), &json!(uuid(7))));
    }
    Ok(())
}

#[tokio::test]
async fn one_of_five_kinds_that_is_down_stops_none_of_the_others() -> Result<()> {
    let ironic = Ironic::start().await?;
    let node = json!({"name": "bm-1", "driver": "fake-hardware", "extra": {"inventory": "yes"}});
    ironic
        .request(reqwest::Method::POST, "/v1/nodes")
        .json(&node)
        .send()
        .await?
        .error_for_status()?;
    let netbox = FakeNetBox::start(vec![device(1)], 50).await?;
    let maas = FakeMaas::start(vec![machine("4y3h7n")]).await?;
    let bmcs = FakeBmcs::start(BTreeMap::from([("bmc1".to_owned(), vec![system(1)])]), 50).await?;
    let sources = format!(
        "{}\n    - ironic: {{name: dc1, url: '{}'}}\n    - maas: {{name: dc1, url: '{}', apiKey: {{file: key}}}}\n    \
         - redfish: {{endpoints: [{{name: bmc1, url: '{}'}}], tags: {{inventory: ''}}, \
         auth: {{user: {USER}, password: {{file: password}}}}}}\n    \
         - file: {{name: dc1, path: machines.yaml}}",
        source(&netbox),
        ironic.url(),
        maas.url,
        bmcs.url("bmc1"),
    );
    let desk = Desk::new(&sources, "inventory")?;
    for (name, text) in [("token", TOKEN), ("key", KEY), ("password", PASSWORD)] {
        std::fs::write(desk.dir().join(name), text)?;
    }
    let list = "machines:\n  - {id: m1, state: Running, tags: {inventory: ''}}\n...\n";
    std::fs::write(desk.dir().join("machines.yaml"), list)?;
    let (code, run) = desk.once(&[]).await?;
    assert_eq!((code, desk.hosts()?.len()), (0, 5), "{run}");
    drop(maas);
    netbox.world().devices.iter_mut().for_each(|device| device["name"] = json!("renamed"));
    let (code, run) = desk.once(&[]).await?;
    assert_eq!(code, 1, "{run}");
    let result = |name: &str| {
        let all = run["sources"].as_array().cloned().unwrap_or_default();
        let of = all.into_iter().find(|source| source["source"] == name).unwrap_or_default();
        (
            of["result"].clone(),
            of["updated"].clone(),
            of["error"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let (state, _, error) = result("baremetal-maas-dc1");
    assert_eq!(state, "failed", "{run}");
    ensure!(error.contains("no connection"), "{error}");
    assert_eq!(result("baremetal-netbox-dc1").1, 1, "the others went on: {run}");
    for name in ["baremetal-ironic-dc1", "baremetal-redfish-bmc1", "baremetal-file-dc1"] {
        assert_eq!(result(name).0, "complete", "{name}: {run}");
    }
    shows_the_one_that_is_down(&desk).await
}

/// The same as a daemon: its log and its metrics name the source that is down, and no other.
async fn shows_the_one_that_is_down(desk: &Desk) -> Result<()> {
    let mut daemon = desk.fetcher().start(&["--log-format", "json"]).await?;
    let url = format!("http://127.0.0.1:{}/metrics", desk.port());
    let failures = |metrics: &str, source: &str| {
        let sample = format!("fetcher_source_consecutive_failures{{source=\"{source}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&sample)?.parse::<f64>().ok())
    };
    let metrics = poll_until("a round of each source", Duration::from_secs(60), async || {
        let Ok(answer) = reqwest::get(&url).await else { return Ok(None) };
        let metrics = answer.text().await?;
        let ended = SOURCES.iter().all(|source| failures(&metrics, source).is_some());
        let down = failures(&metrics, DOWN).is_some_and(|count| count >= 1.0);
        Ok((ended && down).then_some(metrics))
    })
    .await?;
    for source in SOURCES.iter().filter(|source| **source != DOWN) {
        assert_eq!(failures(&metrics, source), Some(0.0), "{source}: {metrics}");
    }
    let ended = daemon.terminate(Duration::from_secs(20)).await?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let log = daemon.stdout() + &daemon.stderr();
    let is_named = |line: &str| line.contains(DOWN) && line.contains("no connection");
    ensure!(log.lines().any(is_named), "the log does not say which: {log}");
    Ok(())
}
