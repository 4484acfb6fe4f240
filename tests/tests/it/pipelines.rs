//! `deploy/ci`: the lines that the examples run, run as the two forges would run them, with the built binary.

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result};
use fetcher_tests::programs::{checkout, workspace};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

/// A checkout of the repository that an example belongs to, with a list of machines in the place of a provider.
struct Repository {
    dir: TempDir,
    variables: BTreeMap<&'static str, String>,
}

/// How a step ended, what it printed and what it left.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    said: String,
    shown: String,
}

impl Repository {
    fn new(machines: usize) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let fetcher = workspace("fetcher-baremetal")?.display().to_string();
        let variables = [("FETCHER", fetcher), ("FETCHER_CONFIG", "fetcher.yaml".to_owned())];
        let config = "schedule: every 60s\nbaremetal: {sources: [{file: {name: hall, path: machines.yaml}}]}\n";
        fs::write(dir.path().join("fetcher.yaml"), config)?;
        let repository = Self { dir, variables: variables.into() };
        repository.list(machines)?;
        Ok(repository)
    }

    fn list(&self, machines: usize) -> Result<()> {
        let lines: String =
            (0..machines).map(|n| format!("- {{id: m{n}, name: host{n}}}\n")).collect();
        Ok(fs::write(self.dir.path().join("machines.yaml"), format!("machines:\n{lines}...\n"))?)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap_or_default()
    }

    /// Runs the lines of a step with more variables; `shown` is what the file of this name holds then.
    async fn run(&self, script: &str, more: &[(&str, &str)], shown: &str) -> Result<Ran> {
        for file in ["summary", "output"] {
            fs::write(self.dir.path().join(file), "")?;
        }
        let mut bash = Command::new("bash");
        bash.args(["-eo", "pipefail", "-c", script]).env_clear().current_dir(self.dir.path());
        bash.envs(std::env::var_os("PATH").map(|path| ("PATH", path))).envs(&self.variables);
        bash.env("GITHUB_STEP_SUMMARY", "summary")
            .env("GITHUB_OUTPUT", "output")
            .envs(more.iter().copied());
        let ran = bash.stdin(Stdio::null()).kill_on_drop(true).output().await.context("bash")?;
        let said = [ran.stdout, ran.stderr].concat();
        Ok(Ran { code: ran.status.code(), said: String::from_utf8(said)?, shown: self.read(shown) })
    }
}

fn example(name: &str) -> Result<Value> {
    let text = fs::read_to_string(checkout("deploy/ci").join(name))?;
    serde_saphyr::from_str(&text).with_context(|| name.to_owned())
}

/// The lines of the step of this name.
fn github(job: &str, step: &str) -> Result<String> {
    let example = example("github-actions.yaml")?;
    let steps = example["jobs"][job]["steps"].as_array().context("no steps")?;
    let step = steps.iter().find(|one| one["name"] == step).with_context(|| step.to_owned())?;
    Ok(step["run"].as_str().context("runs nothing")?.to_owned())
}

/// The lines of this job.
fn gitlab(job: &str) -> Result<String> {
    let script: Vec<String> =
        serde_json::from_value(example("gitlab-ci.yaml")?[job]["script"].clone())?;
    Ok(script.join("\n"))
}

fn checksum(shown: &str) -> Result<&str> {
    let after = shown.split_once("--approve ").with_context(|| format!("no checksum: {shown}"))?.1;
    after.split_whitespace().next().context("no checksum")
}

#[tokio::test]
async fn github_shows_the_plan_of_a_pull_request_and_carries_it_out_on_main() -> Result<()> {
    let repository = Repository::new(100)?;
    let (plan, apply) = (github("plan", "Plan")?, github("apply", "Apply")?);
    let pending = repository.run(&plan, &[], "plan.md").await?;
    assert!(
        pending.code == Some(0) && pending.shown.contains("100 Hosts would change"),
        "{pending:?}"
    );
    assert_eq!(
        (repository.read("output").as_str(), repository.read("summary")),
        ("code=4\n", pending.shown)
    );

    let nothing = [("FETCHER_APPROVE", "")];
    let done = repository.run(&apply, &nothing, "summary").await?;
    assert!(done.code == Some(0) && done.shown.contains("100 Hosts changed"), "{done:?}");
    let same = repository.run(&plan, &[], "output").await?;
    assert_eq!((same.code, same.shown.as_str()), (Some(0), "code=0\n"), "{same:?}");
    Ok(())
}

#[tokio::test]
async fn github_warns_of_withheld_marks_and_lets_them_pass_with_the_checksum() -> Result<()> {
    let repository = Repository::new(100)?;
    let (plan, apply) = (github("plan", "Plan")?, github("apply", "Apply")?);
    repository.run(&apply, &[], "summary").await?;
    repository.list(40)?;
    let planned = repository.run(&plan, &[], "plan.md").await?;
    assert!(planned.code == Some(0) && planned.said.contains("::warning::"), "{planned:?}");
    assert_eq!(repository.read("output"), "code=3\n");
    let held = repository.run(&apply, &[("FETCHER_APPROVE", "")], "summary").await?;
    assert!(held.code == Some(3) && held.said.contains("start this workflow by hand"), "{held:?}");
    assert_eq!(checksum(&held.shown)?, checksum(&planned.shown)?);
    let wrong = repository.run(&apply, &[("FETCHER_APPROVE", "000000000000")], "summary").await?;
    assert!(wrong.code == Some(2) && wrong.said.contains("matches nothing"), "{wrong:?}");
    let passed = [("FETCHER_APPROVE", checksum(&held.shown)?)];
    let passed = repository.run(&apply, &passed, "summary").await?;
    assert!(passed.code == Some(0) && passed.shown.contains("60 Hosts changed"), "{passed:?}");
    Ok(())
}

#[tokio::test]
async fn github_fails_when_a_source_or_the_configuration_does() -> Result<()> {
    let repository = Repository::new(3)?;
    let (plan, apply) = (github("plan", "Plan")?, github("apply", "Apply")?);
    fs::remove_file(repository.dir.path().join("machines.yaml"))?;
    for step in [&plan, &apply] {
        let ran = repository.run(step, &[], "summary").await?;
        assert!(ran.code == Some(1) && ran.said.contains("::error::"), "{ran:?}");
        assert!(ran.shown.contains("**failed**"), "{ran:?}");
    }
    fs::write(repository.dir.path().join("fetcher.yaml"), "schedul: every 60s\n")?;
    for step in [&plan, &apply] {
        let ran = repository.run(step, &[], "summary").await?;
        assert!(
            ran.code == Some(2) && ran.said.contains("::error::") && ran.said.contains("schedul"),
            "{ran:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn gitlab_shows_the_plan_of_a_merge_request_and_carries_it_out_on_the_default_branch()
-> Result<()> {
    let repository = Repository::new(100)?;
    let pending = repository.run(&gitlab("plan")?, &[], "plan.md").await?;
    assert!(
        pending.code == Some(4) && pending.shown.contains("100 Hosts would change"),
        "{pending:?}"
    );
    let allowed = &example("gitlab-ci.yaml")?["plan"]["allow_failure"]["exit_codes"];
    assert_eq!(*allowed, serde_json::json!([3, 4]), "pending and withheld are no red pipeline");
    let done = repository.run(&gitlab("apply")?, &[], "run.md").await?;
    assert!(done.code == Some(0) && done.shown.contains("100 Hosts changed"), "{done:?}");
    assert_eq!(repository.run(&gitlab("plan")?, &[], "plan.md").await?.code, Some(0));
    Ok(())
}

#[tokio::test]
async fn gitlab_lets_withheld_marks_pass_by_hand_alone() -> Result<()> {
    let repository = Repository::new(100)?;
    let [plan, apply, approve] = ["plan", "apply", "approve"].map(gitlab);
    let (plan, apply, approve) = (plan?, apply?, approve?);
    repository.run(&apply, &[], "run.md").await?;
    repository.list(40)?;
    let planned = repository.run(&plan, &[], "plan.md").await?;
    let held = repository.run(&apply, &[], "run.md").await?;
    assert_eq!((planned.code, held.code), (Some(3), Some(3)), "{planned:?} {held:?}");
    let without = repository.run(&approve, &[], "run.md").await?;
    assert!(without.code != Some(0) && without.said.contains("CHECKSUM"), "{without:?}");
    let passed = [("CHECKSUM", checksum(&planned.shown)?)];
    let passed = repository.run(&approve, &passed, "run.md").await?;
    assert!(passed.code == Some(0) && passed.said.contains("60 Hosts changed"), "{passed:?}");
    fs::remove_file(repository.dir.path().join("machines.yaml"))?;
    let failed = repository.run(&apply, &[], "run.md").await?;
    assert_eq!(failed.code, Some(1), "{failed:?}");
    Ok(())
}
