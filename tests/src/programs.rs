//! Where the programs are that the tests start: those of the control plane and the provider servers, which the
//! scripts in `tests/setup` find or build, and the workspace's own, which cargo has put beside the test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};

/// A file of the checkout, by its path from the root.
#[must_use]
pub fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A program of the control plane: `etcd`, `etcdctl`, `etcdutl`, `kube-apiserver`, `kube-controller-manager`, `kubectl`.
///
/// # Errors
/// `tests/setup/control-plane.sh` failed; its own message is on standard error.
pub fn control_plane(name: &str) -> Result<PathBuf> {
    static FOUND: OnceLock<Result<BTreeMap<String, PathBuf>, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let lines = setup(&["control-plane.sh"]).map_err(|e| format!("{e:#}"))?;
        Ok(lines
            .lines()
            .filter_map(|l| l.split_once('='))
            .map(|(n, p)| (n.to_owned(), p.into()))
            .collect())
    });
    let found = found.as_ref().map_err(|e| anyhow!(e.clone()))?;
    found
        .get(name)
        .cloned()
        .with_context(|| format!("tests/setup/control-plane.sh knows no {name}"))
}

/// `promtool` or `prometheus`.
///
/// # Errors
/// `tests/setup/prometheus.sh` failed; its own message is on standard error.
pub fn prometheus(name: &str) -> Result<PathBuf> {
    Ok(Path::new(setup(&["prometheus.sh"])?.trim()).join(name))
}

/// A program in the virtual environment that is made from `tests/requirements/<environment>.txt`.
///
/// # Errors
/// `tests/setup/python.sh` failed; its own message is on standard error.
pub fn python(environment: &str, program: &str) -> Result<PathBuf> {
    let venv = setup(&["python.sh", environment])?;
    let program = Path::new(venv.trim()).join("bin").join(program);
    ensure!(program.exists(), "{} is not there", program.display());
    Ok(program)
}

/// A binary of this workspace, in cargo's target folder: beside this program, or above it when it is a test.
///
/// # Errors
/// It has not been built: `cargo test` builds no other package's binaries, `tests/run.sh` does.
pub fn workspace(name: &str) -> Result<PathBuf> {
    let this = std::env::current_exe().context("where this program is")?;
    let found = this
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.with_context(|| {
        format!("{name} has not been built: run tests/run.sh, or cargo build --workspace --bins")
    })
}

fn setup(command: &[&str]) -> Result<String> {
    let script = checkout("tests/setup").join(command[0]);
    let run = Command::new("bash")
        .arg(&script)
        .args(&command[1..])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    let run = run.with_context(|| format!("bash {}", script.display()))?;
    ensure!(run.status.success(), "{} failed, see above", script.display());
    String::from_utf8(run.stdout).context("the output of a setup script")
}
