//! Reading a list: what it is, and its rows one by one, bytes first.
//!
//! Decides: where the address of a row is. Must not: say what is an address, repair one, or lose a row: what can't be
//! read is handed out with its line and cause. Fails: on the list as a whole, before the first row or where its bytes
//! end in damage. Can't know: whether a well-formed file means what its columns say.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;

use crate::list::format::{
    self, DecodedText, Field, ListFormat, MAX_RECORD_BYTES, ScanError, Scanned, Scanner,
};
use crate::list::input::cell;
use crate::list::input::sniff::ListKind;
use crate::list::input::source::{Bytes, Source};
use crate::list::{ListError, read_error};

/// Of a row that can't be read so much is shown.
const SHOWN_BYTES: usize = 200;

/// What the user says about a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// The address column: its name (case does not count) or its number from 1 on.
    pub column: Option<String>,
    /// Make a row of each address in a cell; otherwise the first is judged and the others are listed.
    pub split_cells: bool,
}

/// A list that can be read as often as needed.
#[derive(Debug)]
pub struct List {
    bytes: Bytes,
    form: ListFormat,
    split_cells: bool,
}

/// Opens a list and finds out what it is.
pub fn open(source: &Source, options: &ReadOptions) -> Result<List, ListError> {
    let bytes = Bytes::of(source)?;
    let form = ListFormat::of(&bytes, options)?;
    Ok(List { bytes, form, split_cells: options.split_cells })
}

impl List {
    /// What it is.
    pub fn form(&self) -> &ListFormat {
        &self.form
    }

    /// What tells it from all other lists, and from the same one read otherwise.
    pub fn identity(&self) -> Result<String, ListError> {
        let digest = self.bytes.digest().map_err(read_error(&self.bytes.name))?;
        let digest = u128::from_be_bytes(digest);
        let split = if self.split_cells { " split" } else { "" };
        Ok(format!("{digest:032x} column {}{split}", self.form.address + 1))
    }

    /// Its rows from the first one on. Each call reads the list anew; one that was written to since it was opened is another
    /// list, and fails here, or at its end.
    pub fn rows(&self) -> Result<Rows<'_>, ListError> {
        self.bytes.unchanged()?;
        let mut rows = Rows {
            list: self,
            scanner: self.form.scanner(&self.bytes)?,
            record: 0,
            fields: Vec::new(),
            value: None,
            parts: VecDeque::new(),
            listed: VecDeque::new(),
        };
        for number in 0..self.form.skipped_records {
            if let (Some(Scanned::Record), true) = (rows.scan()?, self.form.above_header.contains(&number)) {
                let span = rows.scanner.span();
                let above = rows.rejected(span.line, UnreadableCause::AboveHeader, span.record.clone());
                rows.listed.push_back(above);
            }
        }
        Ok(rows)
    }
}

/// Why a row, or an address in it, is not in the results.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableCause {
    /// A quote opens a cell and nothing closes it.
    #[error("a quote opens a cell and is not closed")]
    UnclosedQuote,
    /// The row is longer than any record may be.
    #[error("no line end within {MAX_RECORD_BYTES} bytes")]
    TooLong,
    /// There are more cells than columns, so nobody can say which is which.
    #[error("{cells} cells where there are {columns} columns")]
    TooManyCells {
        /// In this row.
        cells: usize,
        /// In the list.
        columns: usize,
    },
    /// It ends before the address column, and yet holds an @: its cells are divided by something else.
    #[error("no cell where the addresses are, and an @ elsewhere")]
    AddressElsewhere,
    /// It stands above the header, so it belongs to no column.
    #[error("it stands above the header")]
    AboveHeader,
    /// A line of NDJSON that is not one object.
    #[error("{0}")]
    NotAnObject(String),
    /// A line of NDJSON has a key that ours would double.
    #[error("the key `{0}` is one of ours and did not stand in the first rows; choose a `--column-prefix`")]
    KeyTaken(String),
    /// A cell holds several addresses; the first one is in the results, this is another.
    #[error("another address in the cell of row {record}, not checked; `--split-cells` makes a row of it")]
    AnotherAddress {
        /// The row whose cell it is.
        record: u64,
    },
}

/// What is listed in `.rejected.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableRow {
    /// 1-based line of the list.
    pub line: u64,
    /// Why.
    pub cause: UnreadableCause,
    /// The row's beginning, or the address.
    pub text: String,
}

impl UnreadableRow {
    /// True when a whole row is lost to the results; false for a further address of a row that is in them.
    pub fn is_row(&self) -> bool {
        !matches!(self.cause, UnreadableCause::AnotherAddress { .. })
    }
}

/// What comes next in a list.
#[derive(Debug)]
pub enum ListEntry<'a> {
    /// A row with, or without, an address.
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
    /// Its line end; empty when it is the last row and has none.
    pub(super) line_end: &'a [u8],
    /// Cells that it lacks.
    pub(super) missing_cells: usize,
    /// The address cell in `raw`, quotes and all.
    pub(super) cell: Range<usize>,
    /// Our own earlier cells in `raw`.
    pub(super) own: Range<usize>,
    /// NDJSON: its keys and values in `raw`.
    pub(super) fields: &'a [Field],
    /// The address as it was found.
    pub(super) address: Cow<'a, str>,
    /// How much of the cell `address` is.
    pub(super) extent: CellPart,
}

/// How much of its cell an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CellPart {
    /// All of it.
    Whole,
    /// The first of several; the others are listed as rejected.
    First,
    /// One of several, each of which has a row.
    Part,
}

impl Row<'_> {
    /// The text that should be an address: the cell without CSV quotes, otherwise as it is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The row as it was written, without its line end.
    pub fn raw(&self) -> &[u8] {
        self.raw
    }
}

/// The rows of a list, one at a time.
pub struct Rows<'a> {
    list: &'a List,
    scanner: Scanner<DecodedText>,
    record: u64,
    /// NDJSON: the fields of the record from which rows are being handed out, and the address's value.
    fields: Vec<Field>,
    value: Option<Range<usize>>,
    /// Addresses of the record's cell that still get a row.
    parts: VecDeque<String>,
    /// Addresses of the record's cell that still are listed.
    listed: VecDeque<UnreadableRow>,
}

impl Rows<'_> {
    /// How many places so far were not what the encoding allows and were read as Windows-1252, or given up.
    pub fn mended(&self) -> u64 {
        self.scanner.source().mended()
    }

    fn scan(&mut self) -> Result<Option<Scanned>, ListError> {
        let line = self.scanner.line();
        let scanned = self.scanner.next();
        if !matches!(scanned, Ok(Some(_))) {
            // One that is being written to ends anywhere, or looks damaged.
            self.list.bytes.unchanged()?;
        }
        scanned.map_err(|source| ListError::Torn { name: self.list.form.name.clone(), line, source })
    }

    /// The next row, or the next thing to be listed as rejected.
    #[expect(
        clippy::should_implement_trait,
        reason = "a row borrows the reader's buffer, which `Iterator` can't say"
    )]
    pub fn next(&mut self) -> Result<Option<ListEntry<'_>>, ListError> {
        if let Some(rejected) = self.listed.pop_front() {
            return Ok(Some(ListEntry::Unreadable(rejected)));
        }
        if let Some(part) = self.parts.pop_front() {
            self.record += 1;
            return Ok(Some(ListEntry::Row(self.row(Cow::Owned(part), CellPart::Part))));
        }
        match self.scan()? {
            None => return Ok(None),
            Some(Scanned::Record) => self.record += 1,
            Some(Scanned::Unread { line, text, why }) => {
                self.record += 1;
                let cause = match why {
                    ScanError::Unclosed => UnreadableCause::UnclosedQuote,
                    ScanError::TooLong => UnreadableCause::TooLong,
                };
                return Ok(Some(ListEntry::Unreadable(self.rejected(line, cause, text))));
            }
        }
        let form = &self.list.form;
        if form.kind == ListKind::Ndjson {
            if let Err(rejected) = self.read_object() {
                return Ok(Some(ListEntry::Unreadable(rejected)));
            }
        } else if self.scanner.span().cells > form.columns.len() && !self.surplus_is_empty() {
            let span = self.scanner.span();
            let cause = UnreadableCause::TooManyCells { cells: span.cells, columns: form.columns.len() };
            let rejected = self.rejected(span.line, cause, span.record.clone());
            return Ok(Some(ListEntry::Unreadable(rejected)));
        }
        if self.is_address_elsewhere() {
            let span = self.scanner.span();
            let rejected = self.rejected(span.line, UnreadableCause::AddressElsewhere, span.record.clone());
            return Ok(Some(ListEntry::Unreadable(rejected)));
        }
        let Some(mut addresses) = self.several_addresses() else {
            return Ok(Some(ListEntry::Row(self.row(self.text(), CellPart::Whole))));
        };
        let first = addresses.pop_front().unwrap_or_default();
        if self.list.split_cells {
            self.parts = addresses;
            return Ok(Some(ListEntry::Row(self.row(Cow::Owned(first), CellPart::Part))));
        }
        let (line, record) = (self.scanner.span().line, self.record);
        let listed = addresses.into_iter().map(|text| UnreadableRow {
            line,
            cause: UnreadableCause::AnotherAddress { record },
            text,
        });
        self.listed = listed.collect();
        Ok(Some(ListEntry::Row(self.row(Cow::Owned(first), CellPart::First))))
    }

    /// True when nothing but delimiters stands behind the columns.
    fn surplus_is_empty(&self) -> bool {
        let delimiter = self.list.form.delimiter();
        let span = self.scanner.span();
        let surplus = &self.scanner.bytes()[span.width_end..span.record.end];
        surplus.iter().all(|&byte| byte == delimiter)
    }

    /// True for a row without an address cell of which it would be wrong to say that it has no address.
    fn is_address_elsewhere(&self) -> bool {
        let form = &self.list.form;
        let span = self.scanner.span();
        form.kind != ListKind::Ndjson
            && span.cells <= form.address
            && memchr::memchr(b'@', &self.scanner.bytes()[span.record.clone()]).is_some()
    }

    /// The addresses in the cell when there are several.
    fn several_addresses(&self) -> Option<VecDeque<String>> {
        let cell = &self.scanner.bytes()[self.cell()];
        let one = |at| memchr::memchr(b'@', &cell[at + 1..]).is_none();
        // A JSON string may hide an @ behind an escape.
        if self.list.form.kind != ListKind::Ndjson && memchr::memchr(b'@', cell).is_none_or(one) {
            return None;
        }
        let text = self.text();
        let found = crate::list::input::cell::addresses(&text)?;
        Some(found.into_iter().map(str::to_owned).collect())
    }

    /// Finds the fields of a line of NDJSON, and the address among them.
    fn read_object(&mut self) -> Result<(), UnreadableRow> {
        let span = self.scanner.span();
        let line = String::from_utf8_lossy(&self.scanner.bytes()[span.record.clone()]);
        let read = format::fields(&line);
        self.fields = read.map_err(|fault| {
            self.rejected(span.line, UnreadableCause::NotAnObject(fault), span.record.clone())
        })?;
        let key = &self.list.form.columns[self.list.form.address];
        let value = self.fields.iter().rev().find(|field| field.key == *key);
        self.value = value.map(|field| field.value.clone());
        Ok(())
    }

    /// Where the address cell, or the value of the address key, is in the scanner's bytes.
    fn cell(&self) -> Range<usize> {
        let span = self.scanner.span();
        if self.list.form.kind != ListKind::Ndjson {
            return span.address.clone();
        }
        let Range { start, end } = span.record;
        self.value.as_ref().map_or(end..end, |value| start + value.start..start + value.end)
    }

    /// The text of the address cell.
    fn text(&self) -> Cow<'_, str> {
        let cell = &self.scanner.bytes()[self.cell()];
        match self.list.form.kind {
            ListKind::Lines => utf8(cell),
            ListKind::Delimited(_) => match crate::list::input::cell::unquote(cell) {
                Cow::Borrowed(text) => utf8(text),
                Cow::Owned(text) => Cow::Owned(utf8(&text).into_owned()),
            },
            ListKind::Ndjson if cell.is_empty() => Cow::Borrowed(""),
            ListKind::Ndjson => Cow::Owned(format::text(&utf8(cell))),
        }
    }

    fn row<'s>(&'s self, address: Cow<'s, str>, extent: CellPart) -> Row<'s> {
        let span = self.scanner.span();
        let bytes = self.scanner.bytes();
        let start = span.record.start;
        let cell = self.cell();
        let columns = self.list.form.columns.len();
        let (end, missing_cells) = match self.list.form.kind {
            ListKind::Delimited(_) if span.cells > columns => (span.width_end, 0),
            ListKind::Delimited(_) => (span.record.end, columns - span.cells),
            ListKind::Lines | ListKind::Ndjson => (span.record.end, 0),
        };
        Row {
            record: self.record,
            line: span.line,
            raw: &bytes[start..end],
            line_end: &bytes[span.record.end..span.whole.end],
            missing_cells,
            cell: cell.start - start..cell.end - start,
            own: span.own.start - start..span.own.end - start,
            fields: &self.fields,
            address,
            extent,
        }
    }

    fn rejected(&self, line: u64, cause: UnreadableCause, text: Range<usize>) -> UnreadableRow {
        let bytes = &self.scanner.bytes()[text];
        let mut text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_BYTES)]).into_owned();
        text.truncate(text.trim_end_matches(['\r', '\n', '\u{fffd}']).len());
        UnreadableRow { line, cause, text }
    }
}

/// The text of bytes that were made UTF-8 on their way here.
fn utf8(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}
