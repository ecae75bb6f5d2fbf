//! Lists: what comes in, and what goes out.
//!
//! [`source`] gives a list's bytes (unpacked by [`gzip`], those of a [`workbook`] as CSV, what can't be read twice in a [`spool`]), [`decode`] makes UTF-8 of them, [`shape`] and [`mod@column`] find out what the list
//! is ([`form`]), [`scan`] finds its records and [`record`] their cells, [`read`] hands out its rows. [`columns`] says
//! what we add ([`dialect`] how others call it, [`prefix`] what stands in front of a name that is taken), [`value`] what stands in it, [`ours`] how that is written, [`layout`] where it goes in a row, [`compose`] makes the written rows, [`mod@write`] puts them into their files (those beside the results are [`splits`]), [`files`] how those come into their
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
mod foreign;
mod form;
mod gzip;
mod json;
mod layout;
mod object;
mod ours;
mod prefix;
pub mod read;
mod record;
mod scan;
mod shape;
mod source;
mod splits;
mod spool;
mod value;
mod workbook;
pub mod write;

pub use columns::{Column, ColumnSet};
pub use compose::{Composed, Composer};
pub use decode::Encoding;
pub use dialect::Dialect;
pub use error::{ErrorClass, ListError};
pub use form::ListFormat;
pub use object::write_object;
pub use read::{UnreadableCause, ListEntry, List, ReadOptions, UnreadableRow, Row, Rows, open};
pub use scan::{MAX_COLUMNS, MAX_RECORD_BYTES};
pub use shape::ListKind;
pub use source::{Compression, Source};
pub use write::{OutputCounts, FinishedOutputs, Outputs, OutputTarget, WriteOptions};
