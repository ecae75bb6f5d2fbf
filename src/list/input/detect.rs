//! What a list is: compression, encoding, delimiter, header, and the column with the addresses.
//!
//! Decides: all of that, from the beginning of the list and the user's options. Must not: read the rows. Fails: when the
//! beginning is not a list, with what it is instead and how to get a list from it. Can't know: what comes after the
//! beginning; and of a format that is not in the tables below only that no column holds addresses.

use std::io::{self, Read};
use std::sync::Arc;

use super::address_column::{self, ColumnNotFound};
use super::decode::Utf8Reader;
use super::encoding::{EncodingFinder, UnknownEncoding, marked_encoding};
use super::options::ReadOptions;
use super::sniff::{HeaderFault, sniff};
use super::source::ListBytes;
use crate::list::ListError;
use crate::list::columns::find_earlier;
use crate::list::error::read_error;
use crate::list::format::{
    self, Encoding, ListFormat, ListKind, MAX_COLUMNS, MAX_RECORD_BYTES, ScanError, Scanned, Scanner,
    WantedCells, read_full,
};

/// How many bytes are read to find out what a list is.
const SAMPLE_BYTES: usize = 1 << 20;

/// What a list is.
pub(super) struct DetectedList {
    pub(super) format: ListFormat,
    /// Decides the encoding where the beginning is ASCII and more follows.
    pub(super) late: Option<Arc<EncodingFinder>>,
}

/// The text of a list.
pub(super) type DecodedText = Utf8Reader<Box<dyn Read + Send>>;

/// Finds out what a list is.
pub(super) fn detect(bytes: &ListBytes, options: &ReadOptions) -> Result<DetectedList, ListError> {
    let name = &bytes.name;
    let mut raw = vec![0; SAMPLE_BYTES];
    let mut stream = bytes.read().map_err(read_error(name))?;
    let filled = read_full(&mut stream, &mut raw).map_err(read_error(name))?;
    raw.truncate(filled);
    let is_whole = filled < SAMPLE_BYTES;
    check_bytes(name, &raw)?;
    let (mut encoding, mark_bytes) =
        marked_encoding(&raw).map_or((None, 0), |(encoding, mark)| (Some(encoding), mark));
    encoding = options.encoding.or(encoding);
    let finder = EncodingFinder::of(&raw);
    let ascii = encoding_rs::Encoding::ascii_valid_up_to(&raw);
    if encoding.is_none() && ascii < raw.len() {
        let mut looked_at = raw[ascii..].to_vec();
        stream.take(ascii as u64).read_to_end(&mut looked_at).map_err(read_error(name))?;
        encoding = Some(finder.find(&looked_at).map_err(|unknown| unknown_encoding(name, &unknown))?);
    }
    // A list that is ASCII so far may go on in any encoding.
    let late = (encoding.is_none() && !is_whole).then(|| Arc::new(finder));
    let encoding = encoding.unwrap_or(Encoding::UTF_8);
    let mut text = Vec::new();
    Utf8Reader::new(&raw[mark_bytes..], encoding).read_to_end(&mut text).map_err(read_error(name))?;
    let text = String::from_utf8_lossy(&text);
    if text.trim().is_empty() {
        return Err(ListError::Empty { name: name.clone() });
    }
    check_text(name, &text)?;
    let shape = sniff(&text, is_whole, options).map_err(|fault| match fault {
        HeaderFault::Several(lines) => ListError::TwoHeaders { name: name.clone(), lines },
        HeaderFault::NoRow(line) => ListError::NoHeaderLine { name: name.clone(), line },
    })?;
    let sep_lines = usize::from(shape.sep_line);
    let above_header = sep_lines..sep_lines + shape.above_header;
    let has_header_row = shape.sample.has_header && shape.kind != ListKind::Ndjson;
    let skipped_records = above_header.end + usize::from(has_header_row);
    let mut format = ListFormat {
        name: name.clone(),
        path: bytes.path.clone(),
        compression: bytes.compression,
        place: bytes.place.clone(),
        encoding,
        mark_bytes,
        kind: shape.kind,
        line_end: first_line_end(&text),
        estimated_lines: estimate_lines(&raw, bytes.unpacked_len().map_err(read_error(name))?),
        has_header: shape.sample.has_header,
        columns: Vec::new(),
        address_column: 0,
        fallback_columns: Vec::new(),
        address_sentence: String::new(),
        earlier: None,
        header: Vec::new(),
        header_cells: 0,
        header_earlier: 0..0,
        skipped_records,
        above_header,
    };
    if shape.sample.names.len() > MAX_COLUMNS {
        return Err(ListError::TooManyColumns {
            name: name.clone(),
            line: 1 + u64::from(shape.sep_line),
            limit: MAX_COLUMNS,
        });
    }
    let line = read_header(&mut format, bytes, late.as_ref())?;
    format.earlier = find_earlier(&shape.sample.names);
    let choice = address_column::choose(&shape.sample, format.earlier.as_ref(), &options.columns);
    let choice = choice.map_err(|why| match why {
        ColumnNotFound::Given(column) => {
            ListError::UnknownColumn { name: name.clone(), line, column, columns: shape.sample.names.clone() }
        }
        ColumnNotFound::None => {
            ListError::NoAddressColumn { name: name.clone(), line, columns: shape.sample.names.clone() }
        }
    })?;
    format.address_column = choice.index;
    format.fallback_columns = choice.fallbacks;
    format.address_sentence = choice.sentence;
    format.columns = shape.sample.names;
    // Again, now that the earlier columns are known.
    read_header(&mut format, bytes, late.as_ref())?;
    // The results begin with the header, and must not look like another format then.
    check_bytes(name, &format.header)?;
    check_text(name, &String::from_utf8_lossy(&format.header))?;
    Ok(DetectedList { format, late })
}

/// The error for a list whose encoding is not known.
pub(super) fn unknown_encoding(name: &str, unknown: &UnknownEncoding) -> ListError {
    let likely = unknown.likely.iter().map(|encoding| encoding.word()).collect();
    ListError::UnknownEncoding { name: name.to_owned(), likely }
}

/// A scanner at the first record of the list.
pub(super) fn scanner(
    format: &ListFormat,
    bytes: &ListBytes,
    late: Option<&Arc<EncodingFinder>>,
) -> Result<Scanner<DecodedText>, ListError> {
    let name = &format.name;
    let mut stream = bytes.read().map_err(read_error(name))?;
    let mut marks = (&mut stream).take(format.mark_bytes as u64);
    io::copy(&mut marks, &mut io::sink()).map_err(read_error(name))?;
    let wanted = WantedCells {
        width: format.columns.len().max(1),
        address: format.address_column,
        earlier: format.earlier.clone(),
    };
    let text = match late {
        None => Utf8Reader::new(stream, format.encoding),
        Some(finder) => Utf8Reader::finding(stream, finder.clone()),
    };
    Ok(Scanner::new(text, format.kind.delimiter(), wanted))
}

/// Sets the header as it is written. Returns the line of the header, or of the first row.
fn read_header(
    format: &mut ListFormat,
    bytes: &ListBytes,
    late: Option<&Arc<EncodingFinder>>,
) -> Result<u64, ListError> {
    let mut scanner = scanner(format, bytes, late)?;
    let mut line = 1;
    for number in 0..format.skipped_records.max(1) {
        if format.above_header.contains(&number) {
            scanner.next().map_err(read_error(&format.name))?;
            continue;
        }
        match scanner.next().map_err(read_error(&format.name))? {
            Some(Scanned::Record) => {
                let span = scanner.span();
                line = span.line;
                if format.has_header && format.kind != ListKind::Ndjson {
                    format.header = scanner.bytes()[span.record.clone()].to_vec();
                    format.header_cells = span.cells;
                    let start = span.record.start;
                    format.header_earlier = span.earlier.start - start..span.earlier.end - start;
                }
            }
            Some(Scanned::Unreadable { line, text, why }) if format.kind != ListKind::Ndjson => {
                let is_row = memchr::memchr(b'@', &scanner.bytes()[text]).is_some() && !format.has_header;
                match why {
                    ScanError::Unclosed if is_row => {}
                    ScanError::Unclosed => {
                        return Err(ListError::UnclosedHeader { name: format.name.clone(), line });
                    }
                    ScanError::TooLong => {
                        return Err(ListError::EndlessLine {
                            name: format.name.clone(),
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

/// About how many lines `len` bytes have that begin with `sample`.
fn estimate_lines(sample: &[u8], len: u64) -> u64 {
    let in_sample = memchr::memchr_iter(b'\n', sample).count() as u64;
    len.saturating_mul(in_sample) / (sample.len() as u64).max(1)
}

fn first_line_end(text: &str) -> &'static str {
    let line_end = format::line_end(text.as_bytes()).map_or("", |at| &text[at..]);
    match line_end.trim_start_matches('\r').as_bytes() {
        [b'\n', ..] if line_end.starts_with('\r') => "\r\n",
        _ if line_end.starts_with('\r') => "\r",
        _ => "\n",
    }
}

/// Fails for known formats that are not text, by their first bytes.
fn check_bytes(name: &str, raw: &[u8]) -> Result<(), ListError> {
    const AS_CSV: &str = "open it in its program and export as CSV (UTF-8)";
    const UNPACK: &str = "unpack it and name the list in it";
    let (what, hint) = match raw {
        [b'P', b'K', 3 | 5 | 7, 4 | 6 | 8, ..] => (
            "a ZIP archive with several files, or an office document",
            "export as CSV, or unpack it and name the list in it",
        ),
        [0xd0, 0xcf, 0x11, 0xe0, ..] => ("an old Excel workbook", AS_CSV),
        [b'%', b'P', b'D', b'F', ..] => ("a PDF document", AS_CSV),
        [b'P', b'A', b'R', b'1', ..] => ("a Parquet file", "convert it to CSV"),
        [b'{', b'\\', b'r', b't', b'f', ..] => ("an RTF document", AS_CSV),
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            ("compressed twice", UNPACK)
        }
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] => ("compressed with bzip2", UNPACK),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => ("compressed with xz", UNPACK),
        [b'7', b'z', 0xbc, 0xaf, ..] => ("a 7z archive", UNPACK),
        _ if raw.starts_with(b"SQLite format 3\0") => ("an SQLite database", "export the table as CSV"),
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => ("text in UTF-32", "save it as UTF-8"),
        _ => return Ok(()),
    };
    Err(ListError::NotAList { name: name.to_owned(), what, hint })
}

/// Fails for known formats of text that are not lists.
fn check_text(name: &str, text: &str) -> Result<(), ListError> {
    let start = text.trim_start();
    let lower: String = start.chars().take(15).collect::<String>().to_lowercase();
    let (what, hint) = if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        ("an HTML page", "open it in a spreadsheet program and export as CSV (UTF-8)")
    } else if lower.starts_with("<?xml") {
        ("an XML document", "open it in a spreadsheet program and export as CSV (UTF-8)")
    } else if start.starts_with('[')
        && matches!(start[1..].trim_start().bytes().next(), Some(b'{' | b'"' | b'['))
    {
        ("a JSON array", "write one object per line: `jq -c '.[]'`")
    } else if start.starts_with('{')
        && matches!(start[1..].trim_start_matches(' ').bytes().next(), Some(b'\r' | b'\n'))
    {
        ("a JSON document", "write one object per line: `jq -c .`")
    } else {
        return Ok(());
    };
    Err(ListError::NotAList { name: name.to_owned(), what, hint })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use crate::list::{ReadOptions, Source, open};

    #[test]
    fn the_number_of_lines_is_estimated_from_the_first_lines_and_the_size() {
        let lines = |bytes: &[u8]| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(bytes).unwrap();
            let source = Source::Path(file.path().to_owned());
            open(&source, &ReadOptions::default()).unwrap().format().estimated_lines
        };
        let mut list = Vec::new();
        (0..100_000).for_each(|n| writeln!(list, "user{n}@acme.example").unwrap());
        let estimate = lines(&list);
        assert!((98_000..102_000).contains(&estimate), "{estimate}");
        assert_eq!(lines(b"user@acme.example\n"), 1);
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&list).unwrap();
        assert_eq!(lines(&packed.finish().unwrap()), 0, "the length of a compressed list is not known");
    }
}
