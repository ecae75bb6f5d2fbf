//! What a list looks like: CSV, NDJSON, an XLSX workbook, or one address per line.
//!
//! Owns the question where the records, cells and keys are in the bytes of a list. Nothing here opens a file or chooses a
//! column. `list_format`: what is known about a list. `encoding`: the names of encodings. `scan`: the next record in a stream. `record`: the cells of one CSV
//! record, and how a text is written as a cell. `json`: the fields of one NDJSON line. `workbook`: an XLSX sheet as CSV.
//! `vcard`: address books. `archive`: the list in a ZIP archive.

mod archive;
mod encoding;
mod json;
mod list_format;
mod record;
mod scan;
mod vcard;
mod workbook;

pub(super) use archive::read_only_list;
pub use encoding::Encoding;
pub(super) use json::{Field, fields, find_value, is_object, text, write_string};
pub use list_format::{Compression, ListFormat, ListKind, Source};
pub(super) use list_format::{default_folder, stem};
pub(super) use record::{WantedCells, cell_at, cell_end, cells, is_quoted, line_end, unquote, write_cell};
pub(crate) use scan::{MAX_COLUMNS, MAX_RECORD_BYTES};
pub(super) use scan::{ScanError, Scanned, Scanner, read_full};
pub(super) use vcard::{copy_cards, is_vcard};
pub(super) use workbook::{ChosenSheet, SheetError, copy_sheet, is_workbook};
