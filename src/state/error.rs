//! What can be wrong with a state, each with what to do next.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the state can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process uses it.
    #[error("`{}` is in use by process {holder}", file.display())]
    Locked {
        /// Which.
        file: PathBuf,
        /// Its process id and start, as far as they can be read.
        holder: String,
    },
    /// It is somebody else's file.
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
        /// Its version.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// It is about another world.
    #[error("`{}` is about {theirs}, not {ours}", file.display())]
    OtherNamespace {
        /// Which.
        file: PathBuf,
        /// What its facts are about.
        theirs: String,
        /// What this run is about.
        ours: String,
    },
    /// It does not exist, where it must.
    #[error("`{}` does not exist", file.display())]
    Missing {
        /// Which.
        file: PathBuf,
    },
    /// There is no place for one.
    #[error("no place for the state: neither `STATE_DIRECTORY`, `XDG_STATE_HOME` nor `HOME` is set")]
    NoPlace,
    /// Its folder can't be made, or the file not opened.
    #[error("cannot open `{}`: {source}", file.display())]
    Unusable {
        /// Which.
        file: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A temporary one can't be made.
    #[error("cannot keep what is found out in `{}`: {source}", folder.display())]
    Temporary {
        /// Where.
        folder: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// It is damaged.
    #[error("`{}` is damaged: {what}", file.display())]
    Damaged {
        /// Which.
        file: PathBuf,
        /// What the database says.
        what: String,
    },
    /// The list has no run in it to report on.
    #[error("no run over this list is known")]
    NoRun,
    /// The disk is full, or fails.
    #[error("cannot read or write `{}`: {what}", file.display())]
    Disk {
        /// Which.
        file: PathBuf,
        /// What the database says.
        what: String,
    },
    /// Another program writes to it.
    #[error("another program is writing to `{}`", file.display())]
    Busy {
        /// Which.
        file: PathBuf,
    },
    /// The database refused something else.
    #[error("the state can't be written or read: {0}")]
    Database(#[from] rusqlite::Error),
}

impl StateError {
    /// The same, now that it is known in which file it happened.
    #[must_use]
    pub fn at(self, file: &Path) -> StateError {
        let StateError::Database(error) = self else {
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
            _ => StateError::Database(error),
        }
    }

    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            StateError::Locked { .. } => {
                "wait until that has ended, as `verify --wait-lock` does, or use another file with `--state FILE`"
                    .to_owned()
            }
            StateError::Foreign { .. } => {
                "nothing was changed; name another file with `--state FILE`, or move this one away".to_owned()
            }
            StateError::Damaged { .. } => {
                "nothing was repaired; move it away, or name another file with `--state FILE`; `sqlite3 FILE \
                 .recover` prints what can still be read"
                    .to_owned()
            }
            StateError::Busy { .. } => {
                "close what else has it open, such as `sqlite3`, then run the same command again: it goes on \
                 where it stopped"
                    .to_owned()
            }
            StateError::Newer { .. } => {
                "nothing was changed; use that newer listproof, or another file with `--state FILE`"
                    .to_owned()
            }
            StateError::OtherNamespace { .. } => {
                "nothing was changed; use another file with `--state FILE`, or none with `--no-state`"
                    .to_owned()
            }
            StateError::Missing { .. } => "name the file with `--state FILE`; `verify` makes it".to_owned(),
            StateError::NoPlace => {
                "name a file with `--state FILE`, or use none with `--no-state`".to_owned()
            }
            StateError::Unusable { .. } => {
                "name a file in a folder of yours with `--state FILE`; `verify --no-state` does without one"
                    .to_owned()
            }
            StateError::Temporary { .. } => {
                "name a folder with room in `TMPDIR`, or a file for the state with `--state FILE`".to_owned()
            }
            StateError::NoRun => {
                "run `listproof verify` over it first, with the same `--state` and the same column".to_owned()
            }
            StateError::Disk { .. } | StateError::Database(_) => {
                "make room on the disk, then run the same command again: it goes on where it stopped"
                    .to_owned()
            }
        }
    }

    /// True where no output can be written because of it; else the configuration is wrong.
    pub fn is_about_writing(&self) -> bool {
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
