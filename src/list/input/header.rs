//! Which line of a list is its header.
//!
//! Decides: the line that holds a known name of the address column such that this column holds addresses below it and none
//! above, except in a few label-and-value lines in front (`Exported by,ann@example.org`). Must not: choose between two such
//! lines. Reads the text that it gets, which is the first megabyte. Can't know: a header whose names are not in the table.

use super::address_column::{is_known_name, is_label, mentions_mail};
use super::several::looks_like_address;
use crate::list::format::{Scanned, Scanner, WantedCells, cells};

/// The most label-and-value lines with an address that may stand above a header.
const MOST_LABELED: usize = 5;
/// The most lines that are compared; a list in which more rows look like headers has none.
const MOST_CANDIDATES: usize = 64;
/// Longer records are no headers.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// A line of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LinePlace {
    /// How many records, readable or not, come before it.
    pub(super) records_before: usize,
    /// The offset in the text.
    pub(super) offset: usize,
    /// 1-based.
    pub(super) line: u64,
}

/// What a search for the header finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderSearch {
    /// No line; the first one may still be a header.
    NotFound,
    /// One line.
    Found(LinePlace),
    /// Two lines or more; the first two of them.
    Several([u64; 2]),
}

/// A line that may be the header.
struct Candidate {
    place: LinePlace,
    /// The columns whose name is one of an address column.
    columns: Vec<usize>,
    /// How many cells are not empty.
    filled: usize,
    rank: Rank,
}

/// How good the names of a candidate are, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// The name that the user gives with `--column`.
    Given,
    /// A known name of an address column.
    Known,
    /// Several cells, one of which has a word for e-mail in it.
    Mentions,
}

/// Searches for the header. `given` are the names of columns that the user gives.
pub(super) fn search(text: &str, delimiter: Option<u8>, given: &[String]) -> HeaderSearch {
    let candidates = candidates(text, delimiter, given);
    let lowest = candidates.last().map_or(0, |one| one.place.records_before);
    let mut columns: Vec<(usize, ColumnAddresses)> = Vec::new();
    for rank in [Rank::Given, Rank::Known, Rank::Mentions] {
        let of_rank: Vec<&Candidate> = candidates.iter().filter(|one| one.rank == rank).collect();
        let found: Vec<&Candidate> = of_rank
            .iter()
            .copied()
            .filter(|one| {
                one.columns.iter().any(|&column| {
                    let at = columns.iter().position(|(known, _)| *known == column).unwrap_or_else(|| {
                        columns.push((column, ColumnAddresses::read(text, delimiter, column, lowest)));
                        columns.len() - 1
                    });
                    columns[at].1.begin_below(one.place.records_before)
                })
            })
            .collect();
        match found[..] {
            [one, other, ..] if rank != Rank::Mentions => {
                return HeaderSearch::Several([one.place.line, other.place.line]);
            }
            // Titles have fewer cells than a header.
            [_, ..] => {
                let fullest = found.iter().rev().max_by_key(|one| one.filled);
                return fullest.map_or(HeaderSearch::NotFound, |one| HeaderSearch::Found(one.place));
            }
            // The user may want a column in which no cell is an address.
            [] if rank == Rank::Given && !of_rank.is_empty() => {
                return HeaderSearch::Found(of_rank[0].place);
            }
            [] => {}
        }
    }
    HeaderSearch::NotFound
}

/// The place of the record that starts on a line.
pub(super) fn at_line(text: &str, delimiter: Option<u8>, line: u64) -> Option<LinePlace> {
    let mut scanner = Scanner::new(text.as_bytes(), delimiter, wanting(0));
    let mut records_before = 0;
    while let Ok(Some(scanned)) = scanner.next() {
        if scanned == Scanned::Record && scanner.span().line == line {
            return Some(place(&scanner, records_before));
        }
        records_before += 1;
    }
    None
}

fn wanting(address: usize) -> WantedCells {
    WantedCells { width: 1, address, earlier: None }
}

fn place(scanner: &Scanner<&[u8]>, records_before: usize) -> LinePlace {
    let offset = usize::try_from(scanner.record_offset()).unwrap_or(usize::MAX);
    LinePlace { records_before, offset, line: scanner.span().line }
}

fn candidates(text: &str, delimiter: Option<u8>, given: &[String]) -> Vec<Candidate> {
    // A number is the place of a column, and any cell may hold it.
    let given = given.iter().map(|name| name.trim().to_lowercase());
    let given: Vec<String> = given.filter(|name| name.parse::<u64>().is_err()).collect();
    let mut scanner = Scanner::new(text.as_bytes(), delimiter, wanting(0));
    let mut candidates = Vec::new();
    let mut records_before = 0;
    while let Ok(Some(scanned)) = scanner.next() {
        let record = &scanner.bytes()[scanner.span().record.clone()];
        // Names of columns have no @, and nearly every row has one.
        let may_be_header = scanned == Scanned::Record
            && record.len() <= MAX_HEADER_BYTES
            && memchr::memchr(b'@', record).is_none();
        if may_be_header {
            let row = cells(record, delimiter);
            let filled = row.iter().filter(|cell| !cell.trim().is_empty()).count();
            if let Some((rank, columns)) = names(&row, filled, &given) {
                candidates.push(Candidate { place: place(&scanner, records_before), columns, filled, rank });
            }
            if candidates.len() == MOST_CANDIDATES {
                break;
            }
        }
        records_before += 1;
    }
    candidates
}

/// The columns of a row that have the best kind of name in it.
fn names(row: &[String], filled: usize, given: &[String]) -> Option<(Rank, Vec<usize>)> {
    let columns = |is_name: &dyn Fn(&str) -> bool| {
        let named = row.iter().enumerate().filter(|(_, cell)| is_name(cell));
        let columns: Vec<usize> = named.map(|(index, _)| index).collect();
        (!columns.is_empty()).then_some(columns)
    };
    if !given.is_empty()
        && let Some(columns) = columns(&|cell| given.contains(&cell.trim().to_lowercase()))
    {
        return Some((Rank::Given, columns));
    }
    if let Some(columns) = columns(&is_known_name) {
        return Some((Rank::Known, columns));
    }
    let columns = (filled > 1).then(|| columns(&mentions_mail)).flatten()?;
    Some((Rank::Mentions, columns))
}

/// Where a column has addresses.
struct ColumnAddresses {
    /// The first records with one, and whether each is a label-and-value line.
    first: Vec<(usize, bool)>,
    last: Option<usize>,
}

impl ColumnAddresses {
    /// Reads up to the first address below the record `lowest`.
    fn read(text: &str, delimiter: Option<u8>, column: usize, lowest: usize) -> ColumnAddresses {
        let mut scanner = Scanner::new(text.as_bytes(), delimiter, wanting(column));
        let mut found = ColumnAddresses { first: Vec::new(), last: None };
        let mut record = 0;
        while let Ok(Some(scanned)) = scanner.next() {
            let span = scanner.span();
            let cell = &scanner.bytes()[span.address.clone()];
            if scanned == Scanned::Record
                && memchr::memchr(b'@', cell).is_some()
                && looks_like_address(&String::from_utf8_lossy(cell))
            {
                found.last = Some(record);
                if found.first.len() <= MOST_LABELED {
                    let row = cells(&scanner.bytes()[span.record.clone()], delimiter);
                    found.first.push((record, is_labeled_value(&row)));
                }
                if record > lowest {
                    break;
                }
            }
            record += 1;
        }
        found
    }

    /// True if the column has addresses below this record, and above it in label-and-value lines only.
    fn begin_below(&self, record: usize) -> bool {
        let mut above = self.first.iter().take_while(|(at, _)| *at < record);
        let few = self.first.get(MOST_LABELED).is_none_or(|(at, _)| *at > record);
        self.last.is_some_and(|last| last > record) && few && above.all(|(_, is_labeled)| *is_labeled)
    }
}

/// True for a row of a label and its value, as reports have them in front: `Exported by:,ann@example.org`.
fn is_labeled_value(row: &[String]) -> bool {
    let mut filled = row.iter().map(|cell| cell.trim()).filter(|cell| !cell.is_empty());
    let (label, value) = (filled.next(), filled.next());
    value.is_some() && filled.next().is_none() && label.is_some_and(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line of the header of a list with commas; 0 for none, and two lines for two.
    fn lines(text: &str) -> Vec<u64> {
        match search(text, Some(b','), &[]) {
            HeaderSearch::NotFound => vec![],
            HeaderSearch::Found(place) => {
                assert!(at_line(text, Some(b','), place.line) == Some(place), "{text}");
                vec![place.line]
            }
            HeaderSearch::Several(lines) => lines.to_vec(),
        }
    }

    #[test]
    fn the_header_is_the_line_above_the_addresses_of_its_column() {
        let rows = "Ann,ann@x.example\nBob,bob@x.example\n";
        let late = format!("Exported list\nName,Email\n{}y,y@example.net\n", "x,\n".repeat(20));
        let behind_many = format!("{}Name,Email\n{rows}", "a line of the report\n".repeat(300));
        let cell = format!("Name,Email\n{}phone,Email\n{rows}", rows.repeat(2_500));
        for (text, expected) in [
            (format!("Name,Email\n{rows}"), vec![1]),
            (late, vec![2]),
            (behind_many, vec![301]),
            (format!("Members of a@b.example\n\nName,Email\n{rows}"), vec![3]),
            (format!("Exported by,me@x.example\nOn:,2026-01-01\nName,Email\n{rows}"), vec![3]),
            (format!("Contact,\"Sales, me@x.example\"\nName,Email\n{rows}"), vec![2]),
            (cell, vec![1]),
            (format!("{rows}Name,Email\n{rows}"), vec![]),
            (format!("email,ann@x.example\nphone,555\n{rows}"), vec![]),
            (format!("Name,Email\nFull name,Email address\n{rows}"), vec![1, 2]),
            (format!("Our e-mail list,\nWho,Business e-mail of the customer\n{rows}"), vec![2]),
            ("Name,Email\nAnn,\n".to_owned(), vec![]),
            (rows.to_owned(), vec![]),
            (String::new(), vec![]),
        ] {
            assert_eq!(lines(&text), expected, "{}", &text[..text.len().min(200)]);
        }
    }

    #[test]
    fn the_name_that_the_user_gives_makes_a_header_of_its_line() {
        let text = "Report\nEmail,Post\nEmail,who\nx@x.example,ann@x.example\n";
        let given = |name: &str| search(text, Some(b','), &[name.to_owned()]);
        assert!(matches!(given(" post"), HeaderSearch::Found(LinePlace { line: 2, .. })));
        assert!(matches!(given("who"), HeaderSearch::Found(LinePlace { line: 3, .. })));
        assert_eq!(given("nothing"), HeaderSearch::Several([2, 3]));
        let numbers = "id,email\n1,\n2,\n3,ann@x.example\n";
        let search = search(numbers, Some(b','), &["2".to_owned()]);
        assert!(matches!(search, HeaderSearch::Found(LinePlace { line: 1, .. })));
    }
}
