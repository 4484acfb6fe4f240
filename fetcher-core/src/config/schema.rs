//! The file's JSON Schema: the core's keys and the provider's section in one document, for editors and people.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

use super::{Labels, Log, StoreConfig};
use crate::app::App;
use crate::brake::Policy;

/// What the configuration file may hold.
#[must_use]
pub fn schema<A: App>() -> Schema {
    let mut generator = SchemaSettings::draft2020_12().for_deserialize().into_generator();
    let properties = properties::<A>(&mut generator);
    let mut schema = json_schema!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("Configuration of fetcher-{}", A::NAME),
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    });
    schema.insert("$defs".to_owned(), Value::Object(generator.take_definitions(true)));
    schema
}

fn properties<A: App>(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let mut all = Map::new();
    let mut add = |key: &str, schema: Schema, text: &str| {
        let mut schema = schema;
        schema.insert("description".to_owned(), text.into());
        all.insert(key.to_owned(), schema.to_value());
    };
    add(
        "schedule",
        schedule(),
        "When rounds begin: `every 60s` (1s to 24h), or a cron expression of six fields in UTC, seconds first.",
    );
    add(
        "selector",
        json_schema!({"type": "string"}),
        "Which machines are wanted, in the grammar of Kubernetes label selectors, over tags and `@facts`. Empty selects all. The Kubernetes store wants it spelled out.",
    );
    add(
        "store",
        generator.subschema_for::<StoreConfig>(),
        "Where the Hosts are kept; inventory.json in the working directory where it is left out.",
    );
    add(
        "labels",
        generator.subschema_for::<Labels>(),
        "What of a machine becomes a label of its Host.",
    );
    add(
        "gone",
        generator.subschema_for::<Policy>(),
        "How many Hosts may be marked gone within an hour before the marks are withheld.",
    );
    let listen = json_schema!({"type": "string", "examples": ["127.0.0.1:9480"]});
    add(
        "listen",
        listen,
        "Address and port that metrics and probes are served on; nowhere where it is left out.",
    );
    add("log", generator.subschema_for::<Log>(), "What goes to standard error.");
    add(
        "concurrency",
        json_schema!({"type": "integer", "minimum": 1, "maximum": 1000}),
        "How many sources are worked on at once; 32 where it is left out.",
    );
    let section = <A::Section as JsonSchema>::json_schema(generator);
    let text = format!("What fetcher-{} asks, and how.", A::NAME);
    add(A::NAME, section, &text);
    all
}

fn schedule() -> Schema {
    json_schema!({
        "anyOf": [
            {"type": "string", "examples": ["every 60s", "0 */5 * * * *"]},
            {
                "type": "object",
                "properties": {"cron": {"type": "string", "examples": ["0 */5 * * * *"]}},
                "required": ["cron"],
                "additionalProperties": false,
            },
        ]
    })
}
