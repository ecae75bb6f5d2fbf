//! An Excel workbook (XLSX) as a list: one of its sheets, written as CSV.
//!
//! Decides: which sheet, and how a cell that is not a text is written. Must not: choose a column. Fails: for a damaged
//! workbook, and for one that unpacks to far more than lists do, before any of it is kept in memory. Can't know: how Excel
//! displays a number or a date; they are written plainly.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use calamine::{DataRef, Reader, SheetType, SheetVisible, Xlsx};
use zip::ZipArchive;

use super::record::write_cell;
use crate::address::Address;
use crate::list::error::CopyError;

/// Most bytes that a workbook may unpack to: as many rows as Excel allows, with twenty usual cells each. The texts that
/// cells share are kept in memory.
const MAX_UNPACKED_BYTES: u64 = 2 << 30;
/// Most bytes of the sheet as CSV; empty cells before a filled one count too.
const MAX_CSV_BYTES: u64 = 4 << 30;

/// True for a ZIP archive that holds a workbook.
pub(in crate::list) fn is_workbook(file: impl Read + Seek) -> bool {
    ZipArchive::new(BufReader::new(file))
        .is_ok_and(|archive| archive.index_for_name("xl/workbook.xml").is_some())
}

/// The sheet of a workbook that is read.
#[derive(Debug)]
pub(in crate::list) struct ChosenSheet {
    pub(in crate::list) name: String,
    /// Other visible sheets that hold addresses.
    pub(in crate::list) others: Vec<String>,
}

/// Why no sheet of a workbook was copied.
#[derive(Debug)]
pub(in crate::list) enum SheetError {
    /// There is no sheet with the given name; the names of all sheets.
    Unknown(Vec<String>),
    Copy(CopyError),
}

impl<E: Into<CopyError>> From<E> for SheetError {
    fn from(error: E) -> SheetError {
        SheetError::Copy(error.into())
    }
}

/// Writes one sheet as CSV to a new file: the one with the `given` name, otherwise the first visible one that holds several
/// addresses, otherwise the first visible one. Each clone of `file` reads from the first byte on.
pub(in crate::list) fn copy_sheet(
    file: &(impl Read + Seek + Clone),
    given: Option<&str>,
    new_file: impl FnOnce() -> Result<File, CopyError>,
) -> Result<(File, ChosenSheet), SheetError> {
    check_unpacked_size(file.clone())?;
    let mut workbook = Xlsx::new(BufReader::new(file.clone())).map_err(io::Error::other)?;
    let chosen = choose_sheet(&mut workbook, given)?;
    let mut cells = workbook.worksheet_cells_reader(&chosen.name).map_err(io::Error::other)?;

    let mut csv = CsvWriter { out: BufWriter::new(new_file()?), row: 0, column: 0, bytes: 0 };
    while let Some(cell) = cells.next_cell().map_err(io::Error::other)? {
        let (row, column) = cell.get_position();
        csv.go_to(row, column)?;
        csv.write(&text(cell.get_value()))?;
    }
    csv.push(b"\n")?;
    let file = csv.out.into_inner().map_err(|error| CopyError::Copy(error.into_error()))?;
    Ok((file, chosen))
}

fn choose_sheet<R: Read + Seek>(
    workbook: &mut Xlsx<R>,
    given: Option<&str>,
) -> Result<ChosenSheet, SheetError> {
    let sheets = workbook.sheets_metadata().iter().filter(|sheet| sheet.typ == SheetType::WorkSheet);
    let sheets: Vec<(String, bool)> =
        sheets.map(|sheet| (sheet.name.clone(), sheet.visible == SheetVisible::Visible)).collect();
    if let Some(given) = given {
        let names = || sheets.iter().map(|(name, _)| name);
        let folded = given.trim().to_lowercase();
        let exact = names().find(|name| *name == given);
        let found = exact.or_else(|| names().find(|name| name.trim().to_lowercase() == folded));
        let name = found.ok_or_else(|| SheetError::Unknown(names().cloned().collect()))?.clone();
        return Ok(ChosenSheet { name, others: Vec::new() });
    }
    let visible: Vec<String> =
        sheets.into_iter().filter(|(_, is_visible)| *is_visible).map(|(name, _)| name).collect();
    if visible.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the workbook has no visible sheet").into());
    }
    if visible.len() == 1 {
        return Ok(ChosenSheet { name: visible[0].clone(), others: Vec::new() });
    }
    let counts: Vec<usize> =
        visible.iter().map(|name| addresses_in(workbook, name)).collect::<io::Result<_>>()?;
    // A cover sheet has the one address of its author.
    let first_with = |least: usize| counts.iter().position(|&count| count >= least);
    let chosen = first_with(2).or_else(|| first_with(1)).unwrap_or(0);
    let others = visible.iter().zip(&counts).enumerate();
    let others = others.filter(|(at, (_, count))| *at != chosen && **count > 1);
    let others = others.map(|(_, (name, _))| name.clone()).collect();
    Ok(ChosenSheet { name: visible[chosen].clone(), others })
}

/// How many addresses a sheet has in one column, counted up to two, among its first cells.
fn addresses_in<R: Read + Seek>(workbook: &mut Xlsx<R>, name: &str) -> io::Result<usize> {
    const FIRST_CELLS: usize = 200_000;
    let mut cells = workbook.worksheet_cells_reader(name).map_err(io::Error::other)?;
    let mut columns: BTreeMap<u32, usize> = BTreeMap::new();
    for _ in 0..FIRST_CELLS {
        let Some(cell) = cells.next_cell().map_err(io::Error::other)? else { break };
        let text = text(cell.get_value());
        if text.contains('@') && Address::parse(text.trim()).is_ok() {
            let count = columns.entry(cell.get_position().1).or_default();
            *count += 1;
            if *count > 1 {
                break;
            }
        }
    }
    Ok(columns.into_values().max().unwrap_or(0))
}

/// Unpacks everything once and keeps nothing, because the sizes in the archive's directory need not be true.
fn check_unpacked_size(file: impl Read + Seek) -> io::Result<()> {
    let mut archive = ZipArchive::new(BufReader::new(file))?;
    let mut left = MAX_UNPACKED_BYTES;
    for index in 0..archive.len() {
        let unpacked = io::copy(&mut archive.by_index(index)?.take(left), &mut io::sink())?;
        left -= unpacked;
        if left == 0 {
            return Err(too_large("it unpacks", MAX_UNPACKED_BYTES));
        }
    }
    Ok(())
}

fn too_large(what: &str, most_bytes: u64) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("{what} to more than {} GiB", most_bytes >> 30))
}

/// The text of a cell. A date is written as in ISO 8601; a time of midnight is left out.
fn text(value: &DataRef<'_>) -> String {
    match value {
        DataRef::Empty => String::new(),
        DataRef::DateTime(time) if !time.is_duration() => {
            let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
            match (hour, minute, second) {
                (0, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
                _ => format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"),
            }
        }
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => number.to_string(),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Bool(truth) => truth.to_string(),
        DataRef::DateTime(duration) => duration.as_f64().to_string(),
        DataRef::Error(error) => error.to_string(),
    }
}

/// Writes cells at their positions in the sheet.
struct CsvWriter {
    out: BufWriter<File>,
    row: u32,
    column: u32,
    bytes: u64,
}

impl CsvWriter {
    fn push(&mut self, bytes: &[u8]) -> Result<(), CopyError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > MAX_CSV_BYTES {
            return Err(too_large("its sheet comes", MAX_CSV_BYTES).into());
        }
        self.out.write_all(bytes).map_err(CopyError::Copy)
    }

    /// Goes to the position of the next cell. A row without any cell is an empty line, so that the numbers of lines are those
    /// of rows.
    fn go_to(&mut self, row: u32, column: u32) -> Result<(), CopyError> {
        if row > self.row {
            for _ in self.row..row {
                self.push(b"\n")?;
            }
            (self.row, self.column) = (row, 0);
        }
        while self.column < column {
            self.push(b",")?;
            self.column += 1;
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), CopyError> {
        let mut cell = Vec::with_capacity(text.len());
        write_cell(&mut cell, text, b',');
        self.push(&cell)
    }
}
