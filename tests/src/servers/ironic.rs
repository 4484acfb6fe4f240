//! OpenStack Ironic in one process, with sqlite and fake hardware.

use std::fs;
use std::path::Path;

use anyhow::Result;
use tempfile::TempDir;

use super::{PASSWORD, Secured, USER, client, python, ready};
use crate::leash::Leashed;
use crate::ports;

/// A running Ironic.
pub struct Ironic {
    url: String,
    secured: Option<Secured>,
    client: reqwest::Client,
    _server: Leashed,
    _dir: TempDir,
}

impl Ironic {
    /// Starts one without nodes, over plain HTTP and without credentials.
    ///
    /// # Errors
    /// It is not ready in time.
    pub async fn start() -> Result<Self> {
        Self::launch(false).await
    }

    /// Starts one without nodes, over TLS and with HTTP basic auth.
    ///
    /// # Errors
    /// It is not ready in time.
    pub async fn start_secured() -> Result<Self> {
        Self::launch(true).await
    }

    /// Its base address, without `/v1`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The files of its TLS and basic auth, if it has them.
    #[must_use]
    pub fn secured(&self) -> Option<&Secured> {
        self.secured.as_ref()
    }

    /// A request with version header and credentials; `path` begins with `/v1`.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        let request = request.header("X-OpenStack-Ironic-API-Version", "1.81");
        if self.secured.is_some() { request.basic_auth(USER, Some(PASSWORD)) } else { request }
    }

    async fn launch(secure: bool) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("fleet-ironic-").tempdir()?;
        let secured = if secure { Some(Secured::create(dir.path())?) } else { None };
        let port = ports::free()?;
        fs::write(
            dir.path().join("ironic.conf"),
            configuration(dir.path(), port, secured.as_ref()),
        )?;
        for folder in ["state", "lock"] {
            fs::create_dir(dir.path().join(folder))?;
        }
        let schema = python(
            "ironic",
            "ironic-dbsync",
            &["--config-file", "ironic.conf", "create_schema"],
            dir.path(),
        )?;
        let mut schema = Leashed::start(&schema).await?;
        let ended = schema.ended(super::READY).await?;
        anyhow::ensure!(ended.code == Some(0), "ironic-dbsync: {ended:?}\n{}", schema.stderr());
        let invocation = python("ironic", "ironic", &["--config-file", "ironic.conf"], dir.path())?;
        let mut server = Leashed::start(&invocation).await?;
        let client = client(secured.as_ref())?;
        let url = format!("http{}://127.0.0.1:{port}", if secure { "s" } else { "" });
        ready(&mut server, &client, &format!("{url}/v1")).await?;
        Ok(Self { url, secured, client, _server: server, _dir: dir })
    }
}

fn configuration(dir: &Path, port: u16, secured: Option<&Secured>) -> String {
    let dir = dir.display();
    let (auth, api, ssl) = match secured {
        None => ("auth_strategy = noauth".to_owned(), "", String::new()),
        Some(Secured { server, htpasswd, .. }) => (
            format!(
                "auth_strategy = http_basic\nhttp_basic_auth_user_file = {}",
                htpasswd.display()
            ),
            "enable_ssl_api = true",
            format!(
                "[ssl]\ncert_file = {}\nkey_file = {}",
                server.certificate.display(),
                server.key.display()
            ),
        ),
    };
    format!(
        "[DEFAULT]
{auth}
rpc_transport = none
enabled_hardware_types = fake-hardware
enabled_bios_interfaces = fake
enabled_boot_interfaces = fake
enabled_console_interfaces = fake
enabled_deploy_interfaces = fake
enabled_firmware_interfaces = fake
enabled_inspect_interfaces = fake
enabled_management_interfaces = fake
enabled_network_interfaces = noop
enabled_power_interfaces = fake
enabled_raid_interfaces = fake
enabled_rescue_interfaces = fake
enabled_storage_interfaces = noop
enabled_vendor_interfaces = fake
default_deploy_interface = fake
default_network_interface = noop
default_inspect_interface = fake
host = localhost
my_ip = 127.0.0.1
use_syslog = false
log_file = {dir}/ironic.log
state_path = {dir}/state
[api]
host_ip = 127.0.0.1
port = {port}
api_workers = 1
max_limit = 1000
{api}
[database]
connection = sqlite:///{dir}/ironic.sqlite
[conductor]
automated_clean = false
sync_power_state_interval = 0
[oslo_messaging_notifications]
driver = noop
[oslo_concurrency]
lock_path = {dir}/lock
[sensor_data]
send_sensor_data = false
{ssl}
"
    )
}
