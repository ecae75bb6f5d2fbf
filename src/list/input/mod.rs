//! Reading a list: bytes, encoding, structure, the address column, rows.

mod batch;
mod cell;
mod column;
mod decode;
mod duplicates;
mod gzip;
mod read;
mod sniff;
mod source;
mod spool;

pub use batch::{ByteSpan, RowBatch};
pub use cell::{unquote, write};
pub use column::{ColumnNotFound, Sample, choose, shown};
pub use decode::{Decode, Encoding};
pub use duplicates::{
    AddressHash, AddressHasher, DuplicateFinder, Duplicates, FirstSeen, MOST_REMEMBERED, TooManyAddresses,
};
pub use read::{CellPart, List, ListEntry, ReadOptions, Row, Rows, UnreadableCause, UnreadableRow, open};
pub use sniff::{ListKind, shape};
pub use source::{Bytes, Compression, SharedReader, Source, folder, read_full, stem};
pub use spool::{SpoolError, file};
