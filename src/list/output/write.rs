//! The files of a run: results, the lists split by verdict, and what could not be read.
//!
//! Decides: which row goes to which file (the README names them), and counts. Everything is written beside its place and
//! renamed at the end, readable by its owner only. Our own earlier outputs are replaced, foreign files refused.
//! Must not: judge. Fails: before the first row where it can, and then leaves everything as it was.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::list::ListError;
use crate::list::format::ListFormat;
use crate::list::input::{self, Row, Source, UnreadableRow};
use crate::list::output::added_columns::AddedColumns;
use crate::list::output::columns::{Column, ColumnSet, Heading};
use crate::list::output::compose::{Composed, Composer, OutputLine};
use crate::list::output::dialect::Dialect;
use crate::list::output::files::{self, OutputFile, WRITE_BUFFER_BYTES};
use crate::list::output::layout::OutputLayout;
use crate::list::output::verdict_files::VerdictFiles;
use crate::reason::{Reason, Verdict};
use crate::verdict::AddressResult;

/// Where the results go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputTarget {
    /// All files of a run, into this folder, which is made if need be.
    Folder(PathBuf),
    /// The results alone, into this file.
    File(PathBuf),
    /// The results alone, to standard output.
    Stdout,
}

impl OutputTarget {
    /// Every file that the results of this list may go to; `None` is the folder named after it.
    pub fn files(target: Option<&OutputTarget>, list: &Source) -> Vec<PathBuf> {
        let stem = input::stem(list.path());
        let in_folder =
            |folder: &Path| crate::list::output::files::names(&stem).map(|name| folder.join(name)).collect();
        match target {
            None => in_folder(&input::folder(&stem)),
            Some(OutputTarget::Folder(folder)) => in_folder(folder),
            Some(OutputTarget::File(path)) => vec![path.clone()],
            Some(OutputTarget::Stdout) => Vec::new(),
        }
    }
}

/// How results are written.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Which of our columns.
    pub columns: ColumnSet,
    /// Another service's columns and words in place of ours.
    pub dialect: Option<&'static Dialect>,
    /// In front of our columns' names; `None` chooses one where a name is taken.
    pub prefix: Option<String>,
    /// Mailboxes were not asked about (`--offline`, `--dns-only`): what is not settled goes to `.unprobed`.
    pub unprobed: bool,
    /// Also write `email_original`: suggestions were applied.
    pub originals: bool,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputCounts {
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
    /// Rows that were told as before and not written, where only changes are; in no count above.
    pub unchanged: u64,
    /// Of these by verdict, duplicates left out.
    pub unchanged_verdicts: [u64; 4],
    /// Addresses in the suppression list, where one is written.
    pub suppressed: u64,
}

impl OutputCounts {
    /// Rows with this verdict that were written, duplicates left out.
    pub fn of(&self, verdict: Verdict) -> u64 {
        self.verdicts[verdict as usize]
    }

    /// The same in the whole list, whether they were written or not.
    pub fn in_all(&self, verdict: Verdict) -> u64 {
        self.of(verdict) + self.unchanged_verdicts[verdict as usize]
    }

    fn note(&mut self, reason: Reason, duplicate_of: Option<u64>) {
        self.results += 1;
        if duplicate_of.is_some() {
            self.duplicates += 1;
        } else {
            self.verdicts[reason.verdict() as usize] += 1;
            *self.reasons.entry(reason).or_default() += 1;
        }
    }

    fn note_unchanged(&mut self, reason: Reason, duplicate_of: Option<u64>) {
        self.unchanged += 1;
        if duplicate_of.is_none() {
            self.unchanged_verdicts[reason.verdict() as usize] += 1;
        }
    }

    /// Data rows of the list.
    pub fn rows(&self) -> u64 {
        self.results + self.unchanged + self.rejected
    }
}

enum Results {
    File(OutputFile),
    Stdout(BufWriter<io::Stdout>),
}

/// All outputs of a run.
pub struct Outputs {
    composer: Composer,
    /// The results have a column for the first row with the same address; otherwise the duplicates alone do.
    tells_duplicates: bool,
    /// In front of that row's number where only the duplicates tell it.
    before_number: Vec<u8>,
    results: Results,
    splits: Option<VerdictFiles>,
    counts: OutputCounts,
    /// The row being written; kept for its memory.
    one: Composed,
}

impl Outputs {
    /// Prepares all files and writes their headers; refuses before the first row what would be refused at the end.
    pub fn create(
        target: &OutputTarget,
        form: &ListFormat,
        options: &WriteOptions,
    ) -> Result<Outputs, ListError> {
        let columns = headings(options);
        let extra = [Column::SmtpText, Column::DuplicateOf].map(|column| column.name().into());
        let names = match options.dialect {
            Some(_) => columns.iter().map(|column| column.name.clone()).chain(extra).collect(),
            None => Column::ALL.iter().map(|column| column.name().into()).collect(),
        };
        let layout = OutputLayout::new(form, names, options.prefix.as_deref())?;
        let (results, splits) = match target {
            OutputTarget::Stdout => {
                (Results::Stdout(BufWriter::with_capacity(WRITE_BUFFER_BYTES, io::stdout())), None)
            }
            OutputTarget::File(path) => {
                crate::list::output::files::may_replace(path, form, || {
                    crate::list::output::files::is_results(path)
                })?;
                (Results::File(OutputFile::create(path.clone())?), None)
            }
            OutputTarget::Folder(folder) => {
                let ending = if layout.is_ndjson() { "ndjson" } else { "csv" };
                let (results, splits) = VerdictFiles::create(folder, form, ending, options.unprobed)?;
                (Results::File(results), Some(splits))
            }
        };
        let tells = |column: Column| columns.iter().any(|heading| heading.is(column));
        let mut outputs = Outputs {
            tells_duplicates: tells(Column::DuplicateOf),
            before_number: layout.before_added(Column::DuplicateOf),
            composer: Composer {
                undeliverable: (!tells(Column::SmtpText))
                    .then(|| AddedColumns::new(with(&columns, Column::SmtpText))),
                ours: AddedColumns::new(columns),
                layout,
                splits: splits.is_some(),
            },
            results,
            splits,
            counts: OutputCounts::default(),
            one: Composed::default(),
        };
        outputs.write_headers()?;
        Ok(outputs)
    }

    /// What to tell the user about our columns' names, if anything.
    pub fn warning(&self) -> Option<String> {
        self.composer.layout.warning()
    }

    /// What composes the rows; a thread that composes has its own.
    pub fn composer(&self) -> Composer {
        self.composer.clone()
    }

    fn write_headers(&mut self) -> Result<(), ListError> {
        let Composer { layout, ours: AddedColumns { columns, .. }, undeliverable, .. } = &self.composer;
        let header = |columns: &[Heading]| {
            let mut header = Vec::new();
            layout.header(columns, &mut header);
            header
        };
        let (users, told) = (header(&[]), header(columns));
        self.results.write(&told)?;
        if let Some(splits) = &mut self.splits {
            if let Some(deliverable) = &mut splits.deliverable {
                deliverable.write(&users)?;
            }
            splits.open.write(&users)?;
            splits.risky.write(&told)?;
            splits
                .undeliverable
                .write(&header(undeliverable.as_ref().map_or(columns, |ours| &ours.columns)))?;
            let told = if self.tells_duplicates { told } else { header(&with(columns, Column::DuplicateOf)) };
            splits.duplicates.write(&told)?;
            splits.suppression.write(b"email\n")?;
            splits.rejected.write(b"line,cause,text\n")?;
        }
        Ok(())
    }

    /// Composes one row and writes it; see [`Composer::row`] and [`Outputs::write_all`].
    pub fn write(
        &mut self,
        row: &Row<'_>,
        record: &AddressResult,
        repaired: Option<&str>,
        duplicate_of: Option<u64>,
    ) -> Result<(), ListError> {
        let mut one = std::mem::take(&mut self.one);
        one.clear();
        self.composer.row(row, record, repaired, None, &mut one);
        let written = self.write_all(&one, &[duplicate_of]);
        self.one = one;
        written
    }

    /// Writes rows to the results and to the lists that they belong to, and lists what was rejected.
    ///
    /// `firsts` has for each row the number of the first row with its address, where that is an earlier one.
    pub fn write_all(&mut self, composed: &Composed, firsts: &[Option<u64>]) -> Result<(), ListError> {
        let Composed { lines, told, .. } = composed;
        let mut firsts = firsts.iter().copied();
        let mut written = 0;
        for line in lines {
            let row = match line {
                OutputLine::Rejected(rejected) => {
                    self.reject(rejected)?;
                    continue;
                }
                OutputLine::Unchanged(row) => {
                    self.counts.note_unchanged(row.reason, firsts.next().flatten());
                    continue;
                }
                OutputLine::Row(row) => row,
            };
            let first = firsts.next().flatten();
            self.counts.note(row.reason, first);
            if let (Some(first), true) = (first, self.tells_duplicates) {
                self.results.write(&told[written..row.gap.start()])?;
                self.results.write(first.to_string().as_bytes())?;
                written = row.gap.end();
            }
            match (first, &mut self.splits) {
                (_, None) => {}
                (Some(first), Some(splits)) => {
                    let file = &mut splits.duplicates;
                    file.write(&told[row.told.start()..row.gap.start()])?;
                    if !self.tells_duplicates {
                        file.write(&self.before_number)?;
                    }
                    file.write(first.to_string().as_bytes())?;
                    file.write(&told[row.gap.end()..row.told.end()])?;
                }
                (None, Some(splits)) => {
                    self.counts.suppressed += u64::from(!row.suppressed.is_empty());
                    splits.write(row, composed)?;
                }
            }
        }
        self.results.write(&told[written..])
    }

    /// Lists a row that could not be read, or a further address of a cell.
    pub fn reject(&mut self, rejected: &UnreadableRow) -> Result<(), ListError> {
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
    pub fn finish(self) -> Result<FinishedOutputs, ListError> {
        let folder = self.splits.as_ref().map(|splits| (splits.folder.clone(), splits.stem.clone()));
        match (self.results, self.splits) {
            (Results::File(results), Some(splits)) => splits.place(results)?,
            (Results::File(results), None) => results.place()?,
            (Results::Stdout(mut stream), _) => {
                let flushed = stream.flush();
                flushed.map_err(|error| ListError::write(Path::new("stdout"), error))?;
            }
        }
        Ok(FinishedOutputs { counts: self.counts, folder })
    }
}

/// The columns of the results.
fn headings(options: &WriteOptions) -> Vec<Heading> {
    let mut headings = match options.dialect {
        Some(dialect) => dialect.headings().to_vec(),
        None => options.columns.columns().into_iter().map(Heading::from).collect(),
    };
    headings.extend(options.originals.then(|| Column::EmailOriginal.into()));
    headings
}

/// These columns and another one.
fn with(columns: &[Heading], extra: Column) -> Vec<Heading> {
    columns.iter().cloned().chain([extra.into()]).collect()
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
pub struct FinishedOutputs {
    /// What was written.
    pub counts: OutputCounts,
    folder: Option<(PathBuf, String)>,
}

impl FinishedOutputs {
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
        let Some(path) = self.path(what) else {
            return Ok(());
        };
        let mut output = OutputFile::create(path)?;
        output.write(bytes)?;
        output.place()
    }
}
