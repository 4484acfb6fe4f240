//! Texts and small maps of texts, held once however many machines have them.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::ops::Index;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that many machines share (a zone, a type, a tag key), held once.
pub type Text = Arc<str>;

/// One pass over a provider's answer: equal texts become one allocation.
///
/// Make one for each fetch and drop it with the pages; the machines keep what they use.
#[derive(Debug, Default)]
pub struct Interner {
    texts: HashSet<Text>,
    maps: HashSet<TextMap>,
}

impl Interner {
    /// The shared text equal to `text`.
    pub fn text(&mut self, text: &str) -> Text {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let new = Text::from(text);
        self.texts.insert(Arc::clone(&new));
        new
    }

    /// The shared text equal to `text`, none for an empty or blank one.
    pub fn some(&mut self, text: &str) -> Option<Text> {
        let text = text.trim();
        (!text.is_empty()).then(|| self.text(text))
    }

    /// The shared map equal to `map`.
    pub fn map(&mut self, map: TextMap) -> TextMap {
        if let Some(known) = self.maps.get(&map) {
            return known.clone();
        }
        self.maps.insert(map.clone());
        map
    }
}

/// A small map of texts (tags, facts): sorted by key, in one allocation that clones share. A change copies it.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct TextMap(Arc<[(Text, Text)]>);

impl TextMap {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Text> {
        let at = self.0.binary_search_by(|(known, _)| (**known).cmp(key)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// Keys and values in the order of keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Text, &Text)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// The keys in their order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Text> {
        self.0.iter().map(|(key, _)| key)
    }

    /// How many keys it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives a key this value.
    pub fn insert(&mut self, key: Text, value: Text) {
        *self = self.0.iter().cloned().chain([(key, value)]).collect();
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) {
        *self = self.0.iter().filter(|(known, _)| &**known != key).cloned().collect();
    }

    /// This map with the keys of `other` that it lacks.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        if other.keys().all(|key| self.get(key).is_some()) {
            return self;
        }
        if self.is_empty() {
            return other.clone();
        }
        other.0.iter().chain(&*self.0).cloned().collect()
    }
}

impl fmt::Debug for TextMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Index<&str> for TextMap {
    type Output = Text;

    #[expect(clippy::panic, reason = "as every map does")]
    fn index(&self, key: &str) -> &Text {
        self.get(key).unwrap_or_else(|| panic!("no key {key:?}"))
    }
}

/// Of a key that comes twice the last value counts.
impl FromIterator<(Text, Text)> for TextMap {
    fn from_iter<I: IntoIterator<Item = (Text, Text)>>(pairs: I) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs.dedup_by(|later, earlier| {
            let is_same = later.0 == earlier.0;
            if is_same {
                std::mem::swap(later, earlier);
            }
            is_same
        });
        Self(pairs.into())
    }
}

impl From<BTreeMap<Text, Text>> for TextMap {
    fn from(map: BTreeMap<Text, Text>) -> Self {
        Self(map.into_iter().collect())
    }
}

impl<const N: usize> From<[(Text, Text); N]> for TextMap {
    fn from(pairs: [(Text, Text); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl Serialize for TextMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for TextMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = TextMap;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TextMap, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs.into_iter().collect())
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> TextMap {
        pairs.iter().map(|(key, value)| (Text::from(*key), Text::from(*value))).collect()
    }

    #[test]
    fn it_is_the_map_that_a_tree_of_the_same_pairs_is() {
        let pairs = [("b", "1"), ("a", "2"), ("b", "3"), ("c", "4"), ("b", "5")];
        let tree: BTreeMap<Text, Text> =
            pairs.iter().map(|(key, value)| (Text::from(*key), Text::from(*value))).collect();
        let map = map(&pairs);
        assert_eq!(map, TextMap::from(tree.clone()));
        assert_eq!((map.get("b"), map.get("d")), (tree.get("b"), None));
        let json = serde_json::to_string(&map).unwrap();
        assert_eq!(json, serde_json::to_string(&tree).unwrap());
        assert_eq!(serde_json::from_str::<TextMap>(&json).unwrap(), map);
    }

    #[test]
    fn a_change_leaves_the_clones_as_they_were() {
        let before = map(&[("a", "1")]);
        let mut after = before.clone();
        after.insert("b".into(), "2".into());
        after.remove("a");
        assert_eq!((before, after), (map(&[("a", "1")]), map(&[("b", "2")])));
    }

    #[test]
    fn what_a_map_says_itself_wins_over_what_it_is_given() {
        let given = map(&[("a", "given"), ("c", "given")]);
        let own = map(&[("a", "own"), ("b", "own")]);
        assert_eq!(own.or(&given), map(&[("a", "own"), ("b", "own"), ("c", "given")]));
        assert_eq!(TextMap::default().or(&given), given);
    }

    #[test]
    fn equal_maps_are_one_allocation_after_interning() {
        let mut texts = Interner::default();
        let (one, other) = (texts.map(map(&[("a", "1")])), texts.map(map(&[("a", "1")])));
        assert!(Arc::ptr_eq(&one.0, &other.0));
    }
}
