//! Why a list is not read or results are not written, each with what to do next.
//!
//! Decides: the texts and the exit codes. Must not: stop a run for one row; an unreadable row is data
//! ([`UnreadableRow`](super::UnreadableRow)).

use std::io;
use std::path::{Path, PathBuf};

use crate::smtp::sanitize;

/// Why a list is not read or its results are not written.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The list can't be opened, or its beginning can't be read.
    #[error("cannot read `{name}`: {source}")]
    Read {
        /// The list as the user named it.
        name: String,
        /// The error of the system.
        source: io::Error,
    },
    /// Reading fails after some rows: the compressed data are damaged or unpack to too much, or the disk fails.
    #[error("cannot read `{name}` from line {line} on: {source}")]
    ReadRest {
        /// The list as the user named it.
        name: String,
        /// 1-based.
        line: u64,
        /// The error of the system or of the decompressor.
        source: io::Error,
    },
    /// The file was written to during the run, which reads it more than once.
    #[error("`{name}` was changed while it was read")]
    Changed {
        /// The list as the user named it.
        name: String,
    },
    /// The list is a folder.
    #[error("cannot read `{name}`: it is a folder")]
    Folder {
        /// The list as the user named it.
        name: String,
    },
    /// The list has no bytes, or white space only.
    #[error("`{name}` is empty")]
    Empty {
        /// The list as the user named it.
        name: String,
    },
    /// The file has a known format that is not a list.
    #[error("`{name}` is {what}, which cannot be read as a list")]
    NotAList {
        /// The list as the user named it.
        name: String,
        /// The format, with its article.
        what: &'static str,
        /// How to make a list of the file.
        hint: &'static str,
    },
    /// The header, or most rows, have more cells than `MAX_COLUMNS` of `list::format`.
    #[error("`{name}`, line {line}: more than {limit} columns")]
    TooManyColumns {
        /// The list as the user named it.
        name: String,
        /// 1-based.
        line: u64,
        /// The most columns that are allowed.
        limit: usize,
    },
    /// The first line is longer than `MAX_RECORD_BYTES` of `list::format`.
    #[error("`{name}`, line {line}: no line end within {limit} bytes")]
    EndlessLine {
        /// The list as the user named it.
        name: String,
        /// 1-based.
        line: u64,
        /// In bytes.
        limit: usize,
    },
    /// A quote in the header is not closed, so that the names of the columns are not known.
    #[error("`{name}`, line {line}: a quote opens in the header and is not closed")]
    UnclosedHeader {
        /// The list as the user named it.
        name: String,
        /// 1-based.
        line: u64,
    },
    /// `--sheet` names a sheet that the workbook does not have.
    #[error("`{name}`: there is no sheet `{sheet}`")]
    UnknownSheet {
        /// The list as the user named it.
        name: String,
        /// The value of `--sheet`.
        sheet: String,
        /// The names of all sheets.
        sheets: Vec<String>,
    },
    /// The list cannot have the form of the profile.
    #[error("`--profile` cannot be used here: {why}")]
    NoProfile {
        /// The cause.
        why: String,
    },
    /// `--sheet` is given for a list that is no workbook.
    #[error("`{name}` is not an Excel workbook (XLSX), so it has no sheet `{sheet}`")]
    NotAWorkbook {
        /// The list as the user named it.
        name: String,
        /// The value of `--sheet`.
        sheet: String,
    },
    /// No encoding explains the text well, or several do.
    #[error("`{name}`: the encoding of its text is not clear")]
    UnknownEncoding {
        /// The list as the user named it.
        name: String,
        /// The likely labels, the likeliest first.
        likely: Vec<&'static str>,
    },
    /// Two lines of the list may be its header.
    #[error("`{name}`: line {} and line {} both look like the header", lines[0], lines[1])]
    TwoHeaders {
        /// The list as the user named it.
        name: String,
        /// 1-based.
        lines: [u64; 2],
    },
    /// The line of `--header-row` is not the start of a row.
    #[error("`{name}`: no row starts on line {line}, which `--header-row` names")]
    NoHeaderLine {
        /// The list as the user named it.
        name: String,
        /// The value of `--header-row`.
        line: u64,
    },
    /// Neither a name in the header nor the cells show which column holds the addresses.
    #[error("`{name}`, line {line}: no column holds e-mail addresses")]
    NoAddressColumn {
        /// The list as the user named it.
        name: String,
        /// Of the header, or of the first row.
        line: u64,
        /// The names of all columns.
        columns: Vec<String>,
    },
    /// `--column` names a column that the list does not have.
    #[error("`{name}`, line {line}: there is no column `{column}`")]
    UnknownColumn {
        /// The list as the user named it.
        name: String,
        /// Of the header, or of the first row.
        line: u64,
        /// The value of `--column`.
        column: String,
        /// The names of all columns.
        columns: Vec<String>,
    },
    /// With the value of `--column-prefix` an added column has the name of a column of the list.
    #[error(
        "`{name}`: with the column prefix `{prefix}` an added column has the same name as the list's column `{column}`"
    )]
    PrefixTaken {
        /// The list as the user named it.
        name: String,
        /// The value of `--column-prefix`.
        prefix: String,
        /// The column of the list.
        column: String,
    },
    /// The value of `--column-prefix` can't begin the name of a column.
    #[error("`{prefix}` cannot be a column prefix")]
    BadPrefix {
        /// The value of `--column-prefix`.
        prefix: String,
    },
    /// There is no copy of the results for spreadsheet programs.
    #[error("`--spreadsheet-safe`: {why}")]
    NoSpreadsheet {
        /// The reason.
        why: &'static str,
    },
    /// An output can't be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The output.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A temporary file can't be written: a copy of a list from a pipe, or the index of duplicates.
    #[error("cannot write a temporary file in `{}`: {source}", folder.display())]
    TemporaryFile {
        /// The folder for temporary files.
        folder: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The path of an output has a file that is not a result of an earlier run.
    #[error("`{}` exists and is not a result of an earlier run", path.display())]
    NotAResult {
        /// The file.
        path: PathBuf,
    },
    /// The path of an output is a symbolic link.
    #[error("`{}` is a symbolic link, and results are not written through links", path.display())]
    SymbolicLink {
        /// The link.
        path: PathBuf,
    },
    /// An output would replace the list.
    #[error("`{}` is the list itself", path.display())]
    ListItself {
        /// The file.
        path: PathBuf,
    },
}

/// What a [`ListError`] is about, which decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The command line (exit code 2).
    Usage,
    /// The list can't be read (exit code 65).
    Unreadable,
    /// An output can't be written (exit code 74).
    Unwritable,
}

impl ErrorClass {
    /// The exit code, as in the table of the guide.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorClass::Usage => 2,
            ErrorClass::Unreadable => 65,
            ErrorClass::Unwritable => 74,
        }
    }
}

impl ListError {
    /// What the error is about.
    pub fn class(&self) -> ErrorClass {
        match self {
            ListError::Read { .. }
            | ListError::ReadRest { .. }
            | ListError::Changed { .. }
            | ListError::Folder { .. }
            | ListError::Empty { .. }
            | ListError::NotAList { .. }
            | ListError::TooManyColumns { .. }
            | ListError::EndlessLine { .. }
            | ListError::UnclosedHeader { .. }
            | ListError::UnknownEncoding { .. }
            | ListError::TwoHeaders { .. }
            | ListError::NoAddressColumn { .. } => ErrorClass::Unreadable,
            ListError::NoHeaderLine { .. }
            | ListError::NoSpreadsheet { .. }
            | ListError::UnknownSheet { .. }
            | ListError::NotAWorkbook { .. }
            | ListError::UnknownColumn { .. }
            | ListError::PrefixTaken { .. }
            | ListError::NoProfile { .. }
            | ListError::BadPrefix { .. } => ErrorClass::Usage,
            ListError::Write { .. }
            | ListError::TemporaryFile { .. }
            | ListError::NotAResult { .. }
            | ListError::SymbolicLink { .. }
            | ListError::ListItself { .. } => ErrorClass::Unwritable,
        }
    }

    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            ListError::Read { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => "check the name; `-` reads the list from stdin".into(),
                io::ErrorKind::PermissionDenied => {
                    "ask the owner of the file for the right to read it".into()
                }
                io::ErrorKind::FileTooLarge => UNPACK_IT.into(),
                io::ErrorKind::IsADirectory => "name one file in it".into(),
                _ => "download or export the file again; it may be damaged".into(),
            },
            ListError::ReadRest { source, .. } => match source.kind() {
                io::ErrorKind::FileTooLarge => UNPACK_IT.into(),
                _ => "download or export the file again; it is damaged or cut short".into(),
            },
            ListError::Changed { .. } => {
                "run the same command again when no program writes to the file; answers in the state are used again"
                    .into()
            }
            ListError::Folder { .. } => "name one file in it".into(),
            ListError::Empty { .. } => "export the list again and check that it has rows".into(),
            ListError::NotAList { hint, .. } => (*hint).into(),
            ListError::TooManyColumns { .. } => {
                "export only the columns that you need, among them the address".into()
            }
            ListError::EndlessLine { .. } => "export as CSV with one row per line".into(),
            ListError::UnclosedHeader { .. } => "repair the first line, or export the list again".into(),
            ListError::UnknownEncoding { likely, .. } if likely.is_empty() => {
                "name it with `--encoding LABEL`, or save the list as UTF-8".into()
            }
            ListError::UnknownEncoding { likely, .. } => format!(
                "name it with `--encoding LABEL`, or save the list as UTF-8; likely labels: {}",
                likely.join(", ")
            ),
            ListError::TwoHeaders { lines: [one, other], .. } => {
                format!("name the header: `--header-row {one}` or `--header-row {other}`")
            }
            ListError::UnknownSheet { sheets, .. } => {
                let names: Vec<String> = sheets.iter().take(12).map(|name| format!("`{}`", printable(name))).collect();
                format!("the sheets are {}", names.join(", "))
            }
            ListError::NoSpreadsheet { .. } => "leave it out, or name a folder or a NAME.csv with `-o`".into(),
            ListError::NoProfile { .. } => {
                "leave out `--profile`, or name a folder with `-o`, or a list that fits".into()
            }
            ListError::NotAWorkbook { .. } => "leave out `--sheet`".into(),
            ListError::NoHeaderLine { .. } => {
                "count the lines from 1; the header is within the first megabyte of the list".into()
            }
            ListError::NoAddressColumn { columns, .. } if columns.len() < 2 => {
                format!("name what separates its cells with `--delimiter`; {}", name_columns(columns))
            }
            ListError::NoAddressColumn { columns, .. } => {
                format!("name it with `--column`; {}", name_columns(columns))
            }
            ListError::UnknownColumn { columns, .. } => name_columns(columns),
            ListError::PrefixTaken { .. } => "choose another `--column-prefix`".into(),
            ListError::BadPrefix { .. } => {
                "use a letter first, then letters, digits, `_`, `-` and `.`".into()
            }
            ListError::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "free some disk space, or choose another place with `-o`".into()
            }
            ListError::Write { source, .. } if source.kind() == io::ErrorKind::ResourceBusy => {
                "wait until the other run has finished, or choose another place with `-o`".into()
            }
            ListError::Write { source, .. } if source.kind() == io::ErrorKind::InvalidFilename => {
                "the name is too long: choose a shorter one with `-o`".into()
            }
            ListError::Write { .. } => "choose another place with `-o`".into(),
            ListError::TemporaryFile { .. } => {
                "free some disk space there, or name another folder with `TMPDIR`".into()
            }
            ListError::NotAResult { .. } => "move it away, or choose another place with `-o`".into(),
            ListError::SymbolicLink { .. } => "remove the link, or choose another place with `-o`".into(),
            ListError::ListItself { .. } => "choose another name with `-o`".into(),
        }
    }

    /// A temporary file can't be written.
    pub fn temporary_file(source: io::Error) -> ListError {
        ListError::TemporaryFile { folder: std::env::temp_dir(), source }
    }

    pub(super) fn write(path: &Path, source: io::Error) -> ListError {
        ListError::Write { path: path.to_owned(), source }
    }
}

const UNPACK_IT: &str = "if you trust it, unpack it yourself and name the unpacked file";

/// Makes a [`ListError::Read`] for the list with this name.
pub(super) fn read_error(name: &str) -> impl FnOnce(io::Error) -> ListError + '_ {
    move |source| ListError::Read { name: name.to_owned(), source }
}

/// Why a stream or a workbook could not be copied to a temporary file.
#[derive(Debug)]
pub(super) enum CopyError {
    /// The original can't be read.
    Original(io::Error),
    /// The copy can't be written.
    Copy(io::Error),
}

impl From<io::Error> for CopyError {
    fn from(error: io::Error) -> CopyError {
        CopyError::Original(error)
    }
}

impl CopyError {
    /// The error for a list with this name.
    pub(super) fn of_list(self, name: &str) -> ListError {
        match self {
            CopyError::Original(source) => ListError::Read { name: name.to_owned(), source },
            CopyError::Copy(source) => ListError::temporary_file(source),
        }
    }
}

/// The names of the columns to choose from; of a wide list the first ones.
fn name_columns(columns: &[String]) -> String {
    const SHOWN: usize = 12;
    let mut names: Vec<String> = (1..)
        .zip(columns)
        .take(SHOWN)
        .map(|(number, name)| format!("{number} `{}`", printable(name)))
        .collect();
    if columns.len() > SHOWN {
        names.push(format!("and {} more", columns.len() - SHOWN));
    }
    format!("the columns are {}", names.join(", "))
}

/// A name from a list as it is printed: short, and without characters that control a terminal.
pub(super) fn printable(name: &str) -> String {
    const SHOWN_CHARS: usize = 40;
    let name = sanitize(name);
    match name.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name,
    }
}
