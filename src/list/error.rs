//! What can go wrong with a whole list, each with where and what to do next.
//!
//! A row that can't be read is not here: it is data ([`Rejected`](super::Rejected)) and costs nobody the run.

use std::io;
use std::path::{Path, PathBuf};

use crate::list::input::shown;

/// Why a list could not be read, or its results not be written.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The input could not be opened, or reading failed in the middle.
    #[error("cannot read `{name}`: {source}")]
    Read {
        /// The input as it was named.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// Reading failed in the middle: damaged packing, a disk that fails, a bomb.
    #[error("cannot read `{name}` from line {line} on: {source}")]
    Torn {
        /// The input as it was named.
        name: String,
        /// 1-based.
        line: u64,
        /// What the system, or the unpacker, says.
        source: io::Error,
    },
    /// Somebody wrote to the input while it was read, which is done more than once.
    #[error("`{name}` was changed while it was read")]
    Changed {
        /// The input as it was named.
        name: String,
    },
    /// The input is a folder.
    #[error("cannot read `{name}`: it is a folder")]
    Folder {
        /// The input as it was named.
        name: String,
    },
    /// No byte in it, or none that is not white space.
    #[error("`{name}` is empty")]
    Empty {
        /// The input as it was named.
        name: String,
    },
    /// A known format that holds no plain text.
    #[error("`{name}` is {what}, which cannot be read as a list")]
    Binary {
        /// The input as it was named.
        name: String,
        /// The format, with its article.
        what: &'static str,
        /// How to get a readable list out of it.
        hint: &'static str,
    },
    /// The header or a usual row has more cells than any list has.
    #[error("`{name}`, line {line}: more than {limit} columns")]
    TooManyColumns {
        /// The input as it was named.
        name: String,
        /// 1-based.
        line: u64,
        /// As allowed.
        limit: usize,
    },
    /// The first line is longer than any record may be.
    #[error("`{name}`, line {line}: no line end within {limit} bytes")]
    EndlessLine {
        /// The input as it was named.
        name: String,
        /// 1-based.
        line: u64,
        /// In bytes.
        limit: usize,
    },
    /// The header can't be told from the rows.
    #[error("`{name}`, line {line}: a quote opens in the header and is not closed")]
    BrokenHeader {
        /// The input as it was named.
        name: String,
        /// 1-based.
        line: u64,
    },
    /// Neither a header nor the cells tell which column holds the addresses.
    #[error("`{name}`, line {line}: no column holds e-mail addresses")]
    NoAddressColumn {
        /// The input as it was named.
        name: String,
        /// Of the header, or of the first row.
        line: u64,
        /// The columns there are.
        columns: Vec<String>,
    },
    /// `--column` names a column that the list does not have.
    #[error("`{name}`, line {line}: there is no column `{column}`")]
    UnknownColumn {
        /// The input as it was named.
        name: String,
        /// Of the header, or of the first row.
        line: u64,
        /// As asked for.
        column: String,
        /// The columns there are.
        columns: Vec<String>,
    },
    /// `--column-prefix` makes names that the list already has.
    #[error("`{name}`: the column prefix `{prefix}` does not keep ours apart from the column `{column}`")]
    PrefixTaken {
        /// The input as it was named.
        name: String,
        /// As asked for.
        prefix: String,
        /// The column of the input that has such a name.
        column: String,
    },
    /// A text that can't be a column name's beginning.
    #[error("`{prefix}` cannot be a column prefix")]
    BadPrefix {
        /// As asked for.
        prefix: String,
    },
    /// An output could not be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The output.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is no room for a temporary file: a copy of what can't be read twice, or which rows repeat others.
    #[error("cannot write a temporary file in `{}`: {source}", folder.display())]
    Spool {
        /// Where it would be.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file that we did not make stands where an output goes.
    #[error("`{}` is there already and is not an earlier result", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A link stands where an output goes.
    #[error("`{}` is a symbolic link, and results are not written through links", path.display())]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// An output would replace the input.
    #[error("`{}` is the list itself", path.display())]
    Itself {
        /// The file.
        path: PathBuf,
    },
}

/// Who has to act on a [`ListError`]; `main` makes an exit code of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// What was typed can't be meant (exit code 2).
    Usage,
    /// The input can't be read (exit code 65).
    Unreadable,
    /// An output can't be written (exit code 74).
    Unwritable,
}

impl ErrorClass {
    /// The exit code (the README lists them).
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorClass::Usage => 2,
            ErrorClass::Unreadable => 65,
            ErrorClass::Unwritable => 74,
        }
    }
}

impl ListError {
    /// Who has to act.
    pub fn class(&self) -> ErrorClass {
        match self {
            ListError::Read { .. }
            | ListError::Torn { .. }
            | ListError::Changed { .. }
            | ListError::Folder { .. }
            | ListError::Empty { .. }
            | ListError::Binary { .. }
            | ListError::TooManyColumns { .. }
            | ListError::EndlessLine { .. }
            | ListError::BrokenHeader { .. }
            | ListError::NoAddressColumn { .. } => ErrorClass::Unreadable,
            ListError::UnknownColumn { .. } | ListError::PrefixTaken { .. } | ListError::BadPrefix { .. } => {
                ErrorClass::Usage
            }
            ListError::Write { .. }
            | ListError::Spool { .. }
            | ListError::Foreign { .. }
            | ListError::Link { .. }
            | ListError::Itself { .. } => ErrorClass::Unwritable,
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
                _ => "fetch or export the file again; it may be damaged".into(),
            },
            ListError::Torn { source, .. } => match source.kind() {
                io::ErrorKind::FileTooLarge => UNPACK_IT.into(),
                _ => "fetch or export the file again; it is damaged or cut short".into(),
            },
            ListError::Changed { .. } => {
                "run the same command again when nobody writes to it; most of what a state knows is not asked again"
                    .into()
            }
            ListError::Folder { .. } => "name one file in it".into(),
            ListError::Empty { .. } => "export the list again and look whether it has rows".into(),
            ListError::Binary { hint, .. } => (*hint).into(),
            ListError::TooManyColumns { .. } => {
                "export only the columns that you need, among them the address".into()
            }
            ListError::EndlessLine { .. } => "export as CSV with one row per line".into(),
            ListError::BrokenHeader { .. } => "repair the first line, or export the list again".into(),
            ListError::NoAddressColumn { columns, .. } => {
                format!("name it with `--column`; {}", there_are(columns))
            }
            ListError::UnknownColumn { columns, .. } => there_are(columns),
            ListError::PrefixTaken { .. } => "choose another `--column-prefix`".into(),
            ListError::BadPrefix { .. } => {
                "use a letter first, then letters, digits, `_`, `-` and `.`".into()
            }
            ListError::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "make room, or choose another place with `-o`".into()
            }
            ListError::Write { source, .. } if source.kind() == io::ErrorKind::ResourceBusy => {
                "wait until it is done, or choose another place with `-o`".into()
            }
            ListError::Write { .. } => "choose another place with `-o`".into(),
            ListError::Spool { .. } => "make room there, or name another folder with `TMPDIR`".into(),
            ListError::Foreign { .. } => "move it away, or choose another place with `-o`".into(),
            ListError::Link { .. } => "remove the link, or choose another place with `-o`".into(),
            ListError::Itself { .. } => "choose another name with `-o`".into(),
        }
    }

    /// A temporary file can't be written.
    pub fn spool(source: io::Error) -> ListError {
        ListError::Spool { folder: std::env::temp_dir(), source }
    }

    pub(super) fn write(path: &Path, source: io::Error) -> ListError {
        ListError::Write { path: path.to_owned(), source }
    }
}

const UNPACK_IT: &str = "if you trust it, unpack it yourself and name the unpacked file";

/// Puts the list's name to what the system says.
pub(super) fn read_error(name: &str) -> impl FnOnce(io::Error) -> ListError + '_ {
    move |source| ListError::Read { name: name.to_owned(), source }
}

/// Names the columns a user can choose from; a wide list only in part.
fn there_are(columns: &[String]) -> String {
    const SHOWN: usize = 12;
    let mut names: Vec<String> =
        (1..).zip(columns).take(SHOWN).map(|(number, name)| format!("{number} `{}`", shown(name))).collect();
    if columns.len() > SHOWN {
        names.push(format!("and {} more", columns.len() - SHOWN));
    }
    format!("the columns are {}", names.join(", "))
}
