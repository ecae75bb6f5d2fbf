//! The kind of a list, its delimiter and its header, from its first rows.
//!
//! Decides: the csv crate reads the beginning of the list with each delimiter in turn, and the delimiter with the most rows
//! of one width and with an address wins. `header` finds a header behind other lines; a header without a known name is
//! found here. Must not: read the rows of the whole list; [`read`](super::read) does.

use std::collections::HashMap;

use super::address_column::{Sample, fullest_of_addresses, is_known_name, mentions_mail};
use super::header::{self, HeaderSearch};
use super::options::{HeaderChoice, ReadOptions};
use super::several::looks_like_address;
use crate::list::columns::{delimiter_of_results, has_added};
use crate::list::format::{self, Field, ListKind, Scanned, Scanner, WantedCells, cells, line_end};

/// The delimiters that are tried first; of equally good ones, the first wins.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Delimiters that are tried where none of the others fits.
const RARE_DELIMITERS: [u8; 4] = [b'^', b'~', b'#', b':'];
/// Stands in times, links and names: it is a delimiter only under a header with a known name.
const COLON: u8 = b':';
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

/// Why it is not known which line is the header.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// These two lines may be the header.
    Several([u64; 2]),
    /// No row starts on this line, which the user gives.
    NoRow(u64),
}

/// Looks at the beginning of a list, UTF-8 without a byte order mark; `is_whole` when that is the whole list.
pub(super) fn sniff(text: &str, is_whole: bool, options: &ReadOptions) -> Result<SniffedShape, HeaderFault> {
    let text = if is_whole { text } else { text.rfind(['\n', '\r']).map_or(text, |at| &text[..=at]) };
    let is_object = || text.trim_start().starts_with('{') && format::is_object(first_line(text));
    if options.delimiter.is_none() && is_object() {
        return Ok(SniffedShape {
            kind: ListKind::Ndjson,
            sep_line: false,
            above_header: 0,
            sample: sample_of_objects(text),
        });
    }
    let (named, text) = sep_line(text);
    let mut kind = options.delimiter.map_or_else(|| kind_of(text, named), ListKind::Delimited);
    let sep_lines = u64::from(named.is_some());
    let place = match options.header {
        HeaderChoice::Nowhere => None,
        HeaderChoice::Line(line) => {
            let in_text = line.checked_sub(sep_lines);
            let place = in_text.and_then(|number| header::at_line(text, kind.delimiter(), number));
            Some(place.ok_or(HeaderFault::NoRow(line))?)
        }
        HeaderChoice::Search if is_result(text, kind) => None,
        HeaderChoice::Search => match header::search(text, kind.delimiter(), &options.columns) {
            HeaderSearch::NotFound => None,
            HeaderSearch::Found(place) => Some(place),
            HeaderSearch::Several(lines) => {
                return Err(HeaderFault::Several(lines.map(|line| line + sep_lines)));
            }
        },
    };
    let mut rows = records(&text[place.map_or(0, |place| place.offset)..], kind.delimiter(), SAMPLE_ROWS);
    let has_header = place.is_some()
        || options.header == HeaderChoice::Search
            && rows.split_first().is_some_and(|(first, others)| is_header(first, others));
    if !has_header && options.delimiter.is_none() && are_all_addresses(&rows) {
        kind = ListKind::Lines;
        rows = records(text, None, SAMPLE_ROWS);
    }
    Ok(SniffedShape {
        kind,
        sep_line: named.is_some(),
        above_header: place.map_or(0, |place| place.records_before),
        sample: sample(rows, has_header),
    })
}

fn kind_of(text: &str, named: Option<u8>) -> ListKind {
    let sniffed = kind(text);
    match named {
        // A `sep=` line may be left over from another delimiter; then it divides no row.
        Some(named)
            if sniffed == ListKind::Lines
                || DelimiterFit::of(&records(text, Some(named), SAMPLE_ROWS)).width > 1 =>
        {
            ListKind::Delimited(named)
        }
        _ => sniffed,
    }
}

/// True for results of an earlier run, whose header is the first row.
fn is_result(text: &str, kind: ListKind) -> bool {
    records(text, kind.delimiter(), 1).first().is_some_and(|first| has_added(first))
}

/// True for rows that have nothing but addresses in several columns: these are addresses side by side.
fn are_all_addresses(rows: &[Vec<String>]) -> bool {
    let width = rows.iter().map(|row| filled_width(row)).max().unwrap_or(0);
    let is_address_or_empty =
        |row: &&Vec<String>| row.iter().all(|cell| cell.trim().is_empty() || looks_like_address(cell));
    let most = |rows: &[Vec<String>]| rows.iter().filter(is_address_or_empty).count() * 10 >= rows.len() * 9;
    width > 1 && most(&rows[..rows.len().min(20)]) && most(rows)
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
        return readable.iter().map(|line| cells(line.as_bytes(), None)).collect();
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
    let is_result = |&delimiter: &u8| is_result(text, ListKind::Delimited(delimiter));
    let earlier = DELIMITERS.into_iter().find(is_result).or_else(|| delimiter_of_results(first_line(text)));
    if let Some(delimiter) = earlier {
        return ListKind::Delimited(delimiter);
    }
    let best = best_delimiter(text, &DELIMITERS).or_else(|| best_delimiter(text, &RARE_DELIMITERS));
    if let Some(delimiter) = best {
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

/// Of these delimiters the one that explains the rows best; `None` if none does.
fn best_delimiter(text: &str, delimiters: &[u8]) -> Option<u8> {
    let mut best: Option<(usize, u8)> = None;
    for &delimiter in delimiters {
        let fit = DelimiterFit::of(&records(text, Some(delimiter), SAMPLE_ROWS));
        let score = fit.score();
        let fits = fit.width > 1 && fit.same_width * 2 >= fit.rows && delimiter != COLON;
        if (fits || fit.has_known_name) && best.is_none_or(|(high, _)| score > high) {
            best = Some((score, delimiter));
        }
    }
    best.map(|(_, delimiter)| delimiter)
}

/// How well a delimiter explains the rows.
struct DelimiterFit {
    rows: usize,
    /// The most frequent number of cells, and how many rows have it.
    width: usize,
    same_width: usize,
    /// How many rows have a cell that is an address.
    with_address: usize,
    /// A row has several cells, one of which is a known name of an address column. It is the first row, or has an address
    /// below that name.
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
            has_known_name: has_known_name(rows),
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

fn has_known_name(rows: &[Vec<String>]) -> bool {
    let without_at = |row: &Vec<String>| row.len() > 1 && row.iter().all(|cell| !cell.contains('@'));
    rows.iter().enumerate().filter(|(_, row)| without_at(row)).any(|(at, row)| {
        let mut named = row.iter().enumerate().filter(|(_, cell)| is_known_name(cell));
        let address_below = |index: usize| {
            rows[at + 1..].iter().any(|below| below.get(index).is_some_and(|cell| looks_like_address(cell)))
        };
        named.any(|(index, _)| at == 0 || address_below(index))
    })
}

/// The rows with their header apart.
fn sample(mut rows: Vec<Vec<String>>, has_header: bool) -> Sample {
    if rows.is_empty() {
        return Sample::default();
    }
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
        add_fields(&mut sample.names, &mut row, "", line, fields);
        sample.rows.push(row);
    }
    sample
}

/// Puts the values of an object into its row, with a column for each key; a key of an object in an object has a name with
/// dots, as `contact.email`. Keys that differ in case are one column.
fn add_fields(
    names: &mut Vec<String>,
    row: &mut Vec<String>,
    prefix: &str,
    object: &str,
    fields: Vec<Field>,
) {
    const MOST_NAMES: usize = 1_000;
    const DEEPEST: usize = 4;
    for field in fields {
        let name = format!("{prefix}{}", field.key);
        let column = names.iter().position(|known| *known == name).or_else(|| {
            let folded = name.to_lowercase();
            names.iter().position(|known| known.to_lowercase() == folded)
        });
        let column = column.unwrap_or_else(|| {
            names.push(name.clone());
            row.push(String::new());
            names.len() - 1
        });
        let value = &object[field.value];
        row[column] = format::text(value);
        let is_small = names.len() < MOST_NAMES && prefix.matches('.').count() < DEEPEST;
        if is_small
            && value.starts_with('{')
            && let Ok(inner) = format::fields(value)
        {
            add_fields(names, row, &format!("{name}."), value, inner);
        }
    }
}
