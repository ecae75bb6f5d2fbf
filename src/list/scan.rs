//! Finds records and their cells in a stream of bytes, without copying or unquoting any of them.
//!
//! Decides: where a record ends and where the few cells lie that anyone asks for (RFC 4180, and the csv crate's
//! leniency: a quote inside a plain cell is a letter, text after a closing quote belongs to the cell). Must not: know
//! what an address is. Fails: on a row, never on the list; a row that can't be read is handed out with its cause.
//!
//! A quote that is never closed would swallow the rest of the list. So a cell over several lines counts only if it is
//! closed properly, within [`MAX_RECORD_BYTES`]; otherwise its first line alone is refused, and up to the place where
//! that came to light a cell over several lines is believed no more. That keeps the work linear for any input.

use std::io::{self, Read};
use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr2, memrchr};

/// Longest record that is read, in bytes.
pub const MAX_RECORD_BYTES: usize = 1 << 20;
/// Most columns that are read: as many as a spreadsheet has.
pub const MAX_COLUMNS: usize = 16_384;

const QUOTE: u8 = b'"';
const BUFFER_BYTES: usize = 256 << 10;

/// How lines and cells are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    /// Between cells; `None` where a line is one cell and quotes are letters.
    pub(super) delimiter: Option<u8>,
    /// The last byte of a line end: `\n` (a `\r` in front of it belongs to the line end), or `\r` alone.
    pub(super) line_end: u8,
}

/// Which cells of a record the scanner has to find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// How many cells a record should have.
    pub(super) width: usize,
    /// The cell with the address.
    pub(super) address: usize,
    /// Cells that are looked for as one stretch: our own columns of an earlier run.
    pub(super) own: Option<Range<usize>>,
}

/// One record: offsets are into [`Scanner::bytes`] and hold until the next call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    /// The record without its line end.
    pub(super) record: Range<usize>,
    /// The record with its line end.
    pub(super) whole: Range<usize>,
    /// 1-based line on which it starts.
    pub(super) line: u64,
    /// How many cells there are.
    pub(super) cells: usize,
    /// Where the last wanted cell (`width`) ends; the record's end when there are fewer.
    pub(super) width_end: usize,
    /// The address cell as written, quotes and all; empty at the end when the record is too short.
    pub(super) address: Range<usize>,
    /// The stretch of our own earlier cells; empty at the end when the record is too short.
    pub(super) own: Range<usize>,
}

/// Why a line could not be read as a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// A quote opens a cell and nothing closes it.
    Unclosed,
    /// No line end within [`MAX_RECORD_BYTES`].
    TooLong,
}

/// What the scanner found next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scanned {
    Record(Span),
    /// The line, or its beginning, as far as it was kept.
    Unread {
        line: u64,
        text: Range<usize>,
        why: Unread,
    },
}

/// Reads records out of a stream.
pub(super) struct Scanner<R> {
    source: R,
    marks: Marks,
    wanted: Wanted,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset of `buffer[0]` in the stream.
    base: u64,
    ended: bool,
    line: u64,
    /// Cells over several lines that open before this offset of the stream are not believed.
    distrusted_until: u64,
    /// The rest of a line that was too long is still to be thrown away.
    skipping: bool,
}

/// How the walk along a record with quotes ended.
enum Walk {
    Done(Span),
    /// The buffer ends too early.
    More,
    /// A cell over several lines is not closed properly; seen at this offset.
    Unclosed(usize),
}

impl<R: Read> Scanner<R> {
    /// `line` is the number of the first line that `source` will give.
    pub(super) fn new(source: R, marks: Marks, wanted: Wanted, line: u64) -> Scanner<R> {
        Scanner {
            source,
            marks,
            wanted,
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
            base: 0,
            ended: false,
            line,
            distrusted_until: 0,
            skipping: false,
        }
    }

    /// What the offsets of the last [`Span`] point into.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// The number of the line that comes next.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    pub(super) fn source(&self) -> &R {
        &self.source
    }

    /// The next record that is not an empty line.
    pub(super) fn next(&mut self) -> io::Result<Option<Scanned>> {
        if self.skipping {
            self.skip_line()?;
        }
        // Bytes after `start` that are known to hold no line end.
        let mut searched = 0;
        loop {
            let unread = &self.buffer[self.start..self.end];
            let Some(at) = memchr(self.marks.line_end, &unread[searched..]) else {
                searched = unread.len();
                if !self.ended && searched < MAX_RECORD_BYTES {
                    self.fill()?;
                    continue;
                }
                if searched == 0 {
                    return Ok(None);
                }
                if searched >= MAX_RECORD_BYTES {
                    return Ok(Some(self.too_long()));
                }
                return self.record(self.end, self.end).map(Some);
            };
            let line_end = self.start + searched + at;
            if line_end - self.start > MAX_RECORD_BYTES {
                return Ok(Some(self.too_long()));
            }
            let record_end = self.before_line_end(line_end);
            if record_end == self.start {
                self.start = line_end + 1;
                self.line += 1;
                searched = 0;
                continue;
            }
            return self.record(record_end, line_end + 1).map(Some);
        }
    }

    fn before_line_end(&self, line_end: usize) -> usize {
        let carriage =
            self.marks.line_end == b'\n' && line_end > self.start && self.buffer[line_end - 1] == b'\r';
        line_end - usize::from(carriage)
    }

    /// The record whose first line ends at `end`, its line end at `next`.
    fn record(&mut self, end: usize, next: usize) -> io::Result<Scanned> {
        let line = &self.buffer[self.start..end];
        let mut span = Span {
            record: self.start..end,
            whole: self.start..next,
            line: self.line,
            cells: 1,
            width_end: end,
            address: end..end,
            own: end..end,
        };
        let Some(delimiter) = self.marks.delimiter else {
            span.address = self.start..end;
            return Ok(self.take(span, 1));
        };
        if memchr(QUOTE, line).is_some() {
            return self.quoted_record(delimiter, next);
        }
        let start = self.start;
        let mut cell_start = start;
        if self.wanted.own.is_none() {
            // The usual case: run to the address, count the rest.
            let mut delimiters = memchr_iter(delimiter, line);
            for _ in 0..self.wanted.address {
                let Some(at) = delimiters.next() else {
                    cell_start = end;
                    break;
                };
                span.cells += 1;
                cell_start = start + at + 1;
            }
            if span.cells > self.wanted.address {
                let address_end = delimiters.next().map_or(end, |at| start + at);
                span.address = cell_start..address_end;
                if address_end < end {
                    span.cells += 1 + memchr_iter(delimiter, &self.buffer[address_end + 1..end]).count();
                }
            }
            if span.cells > self.wanted.width {
                let last = memchr_iter(delimiter, line).nth(self.wanted.width - 1);
                span.width_end = last.map_or(end, |at| start + at);
            }
        } else {
            let mut cell = 0;
            for at in memchr_iter(delimiter, line).map(|at| start + at).chain([end]) {
                self.wanted.note(&mut span, cell, cell_start..at);
                cell += 1;
                cell_start = at + 1;
            }
            span.cells = cell;
        }
        Ok(self.take(span, 1))
    }

    fn quoted_record(&mut self, delimiter: u8, first_line_end: usize) -> io::Result<Scanned> {
        let mut first_line = first_line_end - self.start;
        loop {
            match self.walk(delimiter) {
                Walk::Done(span) => {
                    let lines = if span.whole.len() == first_line {
                        1
                    } else {
                        memchr_iter(self.marks.line_end, &self.buffer[span.record.clone()]).count() as u64 + 1
                    };
                    return Ok(self.take(span, lines));
                }
                Walk::More => self.fill()?,
                Walk::Unclosed(seen_at) => {
                    self.distrusted_until = self.distrusted_until.max(self.base + seen_at as u64);
                    first_line = first_line.min(self.end - self.start);
                    let text = self.start..self.start + first_line;
                    let line = self.line;
                    self.start = text.end;
                    self.line += 1;
                    return Ok(Scanned::Unread {
                        line,
                        text,
                        why: Unread::Unclosed,
                    });
                }
            }
        }
    }

    /// Walks from cell to cell along the record at `start`, which has quotes in its first line.
    fn walk(&self, delimiter: u8) -> Walk {
        let line_end = self.marks.line_end;
        let bytes = &self.buffer[..self.end];
        let may_grow = !self.ended && self.end - self.start < MAX_RECORD_BYTES;
        let mut span = Span {
            line: self.line,
            ..Span::default()
        };
        let (mut cell, mut cell_start) = (0, self.start);
        loop {
            let mut at = cell_start;
            if bytes.get(at) == Some(&QUOTE) {
                // Where a cell over several lines is not believed, its quote has to close on its own line.
                let believed = self.base + cell_start as u64 >= self.distrusted_until;
                let limit = if believed {
                    bytes.len()
                } else {
                    memchr(line_end, &bytes[at..]).map_or(bytes.len(), |n| at + n)
                };
                at += 1;
                loop {
                    let Some(n) = memchr(QUOTE, &bytes[at..limit]) else {
                        return if believed && may_grow {
                            Walk::More
                        } else {
                            Walk::Unclosed(limit)
                        };
                    };
                    at += n + 1;
                    match bytes.get(at) {
                        None if may_grow => return Walk::More,
                        Some(&QUOTE) if at < limit => at += 1,
                        _ => break,
                    }
                }
                if memchr(line_end, &bytes[cell_start..at]).is_some() {
                    match bytes.get(at) {
                        None => {}
                        Some(&b) if b == delimiter || b == line_end => {}
                        Some(b'\r') if at + 1 == bytes.len() && may_grow => return Walk::More,
                        Some(b'\r') if matches!(bytes.get(at + 1), None | Some(b'\n')) => {}
                        Some(_) => return Walk::Unclosed(at - 1),
                    }
                }
            }
            let (end, next) = match memchr2(delimiter, line_end, &bytes[at..]) {
                Some(n) => (at + n, at + n + 1),
                None if may_grow => return Walk::More,
                None if !self.ended => return Walk::Unclosed(bytes.len()),
                None => (bytes.len(), bytes.len()),
            };
            if end < next && bytes[end] == delimiter {
                self.wanted.note(&mut span, cell, cell_start..end);
                cell += 1;
                cell_start = next;
                continue;
            }
            let record_end = if end < next {
                self.before_line_end(end).max(at)
            } else {
                end
            };
            self.wanted.note(&mut span, cell, cell_start..record_end);
            span.cells = cell + 1;
            span.record = self.start..record_end;
            span.whole = self.start..next;
            self.wanted.fill_up(&mut span);
            return Walk::Done(span);
        }
    }

    fn take(&mut self, span: Span, lines: u64) -> Scanned {
        self.start = span.whole.end;
        self.line += lines;
        Scanned::Record(span)
    }

    fn too_long(&mut self) -> Scanned {
        let text = self.start..self.end.min(self.start + MAX_RECORD_BYTES);
        self.skipping = true;
        Scanned::Unread {
            line: self.line,
            text,
            why: Unread::TooLong,
        }
    }

    /// Throws the rest of a line away.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            if let Some(at) = memchr(self.marks.line_end, &self.buffer[self.start..self.end]) {
                self.start += at + 1;
                self.line += 1;
                self.skipping = false;
                return Ok(());
            }
            self.start = self.end;
            if self.ended {
                self.skipping = false;
                return Ok(());
            }
            self.fill()?;
        }
    }

    /// Reads more behind the unread bytes, which move to the front; the buffer grows when they fill it.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.base += self.start as u64;
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() - self.end < BUFFER_BYTES / 2 {
            self.buffer.resize(self.buffer.len() + BUFFER_BYTES, 0);
        }
        let filled = super::source::read_full(&mut self.source, &mut self.buffer[self.end..])?;
        self.ended = self.end + filled < self.buffer.len();
        self.end += filled;
        Ok(())
    }
}

impl Wanted {
    fn note(&self, span: &mut Span, cell: usize, at: Range<usize>) {
        if cell == self.address {
            span.address = at.clone();
        }
        if let Some(own) = &self.own {
            if cell == own.start {
                span.own = at.clone();
            } else if own.contains(&cell) {
                span.own.end = at.end;
            }
        }
        if cell < self.width {
            span.width_end = at.end;
        }
    }

    /// Puts what was not found at the record's end.
    fn fill_up(&self, span: &mut Span) {
        let end = span.record.end;
        if span.cells <= self.address {
            span.address = end..end;
        }
        if self.own.as_ref().is_none_or(|own| span.cells <= own.start) {
            span.own = end..end;
        }
    }
}

/// How many bytes at the end of `text` are an unfinished line.
pub(super) fn unfinished_line(text: &[u8], line_end: u8) -> usize {
    memrchr(line_end, text).map_or(text.len(), |at| text.len() - at - 1)
}
