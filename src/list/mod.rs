//! Lists of addresses: a file in, the same rows with a verdict out.
//!
//! Owns two questions: where the address of each row stands, and which bytes go to which output file. A row passes
//! through as the bytes that were read; only the address cell is parsed. Other rooms neither read nor write a list, and
//! this room neither judges nor repairs an address.
//!
//! Three rooms inside, and the words that they share:
//!
//! - `input` opens a list and reads its rows. It uses `format`.
//! - `output` writes the rows with the added columns. It uses `format`, and nothing of `input`.
//! - `format` knows what a list looks like (CSV, NDJSON, XLSX, one address per line). It uses neither of the two.
//! - `row`: a row, and a batch of rows. `columns`: the names of the added columns, also in the words of other services.
//!   `duplicates`: which rows have the same address. `error`: why a list is not read or results are not written.

mod columns;
mod duplicates;
mod error;
mod format;
mod input;
mod output;
mod row;

pub use columns::{Column, ColumnSet, Dialect};
pub(crate) use duplicates::{
    AddressHash, AddressHasher, DuplicateFinder, Duplicates, FirstSeen, MOST_REMEMBERED, TooManyAddresses,
};
pub use error::{ErrorClass, ListError};
pub use format::{Compression, Encoding, ListFormat, ListKind, Source};
pub(crate) use input::is_address_column_name;
pub use input::{HeaderChoice, List, ReadOptions, Rows, open};
pub use output::{ByteOrderMark, HandOver, OutputCounts, OutputTarget, Outputs, WriteOptions, write_object};
pub(crate) use output::{Composed, Composer};
pub(crate) use row::RowBatch;
pub use row::{ListEntry, Row, UnreadableCause, UnreadableRow};
