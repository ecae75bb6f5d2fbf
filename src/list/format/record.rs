//! One record in bytes: where it ends, and where the few cells lie that anyone asks for.
//!
//! Decides: by RFC 4180 and the csv crate's leniency (a quote inside a plain cell is a letter, text after a closing
//! quote belongs to the cell). Must not: copy, unquote, or know what an address is.
//!
//! A quote that is never closed would swallow the rest of the list. So a cell over several lines counts only if it is
//! closed properly: a delimiter or a line end follows its last quote.

use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr2, memchr3};

pub(super) const QUOTE: u8 = b'"';

/// Where the next line end begins: `\n`, `\r\n`, or `\r` alone, also side by side in one list.
pub(super) fn line_end(bytes: &[u8]) -> Option<usize> {
    memchr2(b'\n', b'\r', bytes)
}

/// The offset behind the line end that begins at `at`; `None` when that depends on bytes that are still to come.
pub(super) fn behind_line_end(bytes: &[u8], at: usize, may_grow: bool) -> Option<usize> {
    match &bytes[at..] {
        [b'\r', b'\n', ..] => Some(at + 2),
        // A program that makes `\r\n` of `\n` was let loose on a list that had it.
        [b'\r', b'\r', b'\n', ..] => Some(at + 3),
        [b'\r'] | [b'\r', b'\r'] if may_grow => None,
        _ => Some(at + 1),
    }
}

/// How many line ends there are.
pub(super) fn count_line_ends(bytes: &[u8]) -> u64 {
    let (mut at, mut count) = (0, 0);
    while let Some(n) = line_end(&bytes[at..]) {
        at = behind_line_end(bytes, at + n, false).unwrap_or(bytes.len());
        count += 1;
    }
    count
}

/// Which cells of a record are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// How many cells a record should have, 1 at least.
    pub(super) width: usize,
    /// The cell with the address.
    pub(super) address: usize,
    /// Cells that are looked for as one stretch: our own columns of an earlier run.
    pub(super) own: Option<Range<usize>>,
}

/// Where a record and its wanted cells lie in the bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CellSpan {
    /// The record without its line end.
    pub(super) record: Range<usize>,
    /// The record with its line end.
    pub(super) whole: Range<usize>,
    /// 1-based line on which it starts.
    pub(super) line: u64,
    /// How many cells there are.
    pub(super) cells: usize,
    /// Where the last cell of the wanted width ends; the record's end when there are fewer.
    pub(super) width_end: usize,
    /// The address cell as written, quotes and all; empty at the end when the record is too short.
    pub(super) address: Range<usize>,
    /// The stretch of our own earlier cells; empty at the end when the record is too short.
    pub(super) own: Range<usize>,
}

/// How the walk along a record with quotes ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ScanEnd {
    /// The span says where.
    Done,
    /// The bytes end too early.
    More,
    /// A cell over several lines is not closed properly; seen at this offset.
    Unclosed(usize),
}

/// What a walk may count on.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScanBounds {
    /// Where the record starts.
    pub(super) start: usize,
    /// More bytes can be had.
    pub(super) may_grow: bool,
    /// The list ends with these bytes.
    pub(super) ended: bool,
    /// A cell over several lines is believed only if it opens here or later.
    pub(super) believed_from: usize,
}

/// The offset after the quote that closes the cell which opens at `open`.
fn closing_quote(bytes: &[u8], open: usize, reach: ScanBounds) -> Result<usize, ScanEnd> {
    let believed = open >= reach.believed_from;
    let limit =
        if believed { bytes.len() } else { line_end(&bytes[open..]).map_or(bytes.len(), |n| open + n) };
    let mut at = open + 1;
    loop {
        let Some(n) = memchr(QUOTE, &bytes[at..limit]) else {
            let more = reach.may_grow && limit == bytes.len();
            return Err(if more { ScanEnd::More } else { ScanEnd::Unclosed(limit) });
        };
        at += n + 1;
        match bytes.get(at) {
            None if reach.may_grow => return Err(ScanEnd::More),
            Some(&QUOTE) => at += 1,
            _ => return Ok(at),
        }
    }
}

impl CellSpan {
    /// Takes a line that is one cell.
    pub(super) fn single(&mut self, record: Range<usize>, next: usize) {
        self.whole = record.start..next;
        self.cells = 1;
        self.width_end = record.end;
        self.own = record.end..record.end;
        self.address = record.clone();
        self.record = record;
    }

    /// Takes a line without any quote.
    pub(super) fn plain(
        &mut self,
        bytes: &[u8],
        record: Range<usize>,
        next: usize,
        delimiter: u8,
        wanted: &Wanted,
    ) {
        let line = &bytes[record.clone()];
        let Range { start, end } = record;
        self.single(record, next);
        self.address = end..end;
        let mut delimiters = memchr_iter(delimiter, line).map(|at| start + at);
        let mut cell_start = start;
        if wanted.own.is_some() {
            self.cells = 0;
            for at in delimiters.chain([end]) {
                self.note(wanted, cell_start..at);
                cell_start = at + 1;
            }
            return;
        }
        // The usual case: run to the address, count the rest.
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

    /// Walks a record from cell to cell.
    pub(super) fn quoted(
        &mut self,
        bytes: &[u8],
        delimiter: u8,
        wanted: &Wanted,
        reach: ScanBounds,
    ) -> ScanEnd {
        self.cells = 0;
        let mut cell_start = reach.start;
        loop {
            let mut at = cell_start;
            if bytes.get(at) == Some(&QUOTE) {
                match closing_quote(bytes, at, reach) {
                    Ok(after) => at = after,
                    Err(walk) => return walk,
                }
                if line_end(&bytes[cell_start..at]).is_some() {
                    let closed = match bytes.get(at) {
                        None if reach.may_grow => return ScanEnd::More,
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
                    self.note(wanted, cell_start..end);
                    cell_start = end + 1;
                    continue;
                }
                Some(end) => match behind_line_end(bytes, end, reach.may_grow) {
                    Some(next) => (end, next),
                    None => return ScanEnd::More,
                },
                None if reach.may_grow => return ScanEnd::More,
                None if !reach.ended => return ScanEnd::Unclosed(bytes.len()),
                None => (bytes.len(), bytes.len()),
            };
            self.note(wanted, cell_start..end);
            self.record = reach.start..end;
            self.whole = reach.start..next;
            self.fill_up(wanted);
            return ScanEnd::Done;
        }
    }

    /// Counts the next cell.
    fn note(&mut self, wanted: &Wanted, cell: Range<usize>) {
        let index = self.cells;
        self.cells += 1;
        if let Some(own) = &wanted.own {
            if index == own.start {
                self.own = cell.clone();
            } else if own.contains(&index) {
                self.own.end = cell.end;
            }
        }
        if index < wanted.width {
            self.width_end = cell.end;
        }
        if index == wanted.address {
            self.address = cell;
        }
    }

    /// Puts what was not found at the record's end.
    fn fill_up(&mut self, wanted: &Wanted) {
        let end = self.record.end;
        if self.cells <= wanted.address {
            self.address = end..end;
        }
        if wanted.own.as_ref().is_none_or(|own| self.cells <= own.start) {
            self.own = end..end;
        }
    }
}
