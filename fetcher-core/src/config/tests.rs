//! Configuration files: what is read, and for every mistake its key, its place and the remedy.

use std::time::Duration;

use super::*;
use crate::brake::Policy;
use crate::testing::Toy;

fn error(text: &str) -> String {
    parse::<Toy>(text).unwrap_err().to_string()
}

#[test]
fn a_whole_file_is_read() {
    let text = r#"
schedule: every 5m
selector: team=web,env in (prod,staging),!decommissioned
store: {file: {path: /var/lib/fetcher/inventory.json}}
labels: {tags: [team, env]}
gone: {maxFraction: 0.2}
listen: 127.0.0.1:9480
log: {format: json, level: debug}
concurrency: 64
toy: {size: 3}
"#;
    let config = parse::<Toy>(text).unwrap();
    assert_eq!(config.schedule.unwrap().period(), Duration::from_secs(300));
    assert_eq!(config.selector.unwrap().requirements().len(), 3);
    assert_eq!(config.labels.tags, ["team", "env"]);
    assert_eq!(config.gone, Policy { max_fraction: 0.2, floor: 5 });
    assert_eq!(config.listen.unwrap().port(), 9480);
    assert_eq!(config.log.unwrap(), Log { format: LogFormat::Json, level: LogLevel::Debug });
    assert_eq!(config.concurrency.get(), 64);
    assert_eq!(config.section.unwrap().size, 3);
}

#[test]
fn a_concurrency_of_none_or_too_many_is_refused() {
    for number in ["0", "1001", "99999"] {
        assert!(error(&format!("concurrency: {number}")).contains("1 to 1000"), "{number}");
    }
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = parse::<Toy>("toy: {size: 1}").unwrap();
    assert_eq!(config.gone, Policy { max_fraction: 0.1, floor: 5 });
    assert!(config.selector.is_none() && config.store.is_none() && config.listen.is_none());
}

#[test]
fn a_cron_schedule_is_written_either_way() {
    let plain = parse::<Toy>("schedule: 0 */5 * * * *").unwrap().schedule;
    let map = parse::<Toy>("schedule: {cron: '0 */5 * * * *'}").unwrap().schedule;
    assert!(plain.is_some());
    assert_eq!(plain, map);
}

#[test]
fn every_mistake_names_its_key_its_place_and_the_remedy() {
    let mistakes = [
        "",
        "selectr: team=web\n",
        "toy: {sise: 3}\n",
        "store: {file: {path: a.json, mode: 600}}\n",
        "store: {postgres: {}}\n",
        "store: {kubernetes: {namespace: a, contxt: b}}\n",
        "store: {kubernetes: {context: a}}\n",
        "listen: localhost\n",
        "schedule: every minute\n",
        "schedule: {crn: '* * * * * *'}\n",
        "selector: team in web\n",
        "gone:\n  maxFraction: 10\n",
        "gone: {maxFraction: .nan}\n",
        "gone: {floor: -1}\n",
        "log: {level: loud}\n",
        "log: {level: info}\nlog: {level: info}\n",
        "labels: {tags: team}\n",
        "toy: {size: yes}\n",
        "labels: {tags: [12]}\n",
        "a: &x 1\nb: *x\n",
        "--- \nlog: {}\n---\nlog: {}\n",
        "toy: {size: 1\n",
        "selector: \"a in (x\"\n",
        "selector: =\n",
        "selector: [a]\n",
        "selector:\n",
        "store:\n",
        "store: ~\n",
        "store: {}\n",
        "store: []\n",
        "store: file\n",
        "store: inventory.json\n",
        "store: {file: {path: a.json}, kubernetes: {namespace: a}}\n",
        "store:\n  file: {path: a.json}\n  kubernetes: {namespace: a}\n",
        "store: {file: a.json}\n",
        "store: {file: }\n",
        "concurrency: many\n",
        "concurrency:\n",
        "concurrency: [1]\n",
        "gone: {maxFraction: some}\n",
        "log: {level: }\n",
        "schedule:\n",
        "listen:\n",
        "- toy\n",
    ];
    let all: Vec<_> = mistakes.iter().map(|text| format!("{text:?}\n  {}", error(text))).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn an_error_shows_no_line_of_the_file() {
    let error = error("toy:\n  # the password is hunter2\n  password: hunter2\n  size: 3\n");
    assert!(error.contains("password") && !error.contains("hunter2"), "{error}");
}

#[test]
fn a_key_of_other_letters_is_a_mistake_like_any_other() {
    for text in ["ü: [", "&üa: x y", "&˨etcher: machi\tnes of own"] {
        assert!(error(text).starts_with("line "), "{text:?}: {}", error(text));
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = load::<Toy>(Path::new("/nowhere/fleet.yaml")).unwrap_err().to_string();
    assert!(error.contains("/nowhere/fleet.yaml") && error.contains("--config"), "{error}");
}

#[test]
fn the_schema_holds_every_key_of_the_file_and_of_the_section() {
    insta::assert_json_snapshot!(schema::<Toy>());
}
