//! What `check` says of EC2: for each account whether its credentials work, for each region which actions are allowed.
//!
//! By dry runs, which EC2 answers with `DryRunOperation` where the call would be allowed. Nothing is listed.

use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use fetcher_core::provider::{FetchError, Finding, Provider};
use futures::{StreamExt, stream};

use crate::clients::RegionClient;
use crate::provider::Ec2;
use crate::{list, types};

/// Regions asked at the same time.
const SIDE_BY_SIDE: usize = 16;

/// One finding for each account that could not be discovered, and for each action in each region. A suspended region
/// is not asked here either.
pub(crate) async fn check(ec2: &Ec2) -> Vec<Finding> {
    let discovery = match ec2.sources().await {
        Ok(discovery) => discovery,
        Err(error) => return vec![Finding { ok: false, text: error.to_string() }],
    };
    let failed = discovery.failed.iter().map(|(_, error)| bad(error));
    let mut findings: Vec<Finding> = failed.collect();
    let (suspended, served): (Vec<_>, Vec<_>) =
        discovery.sources.iter().partition(|served| served.settings.suspend);
    findings.extend(suspended.iter().map(|served| Finding {
        ok: true,
        text: format!("{}: suspended, so not asked", served.source),
    }));
    let regions: Vec<_> =
        served.iter().filter_map(|served| ec2.region(&served.source).ok()).collect();
    let asked: Vec<_> = regions.iter().map(|region| check_region(region)).collect();
    let asked: Vec<Vec<Finding>> = stream::iter(asked).buffered(SIDE_BY_SIDE).collect().await;
    findings.extend(asked.into_iter().flatten());
    findings
}

async fn check_region(region: &RegionClient) -> Vec<Finding> {
    region.throttle.ready().await;
    let listed = region.ec2.describe_instances().dry_run(true).max_results(5).send().await;
    let listed = dry_run(region, list::ACTION, listed.err()).await;
    let go_on = listed.ok && region.wants_types();
    let mut findings = vec![listed];
    if go_on {
        region.throttle.ready().await;
        let types = region.ec2.describe_instance_types().dry_run(true).max_results(5).send().await;
        let mut finding = dry_run(region, types::ACTION, types.err()).await;
        if !finding.ok {
            finding.text.push_str(
                "; allow it, or do without the memory of Hosts: `aws.instanceTypes: false`",
            );
        }
        findings.push(finding);
    }
    findings
}

/// An endpoint that does not know dry runs answers, which is as good.
async fn dry_run<E>(
    region: &RegionClient,
    action: &'static str,
    error: Option<SdkError<E>>,
) -> Finding
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error {
        Some(error) if error.code() != Some("DryRunOperation") => {
            bad(&region.error(action, &error).await)
        }
        _ => Finding {
            ok: true,
            text: format!("{action} of account {} in {}: allowed", region.account, region.name),
        },
    }
}

fn bad(error: &FetchError) -> Finding {
    Finding { ok: false, text: error.to_string() }
}
