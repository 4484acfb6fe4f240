//! fetcher-baremetal against a MAAS with its traps.

use anyhow::{Result, ensure};
use fetcher_tests::fake_maas::{FakeMaas, KEY, machine};
use serde_json::json;

use crate::baremetal::{Desk, counts, waits_for_a_person};

#[tokio::test]
async fn machines_become_hosts_by_tag_and_a_deleted_tag_marks_nothing() -> Result<()> {
    let mut machines: Vec<_> = (0..30).map(|n| machine(&format!("m{n:05}"))).collect();
    machines[29]["tag_names"] = json!(["spare"]);
    let maas = FakeMaas::start(machines).await?;
    let source = format!("    - maas: {{name: dc1, url: '{}', apiKey: {{file: key}}}}", maas.url);
    let desk = Desk::new(&source, "inventory")?;
    std::fs::write(desk.dir().join("key"), KEY)?;
    assert_eq!(counts(&desk.round().await?), [29, 0, 0, 0]);
    assert_eq!(counts(&desk.round().await?), [0, 0, 0, 29]);
    let hosts = desk.hosts()?;
    let status = &hosts["m00001"]["status"];
    assert_eq!(status["interfaces"], json!([{"name": "eno1", "mac": "b4:2e:99:00:12:07"}]));
    assert_eq!(status["hardware"]["disks"], json!([{"sizeBytes": 512_110_190_592_u64}]));

    // Released: the same machine without its workload.
    if let Some(machine) = maas.world().machine("m00001") {
        machine["status"] = json!(4);
        machine["status_name"] = json!("Ready");
        machine["power_state"] = json!("off");
        machine["workload_annotations"] = json!({});
    }
    let report = desk.round().await?;
    assert_eq!(counts(&report), [0, 1, 0, 28], "{report}");
    let hosts = desk.hosts()?;
    assert_eq!(hosts["m00001"]["status"]["state"], "Stopped");
    ensure!(hosts["m00001"]["status"]["tags"].get("annotation.role").is_none(), "{hosts:?}");

    maas.world().machines.retain(|machine| machine["system_id"] != "m00002");
    assert_eq!(counts(&desk.round().await?), [0, 0, 1, 28]);

    let before = desk.text()?;
    for machine in &mut maas.world().machines {
        machine["tag_names"] = json!([]);
    }
    let (code, run) = desk.once(&[]).await?;
    let said = run["sources"][0]["error"].as_str().unwrap_or_default();
    ensure!(code == 1 && said.contains("No such tag(s)"), "{run}");
    assert_eq!(desk.text()?, before);
    Ok(())
}

#[tokio::test]
async fn smart_network_cards_that_are_no_longer_wanted_wait_for_a_person_and_hold_up_no_other_mark()
-> Result<()> {
    let mut machines: Vec<_> = (0..12).map(|n| machine(&format!("m{n:05}"))).collect();
    for card in machines.iter_mut().take(2) {
        card["is_dpu"] = json!(true);
    }
    let maas = FakeMaas::start(machines).await?;
    let source = |dpus: bool| {
        format!(
            "    - maas: {{name: dc1, url: '{}', apiKey: {{file: key}}, dpus: {dpus}}}",
            maas.url
        )
    };
    let desk = Desk::new(&source(false), "inventory")?;
    std::fs::write(desk.dir().join("key"), KEY)?;
    let first = desk.round().await?;
    assert_eq!(counts(&first), [10, 0, 0, 0], "hidden from the start, never a Host: {first}");
    desk.configure(&source(true), "inventory")?;
    assert_eq!(counts(&desk.round().await?), [2, 0, 0, 10]);

    desk.configure(&source(false), "inventory")?;
    maas.world().machines.retain(|machine| machine["system_id"] != "m00007");
    waits_for_a_person(&desk, 2).await?;
    desk.configure(&source(true), "inventory")?;
    assert_eq!(desk.round().await?["returned"], 2, "wanted again");
    Ok(())
}
