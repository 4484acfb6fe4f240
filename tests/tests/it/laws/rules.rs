//! What must be true after every round, whatever came before: the laws themselves, as one check over the store before
//! and after it.

use std::collections::{BTreeMap, BTreeSet};

use fetcher_core::brake::Policy;
use fetcher_core::machine::{Life, Source, Text};
use fetcher_core::report::{RoundResult, SourceReport};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::history::{HOUR, Play, Step, sources};

/// What others wrote, by Host: labels, annotations, the rest of spec, agent, unknown fields, foreign conditions.
fn foreign(objects: &BTreeMap<Text, Value>) -> BTreeMap<Text, Value> {
    let of = |object: &Value| {
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let theirs: Vec<Value> =
            conditions.into_iter().filter(|c| c["type"] != "Present").collect();
        json!([
            object["metadata"]["labels"]["theirs"],
            object["metadata"]["annotations"],
            object["spec"],
            object["status"]["agent"],
            object["status"]["future"],
            theirs,
            object["metadata"]["uid"],
        ])
    };
    objects.iter().map(|(name, object)| (name.clone(), of(object))).collect()
}

/// Plays the history and holds every law after every round.
pub(super) async fn hold(steps: Vec<Step>, policy: Policy) -> Result<(), TestCaseError> {
    let mut play = Play::new("env=prod", policy);
    play.store.edit("world-other", |object| {
        object["spec"] = json!({"source": {"name": "world-z", "provider": "world", "scope": "z"}, "machineID": "x"});
        object["status"]["state"] = json!("Running");
    });
    for step in &steps {
        play.turn(step);
        if matches!(step, Step::Round) {
            round(&mut play).await?;
        }
    }
    Ok(())
}

async fn round(play: &mut Play) -> Result<(), TestCaseError> {
    let before = play.store.objects();
    let (reports, writes) = play.once().await;
    let after = play.store.objects();
    for (name, theirs) in foreign(&before) {
        prop_assert_eq!(&foreign(&after)[&name], &theirs, "what others wrote survives: {}", name);
    }
    prop_assert_eq!(
        &before["world-other"],
        &after["world-other"],
        "another source's Host is untouched"
    );
    times(&before, &after)?;
    for (report, source) in reports.iter().zip(sources()) {
        if report.result == RoundResult::Failed {
            let touched = after
                .iter()
                .filter(|(name, o)| is_of(o, &source) && before.get(*name) != Some(o))
                .count();
            prop_assert_eq!(touched, 0, "an error writes nothing");
        }
        let clean = report.withheld + report.unconfirmed + report.failed == 0;
        if report.result == RoundResult::Complete && clean {
            listed_and_present(play, &source, &after)?;
        }
    }
    prop_assert!(
        writes <= reports.iter().map(|r| 2 * r.changes.len()).sum::<usize>(),
        "cost is what changed"
    );
    braked(play, &reports, &before)?;
    let (_, again) = play.once().await;
    prop_assert_eq!(again, 0, "a second round right after writes nothing");
    prop_assert_eq!(&play.store.objects(), &after);
    Ok(())
}

fn is_of(object: &Value, source: &Source) -> bool {
    object["spec"]["source"]["name"] == **source.name()
}

/// Present is what is listed, selected and not dead.
fn listed_and_present(
    play: &Play,
    source: &Source,
    after: &BTreeMap<Text, Value>,
) -> Result<(), TestCaseError> {
    let wanted: BTreeSet<String> = play.world.with(|truth| {
        let all = truth.machines.get(source.name()).into_iter().flat_map(BTreeMap::values);
        let wanted = all.filter(|m| {
            m.life == Life::Alive && &*m.tags["env"] == "prod" && !truth.hidden.contains(&m.id)
        });
        wanted.map(|machine| machine.id.to_string()).collect()
    });
    let ours = after
        .values()
        .filter(|object| is_of(object, source) && object["status"]["state"] != "Gone");
    let present: BTreeSet<String> =
        ours.map(|o| o["spec"]["machineID"].as_str().unwrap().to_owned()).collect();
    prop_assert_eq!(present, wanted);
    Ok(())
}

/// `firstSeen` for ever, `goneSince` for as long as it is gone.
fn times(
    before: &BTreeMap<Text, Value>,
    after: &BTreeMap<Text, Value>,
) -> Result<(), TestCaseError> {
    for (name, old) in before {
        let (old, new) = (&old["status"], &after[name]["status"]);
        if !old["firstSeen"].is_null() {
            prop_assert_eq!(&old["firstSeen"], &new["firstSeen"]);
        }
        if old["state"] == "Gone" && new["state"] == "Gone" {
            prop_assert_eq!(&old["goneSince"], &new["goneSince"]);
        }
        prop_assert_eq!(new["state"] == "Gone", !new["goneSince"].is_null());
        if old["state"] == "Gone" && new["state"] != "Gone" {
            prop_assert_eq!(
                &old["goneSince"],
                &new["lastGone"]["since"],
                "an absence is remembered on return"
            );
        }
    }
    Ok(())
}

/// In any sliding hour, marks without approval stay under the limit over what was present at its beginning.
fn braked(
    play: &mut Play,
    reports: &[SourceReport],
    before: &BTreeMap<Text, Value>,
) -> Result<(), TestCaseError> {
    let present: BTreeSet<Text> = before
        .iter()
        .filter(|(_, o)| o["status"]["state"] != "Gone")
        .map(|(name, _)| name.clone())
        .collect();
    play.presence.push((play.now, present));
    for report in reports {
        let counted = report
            .changes
            .iter()
            .filter(|c| c.verb == "gone" && !c.withheld && c.reason != "Terminated");
        play.marks.extend(counted.map(|change| (play.now, change.host.clone())));
    }
    play.presence.push((play.now, play.present()));
    let then = play.now - HOUR;
    let lately = play.marks.iter().filter(|(time, _)| *time > then);
    let lately: BTreeSet<&str> = lately.map(|(_, host)| host.as_str()).collect();
    // All that was present at any time of the hour bounds every limit that may have been in force.
    let most = play.presence.iter().filter(|(time, _)| *time >= then);
    let most: BTreeSet<&str> = most.flat_map(|(_, hosts)| hosts).map(|host| &**host).collect();
    for source in sources() {
        let of = |hosts: &BTreeSet<&str>| {
            let prefix = format!("world-{}", source.scope());
            hosts.iter().filter(|host| host.starts_with(&prefix)).count()
        };
        let (marked, limit) = (of(&lately), play.policy.limit(of(&most)));
        prop_assert!(marked <= limit, "{} marks within an hour, {} may be", marked, limit);
    }
    let limit = play.policy.limit_of_all(most.len());
    prop_assert!(lately.len() <= limit, "{} marks within an hour, {} may be", lately.len(), limit);
    Ok(())
}
