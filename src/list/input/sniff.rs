//! The kind of a list, its delimiter and its header, from its first rows.
//!
//! Decides: the csv crate reads the beginning of the list with each delimiter in turn, and the delimiter with the most rows
//! of one width and with an address wins. Must not: read the rows of the whole list; [`read`](super::read) does.

use std::collections::HashMap;

use super::address_column::{Sample, fullest_of_addresses, is_known_name, looks_like_address, mentions_mail};
use crate::list::columns::has_added;
use crate::list::format::{self, ListKind, Scanned, Scanner, WantedCells, line_end};

/// The delimiters that are tried; of equally good ones, the first wins.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Delimiters that count only if a `sep=` line names them, or in results of a list that has such a line.
const RARE_DELIMITERS: [u8; 4] = [b':', b'^', b'~', b'#'];
/// How many records are looked at.
const SAMPLE_ROWS: usize = 1_000;

/// What the beginning of a list shows.
#[derive(Debug)]
pub(super) struct SniffedShape {
    pub(super) kind: ListKind,
    /// The first line is a spreadsheet's `sep=;`, not a row.
    pub(super) sep_line: bool,
    /// How many rows stand above the header, such as the title of a report or a date.
    pub(super) above_header: usize,
    pub(super) sample: Sample,
}

/// Looks at the beginning of a list, UTF-8 without a byte order mark; `is_whole` when that is the whole list.
pub(super) fn sniff(text: &str, is_whole: bool) -> SniffedShape {
    let text = if is_whole { text } else { text.rfind(['\n', '\r']).map_or(text, |at| &text[..=at]) };
    if text.trim_start().starts_with('{') && format::is_object(first_line(text)) {
        return SniffedShape {
            kind: ListKind::Ndjson,
            sep_line: false,
            above_header: 0,
            sample: sample_of_objects(text),
        };
    }
    let (named, text) = sep_line(text);
    let sniffed = kind(text);
    let kind = match named {
        // A `sep=` line may be left over from another delimiter; then it divides no row.
        Some(named)
            if sniffed == ListKind::Lines
                || DelimiterFit::of(&records(text, Some(named), SAMPLE_ROWS)).width > 1 =>
        {
            ListKind::Delimited(named)
        }
        _ => sniffed,
    };
    let mut rows = records(text, kind.delimiter(), SAMPLE_ROWS);
    let above_header = above_header(&rows);
    rows.drain(..above_header);
    SniffedShape { kind, sep_line: named.is_some(), above_header, sample: sample(rows) }
}

fn first_line(text: &str) -> &str {
    let text = text.trim_start();
    line_end(text.as_bytes()).map_or(text, |at| &text[..at])
}

/// The first records, at most `most`, as the csv crate reads them, without those that the scanner can't read.
fn records(text: &str, delimiter: Option<u8>, most: usize) -> Vec<Vec<String>> {
    let any = WantedCells { width: 1, address: 0, earlier: None };
    let mut scanner = Scanner::new(text.as_bytes(), delimiter, any);
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

/// The delimiter that a first line `sep=;` names, as Excel writes it, and the text after that line.
fn sep_line(text: &str) -> (Option<u8>, &str) {
    let line = first_line(text);
    match line.as_bytes() {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter]
            if DELIMITERS.contains(delimiter) || RARE_DELIMITERS.contains(delimiter) =>
        {
            let rest = text.trim_start();
            (Some(*delimiter), rest.get(line.len() + 1..).unwrap_or(""))
        }
        _ => (None, text),
    }
}

fn kind(text: &str) -> ListKind {
    let is_result =
        |&delimiter: &u8| records(text, Some(delimiter), 1).first().is_some_and(|row| has_added(row));
    if let Some(delimiter) = DELIMITERS.into_iter().chain(RARE_DELIMITERS).find(is_result) {
        return ListKind::Delimited(delimiter);
    }
    let mut best: Option<(usize, u8)> = None;
    for delimiter in DELIMITERS {
        let fit = DelimiterFit::of(&records(text, Some(delimiter), SAMPLE_ROWS));
        let score = fit.score();
        let fits = fit.width > 1 && fit.same_width * 2 >= fit.rows;
        if (fits || fit.has_known_name) && best.is_none_or(|(high, _)| score > high) {
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
struct DelimiterFit {
    rows: usize,
    /// The most frequent number of cells, and how many rows have it.
    width: usize,
    same_width: usize,
    /// How many rows have a cell that is an address.
    with_address: usize,
    /// The first row has several cells, one of which is a known name of an address column.
    has_known_name: bool,
}

impl DelimiterFit {
    fn of(rows: &[Vec<String>]) -> DelimiterFit {
        let (width, same_width) = usual_width(rows);
        let with_address = rows.iter().filter(|row| row.iter().any(|cell| looks_like_address(cell))).count();
        DelimiterFit {
            rows: rows.len(),
            width,
            same_width,
            with_address,
            has_known_name: rows
                .first()
                .is_some_and(|first| first.len() > 1 && first.iter().any(|cell| is_known_name(cell))),
        }
    }

    /// In thousandths of all rows: 2 for each row with an address in a cell, 1 for each row of the usual width, and 2 for
    /// all rows if the header has a known name.
    fn score(&self) -> usize {
        (2 * self.with_address + self.same_width) * 1_000 / self.rows.max(1)
            + if self.has_known_name { 2_000 } else { 0 }
    }
}

/// The most frequent number of cells (of equally frequent ones the largest), and how many rows have it.
fn usual_width(rows: &[Vec<String>]) -> (usize, usize) {
    let mut widths: HashMap<usize, usize> = HashMap::new();
    for row in rows {
        *widths.entry(row.len()).or_default() += 1;
    }
    widths.into_iter().max_by_key(|&(width, count)| (count, width)).unwrap_or((0, 0))
}

/// How many rows stand above a header that is not the first row. A row counts as such a header only if it has a known name
/// of an address column, most cells below that name are addresses, and no @ stands above.
fn above_header(rows: &[Vec<String>]) -> usize {
    const MOST_ABOVE: usize = 8;
    const CHECKED_BELOW: usize = 20;
    if rows.first().is_some_and(|first| has_added(first)) {
        return 0;
    }
    let address = |row: &Vec<String>| row.iter().position(|cell| is_known_name(cell));
    let first = rows.iter().take(MOST_ABOVE + 1).enumerate();
    let named = first.filter(|(_, row)| row.len() > 1).find_map(|(at, row)| Some((at, address(row)?)));
    let Some((at, index)) = named else { return 0 };
    let below = rows[at + 1..].iter().take(CHECKED_BELOW);
    let filled = below.filter_map(|row| row.get(index)).filter(|cell| !cell.trim().is_empty());
    let (addresses, others): (Vec<&String>, Vec<&String>) = filled.partition(|cell| looks_like_address(cell));
    let nothing_above = rows[..=at].iter().flatten().all(|cell| !cell.contains('@'));
    if nothing_above && addresses.len() > others.len() { at } else { 0 }
}

/// The rows with their header apart.
fn sample(mut rows: Vec<Vec<String>>) -> Sample {
    let Some(first) = rows.first() else {
        return Sample::default();
    };
    let has_header = is_header(first, &rows[1..]);
    let header = if has_header { rows.remove(0) } else { Vec::new() };
    let (usual, _) = usual_width(&rows);
    // Some exports do not name all columns; then most rows are wider than the header. A few wide rows are unreadable rows.
    let wider = rows.iter().filter(|row| filled_width(row) > header.len()).count();
    let width = if wider * 2 > rows.len() { header.len().max(usual) } else { header.len() };
    let names = (0..width)
        .map(|index| match header.get(index) {
            Some(name) if !name.trim().is_empty() => name.clone(),
            _ => format!("column_{}", index + 1),
        })
        .collect();
    Sample { names, has_header, has_keys: false, rows }
}

/// The number of cells up to the last one that is not empty.
fn filled_width(row: &[String]) -> usize {
    row.iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1)
}

/// True when the first row has a known name of an address column, or looks like names above cells that look like values.
/// If this is not clear, the row is data: a header that is judged as a row costs one odd line, and a row that is taken for
/// a header would be lost.
fn is_header(first: &[String], others: &[Vec<String>]) -> bool {
    if has_added(first) {
        return true;
    }
    if first.iter().any(|cell| cell.contains('@')) {
        return false;
    }
    if first.iter().any(|cell| is_known_name(cell)) {
        return true;
    }
    let is_value = |(index, cell): (usize, &String)| {
        let cell = cell.trim();
        let repeated = || others.iter().any(|row| row.get(index).is_some_and(|other| other.trim() == cell));
        cell.parse::<f64>().is_ok() || !cell.is_empty() && repeated()
    };
    if first.iter().enumerate().any(is_value) {
        return false;
    }
    match fullest_of_addresses(others).and_then(|index| first.get(index)) {
        // The first cell above the addresses may be an address without its @.
        Some(name) if first.len() > 1 => !name.trim().is_empty() && !name.contains('.'),
        Some(name) => mentions_mail(name),
        None => first.len() > 1,
    }
}

/// The first objects of NDJSON as a table, with a column for each key in the order of appearance.
fn sample_of_objects(text: &str) -> Sample {
    let mut sample = Sample { has_header: true, has_keys: true, ..Sample::default() };
    for line in text.lines().take(SAMPLE_ROWS) {
        let Ok(fields) = format::fields(line) else { continue };
        let mut row = vec![String::new(); sample.names.len()];
        for field in fields {
            let column = sample.names.iter().position(|name| *name == field.key);
            let column = column.unwrap_or_else(|| {
                sample.names.push(field.key);
                row.push(String::new());
                sample.names.len() - 1
            });
            row[column] = format::text(&line[field.value]);
        }
        sample.rows.push(row);
    }
    sample
}
