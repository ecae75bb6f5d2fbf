//! Opening a state: where the file is, whether it is a state, and of which network.
//!
//! Decides: what is refused, before anything is changed: files of other programs, newer versions, facts of another
//! network. The file is readable by its owner alone, and so is a folder that is made for it.

use std::cell::RefCell;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::migrate::{APPLICATION_ID, FIRST_WITH_NAMESPACE, VERSION, migrate, version_of};
use super::store::{ReaderSource, connect};
use super::{NameHash, State, StateError, StateLock};
use crate::secure_file;

/// Most connections that read a state at the same time. A temporary state opens all of them while its file has a name,
/// so no more can come later; this is also the most workers that a run has, because each has one.
pub(crate) const MOST_READERS: usize = 6;

/// Page cache while a run writes; and while a worklist is sorted, when the sorter takes twice as much again.
pub(super) const WRITING_KIB: usize = 16 << 10;
pub(super) const SORTING_KIB: usize = 8 << 10;
/// Page cache during the reporting pass: for the writer, and in total for all readers. After a run that wrote a lot the
/// readers get less, because the memory that the writer released is fragmented.
const WRITER_KIB: usize = 4 << 10;
const READERS_KIB: usize = 64 << 10;
const READERS_AFTER_WRITING_KIB: usize = 24 << 10;

/// The network whose facts a state holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace(pub String);

impl Namespace {
    /// The Internet, with the name servers of the system and the usual ports.
    pub fn internet() -> Namespace {
        Namespace("the Internet".to_owned())
    }
}

/// The state file to use if none is named: in `$STATE_DIRECTORY` (systemd), `$XDG_STATE_HOME/listproof` or
/// `~/.local/state/listproof`. Each namespace has its own.
pub fn default_file(namespace: &Namespace) -> Result<PathBuf, StateError> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // systemd separates several folders by colons.
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
        format!("state-{:016x}.db", NameHash::of(&namespace.0))
    };
    Ok(folder.join(name))
}

impl State {
    /// A state in a file without a name, which is gone when it is dropped and when the process ends in any way. It
    /// keeps memory bounded where no state file is wanted.
    pub fn temporary() -> Result<State, StateError> {
        let unusable = |source| StateError::Temporary { folder: std::env::temp_dir(), source };
        let file = tempfile::Builder::new().prefix("listproof-").tempfile().map_err(unusable)?;
        let db = connect(file.path(), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        db.execute_batch(&format!(
            "PRAGMA cache_size = -{WRITING_KIB}; PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF;"
        ))?;
        migrate(&db, None)?;
        let mut readers = Vec::with_capacity(MOST_READERS);
        for _ in 0..MOST_READERS {
            readers.push(connect_reader(file.path())?);
        }
        Ok(State::with(db, ReaderSource::Opened(RefCell::new(readers)), None))
    }

    /// Connections for the reporting pass, at most [`MOST_READERS`]. From now on they have most of the writer's memory.
    pub(crate) fn readers(
        &self,
        how_many: usize,
        after_writing: bool,
    ) -> Result<Vec<Connection>, StateError> {
        debug_assert!(how_many <= MOST_READERS);
        self.set_cache_size(WRITER_KIB)?;
        self.db.execute_batch("PRAGMA shrink_memory")?;
        let all = if after_writing { READERS_AFTER_WRITING_KIB } else { READERS_KIB };
        let each = all / how_many.max(1);
        std::iter::repeat_with(|| {
            let reader = self.reader()?;
            reader.execute_batch(&format!("PRAGMA cache_size = -{each};"))?;
            Ok(reader)
        })
        .take(how_many)
        .collect()
    }

    /// A connection that only reads, in one transaction: it sees what was committed before its first query. A
    /// transaction for each query would take longer than most queries.
    pub(crate) fn reader(&self) -> Result<Connection, StateError> {
        let reader = match &self.readers {
            ReaderSource::File(file) => connect_reader(file),
            ReaderSource::Opened(opened) => opened.borrow_mut().pop().ok_or_else(|| StateError::Temporary {
                folder: std::env::temp_dir(),
                source: io::Error::other("too many readers"),
            }),
        }?;
        reader.execute_batch("BEGIN")?;
        Ok(reader)
    }

    /// Opens a state file for a run; makes one that does not exist.
    pub(crate) fn open(file: &Path, namespace: &Namespace, now: SystemTime) -> Result<State, StateError> {
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
        check_namespace(&db, file, namespace)?;
        db.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -{WRITING_KIB};
             PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864;"
        ))
        .map_err(damaged)?;
        migrate(&db, Some(file)).map_err(|error| error.at(file))?;
        let first = "INSERT INTO namespace (name) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM namespace)";
        db.execute(first, [&namespace.0]).map_err(damaged)?;
        Ok(State::with(db, ReaderSource::File(file.to_owned()), Some(lock)))
    }

    /// Opens a state file that must exist, of any namespace, to be changed by its owner.
    pub fn of_owner(file: &Path, now: SystemTime) -> Result<State, StateError> {
        version(file)?;
        let lock = StateLock::take(file, now)?;
        let db = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        migrate(&db, Some(file)).map_err(|error| error.at(file))?;
        Ok(State::with(db, ReaderSource::File(file.to_owned()), Some(lock)))
    }

    /// Opens a state file that must exist, to be read, also while a run holds its lock. One of an older version is
    /// migrated first; a run that holds the lock has done that.
    pub fn read_only(file: &Path, now: SystemTime) -> Result<State, StateError> {
        if version(file)? < VERSION {
            State::of_owner(file, now)?;
        }
        let db = connect(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(State::with(db, ReaderSource::File(file.to_owned()), None))
    }

    /// Fails if the state holds facts of another network.
    pub(crate) fn check_namespace(&self, file: &Path, namespace: &Namespace) -> Result<(), StateError> {
        check_namespace(&self.db, file, namespace)
    }
}

fn connect_reader(file: &Path) -> Result<Connection, StateError> {
    connect(file, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// Fails for a file that does not begin as a database, before it is opened as one.
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

/// Fails unless the database is empty, or a state of this version or an older one.
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

/// Fails if the database has another namespace; one without any, which is new, has none yet.
fn check_namespace(db: &Connection, file: &Path, namespace: &Namespace) -> Result<(), StateError> {
    let stored = || {
        let find = match version_of(db)? {
            0 => return Ok(None),
            1..FIRST_WITH_NAMESPACE => super::migrate::OLD_NAMESPACE,
            _ => "SELECT name FROM namespace",
        };
        db.query_row(find, [], |row| row.get::<_, String>(0)).optional()
    };
    match stored().map_err(|error| StateError::from(error).at(file))? {
        Some(stored) if stored != namespace.0 => {
            Err(StateError::OtherNamespace { file: file.to_owned(), stored, wanted: namespace.0.clone() })
        }
        _ => Ok(()),
    }
}
