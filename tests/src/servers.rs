//! The provider servers, each one of a test's own, on loopback and a free port, gone when dropped.

pub mod ironic;
pub mod moto;
pub mod sushy;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::leash::{Invocation, Leashed};
use crate::pki::{Authority, Identity};
use crate::poll::poll_until;
use crate::programs;

/// They import a lot of Python, on a machine that compiles beside them.
const READY: Duration = Duration::from_secs(120);

/// TLS with a certificate of its own authority, and HTTP basic auth.
#[derive(Debug, Clone)]
pub struct Secured {
    /// The authority to trust, PEM.
    pub ca: std::path::PathBuf,
    /// The server's certificate and key.
    pub server: Identity,
    /// The file with the user and the bcrypt hash of the password.
    pub htpasswd: std::path::PathBuf,
}

/// The user that a secured server lets in.
pub const USER: &str = "admin";
/// That user's password.
pub const PASSWORD: &str = "secret";

impl Secured {
    /// Makes the files in `dir`.
    ///
    /// # Errors
    /// They cannot be written.
    fn create(dir: &Path) -> Result<Self> {
        let authority = Authority::create(dir, "provider-ca")?;
        let htpasswd = dir.join("htpasswd");
        // The bcrypt hash of PASSWORD, with few rounds: both servers check it at every request.
        std::fs::write(
            &htpasswd,
            format!("{USER}:{}\n", include_str!("servers/password.bcrypt").trim()),
        )?;
        Ok(Self { server: authority.server(dir, "provider")?, ca: authority.certificate, htpasswd })
    }
}

fn python(environment: &str, program: &str, arguments: &[&str], dir: &Path) -> Result<Invocation> {
    Ok(Invocation {
        program: programs::python(environment, program)?,
        arguments: arguments.iter().map(|&a| a.to_owned()).collect(),
        environment: Vec::new(),
        dir: dir.into(),
    })
}

/// Waits until the server answers at `url`, whatever it says.
async fn ready(server: &mut Leashed, client: &reqwest::Client, url: &str) -> Result<()> {
    poll_until(&format!("{url} answers"), READY, async || {
        if let Ok(ended) = server.ended(Duration::ZERO).await {
            bail!("the server ended with {ended:?}:\n{}{}", server.stdout(), server.stderr());
        }
        Ok(client.get(url).send().await.is_ok().then_some(()))
    })
    .await
}

/// A client that trusts the server's authority, or one for plain HTTP.
fn client(secured: Option<&Secured>) -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy();
    let Some(secured) = secured else { return Ok(builder.build()?) };
    let ca = std::fs::read(&secured.ca).with_context(|| secured.ca.display().to_string())?;
    Ok(builder.tls_certs_only([reqwest::Certificate::from_pem(&ca)?]).build()?)
}
