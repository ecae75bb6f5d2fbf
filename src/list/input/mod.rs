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

pub(crate) use batch::ByteSpan;
pub use batch::RowBatch;
#[cfg(test)]
pub(crate) use cell::unquote;
pub(crate) use cell::write;
pub(crate) use column::{ColumnNotFound, Sample, choose, shown};
pub(crate) use decode::Decode;
pub use decode::Encoding;
pub use duplicates::{
    AddressHash, AddressHasher, DuplicateFinder, Duplicates, FirstSeen, MOST_REMEMBERED, TooManyAddresses,
};
pub(crate) use read::CellPart;
pub use read::{List, ListEntry, ReadOptions, Row, Rows, UnreadableCause, UnreadableRow, open};
pub use sniff::ListKind;
pub(crate) use sniff::shape;
pub(crate) use source::{Bytes, SharedReader, folder, read_full, stem};
pub use source::{Compression, Source};
pub(crate) use spool::{SpoolError, file};
