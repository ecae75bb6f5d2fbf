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

/// Some rows of a list, in their order.
#[derive(Debug, Default)]
pub struct Batch {
    /// The rows, each with its line end.
    bytes: Vec<u8>,
    /// Their addresses.
    texts: String,
    entries: Vec<Kept>,
}

#[derive(Debug)]
enum Kept {
    Row(KeptRow),
    Rejected(Rejected),
}

/// A [`Row`] whose bytes are in its batch.
#[derive(Debug)]
struct KeptRow {
    record: u64,
    line: u64,
    raw: Range<usize>,
    line_end_bytes: usize,
    missing_cells: usize,
    cell: Range<usize>,
    own: Range<usize>,
    fields: Vec<Field>,
    address: Range<usize>,
    extent: Extent,
}

impl Batch {
    /// Takes the next rows; empty at the end of the list.
    pub fn fill(rows: &mut Rows<'_>) -> Result<Batch, ListError> {
        let mut batch = Batch {
            bytes: Vec::with_capacity(BYTES),
            texts: String::with_capacity(ROWS * 32),
            entries: Vec::with_capacity(ROWS),
        };
        while batch.entries.len() < ROWS && batch.bytes.len() < BYTES {
            match rows.next()? {
                None => break,
                Some(Entry::Rejected(rejected)) => batch.entries.push(Kept::Rejected(rejected)),
                Some(Entry::Row(row)) => batch.keep(&row),
            }
        }
        Ok(batch)
    }

    fn keep(&mut self, row: &Row<'_>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(row.raw);
        let raw = start..self.bytes.len();
        self.bytes.extend_from_slice(row.line_end);
        let text = self.texts.len();
        self.texts.push_str(&row.address);
        self.entries.push(Kept::Row(KeptRow {
            record: row.record,
            line: row.line,
            raw,
            line_end_bytes: row.line_end.len(),
            missing_cells: row.missing_cells,
            cell: row.cell.clone(),
            own: row.own.clone(),
            fields: row.fields.to_vec(),
            address: text..self.texts.len(),
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
            Kept::Rejected(rejected) => Entry::Rejected(rejected.clone()),
            Kept::Row(row) => Entry::Row(Row {
                record: row.record,
                line: row.line,
                raw: &self.bytes[row.raw.clone()],
                line_end: &self.bytes[row.raw.end..row.raw.end + row.line_end_bytes],
                missing_cells: row.missing_cells,
                cell: row.cell.clone(),
                own: row.own.clone(),
                fields: &row.fields,
                address: Cow::Borrowed(&self.texts[row.address.clone()]),
                extent: row.extent,
            }),
        })
    }
}
