//! Certificates: an authority that signs servers and clients, all P-256, kept as PEM files in one folder.
//! Who a client is stands in its subject: CN is the user, O the group (only one: a second one would overwrite it).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// How far before now certificates begin, for clocks that differ.
const EARLIER: Duration = Duration::from_secs(3600);
const A_DAY: Duration = Duration::from_secs(24 * 3600);

/// The files of one certificate and its key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

impl Identity {
    /// The two files `<name>.crt` and `<name>.key` in `folder`.
    #[must_use]
    pub fn named(folder: &Path, name: &str) -> Self {
        Self {
            certificate: folder.join(format!("{name}.crt")),
            key: folder.join(format!("{name}.key")),
        }
    }

    fn write(&self, certificate: &str, key: &KeyPair) -> Result<()> {
        fs::write(&self.certificate, certificate)
            .with_context(|| self.certificate.display().to_string())?;
        fs::write(&self.key, key.serialize_pem()).with_context(|| self.key.display().to_string())
    }
}

/// When a certificate is good, relative to now.
#[derive(Debug, Clone, Copy)]
pub enum Validity {
    /// Good from an hour ago and for another day.
    Day,
    /// Good from an hour ago and for this long.
    For(Duration),
    /// It ended this long ago.
    Ended(Duration),
}

/// A certificate authority.
pub struct Authority {
    /// Its own certificate, PEM.
    pub certificate: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new one: `<name>.crt` and `<name>.key` in `folder`.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn create(folder: &Path, name: &str) -> Result<Self> {
        let key = KeyPair::generate()?;
        let files = Identity::named(folder, name);
        files.write(&authority_params(name).self_signed(&key)?.pem(), &key)?;
        Ok(Self {
            certificate: files.certificate,
            issuer: Issuer::new(authority_params(name), key),
        })
    }

    /// Opens one that `create` made, in another process.
    ///
    /// # Errors
    /// The key cannot be read.
    pub fn open(folder: &Path, name: &str) -> Result<Self> {
        let files = Identity::named(folder, name);
        let pem =
            fs::read_to_string(&files.key).with_context(|| files.key.display().to_string())?;
        let issuer = Issuer::new(authority_params(name), KeyPair::from_pem(&pem)?);
        Ok(Self { certificate: files.certificate, issuer })
    }

    /// Signs a server on loopback; it may be a client too, as a member of etcd is.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn server(&self, folder: &Path, name: &str) -> Result<Identity> {
        let names = ["localhost", "127.0.0.1", "10.0.0.1"].map(str::to_owned);
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params, Validity::Day, Identity::named(folder, name))
    }

    /// Signs a client: `user` becomes its user name, `group` its group.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn client(
        &self,
        files: Identity,
        user: &str,
        group: Option<&str>,
        valid: Validity,
    ) -> Result<Identity> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params, valid, files)
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        valid: Validity,
        files: Identity,
    ) -> Result<Identity> {
        let now = SystemTime::now();
        let (from, until) = match valid {
            Validity::Day => (now - EARLIER, now + A_DAY),
            Validity::For(time) => (now - EARLIER, now + time),
            Validity::Ended(ago) => (now - ago - EARLIER, now - ago),
        };
        (params.not_before, params.not_after) = (from.into(), until.into());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        files.write(&params.signed_by(&key, &self.issuer)?.pem(), &key)?;
        Ok(files)
    }
}

/// The key that signs the tokens of ServiceAccounts: `service-account.key` and `.pub` in `folder`.
///
/// # Errors
/// The files cannot be written.
pub fn service_account_key(folder: &Path) -> Result<()> {
    let key = KeyPair::generate()?;
    fs::write(folder.join("service-account.key"), key.serialize_pem())?;
    fs::write(folder.join("service-account.pub"), key.public_key_pem())?;
    Ok(())
}

/// The same for the same name, so that `open` needs no parser of certificates.
fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("fleet-{name}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    params
}
