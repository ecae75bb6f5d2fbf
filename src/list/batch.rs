//! Rows that have left the reader's buffer, so that they can be judged while the next ones are being read.
//!
//! Decides: nothing. Must not: change a byte of a row.

use std::borrow::Cow;
use std::ops::Range;

use super::error::ListError;
use super::json::Field;
use super::read::{Entry, Extent, Rejected, Row, Rows};

/// Most rows of a batch: worth handing to another thread, and still in the processor's cache when they get there.
const ROWS: usize = 1024;
/// A batch of long rows ends earlier.
const BYTES: usize = 128 << 10;

/// A stretch of a batch's bytes. Half the size of a range: there are many, and a batch is small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stretch {
    start: u32,
    end: u32,
}

impl From<Range<usize>> for Stretch {
    fn from(range: Range<usize>) -> Stretch {
        // A batch ends long before: one record is limited to a mebibyte.
        let place = |place| u32::try_from(place).unwrap_or(u32::MAX);
        Stretch { start: place(range.start), end: place(range.end) }
    }
}

impl Stretch {
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
pub struct Batch {
    /// The rows, each with its line end.
    bytes: Vec<u8>,
    /// Their addresses.
    texts: String,
    /// Of all rows of NDJSON.
    fields: Vec<Field>,
    entries: Vec<Kept>,
}

#[derive(Debug)]
enum Kept {
    Row(KeptRow),
    Rejected(Box<Rejected>),
}

/// A [`Row`] whose bytes are in its batch.
#[derive(Debug)]
struct KeptRow {
    record: u64,
    line: u64,
    raw: Stretch,
    line_end: Stretch,
    missing_cells: u32,
    cell: Stretch,
    own: Stretch,
    fields: Stretch,
    address: Stretch,
    extent: Extent,
}

impl Batch {
    /// Takes the next rows in place of what it held; empty at the end of the list.
    pub fn fill(&mut self, rows: &mut Rows<'_>) -> Result<(), ListError> {
        self.bytes.clear();
        self.texts.clear();
        self.fields.clear();
        self.entries.clear();
        while self.entries.len() < ROWS && self.bytes.len() < BYTES {
            match rows.next()? {
                None => break,
                Some(Entry::Rejected(rejected)) => self.entries.push(Kept::Rejected(Box::new(rejected))),
                Some(Entry::Row(row)) => self.keep(&row),
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
        self.entries.push(Kept::Row(KeptRow {
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
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.entries.iter().map(|kept| match kept {
            Kept::Rejected(rejected) => Entry::Rejected((**rejected).clone()),
            Kept::Row(row) => Entry::Row(Row {
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
