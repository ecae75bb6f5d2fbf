//! A file of rows that is split into several where a product limits rows or bytes.
//!
//! Decides: where a file ends and the next one begins, and their names: `NAME.csv` alone, else `NAME.1.csv`, `NAME.2.csv`
//! and so on. Each file has the header. Must not: know what a row is.

use std::path::{Path, PathBuf};

use super::output_file::OutputFile;
use crate::list::ListError;
use crate::policy::FileForm;

/// What is split where it is too long.
const SPLIT: [&str; 2] = ["deliverable", "suppression"];

/// A file, or its parts.
pub(super) struct SplitFile {
    pub(super) path: PathBuf,
    parts: Vec<OutputFile>,
    /// How many rows each part has.
    rows: Vec<u64>,
    /// The bytes of the last part.
    bytes: u64,
    header: Vec<u8>,
    form: FileForm,
}

impl SplitFile {
    pub(super) fn create(path: PathBuf, form: FileForm) -> Result<SplitFile, ListError> {
        let parts = vec![OutputFile::create(path.clone())?];
        Ok(SplitFile { path, parts, rows: vec![0], bytes: 0, header: Vec::new(), form })
    }

    /// Writes the header of the first part; the others get it too.
    pub(super) fn start(&mut self, header: &[u8]) -> Result<(), ListError> {
        self.header = header.to_vec();
        self.write(header)
    }

    /// Writes a row with its line end, in the next part if this one is full.
    pub(super) fn write_row(&mut self, row: &[u8]) -> Result<(), ListError> {
        let rows = self.rows.last().copied().unwrap_or_default();
        let bytes = self.bytes + row.len() as u64;
        let is_full = rows > 0
            && (self.form.max_rows.is_some_and(|most| rows >= most)
                || self.form.max_bytes.is_some_and(|most| bytes > most));
        if is_full {
            self.parts.push(OutputFile::create(numbered(&self.path, self.parts.len() + 1))?);
            self.rows.push(0);
            self.bytes = 0;
            let header = std::mem::take(&mut self.header);
            self.start(&header)?;
        }
        if let Some(rows) = self.rows.last_mut() {
            *rows += 1;
        }
        self.write(row)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ListError> {
        self.bytes += bytes.len() as u64;
        self.parts.last_mut().map_or(Ok(()), |part| part.write(bytes))
    }

    /// The names of the parts, and their rows.
    pub(super) fn names(&self) -> Vec<(String, u64)> {
        let name = |path: PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let paths =
            (1..).map(|n| if self.rows.len() > 1 { numbered(&self.path, n) } else { self.path.clone() });
        paths.map(name).zip(self.rows.iter().copied()).collect()
    }

    /// The files, each with the path that it gets.
    pub(super) fn into_parts(mut self) -> Vec<OutputFile> {
        if self.parts.len() > 1 {
            self.parts[0].path = numbered(&self.path, 1);
        }
        self.parts
    }
}

/// `NAME.2.csv` for `NAME.csv`.
fn numbered(path: &Path, number: usize) -> PathBuf {
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    path.with_extension(format!("{number}.{ending}"))
}

/// The parts in a folder that an earlier run has written.
pub(super) fn numbered_parts(folder: &Path, stem: &str) -> Vec<PathBuf> {
    let is_part = |name: &str| {
        let rest = name.strip_prefix(stem).and_then(|rest| rest.strip_prefix('.'));
        let mut words = rest.unwrap_or_default().split('.');
        let [what, number, ending, end] = std::array::from_fn(|_| words.next());
        what.is_some_and(|what| SPLIT.contains(&what))
            && number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
            && ending.is_some_and(|ending| matches!(ending, "csv" | "tsv"))
            && end.is_none()
    };
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let parts = names.filter(|name| name.to_str().is_some_and(is_part));
    parts.map(|name| folder.join(name)).collect()
}
