//! The files of a run: results, the lists split by verdict, and what could not be read.
//!
//! Decides: which row goes to which file (VERDICTS: "Files"), and counts. Everything is written beside its place and
//! renamed at the end, readable by its owner only. Our own earlier outputs are replaced, foreign files refused.
//! Must not: judge. Fails: before the first row where it can, and then leaves everything as it was.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::cell;
use super::columns::{Column, ColumnSet, Told};
use super::error::ListError;
use super::files::{self, Output, WRITE_BUFFER_BYTES};
use super::form::Form;
use super::layout::{Layout, Ours};
use super::read::{Extent, Rejected, Row};
use crate::reason::{Finding, Reason, Verdict};
use crate::verdict::{Confidence, Record};

/// Where the results go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// All files of a run, into this folder, which is made if need be.
    Folder(PathBuf),
    /// The results alone, into this file.
    File(PathBuf),
    /// The results alone, to standard output.
    Stdout,
}

/// How results are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// Which of our columns.
    pub columns: ColumnSet,
    /// In front of our columns' names; `None` chooses one where a name is taken.
    pub prefix: Option<String>,
    /// Mailboxes were not asked about (`--offline`, `--dns-only`): what is not settled goes to `.unprobed`.
    pub unprobed: bool,
    /// Also write `email_original`: suggestions were applied.
    pub originals: bool,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows in the results.
    pub results: u64,
    /// Rows that could not be read.
    pub rejected: u64,
    /// Further addresses in a cell, listed with the rejected rows and counted nowhere else.
    pub further_addresses: u64,
    /// Rows whose address an earlier row has; in no count by verdict.
    pub duplicates: u64,
    /// By verdict: deliverable, risky, undeliverable, unknown.
    pub verdicts: [u64; 4],
    /// By reason, duplicates left out.
    pub reasons: BTreeMap<Reason, u64>,
    /// Addresses in the suppression list, where one is written.
    pub suppressed: u64,
}

impl Counts {
    /// Rows with this verdict, duplicates left out.
    pub fn of(&self, verdict: Verdict) -> u64 {
        self.verdicts[verdict as usize]
    }

    fn note(&mut self, record: &Record, duplicate_of: Option<u64>) {
        self.results += 1;
        let reason = record.judgement.reason;
        if duplicate_of.is_some() {
            self.duplicates += 1;
        } else {
            self.verdicts[reason.verdict() as usize] += 1;
            *self.reasons.entry(reason).or_default() += 1;
        }
    }

    /// Data rows of the list.
    pub fn rows(&self) -> u64 {
        self.results + self.rejected
    }
}

/// The files beside the results.
struct Splits {
    folder: PathBuf,
    stem: String,
    /// `None` where mailboxes are not asked about: then nothing is known to be deliverable.
    deliverable: Option<Output>,
    /// What was not found out: `.retry`, or `.unprobed` where mailboxes are not asked about.
    open: Output,
    risky: Output,
    undeliverable: Output,
    duplicates: Output,
    suppression: Output,
    rejected: Output,
}

enum Results {
    File(Output),
    Stdout(BufWriter<io::Stdout>),
}

/// All outputs of a run.
pub struct Outputs {
    layout: Layout,
    columns: Vec<Column>,
    /// With `smtp_text`, the server's words.
    undeliverable_columns: Vec<Column>,
    /// With `duplicate_of`.
    duplicate_columns: Vec<Column>,
    results: Results,
    splits: Option<Splits>,
    counts: Counts,
    /// The row being written; kept for its memory.
    line: Vec<u8>,
    scratch: String,
}

impl Outputs {
    /// Prepares all files and writes their headers; refuses before the first row what would be refused at the end.
    pub fn create(target: &Target, form: &Form, options: &WriteOptions) -> Result<Outputs, ListError> {
        let layout = Layout::new(form, options.prefix.as_deref())?;
        let (results, splits) = match target {
            Target::Stdout => {
                (Results::Stdout(BufWriter::with_capacity(WRITE_BUFFER_BYTES, io::stdout())), None)
            }
            Target::File(path) => {
                files::may_replace(path, form, || files::is_results(path))?;
                let folder = path.parent().filter(|folder| *folder != Path::new(""));
                let output = Output::create(folder.unwrap_or(Path::new(".")), path.clone())?;
                (Results::File(output), None)
            }
            Target::Folder(folder) => {
                let ending = if layout.is_ndjson() { "ndjson" } else { "csv" };
                let (results, splits) = Splits::create(folder, form, ending, options.unprobed)?;
                (Results::File(results), Some(splits))
            }
        };
        let mut columns = options.columns.columns();
        columns.extend(options.originals.then_some(Column::EmailOriginal));
        let with = |extra: Column| {
            let more = (!columns.contains(&extra)).then_some(extra);
            columns.iter().copied().chain(more).collect()
        };
        let mut outputs = Outputs {
            undeliverable_columns: with(Column::SmtpText),
            duplicate_columns: with(Column::DuplicateOf),
            columns,
            layout,
            results,
            splits,
            counts: Counts::default(),
            line: Vec::new(),
            scratch: String::new(),
        };
        outputs.write_headers()?;
        Ok(outputs)
    }

    /// What to tell the user about our columns' names, if anything.
    pub fn warning(&self) -> Option<String> {
        self.layout.warning()
    }

    fn write_headers(&mut self) -> Result<(), ListError> {
        let header = |columns: &[Column]| {
            let mut header = Vec::new();
            self.layout.header(columns, &mut header);
            header
        };
        let (users, told) = (header(&[]), header(&self.columns));
        self.results.write(&told)?;
        if let Some(splits) = &mut self.splits {
            if let Some(deliverable) = &mut splits.deliverable {
                deliverable.write(&users)?;
            }
            splits.open.write(&users)?;
            splits.risky.write(&told)?;
            splits.undeliverable.write(&header(&self.undeliverable_columns))?;
            splits.duplicates.write(&header(&self.duplicate_columns))?;
            splits.suppression.write(b"email\n")?;
            splits.rejected.write(b"line,cause,text\n")?;
        }
        Ok(())
    }

    /// Writes one row to the results and to the list that it belongs to.
    ///
    /// `repaired` is the address as it was cleaned or put right, when that was done; `duplicate_of` the number of the
    /// first row with this address.
    pub fn write(
        &mut self,
        row: &Row<'_>,
        record: &Record,
        repaired: Option<&str>,
        duplicate_of: Option<u64>,
    ) -> Result<(), ListError> {
        if let Some(rejected) = self.layout.clash(row) {
            return self.reject(&rejected);
        }
        let original = repaired.map(|_| row.address());
        let told = Told { record, duplicate_of, original };
        self.line.clear();
        let ours = Ours { columns: &self.columns, told, scratch: &mut self.scratch };
        self.layout.told_row(row, ours, &mut self.line);
        self.results.write(&self.line)?;
        self.counts.note(record, duplicate_of);
        let Some(splits) = &mut self.splits else {
            return Ok(());
        };
        let (layout, line) = (&self.layout, &mut self.line);
        if duplicate_of.is_some() {
            line.clear();
            let ours = Ours { columns: &self.duplicate_columns, told, scratch: &mut self.scratch };
            layout.told_row(row, ours, line);
            return splits.duplicates.write(line);
        }
        match record.judgement.reason.verdict() {
            Verdict::Risky => splits.risky.write(line),
            Verdict::Deliverable => {
                line.clear();
                // The cleaned list never holds an address that was not checked.
                let checked = (row.extent != Extent::Whole).then(|| row.address());
                layout.own_row(row, repaired.or(checked), line);
                splits.deliverable.as_mut().unwrap_or(&mut splits.open).write(line)
            }
            Verdict::Unknown => {
                line.clear();
                layout.own_row(row, None, line);
                splits.open.write(line)
            }
            Verdict::Undeliverable => {
                line.clear();
                let ours = Ours { columns: &self.undeliverable_columns, told, scratch: &mut self.scratch };
                layout.told_row(row, ours, line);
                splits.undeliverable.write(line)?;
                if may_suppress(record) {
                    self.counts.suppressed += 1;
                    line.clear();
                    cell::write(line, repaired.unwrap_or(row.address()).trim(), b',');
                    line.push(b'\n');
                    splits.suppression.write(line)?;
                }
                Ok(())
            }
        }
    }

    /// Lists a row that could not be read, or a further address of a cell.
    pub fn reject(&mut self, rejected: &Rejected) -> Result<(), ListError> {
        if rejected.is_row() {
            self.counts.rejected += 1;
        } else {
            self.counts.further_addresses += 1;
        }
        let Some(splits) = &mut self.splits else {
            return Ok(());
        };
        let mut writer = csv::Writer::from_writer(&mut splits.rejected);
        let (line, cause) = (rejected.line.to_string(), rejected.cause.to_string());
        let listed = writer.write_record([line.as_str(), &cause, &rejected.text]);
        let listed = listed.map_err(io::Error::from).and_then(|()| writer.flush());
        drop(writer);
        listed.map_err(|error| ListError::write(&splits.rejected.path, error))
    }

    /// Puts all files in their places.
    pub fn finish(self) -> Result<Finished, ListError> {
        let folder = self.splits.as_ref().map(|splits| (splits.folder.clone(), splits.stem.clone()));
        match (self.results, self.splits) {
            (Results::File(results), Some(splits)) => splits.place(results)?,
            (Results::File(results), None) => results.place()?,
            (Results::Stdout(mut stream), _) => {
                let flushed = stream.flush();
                flushed.map_err(|error| ListError::write(Path::new("stdout"), error))?;
            }
        }
        Ok(Finished { counts: self.counts, folder })
    }
}

/// Suppression is hard to undo, so only what is sure goes there, and only what is an address.
fn may_suppress(record: &Record) -> bool {
    let judgement = &record.judgement;
    judgement.confidence == Confidence::Confirmed && judgement.reason != Reason::Found(Finding::Empty)
}

impl Splits {
    fn create(
        folder: &Path,
        form: &Form,
        ending: &str,
        unprobed: bool,
    ) -> Result<(Output, Splits), ListError> {
        files::make_folder(folder).map_err(|error| ListError::write(folder, error))?;
        let stem = form.stem();
        let ours = files::has_results(folder, &stem);
        for name in files::names(&stem) {
            files::may_replace(&folder.join(name), form, || ours)?;
        }
        let output =
            |what: &str, ending: &str| Output::create(folder, folder.join(format!("{stem}.{what}.{ending}")));
        let deliverable = (!unprobed).then(|| output("deliverable", ending)).transpose()?;
        let splits = Splits {
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

    /// Replaces what an earlier run left. The results go first: by them the next run knows the other files as ours,
    /// should this one be killed in between.
    fn place(self, results: Output) -> Result<(), ListError> {
        let (folder, stem) = (self.folder, self.stem);
        let outputs = self.deliverable.into_iter().chain([
            self.open,
            self.risky,
            self.undeliverable,
            self.duplicates,
            self.suppression,
            self.rejected,
        ]);
        let outputs: Vec<Output> = [results].into_iter().chain(outputs).collect();
        let written: Vec<&Path> = outputs.iter().map(|output| output.path.as_path()).collect();
        files::remove_stale(&folder, &stem, &written)?;
        outputs.into_iter().try_for_each(Output::place)
    }
}

impl Results {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ListError> {
        match self {
            Results::File(output) => output.write(bytes),
            Results::Stdout(stream) => {
                let written = stream.write_all(bytes);
                written.map_err(|error| ListError::write(Path::new("stdout"), error))
            }
        }
    }
}

/// A run whose lists are in their places.
#[derive(Debug)]
pub struct Finished {
    /// What was written.
    pub counts: Counts,
    folder: Option<(PathBuf, String)>,
}

impl Finished {
    /// Adds the report; does nothing where the results alone were asked for.
    pub fn report(&self, html: &[u8]) -> Result<(), ListError> {
        self.add("report.html", html)
    }

    /// Adds the summary, which says that the run is done: write it last.
    pub fn summary(&self, json: &[u8]) -> Result<(), ListError> {
        self.add("summary.json", json)
    }

    /// The path of a file of this run, such as `deliverable.csv`; `None` where there is no folder.
    pub fn path(&self, what: &str) -> Option<PathBuf> {
        let (folder, stem) = self.folder.as_ref()?;
        Some(folder.join(format!("{stem}.{what}")))
    }

    fn add(&self, what: &str, bytes: &[u8]) -> Result<(), ListError> {
        let (Some((folder, _)), Some(path)) = (&self.folder, self.path(what)) else {
            return Ok(());
        };
        let mut output = Output::create(folder, path)?;
        output.write(bytes)?;
        output.place()
    }
}
