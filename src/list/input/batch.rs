//! Rows that have left the reader's buffer, so that they can be judged while the next ones are being read.
//!
//! Decides: nothing. Must not: change a byte of a row.

use std::borrow::Cow;
use std::ops::Range;

use crate::list::ListError;
use crate::list::format::Field;
use crate::list::input::read::{CellPart, ListEntry, Row, Rows, UnreadableRow};

/// Most rows of a batch: worth handing to another thread, and still in the processor's cache when they get there.
const ROWS: usize = 1024;
/// A batch of long rows ends earlier.
const BYTES: usize = 128 << 10;

/// A stretch of a batch's bytes. Half the size of a range: there are many, and a batch is small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ByteSpan {
    start: u32,
    end: u32,
}

impl From<Range<usize>> for ByteSpan {
    fn from(range: Range<usize>) -> ByteSpan {
        // A batch ends long before: one record is limited to a mebibyte.
        let place = |place| u32::try_from(place).unwrap_or(u32::MAX);
        ByteSpan { start: place(range.start), end: place(range.end) }
    }
}

impl ByteSpan {
    pub(super) fn start(self) -> usize {
        self.start as usize
    }

    pub(super) fn end(self) -> usize {
        self.end as usize
    }

    pub(super) fn range(self) -> Range<usize> {
        self.start()..self.end()
    }

    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// Some rows of a list, in their order.
#[derive(Debug, Default)]
pub struct RowBatch {
    /// The rows, each with its line end.
    bytes: Vec<u8>,
    /// Their addresses.
    texts: String,
    /// Of all rows of NDJSON.
    fields: Vec<Field>,
    entries: Vec<BatchEntry>,
}

#[derive(Debug)]
enum BatchEntry {
    Row(BatchRow),
    Rejected(Box<UnreadableRow>),
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
    own: ByteSpan,
    fields: ByteSpan,
    address: ByteSpan,
    extent: CellPart,
}

impl RowBatch {
    /// Takes the next rows in place of what it held; empty at the end of the list.
    pub fn fill(&mut self, rows: &mut Rows<'_>) -> Result<(), ListError> {
        self.bytes.clear();
        self.texts.clear();
        self.fields.clear();
        self.entries.clear();
        while self.entries.len() < ROWS && self.bytes.len() < BYTES {
            match rows.next()? {
                None => break,
                Some(ListEntry::Unreadable(rejected)) => {
                    self.entries.push(BatchEntry::Rejected(Box::new(rejected)))
                }
                Some(ListEntry::Row(row)) => self.keep(&row),
            }
        }
        Ok(())
    }

    fn keep(&mut self, row: &Row<'_>) {
        let (start, text, field) = (self.bytes.len(), self.texts.len(), self.fields.len());
        self.bytes.extend_from_slice(row.raw);
        let end = self.bytes.len();
        self.bytes.extend_from_slice(row.line_end);
        self.texts.push_str(&row.address);
        self.fields.extend_from_slice(row.fields);
        self.entries.push(BatchEntry::Row(BatchRow {
            record: row.record,
            line: row.line,
            raw: (start..end).into(),
            line_end: (end..self.bytes.len()).into(),
            missing_cells: u32::try_from(row.missing_cells).unwrap_or(u32::MAX),
            cell: row.cell.clone().into(),
            own: row.own.clone().into(),
            fields: (field..self.fields.len()).into(),
            address: (text..self.texts.len()).into(),
            extent: row.extent,
        }));
    }

    /// True at the end of the list.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The rows and what was rejected between them.
    pub fn entries(&self) -> impl Iterator<Item = ListEntry<'_>> {
        self.entries.iter().map(|kept| match kept {
            BatchEntry::Rejected(rejected) => ListEntry::Unreadable((**rejected).clone()),
            BatchEntry::Row(row) => ListEntry::Row(Row {
                record: row.record,
                line: row.line,
                raw: &self.bytes[row.raw.range()],
                line_end: &self.bytes[row.line_end.range()],
                missing_cells: row.missing_cells as usize,
                cell: row.cell.range(),
                own: row.own.range(),
                fields: &self.fields[row.fields.range()],
                address: Cow::Borrowed(&self.texts[row.address.range()]),
                extent: row.extent,
            }),
        })
    }
}
