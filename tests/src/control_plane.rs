//! The servers of one control plane, as the binary `plane` runs them: etcd, kube-apiserver and, on request,
//! kube-controller-manager, started, saved and restored by the scripts of `deploy/control-plane`, which read the flags
//! from the units there. Tests use `plane.rs`.
//!
//! Also the wire between the two: `Command` (one JSON line each, on standard input) and `About` (the first answer).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::process::{Child, Command as Program};
use tokio::time::timeout;

use crate::pki::{Authority, Identity, Validity};
use crate::poll::poll_until;
use crate::{kubeconfig, pki, ports, programs};

/// Slow machines build beside the tests.
const READY: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(30);

/// What may be asked of a running control plane.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    /// SIGKILL to the apiserver.
    KillApiserver,
    /// SIGTERM to the apiserver, and wait.
    StopApiserver,
    /// Starts the apiserver again, on the same port and data, and waits until it is ready.
    StartApiserver,
    /// Starts kube-controller-manager.
    StartControllerManager,
    /// Saves a snapshot of etcd.
    Snapshot {
        /// The file to write.
        path: PathBuf,
    },
    /// Stops apiserver and etcd, restores etcd from the snapshot, starts etcd; not the apiserver.
    Restore {
        /// A file that `Snapshot` wrote.
        path: PathBuf,
        /// With `--bump-revision 1000000000 --mark-compacted`, as `deploy/control-plane/README.md` says.
        bump: bool,
    },
}

/// What a control plane says about itself once it is ready.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct About {
    /// The apiserver, `https://127.0.0.1:…`.
    pub url: String,
    /// Certificates and keys, with the names that `deploy/control-plane/README.md` lists.
    pub pki: PathBuf,
    /// A kubeconfig of the administrator.
    pub kubeconfig: PathBuf,
    /// The apiserver's audit log, one JSON document a line.
    pub audit_log: PathBuf,
    /// etcd, `https://127.0.0.1:…`.
    pub etcd: String,
    /// The processes, by name.
    pub pids: BTreeMap<String, u32>,
}

/// A running control plane; what it started ends when this is dropped.
pub struct ControlPlane {
    dir: TempDir,
    values: BTreeMap<&'static str, String>,
    client: reqwest::Client,
    etcd: Option<Child>,
    apiserver: Option<Child>,
    controller_manager: Option<Child>,
}

impl ControlPlane {
    /// Makes certificates, takes free ports, starts etcd and the apiserver and waits until they are ready.
    ///
    /// # Errors
    /// A program is missing or ended; the message holds the end of its log.
    pub async fn start() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("fleet-plane-").tempdir()?;
        let pki = dir.path().join("pki");
        let values = values(dir.path(), &pki)?;
        configure(Path::new(&values["FLEET_CONFIG"]), &values)?;
        let client = certificates(&pki, &format!("https://127.0.0.1:{}", values["FLEET_PORT"]))?;
        let mut plane =
            Self { dir, values, client, etcd: None, apiserver: None, controller_manager: None };
        plane.start_etcd()?;
        plane.start_apiserver().await?;
        Ok(plane)
    }

    /// What a test needs to know to use it.
    #[must_use]
    pub fn about(&self) -> About {
        let children = [
            ("etcd", &self.etcd),
            ("kube-apiserver", &self.apiserver),
            ("kube-controller-manager", &self.controller_manager),
        ];
        let pid =
            |(name, child): (&str, &Option<Child>)| Some((name.to_owned(), child.as_ref()?.id()?));
        About {
            url: self.url(),
            pki: self.pki(),
            kubeconfig: self.pki().join("admin.kubeconfig"),
            audit_log: self.values["FLEET_AUDIT_LOG"].clone().into(),
            etcd: format!("https://{}", self.values["FLEET_ETCD"]),
            pids: children.into_iter().filter_map(pid).collect(),
        }
    }

    /// Does what is asked.
    ///
    /// # Errors
    /// It could not be done.
    pub async fn obey(&mut self, command: Command) -> Result<()> {
        match command {
            Command::KillApiserver => end(self.apiserver.take(), Signal::KILL).await,
            Command::StopApiserver => end(self.apiserver.take(), Signal::TERM).await,
            Command::StartApiserver => self.start_apiserver().await,
            Command::StartControllerManager => self.start_controller_manager(),
            Command::Snapshot { path } => self.snapshot(&path).await,
            Command::Restore { path, bump } => self.restore(&path, bump).await,
        }
    }

    /// Ends everything, in order; the folder goes too.
    ///
    /// # Errors
    /// A process would not end even by SIGKILL.
    pub async fn stop(mut self) -> Result<()> {
        end(self.controller_manager.take(), Signal::TERM).await?;
        // Nothing of it is kept: no need to wait for an orderly end.
        end(self.apiserver.take(), Signal::KILL).await?;
        end(self.etcd.take(), Signal::KILL).await
    }

    fn start_etcd(&mut self) -> Result<()> {
        self.etcd = Some(self.spawn("etcd")?);
        Ok(())
    }

    async fn start_apiserver(&mut self) -> Result<()> {
        ensure!(self.apiserver.is_none(), "the apiserver runs already");
        self.apiserver = Some(self.spawn("kube-apiserver")?);
        let (url, client) = (format!("{}/readyz", self.url()), self.client.clone());
        let (etcd, apiserver) = (&mut self.etcd, &mut self.apiserver);
        let dir = self.dir.path();
        poll_until("the apiserver is ready", READY, async || {
            alive(dir, "etcd", etcd)?;
            alive(dir, "kube-apiserver", apiserver)?;
            let answer = client.get(&url).send().await;
            Ok(answer.is_ok_and(|a| a.status().is_success()).then_some(()))
        })
        .await
    }

    fn start_controller_manager(&mut self) -> Result<()> {
        ensure!(self.controller_manager.is_none(), "the controller manager runs already");
        self.controller_manager = Some(self.spawn("kube-controller-manager")?);
        Ok(())
    }

    async fn snapshot(&self, path: &Path) -> Result<()> {
        self.script("backup.sh", "etcdctl", path).await
    }

    async fn restore(&mut self, path: &Path, bump: bool) -> Result<()> {
        end(self.apiserver.take(), Signal::TERM).await?;
        end(self.etcd.take(), Signal::TERM).await?;
        if bump {
            self.script("restore.sh", "etcdutl", path).await?;
        } else {
            self.restore_without_bump(path).await?;
        }
        self.start_etcd()
    }

    /// What nobody should do, and `restore.sh` therefore cannot.
    async fn restore_without_bump(&self, path: &Path) -> Result<()> {
        let data = PathBuf::from(&self.values["FLEET_ETCD_DATA"]);
        fs::remove_dir_all(&data).with_context(|| data.display().to_string())?;
        let peer = format!("https://{}", self.values["FLEET_ETCD_PEER"]);
        let etcdutl = Program::new(programs::control_plane("etcdutl")?)
            .args(["snapshot", "restore"])
            .arg(path)
            .arg("--data-dir")
            .arg(&data)
            .args(["--name=fleet", &format!("--initial-cluster=fleet={peer}")])
            .arg(format!("--initial-advertise-peer-urls={peer}"))
            .output();
        succeeded("etcdutl snapshot restore", &etcdutl.await?)
    }

    /// Runs a script of `deploy/control-plane` that works on `file` with `tool`.
    async fn script(&self, script: &str, tool: &str, file: &Path) -> Result<()> {
        let mut run = self.shell(script, tool)?;
        succeeded(script, &run.arg(file).arg(&self.values["FLEET_CONFIG"]).output().await?)
    }

    /// A script of `deploy/control-plane` that finds the test bed's `tool` on its PATH.
    fn shell(&self, script: &str, tool: &str) -> Result<Program> {
        let tool = programs::control_plane(tool)?;
        let folder = tool.parent().context("a program has no folder")?.to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([folder].into_iter().chain(std::env::split_paths(&path)))?;
        let mut shell = Program::new("bash");
        shell.arg(programs::checkout(&format!("deploy/control-plane/{script}"))).env("PATH", path);
        Ok(shell)
    }

    /// Starts a server as its unit would; what it prints goes to `<name>.log`.
    fn spawn(&self, name: &str) -> Result<Child> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join(format!("{name}.log")))?;
        // A process group of its own: Ctrl-C ends the test, and that ends this in order.
        self.shell("start.sh", name)?
            .args([name, self.values["FLEET_CONFIG"].as_str()])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("could not start {name}"))
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.values["FLEET_PORT"])
    }

    fn pki(&self) -> PathBuf {
        self.values["FLEET_PKI"].clone().into()
    }
}

/// What stands for the variables of `deploy/control-plane/control-plane.env` here.
fn values(dir: &Path, pki: &Path) -> Result<BTreeMap<&'static str, String>> {
    let text = |path: PathBuf| path.display().to_string();
    Ok(BTreeMap::from([
        ("FLEET_ADDRESS", "127.0.0.1".to_owned()),
        ("FLEET_BIND", "127.0.0.1".to_owned()),
        ("FLEET_PORT", ports::free()?.to_string()),
        ("FLEET_CONFIG", text(dir.join("etc"))),
        ("FLEET_PKI", text(pki.into())),
        ("FLEET_ETCD", format!("127.0.0.1:{}", ports::free()?)),
        ("FLEET_ETCD_PEER", format!("127.0.0.1:{}", ports::free()?)),
        ("FLEET_ETCD_DATA", text(dir.join("etcd"))),
        ("FLEET_AUDIT_LOG", text(dir.join("audit.log"))),
        // One file for the whole run: the audit is read by position.
        ("FLEET_AUDIT_MEGABYTES", "100000".to_owned()),
    ]))
}

/// Fills what is `/etc/fleet-control-plane` elsewhere.
fn configure(folder: &Path, values: &BTreeMap<&str, String>) -> Result<()> {
    fs::create_dir(folder)?;
    let lines: String = values.iter().map(|(name, value)| format!("{name}='{value}'\n")).collect();
    fs::write(folder.join("control-plane.env"), lines)?;
    // No limit: some tests hold more than the inventory that the shipped one is for.
    fs::write(folder.join("kube-apiserver.env"), "")?;
    let policy = programs::checkout("deploy/control-plane/audit-policy.yaml");
    fs::copy(policy, folder.join("audit-policy.yaml"))?;
    Ok(())
}

/// Makes every file of `FLEET_PKI`; the client is the administrator's.
fn certificates(pki: &Path, server: &str) -> Result<reqwest::Client> {
    fs::create_dir(pki)?;
    let (ca, etcd_ca) = (Authority::create(pki, "ca")?, Authority::create(pki, "etcd-ca")?);
    ca.server(pki, "apiserver")?;
    etcd_ca.server(pki, "etcd")?;
    etcd_ca.client(
        Identity::named(pki, "apiserver-etcd"),
        "kube-apiserver-etcd",
        None,
        Validity::Day,
    )?;
    pki::service_account_key(pki)?;
    for (file, user, group) in [
        ("admin", "admin", Some("system:masters")),
        ("controller-manager", "system:kube-controller-manager", None),
    ] {
        let identity = ca.client(Identity::named(pki, file), user, group, Validity::Day)?;
        kubeconfig::write(
            pki.join(format!("{file}.kubeconfig")),
            server,
            &ca.certificate,
            &identity,
            "default",
        )?;
    }
    let admin = Identity::named(pki, "admin");
    let pem = [fs::read(&admin.certificate)?, fs::read(&admin.key)?].concat();
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&fs::read(&ca.certificate)?)?])
        .identity(reqwest::Identity::from_pem(&pem)?)
        .timeout(Duration::from_secs(5))
        .no_proxy();
    Ok(client.build()?)
}

fn alive(dir: &Path, name: &str, child: &mut Option<Child>) -> Result<()> {
    let Some(child) = child else { bail!("{name} is not running") };
    let Some(status) = child.try_wait()? else { return Ok(()) };
    let log = fs::read_to_string(dir.join(format!("{name}.log"))).unwrap_or_default();
    let last: Vec<&str> = log.lines().rev().take(15).collect();
    bail!("{name} ended with {status}:\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"))
}

async fn end(child: Option<Child>, signal: Signal) -> Result<()> {
    let Some(mut child) = child else { return Ok(()) };
    if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
        kill_process(pid, signal)?;
    }
    if timeout(STOP, child.wait()).await.is_err() {
        child.kill().await?;
    }
    Ok(())
}

fn succeeded(what: &str, run: &Output) -> Result<()> {
    ensure!(run.status.success(), "{what} failed: {}", String::from_utf8_lossy(&run.stderr));
    Ok(())
}
