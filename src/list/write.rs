//! The files of a run: results, the lists split by verdict, and what could not be read.
//!
//! Decides: which row goes to which file (VERDICTS: "Files"), and counts. Everything is written beside its place and
//! renamed at the end, readable by its owner only. Our own earlier outputs are replaced, foreign files refused.
//! Must not: judge. Fails: before the first row where it can, and then leaves everything as it was.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::cell;
use super::columns::{self, Column, ColumnSet, Told};
use super::error::ListError;
use super::layout::Layout;
use super::read::{Extent, Form, Rejected, Row};
use crate::reason::{Finding, Reason, Verdict};
use crate::verdict::{Confidence, Record};

const WRITE_BUFFER_BYTES: usize = 64 << 10;

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
    /// Addresses in the suppression list.
    pub suppressed: u64,
}

impl Counts {
    /// Rows with this verdict, duplicates left out.
    pub fn of(&self, verdict: Verdict) -> u64 {
        self.verdicts[verdict as usize]
    }

    /// Data rows of the list.
    pub fn rows(&self) -> u64 {
        self.results + self.rejected
    }
}

/// One output file.
struct Output {
    path: PathBuf,
    stream: BufWriter<NamedTempFile>,
}

impl Output {
    fn create(folder: &Path, path: PathBuf) -> Result<Output, ListError> {
        let file = NamedTempFile::with_prefix_in(".listproof-", folder);
        let file = file.map_err(|error| ListError::write(&path, error))?;
        Ok(Output {
            path,
            stream: BufWriter::with_capacity(WRITE_BUFFER_BYTES, file),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ListError> {
        let written = self.stream.write_all(bytes);
        written.map_err(|error| ListError::write(&self.path, error))
    }

    /// Puts the file in its place.
    fn place(self) -> Result<(), ListError> {
        let path = self.path;
        let file = self
            .stream
            .into_inner()
            .map_err(|error| ListError::write(&path, error.into_error()))?;
        file.as_file()
            .sync_all()
            .map_err(|error| ListError::write(&path, error))?;
        let placed = file.persist(&path);
        placed.map_err(|error| ListError::write(&path, error.error))?;
        Ok(())
    }
}

/// The files beside the results.
struct Splits {
    folder: PathBuf,
    stem: String,
    deliverable: Output,
    risky: Output,
    undeliverable: Output,
    retry: Output,
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
    unprobed: bool,
    columns: Vec<Column>,
    /// With `smtp_text`.
    undeliverable_columns: Vec<Column>,
    /// With `duplicate_of`.
    duplicate_columns: Vec<Column>,
    results: Results,
    splits: Option<Splits>,
    counts: Counts,
    line: Vec<u8>,
}

impl Outputs {
    /// Prepares all files and writes their headers; refuses before the first row what would be refused at the end.
    pub fn create(target: &Target, form: &Form, options: &WriteOptions) -> Result<Outputs, ListError> {
        let layout = Layout::new(form, options.prefix.as_deref())?;
        let columns = options.columns.columns();
        let with = |extra: Column| {
            let mut columns = columns.clone();
            if !columns.contains(&extra) {
                columns.push(extra);
            }
            columns
        };
        let (results, splits) = match target {
            Target::Stdout => (
                Results::Stdout(BufWriter::with_capacity(WRITE_BUFFER_BYTES, io::stdout())),
                None,
            ),
            Target::File(path) => {
                may_replace(path, form, || is_results(path))?;
                let folder = match path.parent() {
                    Some(folder) if folder != Path::new("") => folder,
                    _ => Path::new("."),
                };
                (Results::File(Output::create(folder, path.clone())?), None)
            }
            Target::Folder(folder) => {
                let (results, splits) = folder_outputs(folder, form, &layout, options)?;
                (Results::File(results), Some(splits))
            }
        };
        let mut outputs = Outputs {
            undeliverable_columns: with(Column::SmtpText),
            duplicate_columns: with(Column::DuplicateOf),
            columns,
            layout,
            unprobed: options.unprobed,
            results,
            splits,
            counts: Counts::default(),
            line: Vec::new(),
        };
        outputs.write_headers()?;
        Ok(outputs)
    }

    /// What to tell the user about our columns' names, if anything.
    pub fn warning(&self) -> Option<String> {
        self.layout.warning()
    }

    fn write_headers(&mut self) -> Result<(), ListError> {
        let Outputs { layout, line, .. } = self;
        let mut header = |columns: &[Column]| {
            line.clear();
            layout.header(columns, line);
            line.clone()
        };
        let users = header(&[]);
        let told = header(&self.columns);
        let undeliverable = header(&self.undeliverable_columns);
        let duplicates = header(&self.duplicate_columns);
        self.results.write(&told)?;
        if let Some(splits) = &mut self.splits {
            splits.deliverable.write(&users)?;
            splits.retry.write(&users)?;
            splits.risky.write(&told)?;
            splits.undeliverable.write(&undeliverable)?;
            splits.duplicates.write(&duplicates)?;
            splits.suppression.write(b"email\n")?;
            splits.rejected.write(b"line,cause,text\n")?;
        }
        Ok(())
    }

    /// Writes one row to the results and to the list that it belongs to.
    ///
    /// `repaired` is the address as it was cleaned, when the cell was not clean; `duplicate_of` the number of the
    /// first row with this address.
    pub fn write(
        &mut self,
        row: &Row<'_>,
        record: &Record,
        repaired: Option<&str>,
        duplicate_of: Option<u64>,
    ) -> Result<(), ListError> {
        if self.layout.is_ndjson()
            && let Some(rejected) = self.layout.clash(row)
        {
            return self.reject(&rejected);
        }
        let told = Told { record, duplicate_of };
        self.line.clear();
        self.layout.told_row(row, &self.columns, told, &mut self.line);
        self.results.write(&self.line)?;
        self.counts.results += 1;
        let reason = record.judgement.reason;
        if duplicate_of.is_some() {
            self.counts.duplicates += 1;
        } else {
            self.counts.verdicts[reason.verdict() as usize] += 1;
            *self.counts.reasons.entry(reason).or_default() += 1;
        }
        let Some(splits) = &mut self.splits else {
            return Ok(());
        };
        if duplicate_of.is_some() {
            self.line.clear();
            self.layout
                .told_row(row, &self.duplicate_columns, told, &mut self.line);
            return splits.duplicates.write(&self.line);
        }
        match reason.verdict() {
            Verdict::Risky => splits.risky.write(&self.line),
            Verdict::Deliverable => {
                self.line.clear();
                // The cleaned list never holds an address that was not checked.
                let clean = repaired.or((row.extent != Extent::Whole).then(|| row.address()));
                self.layout.own_row(row, clean, &mut self.line);
                splits.deliverable.write(&self.line)
            }
            Verdict::Unknown => {
                self.line.clear();
                self.layout.own_row(row, None, &mut self.line);
                let unsettled = if self.unprobed {
                    &mut splits.deliverable
                } else {
                    &mut splits.retry
                };
                unsettled.write(&self.line)
            }
            Verdict::Undeliverable => {
                self.line.clear();
                self.layout
                    .told_row(row, &self.undeliverable_columns, told, &mut self.line);
                splits.undeliverable.write(&self.line)?;
                let sure = record.judgement.confidence == Confidence::Confirmed;
                if sure && reason != Reason::Found(Finding::Empty) {
                    self.counts.suppressed += 1;
                    self.line.clear();
                    cell::write(&mut self.line, repaired.unwrap_or(row.address()).trim(), b',');
                    self.line.push(b'\n');
                    splits.suppression.write(&self.line)?;
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
        let mut writer = csv::Writer::from_writer(std::mem::take(&mut self.line));
        let line = rejected.line.to_string();
        let written = writer.write_record([&line, &rejected.cause.to_string(), &rejected.text]);
        self.line = writer.into_inner().unwrap_or_default();
        written.map_err(|error| ListError::write(&splits.rejected.path, error.into()))?;
        splits.rejected.write(&self.line)?;
        self.line.clear();
        Ok(())
    }

    /// Puts all files in their places.
    pub fn finish(self) -> Result<Finished, ListError> {
        let folder = self
            .splits
            .as_ref()
            .map(|splits| (splits.folder.clone(), splits.stem.clone()));
        match self.results {
            Results::File(output) => {
                if let Some((folder, stem)) = &folder {
                    remove_earlier(folder, stem)?;
                }
                // First, because the next run knows by it that the other files are ours.
                output.place()?;
            }
            Results::Stdout(mut stream) => {
                stream
                    .flush()
                    .map_err(|error| ListError::write(Path::new("stdout"), error))?;
            }
        }
        if let Some(splits) = self.splits {
            splits.deliverable.place()?;
            if !self.unprobed {
                splits.retry.place()?;
            }
            for output in [
                splits.risky,
                splits.undeliverable,
                splits.duplicates,
                splits.suppression,
                splits.rejected,
            ] {
                output.place()?;
            }
        }
        Ok(Finished {
            counts: self.counts,
            folder,
        })
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

fn file_names(stem: &str) -> impl Iterator<Item = String> {
    let lists = FILES
        .iter()
        .flat_map(|file| ["csv", "ndjson"].map(|ending| format!("{file}.{ending}")));
    let others = ["report.html", "summary.json"].map(str::to_owned);
    lists.chain(others).map(move |file| format!("{stem}.{file}"))
}

fn folder_outputs(
    folder: &Path,
    form: &Form,
    layout: &Layout,
    options: &WriteOptions,
) -> Result<(Output, Splits), ListError> {
    make_folder(folder).map_err(|error| ListError::write(folder, error))?;
    let stem = form.stem();
    let ending = if layout.is_ndjson() { "ndjson" } else { "csv" };
    let ours = ["csv", "ndjson"].map(|ending| folder.join(format!("{stem}.results.{ending}")));
    let ours = ours.iter().any(|path| is_results(path));
    for name in file_names(&stem) {
        may_replace(&folder.join(name), form, || ours)?;
    }
    let output =
        |what: &str, ending: &str| Output::create(folder, folder.join(format!("{stem}.{what}.{ending}")));
    let splits = Splits {
        deliverable: output(
            if options.unprobed {
                "unprobed"
            } else {
                "deliverable"
            },
            ending,
        )?,
        risky: output("risky", ending)?,
        undeliverable: output("undeliverable", ending)?,
        retry: output("retry", ending)?,
        duplicates: output("duplicates", ending)?,
        suppression: output("suppression", "csv")?,
        rejected: output("rejected", "csv")?,
        folder: folder.to_owned(),
        stem: stem.clone(),
    };
    Ok((output("results", ending)?, splits))
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Refuses a place where a link, a folder, the list itself or somebody else's file is.
fn may_replace(path: &Path, form: &Form, is_ours: impl FnOnce() -> bool) -> Result<(), ListError> {
    let meta = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(ListError::write(path, error)),
        Ok(meta) => meta,
    };
    if meta.is_symlink() {
        return Err(ListError::Link {
            path: path.to_owned(),
        });
    }
    let same = |input: &PathBuf| match (input.canonicalize(), path.canonicalize()) {
        (Ok(input), Ok(output)) => input == output,
        _ => false,
    };
    if form.path.as_ref().is_some_and(same) {
        return Err(ListError::Itself {
            path: path.to_owned(),
        });
    }
    // Nothing is lost with an empty file, such as `mktemp` makes.
    if meta.is_file() && (meta.len() == 0 || is_ours()) {
        Ok(())
    } else {
        Err(ListError::Foreign {
            path: path.to_owned(),
        })
    }
}

/// True for a file whose first line has our columns.
fn is_results(path: &Path) -> bool {
    const MAX_HEADER_BYTES: u64 = 1 << 20;
    let Ok(file) = File::open(path) else { return false };
    let mut line = Vec::new();
    let mut start = BufReader::new(io::Read::take(file, MAX_HEADER_BYTES));
    if start.read_until(b'\n', &mut line).is_err() {
        return false;
    }
    let line = String::from_utf8_lossy(&line);
    if let Ok(fields) = super::json::fields(line.trim_end()) {
        let names: Vec<String> = fields.into_iter().map(|field| field.key).collect();
        return columns::earlier(&names).is_some();
    }
    [b',', b';', b'\t', b'|'].into_iter().any(|delimiter| {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .from_reader(line.as_bytes());
        let header = reader.records().next().and_then(Result::ok);
        let names: Vec<String> = header.iter().flatten().map(str::to_owned).collect();
        columns::earlier(&names).is_some()
    })
}

/// Takes away what an earlier run left, the summary first: it says that a run is done.
fn remove_earlier(folder: &Path, stem: &str) -> Result<(), ListError> {
    let names: Vec<String> = file_names(stem).collect();
    for name in names.iter().rev() {
        let path = folder.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ListError::write(&path, error));
            }
            _ => {}
        }
    }
    Ok(())
}
