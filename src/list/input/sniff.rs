//! What kind of text a list is: its delimiter, its header, one per line, or NDJSON.
//!
//! Decides: from the first part of the list, read by the csv crate with each delimiter in turn. The delimiter under
//! which the rows are most alike and hold addresses wins. Must not: read rows; that is [`scan`](super::scan)'s.

use std::collections::HashMap;

use crate::list::format::{self, Scanned, Scanner, Wanted, line_end};
use crate::list::input::column::{self, Sample, looks_like_address};
use crate::list::output;

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// Cells between delimiters (CSV, TSV and their like).
    Delimited(u8),
    /// One address per line.
    Lines,
    /// One JSON object per line.
    Ndjson,
}

impl ListKind {
    /// What it is called.
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
}

/// Delimiters that are tried; the first of equals wins.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Delimiters that are believed if a `sep=` line names them, or if our own results have them from such a list.
const NAMED: [u8; 4] = [b':', b'^', b'~', b'#'];
/// So many records are looked at.
const SAMPLE_ROWS: usize = 1_000;

/// What the beginning of a list tells.
#[derive(Debug)]
pub(super) struct SniffedShape {
    pub(super) kind: ListKind,
    /// Between cells; `None` where a line is one cell.
    pub(super) delimiter: Option<u8>,
    /// The first line is a spreadsheet's `sep=;`, not a row.
    pub(super) sep_line: bool,
    /// So many rows stand above the header: a report's title, a date.
    pub(super) above_header: usize,
    pub(super) sample: Sample,
}

/// Reads the beginning of a list, UTF-8 without a byte order mark; `whole` when it is all there is.
pub(super) fn shape(text: &str, whole: bool) -> SniffedShape {
    let text = if whole { text } else { text.rfind(['\n', '\r']).map_or(text, |at| &text[..=at]) };
    if text.trim_start().starts_with('{') && format::is_object(first_line(text)) {
        return SniffedShape {
            kind: ListKind::Ndjson,
            delimiter: None,
            sep_line: false,
            above_header: 0,
            sample: format::sample(text, SAMPLE_ROWS),
        };
    }
    let (told, text) = sep_line(text);
    let seen = kind(text);
    let kind = match told {
        // A `sep=` line that somebody forgot divides nothing.
        Some(told)
            if seen == ListKind::Lines || Fit::of(&records(text, Some(told), SAMPLE_ROWS)).width > 1 =>
        {
            ListKind::Delimited(told)
        }
        _ => seen,
    };
    let delimiter = match kind {
        ListKind::Delimited(delimiter) => Some(delimiter),
        _ => None,
    };
    let mut rows = records(text, delimiter, SAMPLE_ROWS);
    let above_header = above_header(&rows);
    rows.drain(..above_header);
    SniffedShape { kind, delimiter, sep_line: told.is_some(), above_header, sample: sample(rows) }
}

fn first_line(text: &str) -> &str {
    let text = text.trim_start();
    line_end(text.as_bytes()).map_or(text, |at| &text[..at])
}

/// The first records, so many at `most`, as the csv crate reads them, but for those that the scanner can't read.
fn records(text: &str, delimiter: Option<u8>, most: usize) -> Vec<Vec<String>> {
    let anything = Wanted { width: 1, address: 0, own: None };
    let mut scanner = Scanner::new(text.as_bytes(), delimiter, anything);
    let mut readable: Vec<String> = Vec::new();
    while let (true, Ok(Some(scanned))) = (readable.len() < most, scanner.next()) {
        if scanned == Scanned::Record {
            let record = &scanner.bytes()[scanner.span().record.clone()];
            readable.push(String::from_utf8_lossy(record).into_owned());
        }
    }
    let Some(delimiter) = delimiter else {
        return readable.into_iter().map(|line| vec![line]).collect();
    };
    let readable = readable.join("\n");
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(readable.as_bytes());
    let records = reader.records().map_while(Result::ok);
    records.map(|record| record.iter().map(str::to_owned).collect()).collect()
}

/// Excel's way to name the delimiter: a first line `sep=;`.
fn sep_line(text: &str) -> (Option<u8>, &str) {
    let line = first_line(text);
    match line.as_bytes() {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter]
            if DELIMITERS.contains(delimiter) || NAMED.contains(delimiter) =>
        {
            let rest = text.trim_start();
            (Some(*delimiter), rest.get(line.len() + 1..).unwrap_or(""))
        }
        _ => (None, text),
    }
}

fn kind(text: &str) -> ListKind {
    let ours =
        |&delimiter: &u8| records(text, Some(delimiter), 1).first().is_some_and(|row| output::is_told(row));
    if let Some(delimiter) = DELIMITERS.into_iter().chain(NAMED).find(ours) {
        return ListKind::Delimited(delimiter);
    }
    let mut best: Option<(usize, u8)> = None;
    for delimiter in DELIMITERS {
        let fit = Fit::of(&records(text, Some(delimiter), SAMPLE_ROWS));
        let score = fit.score();
        let alike = fit.width > 1 && fit.alike * 2 >= fit.rows;
        if (alike || fit.named) && best.is_none_or(|(high, _)| score > high) {
            best = Some((score, delimiter));
        }
    }
    if let Some((_, delimiter)) = best {
        return ListKind::Delimited(delimiter);
    }
    let quoted = |line: &Vec<String>| {
        let cell = line[0].trim();
        cell.len() > 1 && cell.starts_with('"') && cell.ends_with('"')
    };
    let lines = records(text, None, SAMPLE_ROWS);
    if lines.iter().filter(|line| quoted(line)).count() * 2 > lines.len() {
        ListKind::Delimited(b',')
    } else {
        ListKind::Lines
    }
}

/// How well a delimiter explains the rows.
struct Fit {
    rows: usize,
    /// The usual number of cells, and in how many rows it is so.
    width: usize,
    alike: usize,
    /// Rows with a cell that is an address.
    addressed: usize,
    /// The first row has several cells, one of which names an address column.
    named: bool,
}

impl Fit {
    fn of(rows: &[Vec<String>]) -> Fit {
        let (width, alike) = usual_width(rows);
        let addressed = rows.iter().filter(|row| row.iter().any(|cell| looks_like_address(cell))).count();
        Fit {
            rows: rows.len(),
            width,
            alike,
            addressed,
            named: rows.first().is_some_and(|first| {
                first.len() > 1 && first.iter().any(|cell| crate::list::input::column::is_known_name(cell))
            }),
        }
    }

    /// Per mille; a row that has its address in a cell, and a header, count twice as much as rows that are alike.
    fn score(&self) -> usize {
        (2 * self.addressed + self.alike) * 1_000 / self.rows.max(1) + if self.named { 2_000 } else { 0 }
    }
}

/// The most frequent number of cells (the larger of equals), and how many rows have it.
fn usual_width(rows: &[Vec<String>]) -> (usize, usize) {
    let mut widths: HashMap<usize, usize> = HashMap::new();
    for row in rows {
        *widths.entry(row.len()).or_default() += 1;
    }
    widths.into_iter().max_by_key(|&(width, count)| (count, width)).unwrap_or((0, 0))
}

/// How many rows stand above a header that is not the first row. It is believed only if it names an address column, that
/// column has addresses from there on, and no address stands above.
fn above_header(rows: &[Vec<String>]) -> usize {
    const MOST_ABOVE: usize = 8;
    const SEEN_BELOW: usize = 20;
    if rows.first().is_some_and(|first| output::is_told(first)) {
        return 0;
    }
    let address =
        |row: &Vec<String>| row.iter().position(|cell| crate::list::input::column::is_known_name(cell));
    let first = rows.iter().take(MOST_ABOVE + 1).enumerate();
    let named = first.filter(|(_, row)| row.len() > 1).find_map(|(at, row)| Some((at, address(row)?)));
    let Some((at, index)) = named else { return 0 };
    let below = rows[at + 1..].iter().take(SEEN_BELOW);
    let filled = below.filter_map(|row| row.get(index)).filter(|cell| !cell.trim().is_empty());
    let (addresses, others): (Vec<&String>, Vec<&String>) = filled.partition(|cell| looks_like_address(cell));
    let nothing_above = rows[..=at].iter().flatten().all(|cell| !cell.contains('@'));
    if nothing_above && addresses.len() > others.len() { at } else { 0 }
}

/// Tells the header from the rows.
fn sample(mut rows: Vec<Vec<String>>) -> Sample {
    let Some(first) = rows.first() else {
        return Sample::default();
    };
    let has_header = is_header(first, &rows[1..]);
    let header = if has_header { rows.remove(0) } else { Vec::new() };
    let (usual, _) = usual_width(&rows);
    // Some exports do not name all columns. A few rows that are too wide are those rows' trouble.
    let unnamed = rows.iter().filter(|row| filled_width(row) > header.len()).count();
    let width = if unnamed * 2 > rows.len() { header.len().max(usual) } else { header.len() };
    let names = (0..width)
        .map(|index| match header.get(index) {
            Some(name) if !name.trim().is_empty() => name.clone(),
            _ => format!("column_{}", index + 1),
        })
        .collect();
    Sample { names, has_header, has_keys: false, rows }
}

/// The number of cells up to the last that is not empty.
fn filled_width(row: &[String]) -> usize {
    row.iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1)
}

/// True when the first row names an address column, or when it looks like names above cells that look like values.
/// In doubt it is a row: a header judged as a row costs an odd line, a row taken for a header would be lost.
fn is_header(first: &[String], others: &[Vec<String>]) -> bool {
    // Nobody's row has the names of our columns side by side.
    if output::is_told(first) {
        return true;
    }
    if first.iter().any(|cell| cell.contains('@')) {
        return false;
    }
    if first.iter().any(|cell| crate::list::input::column::is_known_name(cell)) {
        return true;
    }
    let value = |(index, cell): (usize, &String)| {
        let cell = cell.trim();
        let repeated = || others.iter().any(|row| row.get(index).is_some_and(|other| other.trim() == cell));
        cell.parse::<f64>().is_ok() || !cell.is_empty() && repeated()
    };
    if first.iter().enumerate().any(value) {
        return false;
    }
    match crate::list::input::column::by_cells(others).and_then(|index| first.get(index)) {
        // What stands above the addresses may be one that lacks its @.
        Some(name) if first.len() > 1 => !name.trim().is_empty() && !name.contains('.'),
        Some(name) => crate::list::input::column::speaks_of_mail(name),
        None => first.len() > 1,
    }
}
