//! One record as one JSON object, with the names of the full columns and `repairs`: what `check --json` prints.

use crate::list::format::json;
use crate::list::output::{Column, OutputRow};
use crate::verdict::AddressResult;

/// Writes the object and a line end. `email` is the text as it was given; what was not determined is `null`.
pub fn write_object(out: &mut Vec<u8>, email: &str, record: &AddressResult) {
    out.extend_from_slice(b"{\"email\":");
    crate::list::format::json::write_string(out, email);
    let mut scratch = String::new();
    for column in Column::FULL.iter().chain(&[Column::Repairs]) {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(column.name().as_bytes());
        out.extend_from_slice(b"\":");
        let told = OutputRow { record, plain: None, original: None };
        let value = column.value(told, &mut scratch);
        value.write_json(&scratch, out);
    }
    out.extend_from_slice(b"}\n");
}
