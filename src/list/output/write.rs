//! Writing a list with its verdicts: the results, a list for each verdict, and the rows that could not be read.
//!
//! Decides: which row goes to which file (the guide names them), and counts. Must not: judge. Fails: before the first row
//! where it can, and then nothing has changed.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::cells::AddedColumns;
use super::compose::{Composed, Composer, OutputLine};
use super::files::{self, VerdictFiles, WantedFiles};
use super::hand_over::HandOver;
use super::layout::OutputLayout;
use super::options::{OutputTarget, WriteOptions};
use super::output_file::{OutputFile, WRITE_BUFFER_BYTES};
use super::profile::{ProfileLayout, SKIPPED_HEADER};
use super::split::SplitFile;
use super::spreadsheet;
use crate::list::ListError;
use crate::list::columns::{Column, Heading};
use crate::list::format::ListFormat;
use crate::list::row::{Row, UnreadableRow};
use crate::reason::{Finding, Reason, Verdict};
use crate::verdict::AddressResult;

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputCounts {
    /// Rows in the results.
    pub results: u64,
    /// Rows that could not be read.
    pub unreadable: u64,
    /// Further addresses in cells; listed with the unreadable rows, and in no other count.
    pub further_addresses: u64,
    /// Rows with the address of an earlier row; in no count by verdict or reason.
    pub duplicates: u64,
    /// Rows that the user's own lists exclude, without duplicates; in no count by verdict.
    pub excluded: u64,
    /// Rows without an address; in no count by verdict.
    pub without_address: u64,
    /// By verdict: deliverable, risky, undeliverable, unknown.
    pub verdicts: [u64; 4],
    /// By reason, without duplicates.
    pub reasons: BTreeMap<Reason, u64>,
    /// Rows that are not written, because only changes are and the row is as last reported; in no count above.
    pub unchanged: u64,
    /// The unchanged rows by verdict, without duplicates.
    pub unchanged_verdicts: [u64; 4],
    /// Addresses in the suppression list, where one is written.
    pub suppressed: u64,
    /// What a product gets, where the list is handed over to one.
    pub hand_over: HandOver,
}

impl OutputCounts {
    /// Written rows with this verdict, without duplicates; 0 for [`Verdict::None`].
    pub fn of(&self, verdict: Verdict) -> u64 {
        self.verdicts.get(verdict as usize).copied().unwrap_or_default()
    }

    /// Written and unchanged rows with this verdict, without duplicates.
    pub fn in_all(&self, verdict: Verdict) -> u64 {
        self.of(verdict) + self.unchanged_verdicts.get(verdict as usize).copied().unwrap_or_default()
    }

    fn count_row(&mut self, reason: Reason, duplicate_of: Option<u64>) {
        self.results += 1;
        if duplicate_of.is_some() {
            self.duplicates += 1;
        } else {
            match reason.verdict() {
                Verdict::None if reason == Finding::Empty.into() => self.without_address += 1,
                Verdict::None => self.excluded += 1,
                verdict => self.verdicts[verdict as usize] += 1,
            }
            *self.reasons.entry(reason).or_default() += 1;
        }
    }

    fn count_unchanged(&mut self, reason: Reason, duplicate_of: Option<u64>) {
        self.unchanged += 1;
        let verdict = reason.verdict();
        if duplicate_of.is_none() && verdict != Verdict::None {
            self.unchanged_verdicts[verdict as usize] += 1;
        }
    }

    /// Data rows of the list.
    pub fn rows(&self) -> u64 {
        self.results + self.unchanged + self.unreadable
    }
}

enum ResultsFile {
    File(OutputFile),
    Stdout(BufWriter<io::Stdout>),
}

/// All outputs of a run.
pub struct Outputs {
    composer: Composer,
    /// The results have a column for the first row with the same address; otherwise only the duplicates have it.
    has_duplicate_of: bool,
    /// What is written before that row's number where only the duplicates have it.
    before_duplicate_of: Vec<u8>,
    results: ResultsFile,
    others: Option<VerdictFiles>,
    /// The copy for spreadsheet programs.
    spreadsheet: Option<OutputFile>,
    /// The first unreadable rows, where no file lists them.
    unlisted: Vec<UnreadableRow>,
    counts: OutputCounts,
    /// A single row being written; kept for its memory.
    one: Composed,
}

impl Outputs {
    /// Creates all files and writes their headers; fails here if a file may not be replaced.
    pub fn create(
        target: &OutputTarget,
        format: &ListFormat,
        options: &WriteOptions,
    ) -> Result<Outputs, ListError> {
        let columns = headings(options);
        let extra = [Column::SmtpText, Column::DuplicateOf].map(|column| column.name().into());
        let names = match options.dialect {
            Some(_) => columns.iter().map(|column| column.name.clone()).chain(extra).collect(),
            None => Column::ALL.iter().map(|column| column.name().into()).collect(),
        };
        let layout = OutputLayout::new(format, names, options.prefix.as_deref())?;
        let profile = options.profile.map(|profile| ProfileLayout::new(profile, format)).transpose()?;
        if profile.is_some() && !matches!(target, OutputTarget::Folder(_)) {
            return Err(ListError::NoProfile { why: "it writes several files".to_owned() });
        }
        let (results, others) = match target {
            OutputTarget::Stdout => {
                (ResultsFile::Stdout(BufWriter::with_capacity(WRITE_BUFFER_BYTES, io::stdout())), None)
            }
            OutputTarget::File(path) => {
                files::check_replaceable(path, format, || files::is_results(path))?;
                (ResultsFile::File(OutputFile::create(path.clone())?), None)
            }
            OutputTarget::Folder(folder) => {
                let (unprobed, excluded) = (options.unprobed, options.excludes);
                let wanted = WantedFiles { unprobed, excluded, profile: options.profile };
                let (results, others) = VerdictFiles::create(folder, format, layout.ending(), wanted)?;
                (ResultsFile::File(results), Some(others))
            }
        };
        let spreadsheet =
            options.spreadsheet_safe.then(|| spreadsheet_copy(&results, others.as_ref(), &layout));
        let spreadsheet = spreadsheet.transpose()?;
        let has = |column: Column| columns.iter().any(|heading| heading.is(column));
        let mut outputs = Outputs {
            has_duplicate_of: has(Column::DuplicateOf),
            before_duplicate_of: layout.before_one_more(Column::DuplicateOf),
            composer: Composer {
                added_undeliverable: (!has(Column::SmtpText))
                    .then(|| AddedColumns::new(with(&columns, Column::SmtpText))),
                added: AddedColumns::new(columns),
                layout,
                has_verdict_files: others.is_some(),
                profile,
            },
            results,
            others,
            spreadsheet,
            unlisted: Vec::new(),
            counts: OutputCounts::default(),
            one: Composed::default(),
        };
        outputs.write_headers(options.bom.bytes(format))?;
        Ok(outputs)
    }

    /// A message for the user about the names of the added columns, if they needed a prefix.
    pub fn warning(&self) -> Option<String> {
        self.composer.layout.warning()
    }

    /// A composer for these outputs; each thread that composes has its own.
    pub fn composer(&self) -> Composer {
        self.composer.clone()
    }

    fn write_headers(&mut self, mark: &[u8]) -> Result<(), ListError> {
        let Composer { layout, added, added_undeliverable, profile, .. } = &self.composer;
        let header = |columns: &[Heading]| {
            let mut header = mark.to_vec();
            layout.header(columns, &mut header);
            header
        };
        let columns = added.headings();
        let (user_header, result_header) = (header(&[]), header(columns));
        self.results.write(&result_header)?;
        if let Some(others) = &mut self.others {
            if let Some(deliverable) = &mut others.deliverable {
                let contacts = profile.as_ref().and_then(ProfileLayout::contact_header);
                deliverable.start(&contacts.unwrap_or_else(|| user_header.clone()))?;
            }
            others.unknown.write(&user_header)?;
            others.risky.write(&result_header)?;
            if let Some(excluded) = &mut others.excluded {
                excluded.write(&result_header)?;
            }
            others
                .undeliverable
                .write(&header(added_undeliverable.as_ref().map_or(columns, AddedColumns::headings)))?;
            let with_first = if self.has_duplicate_of {
                result_header
            } else {
                header(&with(columns, Column::DuplicateOf))
            };
            others.duplicates.write(&with_first)?;
            let suppression = profile.as_ref().map(ProfileLayout::suppression_header);
            others.suppression.start(&suppression.unwrap_or_else(|| [mark, b"email\n"].concat()))?;
            if let Some(skipped) = &mut others.skipped {
                skipped.write(SKIPPED_HEADER)?;
            }
            others.unreadable.write(&[mark, b"line,cause,text\n"].concat())?;
        }
        Ok(())
    }

    /// Composes one row and writes it; see [`Composer::row`] and [`Outputs::write_composed`].
    pub fn write_row(
        &mut self,
        row: &Row<'_>,
        result: &AddressResult,
        repaired: Option<&str>,
        duplicate_of: Option<u64>,
    ) -> Result<(), ListError> {
        let mut one = std::mem::take(&mut self.one);
        one.clear();
        self.composer.row(row, result, repaired, None, &mut one);
        // A row that is listed as unreadable instead has no address to compare.
        let firsts = [duplicate_of];
        let written = self.write_composed(&one, &firsts[..one.hashes().count()]);
        self.one = one;
        written
    }

    /// Writes rows to the results and to the files that they belong to, and lists the unreadable ones.
    ///
    /// `firsts` has one entry for each of [`Composed::hashes`]: the number of the first row with the same address, if that
    /// is an earlier row.
    pub fn write_composed(&mut self, composed: &Composed, firsts: &[Option<u64>]) -> Result<(), ListError> {
        debug_assert_eq!(firsts.len(), composed.hashes().count(), "each readable row has an entry");
        let Composed { lines, results, .. } = composed;
        let mut firsts = firsts.iter().copied();
        let mut written = 0;
        for line in lines {
            let row = match line {
                OutputLine::Unreadable(row) => {
                    self.write_unreadable(row)?;
                    continue;
                }
                OutputLine::Unchanged(row) => {
                    self.counts.count_unchanged(row.reason, firsts.next().flatten());
                    continue;
                }
                OutputLine::Row(row) => row,
            };
            let first = firsts.next().flatten();
            self.counts.count_row(row.reason, first);
            if let (Some(first), true) = (first, self.has_duplicate_of) {
                self.results.write(&results[written..row.gap.start()])?;
                self.results.write(first.to_string().as_bytes())?;
                written = row.gap.end();
            }
            match (first, &mut self.others) {
                (_, None) => {}
                (Some(first), Some(others)) => {
                    let file = &mut others.duplicates;
                    file.write(&results[row.result.start()..row.gap.start()])?;
                    if !self.has_duplicate_of {
                        file.write(&self.before_duplicate_of)?;
                    }
                    file.write(first.to_string().as_bytes())?;
                    file.write(&results[row.gap.end()..row.result.end()])?;
                }
                (None, Some(others)) => {
                    let is_suppressed = !row.suppressed.is_empty() && row.handed.skipped.is_none();
                    self.counts.suppressed += u64::from(is_suppressed);
                    self.counts.hand_over.count(row.reason, row.handed);
                    others.write(row, composed)?;
                }
            }
        }
        self.results.write(&results[written..])
    }

    /// Lists a row that could not be read, or a further address of a cell.
    pub fn write_unreadable(&mut self, row: &UnreadableRow) -> Result<(), ListError> {
        if row.is_row() {
            self.counts.unreadable += 1;
        } else {
            self.counts.further_addresses += 1;
        }
        let Some(others) = &mut self.others else {
            if self.unlisted.len() < MOST_UNLISTED {
                self.unlisted.push(row.clone());
            }
            return Ok(());
        };
        let mut writer = csv::Writer::from_writer(&mut others.unreadable);
        let (line, cause) = (row.line.to_string(), row.cause.to_string());
        let written = writer.write_record([line.as_str(), &cause, &row.text]);
        let written = written.map_err(io::Error::from).and_then(|()| writer.flush());
        drop(writer);
        written.map_err(|error| ListError::write(&others.unreadable.path, error))
    }

    /// Gives all files their names.
    pub fn finish(mut self) -> Result<FinishedOutputs, ListError> {
        if let (ResultsFile::File(results), Some(copy)) = (&mut self.results, &mut self.spreadsheet) {
            spreadsheet::write_copy(results.reread()?, self.composer.layout.delimiter(), copy)?;
        }
        if let Some(others) = &self.others {
            self.counts.hand_over.contacts =
                others.deliverable.as_ref().map(SplitFile::names).unwrap_or_default();
            self.counts.hand_over.suppression = others.suppression.names();
        }
        let ending = self.composer.layout.ending();
        let folder = self.others.as_ref().map(|others| (others.folder.clone(), others.stem.clone()));
        match (self.results, self.others) {
            (ResultsFile::File(results), Some(others)) => others.place(results, self.spreadsheet)?,
            (ResultsFile::File(results), None) => {
                results.place()?;
                self.spreadsheet.map_or(Ok(()), OutputFile::place)?;
            }
            (ResultsFile::Stdout(mut stream), _) => {
                let flushed = stream.flush();
                flushed.map_err(|error| ListError::write(Path::new("stdout"), error))?;
            }
        }
        Ok(FinishedOutputs { counts: self.counts, unlisted: self.unlisted, ending, folder })
    }
}

/// Most unreadable rows that are kept where no file lists them.
const MOST_UNLISTED: usize = 20;

/// The file for the copy of the results: in their folder, or beside them.
fn spreadsheet_copy(
    results: &ResultsFile,
    others: Option<&VerdictFiles>,
    layout: &OutputLayout,
) -> Result<OutputFile, ListError> {
    let (path, why) = match (results, others) {
        (ResultsFile::Stdout(_), _) => (None, "results on stdout have no copy beside them"),
        (ResultsFile::File(_), _) if layout.is_ndjson() => (None, "NDJSON is no table"),
        (ResultsFile::File(_), Some(others)) => {
            (Some(others.folder.join(format!("{}.spreadsheet.{}", others.stem, layout.ending()))), "")
        }
        (ResultsFile::File(results), None) => (Some(spreadsheet::path_beside(&results.path)), ""),
    };
    let path = path.ok_or(ListError::NoSpreadsheet { why })?;
    if others.is_none() && path.exists() && !files::is_results(&path) {
        return Err(ListError::NotAResult { path });
    }
    OutputFile::create(path)
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

impl ResultsFile {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ListError> {
        match self {
            ResultsFile::File(output) => output.write(bytes),
            ResultsFile::Stdout(stream) => {
                let written = stream.write_all(bytes);
                written.map_err(|error| ListError::write(Path::new("stdout"), error))
            }
        }
    }
}

/// The outputs of a run whose lists have their names; the report and the summary are written after them.
#[derive(Debug)]
pub struct FinishedOutputs {
    /// What was written.
    pub counts: OutputCounts,
    /// The first rows that could not be read, and further addresses, where no file lists them.
    pub unlisted: Vec<UnreadableRow>,
    /// The ending of the lists.
    pub ending: &'static str,
    folder: Option<(PathBuf, String)>,
}

impl FinishedOutputs {
    /// Writes the report, `report.html` or `report.md`, if there is a folder.
    pub fn write_report(&self, name: &str, text: &[u8]) -> Result<(), ListError> {
        self.add(name, text)
    }

    /// Writes the summary, if there is a folder. It shows that the run is done, so it is written last.
    pub fn write_summary(&self, json: &[u8]) -> Result<(), ListError> {
        self.add("summary.json", json)
    }

    /// The path of a file of this run, such as `deliverable.csv`; `None` if there is no folder.
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
