//! One record as one JSON object, with the names of the full columns: what `check --json` prints.

use serde_json::{Map, Value as Json};

use super::columns::{Column, Told, Value};
use crate::verdict::Record;

/// The object. `email` is the text as it was given; what was not determined is `null`.
pub fn object(email: &str, record: &Record) -> Json {
    let mut object = Map::new();
    object.insert("email".to_owned(), email.into());
    let mut scratch = String::new();
    for column in Column::ALL {
        let told = Told {
            record,
            duplicate_of: None,
        };
        let value = match column.value(told, &mut scratch) {
            Value::None => Json::Null,
            Value::Word(word) | Value::Text(word) => word.into(),
            Value::Flag(flag) => flag.into(),
            Value::Number(number) => number.into(),
            Value::Scratch => scratch.as_str().into(),
        };
        object.insert(column.name().to_owned(), value);
    }
    Json::Object(object)
}
