//! A list of machines cut off at every byte, through the whole engine into a real file store. The brake is switched off,
//! so that a shorter list that were believed would show.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use fetcher_baremetal::Baremetal;
use fetcher_core::app::App;
use fetcher_core::brake::Policy;
use fetcher_core::desired::Style;
use fetcher_core::observed::Lens;
use fetcher_core::provider::Provider;
use fetcher_core::report::{RoundResult, SourceReport};
use fetcher_core::round::{Engine, RunOptions, Unwatched};
use fetcher_core::schema::Schema;
use fetcher_core::store::file::FileStore;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tempfile::TempDir;

struct Hall {
    dir: TempDir,
    list: &'static str,
}

impl Hall {
    /// One run of a process of its own.
    async fn run(&self, now: Timestamp) -> Result<SourceReport> {
        let section = json!({"sources": [{"file": {"path": self.dir.path().join(self.list)}}]});
        let provider = Baremetal::build(serde_json::from_value(section)?, Default::default())?;
        let served = provider.sources().await?.sources;
        let lens = Lens { schema: Schema::ours(), selector: "".parse()? };
        let store = FileStore::new(self.dir.path().join("inventory.json"), lens);
        let no_brake = Policy { max_fraction: 1.0, floor: 1000 };
        let engine = Engine::new(Arc::new(provider), Arc::new(store), Style::default(), no_brake);
        let report = engine.once(&served, &RunOptions::default(), now, &Unwatched).await?;
        report.sources.into_iter().next().context("no source")
    }
}

async fn cut_anywhere(list: &'static str, text: &str) -> Result<()> {
    let hall = Hall { dir: tempfile::tempdir()?, list };
    let (path, inventory) = (hall.dir.path().join(list), hall.dir.path().join("inventory.json"));
    let begin = Timestamp::from_second(1_800_000_000)?;
    std::fs::write(&path, text)?;
    ensure!(hall.run(begin).await?.created == 3);
    let before = std::fs::read(&inventory)?;
    let later = begin + SignedDuration::from_hours(3);
    let mut believed = 0;
    for cut in 0..text.len() {
        std::fs::write(&path, &text.as_bytes()[..cut])?;
        let report = hall.run(later).await?;
        ensure!(report.gone + report.withheld == 0, "cut at byte {cut}: {report:?}");
        if report.result == RoundResult::Complete {
            believed += 1;
            ensure!(report.unchanged == 3, "cut at byte {cut}: {report:?}");
        } else {
            let error = report.error.unwrap_or_default();
            let place = if cut == 0 { "the file is empty" } else { "line " };
            ensure!(error.contains(&format!("{list}: {place}")), "cut at byte {cut}: {error}");
        }
        ensure!(
            std::fs::read(&inventory)? == before,
            "cut at byte {cut}: the inventory has changed"
        );
    }
    // Only white space after the end of the list may be missing.
    ensure!(believed <= 4, "{believed} cuts went unnoticed");
    std::fs::write(&path, text)?;
    ensure!(hall.run(later).await?.unchanged == 3);
    Ok(())
}

#[tokio::test]
async fn a_list_in_yaml_cut_at_any_byte_marks_nothing_and_names_the_place() -> Result<()> {
    let text = "machines:\n- {id: a, name: one}\n- id: b\n  tags: {team: web}\n- id: c\n...\n";
    cut_anywhere("hall.yaml", text).await
}

#[tokio::test]
async fn a_list_in_json_cut_at_any_byte_marks_nothing_and_names_the_place() -> Result<()> {
    let text = r#"{"machines": [{"id": "a", "name": "one"},
        {"id": "b", "tags": {"team": "web"}}, {"id": "c"}]}
"#;
    cut_anywhere("hall.json", text).await
}

#[tokio::test]
async fn a_list_in_csv_cut_at_any_byte_marks_nothing_and_names_the_place() -> Result<()> {
    cut_anywhere("hall.csv", "id,name,tag.team\na,one,\nb,,\"we\nb\"\nc,,\n...,,\n").await
}
