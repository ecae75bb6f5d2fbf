//! Reading a list: opening it, and its rows one by one.
//!
//! Decides: which text of a row should be an address. Must not: judge or repair an address, or lose a row: what can't be
//! read is returned with its line and cause. Fails: for the list as a whole, before the first row or where its bytes end in
//! damage. Can't know: whether a well-formed file means what its columns say.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::detect::{self, DecodedText, DetectedList, unknown_encoding};
use super::encoding::{EncodingFinder, UnknownEncoding};
use super::options::{HeaderChoice, ReadOptions};
use super::several::addresses_in;
use super::source::ListBytes;
use crate::list::ListError;
use crate::list::error::read_error;
use crate::list::format::{
    self, Encoding, Field, ListFormat, ListKind, ScanError, Scanned, Scanner, Source, unquote,
};
use crate::list::row::{CellPart, ListEntry, Row, RowBatch, UnreadableCause, UnreadableRow};

/// How much of an unreadable row is listed.
const LISTED_BYTES: usize = 200;

/// An open list; its rows can be read as often as needed.
#[derive(Debug)]
pub struct List {
    bytes: ListBytes,
    format: ListFormat,
    late: Option<Arc<EncodingFinder>>,
    options: ReadOptions,
    /// What [`Rows::replaced`] was at the end of the list.
    replaced: AtomicU64,
}

/// Opens a list and finds out what it is.
pub fn open(source: &Source, options: &ReadOptions) -> Result<List, ListError> {
    let bytes = ListBytes::of(source, options.sheet.as_deref())?;
    let DetectedList { format, late } = detect::detect(&bytes, options)?;
    Ok(List { bytes, format, late, options: options.clone(), replaced: AtomicU64::new(0) })
}

impl List {
    /// What the list is.
    pub fn format(&self) -> &ListFormat {
        &self.format
    }

    /// What the list is, as one sentence for the user. After its rows were read, it says all about the encoding.
    pub fn sentence(&self) -> String {
        let late = self.late.as_ref().and_then(|finder| finder.found());
        let encoding = late.unwrap_or(self.format.encoding);
        let sentence = ListFormat { encoding, ..self.format.clone() }.sentence();
        match self.replaced.load(Ordering::Relaxed) {
            0 => sentence,
            places if encoding == Encoding::UTF_8 => {
                format!("{sentence}; bytes that are not UTF-8 were read as Windows-1252, in {places} places")
            }
            places => format!(
                "{sentence}; bytes that are not {} were replaced, in {places} places",
                encoding.word()
            ),
        }
    }

    /// A text that differs for other bytes, another address column, and other options that change the rows.
    pub fn identity(&self) -> Result<String, ListError> {
        let digest = self.bytes.digest().map_err(read_error(&self.bytes.name))?;
        let digest = u128::from_be_bytes(digest);
        let mut identity = format!("{digest:032x} column {}", self.format.address_column + 1);
        for other in &self.format.fallback_columns {
            let _ = write!(identity, ", {}", other + 1);
        }
        let ReadOptions { columns: _, split_cells, header, delimiter, encoding, sheet: _ } = &self.options;
        if *split_cells {
            identity += " split";
        }
        if *header != HeaderChoice::Search {
            let _ = write!(identity, " header {}", self.format.skipped_records);
        }
        if let Some(delimiter) = delimiter {
            let _ = write!(identity, " delimiter {delimiter}");
        }
        if let Some(encoding) = encoding {
            let _ = write!(identity, " {}", encoding.word());
        }
        Ok(identity)
    }

    /// The rows, from the first one on. Fails here, or at the last row, if the list was written to since it was opened.
    pub fn rows(&self) -> Result<Rows<'_>, ListError> {
        self.bytes.check_unchanged()?;
        let mut rows = Rows {
            list: self,
            scanner: detect::scanner(&self.format, &self.bytes, self.late.as_ref())?,
            record: 0,
            fields: Vec::new(),
            cell: 0..0,
            split: VecDeque::new(),
            listed: VecDeque::new(),
        };
        for number in 0..self.format.skipped_records {
            let (line, text) = match rows.scan()? {
                Some(Scanned::Record) => (rows.scanner.span().line, rows.scanner.span().record.clone()),
                Some(Scanned::Unreadable { line, text, .. }) => (line, text),
                None => break,
            };
            if self.format.above_header.contains(&number) {
                let above = rows.unreadable(line, UnreadableCause::AboveHeader, text);
                rows.listed.push_back(above);
            }
        }
        Ok(rows)
    }
}

/// The rows of a list, one at a time.
pub struct Rows<'a> {
    list: &'a List,
    scanner: Scanner<DecodedText>,
    record: u64,
    /// NDJSON: the fields of the current record.
    fields: Vec<Field>,
    /// Where the cell with the address is in [`Scanner::bytes`]; empty at the end of a record without one.
    cell: Range<usize>,
    /// Addresses of the current cell that each get a row after this one.
    split: VecDeque<String>,
    /// What is listed as unreadable before the next record.
    listed: VecDeque<UnreadableRow>,
}

impl Rows<'_> {
    /// How many byte sequences so far were not valid in the list's encoding, and were read as Windows-1252 or replaced by
    /// U+FFFD.
    pub fn replaced(&self) -> u64 {
        self.scanner.source().replaced()
    }

    fn scan(&mut self) -> Result<Option<Scanned>, ListError> {
        let line = self.scanner.line();
        let scanned = self.scanner.next();
        if !matches!(scanned, Ok(Some(_))) {
            // A list that is being written to may end anywhere, or look damaged.
            self.list.bytes.check_unchanged()?;
        }
        scanned.map_err(|source| {
            let name = &self.list.format.name;
            match source.get_ref().and_then(|inner| inner.downcast_ref::<UnknownEncoding>()) {
                Some(unknown) => unknown_encoding(name, unknown),
                None => ListError::ReadRest { name: name.clone(), line, source },
            }
        })
    }

    /// The next row, or the next one to be listed as unreadable; `None` at the end of the list.
    #[expect(
        clippy::should_implement_trait,
        reason = "a row borrows the reader's buffer, which `Iterator` can't express"
    )]
    pub fn next(&mut self) -> Result<Option<ListEntry<'_>>, ListError> {
        if let Some(unreadable) = self.listed.pop_front() {
            return Ok(Some(ListEntry::Unreadable(unreadable)));
        }
        if let Some(address) = self.split.pop_front() {
            self.record += 1;
            return Ok(Some(ListEntry::Row(self.row(Cow::Owned(address), CellPart::Split))));
        }
        match self.scan()? {
            None => {
                self.list.replaced.store(self.replaced(), Ordering::Relaxed);
                return Ok(None);
            }
            Some(Scanned::Record) => self.record += 1,
            Some(Scanned::Unreadable { line, text, why }) => {
                self.record += 1;
                let cause = match why {
                    ScanError::Unclosed => UnreadableCause::UnclosedQuote,
                    ScanError::TooLong => UnreadableCause::TooLong,
                };
                return Ok(Some(ListEntry::Unreadable(self.unreadable(line, cause, text))));
            }
        }
        let format = &self.list.format;
        if format.kind == ListKind::Ndjson {
            if let Err(unreadable) = self.read_object() {
                return Ok(Some(ListEntry::Unreadable(unreadable)));
            }
        } else if self.scanner.span().cells > format.columns.len() && !self.surplus_is_empty() {
            let span = self.scanner.span();
            let cause = UnreadableCause::TooManyCells { cells: span.cells, columns: format.columns.len() };
            let unreadable = self.unreadable(span.line, cause, span.record.clone());
            return Ok(Some(ListEntry::Unreadable(unreadable)));
        }
        self.cell = self.address_cell();
        if self.is_address_elsewhere() {
            let span = self.scanner.span();
            let unreadable =
                self.unreadable(span.line, UnreadableCause::AddressElsewhere, span.record.clone());
            return Ok(Some(ListEntry::Unreadable(unreadable)));
        }
        let Some(mut addresses) = self.several_addresses() else {
            return Ok(Some(ListEntry::Row(self.row(self.text(), CellPart::Whole))));
        };
        let first = addresses.pop_front().unwrap_or_default();
        if self.list.options.split_cells {
            self.split = addresses;
            return Ok(Some(ListEntry::Row(self.row(Cow::Owned(first), CellPart::Split))));
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

    /// Puts the next rows into a batch, in place of its rows; the batch is empty at the end of the list.
    pub fn fill(&mut self, batch: &mut RowBatch) -> Result<(), ListError> {
        batch.clear();
        while !batch.is_full() {
            match self.next()? {
                None => {
                    batch.end_list();
                    break;
                }
                Some(ListEntry::Unreadable(row)) => batch.push_unreadable(row),
                Some(ListEntry::Row(row)) => batch.push(&row),
            }
        }
        Ok(())
    }

    /// True when only delimiters follow the cells of the columns.
    fn surplus_is_empty(&self) -> bool {
        let delimiter = self.list.format.cell_delimiter();
        let span = self.scanner.span();
        let surplus = &self.scanner.bytes()[span.width_end..span.record.end];
        surplus.iter().all(|&byte| byte == delimiter)
    }

    /// True for a row that ends before the address column and yet has an @.
    fn is_address_elsewhere(&self) -> bool {
        let format = &self.list.format;
        let span = self.scanner.span();
        format.kind != ListKind::Ndjson
            && span.cells <= format.address_column
            && self.cell.is_empty()
            && memchr::memchr(b'@', &self.scanner.bytes()[span.record.clone()]).is_some()
    }

    /// The addresses in the cell when there are several.
    fn several_addresses(&self) -> Option<VecDeque<String>> {
        let cell = &self.scanner.bytes()[self.cell.clone()];
        let one = |at| memchr::memchr(b'@', &cell[at + 1..]).is_none();
        // A JSON string may hide an @ behind an escape.
        if self.list.format.kind != ListKind::Ndjson && memchr::memchr(b'@', cell).is_none_or(one) {
            return None;
        }
        let text = self.text();
        let found = addresses_in(&text)?;
        Some(found.into_iter().map(str::to_owned).collect())
    }

    /// Finds the fields of an NDJSON line.
    fn read_object(&mut self) -> Result<(), UnreadableRow> {
        let span = self.scanner.span();
        let line = String::from_utf8_lossy(&self.scanner.bytes()[span.record.clone()]);
        let read = format::fields(&line);
        self.fields = read.map_err(|fault| {
            self.unreadable(span.line, UnreadableCause::NotAnObject(fault), span.record.clone())
        })?;
        Ok(())
    }

    /// Where the cell is that should have an address: the one of the address column, or of the next column that the user
    /// gives, if that one is empty.
    fn address_cell(&self) -> Range<usize> {
        let format = &self.list.format;
        let span = self.scanner.span();
        let first = match format.kind {
            ListKind::Ndjson => self.value(format.address_column),
            ListKind::Delimited(_) | ListKind::Lines => span.address.clone(),
        };
        if format.fallback_columns.is_empty() || !self.is_blank(first.clone()) {
            return first;
        }
        let others = format.fallback_columns.iter().map(|&column| match format.kind {
            ListKind::Ndjson => self.value(column),
            ListKind::Delimited(_) | ListKind::Lines => {
                let Range { start, end } = span.record;
                let record = &self.scanner.bytes()[start..end];
                let cell = format::cell_at(record, format.cell_delimiter(), column);
                cell.map_or(end..end, |cell| start + cell.start..start + cell.end)
            }
        });
        others.into_iter().find(|cell| !self.is_blank(cell.clone())).unwrap_or(first)
    }

    /// NDJSON: where the value of the key with this name is.
    fn value(&self, column: usize) -> Range<usize> {
        let Range { start, end } = self.scanner.span().record;
        let line = utf8(&self.scanner.bytes()[start..end]);
        let value = format::find_value(&line, &self.fields, &self.list.format.columns[column]);
        value.map_or(end..end, |value| start + value.start..start + value.end)
    }

    /// True for a cell without text.
    fn is_blank(&self, cell: Range<usize>) -> bool {
        self.text_of(cell).trim().is_empty()
    }

    /// The text of the address cell.
    fn text(&self) -> Cow<'_, str> {
        self.text_of(self.cell.clone())
    }

    /// The text of a cell.
    fn text_of(&self, cell: Range<usize>) -> Cow<'_, str> {
        let cell = &self.scanner.bytes()[cell];
        match self.list.format.kind {
            ListKind::Lines if !format::is_quoted(cell) => utf8(cell),
            ListKind::Delimited(_) | ListKind::Lines => match unquote(cell) {
                Cow::Borrowed(text) => utf8(text),
                Cow::Owned(text) => Cow::Owned(utf8(&text).into_owned()),
            },
            ListKind::Ndjson if cell.is_empty() => Cow::Borrowed(""),
            ListKind::Ndjson => Cow::Owned(format::text(&utf8(cell))),
        }
    }

    fn row<'s>(&'s self, address: Cow<'s, str>, part: CellPart) -> Row<'s> {
        let span = self.scanner.span();
        let bytes = self.scanner.bytes();
        let start = span.record.start;
        let cell = self.cell.clone();
        let columns = self.list.format.columns.len();
        let (end, missing_cells) = match self.list.format.kind {
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
            earlier: span.earlier.start - start..span.earlier.end - start,
            fields: &self.fields,
            address,
            part,
        }
    }

    fn unreadable(&self, line: u64, cause: UnreadableCause, text: Range<usize>) -> UnreadableRow {
        let bytes = &self.scanner.bytes()[text];
        let mut text = String::from_utf8_lossy(&bytes[..bytes.len().min(LISTED_BYTES)]).into_owned();
        text.truncate(text.trim_end_matches(['\r', '\n', '\u{fffd}']).len());
        UnreadableRow { line, cause, text }
    }
}

/// The text of decoded bytes.
fn utf8(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}
