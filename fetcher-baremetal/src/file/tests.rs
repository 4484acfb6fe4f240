//! What a file of machines means, and what it may not be.

use std::fmt::Write as _;

use fetcher_core::machine::Machine;
use proptest::prelude::*;

use super::parse::{Format, parse};

const YAML: &str = include_str!("../../../deploy/examples/machines.yaml");
const JSON: &str = include_str!("../../../deploy/examples/machines.json");
const CSV: &str = include_str!("../../../deploy/examples/machines.csv");

fn error(format: Format, text: &str) -> String {
    parse(format, text.as_bytes()).unwrap_err().to_string()
}

fn machines(format: Format, text: &str) -> Vec<Machine> {
    parse(format, text.as_bytes()).unwrap()
}

#[test]
fn the_examples_mean_the_same_in_every_format() {
    let yaml = machines(Format::Yaml, YAML);
    assert_eq!(yaml.len(), 10);
    assert_eq!(yaml, machines(Format::Json, JSON));
    assert_eq!(yaml, machines(Format::Csv, CSV));
}

#[test]
fn every_fact_of_a_row_finds_its_place() {
    let all = include_str!("../../fixtures/everything.yaml");
    insta::assert_debug_snapshot!(machines(Format::Yaml, all));
}

#[test]
fn a_row_wins_over_the_defaults_key_by_key() {
    let all = include_str!("../../fixtures/defaults.yaml");
    insta::assert_debug_snapshot!(machines(Format::Yaml, all));
}

/// A file cut off anywhere is an error or still the whole list: only white space may be missing.
fn cut_anywhere(format: Format, text: &str) {
    let whole = machines(format, text);
    let mut still_whole = 0;
    for cut in 0..text.len() {
        if let Ok(machines) = parse(format, &text.as_bytes()[..cut]) {
            assert_eq!(machines, whole, "cut at byte {cut} of {}", text.len());
            still_whole += 1;
        }
    }
    assert!(still_whole <= 4, "{still_whole} cuts were not noticed");
}

#[test]
fn a_file_cut_at_any_byte_is_never_a_smaller_list() {
    cut_anywhere(Format::Yaml, YAML);
    cut_anywhere(Format::Json, JSON);
    cut_anywhere(Format::Csv, CSV);
    // Without the count, which would notice as well.
    cut_anywhere(Format::Yaml, "machines:\n- id: a\n  tags: {x: '1'}\n- id: b\n...\n");
    cut_anywhere(Format::Yaml, "machines:\r\n- id: a\r\n- id: ünï\r\n...\r\n");
    cut_anywhere(Format::Yaml, "{machines: [{id: a}, {id: '...'}, {id: b}]}\n...\n");
    cut_anywhere(Format::Json, "{\"machines\": [{\"id\": \"a\"}, {\"id\": \"b\"}]}\n");
    cut_anywhere(Format::Csv, "id,tag.x\na,1\n\"b\",\"two\n...\nlines\"\nc,...\n...\n");
    cut_anywhere(Format::Csv, "tag.x,id\r\n,a\r\n,b\r\n...,\r\n");
}

#[test]
fn a_line_that_a_cut_would_turn_into_the_end_is_refused() {
    let text = error(Format::Csv, "id\na\n...b\nc\n...\n");
    assert_eq!(text, "line 3: the line begins with three dots, which end the list");
    assert!(parse(Format::Yaml, b"machines:\n- id: a\n...b: c\n...\n").is_err());
}

#[test]
fn an_empty_file_is_an_error_and_an_empty_list_must_be_meant() {
    for format in [Format::Yaml, Format::Json, Format::Csv] {
        for text in ["", "\n", " \n\n", "\u{feff}"] {
            assert!(error(format, text).starts_with("the file is empty"), "{format:?} {text:?}");
        }
    }
    for (format, text) in [
        (Format::Yaml, "machines: []\n...\n"),
        (Format::Yaml, "machines:\n...\n"),
        (Format::Json, "{\"machines\": []}"),
        (Format::Csv, "id\n...\n"),
    ] {
        assert!(error(format, text).contains("no machine"), "{text:?}");
    }
    assert_eq!(machines(Format::Yaml, "count: 0\nmachines: []\n...\n"), []);
    assert_eq!(machines(Format::Json, "{\"count\": 0, \"machines\": []}"), []);
    assert_eq!(machines(Format::Csv, "id\n...,0\n"), []);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let mut told = String::new();
    for (format, text) in [
        (Format::Yaml, "machines:\n- id: a\n"),
        (Format::Yaml, "machines:\n- id: a\n...\nmachines:\n- id: b\n...\n"),
        (Format::Yaml, "machines:\n- id: a\n  adresses: [10.0.0.1]\n...\n"),
        (Format::Yaml, "machines:\n- name: a\n...\n"),
        (Format::Yaml, "machines:\n- id: ''\n...\n"),
        (Format::Yaml, "machines:\n- id: a\n- id: b\n\n- id: a\n...\n"),
        (Format::Yaml, "machines:\n- id: a\n  id: b\n...\n"),
        (Format::Yaml, "machines:\n- id: a\n  tags: {x: 1, x: 2}\n...\n"),
        (Format::Yaml, "machines:\n- id: a\n  addresses: [10.0.0.300]\n...\n"),
        (
            Format::Yaml,
            "machines:\n- id: a\n  addresses: [{type: InternalIP, address: 10.0.0.1/24}]\n...\n",
        ),
        (Format::Yaml, "machines:\n- id: a\n  hardware: {memory: much}\n...\n"),
        (Format::Yaml, "machines:\n- id: a\n  interfaces: [525400123456]\n...\n"),
        (Format::Yaml, "machines:\n- id: a\n  state: Gone\n...\n"),
        (Format::Yaml, "machines:\n- &a {id: a}\n- *a\n...\n"),
        (Format::Yaml, "machines:\n- id: a\n\tname: b\n...\n"),
        (Format::Yaml, "count: 3\nmachines:\n- id: a\n...\n"),
        (Format::Yaml, "defaults: {hardware: {serial: x}}\nmachines:\n- id: a\n...\n"),
        (Format::Json, "{\"machines\": [\n{\"id\": \"a\"},\n{\"id\": \"b\"},\n {\"id\": \"a\"}]}"),
        (
            Format::Json,
            "{\"machines\": [\n{\"id\": \"a\", \"tags\": {\"x\": \"1\", \"x\": \"2\"}}]}",
        ),
        (Format::Json, "{\"machines\": [\n{\"id\": \"a\", \"rack\": 12}]}"),
        (Format::Json, "{\"machines\": [\n{\"id\": \"a\"}]"),
        (Format::Json, "{\"machines\": [{\"id\": \"a\"}]}\n{\"machines\": []}"),
        (Format::Csv, "id,name\na,web\n"),
        (Format::Csv, "id,name\na,web\nb\n...\n"),
        (Format::Csv, "id;name\na;web\n...\n"),
        (Format::Csv, "id,id\na,b\n...\n"),
        (Format::Csv, "name\nweb\n...\n"),
        (Format::Csv, "id,name\na,\"web\nb,db\n...\n"),
        (Format::Csv, "id,hardware.memory\na,1GiB\nb,much\n...\n"),
        (Format::Csv, "id\na\n\"b\"\na\n...\n"),
        (Format::Csv, "id\na\n...,2\n"),
        (Format::Csv, "id\na\n...\nb\n"),
    ] {
        let _ = writeln!(told, "{format:?} {text:?}\n  {}", error(format, text));
    }
    let latin1 = parse(Format::Csv, b"id,name\na,M\xfcnchen\n...\n").unwrap_err();
    let _ = writeln!(told, "Csv in Latin-1\n  {latin1}");
    insta::assert_snapshot!(told);
}

#[test]
fn no_error_shows_the_lines_around_it() {
    let text = "machines:\n- id: a\n  tags: {password: hunter2}\n- id: b\n  bogus: 1\n...\n";
    assert!(!error(Format::Yaml, text).contains("hunter2"));
}

#[test]
fn the_printed_schema_is_the_committed_one() {
    let committed = include_str!("../../../deploy/examples/machines.schema.json");
    assert!(
        super::document::schema() == committed,
        "run `cargo run -p fetcher-baremetal --example machines-schema > deploy/examples/machines.schema.json`"
    );
}

#[test]
fn ten_thousand_machines_are_within_the_budget_and_share_their_texts() {
    let tags: String = (0..11).map(|n| format!(", t{n}: {n}")).collect();
    let mut text = "machines:\n".to_owned();
    for n in 0..10_000 {
        let _ = writeln!(text, "- {{id: m{n}, tags: {{env: prod{tags}}}}}");
    }
    text.push_str("...\n");
    let default = serde_saphyr::from_str::<serde::de::IgnoredAny>(&text);
    assert!(default.is_err(), "the list is large enough to show a budget that is too small");
    let machines = machines(Format::Yaml, &text);
    assert_eq!(machines.len(), 10_000);
    let shared =
        |pair: &[Machine]| std::sync::Arc::ptr_eq(&pair[0].tags["env"], &pair[1].tags["env"]);
    assert!(machines.windows(2).all(shared), "equal texts are held once");
}

/// A row as a person might write it: id, name, memory in GiB, one private address, tags.
type Written = (String, Option<String>, Option<u32>, u8, Vec<(String, String)>);

fn written() -> impl Strategy<Value = Vec<Written>> {
    let text = "[a-zA-Z0-9 ,;:'\"#\\[\\]{}&*!|>%@äß€.-]{1,12}"
        .prop_map(|text| text.trim().to_owned())
        .prop_filter("blank", |text| !text.is_empty());
    let id = "[a-z0-9][a-z0-9 ,'\":#-]{0,8}[a-z0-9]";
    let tags = prop::collection::btree_map("[a-z]{1,3}", text.clone(), 0..3);
    let row = (prop::option::of(text), prop::option::of(1_u32..4096), any::<u8>(), tags);
    prop::collection::btree_map(id, row, 1..6).prop_map(|rows| {
        rows.into_iter()
            .map(|(id, (name, memory, ip, tags))| {
                (id, name, memory, ip, tags.into_iter().collect())
            })
            .collect()
    })
}

fn as_json(rows: &[Written]) -> serde_json::Value {
    let machines: Vec<_> = rows
        .iter()
        .map(|(id, name, memory, ip, tags)| {
            serde_json::json!({
                "id": id,
                "name": name,
                "hardware": {"memory": memory.map(|gib| format!("{gib}GiB"))},
                "addresses": [format!("10.0.0.{ip}")],
                "tags": tags.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            })
        })
        .collect();
    serde_json::json!({"count": rows.len(), "machines": machines})
}

fn as_csv(rows: &[Written]) -> String {
    let keys: std::collections::BTreeSet<&str> =
        rows.iter().flat_map(|row| row.4.iter().map(|(key, _)| key.as_str())).collect();
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    let fixed = ["id", "name", "hardware.memory", "address"].map(str::to_owned);
    let header = fixed.into_iter().chain(keys.iter().map(|key| format!("tag.{key}")));
    writer.write_record(header).unwrap();
    for (id, name, memory, ip, tags) in rows {
        let memory = memory.map(|gib| format!("{gib}GiB")).unwrap_or_default();
        let mut cells =
            vec![id.clone(), name.clone().unwrap_or_default(), memory, format!("10.0.0.{ip}")];
        cells.extend(keys.iter().map(|key| {
            let tag = tags.iter().find(|(own, _)| own == key);
            tag.map(|(_, value)| value.clone()).unwrap_or_default()
        }));
        writer.write_record(cells).unwrap();
    }
    let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
    format!("{text}...,{}\n", rows.len())
}

proptest! {
    #[test]
    fn what_was_written_is_what_is_read_in_every_format(rows in written()) {
        let json = as_json(&rows);
        let machines = parse(Format::Json, json.to_string().as_bytes()).unwrap();
        let yaml = format!("{}\n...\n", serde_saphyr::to_string(&json).unwrap());
        prop_assert_eq!(&parse(Format::Yaml, yaml.as_bytes()).unwrap(), &machines);
        prop_assert_eq!(&parse(Format::Csv, as_csv(&rows).as_bytes()).unwrap(), &machines);
        for ((id, name, memory, ip, tags), machine) in rows.iter().zip(&machines) {
            prop_assert_eq!(machine.id.as_ref(), id);
            prop_assert_eq!(machine.hostname.as_deref(), name.as_deref());
            prop_assert_eq!(machine.hardware.memory_bytes, memory.map(|gib| u64::from(gib) << 30));
            prop_assert_eq!(machine.addresses[0].address.as_ref(), format!("10.0.0.{ip}"));
            let read: Vec<_> =
                machine.tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
            prop_assert_eq!(&read, tags);
        }
    }

    #[test]
    fn any_cut_of_any_list_is_an_error_or_the_whole(rows in written(), at in 0.0..1.0_f64) {
        let json = as_json(&rows);
        let yaml = format!("{}\n...\n", serde_saphyr::to_string(&json).unwrap());
        let texts = [(Format::Json, json.to_string()), (Format::Yaml, yaml), (Format::Csv, as_csv(&rows))];
        for (format, text) in texts {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a short text")]
            let cut = (text.len() as f64 * at) as usize;
            if let Ok(machines) = parse(format, &text.as_bytes()[..cut]) {
                prop_assert_eq!(machines.len(), rows.len());
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in [Format::Yaml, Format::Json, Format::Csv] {
            let _ = parse(format, &bytes);
        }
    }

    #[test]
    fn no_text_that_looks_like_a_list_makes_it_panic(
        text in "(machines|id|count|defaults|tags|a|1|-|:|,|\\[|\\]|\\{|\\}|\"|'|\\.\\.\\.|#|&|\\*|!|\n|  | ){0,40}"
    ) {
        for format in [Format::Yaml, Format::Json, Format::Csv] {
            let _ = parse(format, text.as_bytes());
            let _ = parse(format, format!("{text}\n...\n").as_bytes());
        }
    }
}
