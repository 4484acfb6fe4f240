//! Command lines: what is read, what is refused, and the help as a person sees it. The environment is left alone.

use super::*;
use crate::testing::{Flags, Toy};

/// The flags in `words`; no test here sets a variable, because the environment belongs to the whole process.
fn parse(words: &str) -> Result<Args<Flags>, String> {
    let words = std::iter::once("fetcher-toy").chain(words.split_whitespace());
    Args::parse_from::<Toy>(words.map(OsString::from)).map_err(|error| error.to_string())
}

#[test]
fn flags_stand_before_or_after_the_command() {
    for words in ["--config a.yaml --size 3 check", "check --config a.yaml --size 3"] {
        let args = parse(words).unwrap();
        assert_eq!(args.command, Some(Command::Check), "{words}");
        assert_eq!(args.common.config.as_deref(), Some(std::path::Path::new("a.yaml")), "{words}");
        assert_eq!(args.flags.size, Some(3), "{words}");
    }
}

#[test]
fn flags_that_mean_nothing_alone_are_refused() {
    for (words, hint) in [
        ("--dry-run", "--dry-run goes with --once"),
        ("--approve 51be07c2a9d3", "--approve goes with --once"),
        ("--output json", "--output goes with --once"),
        ("--once --exit-code", "--exit-code goes with --once --dry-run"),
        ("--exit-code", "--exit-code goes with --once --dry-run"),
        ("--once --selector team=", ""),
    ] {
        match parse(words) {
            Err(error) => assert!(error.contains(hint) && !hint.is_empty(), "{words}: {error}"),
            Ok(_) => assert!(hint.is_empty(), "{words} was taken"),
        }
    }
    assert!(parse("--once --dry-run --exit-code --output markdown").is_ok());
}

#[test]
fn a_store_is_a_file_or_a_namespace() {
    let kubernetes = |context: Option<&str>, namespace: &str| StoreFlag::Kubernetes {
        context: context.map(ToOwned::to_owned),
        namespace: namespace.to_owned(),
    };
    assert_eq!("file:a/b.json".parse(), Ok(StoreFlag::File("a/b.json".into())));
    assert_eq!("kubernetes:aws-eu".parse(), Ok(kubernetes(None, "aws-eu")));
    let arn = "kubernetes:arn:aws:eks:eu-west-1:1:cluster/prod/hosts";
    assert_eq!(arn.parse(), Ok(kubernetes(Some("arn:aws:eks:eu-west-1:1:cluster/prod"), "hosts")));
    for bad in ["", "file:", "kubernetes:", "inventory.json", "etcd:x"] {
        assert!(bad.parse::<StoreFlag>().is_err(), "{bad}");
    }
}

#[test]
fn every_flag_has_a_variable_and_shows_no_value() {
    let mut command = command::<Toy>();
    command.build();
    for arg in
        command.get_arguments().filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version"))
    {
        let variable = arg.get_env().and_then(|name| name.to_str()).unwrap_or_default();
        let flag = arg.get_long().unwrap_or_default().to_uppercase().replace('-', "_");
        assert_eq!(variable, format!("FETCHER_{flag}"));
        assert!(arg.is_hide_env_values_set(), "{variable}");
    }
}

#[test]
fn the_help_is_what_a_person_needs() {
    let mut command = command::<Toy>().term_width(100);
    insta::assert_snapshot!(command.render_help());
}
