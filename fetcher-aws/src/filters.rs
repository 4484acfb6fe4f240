//! The part of a selector that EC2's filters can say in exactly the same way.
//!
//! An optimisation only: the core applies the whole selector again. What a filter cannot say (a tag that is
//! absent, `!=`, an empty value, a fact) stays with the core, and then more is listed. A machine that a filter
//! hides is looked up by its id before anything is concluded from that.
//! (Filters: several values are OR, several filters AND; names and values are case-sensitive; `*` and `?` are
//! wildcards, `\` takes the next character as it is.)

use aws_sdk_ec2::types::Filter;
use fetcher_core::machine::Text;
use fetcher_core::selector::{Key, Requirement, Selector, Test};

/// Values in one call at the most. AWS documents no number that we could find; 200 is the one that is quoted.
const VALUES: usize = 200;
/// Filters in one call at the most; 50 is the number that is quoted.
const FILTERS: usize = 50;

/// The filters that hold for every machine which `selector` selects.
pub(crate) fn pushed(selector: &Selector) -> Vec<Filter> {
    let mut room = VALUES;
    selector
        .requirements()
        .iter()
        .filter_map(|requirement| {
            let (name, values) = expressible(requirement)?;
            room = room.checked_sub(values.len())?;
            Some(filter(&name, values))
        })
        .take(FILTERS)
        .collect()
}

/// The filter that matches exactly these ids. Never `InstanceIds`: one unknown id there fails the whole call.
pub(crate) fn ids(ids: &[Text]) -> Vec<Filter> {
    vec![filter("instance-id", ids.iter().map(|id| literal(id)).collect())]
}

fn expressible(requirement: &Requirement) -> Option<(String, Vec<String>)> {
    let Key::Tag(key) = &requirement.key else { return None };
    match &requirement.test {
        Test::Exists => Some(("tag-key".to_owned(), vec![literal(key)])),
        // Whether wildcards hold in the name of a filter too is documented nowhere, nor is an empty value.
        Test::In(values) if key.contains(WILD) || values.contains("") => None,
        Test::In(values) => {
            Some((format!("tag:{key}"), values.iter().map(|value| literal(value)).collect()))
        }
        Test::Absent | Test::NotIn(_) => None,
    }
}

const WILD: [char; 3] = ['*', '?', '\\'];

/// `text` as a filter value that matches nothing else.
fn literal(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for c in text.chars() {
        if WILD.contains(&c) {
            value.push('\\');
        }
        value.push(c);
    }
    value
}

pub(crate) fn filter(name: &str, values: Vec<String>) -> Filter {
    Filter::builder().name(name).set_values(Some(values)).build()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(selector: &str, wanted: &[(&str, &[&str])]) {
        let filters = pushed(&selector.parse().unwrap());
        let got: Vec<(&str, Vec<&str>)> = filters
            .iter()
            .map(|f| (f.name().unwrap(), f.values().iter().map(String::as_str).collect()))
            .collect();
        let wanted: Vec<(&str, Vec<&str>)> = wanted.iter().map(|(n, v)| (*n, v.to_vec())).collect();
        assert_eq!(got, wanted, "{selector}");
    }

    #[test]
    fn what_a_filter_says_exactly_is_pushed_down_and_the_rest_is_not() {
        check("", &[]);
        check("team=web", &[("tag:team", &["web"])]);
        check("env in (prod,staging)", &[("tag:env", &["prod", "staging"])]);
        check("managed", &[("tag-key", &["managed"])]);
        check("!retired,team!=web,env notin (dev),@zone=a", &[]);
        check("team=web,!retired", &[("tag:team", &["web"])]);
    }

    #[test]
    fn wildcards_in_values_are_escaped_and_keys_with_wildcards_stay_here() {
        check(r#"team="a*b?c\\d""#, &[("tag:team", &[r"a\*b\?c\\d"])]);
        check(r#""cost*""#, &[("tag-key", &[r"cost\*"])]);
        check(r#""cost*"=1"#, &[]);
    }

    #[test]
    fn an_empty_value_is_not_pushed_down() {
        check("team in (web,\"\")", &[]);
    }

    #[test]
    fn more_values_than_a_call_takes_are_not_pushed_down() {
        let many: Vec<String> = (0..201).map(|n| format!("v{n}")).collect();
        check(&format!("team in ({})", many.join(",")), &[]);
    }

    /// EC2's rule for a value: `*` is any text, `?` one character, `\` takes the next one as it is.
    fn matches(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], text) => text.is_empty(),
            (['*', rest @ ..], text) => (0..=text.len()).any(|at| matches(rest, &text[at..])),
            (['?', rest @ ..], [_, text @ ..]) => matches(rest, text),
            (['\\', c, rest @ ..], [first, text @ ..]) if c == first => matches(rest, text),
            (['\\', ..], _) => false,
            ([c, rest @ ..], [first, text @ ..]) => c == first && matches(rest, text),
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(crate::tests::cases())]

        #[test]
        fn a_literal_matches_its_own_text_and_no_other(
            text in r"[ab*?\\]{0,8}", other in r"[ab*?\\]{0,8}", any in "\\PC{0,20}",
        ) {
            let [text, other, any] = [text, other, any].map(|text| text.chars().collect::<Vec<_>>());
            let pattern = |text: &[char]| -> Vec<char> {
                literal(&text.iter().collect::<String>()).chars().collect()
            };
            prop_assert!(matches(&pattern(&text), &text));
            prop_assert!(matches(&pattern(&any), &any));
            prop_assert_eq!(matches(&pattern(&text), &other), text == other);
        }
    }
}
