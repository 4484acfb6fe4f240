//! The provider against an endpoint that answers what real EC2 answers on bad days, which no test server says.

use std::num::NonZeroU32;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_ec2::config::SharedCredentialsProvider;
use fetcher_core::machine::{Life, Machine, Source, State, Text};
use fetcher_core::provider::{Fetch, FetchError, Lookup, Progress, Provider};
use fetcher_core::selector::Selector;
use proptest::prelude::ProptestConfig;
use proptest::test_runner::RngSeed;

use crate::clients::Reach;
use crate::config::{self, Flags, Section};
use crate::provider::Ec2;
use server::{Answer, Server, error, instance, page, sts_error};

mod discovery;
mod listing;
mod papers;
mod refusals;
mod server;

const ACCOUNT: &str = "210987654321";
const LIST: &str = "DescribeInstances";

/// The same cases each time, so that a change is judged by itself; PROPTEST_CASES explores others.
#[expect(clippy::disallowed_methods, reason = "proptest's own variable, in tests alone")]
pub(crate) fn cases() -> ProptestConfig {
    let all = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_some() {
        return all;
    }
    ProptestConfig { rng_seed: RngSeed::Fixed(48), ..all }
}

/// A provider whose world is `server`, with this section; impatient, so that the tests are quick.
fn ec2(server: &Server, yaml: &str) -> Ec2 {
    ec2_flagged(server, yaml, &[])
}

/// The same with these regions as `--region`.
fn ec2_flagged(server: &Server, yaml: &str, regions: &[&str]) -> Ec2 {
    let keys = Credentials::new("AKIAEXAMPLE000000001", "x".repeat(40), None, None, "tests");
    ec2_as(SharedCredentialsProvider::new(keys), server, yaml, regions)
}

/// The same for whoever asks.
fn ec2_as(who: SharedCredentialsProvider, server: &Server, yaml: &str, regions: &[&str]) -> Ec2 {
    let yaml = format!("endpoints: {{ec2: SERVER, sts: 'SERVER/{{region}}'}}\n{yaml}");
    let section: Section = serde_saphyr::from_str(&yaml.replace("SERVER", &server.url)).unwrap();
    let regions = regions.iter().map(ToString::to_string).collect();
    let mut fleet = config::fleet(section, &Flags { regions }).unwrap();
    fleet.calls.attempts = NonZeroU32::new(3).unwrap();
    fleet.calls.attempt_timeout = Duration::from_secs(2);
    fleet.calls.backoff = Duration::from_millis(5);
    fleet.calls.per_second = NonZeroU32::new(500).unwrap();
    Ec2::over(fleet, Reach { credentials: Some(who), ..Reach::default() })
}

/// One region of the account that the keys belong to.
const ONE: &str = "regions: [eu-west-1]\ninstanceTypes: false";

async fn one(server: &Server) -> (Ec2, Source) {
    server.script("GetCallerIdentity", [caller(ACCOUNT)]);
    let ec2 = ec2(server, ONE);
    let discovery = ec2.sources().await.unwrap();
    assert_eq!(discovery.failed, []);
    let source = discovery.sources[0].source.clone();
    (ec2, source)
}

async fn fetch(ec2: &Ec2, source: &Source, selector: &str) -> Result<Vec<Machine>, FetchError> {
    let selector: Selector = selector.parse().unwrap();
    let progress = Progress::default();
    let request = Fetch { source, selector: &selector, progress: &progress };
    Ok(ec2.fetch(request).await?.machines.to_vec())
}

/// Fetches once from a server that answers these pages.
async fn listing(answers: impl IntoIterator<Item = Answer>) -> Result<Vec<Machine>, FetchError> {
    let server = Server::start().await;
    let (ec2, source) = one(&server).await;
    server.script(LIST, answers);
    fetch(&ec2, &source, "").await
}

fn ids(machines: &[Machine]) -> Vec<&str> {
    machines.iter().map(|machine| &*machine.id).collect()
}

fn ok(instances: &[String], token: Option<&str>) -> Answer {
    Answer::Http(200, page(ACCOUNT, instances, token))
}

fn running(id: &str) -> String {
    instance(id, "running")
}

fn caller(account: &str) -> Answer {
    Answer::Http(
        200,
        format!(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
             <Arn>arn:aws:iam::{account}:user/fetcher</Arn><UserId>AIDA</UserId><Account>{account}</Account>\
             </GetCallerIdentityResult></GetCallerIdentityResponse>"
        ),
    )
}

/// Credentials of a role that last, with this key.
fn assumed(key: &str) -> Answer {
    Answer::Http(
        200,
        format!(
            "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s\
             </SecretAccessKey><SessionToken>t</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials>\
             <AssumedRoleUser><AssumedRoleId>A:b</AssumedRoleId><Arn>arn:aws:sts::111111111111:assumed-role/x/y</Arn>\
             </AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>"
        ),
    )
}
