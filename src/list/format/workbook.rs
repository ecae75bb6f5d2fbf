//! An Excel workbook (XLSX) as a list: its first visible sheet, written down as CSV.
//!
//! Decides: which sheet, and how a cell that is no text reads. Must not: look for addresses. Fails: on a damaged workbook,
//! and on one that unpacks to far more than lists do, before any of it is kept in memory. Can't know: how a number or
//! a date was shown; they are written plainly.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};

use calamine::{DataRef, Reader, SheetType, SheetVisible, Xlsx};
use zip::ZipArchive;

use crate::list::input::{self, SharedReader, SpoolError};

/// A workbook may unpack to so many bytes: Excel's own limit of rows filled with twenty common cells. Texts that cells
/// share are kept in memory.
const MAX_UNPACKED_BYTES: u64 = 2 << 30;
/// The sheet may be so many bytes long as CSV; empty cells that only their position makes count too.
const MAX_CSV_BYTES: u64 = 4 << 30;

/// True for a ZIP archive that holds a workbook.
pub(super) fn is_workbook(file: SharedReader) -> bool {
    ZipArchive::new(BufReader::new(file))
        .is_ok_and(|archive| archive.index_for_name("xl/workbook.xml").is_some())
}

/// Copies the first visible sheet.
pub(super) fn spool(file: &SharedReader) -> Result<File, SpoolError> {
    measure(file.clone())?;
    let mut workbook = Xlsx::new(BufReader::new(file.clone())).map_err(io::Error::other)?;
    let sheets = workbook.sheets_metadata().iter();
    let mut shown =
        sheets.filter(|sheet| sheet.typ == SheetType::WorkSheet && sheet.visible == SheetVisible::Visible);
    let name = shown.next().map(|sheet| sheet.name.clone());
    let name =
        name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the workbook has no visible sheet"))?;
    let mut cells = workbook.worksheet_cells_reader(&name).map_err(io::Error::other)?;

    let mut csv = Csv { out: BufWriter::new(input::file()?), row: 0, column: 0, bytes: 0 };
    while let Some(cell) = cells.next_cell().map_err(io::Error::other)? {
        let (row, column) = cell.get_position();
        csv.go_to(row, column)?;
        csv.write(&text(cell.get_value()))?;
    }
    csv.push(b"\n")?;
    csv.out.into_inner().map_err(|error| SpoolError::Copy(error.into_error()))
}

/// Unpacks everything once and keeps nothing: what the archive says about its sizes need not be true.
fn measure(file: SharedReader) -> io::Result<()> {
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

/// The cell's text. A date is written as ISO 8601 has it, without a time of midnight.
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

/// Writes cells where they belong.
struct Csv {
    out: BufWriter<File>,
    row: u32,
    column: u32,
    bytes: u64,
}

impl Csv {
    fn push(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > MAX_CSV_BYTES {
            return Err(too_large("its sheet comes", MAX_CSV_BYTES).into());
        }
        self.out.write_all(bytes).map_err(SpoolError::Copy)
    }

    /// A row below ends this one; rows without any cell are left out, as they are from any list.
    fn go_to(&mut self, row: u32, column: u32) -> Result<(), SpoolError> {
        if row > self.row {
            if self.bytes > 0 {
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

    fn write(&mut self, text: &str) -> Result<(), SpoolError> {
        let mut cell = Vec::with_capacity(text.len());
        input::write(&mut cell, text, b',');
        self.push(&cell)
    }
}
