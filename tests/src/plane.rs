//! A control plane as a test sees it: one shared by the whole test binary, or one of a test's own that it may kill,
//! restart and restore. The servers run under the binary `plane`, which ends them when this process ends.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command as Program, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::{Client, Config};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard, OnceCell};

use crate::control_plane::{About, Command};
use crate::kubectl::Kubectl;
use crate::pki::{Authority, Identity, Validity};
use crate::poll::poll_until;
use crate::programs;

/// A running control plane with the CRD and the roles of `deploy/` in it.
#[derive(Clone)]
pub struct Plane {
    about: About,
    running: Arc<Mutex<Running>>,
}

/// The process `plane` and the pipes to it; its standard input closes with this process.
struct Running {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// A plane that one test has for itself. They run one at a time: each is several hundred megabytes.
pub struct OwnPlane {
    plane: Plane,
    _turn: MutexGuard<'static, ()>,
}

impl std::ops::Deref for OwnPlane {
    type Target = Plane;
    fn deref(&self) -> &Plane {
        &self.plane
    }
}

impl Plane {
    /// The one that all tests of this process share: do not kill, restart or restore it.
    ///
    /// # Errors
    /// It could not be started.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Plane> = OnceCell::const_new();
        SHARED.get_or_try_init(Self::start).await
    }

    /// A fresh one; waits until the previous one is gone.
    ///
    /// # Errors
    /// It could not be started.
    pub async fn own() -> Result<OwnPlane> {
        static TURN: AsyncMutex<()> = AsyncMutex::const_new(());
        let turn = TURN.lock().await;
        Ok(OwnPlane { plane: Self::start().await?, _turn: turn })
    }

    /// The apiserver's address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.about.url
    }

    /// What the control plane said about itself when it was started.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The certificate of the authority that signed the apiserver and signs clients.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.about.pki.join("ca.crt")
    }

    /// The administrator (O=system:masters).
    #[must_use]
    pub fn admin(&self) -> Identity {
        Identity::named(&self.about.pki, "admin")
    }

    /// kubectl as the administrator.
    #[must_use]
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(self.about.kubeconfig.clone())
    }

    /// Signs a client: `<name>.crt` and `<name>.key` in `folder`.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn mint(
        &self,
        folder: &Path,
        name: &str,
        user: &str,
        group: &str,
        valid: Validity,
    ) -> Result<Identity> {
        let files = Identity::named(folder, name);
        Authority::open(&self.about.pki, "ca")?.client(files, user, Some(group), valid)
    }

    /// A client; each test makes its own, because it belongs to the runtime it was made in.
    ///
    /// # Errors
    /// A file of the identity cannot be read.
    pub fn client(&self, user: &Identity, agent: &str) -> Result<Client> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut config = Config::new(self.url().parse()?);
        config.root_cert = Some(vec![reqwest_der(&self.ca())?]);
        config.root_cert_file = Some(self.ca());
        config.auth_info.client_certificate = Some(user.certificate.display().to_string());
        config.auth_info.client_key = Some(user.key.display().to_string());
        config.headers.push((http::header::USER_AGENT, agent.parse()?));
        Ok(Client::try_from(config)?)
    }

    /// SIGKILL to the apiserver.
    ///
    /// # Errors
    /// Like all commands: it could not be done, and why.
    pub async fn kill_apiserver(&self) -> Result<()> {
        self.command(Command::KillApiserver).await
    }

    /// SIGTERM to the apiserver.
    ///
    /// # Errors
    /// See `kill_apiserver`.
    pub async fn stop_apiserver(&self) -> Result<()> {
        self.command(Command::StopApiserver).await
    }

    /// Starts the apiserver again, on the same port and data; returns when it is ready.
    ///
    /// # Errors
    /// See `kill_apiserver`.
    pub async fn start_apiserver(&self) -> Result<()> {
        self.command(Command::StartApiserver).await
    }

    /// Starts kube-controller-manager.
    ///
    /// # Errors
    /// See `kill_apiserver`.
    pub async fn start_controller_manager(&self) -> Result<()> {
        self.command(Command::StartControllerManager).await
    }

    /// Saves a snapshot of etcd to `path`.
    ///
    /// # Errors
    /// See `kill_apiserver`.
    pub async fn snapshot(&self, path: &Path) -> Result<()> {
        self.command(Command::Snapshot { path: path.into() }).await
    }

    /// Restores etcd from a snapshot, with the apiserver stopped, and leaves the apiserver stopped.
    ///
    /// # Errors
    /// See `kill_apiserver`.
    pub async fn restore(&self, path: &Path, bump: bool) -> Result<()> {
        self.command(Command::Restore { path: path.into(), bump }).await
    }

    async fn start() -> Result<Self> {
        let running = tokio::task::spawn_blocking(Running::start).await?;
        let (running, about) = running.context("the control plane could not be started")?;
        let plane = Self { about, running: Arc::new(Mutex::new(running)) };
        plane.apply_deploy().await?;
        Ok(plane)
    }

    /// What whoever sets up an inventory applies first.
    async fn apply_deploy(&self) -> Result<()> {
        let kubectl = self.kubectl();
        for folder in ["deploy/crds", "deploy/rbac"] {
            let folder = programs::checkout(folder).display().to_string();
            kubectl.run(&["apply", "--server-side", "-f", &folder]).await?.ok()?;
        }
        let crd = "crd/hosts.inventory.fetcher.dev";
        kubectl.run(&["wait", "--for=condition=established", "--timeout=60s", crd]).await?.ok()?;
        // It describes a kind a moment after it serves it, and a fetcher needs both.
        let described = ["get", "--raw", "/openapi/v3/apis/inventory.fetcher.dev/v1"];
        poll_until("the apiserver describes Hosts", Duration::from_secs(120), async || {
            let said = kubectl.run(&described).await?;
            Ok((said.code == 0 && said.stdout.contains("machineID")).then_some(()))
        })
        .await
    }

    /// Blocking reads and writes, so beside the runtime: the shared plane outlives the runtime it was started in.
    async fn command(&self, command: Command) -> Result<()> {
        let running = Arc::clone(&self.running);
        tokio::task::spawn_blocking(move || {
            let mut running =
                running.lock().map_err(|_| anyhow::anyhow!("an earlier command panicked"))?;
            running.command(&command).with_context(|| format!("{command:?}"))
        })
        .await?
    }
}

impl Running {
    fn start() -> Result<(Self, About)> {
        let mut process = Program::new(programs::workspace("plane")?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("plane")?;
        let input = process.stdin.take();
        let output =
            process.stdout.take().map(BufReader::new).context("plane has no standard output")?;
        let mut running = Self { process, input, output };
        let about = running.answer()?;
        Ok((running, About::deserialize(about)?))
    }

    fn command(&mut self, command: &Command) -> Result<()> {
        let mut line = serde_json::to_string(command)?;
        line.push('\n');
        self.input.as_mut().context("plane has ended")?.write_all(line.as_bytes())?;
        match self.answer()?.get("error").and_then(Value::as_str) {
            Some(error) => bail!("{error}"),
            None => Ok(()),
        }
    }

    fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        serde_json::from_str(&line).context("plane ended, its message is on standard error")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.process.wait();
    }
}

fn reqwest_der(pem: &Path) -> Result<Vec<u8>> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    Ok(CertificateDer::from_pem_file(pem).with_context(|| pem.display().to_string())?.to_vec())
}
