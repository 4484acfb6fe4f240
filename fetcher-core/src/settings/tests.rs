//! Flags and file together: which wins, and what has to be spelled out.

use super::*;
use crate::config::parse;
use crate::testing::Toy;

fn settings(file: &str, flags: &Common) -> Result<Settings, String> {
    let config = if file.is_empty() { Config::<Toy>::default() } else { parse(file).unwrap() };
    Settings::new(config, flags).map(|(settings, _)| settings).map_err(|error| error.0)
}

fn flags(store: &str) -> Common {
    Common { store: Some(store.parse().unwrap()), ..Common::default() }
}

const CLUSTER: &str =
    "store: {kubernetes: {namespace: a, server: 'https://k:6443', tokenFile: /t}}\n";

#[test]
fn without_a_file_hosts_go_to_inventory_json() {
    let settings = settings("", &Common::default()).unwrap();
    assert_eq!(settings.store, StoreConfig::File(FileConfig { path: "inventory.json".into() }));
    assert!(settings.selector.is_empty() && settings.listen.is_none());
    assert_eq!(settings.schedule.to_string(), "every 60s");
}

#[test]
fn flags_win_over_the_file() {
    let file = "selector: team=web\nstore: {file: {path: a.json}}\n";
    let selector = Some("env=prod".parse().unwrap());
    let settings = settings(file, &Common { selector, ..flags("file:b.json") }).unwrap();
    assert_eq!(settings.selector.to_string(), "env in (prod)");
    assert_eq!(settings.store, StoreConfig::File(FileConfig { path: "b.json".into() }));
}

#[test]
fn the_kubernetes_store_wants_its_selector_spelled_out_be_it_empty() {
    assert!(settings(CLUSTER, &Common::default()).unwrap_err().contains("selector is missing"));
    assert!(settings(&format!("{CLUSTER}selector: ''\n"), &Common::default()).is_ok());
    let selector = Some(Selector::default());
    assert!(settings(CLUSTER, &Common { selector, ..Common::default() }).is_ok());
}

#[test]
fn a_namespace_by_flag_keeps_the_way_in_of_the_file() {
    let file = format!("{CLUSTER}selector: ''\n");
    let StoreConfig::Kubernetes(store) = settings(&file, &flags("kubernetes:b")).unwrap().store
    else {
        panic!("another store");
    };
    assert_eq!((store.namespace.as_str(), store.token_file), ("b", Some("/t".into())));
}

#[test]
fn a_context_by_flag_wants_its_kubeconfig() {
    let selector = Some(Selector::default());
    let named = Common { selector, ..flags("kubernetes:prod/b") };
    assert!(settings("", &named).unwrap_err().contains("--kubeconfig"));
    let named = Common { kubeconfig: Some("/k".into()), ..named };
    let StoreConfig::Kubernetes(store) = settings("", &named).unwrap().store else {
        panic!("another store");
    };
    assert_eq!((store.context.as_deref(), store.namespace.as_str()), (Some("prod"), "b"));
}

#[test]
fn a_kubeconfig_by_flag_stands_in_place_of_the_one_of_the_file() {
    let file =
        "store: {kubernetes: {namespace: a, kubeconfig: /old, context: prod}}\nselector: ''\n";
    let kubeconfig = Some(std::path::PathBuf::from("/new"));
    for flags in [Common::default(), flags("kubernetes:b")] {
        let flags = Common { kubeconfig: kubeconfig.clone(), ..flags };
        let StoreConfig::Kubernetes(store) = settings(file, &flags).unwrap().store else {
            panic!("another store");
        };
        assert_eq!(store.kubeconfig, kubeconfig, "{flags:?}");
        assert_eq!(store.context.as_deref(), Some("prod"), "{flags:?}");
    }
}

#[test]
fn a_kubeconfig_by_flag_is_refused_where_hosts_would_go_elsewhere() {
    let server = format!("{CLUSTER}selector: ''\n");
    let pod = "store: {kubernetes: {namespace: a}}\nselector: ''\n";
    for (file, flags, place) in [
        ("", Common::default(), "into the file inventory.json"),
        ("", flags("file:b.json"), "into the file b.json"),
        (&server, Common::default(), "to the server https://k:6443/"),
        (&server, flags("kubernetes:b"), "to the server https://k:6443/"),
        (pod, Common::default(), "to the cluster this runs in"),
        ("selector: ''\n", flags("kubernetes:b"), "to the cluster this runs in"),
    ] {
        let flags = Common { kubeconfig: Some("/k".into()), ..flags };
        let error = settings(file, &flags).unwrap_err();
        assert!(error.contains(place) && error.contains("--store kubernetes:"), "{error}");
    }
}

#[test]
fn a_file_without_a_name_is_refused() {
    let error = settings("store: {file: {path: ''}}\n", &Common::default()).unwrap_err();
    assert!(error.contains("store.file.path is empty"), "{error}");
}

#[test]
fn what_can_never_match_is_refused() {
    let error = settings("selector: '@color=red'\n", &Common::default()).unwrap_err();
    assert!(error.contains("@color") && error.contains("@colour"), "{error}");
    let error = settings("labels: {tags: ['cost centre']}\n", &Common::default()).unwrap_err();
    assert!(error.contains("cost centre"), "{error}");
}

#[test]
fn a_person_at_a_terminal_reads_the_outcome_and_not_the_log() {
    use crate::config::LogLevel::{Debug, Info, Warn};
    let args = |words: &str| {
        let words = words.split_whitespace().map(std::ffi::OsString::from);
        Args::parse_from::<Toy>(words).unwrap()
    };
    let (once, daemon) = (args("x --once"), args("x"));
    assert_eq!(log(None, &once.common, once.quiet(true)).level, Warn);
    assert_eq!(log(None, &once.common, once.quiet(false)).level, Info);
    assert_eq!(log(None, &daemon.common, daemon.quiet(true)).level, Info);
    let asked = args("x --once --log-level debug");
    assert_eq!(log(Some(Log::default()), &asked.common, asked.quiet(true)).level, Debug);
}
