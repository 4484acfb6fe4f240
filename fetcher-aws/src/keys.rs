//! Who signs: the credentials of one account, kept until they expire, grow old, or AWS refuses them.
//!
//! Not the chain, which is the SDK's and is built anew for each load. That is why this is here: the SDK reads
//! profiles and files once and goes on signing with what it has, refused or not, so that exchanged keys would want a
//! restart. And all regions of an account wait for one load, and share its failure.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future;
use aws_sdk_ec2::config::{
    ProvideCredentials, Region, SharedCredentialsProvider, SharedHttpClient,
};
use tokio::sync::Mutex;

use crate::config::Role;
use crate::errors;
use crate::homes::Homes;

/// How long one load may take in one region: a role on top of SSO or of an instance role is several calls.
const LOAD: Duration = Duration::from_secs(20);
/// How long before their end credentials are exchanged.
const BEFORE_END: Duration = Duration::from_secs(60);
/// How long credentials without an end are kept before they are read again.
const ENDLESS: Duration = Duration::from_secs(900);

/// The credentials of one account. Clones share what is kept.
#[derive(Clone, Debug)]
pub(crate) struct Keys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    origin: Origin,
    kept: Mutex<Kept>,
}

/// Where credentials come from.
#[derive(Debug)]
pub(crate) struct Origin {
    /// In place of the SDK's chain.
    pub(crate) given: Option<SharedCredentialsProvider>,
    pub(crate) profile: Option<String>,
    /// A file in the format of `~/.aws/credentials`.
    pub(crate) file: Option<PathBuf>,
    /// Assumed on top of all that.
    pub(crate) role: Option<Role>,
    /// For STS: retries and timeouts.
    pub(crate) sdk: SdkConfig,
    /// And its regions.
    pub(crate) homes: Arc<Homes>,
    pub(crate) http: SharedHttpClient,
}

#[derive(Debug, Default)]
struct Kept {
    credentials: Option<(Credentials, Instant)>,
    failure: Option<(Arc<CredentialsError>, Instant)>,
}

impl Keys {
    pub(crate) fn new(origin: Origin) -> Self {
        Self(Arc::new(Inner { origin, kept: Mutex::default() }))
    }

    /// The credentials that are kept, or new ones.
    pub(crate) async fn load(&self) -> Result<Credentials, CredentialsError> {
        let asked = Instant::now();
        let mut kept = self.0.kept.lock().await;
        if let Some((credentials, until)) = &kept.credentials
            && Instant::now() < *until
        {
            return Ok(credentials.clone());
        }
        // A load that failed while this one waited for its turn would fail again.
        if let Some((why, at)) = &kept.failure
            && asked < *at
        {
            return Err(shared(why));
        }
        // In a box, because the futures above it are nested nearly as deep as the compiler goes.
        match Box::pin(self.0.origin.load()).await {
            Ok(credentials) => {
                let until = Instant::now() + lasts(&credentials);
                *kept = Kept { credentials: Some((credentials.clone(), until)), failure: None };
                Ok(credentials)
            }
            Err(why) => {
                let why = Arc::new(why);
                let failure = Some((Arc::clone(&why), Instant::now()));
                *kept = Kept { credentials: None, failure };
                Err(shared(&why))
            }
        }
    }

    /// AWS refuses the key of this id: others are loaded before the next call.
    pub(crate) async fn forget(&self, refused: &str) {
        let mut kept = self.0.kept.lock().await;
        if kept.credentials.as_ref().is_some_and(|(known, _)| known.access_key_id() == refused) {
            kept.credentials = None;
        }
    }
}

impl ProvideCredentials for Keys {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}

impl Origin {
    async fn load(&self) -> Result<Credentials, CredentialsError> {
        let load = |home| async move {
            let loaded = tokio::time::timeout(LOAD, self.load_at(home)).await;
            loaded.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(LOAD)))
        };
        self.homes.ask(load, errors::are_of_region).await
    }

    /// With the STS of the region `home`.
    async fn load_at(&self, home: &str) -> Result<Credentials, CredentialsError> {
        let own = self.own(home).await;
        let Some(role) = &self.role else { return own.provide_credentials().await };
        let mut assume = AssumeRoleProvider::builder(&role.arn)
            .configure(&self.homes.sdk(&self.sdk, home))
            .session_name(&role.session_name)
            .session_length(role.duration);
        if let Some(id) = &role.external_id {
            assume = assume.external_id(id);
        }
        assume.build_from_provider(own).await.provide_credentials().await
    }

    /// Who asks, before any role. A profile that is named stands alone: in the SDK's chain, keys in the environment
    /// would win over it, and another account would be listed.
    async fn own(&self, home: &str) -> SharedCredentialsProvider {
        if let Some(given) = &self.given {
            return given.clone();
        }
        let mut config = ProviderConfig::default()
            .with_http_client(self.http.clone())
            .with_region(Some(Region::new(home.to_owned())));
        if let Some(retries) = self.sdk.retry_config() {
            config = config.with_retry_config(retries.clone());
        }
        if let Some(timeouts) = self.sdk.timeout_config() {
            config = config.with_timeout_config(timeouts.clone());
        }
        if self.profile.is_none() && self.file.is_none() {
            let chain = DefaultCredentialsChain::builder().configure(config).build().await;
            return SharedCredentialsProvider::new(chain);
        }
        let name = self.profile.as_deref().unwrap_or("default");
        let mut profile =
            ProfileFileCredentialsProvider::builder().configure(&config).profile_name(name);
        if let Some(file) = &self.file {
            profile = in_file(profile, file);
        }
        SharedCredentialsProvider::new(profile.build())
    }
}

#[expect(
    deprecated,
    reason = "the new names of the same types are in a crate for the SDK's insides"
)]
fn in_file(
    profile: aws_config::profile::credentials::Builder,
    file: &Path,
) -> aws_config::profile::credentials::Builder {
    use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};
    let files = ProfileFiles::builder().with_file(ProfileFileKind::Credentials, file);
    profile.profile_files(files.build())
}

/// How long to keep them.
fn lasts(credentials: &Credentials) -> Duration {
    let Some(end) = credentials.expiry() else { return ENDLESS };
    // `elapsed` of a time to come errs with what is left.
    let left = end.elapsed().err().map_or(Duration::ZERO, |left| left.duration());
    left.saturating_sub(BEFORE_END)
}

/// An error of credentials that several calls wait for.
#[derive(Debug)]
struct Shared(Arc<CredentialsError>);

fn shared(why: &Arc<CredentialsError>) -> CredentialsError {
    CredentialsError::provider_error(Shared(Arc::clone(why)))
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Shared {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
