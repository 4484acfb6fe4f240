//! The whole story, by the script that tells it: `tests/story.sh`; and what else of `deploy/control-plane` is a script.

use std::time::Duration;

use anyhow::{Context, Result};
use fetcher_tests::leash::{Ended, Invocation, Leashed};
use fetcher_tests::plane::Plane;
use fetcher_tests::programs;
use tokio::process::Command;

const LONG: Duration = Duration::from_secs(400);

#[tokio::test]
async fn the_whole_story_goes_well_by_its_script() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let text = |path: std::path::PathBuf| path.display().to_string();
    let mut environment =
        vec![("FETCHER".to_owned(), text(programs::workspace("fetcher-baremetal")?))];
    // Where the programs of the control plane are found.
    for name in ["HOME", "FETCHER_CACHE", "XDG_CACHE_HOME", "KUBEBUILDER_ASSETS"] {
        environment.extend(std::env::var(name).map(|value| (name.to_owned(), value)));
    }
    environment.push(("TMPDIR".to_owned(), text(folder.path().into())));
    let mut story = Leashed::start(&Invocation {
        program: "bash".into(),
        arguments: vec![text(programs::checkout("tests/story.sh"))],
        environment,
        dir: folder.path().into(),
    })
    .await?;
    let ended = story.ended(LONG).await?;
    let told = story.stdout();
    assert_eq!(ended, Ended { code: Some(0), signal: None }, "{told}{}", story.stderr());
    for chapter in ["joins", "as a daemon", "comes back", "renewed", "down again"] {
        assert!(told.contains(chapter), "{chapter}:\n{told}");
    }
    let left: Vec<_> = std::fs::read_dir(folder.path())?.collect();
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}

/// How a script of `deploy/control-plane` ends, and its standard error.
async fn script(name: &str, arguments: &[&str]) -> Result<(bool, String)> {
    let script = programs::checkout("deploy/control-plane").join(name);
    let run = Command::new("bash").arg(script).args(arguments).output().await?;
    Ok((run.status.success(), String::from_utf8(run.stderr)?))
}

#[tokio::test]
async fn a_restore_is_refused_while_an_apiserver_answers() -> Result<()> {
    let plane = Plane::shared().await?;
    let settings = plane.about().pki.parent().context("no parent")?.join("etc");
    let (done, said) =
        script("restore.sh", &["/dev/null", &settings.display().to_string()]).await?;
    assert!(!done && said.contains("an apiserver answers"), "{said}");
    plane.kubectl().run(&["get", "namespaces"]).await?.ok()?;
    Ok(())
}

#[tokio::test]
async fn a_unit_whose_variable_has_no_value_does_not_start_and_says_which() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("control-plane.env"), "FLEET_ETCD_DATA=/nowhere\n")?;
    let (done, said) = script("start.sh", &["etcd", &folder.path().display().to_string()]).await?;
    assert!(!done && said.contains("${FLEET_ETCD} in --listen-client-urls"), "{said}");
    Ok(())
}

#[tokio::test]
async fn certificates_are_made_once_and_again_when_they_are_about_to_end() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join("pki").join(name);
    let settings =
        std::fs::read_to_string(programs::checkout("deploy/control-plane/control-plane.env"))?;
    let pki = path("");
    std::fs::write(
        folder.path().join("control-plane.env"),
        format!("{settings}FLEET_PKI={}\n", pki.display()),
    )?;
    let argument = folder.path().display().to_string();
    let read = |name: &str| std::fs::read(path(name));
    let (done, said) = script("certificates.sh", &[&argument]).await?;
    assert!(done && said.contains("Made the authority ca\n"), "{said}");
    let (authority, server, admin) =
        (read("ca.crt")?, read("apiserver.crt")?, read("admin.kubeconfig")?);
    assert_eq!(script("certificates.sh", &[&argument]).await?, (true, String::new()));
    // One that lasts an hour takes the place of the server's.
    let short = fetcher_tests::pki::Authority::open(&pki, "ca")?;
    let short = short.client(
        fetcher_tests::pki::Identity::named(folder.path(), "short"),
        "short",
        None,
        fetcher_tests::pki::Validity::For(Duration::from_secs(3600)),
    )?;
    std::fs::copy(&short.certificate, path("apiserver.crt"))?;
    std::fs::copy(&short.certificate, path("admin.crt"))?;
    assert_eq!(
        script("certificates.sh", &[&argument]).await?,
        (true, "Made apiserver\nMade admin\n".to_owned())
    );
    assert_ne!((read("apiserver.crt")?, read("admin.kubeconfig")?), (server, admin));
    assert_eq!(read("ca.crt")?, authority);
    Ok(())
}

#[tokio::test]
async fn systemd_finds_nothing_wrong_with_the_units() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut units = 0;
    for from in ["deploy/control-plane", "deploy/certificates"] {
        for entry in std::fs::read_dir(programs::checkout(from))? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).context("no name")?;
            let Some((_, "service" | "timer")) = name.rsplit_once('.') else { continue };
            // Their programs are not installed here.
            let text: String = std::fs::read_to_string(&path)?
                .lines()
                .map(|line| match line.split_once(' ') {
                    Some((start, rest)) if start.starts_with("ExecStart=/usr/local/") => {
                        format!("ExecStart=/bin/true {rest}\n")
                    }
                    _ => format!("{line}\n"),
                })
                .collect();
            std::fs::write(folder.path().join(name.replace('@', "@baremetal")), text)?;
            units += 1;
        }
    }
    assert_eq!(units, 7);
    for entry in std::fs::read_dir(folder.path())? {
        let unit = entry?.path();
        let run = Command::new("systemd-analyze")
            .args(["verify", "--recursive-errors=no"])
            .arg(&unit)
            .output()
            .await
            .context("systemd-analyze is missing: install it with 'apt-get install systemd'")?;
        let said = [run.stdout, run.stderr].concat();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&said));
    }
    Ok(())
}
