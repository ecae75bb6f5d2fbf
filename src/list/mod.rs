//! Lists: what comes in, and what goes out.
//!
//! [`source`] gives a list's bytes (unpacked by [`gzip`], those of a [`workbook`] as CSV, what can't be read twice in a [`spool`]), [`decode`] makes UTF-8 of them, [`sniff`] and [`mod@column`] find out what the list
//! is ([`format`]), [`scan`] finds its records and [`record`] their cells, [`read`] hands out its rows. [`columns`] says
//! what we add ([`dialect`] how others call it, [`column_prefix`] what stands in front of a name that is taken), [`value`] what stands in it, [`added_columns`] how that is written, [`layout`] where it goes in a row, [`compose`] makes the written rows, [`mod@write`] puts them into their files (those beside the results are [`verdict_files`]), [`files`] how those come into their
//! places. [`duplicates`] finds repeated addresses in flat memory, [`batch`] carries rows from thread to thread.
//!
//! A row passes through as the bytes it was read as; only the address cell is ever looked into.

mod error;
mod format;
mod input;
mod output;

pub use crate::list::format::ListFormat;
pub use crate::list::format::write_object;
pub use crate::list::format::{MAX_COLUMNS, MAX_RECORD_BYTES};
pub use crate::list::input::Encoding;
pub use crate::list::input::ListKind;
pub use crate::list::input::{Compression, Source};
pub use crate::list::input::{List, ListEntry, ReadOptions, Row, Rows, UnreadableCause, UnreadableRow, open};
pub use crate::list::output::Dialect;
pub use crate::list::output::{Column, ColumnSet};
pub use crate::list::output::{Composed, Composer};
pub use crate::list::output::{FinishedOutputs, OutputCounts, OutputTarget, Outputs, WriteOptions};
pub use error::{ErrorClass, ListError};

pub use error::read_error;
pub use input::{
    AddressHash, AddressHasher, DuplicateFinder, Duplicates, FirstSeen, MOST_REMEMBERED, RowBatch,
    TooManyAddresses,
};
