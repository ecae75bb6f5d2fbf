//! What a list is: packing, encoding, delimiter, header, and the column with the addresses.
//!
//! Decides: all of that, from the list's beginning and what the user says. Must not: hand out rows. Fails: where no
//! list can be seen in the bytes, with what was seen instead. Can't know: what comes after the beginning.

use std::io::{self, Read};
use std::ops::Range;
use std::path::PathBuf;

use crate::list::format::record::{self, Wanted};
use crate::list::format::rejected_formats;
use crate::list::format::scan::{MAX_COLUMNS, MAX_RECORD_BYTES, ScanError, Scanned, Scanner};
use crate::list::input::{self, Bytes, ColumnNotFound, Compression, Decode, Encoding, ListKind, ReadOptions};
use crate::list::{ListError, output, read_error};

/// So many bytes are looked at to find out what a list is.
const SAMPLE_BYTES: usize = 512 << 10;

/// The text of a list.
pub(super) type DecodedText = Decode<Box<dyn Read + Send>>;

/// What a list is, found out from its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFormat {
    /// The input as it was named.
    pub name: String,
    /// The file, when it is one.
    pub path: Option<PathBuf>,
    /// How it was packed.
    pub compression: Compression,
    /// How its text was encoded; what is written is UTF-8.
    pub encoding: Encoding,
    /// So many bytes of byte order marks stand in front; none is written.
    pub(super) mark_bytes: usize,
    /// How it is written.
    pub kind: ListKind,
    /// The line end that it uses first.
    pub line_end: &'static str,
    /// The lines of the list, as many as its first ones and its length make probable; 0 where it is packed.
    pub lines: u64,
    /// The first row names the columns.
    pub has_header: bool,
    /// The columns; `column_1` and so on where they have no name.
    pub columns: Vec<String>,
    /// Which of them holds the addresses, from 0 on.
    pub address: usize,
    /// How that was found, for people.
    pub found: String,
    /// The columns that an earlier run of ours added.
    pub(super) own: Option<Range<usize>>,
    /// The header as it was written, without line end; empty where there is none.
    pub(super) header: Vec<u8>,
    /// How many cells `header` has.
    pub(super) header_cells: usize,
    /// Where our own earlier columns lie in `header`.
    pub(super) header_own: Range<usize>,
    /// Between cells; `None` where a line is one cell.
    delimiter: Option<u8>,
    /// Rows before the first data row: a `sep=` line, those above the header, the header.
    pub(super) skipped_records: usize,
    /// Those of them that stand above the header.
    pub(super) above_header: Range<usize>,
}

impl ListFormat {
    /// What results are named after: the file's name without its endings, `stdin` for a stream.
    pub fn stem(&self) -> String {
        input::stem(self.path.as_deref())
    }

    /// The folder for the results when none is named: `STEM.listproof` in the current folder.
    pub fn default_folder(&self) -> PathBuf {
        input::folder(&self.stem())
    }

    /// The byte between our cells.
    pub(super) fn delimiter(&self) -> u8 {
        self.delimiter.unwrap_or(b',')
    }

    /// What was found out, in one line for people.
    pub fn sentence(&self) -> String {
        let packed = self.compression.word().map(|word| format!(", {word}"));
        let header = if self.has_header || self.kind == ListKind::Ndjson { "" } else { ", no header" };
        format!(
            "{} in {}{}{}{header}; addresses: {}",
            self.kind.word(),
            self.encoding.word(),
            if self.encoding == Encoding::Utf8 { "" } else { " (written as UTF-8)" },
            packed.unwrap_or_default(),
            self.found
        )
    }
}

impl ListFormat {
    pub(super) fn of(bytes: &Bytes, options: &ReadOptions) -> Result<ListFormat, ListError> {
        let name = &bytes.name;
        let mut raw = vec![0; SAMPLE_BYTES];
        let mut stream = bytes.read().map_err(read_error(name))?;
        let filled = input::read_full(&mut stream, &mut raw).map_err(read_error(name))?;
        drop(stream);
        raw.truncate(filled);
        let whole = filled < SAMPLE_BYTES;
        crate::list::format::rejected_formats::refuse_bytes(name, &raw)?;
        let (encoding, mark_bytes) = Encoding::detect(&raw);
        let mut text = Vec::new();
        Decode::new(&raw[mark_bytes..], encoding).read_to_end(&mut text).map_err(read_error(name))?;
        let text = String::from_utf8_lossy(&text);
        if text.trim().is_empty() {
            return Err(ListError::Empty { name: name.clone() });
        }
        crate::list::format::rejected_formats::refuse_text(name, &text)?;
        let shape = input::shape(&text, whole);
        let sep_lines = usize::from(shape.sep_line);
        let above_header = sep_lines..sep_lines + shape.above_header;
        let has_header = shape.sample.has_header && shape.kind != ListKind::Ndjson;
        let skipped_records = above_header.end + usize::from(has_header);
        let mut form = ListFormat {
            name: name.clone(),
            path: bytes.path.clone(),
            compression: bytes.compression,
            encoding,
            mark_bytes,
            kind: shape.kind,
            line_end: line_end(&text),
            lines: lines(&raw, bytes.unpacked_len().map_err(read_error(name))?),
            has_header: shape.sample.has_header,
            address: 0,
            found: String::new(),
            own: None,
            header: Vec::new(),
            header_cells: 0,
            header_own: 0..0,
            delimiter: shape.delimiter,
            skipped_records,
            above_header,
            columns: Vec::new(),
        };
        if shape.sample.names.len() > MAX_COLUMNS {
            return Err(ListError::TooManyColumns {
                name: name.clone(),
                line: 1 + u64::from(shape.sep_line),
                limit: MAX_COLUMNS,
            });
        }
        let line = form.read_header(bytes)?;
        form.own = output::earlier(&shape.sample.names);
        let asked = options.column.as_deref();
        let found = input::choose(&shape.sample, form.own.as_ref(), asked).map_err(|why| match why {
            ColumnNotFound::Asked(column) => ListError::UnknownColumn {
                name: name.clone(),
                line,
                column,
                columns: shape.sample.names.clone(),
            },
            ColumnNotFound::None => {
                ListError::NoAddressColumn { name: name.clone(), line, columns: shape.sample.names.clone() }
            }
        })?;
        form.address = found.index;
        form.found = found.sentence;
        form.columns = shape.sample.names;
        form.read_header(bytes)?;
        // The results begin with it, and must not look like another format then.
        crate::list::format::rejected_formats::refuse_bytes(name, &form.header)?;
        crate::list::format::rejected_formats::refuse_text(name, &String::from_utf8_lossy(&form.header))?;
        Ok(form)
    }

    pub(super) fn scanner(&self, bytes: &Bytes) -> Result<Scanner<DecodedText>, ListError> {
        let name = &self.name;
        let mut stream = bytes.read().map_err(read_error(name))?;
        let mut marks = (&mut stream).take(self.mark_bytes as u64);
        io::copy(&mut marks, &mut io::sink()).map_err(read_error(name))?;
        let wanted =
            Wanted { width: self.columns.len().max(1), address: self.address, own: self.own.clone() };
        Ok(Scanner::new(Decode::new(stream, self.encoding), self.delimiter, wanted))
    }

    /// Takes the header as it is written; returns its line, or the first row's.
    fn read_header(&mut self, bytes: &Bytes) -> Result<u64, ListError> {
        let mut scanner = self.scanner(bytes)?;
        let mut line = 1;
        for _ in 0..self.skipped_records.max(1) {
            match scanner.next().map_err(read_error(&self.name))? {
                Some(Scanned::Record) => {
                    let span = scanner.span();
                    line = span.line;
                    if self.has_header && self.kind != ListKind::Ndjson {
                        self.header = scanner.bytes()[span.record.clone()].to_vec();
                        self.header_cells = span.cells;
                        let start = span.record.start;
                        self.header_own = span.own.start - start..span.own.end - start;
                    }
                }
                Some(Scanned::Unread { line, text, why }) if self.kind != ListKind::Ndjson => {
                    let is_row = memchr::memchr(b'@', &scanner.bytes()[text]).is_some() && !self.has_header;
                    match why {
                        ScanError::Unclosed if is_row => {}
                        ScanError::Unclosed => {
                            return Err(ListError::BrokenHeader { name: self.name.clone(), line });
                        }
                        ScanError::TooLong => {
                            return Err(ListError::EndlessLine {
                                name: self.name.clone(),
                                line,
                                limit: MAX_RECORD_BYTES,
                            });
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(line)
    }
}

/// How many lines so many bytes have that begin like this.
fn lines(sample: &[u8], len: u64) -> u64 {
    let in_sample = memchr::memchr_iter(b'\n', sample).count() as u64;
    len.saturating_mul(in_sample) / (sample.len() as u64).max(1)
}

fn line_end(text: &str) -> &'static str {
    let line_end = crate::list::format::record::line_end(text.as_bytes()).map_or("", |at| &text[at..]);
    match line_end.trim_start_matches('\r').as_bytes() {
        [b'\n', ..] if line_end.starts_with('\r') => "\r\n",
        _ if line_end.starts_with('\r') => "\r",
        _ => "\n",
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use crate::list::input::{ReadOptions, Source, open};

    #[test]
    fn a_list_is_about_as_long_as_its_first_lines_and_its_size_make_probable() {
        let lines = |bytes: &[u8]| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(bytes).unwrap();
            open(&Source::Path(file.path().to_owned()), &ReadOptions::default()).unwrap().form().lines
        };
        let mut list = Vec::new();
        (0..100_000).for_each(|n| writeln!(list, "user{n}@acme.example").unwrap());
        let seen = lines(&list);
        assert!((98_000..102_000).contains(&seen), "{seen}");
        assert_eq!(lines(b"user@acme.example\n"), 1);
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&list).unwrap();
        assert_eq!(lines(&packed.finish().unwrap()), 0, "nobody knows");
    }
}
