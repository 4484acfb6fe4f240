//! The section `aws` of the configuration, the flags that win over it, and what both come to: a [`Fleet`].
//!
//! Not the AWS SDK's own settings: profiles, SSO and keys stay where every AWS tool reads them, and no secret
//! stands here. Nothing here asks the network: ids and regions that must be asked for are `discover`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use fetcher_core::app::InvalidConfig;
use fetcher_core::config::GoneOverride;
use fetcher_core::provider::Expect;
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::regions::is_region;
pub use crate::regions::{Region, Regions};

/// The section `aws`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Section {
    /// Regions of every account that names none of its own: a list, or `all` that are enabled for the account.
    /// Without it: the region of the shell (`AWS_REGION`, the profile).
    pub regions: Option<Regions>,
    /// Accounts to list. Without it: the one that the credentials of the shell belong to.
    pub accounts: Vec<Account>,
    /// States in which an instance counts as present. One in another of these states is not selected.
    /// `shutting-down` and `terminated` are no choice: such an instance is gone.
    pub states: BTreeSet<Present>,
    /// A file in the format of `~/.aws/credentials` that holds the keys, instead of the SDK's chain: a mounted secret,
    /// systemd's credentials. Read again every quarter of an hour, and when AWS refuses the keys.
    pub credentials_file: Option<PathBuf>,
    /// Endpoints instead of the public ones: private endpoints, test servers.
    pub endpoints: Endpoints,
    /// Where STS and the enabled regions are asked for; by default the first listed region, and another listed one
    /// where STS does not answer there.
    pub discovery_region: Option<String>,
    /// Whether to ask DescribeInstanceTypes for memory, once for each type.
    pub instance_types: bool,
    /// Instances asked for in one page, 5 to 1000.
    #[schemars(range(min = 5, max = 1000))]
    pub page_size: i32,
    /// Calls a second to one region of one account at the most; fewer while EC2 throttles.
    pub requests_per_second: NonZeroU32,
    /// How often one call is tried, the first time included.
    pub attempts: NonZeroU32,
    /// How long one attempt may take, its answer read to the end.
    #[schemars(with = "String")]
    pub attempt_timeout: SignedDuration,
}

impl Default for Section {
    fn default() -> Self {
        Self {
            regions: None,
            accounts: Vec::new(),
            states: Present::ALL.into_iter().collect(),
            credentials_file: None,
            endpoints: Endpoints::default(),
            discovery_region: None,
            instance_types: true,
            page_size: 1000,
            requests_per_second: NonZeroU32::new(20).unwrap_or(NonZeroU32::MIN),
            attempts: NonZeroU32::new(5).unwrap_or(NonZeroU32::MIN),
            attempt_timeout: SignedDuration::from_secs(30),
        }
    }
}

/// One account.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Account {
    /// The role to assume there; without it the credentials are used as they are.
    pub role_arn: Option<String>,
    /// What the role's trust policy wants as `sts:ExternalId`.
    pub external_id: Option<String>,
    /// How the session is called in the account's CloudTrail; `fetcher-aws` by default.
    pub session_name: Option<String>,
    /// How long the role's credentials last, 15 minutes to 12 hours (a chained role: 1 hour). `1h` by default.
    #[schemars(with = "Option<String>")]
    pub duration: Option<SignedDuration>,
    /// The profile whose credentials are used, of `~/.aws/config` or of `credentialsFile`, instead of the chain.
    pub profile: Option<String>,
    /// Its own regions instead of the section's.
    pub regions: Option<Regions>,
    /// Its own brake, where it differs from the instance's.
    pub gone: GoneOverride,
    /// Served, but neither asked nor changed.
    pub suspend: bool,
}

/// States in which an instance may count as present.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Present {
    /// Coming up.
    Pending,
    /// Live.
    Running,
    /// Going down, or into hibernation.
    Stopping,
    /// There, and off.
    Stopped,
}

impl Present {
    const ALL: [Self; 4] = [Self::Pending, Self::Running, Self::Stopping, Self::Stopped];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

/// Endpoints instead of the public ones.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Endpoints {
    /// For EC2, in every region that names none of its own; `{region}` stands for the region.
    pub ec2: Option<String>,
    /// For STS (account ids, roles); `{region}` stands for the region.
    pub sts: Option<String>,
}

/// The flags of fetcher-aws.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// Region to list, or `all`; may be given several times or as a list with commas, and stands in place of
    /// every `regions` of the configuration, whose settings of such a region still hold
    #[arg(long = "region", value_name = "REGION", value_delimiter = ',', env = "FETCHER_REGION")]
    pub regions: Vec<String>,
}

/// What section and flags come to, checked.
#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    pub(crate) accounts: Vec<AccountPlan>,
    /// The states that an instance may be in and count as present no longer.
    pub(crate) hidden: BTreeSet<&'static str>,
    pub(crate) calls: Calls,
    pub(crate) discovery_region: Option<String>,
    pub(crate) endpoints: Endpoints,
}

/// How calls are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calls {
    pub(crate) instance_types: bool,
    pub(crate) page_size: i32,
    pub(crate) per_second: NonZeroU32,
    pub(crate) attempts: NonZeroU32,
    pub(crate) attempt_timeout: Duration,
    /// The first wait between two attempts; each further one is twice as long.
    pub(crate) backoff: Duration,
}

/// One account, checked.
#[derive(Clone, Debug)]
pub(crate) struct AccountPlan {
    pub(crate) role: Option<Role>,
    pub(crate) profile: Option<String>,
    pub(crate) credentials_file: Option<PathBuf>,
    /// None: the region of the shell.
    pub(crate) regions: Option<Regions>,
    /// What the file says of single regions, the account's own words first.
    told: Vec<Region>,
    pub(crate) gone: GoneOverride,
    pub(crate) suspend: bool,
}

/// A role to assume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) arn: String,
    pub(crate) partition: String,
    pub(crate) account: String,
    pub(crate) external_id: Option<String>,
    pub(crate) session_name: String,
    pub(crate) duration: Duration,
}

impl AccountPlan {
    /// What a person calls it before its id is known.
    pub(crate) fn label(&self) -> String {
        match (&self.role, &self.profile) {
            (Some(role), _) => role.account.clone(),
            (None, Some(profile)) => format!("profile {profile}"),
            (None, None) => "credentials of the environment".to_owned(),
        }
    }

    /// The region of this name, with what the file says of it.
    pub(crate) fn region(&self, name: &str) -> Region {
        let told = self.told.iter().find(|region| region.name == name);
        told.cloned().unwrap_or_else(|| Region::named(name))
    }
}

/// What section and flags come to.
pub(crate) fn fleet(section: Section, flags: &Flags) -> Result<Fleet, InvalidConfig> {
    let calls = calls(&section)?;
    let flagged = flagged(flags)?;
    let accounts =
        if section.accounts.is_empty() { vec![Account::default()] } else { section.accounts };
    let accounts: Vec<AccountPlan> = accounts
        .into_iter()
        .enumerate()
        .map(|(at, account)| {
            let lists = [&account.regions, &section.regions].map(Option::as_ref);
            let own = lists[0].or(lists[1]);
            // A flag says which regions; what the file says of each of them still holds.
            let (regions, told) = match &flagged {
                Some(regions) => (Some(regions), lists.to_vec()),
                None => (own, vec![own]),
            };
            let told = told.into_iter().flatten().flat_map(Regions::listed).cloned().collect();
            let regions = regions.cloned();
            account_plan(account, regions, told, section.credentials_file.clone())
                .map_err(|why| InvalidConfig(format!("`aws.accounts[{at}]`: {why}")))
        })
        .collect::<Result<_, _>>()?;
    each_account_once(&accounts)?;
    if let Some(region) = section.discovery_region.as_ref().filter(|name| !is_region(name)) {
        return Err(InvalidConfig(format!(
            "`aws.discoveryRegion`: {region:?} is no region's name"
        )));
    }
    let hidden = Present::ALL.into_iter().filter(|state| !section.states.contains(state));
    Ok(Fleet {
        accounts,
        hidden: hidden.map(Present::as_str).collect(),
        calls,
        discovery_region: section.discovery_region,
        endpoints: section.endpoints,
    })
}

fn calls(section: &Section) -> Result<Calls, InvalidConfig> {
    if !(5..=1000).contains(&section.page_size) {
        let got = section.page_size;
        return Err(InvalidConfig(format!("`aws.pageSize` is {got}: EC2 takes 5 to 1000")));
    }
    if section.states.is_empty() {
        let all = "pending, running, stopping and stopped";
        return Err(InvalidConfig(format!(
            "`aws.states` is empty, so that no instance would be present: name some of {all}"
        )));
    }
    let attempt_timeout = Duration::try_from(section.attempt_timeout)
        .ok()
        .filter(|time| (Duration::from_millis(100)..=Duration::from_secs(300)).contains(time))
        .ok_or_else(|| {
            InvalidConfig("`aws.attemptTimeout` must be 100ms to 5m, like 30s".to_owned())
        })?;
    Ok(Calls {
        instance_types: section.instance_types,
        page_size: section.page_size,
        per_second: section.requests_per_second,
        attempts: section.attempts,
        attempt_timeout,
        backoff: Duration::from_secs(1),
    })
}

/// The regions of the flags; an environment variable that is set to nothing names none.
fn flagged(flags: &Flags) -> Result<Option<Regions>, InvalidConfig> {
    let names: Vec<String> = flags
        .regions
        .iter()
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    let regions = match names.as_slice() {
        [] => return Ok(None),
        [all] if all == "all" => Regions::All,
        _ => Regions::Listed(names.into_iter().map(Region::named).collect()),
    };
    regions.check().map_err(|why| InvalidConfig(format!("`--region`: {why}")))?;
    Ok(Some(regions))
}

fn account_plan(
    account: Account,
    regions: Option<Regions>,
    told: Vec<Region>,
    credentials_file: Option<PathBuf>,
) -> Result<AccountPlan, String> {
    if let Some(regions) = &regions {
        regions.check().map_err(|why| format!("`regions`: {why}"))?;
    }
    let role = match account.role_arn {
        Some(arn) => Some(Role {
            session_name: session_name(account.session_name)?,
            duration: role_duration(account.duration)?,
            external_id: account.external_id,
            ..role(&arn)?
        }),
        None => {
            let useless = [
                ("externalId", account.external_id.is_some()),
                ("sessionName", account.session_name.is_some()),
                ("duration", account.duration.is_some()),
            ];
            if let Some((key, _)) = useless.iter().find(|(_, given)| *given) {
                return Err(format!("`{key}` says nothing without `roleArn`"));
            }
            None
        }
    };
    Ok(AccountPlan {
        role,
        profile: account.profile,
        credentials_file,
        regions,
        told,
        gone: account.gone,
        suspend: account.suspend,
    })
}

/// Reads partition and account from a role's ARN: `arn:aws:iam::210987654321:role/path/name`.
fn role(arn: &str) -> Result<Role, String> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let well = match parts.as_slice() {
        ["arn", partition, "iam", "", account, role] => {
            let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
            let named = role.strip_prefix("role/").is_some_and(|name| !name.is_empty());
            (is_account && named && partition.starts_with("aws")).then_some((partition, account))
        }
        _ => None,
    };
    let Some((partition, account)) = well else {
        return Err(format!(
            "`roleArn` {arn:?} is no role's ARN: expected arn:aws:iam::<12 digits>:role/<name>"
        ));
    };
    Ok(Role {
        arn: arn.to_owned(),
        partition: (*partition).to_owned(),
        account: (*account).to_owned(),
        external_id: None,
        session_name: String::new(),
        duration: Duration::ZERO,
    })
}

/// (Model `sts/2011-06-15`: `[\w+=,.@-]*`, 2 to 64 characters.)
fn session_name(name: Option<String>) -> Result<String, String> {
    let name = name.unwrap_or_else(|| "fetcher-aws".to_owned());
    let well = (2..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b));
    if well {
        Ok(name)
    } else {
        Err(format!("`sessionName` {name:?}: 2 to 64 letters, digits and _+=,.@- are allowed"))
    }
}

/// (Model `sts/2011-06-15`: 900 to 43,200 seconds.)
fn role_duration(duration: Option<SignedDuration>) -> Result<Duration, String> {
    let seconds = duration.map_or(3600, |duration| duration.as_secs());
    match u64::try_from(seconds) {
        Ok(seconds) if (900..=43_200).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err("`duration` must be 15m to 12h".to_owned()),
    }
}

/// Refuses what would list one account twice and let two sources own the same Hosts.
fn each_account_once(accounts: &[AccountPlan]) -> Result<(), InvalidConfig> {
    let mut seen = BTreeMap::new();
    for (at, account) in accounts.iter().enumerate() {
        if let Some(first) = seen.insert(account.label(), at) {
            let label = account.label();
            return Err(InvalidConfig(format!(
                "`aws.accounts[{at}]` is the same account as `aws.accounts[{first}]` ({label}): name it once"
            )));
        }
    }
    Ok(())
}

/// What one region of one account is told.
pub(crate) fn settings(
    account: &AccountPlan,
    region: &Region,
) -> fetcher_core::provider::SourceSettings {
    fetcher_core::provider::SourceSettings {
        expect: Expect::clone(&region.expect),
        gone: GoneOverride {
            max_fraction: region.gone.max_fraction.or(account.gone.max_fraction),
            floor: region.gone.floor.or(account.gone.floor),
        },
        suspend: account.suspend || region.suspend,
    }
}
