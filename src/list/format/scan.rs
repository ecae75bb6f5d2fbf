//! Finds the records in a stream of bytes.
//!
//! Decides: where the next record is, and which line can't be read. Must not: lose a byte, except of empty lines and of a
//! DOS end mark after the last line. Fails: when the stream can't be read; a row that can't be read is returned with its
//! cause.
//!
//! A cell over several lines that is not closed properly within [`MAX_RECORD_BYTES`] costs only its first line. Up to the
//! offset where that showed, no other cell over several lines counts. That keeps the work linear for any input.

use std::io::{self, Read};
use std::ops::Range;

use memchr::memchr3;

use super::record::{
    CellSpan, QUOTE, ScanBounds, ScanEnd, WantedCells, after_line_end, count_line_ends, line_end,
};

/// The longest record that is read, in bytes.
pub(crate) const MAX_RECORD_BYTES: usize = 1 << 20;
/// Most columns that are read: as many as a spreadsheet may have.
pub(crate) const MAX_COLUMNS: usize = 16_384;

/// Old programs write this byte after the last line of a text.
const DOS_END: u8 = 0x1a;

/// Small in tests, so that records often reach across it.
const BUFFER_BYTES: usize = if cfg!(test) { 64 } else { 256 << 10 };

/// Why a line could not be read as a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::list) enum ScanError {
    /// A cell begins with a quote that is not closed.
    Unclosed,
    /// No line end within [`MAX_RECORD_BYTES`].
    TooLong,
}

/// What was found next. Offsets are into [`Scanner::bytes`] and are valid until the next call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::list) enum Scanned {
    /// A record, at [`Scanner::span`].
    Record,
    /// A line that can't be read, or the beginning of one that is too long.
    Unreadable { line: u64, text: Range<usize>, why: ScanError },
}

/// Reads records out of a stream.
pub(in crate::list) struct Scanner<R> {
    source: R,
    /// The byte between cells; `None` where a line is one cell and quotes are letters.
    delimiter: Option<u8>,
    wanted: WantedCells,
    /// The last record. Kept here because it is large, and a list has many.
    span: CellSpan,
    buffer: Vec<u8>,
    /// The bytes of `buffer` from `start` to `end` are not returned yet.
    start: usize,
    end: usize,
    /// The offset of `buffer[0]` in the stream.
    base: u64,
    /// The stream has ended.
    ended: bool,
    /// The number of the line at `start`.
    line: u64,
    /// Cells over several lines count only if they open at this offset of the stream or later.
    multiline_from: u64,
    /// The rest of a line that is too long is still to be skipped.
    skipping: bool,
}

impl<R: Read> Scanner<R> {
    pub(in crate::list) fn new(source: R, delimiter: Option<u8>, wanted: WantedCells) -> Scanner<R> {
        Scanner {
            source,
            delimiter,
            wanted,
            span: CellSpan::default(),
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
            base: 0,
            ended: false,
            line: 1,
            multiline_from: 0,
            skipping: false,
        }
    }

    /// The bytes that the offsets of the last [`Scanned`] are for.
    pub(in crate::list) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Where the last record and its cells are.
    pub(in crate::list) fn span(&self) -> &CellSpan {
        &self.span
    }

    /// The offset of the last record in the stream.
    pub(in crate::list) fn record_offset(&self) -> u64 {
        self.base + self.span.record.start as u64
    }

    /// The number of the line that comes next.
    pub(in crate::list) fn line(&self) -> u64 {
        self.line
    }

    pub(in crate::list) fn source(&self) -> &R {
        &self.source
    }

    /// The next record that is not an empty line.
    pub(in crate::list) fn next(&mut self) -> io::Result<Option<Scanned>> {
        if self.skipping {
            self.skip_line()?;
        }
        // How many bytes after `start` are known to have no line end, and whether they have a quote.
        let (mut searched, mut quoted) = (0, false);
        loop {
            let unread = &self.buffer[self.start..self.end];
            let found = if quoted || self.delimiter.is_none() {
                line_end(&unread[searched..])
            } else {
                memchr3(b'\n', b'\r', QUOTE, &unread[searched..])
            };
            let found = found.map(|at| searched + at);
            if let Some(at) = found.filter(|&at| unread[at] == QUOTE) {
                (searched, quoted) = (at, true);
                continue;
            }
            let ends = found.and_then(|at| Some((at, after_line_end(unread, at, !self.ended)?)));
            let (end, next) = match ends {
                Some(ends) => ends,
                None if !self.ended && unread.len() <= MAX_RECORD_BYTES => {
                    searched = found.unwrap_or(unread.len());
                    self.fill()?;
                    continue;
                }
                None if matches!(unread, [] | [DOS_END]) => return Ok(None),
                None => (unread.len(), unread.len()),
            };
            if end > MAX_RECORD_BYTES {
                return Ok(Some(self.too_long()));
            }
            if end > 0 {
                return self.record(self.start + end, self.start + next, quoted).map(Some);
            }
            self.start += next;
            self.line += 1;
            searched = 0;
        }
    }

    /// The record whose first line ends at `end`, before the line that begins at `next`. `quoted`: that line has a quote.
    fn record(&mut self, end: usize, next: usize, quoted: bool) -> io::Result<Scanned> {
        let line = self.start..end;
        let Some(delimiter) = self.delimiter else {
            self.span.set_single(line, next);
            return Ok(self.take(1));
        };
        if quoted {
            return self.quoted_record(delimiter, next - self.start);
        }
        self.span.set_plain(&self.buffer, line, next, delimiter, &self.wanted);
        Ok(self.take(1))
    }

    fn quoted_record(&mut self, delimiter: u8, first_line_bytes: usize) -> io::Result<Scanned> {
        loop {
            let bounds = ScanBounds {
                start: self.start,
                may_grow: !self.ended && self.end - self.start <= MAX_RECORD_BYTES,
                ended: self.ended,
                multiline_from: usize::try_from(self.multiline_from.saturating_sub(self.base))
                    .unwrap_or(usize::MAX),
            };
            let bytes = &self.buffer[..self.end];
            match self.span.scan_quoted(bytes, delimiter, &self.wanted, bounds) {
                ScanEnd::Done => {
                    let inner = &bytes[self.span.record.clone()];
                    let lines = if self.span.whole.len() == first_line_bytes {
                        1
                    } else {
                        count_line_ends(inner) + 1
                    };
                    return Ok(self.take(lines));
                }
                ScanEnd::NeedsMore => self.fill()?,
                ScanEnd::Unclosed(shows_at) => {
                    self.multiline_from = self.multiline_from.max(self.base + shows_at as u64);
                    let unreadable = Scanned::Unreadable {
                        line: self.line,
                        text: self.start..self.start + first_line_bytes,
                        why: ScanError::Unclosed,
                    };
                    self.start += first_line_bytes;
                    self.line += 1;
                    return Ok(unreadable);
                }
            }
        }
    }

    fn take(&mut self, lines: u64) -> Scanned {
        self.span.line = self.line;
        self.start = self.span.whole.end;
        self.line += lines;
        Scanned::Record
    }

    fn too_long(&mut self) -> Scanned {
        self.skipping = true;
        Scanned::Unreadable {
            line: self.line,
            text: self.start..self.start + MAX_RECORD_BYTES,
            why: ScanError::TooLong,
        }
    }

    /// Skips the rest of a line that is too long.
    fn skip_line(&mut self) -> io::Result<()> {
        self.skipping = false;
        loop {
            if let Some(at) = line_end(&self.buffer[self.start..self.end]) {
                self.start += at + 1;
                self.line += 1;
                return Ok(());
            }
            self.start = self.end;
            if self.ended {
                return Ok(());
            }
            self.fill()?;
        }
    }

    /// Moves the bytes that are not returned yet to the front and reads more; the buffer grows when they fill it.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.base += self.start as u64;
        self.end -= self.start;
        self.start = 0;
        if self.end > self.buffer.len() / 2 {
            // Doubled, so that a long record is searched from its start only a few times.
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let filled = read_full(&mut self.source, &mut self.buffer[self.end..])?;
        self.ended = self.end + filled < self.buffer.len();
        self.end += filled;
        Ok(())
    }
}

/// Reads until `buffer` is full or the stream ends; returns how much was read.
pub(in crate::list) fn read_full(stream: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::list::format::record::unquote;

    const COMMA: Option<u8> = Some(b',');

    fn wanting(address: usize, earlier: Option<Range<usize>>) -> WantedCells {
        WantedCells { width: 3, address, earlier }
    }

    /// What was found, as text: `line: record | address cell`, or `line: ! unreadable line`.
    fn found(text: &str, delimiter: Option<u8>) -> Vec<String> {
        let mut scanner = Scanner::new(text.as_bytes(), delimiter, wanting(1, None));
        let mut found = Vec::new();
        while let Some(scanned) = scanner.next().unwrap() {
            let part = |range: Range<usize>| String::from_utf8_lossy(&scanner.bytes()[range]).into_owned();
            found.push(match scanned {
                Scanned::Record => {
                    let span = scanner.span().clone();
                    format!("{}: {} | {}", span.line, part(span.record), part(span.address))
                }
                Scanned::Unreadable { line, text, why } => {
                    format!("{line}: ! {why:?} {}", part(text).trim_end())
                }
            });
        }
        found
    }

    #[test]
    fn lines_end_in_any_way_and_empty_ones_are_no_records() {
        assert_eq!(found("a,b\r\n\r\n\nc\n,d", COMMA), ["1: a,b | b", "4: c | ", "5: ,d | d"]);
        assert_eq!(
            found("a,b\r\rc,\"d\re\"\rf\n", COMMA),
            ["1: a,b | b", "3: c,\"d\re\" | \"d\re\"", "5: f | "]
        );
        assert_eq!(found("a,b\r\r\nc\r,d\n\n\r\r", COMMA), ["1: a,b | b", "2: c | ", "3: ,d | d"]);
        assert_eq!(found("a,\"b\n\"c", None), ["1: a,\"b | a,\"b", "2: \"c | \"c"]);
    }

    #[test]
    fn a_quote_is_read_as_the_csv_crate_reads_it() {
        assert_eq!(found("a,\"b,\nc\"\"\",d\n", COMMA), ["1: a,\"b,\nc\"\"\",d | \"b,\nc\"\"\""]);
        assert_eq!(found("a,b \"c\" d\n", COMMA), ["1: a,b \"c\" d | b \"c\" d"]);
        assert_eq!(found("a,\"b\" c,d\n", COMMA), ["1: a,\"b\" c,d | \"b\" c"]);
    }

    #[test]
    fn a_quote_that_is_not_closed_costs_only_its_line() {
        assert_eq!(found("a,\"b\nc,d\ne,f\n", COMMA), ["1: ! Unclosed a,\"b", "2: c,d | d", "3: e,f | f"]);
        assert_eq!(
            found("a,\"b\nc,\"d\"\ne,\"f\ng\"\n", COMMA),
            ["1: ! Unclosed a,\"b", "2: c,\"d\" | \"d\"", "3: e,\"f\ng\" | \"f\ng\""]
        );
        // The second cell over several lines opens exactly where the first was found not to be one.
        assert_eq!(found("a,\"b\nc,\"d\ne\"\n", COMMA), ["1: ! Unclosed a,\"b", "2: c,\"d\ne\" | \"d\ne\""]);
    }

    #[test]
    fn no_list_takes_more_than_linear_work() {
        // Every line opens a quote that is never closed; without `multiline_from` each would be searched to the end.
        let text = "a\",\"\n".repeat(100_000);
        assert_eq!(found(&text, COMMA).len(), 100_000);
    }

    fn cells() -> impl Strategy<Value = Vec<Vec<String>>> {
        let cell = prop_oneof!["[a-z@. ]{0,12}", "[a-c,;\"\r\n é]{0,12}", "\\PC{0,8}"];
        prop::collection::vec(prop::collection::vec(cell, 3), 0..12)
    }

    proptest! {
        #[test]
        fn what_the_csv_crate_wrote_is_found_as_the_csv_crate_reads_it(
            records in cells(),
            crlf in any::<bool>(),
            always in any::<bool>(),
            delimiter in prop::sample::select(b",;\t|".as_slice()),
            column in 0usize..3,
            earlier in prop::sample::select([None, Some(0..1), Some(0..2), Some(1..3), Some(0..3)].as_slice()),
        ) {
            let mut writer = csv::WriterBuilder::new()
                .delimiter(delimiter)
                .terminator(if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') })
                .quote_style(if always { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary })
                .from_writer(Vec::new());
            for record in &records { writer.write_record(record).unwrap(); }
            let bytes = writer.into_inner().unwrap();
            let mut reader = csv::ReaderBuilder::new()
                .delimiter(delimiter).has_headers(false).from_reader(bytes.as_slice());
            let mut scanner = Scanner::new(bytes.as_slice(), Some(delimiter), wanting(column, earlier.clone()));
            for record in reader.byte_records() {
                let record = record.unwrap();
                prop_assert_eq!(scanner.next().unwrap(), Some(Scanned::Record));
                let span = scanner.span();
                let part = |range: Range<usize>| &scanner.bytes()[range];
                prop_assert_eq!(span.cells, record.len());
                prop_assert_eq!(&*unquote(part(span.address.clone())), &record[column]);
                if let Some(earlier) = &earlier {
                    let mut reader = csv::ReaderBuilder::new()
                        .delimiter(delimiter).has_headers(false).flexible(true).from_reader(part(span.earlier.clone()));
                    let cells = reader.byte_records().next().map(Result::unwrap).unwrap_or_default();
                    let wanted: Vec<&[u8]> = record.iter().skip(earlier.start).take(earlier.len()).collect();
                    if wanted.iter().any(|cell| !cell.is_empty()) || earlier.len() > 1 {
                        prop_assert_eq!(cells.iter().collect::<Vec<_>>(), wanted);
                    }
                }
            }
            prop_assert_eq!(scanner.next().unwrap(), None);
        }

        #[test]
        fn any_bytes_come_out_as_they_went_in_except_empty_lines(
            bytes in prop::collection::vec(prop::sample::select(b"ab,,\"\"\"\r\n\n\x00\xff".as_slice()), 0..400),
        ) {
            let mut scanner = Scanner::new(bytes.as_slice(), COMMA, wanting(1, None));
            let mut rest = bytes.as_slice();
            while let Some(scanned) = scanner.next().unwrap() {
                let (piece, address) = match scanned {
                    Scanned::Record => (scanner.span().whole.clone(), scanner.span().address.clone()),
                    Scanned::Unreadable { text, .. } => (text.clone(), text),
                };
                prop_assert!(piece.start <= address.start && address.end <= piece.end);
                let piece = &scanner.bytes()[piece];
                let gap = memchr::memmem::find(rest, piece).unwrap();
                prop_assert!(rest[..gap].iter().all(|byte| b"\r\n".contains(byte)));
                rest = &rest[gap + piece.len()..];
            }
            prop_assert!(rest.iter().all(|byte| b"\r\n".contains(byte)));
        }
    }
}
