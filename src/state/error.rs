//! Faults of a state, each with a hint.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why a state can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process holds the lock.
    #[error("`{}` is in use by process {holder}", file.display())]
    Locked {
        /// Which.
        file: PathBuf,
        /// Process id and start of the holder, as the lock file has them.
        holder: String,
    },
    /// The file is of another program.
    #[error("`{}` is not a state of listproof", file.display())]
    Foreign {
        /// Which.
        file: PathBuf,
    },
    /// A newer listproof wrote it.
    #[error("`{}` was written by a newer listproof (version {found}, this one knows {known})", file.display())]
    Newer {
        /// Which.
        file: PathBuf,
        /// The version of the file.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// It holds facts of another network.
    #[error("`{}` holds results of {stored}, not of {wanted}", file.display())]
    OtherNamespace {
        /// Which.
        file: PathBuf,
        /// The network whose facts it holds.
        stored: String,
        /// The network of this run.
        wanted: String,
    },
    /// The file does not exist and is needed.
    #[error("`{}` does not exist", file.display())]
    Missing {
        /// Which.
        file: PathBuf,
    },
    /// No folder for a state file is known.
    #[error("no place for the state: neither `STATE_DIRECTORY`, `XDG_STATE_HOME` nor `HOME` is set")]
    NoPlace,
    /// The folder can't be made, or the file can't be opened.
    #[error("cannot open `{}`: {source}", file.display())]
    Unusable {
        /// Which.
        file: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// A temporary state can't be made.
    #[error("cannot write a temporary state in `{}`: {source}", folder.display())]
    Temporary {
        /// The folder for temporary files.
        folder: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The file is damaged.
    #[error("`{}` is damaged: {what}", file.display())]
    Damaged {
        /// Which.
        file: PathBuf,
        /// The error of the database.
        what: String,
    },
    /// The state has no run over the list to report on.
    #[error("the state has no run over this list")]
    NoRun,
    /// The disk is full, or fails.
    #[error("cannot read or write `{}`: {what}", file.display())]
    Disk {
        /// Which.
        file: PathBuf,
        /// The error of the database.
        what: String,
    },
    /// Another program writes to the file.
    #[error("another program is writing to `{}`", file.display())]
    Busy {
        /// Which.
        file: PathBuf,
    },
    /// Another error of the database.
    #[error("cannot read or write the state: {0}")]
    Database(DatabaseError),
}

/// An error of the database library, opaque so that no user of this library depends on that one.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct DatabaseError(rusqlite::Error);

impl From<rusqlite::Error> for StateError {
    fn from(error: rusqlite::Error) -> StateError {
        StateError::Database(DatabaseError(error))
    }
}

impl StateError {
    /// This error with the file in which it happened.
    #[must_use]
    pub fn at(self, file: &Path) -> StateError {
        let StateError::Database(DatabaseError(error)) = self else {
            return self;
        };
        let (file, what) = (file.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => StateError::Damaged { file, what },
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                StateError::Unusable { file, source: std::io::Error::other(what) }
            }
            Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => StateError::Disk { file, what },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StateError::Busy { file },
            _ => error.into(),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            StateError::Locked { .. } => {
                "wait until that process has ended, as `verify --wait-lock` does, or use another file with `--state FILE`"
                    .to_owned()
            }
            StateError::Foreign { .. } => {
                "nothing was changed; name another file with `--state FILE`, or move this one to another place".to_owned()
            }
            StateError::Damaged { .. } => {
                "nothing was repaired; move it to another place, or name another file with `--state FILE`; `sqlite3 FILE \
                 .recover` prints what can still be read"
                    .to_owned()
            }
            StateError::Busy { .. } => {
                "close the other program, such as `sqlite3`, then run the same command again: it \
                 resumes where it stopped"
                    .to_owned()
            }
            StateError::Newer { .. } => {
                "nothing was changed; use that newer listproof, or another file with `--state FILE`"
                    .to_owned()
            }
            StateError::OtherNamespace { .. } => {
                "nothing was changed; use another file with `--state FILE`, or no file with `--no-state`"
                    .to_owned()
            }
            StateError::Missing { .. } => "name the file with `--state FILE`; `verify` creates it".to_owned(),
            StateError::NoPlace => {
                "name a file with `--state FILE`, or use no file with `--no-state`".to_owned()
            }
            StateError::Unusable { .. } => {
                "name a file in a folder of yours with `--state FILE`; `verify --no-state` needs no file"
                    .to_owned()
            }
            StateError::Temporary { .. } => {
                "name a folder with room in `TMPDIR`, or a file for the state with `--state FILE`".to_owned()
            }
            StateError::NoRun => {
                "run `listproof verify` over it first, with the same `--state` and the same column".to_owned()
            }
            StateError::Disk { .. } | StateError::Database(_) => {
                "make room on the disk, then run the same command again: it resumes where it stopped"
                    .to_owned()
            }
        }
    }

    /// True if the state can't be read or written, which exits as an output that can't be written does; false if
    /// another file or command is needed.
    pub(crate) fn is_about_writing(&self) -> bool {
        match self {
            StateError::Unusable { .. }
            | StateError::Temporary { .. }
            | StateError::Disk { .. }
            | StateError::Busy { .. }
            | StateError::Database(_)
            | StateError::Damaged { .. } => true,
            StateError::Locked { .. }
            | StateError::Foreign { .. }
            | StateError::Newer { .. }
            | StateError::OtherNamespace { .. }
            | StateError::Missing { .. }
            | StateError::NoPlace
            | StateError::NoRun => false,
        }
    }
}
