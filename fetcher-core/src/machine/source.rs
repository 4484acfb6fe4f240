//! The unit of listing and of ownership, and its name.

use std::fmt;

use super::Text;
use crate::naming;

/// A provider and a scope: the unit that is listed as a whole and owned as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    provider: &'static str,
    scope: Text,
    name: Text,
}

impl Source {
    /// The source of `provider` whose scope has these `parts`, always as many of them for one provider:
    /// `("aws", &["210987654321", "eu-west-1"])` has the scope `210987654321/eu-west-1`.
    ///
    /// Its name is a valid label value of at most 63 characters and another one for every other scope:
    /// the parts joined by `-` where that can be undone (only the last part holds a `-`, all are
    /// lower-case letters, digits and `-`), else a slug with a hash of the scope.
    #[must_use]
    pub fn new(provider: &'static str, parts: &[&str]) -> Self {
        let scope = parts.join("/");
        let last = parts.len().saturating_sub(1);
        let plain = parts
            .iter()
            .enumerate()
            .all(|(at, part)| naming::is_label(part) && (at == last || !part.contains('-')));
        let joined = format!("{provider}-{}", parts.join("-"));
        let name = if plain && joined.len() <= naming::MAX {
            joined
        } else {
            naming::with_hash(&joined, &scope)
        };
        Self { provider, scope: scope.into(), name: name.into() }
    }

    /// A source that is known by its name only, as the store tells it: enough to read its Hosts, too little to make one.
    pub(crate) fn named(provider: &'static str, name: Text) -> Self {
        Self { provider, scope: Text::default(), name }
    }

    /// The infrastructure API: `aws`, `baremetal`, …
    #[must_use]
    pub const fn provider(&self) -> &'static str {
        self.provider
    }

    /// What of the provider: an account and region, a project, an appliance, a configured endpoint.
    #[must_use]
    pub const fn scope(&self) -> &Text {
        &self.scope
    }

    /// The name that owns Hosts: `spec.source.name`.
    #[must_use]
    pub const fn name(&self) -> &Text {
        &self.name
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
