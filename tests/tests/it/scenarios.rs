//! Scenarios as transcripts: what somebody does (`> …`), and what the fetcher then says and the inventory holds. Text in,
//! text out, played on the store in memory and on a file, with the same outcome.
//!
//! `UPDATE_SCENARIOS=1 cargo test … scenarios` writes the transcripts anew; then read what has changed in them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use fetcher_tests::programs;

use self::script::Scene;
use self::stage::{InFile, InMemory, Stage};

mod script;
mod stage;

fn folder() -> PathBuf {
    programs::checkout("tests/scenarios")
}

/// The scenario with what was said written under each step anew.
async fn play<S: Stage>(text: &str, stage: S) -> Result<String> {
    let mut scene = Scene::new(stage);
    let mut transcript = String::new();
    for line in text.lines().filter(|line| line.is_empty() || line.starts_with(['#', '>'])) {
        transcript += line;
        transcript.push('\n');
        if let Some(step) = line.strip_prefix("> ") {
            let said = scene.step(step).await.with_context(|| step.to_owned())?;
            transcript += &said.lines().map(|line| format!("  {line}\n")).collect::<String>();
        }
    }
    Ok(transcript)
}

async fn scenario(name: &str) -> Result<()> {
    let path = folder().join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let transcript = play(&text, InMemory::default()).await?;
    if std::env::var_os("UPDATE_SCENARIOS").is_some() {
        std::fs::write(&path, &transcript)?;
    } else {
        ensure!(transcript == text, "{}", first_difference(&text, &transcript));
    }
    let in_file = play(&text, InFile::new()?).await?;
    ensure!(
        in_file == transcript,
        "in a file it ends otherwise: {}",
        first_difference(&transcript, &in_file)
    );
    Ok(())
}

fn first_difference(expected: &str, found: &str) -> String {
    let (mut expected, mut found) = (expected.lines(), found.lines());
    for number in 1.. {
        let pair = (expected.next(), found.next());
        if pair.0 != pair.1 {
            return format!(
                "line {number}: expected {:?}, found {:?}; UPDATE_SCENARIOS=1 writes what is found",
                pair.0.unwrap_or("the end"),
                pair.1.unwrap_or("the end")
            );
        }
        if pair == (None, None) {
            break;
        }
    }
    "nothing differs".to_owned()
}

macro_rules! scenarios {
    ($($name:ident)*) => {
        $(#[tokio::test]
        async fn $name() -> Result<()> {
            scenario(stringify!($name)).await
        })*

        const ALL: &[&str] = &[$(stringify!($name)),*];
    };
}

scenarios! {
    a_machine_comes_changes_goes_and_returns
    the_evidence_of_a_mark
    the_brake_withholds_and_a_person_approves
    a_plan_that_is_used_twice
    a_slow_leak_is_stopped_within_the_hour
    half_of_a_listing_is_missing
    an_error_is_no_absence
    a_lookup_that_contradicts_or_fails
    other_peoples_fields_stay
    a_name_that_another_source_owns
    what_is_being_deleted_or_unreadable_is_left_alone
    somebody_rewrites_a_host_again_and_again
    a_store_that_does_not_keep_what_it_was_sent
    what_is_longer_than_a_host_holds
    a_host_that_the_store_never_answers_for
    a_source_that_is_no_longer_configured
    a_selector_that_was_edited
    a_crash_between_two_requests
    rights_that_were_narrowed
}

#[test]
fn every_transcript_is_played() -> Result<()> {
    let files = std::fs::read_dir(folder())?.map(|file| Ok(file?.path()));
    let files: Vec<PathBuf> = files.collect::<Result<_>>()?;
    let names = files.iter().filter_map(|path| path.file_stem()?.to_str());
    assert_eq!(names.collect::<BTreeSet<_>>(), ALL.iter().copied().collect());
    Ok(())
}
