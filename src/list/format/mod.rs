//! The formats of lists: CSV, NDJSON, XLSX, one address per line.

mod json;
mod list_format;
mod object;
mod record;
mod rejected_formats;
mod scan;
mod workbook;

pub use json::{Field, fields, is_object, sample, text, write_string};
pub use list_format::{DecodedText, ListFormat};
pub use object::write_object;
pub use record::{Wanted, line_end};
pub use scan::{MAX_COLUMNS, MAX_RECORD_BYTES, ScanError, Scanned, Scanner};
pub use workbook::{is_workbook, spool};
