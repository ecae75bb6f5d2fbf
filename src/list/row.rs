//! A row of a list, as the bytes that were read; and a batch of rows, which can go to another thread.
//!
//! Decides: nothing. Must not: change a byte of a row.

use std::borrow::Cow;
use std::ops::Range;

use super::format::{Field, MAX_RECORD_BYTES};

/// What stands at one place of a list.
#[derive(Debug)]
pub enum ListEntry<'a> {
    /// A row, with or without an address.
    Row(Row<'a>),
    /// A row that can't be read, or a further address in a cell.
    Unreadable(UnreadableRow),
}

/// One row, as it was written.
#[derive(Debug)]
pub struct Row<'a> {
    /// 1-based number of the data record.
    pub record: u64,
    /// 1-based line on which it starts.
    pub line: u64,
    /// The row without its line end and without cells beyond the columns.
    pub(super) raw: &'a [u8],
    /// The line end; empty when it is the last row and has none.
    pub(super) line_end: &'a [u8],
    /// How many cells are missing to fill the columns.
    pub(super) missing_cells: usize,
    /// The address cell in `raw`, quotes included.
    pub(super) cell: Range<usize>,
    /// In `raw`: the cells that an earlier run added.
    pub(super) earlier: Range<usize>,
    /// NDJSON: the keys and values in `raw`.
    pub(super) fields: &'a [Field],
    /// The text of the address cell, or the part of it that is judged.
    pub(super) address: Cow<'a, str>,
    /// How much of the cell `address` is.
    pub(super) part: CellPart,
}

/// How much of its cell an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CellPart {
    /// The whole cell.
    Whole,
    /// The first of several addresses; the others are listed as unreadable.
    First,
    /// One of several addresses, each of which has a row (`--split-cells`).
    Split,
}

impl Row<'_> {
    /// The text that should be an address: the cell without CSV quotes, otherwise as it was written.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// True if no other cell of the row holds anything. Not for rows of NDJSON, and not where the row has one cell.
    pub fn is_alone_in_its_row(&self) -> bool {
        let others = [&self.raw[..self.cell.start], &self.raw[self.cell.end..]];
        let is_blank = |b: &u8| matches!(b, b',' | b';' | b'\t' | b'|' | b'"' | b' ');
        let has_others = self.missing_cells > 0 || others.iter().any(|other| !other.is_empty());
        self.fields.is_empty() && has_others && others.iter().all(|other| other.iter().all(is_blank))
    }

    /// The row as it was written, without its line end.
    pub fn raw(&self) -> &[u8] {
        self.raw
    }
}

/// A line of `rejected.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableRow {
    /// 1-based line of the list.
    pub line: u64,
    /// Why the row, or the address, is not in the results.
    pub cause: UnreadableCause,
    /// The beginning of the row, or the address.
    pub text: String,
}

impl UnreadableRow {
    /// True for a row that is not in the results; false for a further address of a row that is in them.
    pub fn is_row(&self) -> bool {
        !matches!(self.cause, UnreadableCause::AnotherAddress { .. })
    }
}

/// Why a row, or an address in a cell, is not in the results.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableCause {
    /// A cell begins with a quote that is not closed.
    #[error("a quote opens a cell and is not closed")]
    UnclosedQuote,
    /// The row is longer than [`MAX_RECORD_BYTES`].
    #[error("no line end within {MAX_RECORD_BYTES} bytes")]
    TooLong,
    /// There are more cells than columns, so that the column of a cell is not known.
    #[error("{cells} cells where there are {columns} columns")]
    TooManyCells {
        /// In this row.
        cells: usize,
        /// In the list.
        columns: usize,
    },
    /// The row ends before the address column, and yet has an @: it probably has another delimiter.
    #[error("the address cell is missing, and another cell holds an @")]
    AddressElsewhere,
    /// The row stands above the header, so that it belongs to no column.
    #[error("the row stands above the header")]
    AboveHeader,
    /// A line of NDJSON that is not one object; with what is wrong.
    #[error("{0}")]
    NotAnObject(String),
    /// A line of NDJSON has a key that would be written again as an added one.
    #[error(
        "the key `{0}` has the name of an added column, and was not in the first rows; choose a `--column-prefix`"
    )]
    KeyTaken(String),
    /// A cell has several addresses. The first one is in the results; this is another.
    #[error("extra_address: another address of row {record}, not checked; `--split-cells` makes a row of it")]
    AnotherAddress {
        /// The row with the cell.
        record: u64,
    },
}

/// A range of the bytes of a batch. Half the size of a `Range<usize>`: there are many of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ByteSpan {
    start: u32,
    end: u32,
}

impl From<Range<usize>> for ByteSpan {
    fn from(range: Range<usize>) -> ByteSpan {
        let offset = |offset| u32::try_from(offset).unwrap_or(u32::MAX);
        ByteSpan { start: offset(range.start), end: offset(range.end) }
    }
}

impl ByteSpan {
    pub(super) fn start(self) -> usize {
        self.start as usize
    }

    pub(super) fn end(self) -> usize {
        self.end as usize
    }

    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }

    pub(super) fn range(self) -> Range<usize> {
        self.start()..self.end()
    }
}

/// Most rows of a batch: enough to be worth a thread, few enough to stay in the processor's cache.
const BATCH_ROWS: usize = 1024;
/// A batch with so many bytes is full before it has [`BATCH_ROWS`].
const BATCH_BYTES: usize = 128 << 10;
/// A [`ByteSpan`] reaches every byte of a batch, whose last row may be as long as any.
const _: () = assert!(BATCH_BYTES + MAX_RECORD_BYTES < u32::MAX as usize);

/// Rows of a list that have left the reader's buffer, in the order of the list.
#[derive(Debug, Default)]
pub struct RowBatch {
    /// The rows, each with its line end.
    bytes: Vec<u8>,
    /// The addresses of the rows.
    addresses: String,
    /// NDJSON: the fields of all rows.
    fields: Vec<Field>,
    entries: Vec<BatchEntry>,
    /// No row comes after those of the batch.
    ends_list: bool,
}

#[derive(Debug)]
enum BatchEntry {
    Row(BatchRow),
    Unreadable(Box<UnreadableRow>),
}

/// A [`Row`] whose bytes are in its batch.
#[derive(Debug)]
struct BatchRow {
    record: u64,
    line: u64,
    raw: ByteSpan,
    line_end: ByteSpan,
    missing_cells: u32,
    cell: ByteSpan,
    earlier: ByteSpan,
    fields: ByteSpan,
    address: ByteSpan,
    part: CellPart,
}

impl RowBatch {
    /// Removes all rows, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.addresses.clear();
        self.fields.clear();
        self.entries.clear();
        self.ends_list = false;
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= BATCH_ROWS || self.bytes.len() >= BATCH_BYTES
    }

    pub(super) fn push_unreadable(&mut self, row: UnreadableRow) {
        self.entries.push(BatchEntry::Unreadable(Box::new(row)));
    }

    pub(super) fn push(&mut self, row: &Row<'_>) {
        let (start, address, field) = (self.bytes.len(), self.addresses.len(), self.fields.len());
        self.bytes.extend_from_slice(row.raw);
        let end = self.bytes.len();
        self.bytes.extend_from_slice(row.line_end);
        self.addresses.push_str(&row.address);
        self.fields.extend_from_slice(row.fields);
        self.entries.push(BatchEntry::Row(BatchRow {
            record: row.record,
            line: row.line,
            raw: (start..end).into(),
            line_end: (end..self.bytes.len()).into(),
            missing_cells: u32::try_from(row.missing_cells).unwrap_or(u32::MAX),
            cell: row.cell.clone().into(),
            earlier: row.earlier.clone().into(),
            fields: (field..self.fields.len()).into(),
            address: (address..self.addresses.len()).into(),
            part: row.part,
        }));
    }

    /// Must be called when the list ends.
    pub(super) fn end_list(&mut self) {
        self.ends_list = true;
    }

    /// Which entries stand behind the last one with an @ in its address cell, at the end of the list; none if the list goes
    /// on, or if no entry of the batch has an @.
    pub fn rows_behind_addresses(&self) -> Range<usize> {
        let has_at = |entry: &BatchEntry| match entry {
            BatchEntry::Row(row) => self.addresses[row.address.range()].contains('@'),
            BatchEntry::Unreadable(row) => !row.is_row(),
        };
        match self.entries.iter().rposition(has_at).filter(|_| self.ends_list) {
            Some(last) => last + 1..self.entries.len(),
            None => 0..0,
        }
    }

    /// True for a batch that was filled at the end of the list.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The rows, and the unreadable ones between them.
    pub fn entries(&self) -> impl Iterator<Item = ListEntry<'_>> {
        self.entries.iter().map(|entry| match entry {
            BatchEntry::Unreadable(row) => ListEntry::Unreadable((**row).clone()),
            BatchEntry::Row(row) => ListEntry::Row(Row {
                record: row.record,
                line: row.line,
                raw: &self.bytes[row.raw.range()],
                line_end: &self.bytes[row.line_end.range()],
                missing_cells: row.missing_cells as usize,
                cell: row.cell.range(),
                earlier: row.earlier.range(),
                fields: &self.fields[row.fields.range()],
                address: Cow::Borrowed(&self.addresses[row.address.range()]),
                part: row.part,
            }),
        })
    }
}
