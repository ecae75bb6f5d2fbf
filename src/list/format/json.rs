//! NDJSON: one object per line.
//!
//! Decides: where a line's keys and values lie, so that what nobody touches stays byte for byte. Must not: judge.

use std::fmt;
use std::ops::Range;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::list::input::Sample;

/// One key of an object and where its value lies in the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) key: String,
    pub(super) value: Range<usize>,
}

/// The fields of a line that is one object, in its order; else what is wrong, for people.
pub(super) fn fields(line: &str) -> Result<Vec<Field>, String> {
    struct Fields<'a>(&'a str);
    impl<'de> Visitor<'de> for Fields<'de> {
        type Value = Vec<Field>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Field>, A::Error> {
            let mut fields = Vec::new();
            while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
                let start = value.get().as_ptr() as usize - self.0.as_ptr() as usize;
                fields.push(Field { key, value: start..start + value.get().len() });
            }
            Ok(fields)
        }
    }
    let mut reader = serde_json::Deserializer::from_str(line);
    let fields = reader.deserialize_map(Fields(line));
    fields.and_then(|fields| reader.end().map(|()| fields)).map_err(|error| {
        if line.trim_start().starts_with('{') {
            format!("not valid JSON at byte {}", error.column())
        } else {
            "not a JSON object".to_owned()
        }
    })
}

pub(super) fn is_object(line: &str) -> bool {
    fields(line).is_ok()
}

/// The text of a value: a string's own, several joined by `, `, nothing for `null`, anything else as it is written.
pub(super) fn text(raw: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(raw) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(serde_json::Value::Null) => String::new(),
        Ok(serde_json::Value::Array(values)) => {
            let texts: Option<Vec<&str>> = values.iter().map(serde_json::Value::as_str).collect();
            texts.map_or_else(|| raw.to_owned(), |texts| texts.join(", "))
        }
        _ => raw.to_owned(),
    }
}

/// The first objects as a table: a column for each key, in order of appearance.
pub(super) fn sample(text: &str, rows: usize) -> Sample {
    let mut sample = Sample { has_header: true, has_keys: true, ..Sample::default() };
    for line in text.lines().take(rows) {
        let Ok(fields) = fields(line) else { continue };
        let mut row = vec![String::new(); sample.names.len()];
        for field in fields {
            let column = sample.names.iter().position(|name| *name == field.key);
            let column = column.unwrap_or_else(|| {
                sample.names.push(field.key);
                row.push(String::new());
                sample.names.len() - 1
            });
            row[column] = text(&line[field.value]);
        }
        sample.rows.push(row);
    }
    sample
}

/// Writes a text as a JSON string.
pub(super) fn write_string(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Writing into memory can't fail, and a text is always a JSON string.
        let _ = serde_json::to_writer(out, text);
    }
}
