//! One CSV record: where it ends, where its wanted cells are, and how a text is written as a cell.
//!
//! Decides: by RFC 4180, and as leniently as the csv crate (a quote inside a plain cell is a letter; text after a closing
//! quote belongs to the cell). Must not: copy a record, or know what an address is.
//!
//! A quote that is never closed would swallow the rest of the list. So a cell over several lines counts only if it is
//! closed properly: a delimiter or a line end follows its last quote.

use std::borrow::Cow;
use std::io::Write;
use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr2, memchr3};

pub(super) const QUOTE: u8 = b'"';

/// Where the next line end begins: `\n`, `\r\n`, or `\r` alone; one list may have all three.
pub(in crate::list) fn line_end(bytes: &[u8]) -> Option<usize> {
    memchr2(b'\n', b'\r', bytes)
}

/// The offset after the line end that begins at `at`; `None` when that depends on bytes that are not read yet.
pub(super) fn after_line_end(bytes: &[u8], at: usize, may_grow: bool) -> Option<usize> {
    match &bytes[at..] {
        [b'\r', b'\n', ..] => Some(at + 2),
        // A program turned each `\n` into `\r\n`, and the list had `\r\n` already.
        [b'\r', b'\r', b'\n', ..] => Some(at + 3),
        [b'\r'] | [b'\r', b'\r'] if may_grow => None,
        _ => Some(at + 1),
    }
}

/// How many line ends there are.
pub(super) fn count_line_ends(bytes: &[u8]) -> u64 {
    let (mut at, mut count) = (0, 0);
    while let Some(n) = line_end(&bytes[at..]) {
        at = after_line_end(bytes, at + n, false).unwrap_or(bytes.len());
        count += 1;
    }
    count
}

/// Which cells of a record the reader needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::list) struct WantedCells {
    /// How many cells a record should have, at least 1.
    pub(in crate::list) width: usize,
    /// The index of the cell with the address.
    pub(in crate::list) address: usize,
    /// The cells that an earlier run added, which are found as one range.
    pub(in crate::list) earlier: Option<Range<usize>>,
}

/// Where a record and its wanted cells are in the bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::list) struct CellSpan {
    /// The record without its line end.
    pub(in crate::list) record: Range<usize>,
    /// The record with its line end.
    pub(in crate::list) whole: Range<usize>,
    /// 1-based line on which it starts.
    pub(in crate::list) line: u64,
    /// How many cells there are.
    pub(in crate::list) cells: usize,
    /// Where the last cell of the wanted width ends; the record's end when there are fewer.
    pub(in crate::list) width_end: usize,
    /// The address cell as written, quotes included; empty at the end when the record is too short.
    pub(in crate::list) address: Range<usize>,
    /// The cells that an earlier run added; empty at the end when the record is too short.
    pub(in crate::list) earlier: Range<usize>,
}

/// How the search for the end of a record with quotes ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ScanEnd {
    /// The record was found; the span says where.
    Done,
    /// The record goes on after the bytes.
    NeedsMore,
    /// A cell over several lines is not closed properly; that shows at this offset.
    Unclosed(usize),
}

/// What is known about the bytes of a search.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScanBounds {
    /// Where the record starts.
    pub(super) start: usize,
    /// More bytes can be read.
    pub(super) may_grow: bool,
    /// The list ends with these bytes.
    pub(super) ended: bool,
    /// A cell over several lines counts only if it opens here or later.
    pub(super) multiline_from: usize,
}

/// The offset after the quote that closes the cell which opens at `open`.
fn closing_quote(bytes: &[u8], open: usize, bounds: ScanBounds) -> Result<usize, ScanEnd> {
    let may_be_multiline = open >= bounds.multiline_from;
    let limit = if may_be_multiline {
        bytes.len()
    } else {
        line_end(&bytes[open..]).map_or(bytes.len(), |n| open + n)
    };
    let mut at = open + 1;
    loop {
        let Some(n) = memchr(QUOTE, &bytes[at..limit]) else {
            let more = bounds.may_grow && limit == bytes.len();
            return Err(if more { ScanEnd::NeedsMore } else { ScanEnd::Unclosed(limit) });
        };
        at += n + 1;
        match bytes.get(at) {
            None if bounds.may_grow => return Err(ScanEnd::NeedsMore),
            Some(&QUOTE) => at += 1,
            _ => return Ok(at),
        }
    }
}

impl CellSpan {
    /// Sets the span of a line that is one cell.
    pub(super) fn set_single(&mut self, record: Range<usize>, next: usize) {
        self.whole = record.start..next;
        self.cells = 1;
        self.width_end = record.end;
        self.earlier = record.end..record.end;
        self.address = record.clone();
        self.record = record;
    }

    /// Sets the span of a line without any quote.
    pub(super) fn set_plain(
        &mut self,
        bytes: &[u8],
        record: Range<usize>,
        next: usize,
        delimiter: u8,
        wanted: &WantedCells,
    ) {
        let line = &bytes[record.clone()];
        let Range { start, end } = record;
        self.set_single(record, next);
        self.address = end..end;
        let mut delimiters = memchr_iter(delimiter, line).map(|at| start + at);
        let mut cell_start = start;
        if wanted.earlier.is_some() {
            self.cells = 0;
            for at in delimiters.chain([end]) {
                self.add_cell(wanted, cell_start..at);
                cell_start = at + 1;
            }
            return;
        }
        // The usual case: search up to the address, then only count.
        for _ in 0..wanted.address {
            let Some(at) = delimiters.next() else {
                return;
            };
            self.cells += 1;
            cell_start = at + 1;
        }
        let address_end = delimiters.next().unwrap_or(end);
        self.address = cell_start..address_end;
        if address_end < end {
            self.cells += 1 + memchr_iter(delimiter, &bytes[address_end + 1..end]).count();
        }
        if self.cells > wanted.width {
            let surplus = memchr_iter(delimiter, line).nth(wanted.width - 1);
            self.width_end = surplus.map_or(end, |at| start + at);
        }
    }

    /// Sets the span of a record that has quotes, cell by cell.
    pub(super) fn scan_quoted(
        &mut self,
        bytes: &[u8],
        delimiter: u8,
        wanted: &WantedCells,
        bounds: ScanBounds,
    ) -> ScanEnd {
        self.cells = 0;
        let mut cell_start = bounds.start;
        loop {
            let mut at = cell_start;
            if bytes.get(at) == Some(&QUOTE) {
                match closing_quote(bytes, at, bounds) {
                    Ok(after) => at = after,
                    Err(end) => return end,
                }
                if line_end(&bytes[cell_start..at]).is_some() {
                    let closed = match bytes.get(at) {
                        None if bounds.may_grow => return ScanEnd::NeedsMore,
                        None => true,
                        Some(&next) => next == delimiter || matches!(next, b'\n' | b'\r'),
                    };
                    if !closed {
                        return ScanEnd::Unclosed(at - 1);
                    }
                }
            }
            let (end, next) = match memchr3(delimiter, b'\n', b'\r', &bytes[at..]).map(|n| at + n) {
                Some(end) if bytes[end] == delimiter => {
                    self.add_cell(wanted, cell_start..end);
                    cell_start = end + 1;
                    continue;
                }
                Some(end) => match after_line_end(bytes, end, bounds.may_grow) {
                    Some(next) => (end, next),
                    None => return ScanEnd::NeedsMore,
                },
                None if bounds.may_grow => return ScanEnd::NeedsMore,
                None if !bounds.ended => return ScanEnd::Unclosed(bytes.len()),
                None => (bytes.len(), bytes.len()),
            };
            self.add_cell(wanted, cell_start..end);
            self.record = bounds.start..end;
            self.whole = bounds.start..next;
            self.set_missing(wanted);
            return ScanEnd::Done;
        }
    }

    /// Counts the next cell, and keeps its range if it is wanted.
    fn add_cell(&mut self, wanted: &WantedCells, cell: Range<usize>) {
        let index = self.cells;
        self.cells += 1;
        if let Some(earlier) = &wanted.earlier {
            if index == earlier.start {
                self.earlier = cell.clone();
            } else if earlier.contains(&index) {
                self.earlier.end = cell.end;
            }
        }
        if index < wanted.width {
            self.width_end = cell.end;
        }
        if index == wanted.address {
            self.address = cell;
        }
    }

    /// Sets the ranges of wanted cells that the record does not have to its end.
    fn set_missing(&mut self, wanted: &WantedCells) {
        let end = self.record.end;
        if self.cells <= wanted.address {
            self.address = end..end;
        }
        if wanted.earlier.as_ref().is_none_or(|earlier| self.cells <= earlier.start) {
            self.earlier = end..end;
        }
    }
}

/// Where the cell with this index is in a record that was scanned; `None` when the record is too short.
pub(in crate::list) fn cell_at(record: &[u8], delimiter: u8, index: usize) -> Option<Range<usize>> {
    let wanted = WantedCells { width: 1, address: index, earlier: None };
    let bounds = ScanBounds { start: 0, may_grow: false, ended: true, multiline_from: 0 };
    let mut span = CellSpan::default();
    let end = span.scan_quoted(record, delimiter, &wanted, bounds);
    (end == ScanEnd::Done && span.cells > index).then_some(span.address)
}

/// Where the first cell of a record that was scanned ends, or of a rest of it.
pub(in crate::list) fn cell_end(record: &[u8], delimiter: u8) -> usize {
    let bounds = ScanBounds { start: 0, may_grow: false, ended: true, multiline_from: 0 };
    let is_quoted = record.first() == Some(&QUOTE);
    let from = if is_quoted { closing_quote(record, 0, bounds).unwrap_or(record.len()) } else { 0 };
    memchr(delimiter, &record[from..]).map_or(record.len(), |at| from + at)
}

/// The texts of the cells of a record.
pub(in crate::list) fn cells(record: &[u8], delimiter: Option<u8>) -> Vec<String> {
    let Some(delimiter) = delimiter else {
        return vec![String::from_utf8_lossy(record).into_owned()];
    };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .buffer_capacity(record.len().clamp(64, 8 << 10))
        .from_reader(record);
    let cells = reader.byte_records().next().and_then(Result::ok).unwrap_or_default();
    cells.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect()
}

/// True for a cell that is in quotes as a whole, with two quotes for each inside.
pub(in crate::list) fn is_quoted(cell: &[u8]) -> bool {
    let [QUOTE, inner @ .., QUOTE] = cell else { return false };
    let mut quotes = memchr_iter(QUOTE, inner);
    while let Some(at) = quotes.next() {
        if quotes.next() != Some(at + 1) {
            return false;
        }
    }
    true
}

/// The text of a cell as a CSV reader sees it: without its quotes, and with one quote for two.
pub(in crate::list) fn unquote(cell: &[u8]) -> Cow<'_, [u8]> {
    let [b'"', rest @ ..] = cell else {
        return Cow::Borrowed(cell);
    };
    if let [inner @ .., b'"'] = rest
        && memchr(b'"', inner).is_none()
    {
        return Cow::Borrowed(inner);
    }
    let mut text = Vec::with_capacity(rest.len());
    let mut bytes = rest.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'"' {
            text.push(byte);
        } else if bytes.peek() == Some(&b'"') {
            text.push(b'"');
            bytes.next();
        } else {
            // Text after the closing quote belongs to the cell as it is.
            text.extend(bytes);
            break;
        }
    }
    Cow::Owned(text)
}

/// Writes a text as a cell, in quotes if needed.
pub(in crate::list) fn write_cell(out: &mut Vec<u8>, text: &str, delimiter: u8) {
    let bytes = text.as_bytes();
    let needs_quotes = memchr3(delimiter, b'"', b'\n', bytes).is_some() || memchr(b'\r', bytes).is_some();
    if needs_quotes {
        write_quoted(out, text);
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

fn write_quoted(out: &mut Vec<u8>, text: &str) {
    let mut writer = csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::Always)
        .from_writer(Vec::with_capacity(text.len() + 8));
    let written = writer.write_record([text]).is_ok();
    if let (true, Ok(mut cell)) = (written, writer.into_inner()) {
        cell.pop();
        let _ = out.write_all(&cell);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cell_ends_at_the_delimiter_behind_its_quotes() {
        for (bytes, end) in [("a,b", 1), ("", 0), ("\"a,\"\"b\",c", 7), ("\"a\"x,c", 4), ("abc", 3)] {
            assert_eq!(cell_end(bytes.as_bytes(), b','), end, "{bytes}");
        }
    }

    proptest! {
        #[test]
        fn a_written_cell_is_read_back_by_us_and_by_the_csv_crate(
            text in "[a-c,;\"\r\n \té]{0,12}",
            delimiter in prop::sample::select(b",;\t|".as_slice()),
        ) {
            let mut cell = Vec::new();
            write_cell(&mut cell, &text, delimiter);
            prop_assert_eq!(&*unquote(&cell), text.as_bytes());
            cell.extend_from_slice(&[delimiter, b'x']);
            let mut reader = csv::ReaderBuilder::new()
                .delimiter(delimiter).has_headers(false).from_reader(cell.as_slice());
            let record = reader.records().next().unwrap().unwrap();
            prop_assert_eq!(record.iter().collect::<Vec<_>>(), [text.as_str(), "x"]);
        }
    }
}
