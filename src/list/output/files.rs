//! The output files: what may be replaced, which verdict goes to which file, and when a file gets its name.
//!
//! Decides: which files of a folder may be replaced. Results of an earlier run may, which are known by their columns; other
//! files, links and the list itself may not. A file is written beside its place, readable by its owner only, and renamed
//! at the end. Must not: compose a row, or count. Fails: before the first row where it can, and then nothing has changed.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::compose::{Composed, RowLine};
use super::output_file::OutputFile;
use super::split::{self, SplitFile};
use crate::list::ListError;
use crate::list::columns::{delimiter_of_results, has_added};
use crate::list::format::{self, ListFormat};
use crate::policy::{FileForm, Profile};
use crate::reason::{Finding, Verdict};
use crate::secure_file;

/// The endings of lists that a run may write.
const ENDINGS: [&str; 3] = ["csv", "tsv", "ndjson"];

/// Every list that a run may write.
const LISTS: [&str; 12] = [
    "results",
    "spreadsheet",
    "deliverable",
    "risky",
    "undeliverable",
    "retry",
    "unprobed",
    "duplicates",
    "excluded",
    "suppression",
    "skipped",
    "rejected",
];

/// The names of all files that a run may write.
pub(super) fn names(stem: &str) -> impl Iterator<Item = String> {
    let lists = LISTS.iter().flat_map(|file| ENDINGS.map(|ending| format!("{file}.{ending}")));
    let others = ["report.html", "report.md", "handover.txt", "summary.json"].map(str::to_owned);
    lists.chain(others).map(move |file| format!("{stem}.{file}"))
}

/// True for a folder with the results of an earlier run; then all files with [`names`] in it are results.
fn has_results(folder: &Path, stem: &str) -> bool {
    ENDINGS.iter().any(|ending| is_results(&folder.join(format!("{stem}.results.{ending}"))))
}

/// Fails if the path has a link, a folder, the list itself, or a file that is not a result of an earlier run.
pub(super) fn check_replaceable(
    path: &Path,
    format: &ListFormat,
    is_result: impl FnOnce() -> bool,
) -> Result<(), ListError> {
    let meta = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(ListError::write(path, error)),
        Ok(meta) => meta,
    };
    if meta.is_symlink() {
        return Err(ListError::SymbolicLink { path: path.to_owned() });
    }
    let same = |input: &PathBuf| match (input.canonicalize(), path.canonicalize()) {
        (Ok(input), Ok(output)) => input == output,
        _ => false,
    };
    if format.path.as_ref().is_some_and(same) {
        return Err(ListError::ListItself { path: path.to_owned() });
    }
    // An empty file, such as `mktemp` makes, has nothing to lose.
    if meta.is_file() && (meta.len() == 0 || is_result()) {
        Ok(())
    } else {
        Err(ListError::NotAResult { path: path.to_owned() })
    }
}

/// True for a file whose first line has added columns.
pub(super) fn is_results(path: &Path) -> bool {
    const MAX_HEADER_BYTES: u64 = 1 << 20;
    let Ok(file) = File::open(path) else { return false };
    let mut line = Vec::new();
    let mut start = BufReader::new(io::Read::take(file, MAX_HEADER_BYTES));
    if start.read_until(b'\n', &mut line).is_err() {
        return false;
    }
    let line = String::from_utf8_lossy(&line);
    let line = line.trim_start_matches('\u{feff}');
    if let Ok(fields) = format::fields(line.trim_end()) {
        let names: Vec<String> = fields.into_iter().map(|field| field.key).collect();
        return has_added(&names);
    }
    delimiter_of_results(line).is_some()
}

/// Removes the files of an earlier run that this run does not write, and what a killed run left beside them. The summary
/// goes first, because it says that the run is done. `split`: where a file of this run would be if it had no parts.
fn remove_stale(folder: &Path, stem: &str, written: &[&Path], split: &[PathBuf]) -> Result<(), ListError> {
    let names: Vec<String> = names(stem).collect();
    let numbered = split::numbered_parts(folder, stem);
    for path in names.iter().rev().map(|name| folder.join(name)).chain(numbered) {
        if written.contains(&path.as_path()) {
            continue;
        }
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ListError::write(&path, error));
            }
            // The first part is still open under this name.
            _ if split.contains(&path) => {}
            _ => secure_file::remove_stale_temp(&path).map_err(|error| ListError::write(&path, error))?,
        }
    }
    Ok(())
}

/// Which files a folder has beside those of every run.
#[derive(Clone, Copy, Debug)]
pub(super) struct WantedFiles {
    /// `.unprobed` in place of `.deliverable` and `.retry`.
    pub(super) unprobed: bool,
    /// `.excluded`.
    pub(super) excluded: bool,
    /// The product that the list is handed over to: `.skipped`, and the form of `.deliverable` and `.suppression`.
    pub(super) profile: Option<&'static Profile>,
}

/// The files of a folder beside the results.
pub(super) struct VerdictFiles {
    pub(super) folder: PathBuf,
    pub(super) stem: String,
    /// `None` where mailboxes are not probed: then no recipient is known to be deliverable.
    pub(super) deliverable: Option<SplitFile>,
    /// Rows with the verdict unknown: `.retry`, or `.unprobed` where mailboxes are not probed.
    pub(super) unknown: OutputFile,
    pub(super) risky: OutputFile,
    pub(super) undeliverable: OutputFile,
    pub(super) duplicates: OutputFile,
    /// Rows that the user's own lists exclude; `None` without such lists.
    pub(super) excluded: Option<OutputFile>,
    pub(super) suppression: SplitFile,
    /// Rows that a product does not take; `None` without a profile.
    pub(super) skipped: Option<OutputFile>,
    /// The unreadable rows: `.rejected`.
    pub(super) unreadable: OutputFile,
}

impl VerdictFiles {
    /// Creates the files of a folder, all beside their places; the results come first.
    pub(super) fn create(
        folder: &Path,
        format: &ListFormat,
        ending: &str,
        wanted: WantedFiles,
    ) -> Result<(OutputFile, VerdictFiles), ListError> {
        let WantedFiles { unprobed, excluded, profile } = wanted;
        secure_file::create_folder(folder).map_err(|error| ListError::write(folder, error))?;
        let stem = format.stem();
        let are_results = has_results(folder, &stem);
        let numbered = split::numbered_parts(folder, &stem);
        for path in names(&stem).map(|name| folder.join(name)).chain(numbered) {
            check_replaceable(&path, format, || are_results)?;
        }
        let output =
            |what: &str, ending: &str| OutputFile::create(folder.join(format!("{stem}.{what}.{ending}")));
        let split = |what: &str, ending: &str, form: Option<FileForm>| {
            SplitFile::create(folder.join(format!("{stem}.{what}.{ending}")), form.unwrap_or_default())
        };
        let contacts = profile.and_then(|profile| profile.contacts.as_ref());
        let contacts_ending = if contacts.is_some() { "csv" } else { ending };
        let deliverable = (!unprobed)
            .then(|| split("deliverable", contacts_ending, contacts.map(|file| file.form)))
            .transpose()?;
        let files = VerdictFiles {
            deliverable,
            unknown: output(if unprobed { "unprobed" } else { "retry" }, ending)?,
            risky: output("risky", ending)?,
            undeliverable: output("undeliverable", ending)?,
            duplicates: output("duplicates", ending)?,
            excluded: excluded.then(|| output("excluded", ending)).transpose()?,
            suppression: split("suppression", "csv", profile.map(|profile| profile.suppression.form))?,
            skipped: profile.is_some().then(|| output("skipped", "csv")).transpose()?,
            unreadable: output("rejected", "csv")?,
            folder: folder.to_owned(),
            stem: stem.clone(),
        };
        Ok((output("results", ending)?, files))
    }

    /// Writes a row that repeats no other to the file of its verdict.
    pub(super) fn write(&mut self, row: &RowLine, composed: &Composed) -> Result<(), ListError> {
        let other = &composed.others[row.other.range()];
        let line = if other.is_empty() { &composed.results[row.result.range()] } else { other };
        match row.reason.verdict() {
            // A row without an address stands in the results alone.
            Verdict::None if row.reason == Finding::Empty.into() => Ok(()),
            Verdict::None => self.excluded.as_mut().map_or(Ok(()), |excluded| excluded.write(line)),
            Verdict::Risky => self.risky.write(line),
            Verdict::Deliverable => match (&mut self.deliverable, &mut self.skipped) {
                (Some(_), Some(skipped)) if row.handed.skipped.is_some() => skipped.write(line),
                (Some(deliverable), _) => deliverable.write_row(line),
                (None, _) => self.unknown.write(line),
            },
            Verdict::Unknown => self.unknown.write(line),
            Verdict::Undeliverable => {
                self.undeliverable.write(line)?;
                let line = &composed.others[row.suppressed.range()];
                match &mut self.skipped {
                    Some(skipped) if row.handed.skipped.is_some() => skipped.write(line),
                    _ if line.is_empty() => Ok(()),
                    _ => self.suppression.write_row(line),
                }
            }
        }
    }

    /// Gives all files their names, in place of those of an earlier run. The results go first: if the run is killed in
    /// between, the next one recognizes the other files by them.
    pub(super) fn place(self, results: OutputFile, copy: Option<OutputFile>) -> Result<(), ListError> {
        let (folder, stem) = (self.folder, self.stem);
        let split = self.deliverable.iter().chain([&self.suppression]);
        let split: Vec<PathBuf> = split.map(|file| file.path.clone()).collect();
        let parts = self.deliverable.into_iter().chain([self.suppression]).flat_map(SplitFile::into_parts);
        let outputs = parts.chain(self.excluded).chain(self.skipped).chain([
            self.unknown,
            self.risky,
            self.undeliverable,
            self.duplicates,
            self.unreadable,
        ]);
        let outputs: Vec<OutputFile> = [results].into_iter().chain(copy).chain(outputs).collect();
        let written: Vec<&Path> = outputs.iter().map(|output| output.path.as_path()).collect();
        remove_stale(&folder, &stem, &written, &split)?;
        outputs.into_iter().try_for_each(OutputFile::place)
    }
}
