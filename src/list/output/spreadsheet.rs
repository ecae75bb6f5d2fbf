//! The copy of the results for spreadsheet programs, in which no cell of the user is a formula.
//!
//! Decides: which cells get a `'` in front, the mark of a text in spreadsheets. Must not: change the results themselves.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::cells::FORMULA_STARTS;
use super::output_file::OutputFile;
use crate::list::ListError;

/// The path of the copy beside results that have a name of their own: `NAME.spreadsheet.csv`.
pub(super) fn path_beside(results: &Path) -> PathBuf {
    let ending = results.extension().map_or("csv".into(), |ending| ending.to_string_lossy());
    results.with_extension(format!("spreadsheet.{ending}"))
}

/// Writes the copy of these results.
pub(super) fn write_copy(results: impl Read, delimiter: u8, copy: &mut OutputFile) -> Result<(), ListError> {
    let path = copy.path.clone();
    let failed = |error: csv::Error| ListError::write(&path, error.into());
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(results);
    // Excel takes a file with this mark for UTF-8, and any other for an old encoding.
    copy.write("\u{feff}".as_bytes())?;
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).flexible(true).from_writer(&mut *copy);
    let (mut row, mut cell) = (csv::ByteRecord::new(), Vec::new());
    while reader.read_byte_record(&mut row).map_err(failed)? {
        for text in &row {
            let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
            cell.clear();
            if is_formula(text) {
                cell.push(b'\'');
            }
            cell.extend_from_slice(text);
            writer.write_field(&cell).map_err(failed)?;
        }
        writer.write_record(None::<&[u8]>).map_err(failed)?;
    }
    writer.flush().map_err(|error| ListError::write(&path, error))
}

/// True for a text that a spreadsheet program may take for a formula. A plain number is none.
fn is_formula(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let digits = text.trim_start_matches('-');
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ','))
        && text.len() - digits.len() < 2;
    // The full-width forms are read as the plain ones in East Asia.
    text.starts_with(FORMULA_STARTS) && !is_number || text.starts_with(['＝', '＋', '－', '＠'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_is_a_text_that_begins_like_one_and_is_no_number() {
        for text in ["=1+1", "+49 30 1234", "-cmd", "@SUM(A1)", "\tx", "＝1", "--1", "-", "-1+1"] {
            assert!(is_formula(text.as_bytes()), "{text}");
        }
        for text in ["", "ann@x.example", "-5", "-1,5", "1=1", "'=1"] {
            assert!(!is_formula(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn the_copy_stands_beside_the_results() {
        assert_eq!(path_beside(Path::new("a/b.csv")), Path::new("a/b.spreadsheet.csv"));
        assert_eq!(path_beside(Path::new("b.tsv")), Path::new("b.spreadsheet.tsv"));
    }
}
