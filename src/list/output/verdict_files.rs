//! The lists beside the results: one for each verdict, the duplicates, what to suppress, and what could not be read.
//!
//! Decides: which verdict goes to which of them. Must not: compose a row, or count. Fails: before the first row where an
//! earlier file is not ours, and then leaves everything as it was.

use std::path::{Path, PathBuf};

use crate::list::ListError;
use crate::list::format::ListFormat;
use crate::list::output::compose::{Composed, RowLine};
use crate::list::output::files::OutputFile;
use crate::reason::Verdict;
use crate::secure_file;

/// The files beside the results.
pub(crate) struct VerdictFiles {
    pub(crate) folder: PathBuf,
    pub(crate) stem: String,
    /// `None` where mailboxes are not asked about: then nothing is known to be deliverable.
    pub(crate) deliverable: Option<OutputFile>,
    /// What was not found out: `.retry`, or `.unprobed` where mailboxes are not asked about.
    pub(crate) open: OutputFile,
    pub(crate) risky: OutputFile,
    pub(crate) undeliverable: OutputFile,
    pub(crate) duplicates: OutputFile,
    pub(crate) suppression: OutputFile,
    pub(crate) rejected: OutputFile,
}

impl VerdictFiles {
    /// Makes them beside their places, and those of the results, which come first.
    pub(crate) fn create(
        folder: &Path,
        form: &ListFormat,
        ending: &str,
        unprobed: bool,
    ) -> Result<(OutputFile, VerdictFiles), ListError> {
        secure_file::create_folder(folder).map_err(|error| ListError::write(folder, error))?;
        let stem = form.stem();
        let ours = crate::list::output::files::has_results(folder, &stem);
        for name in crate::list::output::files::names(&stem) {
            crate::list::output::files::may_replace(&folder.join(name), form, || ours)?;
        }
        let output =
            |what: &str, ending: &str| OutputFile::create(folder.join(format!("{stem}.{what}.{ending}")));
        let deliverable = (!unprobed).then(|| output("deliverable", ending)).transpose()?;
        let splits = VerdictFiles {
            deliverable,
            open: output(if unprobed { "unprobed" } else { "retry" }, ending)?,
            risky: output("risky", ending)?,
            undeliverable: output("undeliverable", ending)?,
            duplicates: output("duplicates", ending)?,
            suppression: output("suppression", "csv")?,
            rejected: output("rejected", "csv")?,
            folder: folder.to_owned(),
            stem: stem.clone(),
        };
        Ok((output("results", ending)?, splits))
    }

    /// Writes a row that repeats no other to the list of its verdict.
    pub(crate) fn write(&mut self, row: &RowLine, composed: &Composed) -> Result<(), ListError> {
        let apart = &composed.apart[row.apart.range()];
        let line = if apart.is_empty() { &composed.told[row.told.range()] } else { apart };
        match row.reason.verdict() {
            Verdict::Risky => self.risky.write(line),
            Verdict::Deliverable => self.deliverable.as_mut().unwrap_or(&mut self.open).write(line),
            Verdict::Unknown => self.open.write(line),
            Verdict::Undeliverable => {
                self.undeliverable.write(line)?;
                self.suppression.write(&composed.apart[row.suppressed.range()])
            }
        }
    }

    /// Replaces what an earlier run left. The results go first: by them the next run knows the other files as ours,
    /// should this one be killed in between.
    pub(crate) fn place(self, results: OutputFile) -> Result<(), ListError> {
        let (folder, stem) = (self.folder, self.stem);
        let outputs = self.deliverable.into_iter().chain([
            self.open,
            self.risky,
            self.undeliverable,
            self.duplicates,
            self.suppression,
            self.rejected,
        ]);
        let outputs: Vec<OutputFile> = [results].into_iter().chain(outputs).collect();
        let written: Vec<&Path> = outputs.iter().map(|output| output.path.as_path()).collect();
        crate::list::output::files::remove_stale(&folder, &stem, &written)?;
        outputs.into_iter().try_for_each(OutputFile::place)
    }
}
