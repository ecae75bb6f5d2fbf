//! Lists: what comes in, and what goes out.
//!
//! [`source`] gives a list's bytes (unpacked by [`gzip`], those of a [`workbook`] as CSV, what can't be read twice in a [`spool`]), [`decode`] makes UTF-8 of them, [`sniff`] and [`mod@column`] find out what the list
//! is ([`format`]), [`scan`] finds its records and [`record`] their cells, [`read`] hands out its rows. [`columns`] says
//! what we add ([`dialect`] how others call it, [`column_prefix`] what stands in front of a name that is taken), [`value`] what stands in it, [`added_columns`] how that is written, [`layout`] where it goes in a row, [`compose`] makes the written rows, [`mod@write`] puts them into their files (those beside the results are [`verdict_files`]), [`files`] how those come into their
//! places. [`duplicates`] finds repeated addresses in flat memory, [`batch`] carries rows from thread to thread.
//!
//! A row passes through as the bytes it was read as; only the address cell is ever looked into.

pub mod batch;
mod cell;
mod column;
pub mod columns;
mod compose;
mod decode;
mod dialect;
pub mod duplicates;
mod error;
mod files;
mod rejected_formats;
mod format;
mod gzip;
mod json;
mod layout;
mod object;
mod added_columns;
mod column_prefix;
pub mod read;
mod record;
mod scan;
mod sniff;
mod source;
mod verdict_files;
mod spool;
mod value;
mod workbook;
pub mod write;

pub use columns::{Column, ColumnSet};
pub use compose::{Composed, Composer};
pub use decode::Encoding;
pub use dialect::Dialect;
pub use error::{ErrorClass, ListError};
pub use format::ListFormat;
pub use object::write_object;
pub use read::{UnreadableCause, ListEntry, List, ReadOptions, UnreadableRow, Row, Rows, open};
pub use scan::{MAX_COLUMNS, MAX_RECORD_BYTES};
pub use sniff::ListKind;
pub use source::{Compression, Source};
pub use write::{OutputCounts, FinishedOutputs, Outputs, OutputTarget, WriteOptions};
