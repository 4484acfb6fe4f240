//! The section `cloudforms` of the configuration, and the flags that win over it.
//!
//! Not the settings of the connection, which every REST API has (`http`). No secret stands here: `password` says
//! where it is.

use fetcher_core::app::InvalidConfig;
use fetcher_core::config::GoneOverride;
use fetcher_core::http::HttpSettings;
use fetcher_core::provider::Expect;
use fetcher_core::secret::SecretRef;
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;

/// The variable that the password is read from when the configuration names no other place.
const PASSWORD_VARIABLE: &str = "CLOUDFORMS_PASSWORD";
/// The largest page that an appliance gives.
pub(crate) const PAGE_SIZE: usize = 1000;
/// The longest name of an appliance: with it a source's name stays readable.
const NAME_MAX: usize = 40;

/// The section `cloudforms`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Section {
    /// The appliances to ask, each a source of its own.
    pub appliances: Vec<Appliance>,
}

/// One appliance (or region of appliances behind one address).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Appliance {
    /// What it is called here: the identity of the source, whatever its address. Lower-case letters, digits and `-`.
    pub name: String,
    /// Where it is: `https://cf.example.com`.
    pub url: String,
    /// The user; its role needs to view VMs (`vm_show_list`).
    pub username: String,
    /// Its password, `{file: PATH}` or `{env: NAME}`. Without one it is read from CLOUDFORMS_PASSWORD.
    #[serde(default)]
    pub password: Option<SecretRef>,
    /// The user's group to act in (`X-MIQ-Group`); it decides what is seen.
    #[serde(default)]
    pub group: Option<String>,
    /// Whether to leave out VMs that are not `on`, as the old Ansible inventory did. They are not selected then.
    #[serde(default)]
    pub only_powered_on: bool,
    /// Whether to serve the hypervisors too, as a source of their own.
    #[serde(default)]
    pub hypervisors: bool,
    /// Whether the appliance is asked only for VMs with the tags that the selector demands.
    #[serde(default = "yes")]
    pub push_down: bool,
    /// VMs a page, 10 to 1000: fewer where the appliance is slow.
    #[serde(default = "page_size")]
    #[schemars(range(min = 10, max = 1000))]
    pub page_size: usize,
    /// How old the last refresh of a manager may be, by the appliance's word, before its VMs are noted as stale: `24h`.
    // Its schema asks for ISO 8601 alone, which nobody writes.
    #[serde(default = "refresh_max_age")]
    #[schemars(with = "String")]
    pub refresh_max_age: SignedDuration,
    /// What a listing of VMs must hold to be believed.
    #[serde(default)]
    pub expect: Expect,
    /// Its own brake.
    #[serde(default)]
    pub gone: GoneOverride,
    /// Served, but neither asked nor changed.
    #[serde(default)]
    pub suspend: bool,
    /// The connection.
    #[serde(default)]
    pub http: HttpSettings,
}

const fn yes() -> bool {
    true
}

const fn page_size() -> usize {
    PAGE_SIZE
}

const fn refresh_max_age() -> SignedDuration {
    SignedDuration::from_hours(24)
}

/// The flags of fetcher-cloudforms.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// Name of the appliance: with --url what the one asked is called, else the one to ask of those configured
    #[arg(long, value_name = "NAME", env = "FETCHER_CLOUDFORMS_APPLIANCE")]
    pub appliance: Option<String>,
    /// Where the appliance is; stands in place of those of the configuration
    #[arg(long = "url", value_name = "URL", env = "FETCHER_CLOUDFORMS_URL")]
    pub url: Option<String>,
    /// User of the appliance at --url; the password is read from CLOUDFORMS_PASSWORD
    #[arg(long, value_name = "NAME", env = "CLOUDFORMS_USERNAME")]
    pub username: Option<String>,
}

/// One appliance, checked.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) url: url::Url,
    pub(crate) password: SecretRef,
    pub(crate) appliance: Appliance,
}

/// The appliances to ask: those of the section, or the one that the flags describe.
///
/// # Errors
/// None at all, a name or url that is none, a name twice, a page size out of range.
pub(crate) fn appliances(section: Section, flags: Flags) -> Result<Vec<Config>, InvalidConfig> {
    let name = set(flags.appliance);
    let chosen = match set(flags.url) {
        Some(url) => vec![described(name, url, set(flags.username), &section)?],
        None => match name {
            None => section.appliances,
            Some(name) => named(&name, section)?,
        },
    };
    if chosen.is_empty() {
        return Err(InvalidConfig(
            "no appliance: describe one under cloudforms.appliances, or name it by --appliance, --url and --username"
                .to_owned(),
        ));
    }
    let mut known: Vec<Config> = Vec::new();
    for appliance in chosen {
        if known.iter().any(|other| other.appliance.name == appliance.name) {
            let name = &appliance.name;
            return Err(InvalidConfig(format!(
                "cloudforms.appliances names {name:?} twice: the name is the identity, give each its own"
            )));
        }
        known.push(checked(appliance)?);
    }
    Ok(known)
}

fn named(name: &str, section: Section) -> Result<Vec<Appliance>, InvalidConfig> {
    let mut all = section.appliances;
    all.retain(|appliance| appliance.name == name);
    if all.is_empty() {
        return Err(InvalidConfig(format!(
            "cloudforms.appliances has none of the name {:?}: add it, or give --url",
            fetcher_core::printable::printable(name, 60)
        )));
    }
    Ok(all)
}

/// The appliance at `url`; what the section says of one of this name holds too.
fn described(
    name: Option<String>,
    url: String,
    username: Option<String>,
    section: &Section,
) -> Result<Appliance, InvalidConfig> {
    let name = name.ok_or_else(|| {
        InvalidConfig(
            "--url needs --appliance NAME: the name is the identity of its Hosts".to_owned(),
        )
    })?;
    let configured = section.appliances.iter().find(|appliance| appliance.name == name);
    let username = username
        .or_else(|| configured.map(|appliance| appliance.username.clone()))
        .ok_or_else(|| InvalidConfig("--url needs --username NAME".to_owned()))?;
    Ok(match configured {
        Some(appliance) => Appliance { url, username, ..appliance.clone() },
        None => Appliance {
            name,
            url,
            username,
            password: None,
            group: None,
            only_powered_on: false,
            hypervisors: false,
            push_down: true,
            page_size: PAGE_SIZE,
            refresh_max_age: refresh_max_age(),
            expect: Expect::default(),
            gone: GoneOverride::default(),
            suspend: false,
            http: HttpSettings::default(),
        },
    })
}

fn checked(appliance: Appliance) -> Result<Config, InvalidConfig> {
    let name = appliance.name.as_str();
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(word) {
        return Err(InvalidConfig(format!(
            "{:?} cannot name an appliance: up to {NAME_MAX} lower-case letters, digits and -",
            fetcher_core::printable::printable(name, 60)
        )));
    }
    if !(10..=PAGE_SIZE).contains(&appliance.page_size) {
        return Err(InvalidConfig(format!(
            "pageSize of appliance {name} must be between 10 and {PAGE_SIZE}"
        )));
    }
    if !appliance.refresh_max_age.is_positive() {
        return Err(InvalidConfig(format!(
            "refreshMaxAge of appliance {name} must be more than nothing: 24h"
        )));
    }
    if appliance.username.trim().is_empty() || appliance.username.contains(':') {
        return Err(InvalidConfig(format!(
            "the username of appliance {name} is empty or holds a colon, which Basic authentication cannot say"
        )));
    }
    let mut url = url::Url::parse(&appliance.url).map_err(|e| {
        InvalidConfig(format!("the url of appliance {name} is none: {e}; write https://HOST"))
    })?;
    if matches!(url.path(), "" | "/") {
        url.set_path("/api/");
    }
    let password =
        appliance.password.clone().unwrap_or_else(|| SecretRef::Env(PASSWORD_VARIABLE.to_owned()));
    Ok(Config { url, password, appliance })
}

/// A text that is set: an environment variable that is empty is not.
fn set(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn configs(section: Value, flags: Flags) -> Result<Vec<Config>, String> {
        let section = serde_json::from_value(section).map_err(|e| e.to_string())?;
        appliances(section, flags).map_err(|e| e.to_string())
    }

    fn one(more: &Value) -> Value {
        let mut one =
            json!({"name": "dc1", "url": "https://cf.example.com", "username": "inventory"});
        one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"appliances": [one]})
    }

    fn flags(appliance: &str, url: &str, username: &str) -> Flags {
        let text = |text: &str| Some(text.to_owned());
        Flags { appliance: text(appliance), url: text(url), username: text(username) }
    }

    #[test]
    fn an_appliance_is_asked_below_api_and_a_version_is_kept() {
        let url = |url: &str| {
            configs(one(&json!({ "url": url })), Flags::default()).unwrap()[0].url.to_string()
        };
        assert_eq!(url("https://cf.example.com"), "https://cf.example.com/api/");
        assert_eq!(url("https://cf.example.com/api/v4.2.0"), "https://cf.example.com/api/v4.2.0");
    }

    #[test]
    fn flags_describe_an_appliance_without_a_file() {
        let config =
            &configs(json!({}), flags("lab", "https://lab.example.com", "admin")).unwrap()[0];
        assert_eq!(config.appliance.name, "lab");
        assert_eq!(config.password, SecretRef::Env("CLOUDFORMS_PASSWORD".into()));
        assert!(config.appliance.push_down && !config.appliance.only_powered_on);
    }

    #[test]
    fn flags_keep_what_the_file_says_of_the_appliance() {
        let section = one(&json!({"group": "EvmGroup-user", "password": {"file": "/run/p"}}));
        let config = &configs(section, flags("dc1", "https://other.example.com", "")).unwrap()[0];
        assert_eq!(config.appliance.group.as_deref(), Some("EvmGroup-user"));
        assert_eq!(config.url.host_str(), Some("other.example.com"));
        assert_eq!(config.appliance.username, "inventory");
    }

    #[test]
    fn a_flag_chooses_one_of_the_configured_and_names_what_is_missing() {
        assert_eq!(configs(one(&json!({})), flags("dc1", "", "")).unwrap().len(), 1);
        assert!(configs(one(&json!({})), flags("dc2", "", "")).unwrap_err().contains("dc2"));
        assert!(
            configs(json!({}), flags("", "https://x", "u")).unwrap_err().contains("--appliance")
        );
        assert!(configs(json!({}), Flags::default()).unwrap_err().contains("no appliance"));
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_its_name() {
        let error = |more: Value| configs(one(&more), Flags::default()).unwrap_err();
        assert!(error(json!({"name": "DC 1"})).contains("DC 1"));
        assert!(error(json!({"name": "a/hypervisors"})).contains("cannot name"));
        assert!(error(json!({"pageSize": 5000})).contains("pageSize of appliance dc1"));
        assert!(error(json!({"refreshMaxAge": "0s"})).contains("refreshMaxAge of appliance dc1"));
        assert!(error(json!({"username": "a:b"})).contains("colon"));
        assert!(error(json!({"url": "cf"})).contains("url of appliance dc1"));
        assert!(error(json!({"passwort": {"env": "X"}})).contains("passwort"));
        assert!(configs(one(&json!({"password": "s3cr3t"})), Flags::default()).is_err());
        let both = json!({"appliances": [one(&json!({}))["appliances"][0], one(&json!({}))["appliances"][0]]});
        assert!(configs(both, Flags::default()).unwrap_err().contains("twice"));
    }
}
