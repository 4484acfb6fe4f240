//! What an instance type has: memory, and processors where the instance does not say. Asked once for each type.
//!
//! Optional: without the permission, or for a type that is not answered, machines go without. But any other failure,
//! refused credentials included, fails the source, because memory that comes and goes would rewrite every Host.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_ec2::types::InstanceTypeInfo;
use fetcher_core::machine::{Machine, Text};
use fetcher_core::provider::FetchError;

use crate::clients::RegionClient;
use crate::errors;
use crate::filters;

pub(crate) const ACTION: &str = "ec2:DescribeInstanceTypes";

/// Types asked for in one call, and answered in one page (Model: `MaxResults` 5 to 100).
const BATCH: usize = 100;
/// When to ask again for what was refused or not answered.
const AGAIN: Duration = Duration::from_secs(3600);

/// The types of one account. Shared by its regions: a type is the same everywhere.
#[derive(Debug, Default)]
pub(crate) struct Types(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    known: HashMap<Text, Size>,
    /// Not answered, and when that was.
    unknown: HashMap<Text, Instant>,
    refused: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Size {
    memory_bytes: Option<u64>,
    cpus: Option<u32>,
}

/// Gives each machine the memory of its type.
pub(crate) async fn fill(
    region: &RegionClient,
    machines: &mut [Machine],
) -> Result<(), FetchError> {
    if !region.wants_types() {
        return Ok(());
    }
    let wanted: BTreeSet<&Text> =
        machines.iter().filter_map(|machine| machine.hardware.kind.as_ref()).collect();
    let missing = region.types.missing(&wanted);
    for batch in missing.chunks(BATCH) {
        match ask(region, batch).await {
            Ok(answer) => region.types.learn(batch, &answer),
            Err(Stop::NotAllowed(error)) => {
                tracing::warn!(source = %region.source, %error, "Memory of instance types is not known");
                region.types.lock().refused = Some(Instant::now());
                break;
            }
            Err(Stop::Failed(error)) => return Err(hinted(error)),
        }
    }
    region.types.apply(machines);
    Ok(())
}

enum Stop {
    /// The permission is missing, and will be for a while.
    NotAllowed(FetchError),
    Failed(FetchError),
}

/// The same with the way around it. Credentials that are refused would be refused without this call too.
fn hinted(mut error: FetchError) -> FetchError {
    match &mut error {
        FetchError::Throttled { message, .. }
        | FetchError::Unavailable { message }
        | FetchError::Inconsistent { message }
        | FetchError::Invalid { message } => {
            message.push_str(" (`aws.instanceTypes: false` does without it)");
        }
        FetchError::Denied { .. } => {}
    }
    error
}

async fn ask(region: &RegionClient, types: &[Text]) -> Result<Vec<InstanceTypeInfo>, Stop> {
    let mut answer = Vec::new();
    let mut token: Option<String> = None;
    // By filter: one unknown type in `InstanceTypes` fails the whole call.
    let names = types.iter().map(ToString::to_string).collect();
    let filter = filters::filter("instance-type", names);
    for _ in 0..=types.len() {
        region.throttle.ready().await;
        let page = region
            .ec2
            .describe_instance_types()
            .filters(filter.clone())
            .max_results(100)
            .set_next_token(token.take())
            .send()
            .await;
        let mut page = match page {
            Ok(page) => page,
            Err(error) => {
                let not_allowed = errors::is_not_allowed(&error);
                let error = region.error(ACTION, &error).await;
                return Err(if not_allowed {
                    Stop::NotAllowed(error)
                } else {
                    Stop::Failed(error)
                });
            }
        };
        token = page.next_token.take().filter(|token| !token.is_empty());
        answer.extend(page.instance_types.unwrap_or_default());
        if token.is_none() {
            return Ok(answer);
        }
    }
    Err(Stop::Failed(FetchError::unavailable(format!(
        "{ACTION} of account {} in {}: the list never ends",
        region.account, region.name
    ))))
}

impl Types {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which of these are to be asked for.
    fn missing(&self, wanted: &BTreeSet<&Text>) -> Vec<Text> {
        let state = self.lock();
        let recent = |at: &Instant| at.elapsed() < AGAIN;
        if state.refused.as_ref().is_some_and(recent) {
            return Vec::new();
        }
        wanted
            .iter()
            .filter(|name| !state.known.contains_key(**name))
            .filter(|name| !state.unknown.get(**name).is_some_and(recent))
            .map(|name| Text::clone(name))
            .collect()
    }

    fn learn(&self, asked: &[Text], answer: &[InstanceTypeInfo]) {
        let mut state = self.lock();
        for info in answer {
            if let Some(name) = info.instance_type() {
                state.known.insert(name.as_str().into(), size(info));
            }
        }
        let now = Instant::now();
        for name in asked {
            if !state.known.contains_key(name) {
                state.unknown.insert(Text::clone(name), now);
            }
        }
    }

    fn apply(&self, machines: &mut [Machine]) {
        let state = self.lock();
        for machine in machines {
            let hardware = &mut machine.hardware;
            let Some(size) = hardware.kind.as_ref().and_then(|kind| state.known.get(kind)) else {
                continue;
            };
            hardware.memory_bytes = size.memory_bytes;
            // The options of the instance win: hyper-threading may be off.
            hardware.cpus = hardware.cpus.or(size.cpus);
        }
    }
}

fn size(info: &InstanceTypeInfo) -> Size {
    let mebibytes = info.memory_info().and_then(|memory| memory.size_in_mib());
    let cpus = info.v_cpu_info().and_then(|cpus| cpus.default_v_cpus());
    Size {
        memory_bytes: mebibytes
            .and_then(|size| u64::try_from(size).ok())
            .and_then(|size| size.checked_mul(1 << 20)),
        cpus: cpus.and_then(|cpus| u32::try_from(cpus).ok()),
    }
}
