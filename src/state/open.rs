//! Opening a state: where it is, whether it is one, and what it is about.
//!
//! Decides: what is refused, before anything is changed: foreign files, newer versions, other universes. Files are
//! readable by their owner only, and so is the folder that is made for them.

use std::cell::RefCell;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::migrate::{APPLICATION_ID, FIRST_WITH_NAMESPACE, VERSION, migrate, version_of};
use super::{State, StateError, StateLock};
use crate::secure_file;

/// Memory for pages of the file, while it is written; and while a roster is sorted, which takes as much again twice.
pub(super) const WRITING_KIB: usize = 16 << 10;
pub(super) const SORTING_KIB: usize = 8 << 10;
/// The same while it is told about: what is left to the one that writes, and what all have who read together. Where much was
/// written before, less is to be had: what the writer gives back is in pieces.
const WRITER_KIB: usize = 4 << 10;
const READERS_KIB: usize = 64 << 10;
const READERS_AFTER_WRITING_KIB: usize = 24 << 10;
/// So many can read a temporary state at once.
const READERS: usize = 8;
/// How long another tool that reads or writes the file is waited for.
const BUSY: std::time::Duration = std::time::Duration::from_secs(20);

/// What a state's facts are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace(pub String);

impl Namespace {
    /// The Internet as it is.
    pub fn internet() -> Namespace {
        Namespace("the Internet".to_owned())
    }
}

/// Where the state is when nobody says where: `$STATE_DIRECTORY` (systemd), `$XDG_STATE_HOME/listproof`, or
/// `~/.local/state/listproof`. Each universe has a file of its own there.
pub fn default_file(namespace: &Namespace) -> Result<PathBuf, StateError> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // systemd names several folders with a colon between them.
    let systemd = std::env::var("STATE_DIRECTORY").ok();
    let systemd = systemd.as_deref().and_then(|paths| paths.split(':').next()).map(PathBuf::from);
    let folder = systemd
        .filter(|path| path.is_absolute())
        .or_else(|| Some(variable("XDG_STATE_HOME")?.join("listproof")))
        .or_else(|| Some(variable("HOME")?.join(".local/state/listproof")))
        .ok_or(StateError::NoPlace)?;
    let name = if *namespace == Namespace::internet() {
        "state.db".to_owned()
    } else {
        format!("state-{:016x}.db", super::NameHash::of(&namespace.0))
    };
    Ok(folder.join(name))
}

impl State {
    /// A state that is gone when it is dropped, or when the process ends in any way: its file has no name any more. So
    /// memory stays what it is.
    pub fn temporary() -> Result<State, StateError> {
        let unusable = |source| StateError::Temporary { folder: std::env::temp_dir(), source };
        let file = tempfile::Builder::new().prefix("listproof-").tempfile().map_err(unusable)?;
        let db = connect(file.path(), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        db.execute_batch(&format!(
            "PRAGMA cache_size = -{WRITING_KIB}; PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF;"
        ))?;
        migrate(&db, None)?;
        let mut readers = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            readers.push(reader(file.path())?);
        }
        Ok(State::with(db, Readers::Open(RefCell::new(readers)), None))
    }

    /// Connections for those who tell what is known. Most of the writer's memory is theirs from now on.
    pub fn readers(&self, how_many: usize, after_writing: bool) -> Result<Vec<Connection>, StateError> {
        self.set_cache_size(WRITER_KIB)?;
        self.db.execute_batch("PRAGMA shrink_memory")?;
        let theirs = if after_writing { READERS_AFTER_WRITING_KIB } else { READERS_KIB };
        let each = theirs / how_many.max(1);
        std::iter::repeat_with(|| {
            let reader = self.reader()?;
            reader.execute_batch(&format!("PRAGMA cache_size = -{each};"))?;
            Ok(reader)
        })
        .take(how_many)
        .collect()
    }

    /// Memory for pages of the file, for the one that writes.
    pub(super) fn set_cache_size(&self, kib: usize) -> Result<(), StateError> {
        Ok(self.db.execute_batch(&format!("PRAGMA cache_size = -{kib}"))?)
    }

    /// A connection for somebody who only reads what was committed before the first look. To begin and end a view for each
    /// question would take longer than most answers.
    pub fn reader(&self) -> Result<Connection, StateError> {
        let reader = match &self.readers {
            Readers::Of(file) => reader(file),
            Readers::Open(open) => open.borrow_mut().pop().ok_or_else(|| StateError::Temporary {
                folder: std::env::temp_dir(),
                source: io::Error::other("too many readers"),
            }),
        }?;
        reader.execute_batch("BEGIN")?;
        Ok(reader)
    }

    /// Opens a state file for a run, or makes it.
    pub fn open(file: &Path, namespace: &Namespace, now: SystemTime) -> Result<State, StateError> {
        let unusable = |source| StateError::Unusable { file: file.to_owned(), source };
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            secure_file::create_folder(folder).map_err(unusable)?;
        }
        refuse_foreign(file)?;
        let lock = StateLock::take(file, now)?;
        secure_file::open(file).map_err(unusable)?;
        let db = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let damaged = |error| StateError::from(error).at(file);
        check(&db, file)?;
        same_namespace(&db, file, namespace)?;
        db.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -{WRITING_KIB};
             PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864;"
        ))
        .map_err(damaged)?;
        migrate(&db, Some(file)).map_err(|error| error.at(file))?;
        let first = "INSERT INTO namespace (name) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM namespace)";
        db.execute(first, [&namespace.0]).map_err(damaged)?;
        Ok(State::with(db, Readers::Of(file.to_owned()), Some(lock)))
    }

    /// Opens a state file that must exist, for its owner. Whatever it is about.
    pub fn of_owner(file: &Path, now: SystemTime) -> Result<State, StateError> {
        version(file)?;
        let lock = StateLock::take(file, now)?;
        let db = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        migrate(&db, Some(file)).map_err(|error| error.at(file))?;
        Ok(State::with(db, Readers::Of(file.to_owned()), Some(lock)))
    }

    /// Opens a state file for reading, also while a run holds it. One of an older version is brought up to date before; the
    /// run that holds one has done that.
    pub fn read_only(file: &Path, now: SystemTime) -> Result<State, StateError> {
        if version(file)? < VERSION {
            State::of_owner(file, now)?;
        }
        let db = connect(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(State::with(db, Readers::Of(file.to_owned()), None))
    }

    /// Refuses a state of another universe.
    pub fn must_be_about(&self, file: &Path, namespace: &Namespace) -> Result<(), StateError> {
        same_namespace(&self.db, file, namespace)
    }
}

/// Where more connections come from.
pub(super) enum Readers {
    /// The file.
    Of(PathBuf),
    /// Those that were opened while the file had a name.
    Open(RefCell<Vec<Connection>>),
}

fn reader(file: &Path) -> Result<Connection, StateError> {
    connect(file, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

pub(super) fn connect(file: &Path, access: OpenFlags) -> Result<Connection, StateError> {
    let db = Connection::open_with_flags(file, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| StateError::from(error).at(file))?;
    db.busy_timeout(BUSY)?;
    // Each question has one good plan. Without this a question is planned anew whenever its values change.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(db)
}

/// A file that does not begin as a database is not even opened as one.
fn refuse_foreign(file: &Path) -> Result<(), StateError> {
    const MAGIC: &[u8; 16] = b"SQLite format 3\0";
    let mut start = Vec::new();
    match std::fs::File::open(file).and_then(|file| file.take(16).read_to_end(&mut start)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(StateError::Unusable { file: file.to_owned(), source }),
        Ok(_) if start.is_empty() || start == MAGIC => Ok(()),
        Ok(_) => Err(StateError::Foreign { file: file.to_owned() }),
    }
}

/// The version of a state file that must exist.
fn version(file: &Path) -> Result<usize, StateError> {
    let missing = || StateError::Missing { file: file.to_owned() };
    match file.try_exists() {
        Ok(true) => {}
        Ok(false) => return Err(missing()),
        Err(source) => return Err(StateError::Unusable { file: file.to_owned(), source }),
    }
    refuse_foreign(file)?;
    let db = connect(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    check(&db, file)?;
    match version_of(&db)? {
        0 => Err(missing()),
        version => Ok(version),
    }
}

/// Is it ours, or empty, and can it be read?
fn check(db: &Connection, file: &Path) -> Result<(), StateError> {
    let damaged = |error| StateError::from(error).at(file);
    let number = |pragma: &str| db.query_row(pragma, [], |row| row.get::<_, i64>(0)).map_err(damaged);
    let (application, version) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
    let is_new = number("SELECT count(*) FROM sqlite_schema")? == 0;
    if application != APPLICATION_ID && !is_new {
        return Err(StateError::Foreign { file: file.to_owned() });
    }
    let known = i64::try_from(VERSION).unwrap_or(i64::MAX);
    if version > known {
        return Err(StateError::Newer { file: file.to_owned(), found: version, known });
    }
    Ok(())
}

fn same_namespace(db: &Connection, file: &Path, namespace: &Namespace) -> Result<(), StateError> {
    let theirs = || {
        let find = match version_of(db)? {
            0 => return Ok(None),
            1..FIRST_WITH_NAMESPACE => "SELECT name FROM universe",
            _ => "SELECT name FROM namespace",
        };
        db.query_row(find, [], |row| row.get::<_, String>(0)).optional()
    };
    match theirs().map_err(|error| StateError::from(error).at(file))? {
        Some(theirs) if theirs != namespace.0 => {
            Err(StateError::OtherNamespace { file: file.to_owned(), theirs, ours: namespace.0.clone() })
        }
        _ => Ok(()),
    }
}
