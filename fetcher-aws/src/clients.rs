//! The SDK's clients: one session for each account, one EC2 client for each of its regions, built once and kept.
//!
//! Not what they are asked, and not who signs: that is `keys`. A session is opened when it is first needed, because
//! the SDK wants a running program. All clients share one HTTP client, so that hundreds of sources hold one set of
//! root certificates.

use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_ec2::config::retry::{RetryConfig, RetryPartition};
use aws_sdk_ec2::config::timeout::TimeoutConfig;
use aws_sdk_ec2::config::{IdentityCache, Region, SharedCredentialsProvider, SharedHttpClient};
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{ConnectorBuilder, tls};
use fetcher_core::machine::{Source, Text};
use fetcher_core::provider::FetchError;

use crate::config::{AccountPlan, Calls, Endpoints};
use crate::errors::{self, Call};
use crate::homes::Homes;
use crate::keys::{Keys, Origin};
use crate::patience::{BACKOFF, Patience};
use crate::provider::NAME;
use crate::throttle::Throttle;
use crate::types::Types;
use crate::whole::Whole;

/// How long connecting may take, TLS included.
const CONNECT: Duration = Duration::from_secs(5);
/// How long one call may take with all its attempts: less than a round's deadline of five minutes.
const OPERATION: Duration = Duration::from_secs(240);

/// What all calls go through.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) http: SharedHttpClient,
    /// In place of the SDK's chain.
    pub(crate) credentials: Option<SharedCredentialsProvider>,
}

impl Default for Reach {
    fn default() -> Self {
        Self { http: http(), credentials: None }
    }
}

/// What an account's clients are built from: whose credentials, and what all calls have in common.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    sdk: SdkConfig,
    keys: Keys,
    /// The region that the shell names, if it does.
    pub(crate) shell_region: Option<String>,
    /// Where STS is asked.
    pub(crate) homes: Arc<Homes>,
    pub(crate) types: Arc<Types>,
    role: Option<String>,
    calls: Calls,
}

/// One region of one account.
#[derive(Debug)]
pub(crate) struct RegionClient {
    pub(crate) source: Source,
    pub(crate) account: Text,
    pub(crate) name: Text,
    pub(crate) ec2: aws_sdk_ec2::Client,
    pub(crate) throttle: Arc<Throttle>,
    pub(crate) page_size: i32,
    pub(crate) types: Arc<Types>,
    session: Session,
    endpoint: Option<String>,
}

/// The HTTP client for everything: the SDK's own, with the proxies of the environment.
fn http() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_with_connector_fn(|settings, components| {
        let crypto = tls::rustls_provider::CryptoMode::AwsLc;
        let mut connector = ConnectorBuilder::default()
            .tls_provider(tls::Provider::Rustls(crypto))
            .proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.build()
    })
}

impl Session {
    /// The session of `plan`. `homes` are the regions for STS; none: the shell's.
    pub(crate) async fn open(
        plan: &AccountPlan,
        calls: Calls,
        endpoints: &Endpoints,
        homes: &[String],
        reach: &Reach,
    ) -> Self {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(reach.http.clone())
            .retry_config(retries(calls))
            .timeout_config(timeouts(calls))
            .no_credentials()
            // The keys are their own.
            .identity_cache(IdentityCache::no_cache());
        if let Some(profile) = &plan.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(home) = homes.first() {
            loader = loader.region(Region::new(home.clone()));
        }
        let base = loader.load().await;
        let shell_region = base.region().map(ToString::to_string);
        let home = shell_region.clone().unwrap_or_else(|| first_of_partition(plan).to_owned());
        let others = homes.get(1..).unwrap_or_default();
        let homes = Arc::new(Homes::new(home.clone(), others, endpoints.sts.clone()));
        let base = base.into_builder().region(Region::new(home)).build();
        let keys = Keys::new(Origin {
            given: reach.credentials.clone(),
            profile: plan.profile.clone(),
            file: plan.credentials_file.clone(),
            role: plan.role.clone(),
            sdk: base.clone(),
            homes: Arc::clone(&homes),
            http: reach.http.clone(),
        });
        let signer = SharedCredentialsProvider::new(keys.clone());
        let sdk = base.into_builder().credentials_provider(signer).build();
        Self {
            sdk,
            keys,
            shell_region,
            homes,
            types: Arc::default(),
            role: plan.role.as_ref().map(|role| role.arn.clone()),
            calls,
        }
    }

    /// Whether its account cannot change: a role is of one account for ever.
    pub(crate) const fn is_pinned(&self) -> bool {
        self.role.is_some()
    }

    /// The client for STS in the region `home`.
    pub(crate) fn sts(&self, home: &str) -> aws_sdk_sts::Client {
        let config = aws_sdk_sts::config::Builder::from(&self.homes.sdk(&self.sdk, home))
            .retry_classifier(Patience)
            .interceptor(Whole::new(None));
        aws_sdk_sts::Client::from_conf(config.build())
    }

    /// The client of `region`, at `endpoint` if that is not the public one.
    pub(crate) fn region(
        &self,
        account: &str,
        region: &str,
        endpoint: Option<String>,
    ) -> RegionClient {
        let throttle = Arc::new(Throttle::new(self.calls.per_second));
        // The SDK's budget of retries is otherwise one for a region over all accounts: a broken account would spend
        // that of the others.
        let budget = RetryPartition::custom(format!("ec2-{account}-{region}")).build();
        let mut config = aws_sdk_ec2::config::Builder::from(&self.sdk)
            .region(Region::new(region.to_owned()))
            .retry_partition(budget)
            .retry_classifier(Patience)
            .interceptor(Whole::new(Some(Arc::clone(&throttle))));
        if let Some(url) = &endpoint {
            config = config.endpoint_url(url);
        }
        RegionClient {
            source: Source::new(NAME, &[account, region]),
            account: account.into(),
            name: region.into(),
            ec2: aws_sdk_ec2::Client::from_conf(config.build()),
            throttle,
            page_size: self.calls.page_size,
            types: Arc::clone(&self.types),
            session: self.clone(),
            endpoint,
        }
    }

    /// The error of a call in words. A key that was refused is not used again.
    pub(crate) async fn error<E>(
        &self,
        action: &'static str,
        account: &str,
        region: &str,
        error: &SdkError<E>,
    ) -> FetchError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let key = if errors::is_about_key(error) { self.key().await } else { None };
        if let Some(key) = &key {
            self.keys.forget(key).await;
        }
        let role = self.role.as_deref();
        let home = self.homes.now();
        let call = Call { action, account, region, home, role, key: key.as_deref() };
        errors::fetch_error(&call, error)
    }

    /// The id of the access key that signs, for messages about it.
    async fn key(&self) -> Option<String> {
        let loaded = tokio::time::timeout(CONNECT, self.keys.load()).await;
        Some(loaded.ok()?.ok()?.access_key_id().to_owned())
    }
}

impl RegionClient {
    /// Whether this is the client that `endpoint` asks for.
    pub(crate) fn is_at(&self, endpoint: Option<&str>) -> bool {
        self.endpoint.as_deref() == endpoint
    }

    /// The session it belongs to.
    pub(crate) const fn session(&self) -> &Session {
        &self.session
    }

    /// The error of a call in words.
    pub(crate) async fn error<E>(&self, action: &'static str, error: &SdkError<E>) -> FetchError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.session.error(action, &self.account, &self.name, error).await
    }

    /// An answer that cannot be the whole truth.
    pub(crate) fn inconsistent(&self, what: &str) -> FetchError {
        FetchError::inconsistent(format!(
            "ec2:DescribeInstances of account {} in {}: {what}",
            self.account, self.name
        ))
    }

    /// Whether memory is asked for.
    pub(crate) const fn wants_types(&self) -> bool {
        self.session.calls.instance_types
    }
}

/// STS wants a region too; where none is named it is the partition's first.
fn first_of_partition(plan: &AccountPlan) -> &'static str {
    match plan.role.as_ref().map(|role| role.partition.as_str()) {
        Some("aws-cn") => "cn-north-1",
        Some("aws-us-gov") => "us-gov-west-1",
        _ => "us-east-1",
    }
}

fn retries(calls: Calls) -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(calls.attempts.get())
        .with_initial_backoff(calls.backoff)
        .with_max_backoff(BACKOFF)
}

fn timeouts(calls: Calls) -> TimeoutConfig {
    let all = (calls.attempt_timeout + BACKOFF).saturating_mul(calls.attempts.get());
    TimeoutConfig::builder()
        .connect_timeout(CONNECT.min(calls.attempt_timeout))
        .read_timeout(calls.attempt_timeout)
        .operation_attempt_timeout(calls.attempt_timeout)
        .operation_timeout(all.min(OPERATION))
        .build()
}
