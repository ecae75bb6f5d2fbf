//! NDJSON: one object per line.
//!
//! Decides: where the keys and values of a line are, so that what stays is written byte for byte. Must not: know which
//! key holds an address.

use std::fmt;
use std::ops::Range;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// One key of an object, and where its value is in the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::list) struct Field {
    pub(in crate::list) key: String,
    pub(in crate::list) value: Range<usize>,
}

/// The fields of a line that is one object, in their order; otherwise what is wrong, for the user.
pub(in crate::list) fn fields(line: &str) -> Result<Vec<Field>, String> {
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

/// Where the value of a key is in a line with these fields; of equal keys the last counts. Without such a key, one that
/// differs in case counts, and then the parts of the name between dots lead into objects: `contact.email`.
pub(in crate::list) fn find_value(line: &str, fields: &[Field], name: &str) -> Option<Range<usize>> {
    let field = |name: &str| {
        let mut last_first = fields.iter().rev();
        last_first.clone().find(|field| field.key == name).or_else(|| {
            let folded = name.to_lowercase();
            last_first.find(|field| field.key.to_lowercase() == folded)
        })
    };
    if let Some(field) = field(name) {
        return Some(field.value.clone());
    }
    name.match_indices('.').find_map(|(dot, _)| {
        let Range { start, end } = field(&name[..dot])?.value.clone();
        let object = &line[start..end];
        let inner = self::fields(object).ok()?;
        let value = find_value(object, &inner, &name[dot + 1..])?;
        Some(start + value.start..start + value.end)
    })
}

pub(in crate::list) fn is_object(line: &str) -> bool {
    fields(line).is_ok()
}

/// A value as the text of a cell: a string without its quotes, an array of strings joined by `, `, nothing for `null`,
/// any other value as it is written.
pub(in crate::list) fn text(raw: &str) -> String {
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

/// Writes a text as a JSON string.
pub(in crate::list) fn write_string(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Writing into memory can't fail, and every text can be written as a JSON string.
        let _ = serde_json::to_writer(out, text);
    }
}
