//! Reading a list: what it is, and its rows one by one, bytes first.
//!
//! Decides: where the address of a row is. Must not: say what is an address, repair one, or lose a row: what can't be
//! read is handed out with its line and cause. Fails: on the list as a whole, before the first row or where its bytes
//! end in damage. Can't know: whether a well-formed file means what its columns say.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::cell;
use super::column::{self, NotFound};
use super::columns;
use super::decode::{Decode, Encoding};
use super::dialect::{self, Kind};
use super::error::ListError;
use super::json::{self, Field};
use super::scan::{MAX_COLUMNS, MAX_RECORD_BYTES, Marks, Scanned, Scanner, Span, Unread, Wanted};
use super::source::{self, Bytes, Compression, Source};

/// So many bytes are looked at to find out what a list is.
const SAMPLE_BYTES: usize = 512 << 10;
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

/// What a list is, found out from its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// The input as it was named.
    pub name: String,
    /// The file, when it is one.
    pub path: Option<PathBuf>,
    /// How it was packed.
    pub compression: Compression,
    /// How its text was encoded; what is written is UTF-8.
    pub encoding: Encoding,
    /// A byte order mark stood in front; none is written.
    pub bom: bool,
    /// How it is written.
    pub kind: Kind,
    /// The line end that it uses first.
    pub line_end: &'static str,
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
    marks: Marks,
    /// Rows before the first data row: a `sep=` line, the header.
    skipped_records: usize,
}

impl Form {
    /// What results are named after: the file's name without its endings, `stdin` for a stream.
    pub fn stem(&self) -> String {
        source::stem(self.path.as_deref())
    }

    /// The byte between our cells.
    pub(super) fn delimiter(&self) -> u8 {
        self.marks.delimiter.unwrap_or(b',')
    }

    /// What was found out, in one line for people.
    pub fn sentence(&self) -> String {
        let packed = self.compression.word().map(|word| format!(", {word}"));
        let header = if self.has_header || self.kind == Kind::Ndjson {
            ""
        } else {
            ", no header"
        };
        format!(
            "{} in {}{}{header}; addresses: {}",
            self.kind.word(),
            self.encoding.word(),
            packed.unwrap_or_default(),
            self.found
        )
    }
}

/// A list that can be read as often as needed.
#[derive(Debug)]
pub struct List {
    bytes: Bytes,
    form: Form,
    split_cells: bool,
}

/// Opens a list and finds out what it is.
pub fn open(source: &Source, options: &ReadOptions) -> Result<List, ListError> {
    let bytes = Bytes::of(source)?;
    let form = Form::of(&bytes, options)?;
    Ok(List {
        bytes,
        form,
        split_cells: options.split_cells,
    })
}

impl List {
    /// What it is.
    pub fn form(&self) -> &Form {
        &self.form
    }

    /// Its rows from the first one on. Each call reads the list anew.
    pub fn rows(&self) -> Result<Rows<'_>, ListError> {
        let mut rows = Rows {
            list: self,
            scanner: self.form.scanner(&self.bytes)?,
            record: 0,
            span: Span::default(),
            fields: Vec::new(),
            parts: VecDeque::new(),
            listed: VecDeque::new(),
        };
        for _ in 0..self.form.skipped_records {
            rows.scan()?;
        }
        Ok(rows)
    }
}

type Text = Decode<Box<dyn Read + Send>>;

fn read_error(name: &str) -> impl FnOnce(std::io::Error) -> ListError + '_ {
    move |source| ListError::Read {
        name: name.to_owned(),
        source,
    }
}

impl Form {
    fn of(bytes: &Bytes, options: &ReadOptions) -> Result<Form, ListError> {
        let name = &bytes.name;
        let mut raw = vec![0; SAMPLE_BYTES];
        let mut stream = bytes.read().map_err(read_error(name))?;
        let filled = source::read_full(&mut stream, &mut raw).map_err(read_error(name))?;
        drop(stream);
        raw.truncate(filled);
        let whole = filled < SAMPLE_BYTES;
        refuse_binary(name, &raw)?;
        let (encoding, mark_bytes) = Encoding::detect(&raw);
        let mut text = Vec::new();
        Decode::new(&raw[mark_bytes..], encoding)
            .read_to_end(&mut text)
            .map_err(read_error(name))?;
        let text = String::from_utf8_lossy(&text);
        if text.trim().is_empty() {
            return Err(ListError::Empty { name: name.clone() });
        }
        refuse_documents(name, &text)?;
        let shape = dialect::shape(&text, whole);
        let skipped_records =
            usize::from(shape.sep_line) + usize::from(shape.sample.has_header && shape.kind != Kind::Ndjson);
        let mut form = Form {
            name: name.clone(),
            path: bytes.path.clone(),
            compression: bytes.compression,
            encoding,
            bom: mark_bytes > 0,
            kind: shape.kind,
            line_end: line_end(&text, shape.marks),
            has_header: shape.sample.has_header,
            address: 0,
            found: String::new(),
            own: None,
            header: Vec::new(),
            header_cells: 0,
            header_own: 0..0,
            marks: shape.marks,
            skipped_records,
            columns: Vec::new(),
        };
        let line = form.read_header(bytes)?;
        let columns = shape.sample.names.len();
        if columns > MAX_COLUMNS {
            return Err(ListError::TooManyColumns {
                name: name.clone(),
                line,
                columns,
                limit: MAX_COLUMNS,
            });
        }
        let found = column::choose(&shape.sample, options.column.as_deref()).map_err(|why| match why {
            NotFound::Asked(column) => ListError::UnknownColumn {
                name: name.clone(),
                line,
                column,
                columns: shape.sample.names.clone(),
            },
            NotFound::None => ListError::NoAddressColumn {
                name: name.clone(),
                line,
                columns: shape.sample.names.clone(),
            },
        })?;
        form.address = found.index;
        form.found = found.sentence;
        form.own = columns::earlier(&shape.sample.names);
        form.columns = shape.sample.names;
        form.read_header(bytes)?;
        Ok(form)
    }

    fn scanner(&self, bytes: &Bytes) -> Result<Scanner<Text>, ListError> {
        let name = &self.name;
        let mut stream = bytes.read().map_err(read_error(name))?;
        if self.bom {
            let mark_bytes = if self.encoding == Encoding::Utf8 { 3 } else { 2 };
            source::read_full(&mut stream, &mut [0; 3][..mark_bytes]).map_err(read_error(name))?;
        }
        let wanted = Wanted {
            width: self.columns.len().max(1),
            address: self.address,
            own: self.own.clone(),
        };
        Ok(Scanner::new(
            Decode::new(stream, self.encoding),
            self.marks,
            wanted,
            1,
        ))
    }

    /// Takes the header as it is written; returns its line, or the first row's.
    fn read_header(&mut self, bytes: &Bytes) -> Result<u64, ListError> {
        let mut scanner = self.scanner(bytes)?;
        let mut line = 1;
        for _ in 0..self.skipped_records.max(1) {
            match scanner.next().map_err(read_error(&self.name))? {
                Some(Scanned::Record(span)) => {
                    line = span.line;
                    if self.has_header && self.kind != Kind::Ndjson {
                        self.header = scanner.bytes()[span.record.clone()].to_vec();
                        self.header_cells = span.cells;
                        let start = span.record.start;
                        self.header_own = span.own.start - start..span.own.end - start;
                    }
                }
                Some(Scanned::Unread { line, why, .. }) if self.kind != Kind::Ndjson => {
                    return Err(match why {
                        Unread::TooLong => ListError::EndlessLine {
                            name: self.name.clone(),
                            line,
                            limit: MAX_RECORD_BYTES,
                        },
                        Unread::Unclosed if self.has_header => ListError::BrokenHeader {
                            name: self.name.clone(),
                            line,
                        },
                        Unread::Unclosed => break,
                    });
                }
                _ => {}
            }
        }
        Ok(line)
    }
}

fn line_end(text: &str, marks: Marks) -> &'static str {
    match (marks.line_end, text.find('\n')) {
        (b'\r', _) => "\r",
        (_, Some(at)) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// Formats that people have at hand and that are no text, by their first bytes.
fn refuse_binary(name: &str, raw: &[u8]) -> Result<(), ListError> {
    const AS_CSV: &str = "open it in its program and export as CSV (UTF-8)";
    const UNPACK: &str = "unpack it and name the list in it";
    let (what, hint) = match raw {
        [b'P', b'K', 3 | 5 | 7, 4 | 6 | 8, ..] if memchr::memmem::find(raw, b"xl/").is_some() => {
            ("an Excel workbook", AS_CSV)
        }
        [b'P', b'K', 3 | 5 | 7, 4 | 6 | 8, ..] => (
            "a ZIP archive or an office document",
            "export as CSV, or unpack it and name the list in it",
        ),
        [0xd0, 0xcf, 0x11, 0xe0, ..] => ("an old Excel workbook", AS_CSV),
        [b'%', b'P', b'D', b'F', ..] => ("a PDF document", AS_CSV),
        [b'P', b'A', b'R', b'1', ..] => ("a Parquet file", "convert it to CSV"),
        [b'{', b'\\', b'r', b't', b'f', ..] => ("an RTF document", AS_CSV),
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => ("packed twice", UNPACK),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] => ("packed by bzip2", UNPACK),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => ("packed by xz", UNPACK),
        [b'7', b'z', 0xbc, 0xaf, ..] => ("a 7z archive", UNPACK),
        _ if raw.starts_with(b"SQLite format 3\0") => ("an SQLite database", "export the table as CSV"),
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => ("text in UTF-32", "save it as UTF-8"),
        _ => return Ok(()),
    };
    Err(ListError::Binary {
        name: name.to_owned(),
        what,
        hint,
    })
}

/// Texts that are no lists.
fn refuse_documents(name: &str, text: &str) -> Result<(), ListError> {
    let start = text.trim_start();
    let lower: String = start.chars().take(15).collect::<String>().to_lowercase();
    let (what, hint) = if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        (
            "an HTML page",
            "open it in a spreadsheet program and export as CSV (UTF-8)",
        )
    } else if lower.starts_with("<?xml") {
        (
            "an XML document",
            "open it in a spreadsheet program and export as CSV (UTF-8)",
        )
    } else if start.starts_with('[')
        && matches!(start[1..].trim_start().bytes().next(), Some(b'{' | b'"' | b'['))
    {
        ("a JSON array", "write one object per line: `jq -c '.[]'`")
    } else if start.starts_with('{')
        && matches!(
            start[1..].trim_start_matches(' ').bytes().next(),
            Some(b'\r' | b'\n')
        )
    {
        ("a JSON document", "write one object per line: `jq -c .`")
    } else {
        return Ok(());
    };
    Err(ListError::Binary {
        name: name.to_owned(),
        what,
        hint,
    })
}

/// Why a row, or an address in it, is not in the results.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
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
pub struct Rejected {
    /// 1-based line of the list.
    pub line: u64,
    /// Why.
    pub cause: Cause,
    /// The row's beginning, or the address.
    pub text: String,
}

impl Rejected {
    /// True when a whole row is lost to the results; false for a further address of a row that is in them.
    pub fn is_row(&self) -> bool {
        !matches!(self.cause, Cause::AnotherAddress { .. })
    }
}

/// What comes next in a list.
#[derive(Debug)]
pub enum Entry<'a> {
    /// A row with, or without, an address.
    Row(Row<'a>),
    /// A row that can't be read, or a further address in a cell.
    Rejected(Rejected),
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
    pub(super) extent: Extent,
}

/// How much of its cell an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
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
    scanner: Scanner<Text>,
    record: u64,
    /// The record from which rows are being handed out.
    span: Span,
    fields: Vec<Field>,
    /// Addresses of the record's cell that still get a row.
    parts: VecDeque<String>,
    /// Addresses of the record's cell that still are listed.
    listed: VecDeque<Rejected>,
}

impl Rows<'_> {
    /// How many places so far were not what the encoding allows and were read as Windows-1252, or given up.
    pub fn mended(&self) -> u64 {
        self.scanner.source().mended()
    }

    fn scan(&mut self) -> Result<Option<Scanned>, ListError> {
        self.scanner.next().map_err(read_error(&self.list.form.name))
    }

    /// The next row, or the next thing to be listed as rejected.
    #[expect(
        clippy::should_implement_trait,
        reason = "a row borrows the reader's buffer, which `Iterator` can't say"
    )]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, ListError> {
        if let Some(rejected) = self.listed.pop_front() {
            return Ok(Some(Entry::Rejected(rejected)));
        }
        if let Some(part) = self.parts.pop_front() {
            self.record += 1;
            return Ok(Some(Entry::Row(self.row(Cow::Owned(part), Extent::Part))));
        }
        let span = match self.scan()? {
            None => return Ok(None),
            Some(Scanned::Record(span)) => span,
            Some(Scanned::Unread { line, text, why }) => {
                self.record += 1;
                let cause = match why {
                    Unread::Unclosed => Cause::UnclosedQuote,
                    Unread::TooLong => Cause::TooLong,
                };
                return Ok(Some(Entry::Rejected(self.rejected(line, cause, text))));
            }
        };
        self.record += 1;
        self.span = span;
        let form = &self.list.form;
        if form.kind == Kind::Ndjson {
            if let Err(rejected) = self.read_object() {
                return Ok(Some(Entry::Rejected(rejected)));
            }
        } else if self.span.cells > form.columns.len() {
            let delimiter = form.delimiter();
            let surplus = &self.scanner.bytes()[self.span.width_end..self.span.record.end];
            if !surplus.iter().all(|&byte| byte == delimiter) {
                let cause = Cause::TooManyCells {
                    cells: self.span.cells,
                    columns: form.columns.len(),
                };
                let (line, text) = (self.span.line, self.span.record.clone());
                return Ok(Some(Entry::Rejected(self.rejected(line, cause, text))));
            }
        }
        let several = cell::addresses(&self.text())
            .map(|found| found.into_iter().map(str::to_owned).collect::<VecDeque<String>>());
        let Some(mut addresses) = several else {
            let text = self.text();
            return Ok(Some(Entry::Row(self.row(text, Extent::Whole))));
        };
        let first = addresses.pop_front().unwrap_or_default();
        if self.list.split_cells {
            self.parts = addresses;
            return Ok(Some(Entry::Row(self.row(Cow::Owned(first), Extent::Part))));
        }
        let (line, record) = (self.span.line, self.record);
        let listed = addresses.into_iter().map(|text| Rejected {
            line,
            cause: Cause::AnotherAddress { record },
            text,
        });
        self.listed = listed.collect();
        Ok(Some(Entry::Row(self.row(Cow::Owned(first), Extent::First))))
    }

    /// Finds the fields of a line of NDJSON and puts the address's place into the span.
    fn read_object(&mut self) -> Result<(), Rejected> {
        let range = self.span.record.clone();
        let line = String::from_utf8_lossy(&self.scanner.bytes()[range.clone()]);
        match json::fields(&line) {
            Err(fault) => {
                let cause = Cause::NotAnObject(fault);
                Err(self.rejected(self.span.line, cause, range))
            }
            Ok(fields) => {
                let key = &self.list.form.columns[self.list.form.address];
                let value = fields.iter().rev().find(|field| field.key == *key);
                self.span.address = value.map_or(range.end..range.end, |field| {
                    range.start + field.value.start..range.start + field.value.end
                });
                self.fields = fields;
                Ok(())
            }
        }
    }

    /// The text of the address cell.
    fn text(&self) -> Cow<'_, str> {
        let cell = &self.scanner.bytes()[self.span.address.clone()];
        match self.list.form.kind {
            Kind::Lines => String::from_utf8_lossy(cell),
            Kind::Delimited(_) => match cell::unquote(cell) {
                Cow::Borrowed(text) => String::from_utf8_lossy(text),
                Cow::Owned(text) => Cow::Owned(String::from_utf8_lossy(&text).into_owned()),
            },
            Kind::Ndjson if cell.is_empty() => Cow::Borrowed(""),
            Kind::Ndjson => Cow::Owned(json::text(&String::from_utf8_lossy(cell))),
        }
    }

    fn row<'s>(&'s self, address: Cow<'s, str>, extent: Extent) -> Row<'s> {
        let span = &self.span;
        let bytes = self.scanner.bytes();
        let start = span.record.start;
        let columns = self.list.form.columns.len();
        let delimited = matches!(self.list.form.kind, Kind::Delimited(_));
        let end = if delimited && span.cells > columns {
            span.width_end
        } else {
            span.record.end
        };
        Row {
            record: self.record,
            line: span.line,
            raw: &bytes[start..end],
            line_end: &bytes[span.record.end..span.whole.end],
            missing_cells: if delimited {
                columns.saturating_sub(span.cells)
            } else {
                0
            },
            cell: span.address.start - start..span.address.end - start,
            own: span.own.start - start..span.own.end - start,
            fields: &self.fields,
            address,
            extent,
        }
    }

    fn rejected(&self, line: u64, cause: Cause, text: Range<usize>) -> Rejected {
        let bytes = &self.scanner.bytes()[text];
        let mut text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_BYTES)]).into_owned();
        text.truncate(text.trim_end_matches(['\r', '\n', '\u{fffd}']).len());
        Rejected { line, cause, text }
    }
}

/// The name of the place where results go when none is given: `STEM.listproof` beside nothing, in the current folder.
pub fn default_folder(form: &Form) -> PathBuf {
    Path::new(&format!("{}.listproof", form.stem())).to_owned()
}
