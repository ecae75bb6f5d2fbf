//! What programs read agrees with `samples/schemas`: summaries, rows, explanations, the doctor's checks.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test stops at what fails")]

mod support;

use std::path::Path;

use serde_json::Value;
use support::Folder;

const WORLD: &str = include_str!("../samples/world.toml");

fn schema(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/schemas").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The faults of a value by the keywords that the schemas use; a keyword that is not known is a fault too.
fn faults(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().unwrap() {
        let is_right = match keyword.as_str() {
            "$schema" | "title" | "description" | "properties" | "additionalProperties" => true,
            "type" => match rule {
                Value::Array(types) => types.iter().any(|name| is_of(value, name)),
                name => is_of(value, name),
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
            "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= rule.as_u64().unwrap()),
            "required" => value.as_object().is_none_or(|object| {
                rule.as_array().unwrap().iter().all(|key| object.contains_key(key.as_str().unwrap()))
            }),
            "items" => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    faults(rule, item, &format!("{at}[{n}]"), found);
                }
                true
            }
            "anyOf" => rule.as_array().unwrap().iter().any(|schema| {
                let mut own = Vec::new();
                faults(schema, value, at, &mut own);
                own.is_empty()
            }),
            _ => false,
        };
        if !is_right {
            found.push(format!("{at}: {keyword} {rule}: {value}"));
        }
    }
    for (key, item) in value.as_object().into_iter().flatten() {
        let at = format!("{at}.{key}");
        match (schema["properties"].get(key), schema.get("additionalProperties")) {
            (Some(property), _) => faults(property, item, &at, found),
            (None, Some(Value::Bool(false))) => found.push(format!("{at}: not in the schema")),
            (None, Some(others)) => faults(others, item, &at, found),
            (None, None) => {}
        }
    }
}

fn is_of(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other}"),
    }
}

#[track_caller]
fn check(name: &str, value: &Value) {
    let mut found = Vec::new();
    faults(&schema(name), value, "$", &mut found);
    assert!(found.is_empty(), "{name}: {found:#?}");
}

#[test]
fn summaries_and_rows_agree_with_their_schemas() {
    let folder = Folder::with(include_bytes!("../samples/contacts.csv"), WORLD);
    for flags in [
        &["--world", "world.toml"][..],
        &["--world", "world.toml", "--max-duration", "1m"],
        &["--world", "world.toml", "--dns-only"],
        &["--offline"],
    ] {
        let arguments = [&["verify", "list.csv", "-o", "out", "--json"], flags].concat();
        let ran = folder.run(&arguments);
        let line: Value = serde_json::from_str(ran.stdout().lines().last().unwrap()).unwrap();
        check("summary.json", &line);
        assert_eq!(folder.summary("out"), line, "the file and the line are the same");
    }
    let addresses =
        ["jane.doe@acme-tools.example", "g.gone@fabrikam-legal.example", "a b", "", "info@nowhere.example"];
    let arguments = [&["check", "--world", "world.toml", "--json", "--"], &addresses[..]].concat();
    let rows = folder.run(&arguments).stdout();
    assert_eq!(rows.lines().count(), addresses.len());
    for line in rows.lines() {
        check("row.json", &serde_json::from_str(line).unwrap());
    }
}

#[test]
fn explanations_and_checks_of_the_sender_agree_with_their_schemas() {
    let folder = Folder::with_file("world.toml", WORLD);
    let replies =
        "{\"reply\":\"550 5.1.1 no such user\"}\n{\"reply\":\"554 5.7.1 blocked\",\"stage\":\"connect\"}\n";
    folder.write("replies", replies);
    let mut explain = folder.listproof(&["explain", "--jsonl"]);
    let input = std::fs::File::open(folder.path("replies")).unwrap();
    let output = explain.stdin(input).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(lines.lines().count(), 2);
    for line in lines.lines() {
        check("explain.json", &serde_json::from_str(line).unwrap());
    }
    let served = folder.serve("world.toml");
    let dns = served.flags()[1];
    let sender =
        ["--helo", "probe.example.org", "--mail-from", "check@example.org", "--source-ip", "192.0.2.7"];
    let arguments = [&["doctor", "--json", "--dns", dns], &sender[..]].concat();
    check("doctor.json", &serde_json::from_str(&folder.run(&arguments).stdout()).unwrap());
}

#[test]
fn the_check_of_schemas_finds_what_is_wrong() {
    let mut found = Vec::new();
    let schema = serde_json::json!({
        "type": "object", "additionalProperties": false, "required": ["a"], "properties": { "a": { "type": "integer" } }
    });
    for (value, faulty) in [
        (serde_json::json!({ "a": 1 }), 0),
        (serde_json::json!({ "a": "1" }), 1),
        (serde_json::json!({}), 1),
        (serde_json::json!({ "a": 1, "b": 2 }), 1),
    ] {
        found.clear();
        faults(&schema, &value, "$", &mut found);
        assert_eq!(found.len(), faulty, "{value}: {found:?}");
    }
}
