//! The formats of lists: CSV, NDJSON, XLSX, one address per line.

mod json;
mod list_format;
mod object;
mod record;
mod rejected_formats;
mod scan;
mod workbook;

pub(crate) use json::{Field, fields, is_object, sample, text, write_string};
pub(crate) use list_format::DecodedText;
pub use list_format::ListFormat;
pub use object::write_object;
pub(crate) use record::{Wanted, line_end};
pub use scan::{MAX_COLUMNS, MAX_RECORD_BYTES};
pub(crate) use scan::{ScanError, Scanned, Scanner};
pub(crate) use workbook::{is_workbook, spool};
