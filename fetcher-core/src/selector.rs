//! Which machines are wanted: the Kubernetes label-selector grammar over tags and facts.
//!
//! `team=web,env in (prod,staging),!retired,@region=eu-west-1`: requirements joined by commas, all of which
//! must hold. A key is a tag's, or with `@` a fact's. Not limited to what a label may hold: keys and values are
//! any tag text, in quotes where they hold white space or one of `,=!()'"`. As in Kubernetes, `!=` and `notin`
//! hold for a machine without the key too.
//! (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>)

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::machine::{Hardware, Location, Machine, Owner, Text, TextMap};

mod parse;
#[cfg(test)]
mod tests;

pub use parse::SelectorError;

/// The facts every provider has, by their key without `@`.
pub const FACTS: &[&str] = &[
    "account",
    "architecture",
    "hostname",
    "model",
    "project",
    "provider-state",
    "rack",
    "region",
    "site",
    "state",
    "tenant",
    "type",
    "vendor",
    "zone",
];

/// Requirements that a machine meets, all of them. The empty selector selects every machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    requirements: Vec<Requirement>,
}

/// One requirement on one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// What is looked at.
    pub key: Key,
    /// What must hold of it.
    pub test: Test,
}

/// What a requirement looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A tag, by its key.
    Tag(String),
    /// A fact, by its key without `@`.
    Fact(String),
}

/// What must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// `a`: the key is there, whatever its value.
    Exists,
    /// `!a`: it is not.
    Absent,
    /// `a=x`, `a==x`, `a in (x,y)`: it is there with one of these values.
    In(BTreeSet<String>),
    /// `a!=x`, `a notin (x,y)`: it is not there, or with another value.
    NotIn(BTreeSet<String>),
}

/// Something a selector can be held against: a machine as it is, or as a Host recorded it.
pub trait Facts {
    /// The value of a tag.
    fn tag(&self, key: &str) -> Option<&str>;
    /// The value of a fact, by its key without `@`. An empty value is none.
    fn fact(&self, key: &str) -> Option<&str>;
}

impl Selector {
    /// The requirements in the order they were written: what a provider may push down.
    #[must_use]
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Selects what both select.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.requirements.extend(other.requirements);
        self
    }

    /// The selector of one requirement.
    #[must_use]
    pub fn one(key: Key, test: Test) -> Self {
        Self { requirements: vec![Requirement { key, test }] }
    }

    /// Whether every machine is selected.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether all requirements hold.
    pub fn matches(&self, machine: &impl Facts) -> bool {
        self.requirements.iter().all(|requirement| requirement.holds(machine))
    }

    /// The facts asked for that are neither among [`FACTS`] nor among the provider's `own`.
    pub fn unknown_facts<'a>(&'a self, own: &'a [&str]) -> impl Iterator<Item = &'a str> {
        self.requirements.iter().filter_map(move |requirement| match &requirement.key {
            Key::Fact(key) if !FACTS.contains(&key.as_str()) && !own.contains(&key.as_str()) => {
                Some(key.as_str())
            }
            Key::Fact(_) | Key::Tag(_) => None,
        })
    }
}

impl Requirement {
    fn holds(&self, machine: &impl Facts) -> bool {
        let value = match &self.key {
            Key::Tag(key) => machine.tag(key),
            Key::Fact(key) => machine.fact(key),
        };
        match (&self.test, value) {
            (Test::Exists, value) => value.is_some(),
            (Test::Absent, value) => value.is_none(),
            (Test::In(values), Some(value)) => values.contains(value),
            (Test::NotIn(values), Some(value)) => !values.contains(value),
            (Test::In(_), None) => false,
            (Test::NotIn(_), None) => true,
        }
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse::selector(text).map(|requirements| Self { requirements })
    }
}

/// The canonical form: parses to an equal selector again.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, requirement) in self.requirements.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            write!(f, "{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match &self.test {
            Test::Exists => write!(f, "{key}"),
            Test::Absent => write!(f, "!{key}"),
            Test::In(values) => write!(f, "{key} in ({})", list(values)),
            Test::NotIn(values) => write!(f, "{key} notin ({})", list(values)),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // A tag whose key begins with `@` is quoted as a whole, so that it is not read as a fact.
            Self::Tag(key) if key.starts_with('@') => write!(f, "{}", parse::quote(key)),
            Self::Tag(key) => f.write_str(&parse::quote_if_needed(key)),
            Self::Fact(key) => write!(f, "@{}", parse::quote_if_needed(key)),
        }
    }
}

fn list(values: &BTreeSet<String>) -> String {
    values.iter().map(|value| parse::quote_if_needed(value)).collect::<Vec<_>>().join(",")
}

impl Facts for Machine {
    fn tag(&self, key: &str) -> Option<&str> {
        self.tags.get(key).map(AsRef::as_ref)
    }

    fn fact(&self, key: &str) -> Option<&str> {
        if key == "state" {
            return Some(self.state.as_str());
        }
        fact(
            key,
            self.hostname.as_ref(),
            self.provider_state.as_ref(),
            &self.location,
            &self.hardware,
            &self.owner,
            &self.facts,
        )
    }
}

/// A fact by its key, from the parts that a machine and a status have in common.
pub(crate) fn fact<'a>(
    key: &str,
    hostname: Option<&'a Text>,
    provider_state: Option<&'a Text>,
    location: &'a Location,
    hardware: &'a Hardware,
    owner: &'a Owner,
    facts: &'a TextMap,
) -> Option<&'a str> {
    let text = match key {
        "account" => owner.account.as_ref(),
        "architecture" => hardware.architecture.as_ref(),
        "hostname" => hostname,
        "model" => hardware.model.as_ref(),
        "project" => owner.project.as_ref(),
        "provider-state" => provider_state,
        "rack" => location.rack.as_ref(),
        "region" => location.region.as_ref(),
        "site" => location.site.as_ref(),
        "tenant" => owner.tenant.as_ref(),
        "type" => hardware.kind.as_ref(),
        "vendor" => hardware.vendor.as_ref(),
        "zone" => location.zone.as_ref(),
        other => facts.get(other),
    };
    text.map(AsRef::as_ref).filter(|text: &&str| !text.is_empty())
}
