//! What is known about a list: its source, compression, encoding, kind, header, and the column with the addresses.
//!
//! Decides: how results are named after a list. Must not: find any of this out; `input` does. The writers need it too,
//! since results look like the list.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::encoding::Encoding;

/// Where a list is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file, or a named pipe.
    Path(PathBuf),
    /// Standard input.
    Stdin,
}

impl Source {
    /// The path of the file; `None` for standard input.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Source::Path(path) => Some(path),
            Source::Stdin => None,
        }
    }
}

/// How the bytes of a list are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Plain,
    /// gzip, with one member or more (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
    /// A sheet of an Excel workbook (XLSX).
    Workbook,
    /// An address book (vCard, RFC 6350).
    VCard,
}

impl Compression {
    /// The name of the format; `None` for plain bytes.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Compression::Plain => None,
            Compression::Gzip => Some("gzip"),
            Compression::Zstd => Some("zstd"),
            Compression::Workbook => Some("XLSX"),
            Compression::VCard => Some("vCard"),
        }
    }

    /// True for a format of its own, whose results are CSV.
    fn becomes_csv(self) -> bool {
        matches!(self, Compression::Workbook | Compression::VCard)
    }
}

/// How the rows of a list are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// Cells between delimiters: CSV, TSV and the like.
    Delimited(u8),
    /// One address per line.
    Lines,
    /// One JSON object per line.
    Ndjson,
}

impl ListKind {
    /// The name of the kind.
    pub fn word(self) -> &'static str {
        match self {
            ListKind::Delimited(b',') => "CSV",
            ListKind::Delimited(b';') => "CSV with semicolons",
            ListKind::Delimited(b'\t') => "TSV",
            ListKind::Delimited(b'|') => "CSV with pipes",
            ListKind::Delimited(_) => "CSV with a delimiter of its own",
            ListKind::Lines => "one address per line",
            ListKind::Ndjson => "NDJSON",
        }
    }

    /// The byte between cells; `None` where a line is one cell.
    pub(in crate::list) fn delimiter(self) -> Option<u8> {
        match self {
            ListKind::Delimited(delimiter) => Some(delimiter),
            ListKind::Lines | ListKind::Ndjson => None,
        }
    }
}

/// What a list is, as far as its beginning shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFormat {
    /// The list as the user named it.
    pub name: String,
    /// The path of the list, when it is a file.
    pub path: Option<PathBuf>,
    /// How the bytes are packed.
    pub compression: Compression,
    /// Where in the file the list is, for the user: a sheet of a workbook, a file in an archive.
    pub place: Option<String>,
    /// How the text is encoded; results are UTF-8.
    pub encoding: Encoding,
    /// How many bytes of byte order marks come first; results have none.
    pub(in crate::list) mark_bytes: usize,
    /// How the rows are written.
    pub kind: ListKind,
    /// The first line end of the list.
    pub line_end: &'static str,
    /// About how many lines there are, estimated from the first ones and the length; 0 for a compressed list.
    pub estimated_lines: u64,
    /// True when a row names the columns.
    pub has_header: bool,
    /// The names of the columns; `column_1` and so on where a column has none.
    pub columns: Vec<String>,
    /// The index in `columns` of the column with the addresses.
    pub address_column: usize,
    /// The columns whose cell counts where the one of `address_column`, and each before, is empty.
    pub fallback_columns: Vec<usize>,
    /// Which column has the addresses and how it was found, for the user.
    pub address_sentence: String,
    /// The columns that an earlier run added, as indices in `columns`.
    pub(in crate::list) earlier: Option<Range<usize>>,
    /// The header as it was written, without line end; empty where there is none.
    pub(in crate::list) header: Vec<u8>,
    /// How many cells `header` has.
    pub(in crate::list) header_cells: usize,
    /// In `header`: the names of the columns that an earlier run added.
    pub(in crate::list) header_earlier: Range<usize>,
    /// How many rows stand before the first data row: a `sep=` line, the rows above the header, the header.
    pub(in crate::list) skipped_records: usize,
    /// Which of these stand above the header.
    pub(in crate::list) above_header: Range<usize>,
}

impl ListFormat {
    /// What results are named after: the name of the file without its endings, or `stdin`.
    pub fn stem(&self) -> String {
        stem(self.path.as_deref())
    }

    /// The folder for the results when the user names none: `STEM.listproof` in the current folder.
    pub fn default_folder(&self) -> PathBuf {
        default_folder(&self.stem())
    }

    /// What was found out, as one sentence for the user.
    pub fn sentence(&self) -> String {
        let word = self.compression.word();
        let mut sentence = match word {
            Some(word) if self.compression.becomes_csv() => format!("{word} (results are CSV)"),
            _ => {
                let utf8 = if self.encoding == Encoding::UTF_8 { "" } else { " (written as UTF-8)" };
                let word = word.map(|word| format!(", {word}")).unwrap_or_default();
                format!("{} in {}{utf8}{word}", self.kind.word(), self.encoding.word())
            }
        };
        if let Some(place) = &self.place {
            sentence += ", ";
            sentence += place;
        }
        if !self.has_header && self.kind != ListKind::Ndjson {
            sentence += ", no header";
        }
        format!("{sentence}; addresses: {}", self.address_sentence)
    }

    /// The byte between cells; in results of a list without delimiters, a comma.
    pub(in crate::list) fn cell_delimiter(&self) -> u8 {
        self.kind.delimiter().unwrap_or(b',')
    }
}

/// What the results of a list are named after: `contacts.csv.gz` gives `contacts`; without a path, `stdin`.
pub(in crate::list) fn stem(path: Option<&Path>) -> String {
    let name = path.and_then(Path::file_name).map(|name| name.to_string_lossy());
    let mut stem = name.as_deref().unwrap_or("stdin");
    for ending in [".gz", ".gzip", ".zst", ".zstd"] {
        stem = cut_ending(stem, ending);
    }
    for ending in [
        ".csv", ".tsv", ".tab", ".txt", ".ndjson", ".jsonl", ".json", ".psv", ".list", ".xlsx", ".xlsm",
        ".vcf", ".zip",
    ] {
        let cut = cut_ending(stem, ending);
        if cut != stem {
            stem = cut;
            break;
        }
    }
    shorten(stem)
}

/// The stem, short enough for the longest name of a file that begins with it; a long one ends with a part of its digest, so
/// that two of them differ.
fn shorten(stem: &str) -> String {
    const MAX_STEM_BYTES: usize = 210;
    const DIGITS: usize = 8;
    if stem.len() <= MAX_STEM_BYTES {
        return stem.to_owned();
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, stem.as_bytes());
    let end = (0..MAX_STEM_BYTES - DIGITS).rev().find(|&end| stem.is_char_boundary(end)).unwrap_or(0);
    let mut short = format!("{}~", &stem[..end]);
    for byte in &digest.as_ref()[..DIGITS / 2] {
        // Writing to a text does not fail.
        let _ = write!(short, "{byte:02x}");
    }
    short
}

/// The folder for results with this stem when the user names none.
pub(in crate::list) fn default_folder(stem: &str) -> PathBuf {
    PathBuf::from(format!("{stem}.listproof"))
}

fn cut_ending<'a>(name: &'a str, ending: &str) -> &'a str {
    let at = name.len().saturating_sub(ending.len());
    match name.split_at_checked(at) {
        Some((rest, end)) if !rest.is_empty() && end.eq_ignore_ascii_case(ending) => rest,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_named_after_the_list_without_its_endings() {
        for (path, expected) in [
            ("contacts.csv", "contacts"),
            ("a/b/contacts.v2.CSV.gz", "contacts.v2"),
            ("list.ndjson.zst", "list"),
            ("contacts.retry.csv", "contacts.retry"),
            ("contacts", "contacts"),
            (".csv", ".csv"),
            ("list.csv.csv", "list.csv"),
        ] {
            assert_eq!(stem(Some(Path::new(path))), expected, "{path}");
        }
        assert_eq!(stem(None), "stdin");
    }

    #[test]
    fn a_long_stem_is_cut_and_stays_different_from_others() {
        let long = |end: &str| stem(Some(Path::new(&format!("{}{end}.csv", "ä".repeat(120)))));
        let (one, other) = (long("one"), long("other"));
        assert!(one.len() <= 210 && one.starts_with("ää") && one != other, "{one}");
        assert!(stem(Some(Path::new(&format!("{one}.retry.csv")))).len() <= 210);
    }
}
