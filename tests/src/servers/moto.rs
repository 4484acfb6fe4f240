//! moto: EC2, STS and IAM as far as a lister needs them. For correctness with a few hundred instances; it takes
//! 4-8 ms an instance to list.

use anyhow::Result;
use tempfile::TempDir;

use super::{client, python, ready};
use crate::leash::Leashed;
use crate::ports;

/// A running moto server.
pub struct Moto {
    url: String,
    _server: Leashed,
    _dir: TempDir,
}

impl Moto {
    /// Starts one, empty, which accepts any credentials.
    ///
    /// # Errors
    /// It is not ready in time.
    pub async fn start() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("fleet-moto-").tempdir()?;
        let port = ports::free()?;
        let invocation = python(
            "moto",
            "moto_server",
            &["-H", "127.0.0.1", "-p", &port.to_string()],
            dir.path(),
        )?;
        let mut server = Leashed::start(&invocation).await?;
        let url = format!("http://127.0.0.1:{port}");
        ready(&mut server, &client(None)?, &format!("{url}/moto-api/data.json")).await?;
        Ok(Self { url, _server: server, _dir: dir })
    }

    /// The endpoint for every service.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on checks signatures and IAM policies, or stops doing so.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn check_credentials(&self, check: bool) -> Result<()> {
        let after = if check { "0" } else { "1000000" };
        let url = format!("{}/moto-api/reset-auth", self.url);
        client(None)?.post(url).body(after).send().await?.error_for_status()?;
        Ok(())
    }
}
