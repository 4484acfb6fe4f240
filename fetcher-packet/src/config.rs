//! The section `packet` of the configuration, and the flags that win over it.
//!
//! Not the settings of the connection, which every REST API has (`http`). No secret stands here: `token` says
//! where it is.

use std::sync::Arc;

use fetcher_core::app::InvalidConfig;
use fetcher_core::config::GoneOverride;
use fetcher_core::http::HttpSettings;
use fetcher_core::provider::{Expect, SourceSettings};
use fetcher_core::secret::SecretRef;
use schemars::JsonSchema;
use serde::Deserialize;

/// Where the public service was until 2026-06-30.
pub(crate) const PUBLIC: &str = "https://api.equinix.com/metal/v1";
/// The variable that Packet's own tools read their key from.
const TOKEN_VARIABLE: &str = "METAL_AUTH_TOKEN";

/// The section `packet`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Section {
    /// Where the API is, its version included. Without one it is that of the public service, which was shut down on
    /// 2026-06-30.
    pub url: Option<String>,
    /// The API key, `{file: PATH}` or `{env: NAME}`; a read-only one of a project suffices for that project. Without one
    /// it is read from METAL_AUTH_TOKEN.
    pub token: Option<SecretRef>,
    /// Projects to serve, each a source of its own. None at all: those that the key can see.
    pub projects: Vec<Project>,
    /// Whether to serve all projects that the key can see, beside those of `projects`. Needs a user's key.
    pub discover: Option<bool>,
    /// The id of an organization: only its projects are discovered.
    pub organization: Option<String>,
    /// Whether a tag that the selector demands is asked for at the server too. The API's filter is not documented
    /// beyond its name, so this is off unless you have tried it there.
    pub push_down: bool,
    /// The connection.
    pub http: HttpSettings,
}

/// A project to serve.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Project {
    /// Its UUID.
    pub id: String,
    /// What a listing must hold to be believed.
    #[serde(default)]
    pub expect: Expect,
    /// Its own brake.
    #[serde(default)]
    pub gone: GoneOverride,
    /// Served, but neither asked nor changed.
    #[serde(default)]
    pub suspend: bool,
}

/// The flags of fetcher-packet.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// Where the API is, its version included
    #[arg(long = "url", value_name = "URL", env = "FETCHER_PACKET_URL")]
    pub url: Option<String>,
    /// UUID of a project to serve; may be given several times, and then stands in place of those of the configuration
    /// and of discovery
    #[arg(long = "project", value_name = "ID", env = "METAL_PROJECT_ID", value_delimiter = ',')]
    pub projects: Vec<String>,
}

/// What is asked, checked and with defaults.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) url: url::Url,
    pub(crate) token: SecretRef,
    pub(crate) projects: Vec<(String, Arc<SourceSettings>)>,
    pub(crate) discover: bool,
    pub(crate) organization: Option<String>,
    pub(crate) push_down: bool,
    pub(crate) http: HttpSettings,
}

impl Config {
    /// The section with its flags.
    ///
    /// # Errors
    /// A url that is none, an empty id, a project named twice.
    pub(crate) fn new(section: Section, flags: Flags) -> Result<Self, InvalidConfig> {
        let url = set(flags.url).or(section.url).unwrap_or_else(|| PUBLIC.to_owned());
        let url = url::Url::parse(&url)
            .map_err(|e| InvalidConfig(format!("packet.url is no URL: {e}; write https://…")))?;
        let chosen: Vec<_> = flags.projects.into_iter().filter(|id| !id.is_empty()).collect();
        let discover = chosen.is_empty() && section.discover.unwrap_or(section.projects.is_empty());
        Ok(Self {
            url,
            token: section.token.unwrap_or_else(|| SecretRef::Env(TOKEN_VARIABLE.to_owned())),
            projects: projects(section.projects, &chosen)?,
            discover,
            organization: set(section.organization),
            push_down: section.push_down,
            http: section.http,
        })
    }
}

/// The configured projects; where flags chose some, those, with what the configuration says of them.
fn projects(
    configured: Vec<Project>,
    chosen: &[String],
) -> Result<Vec<(String, Arc<SourceSettings>)>, InvalidConfig> {
    let mut projects: Vec<(String, Arc<SourceSettings>)> = Vec::new();
    for Project { id, expect, gone, suspend } in configured {
        let id = checked(&id)?;
        if projects.iter().any(|(known, _)| *known == id) {
            return Err(InvalidConfig(format!("packet.projects names {id} twice: leave one out")));
        }
        projects.push((id, Arc::new(SourceSettings { expect, gone, suspend })));
    }
    if chosen.is_empty() {
        return Ok(projects);
    }
    let mut kept: Vec<(String, Arc<SourceSettings>)> = Vec::new();
    for id in chosen {
        let id = checked(id)?;
        if kept.iter().all(|(known, _)| *known != id) {
            let settings = projects.iter().find(|(known, _)| *known == id);
            kept.push((id, settings.map(|(_, it)| Arc::clone(it)).unwrap_or_default()));
        }
    }
    Ok(kept)
}

/// A project's id in the one form it has in a source's name.
pub(crate) fn checked(id: &str) -> Result<String, InvalidConfig> {
    let id = id.trim().to_ascii_lowercase();
    let fits = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if id.is_empty() || id.len() > 100 || !fits {
        let shown = fetcher_core::printable::printable(&id, 60);
        return Err(InvalidConfig(format!(
            "{shown:?} is no id of a project: it is the UUID that the project's page shows"
        )));
    }
    Ok(id)
}

/// A text that is set: an environment variable that is empty is not.
fn set(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(section: serde_json::Value, flags: Flags) -> Result<Config, String> {
        let section = serde_json::from_value(section).map_err(|e| e.to_string())?;
        Config::new(section, flags).map_err(|e| e.to_string())
    }

    fn ids(config: &Config) -> Vec<&str> {
        config.projects.iter().map(|(id, _)| id.as_str()).collect()
    }

    #[test]
    fn without_a_section_all_projects_of_the_public_service_are_meant() {
        let config = config(serde_json::json!({}), Flags::default()).unwrap();
        assert_eq!(config.url.as_str(), PUBLIC);
        assert_eq!(config.token, SecretRef::Env("METAL_AUTH_TOKEN".into()));
        assert!(config.discover && config.projects.is_empty());
    }

    #[test]
    fn named_projects_are_served_alone_unless_discovery_is_asked_for() {
        let named = serde_json::json!({"projects": [{"id": "P1"}]});
        let config = config(named, Flags::default()).unwrap();
        assert!(!config.discover);
        assert_eq!(ids(&config), ["p1"]);
        let both = serde_json::json!({"projects": [{"id": "p1"}], "discover": true});
        assert!(self::config(both, Flags::default()).unwrap().discover);
    }

    #[test]
    fn a_flag_chooses_the_projects_and_keeps_what_the_file_says_of_them() {
        let section = serde_json::json!({"projects": [{"id": "p1", "suspend": true}, {"id": "p2"}],
            "discover": true});
        let flags = Flags { projects: vec!["P1".into(), "p3".into(), "".into()], url: None };
        let config = config(section, flags).unwrap();
        assert_eq!(ids(&config), ["p1", "p3"]);
        assert!(config.projects[0].1.suspend && !config.projects[1].1.suspend);
        assert!(!config.discover);
    }

    #[test]
    fn an_unknown_key_and_a_secret_in_the_file_are_refused() {
        let error = config(serde_json::json!({"tokn": {"env": "X"}}), Flags::default());
        assert!(error.unwrap_err().contains("tokn"));
        assert!(config(serde_json::json!({"token": "s3cr3t"}), Flags::default()).is_err());
    }

    #[test]
    fn a_project_twice_or_with_a_slash_is_refused() {
        let twice = serde_json::json!({"projects": [{"id": "p1"}, {"id": "P1"}]});
        assert!(config(twice, Flags::default()).unwrap_err().contains("twice"));
        let slash = serde_json::json!({"projects": [{"id": "../users"}]});
        assert!(config(slash, Flags::default()).unwrap_err().contains("no id of a project"));
    }
}
