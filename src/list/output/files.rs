//! How a file comes into its place: beside it under another name, then renamed, readable by its owner only.
//!
//! Decides: what may be replaced. Our own earlier outputs may, which are known by the columns of the results among
//! them; anybody else's file, a link, and the list itself may not. Must not: know what is in a file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::list::ListError;
use crate::list::format::{self, ListFormat};
use crate::secure_file;

pub(crate) const WRITE_BUFFER_BYTES: usize = 64 << 10;

/// One output file, still beside its place.
pub(crate) struct OutputFile {
    pub(crate) path: PathBuf,
    stream: BufWriter<NamedTempFile>,
}

/// For writers that want a stream.
impl Write for &mut OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl OutputFile {
    pub(crate) fn create(path: PathBuf) -> Result<OutputFile, ListError> {
        let file = secure_file::create_temp_beside(&path).map_err(|error| ListError::write(&path, error))?;
        Ok(OutputFile { path, stream: BufWriter::with_capacity(WRITE_BUFFER_BYTES, file) })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), ListError> {
        let written = self.stream.write_all(bytes);
        written.map_err(|error| ListError::write(&self.path, error))
    }

    /// Puts the file in its place.
    pub(crate) fn place(self) -> Result<(), ListError> {
        let path = self.path;
        let file = self.stream.into_inner().map_err(|error| ListError::write(&path, error.into_error()))?;
        file.as_file().sync_all().map_err(|error| ListError::write(&path, error))?;
        let placed = file.persist(&path);
        placed.map_err(|error| ListError::write(&path, error.error))?;
        Ok(())
    }
}

/// Every file that a run may leave.
const FILES: [&str; 9] = [
    "results",
    "deliverable",
    "risky",
    "undeliverable",
    "retry",
    "unprobed",
    "duplicates",
    "suppression",
    "rejected",
];

pub(crate) fn names(stem: &str) -> impl Iterator<Item = String> {
    let lists = FILES.iter().flat_map(|file| ["csv", "ndjson"].map(|ending| format!("{file}.{ending}")));
    let others = ["report.html", "summary.json"].map(str::to_owned);
    lists.chain(others).map(move |file| format!("{stem}.{file}"))
}

/// True for a folder with the results of an earlier run: then all files of that name in it are ours.
pub(crate) fn has_results(folder: &Path, stem: &str) -> bool {
    ["csv", "ndjson"].iter().any(|ending| is_results(&folder.join(format!("{stem}.results.{ending}"))))
}

/// Refuses a place where a link, a folder, the list itself or somebody else's file is.
pub(crate) fn may_replace(
    path: &Path,
    form: &ListFormat,
    is_ours: impl FnOnce() -> bool,
) -> Result<(), ListError> {
    let meta = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(ListError::write(path, error)),
        Ok(meta) => meta,
    };
    if meta.is_symlink() {
        return Err(ListError::Link { path: path.to_owned() });
    }
    let same = |input: &PathBuf| match (input.canonicalize(), path.canonicalize()) {
        (Ok(input), Ok(output)) => input == output,
        _ => false,
    };
    if form.path.as_ref().is_some_and(same) {
        return Err(ListError::Itself { path: path.to_owned() });
    }
    // Nothing is lost with an empty file, such as `mktemp` makes.
    if meta.is_file() && (meta.len() == 0 || is_ours()) {
        Ok(())
    } else {
        Err(ListError::Foreign { path: path.to_owned() })
    }
}

/// True for a file whose first line has our columns.
pub(crate) fn is_results(path: &Path) -> bool {
    const MAX_HEADER_BYTES: u64 = 1 << 20;
    let Ok(file) = File::open(path) else { return false };
    let mut line = Vec::new();
    let mut start = BufReader::new(io::Read::take(file, MAX_HEADER_BYTES));
    if start.read_until(b'\n', &mut line).is_err() {
        return false;
    }
    let line = String::from_utf8_lossy(&line);
    if let Ok(fields) = format::fields(line.trim_end()) {
        let names: Vec<String> = fields.into_iter().map(|field| field.key).collect();
        return crate::list::output::dialect::is_told(&names);
    }
    [b',', b';', b'\t', b'|'].into_iter().any(|delimiter| {
        let mut reader =
            csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).from_reader(line.as_bytes());
        let header = reader.records().next().and_then(Result::ok);
        let names: Vec<String> = header.iter().flatten().map(str::to_owned).collect();
        crate::list::output::dialect::is_told(&names)
    })
}

/// Takes away what an earlier run left and this one does not write, also beside its place; the summary first, because it
/// says "done".
pub(crate) fn remove_stale(folder: &Path, stem: &str, written: &[&Path]) -> Result<(), ListError> {
    let names: Vec<String> = names(stem).collect();
    for path in names.iter().rev().map(|name| folder.join(name)) {
        if written.contains(&path.as_path()) {
            continue;
        }
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ListError::write(&path, error));
            }
            _ => secure_file::remove_stale_temp(&path).map_err(|error| ListError::write(&path, error))?,
        }
    }
    Ok(())
}
