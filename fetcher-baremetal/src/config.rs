//! The section `baremetal` of the configuration, and the flags that win over it.
//!
//! Not the settings of one kind: those are in that kind's folder. What every kind has, under the same keys:
//! `name` (the identity of the source), `expect`, `gone` and `suspend`.

use std::sync::Arc;

use fetcher_core::app::InvalidConfig;
use fetcher_core::config::GoneOverride;
use fetcher_core::provider::{Expect, SourceSettings};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{file, ironic, maas, netbox, redfish};

/// The longest name of a source, in characters.
const NAME_MAX: usize = 100;

/// The section `baremetal`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Section {
    /// Where machines are listed from: each entry has one key, its kind.
    pub sources: Vec<SourceConfig>,
}

/// One entry of `sources`: its kind, and that kind's settings.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SourceConfig {
    /// A list of machines in a file that people or tools write: YAML, JSON or CSV.
    File(file::Config),
    /// The nodes of one OpenStack Ironic.
    Ironic(Box<ironic::Config>),
    /// The devices of one NetBox.
    NetBox(Box<netbox::Config>),
    /// The machines of one MAAS.
    Maas(Box<maas::Config>),
    /// BMCs or aggregators that speak Redfish.
    Redfish(Box<redfish::Config>),
}

/// The flags of fetcher-baremetal.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// List of machines (YAML, JSON or CSV), or a glob of such files; may be given several times, and then
    /// stands in place of the `file` sources of the configuration
    #[arg(long = "file", value_name = "PATH_OR_GLOB", env = "FETCHER_FILE")]
    pub files: Vec<String>,
}

/// The sources to serve: those of the section, its files replaced where flags name some.
#[must_use]
pub fn sources(section: Section, flags: Flags) -> Vec<SourceConfig> {
    let Section { mut sources } = section;
    // An environment variable that is set to nothing is not a file.
    let files: Vec<_> = flags.files.into_iter().filter(|path| !path.is_empty()).collect();
    if !files.is_empty() {
        sources.retain(|source| !matches!(source, SourceConfig::File(_)));
    }
    sources.extend(files.into_iter().map(|path| SourceConfig::File(file::Config::new(path))));
    sources
}

/// The settings that the core keeps for a source.
pub(crate) fn settings(expect: Expect, gone: GoneOverride, suspend: bool) -> Arc<SourceSettings> {
    Arc::new(SourceSettings { expect, gone, suspend })
}

/// Refuses a name that no source may have; `of` says whose it is.
///
/// # Errors
/// What is wrong with it, and what a name may be.
pub(crate) fn valid_name(name: &str, of: &str) -> Result<(), InvalidConfig> {
    let why = if name.is_empty() {
        "is empty"
    } else if name.trim() != name {
        "begins or ends with white space"
    } else if name.chars().any(|c| c.is_control() || c == '/') {
        "holds a slash or a control character"
    } else if name.chars().count() > NAME_MAX {
        "is longer than 100 characters"
    } else {
        return Ok(());
    };
    Err(InvalidConfig(format!(
        "the name {name:?} of {of} {why}: give it a `name` like \"fra1\", which stays when paths and addresses change"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_short_text_without_slash_or_edge_spaces() {
        for good in ["fra1", "Frankfurt 1", "fra1.example.net"] {
            assert!(valid_name(good, "x").is_ok(), "{good}");
        }
        for bad in ["", " fra1", "fra1 ", "a/b", "a\nb", &"x".repeat(101)] {
            assert!(valid_name(bad, "x").is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_flag_stands_in_place_of_the_files_of_the_section() {
        let yaml = "sources: [{file: {path: a.yaml}}, {file: {name: b, path: c.yaml}}]";
        let section = || serde_saphyr::from_str::<Section>(yaml).unwrap();
        assert_eq!(sources(section(), Flags::default()).len(), 2);
        assert_eq!(sources(section(), Flags { files: vec![String::new()] }).len(), 2);
        let flagged = sources(section(), Flags { files: vec!["d.csv".to_owned()] });
        let [SourceConfig::File(file)] = flagged.as_slice() else { panic!("{flagged:?}") };
        assert_eq!(file.path, "d.csv");
    }

    /// Without their CA files, which are not on this machine.
    #[test]
    fn the_examples_of_all_kinds_are_sources() {
        let examples = [
            ("ironic", include_str!("../../deploy/examples/ironic.yaml")),
            ("maas", include_str!("../../deploy/examples/maas.yaml")),
            ("netbox", include_str!("../../deploy/examples/netbox.yaml")),
            ("redfish", include_str!("../../deploy/examples/redfish.yaml")),
        ];
        for (kind, text) in examples {
            let text = text.replace("caFile: /etc/fetcher/ca.pem", "proxy: none");
            let all: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
            let section: Section = serde_json::from_value(all["baremetal"].clone()).unwrap();
            let built = crate::provider::Provider::new(section.sources);
            assert!(built.is_ok(), "{kind}: {built:?}");
        }
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let yaml = "sources:\n- file: {path: a.yaml, pth: b}";
        let error = serde_saphyr::from_str::<Section>(yaml).unwrap_err().to_string();
        assert!(error.contains("pth"), "{error}");
    }
}
