//! sushy-tools: a Redfish service with a given list of systems. It does not page and ignores `$expand`, and needs
//! about 0.2 s a request when secured.

use std::fmt::Write as _;
use std::fs;

use anyhow::Result;
use tempfile::TempDir;

use super::{Secured, client, python, ready};
use crate::leash::Leashed;
use crate::ports;

/// A running Redfish service.
pub struct Sushy {
    url: String,
    secured: Option<Secured>,
    _server: Leashed,
    _dir: TempDir,
}

/// One system that the service shows.
#[derive(Debug, Clone)]
pub struct System {
    /// Its id, a UUID.
    pub uuid: String,
    /// Its name.
    pub name: String,
    /// `On` or `Off`.
    pub power: String,
    /// The address of its network card.
    pub mac: String,
}

impl Sushy {
    /// Starts one with these systems, over plain HTTP, or over TLS with HTTP basic auth.
    ///
    /// # Errors
    /// It is not ready in time.
    pub async fn start(systems: &[System], secure: bool) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("fleet-sushy-").tempdir()?;
        let secured = if secure { Some(Secured::create(dir.path())?) } else { None };
        let port = ports::free()?;
        let state = dir.path().join("state");
        fs::create_dir(&state)?;
        let mut conf = format!(
            "SUSHY_EMULATOR_LISTEN_IP='127.0.0.1'\nSUSHY_EMULATOR_LISTEN_PORT={port}\nSUSHY_EMULATOR_FAKE_DRIVER=True\n\
             SUSHY_EMULATOR_STATE_DIR='{}'\nSUSHY_EMULATOR_FAKE_SYSTEMS={}\n",
            state.display(),
            list(systems)
        );
        if let Some(Secured { server, htpasswd, .. }) = &secured {
            writeln!(conf, "SUSHY_EMULATOR_AUTH_FILE='{}'", htpasswd.display())?;
            writeln!(conf, "SUSHY_EMULATOR_SSL_CERT='{}'", server.certificate.display())?;
            writeln!(conf, "SUSHY_EMULATOR_SSL_KEY='{}'", server.key.display())?;
        }
        fs::write(dir.path().join("sushy.conf"), conf)?;
        let config = dir.path().join("sushy.conf").display().to_string();
        let invocation =
            python("sushy-tools", "sushy-emulator", &["--config", &config, "--fake"], dir.path())?;
        let mut server = Leashed::start(&invocation).await?;
        let url = format!("http{}://127.0.0.1:{port}", if secure { "s" } else { "" });
        ready(&mut server, &client(secured.as_ref())?, &format!("{url}/redfish/v1/")).await?;
        Ok(Self { url, secured, _server: server, _dir: dir })
    }

    /// Its base address, without `/redfish/v1`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The files of its TLS and basic auth, if it has them.
    #[must_use]
    pub fn secured(&self) -> Option<&Secured> {
        self.secured.as_ref()
    }
}

/// As Python, which the configuration is.
fn list(systems: &[System]) -> String {
    let one = |s: &System| {
        format!(
            "{{'uuid':'{}','name':'{}','power_state':'{}','external_notifier':False,'nics':[{{'mac':'{}','ip':'192.0.2.1'}}]}}",
            s.uuid, s.name, s.power, s.mac
        )
    };
    format!("[{}]", systems.iter().map(one).collect::<Vec<_>>().join(","))
}
