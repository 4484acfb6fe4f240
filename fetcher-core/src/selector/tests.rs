//! What a selector selects, how it is read, and where an error points.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use proptest::prelude::*;

use super::{Facts, Key, Selector, Test};

/// Tags as they are; facts under their `@` key.
struct Bag(BTreeMap<String, String>);

impl Facts for Bag {
    fn tag(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
    fn fact(&self, key: &str) -> Option<&str> {
        self.0.get(&format!("@{key}")).map(String::as_str)
    }
}

#[track_caller]
fn check(selector: &str, tags: &[(&str, &str)], expected: bool) {
    let bag = Bag(tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
    let parsed: Selector = selector.parse().unwrap();
    assert_eq!(parsed.matches(&bag), expected, "{selector} over {tags:?}");
}

#[test]
fn every_form_of_the_grammar_means_what_it_means_in_kubernetes() {
    let web = [("env", "prod"), ("team", "web"), ("empty", "")];
    check("", &web, true);
    check("  ", &web, true);
    check("env=prod", &web, true);
    check("env==prod", &web, true);
    check("env = prod", &web, true);
    check("env=staging", &web, false);
    check("env!=staging", &web, true);
    check("env!=prod", &web, false);
    check("absent!=prod", &web, true);
    check("absent=prod", &web, false);
    check("env in (staging, prod)", &web, true);
    check("env in (staging)", &web, false);
    check("env notin (staging)", &web, true);
    check("env notin (staging,prod)", &web, false);
    check("absent notin (x)", &web, true);
    check("absent in (x)", &web, false);
    check("env", &web, true);
    check("absent", &web, false);
    check("!absent", &web, true);
    check("!env", &web, false);
    check("empty=", &web, true);
    check("empty in (,x)", &web, true);
    check("env=", &web, false);
    check("env=prod,team=web", &web, true);
    check("env=prod,team=db", &web, false);
    check("in in (in),in", &[("in", "in")], true);
}

#[test]
fn facts_and_tags_of_one_name_are_two_keys() {
    check("@region=eu,region=us", &[("@region", "eu"), ("region", "us")], true);
    check("@region", &[("region", "us")], false);
    check("\"@odd\"=1", &[("@odd", "1")], true);
}

#[test]
fn any_tag_text_can_be_said_in_quotes() {
    check(r#""Cost Centre"="a,b (c)""#, &[("Cost Centre", "a,b (c)")], true);
    check(r#"k='it\'s "so"'"#, &[("k", "it's \"so\"")], true);
    check(r#"k="back\\slash""#, &[("k", "back\\slash")], true);
    check("aws:autoscaling:groupName=web-é*", &[("aws:autoscaling:groupName", "web-é*")], true);
}

#[track_caller]
fn refuse(selector: &str, message: &str) {
    assert_eq!(selector.parse::<Selector>().unwrap_err().to_string(), message);
}

#[test]
fn an_error_points_at_the_place() {
    refuse("env=prod,,x", "expected a key at character 10\n  env=prod,,x\n           ^");
    refuse("env in prod", "expected `(` at character 8\n  env in prod\n         ^");
    refuse("env in (a", "expected `,` or `)` at character 10\n  env in (a\n           ^");
    refuse("env!prod", "expected `=` after `!` at character 5\n  env!prod\n      ^");
    refuse("a='x", "this quote is not closed at character 3\n  a='x\n    ^");
    refuse("a=b c", "expected `,` or the end at character 5\n  a=b c\n      ^");
    refuse("@=x", "expected the name of a fact at character 2\n  @=x\n   ^");
    refuse(
        "team lead=x",
        "expected `=`, `==`, `!=`, `in`, `notin` or `,` (text with a blank wants quotes) at character 6\n  team lead=x\n       ^",
    );
}

#[test]
fn unknown_facts_are_named() {
    let selector: Selector = "@regoin=eu,@vpc=x,@zone,tag".parse().unwrap();
    assert_eq!(selector.unknown_facts(&["vpc"]).collect::<Vec<_>>(), ["regoin"]);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "[a-z@!=,() \"'\\\\é\u{0}]{0,40}") {
        let _ = text.parse::<Selector>().map_err(|e| e.to_string());
    }

    #[test]
    fn the_printed_form_is_read_back_to_an_equal_selector(text in "[ab@!=,() \"'\\\\intno]{0,30}") {
        if let Ok(selector) = text.parse::<Selector>() {
            prop_assert_eq!(selector.to_string().parse::<Selector>().unwrap(), selector);
        }
    }
}

#[test]
fn two_selectors_together_select_what_both_select() {
    let hidden = BTreeSet::from(["stopped".to_owned()]);
    let both = Selector::from_str("team=web")
        .unwrap()
        .and(Selector::one(Key::Fact("provider-state".to_owned()), Test::NotIn(hidden)));
    assert_eq!(both.to_string(), "team in (web),@provider-state notin (stopped)");
}
