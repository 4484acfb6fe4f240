//! A namespace of a test's own on the shared plane, with one fetcher that may do there what `deploy/rbac` says.
//! It is left behind: without a controller manager a deleted one would stay `Terminating` for ever.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::core::v1::Namespace as CoreNamespace;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;
use tempfile::TempDir;

use crate::audit::Audit;
use crate::kubeconfig;
use crate::kubectl::{Kubectl, Ran};
use crate::pki::{Identity, Validity};
use crate::plane::Plane;
use crate::poll::poll_until;

/// The user agent of what the test bed itself asks the apiserver, to tell it apart in the audit.
pub const AGENT: &str = "fleet-tests";

/// A namespace, its fetcher, and a folder for a test's files.
pub struct Namespace {
    plane: Plane,
    name: String,
    dir: TempDir,
    fetcher: Identity,
    audit_from: u64,
}

impl Plane {
    /// Makes a namespace whose name begins with `prefix`, and a fetcher of the same name that is bound to its role there.
    ///
    /// # Errors
    /// The apiserver refused.
    pub async fn namespace(&self, prefix: &str) -> Result<Namespace> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("{prefix}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = tempfile::Builder::new().prefix("fleet-test-").tempdir()?;
        let admin = self.client(&self.admin(), AGENT)?;
        let object = serde_json::from_value(json!({ "metadata": { "name": name } }))?;
        Api::<CoreNamespace>::all(admin.clone()).create(&PostParams::default(), &object).await?;
        bind(admin, &name, "fetcher", &name).await?;
        let fetcher = self.mint(dir.path(), "fetcher", &name, "fetchers", Validity::Day)?;
        let audit_from = std::fs::metadata(&self.about().audit_log)?.len();
        let namespace = Namespace { plane: self.clone(), name, dir, fetcher, audit_from };
        namespace.wait_for_the_role().await?;
        Ok(namespace)
    }
}

impl Namespace {
    /// Its name, which is also the user name of its fetcher.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The control plane it is on.
    #[must_use]
    pub fn plane(&self) -> &Plane {
        &self.plane
    }

    /// A folder for the test's files, removed with this value.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The fetcher's certificate and key.
    #[must_use]
    pub fn fetcher(&self) -> &Identity {
        &self.fetcher
    }

    /// A kubeconfig of the fetcher (context `kubeconfig::CONTEXT`, default namespace: this one).
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn kubeconfig(&self) -> Result<PathBuf> {
        self.kubeconfig_of(&self.fetcher, self.plane.url())
    }

    /// A kubeconfig of another identity, or by way of another address (a proxy).
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn kubeconfig_of(&self, user: &Identity, server: &str) -> Result<PathBuf> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let file =
            self.dir.path().join(format!("{}.kubeconfig", NEXT.fetch_add(1, Ordering::Relaxed)));
        kubeconfig::write(file, server, &self.plane.ca(), user, &self.name)
    }

    /// Another certificate for the fetcher's user, or an expired one.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn mint(&self, name: &str, valid: Validity) -> Result<Identity> {
        self.plane.mint(self.dir.path(), name, &self.name, "fetchers", valid)
    }

    /// A person or tool: a user of this name that has the ClusterRole in this namespace.
    ///
    /// # Errors
    /// The apiserver refused.
    pub async fn person(&self, user: &str, cluster_role: &str) -> Result<Identity> {
        bind(self.admin()?, &self.name, cluster_role, user).await?;
        self.plane.mint(self.dir.path(), user, user, "people", Validity::Day)
    }

    /// A client of the administrator.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn admin(&self) -> Result<Client> {
        self.plane.client(&self.plane.admin(), AGENT)
    }

    /// A client of the fetcher.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn client(&self) -> Result<Client> {
        self.plane.client(&self.fetcher, AGENT)
    }

    /// kubectl in this namespace, as the administrator.
    ///
    /// # Errors
    /// It could not be started.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<Ran> {
        self.plane.kubectl().run(&[&["--namespace", self.name.as_str()], arguments].concat()).await
    }

    /// kubectl in this namespace, as somebody else.
    ///
    /// # Errors
    /// It could not be started.
    pub async fn kubectl_as(&self, user: &Identity, arguments: &[&str]) -> Result<Ran> {
        Kubectl::new(self.kubeconfig_of(user, self.plane.url())?).run(arguments).await
    }

    /// What was asked of the apiserver in this namespace since it was made.
    #[must_use]
    pub fn audit(&self) -> Audit {
        Audit::new(self.plane.clone(), self.name.clone(), self.audit_from)
    }

    /// The apiserver's authoriser learns of a new binding a moment after it was stored.
    async fn wait_for_the_role(&self) -> Result<()> {
        let client = self.client()?;
        let path = format!("/apis/inventory.fetcher.dev/v1/namespaces/{}/hosts?limit=1", self.name);
        poll_until("the fetcher's role works", Duration::from_secs(120), async || {
            let request = http::Request::get(&path).body(Vec::new())?;
            Ok(client.request_text(request).await.is_ok().then_some(()))
        })
        .await
    }
}

/// The end of every test is a look at the whole audit log: a fetcher that has done what none may fails whichever test
/// ends next.
impl Drop for Namespace {
    #[expect(clippy::panic, reason = "a test fails by it")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let audit = self.audit();
        // On a runtime of its own: this one may be the thread that drives the test's.
        let looked = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(audit.trespasses())
        });
        match looked.join() {
            Ok(Ok(found)) if found.is_empty() => {}
            Ok(Ok(found)) => panic!("a fetcher has done what none may:\n{}", found.join("\n")),
            Ok(Err(error)) => panic!("the audit log cannot be read: {error:#}"),
            Err(_) => panic!("the look at the audit log broke off"),
        }
    }
}

async fn bind(admin: Client, namespace: &str, cluster_role: &str, user: &str) -> Result<()> {
    let binding = serde_json::from_value(json!({
        "metadata": { "name": format!("{user}-{cluster_role}") },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": cluster_role },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user }],
    }))?;
    Api::<RoleBinding>::namespaced(admin, namespace)
        .create(&PostParams::default(), &binding)
        .await?;
    Ok(())
}
