//! The open database of a state: its connections, its transactions, and the numbers that stand for names, runs,
//! egresses and times.
//!
//! Everything that is written after a [`State::commit`] belongs to one transaction until the next one. Must not: know a
//! table. Fails: when the disk does, or another program holds the file longer than [`BUSY`].

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::hash::Hash;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::digest::{SHA256, digest};
use rusqlite::config::DbConfig;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql};

use super::{StateError, StateLock};
use crate::evidence::{EarlierContact, Obstacle};

/// How long a statement waits for another program that reads or writes the file.
const BUSY: Duration = Duration::from_secs(20);
/// Prepared statements that a connection keeps: more than this room has.
const STATEMENTS: usize = 64;

/// An open state: facts about domains and recipients, with the runs that gathered them.
pub struct State {
    pub(super) db: Connection,
    /// The lock of the state file; `None` for a temporary state and for one that is only read.
    _lock: Option<StateLock>,
    /// Where further connections, which only read, come from.
    pub(super) readers: ReaderSource,
    /// What this process has written already.
    pub(super) written: WrittenKeys,
    /// Finished runs were marked in this process as no longer fresh; once is enough.
    pub(super) finished_runs_expired: Cell<bool>,
    /// The last contacts of earlier runs with the MX hosts of the list of this run.
    pub(super) earlier_contacts: Vec<DomainContact>,
}

/// The last contact with the MX hosts of a domain in an earlier run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DomainContact {
    /// The domain.
    pub(crate) domain: NameHash,
    /// When it was.
    pub(crate) at: SystemTime,
    /// How the hosts responded.
    pub(crate) contact: EarlierContact,
}

/// Where connections that only read come from.
pub(super) enum ReaderSource {
    /// The state file.
    File(PathBuf),
    /// Connections that were opened while the temporary file still had a name.
    Opened(RefCell<Vec<Connection>>),
}

impl State {
    pub(super) fn with(db: Connection, readers: ReaderSource, lock: Option<StateLock>) -> State {
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        State {
            db,
            _lock: lock,
            readers,
            written: WrittenKeys::default(),
            finished_runs_expired: Cell::new(false),
            earlier_contacts: Vec::new(),
        }
    }

    /// True if the state outlives the process; false for a temporary one.
    pub(crate) fn is_persistent(&self) -> bool {
        matches!(self.readers, ReaderSource::File(_))
    }

    /// Ends the transaction: what was written since the last commit is on disk.
    pub(crate) fn commit(&mut self) -> Result<(), StateError> {
        if !self.db.is_autocommit() {
            self.db.execute_batch("COMMIT")?;
        }
        Ok(())
    }

    /// Begins a transaction that lasts until [`State::commit`], unless one has begun. Many reads are faster in a
    /// transaction too, because it locks the file once.
    pub(crate) fn begin_writing(&mut self) -> Result<(), StateError> {
        if self.db.is_autocommit() {
            self.db.execute_batch("BEGIN IMMEDIATE")?;
        }
        Ok(())
    }

    /// Sets the page cache of the connection that writes.
    pub(super) fn set_cache_size(&self, kib: usize) -> Result<(), StateError> {
        Ok(self.db.execute_batch(&format!("PRAGMA cache_size = -{kib}"))?)
    }

    /// Writes a name and returns its hash.
    pub(super) fn write_name(&mut self, name: &str) -> Result<NameHash, StateError> {
        let key = NameHash::of(name);
        if remember(&mut self.written.names, key) {
            let mut insert = self.db.prepare_cached("INSERT OR IGNORE INTO name (id, name) VALUES (?, ?)")?;
            insert.execute(rusqlite::params![key, name])?;
        }
        Ok(key)
    }
}

/// Opens a connection to a database file.
pub(super) fn connect(file: &Path, access: OpenFlags) -> Result<Connection, StateError> {
    let db = Connection::open_with_flags(file, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| StateError::from(error).at(file))?;
    db.busy_timeout(BUSY)?;
    // Each query has one good plan. Without this, SQLite may plan a query again whenever its values change.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(db)
}

/// Keys known to be in their tables already, so that the `INSERT OR IGNORE` can be skipped. Bounded; clearing a set
/// only costs redundant inserts.
#[derive(Default)]
pub(super) struct WrittenKeys {
    pub(super) names: HashSet<NameHash>,
    pub(super) templates: HashSet<NameHash>,
    /// MX hosts, each with a domain that it serves.
    pub(super) served: HashSet<(NameHash, NameHash)>,
    /// The last obstacle, with its `id`; many recipients often share it.
    pub(super) obstacle: Option<(Arc<Obstacle>, i64)>,
}

/// Adds a key; returns true if the set did not hold it. A full set is cleared first.
pub(super) fn remember<T: Eq + Hash>(set: &mut HashSet<T>, key: T) -> bool {
    /// A larger set is not worth its memory.
    const MOST: usize = 1 << 16;
    if set.len() >= MOST {
        set.clear();
    }
    set.insert(key)
}

/// A name or a text as a number: the first 63 bits of its SHA-256.
///
/// It needs no look-up, any tool can compute it, and a server can't choose names that collide. Among ten million names
/// the chance of any collision is about 5e-6; code that reads a name back by its number compares the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NameHash(pub(super) i64);

impl NameHash {
    /// The number of this text.
    pub(crate) fn of(text: &str) -> NameHash {
        let digest = digest(&SHA256, text.as_bytes());
        let first = digest.as_ref().iter().take(8).fold(0u64, |number, &byte| number << 8 | u64::from(byte));
        NameHash((first >> 1).cast_signed())
    }
}

impl std::fmt::LowerHex for NameHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::LowerHex::fmt(&self.0, f)
    }
}

/// The `id` of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunId(pub(super) i64);

impl RunId {
    /// True if this run began after the other one.
    pub(crate) fn is_later_than(self, other: RunId) -> bool {
        self.0 > other.0
    }
}

/// The `id` of an egress, with its HELO name and sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EgressId(pub(super) i64);

/// Numbers of the tables are written and read as they are.
macro_rules! number {
    ($($name:ident),+) => { $(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.0.into())
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<$name> {
                i64::column_result(value).map($name)
            }
        }
    )+ };
}

number!(NameHash, RunId, EgressId);

/// A time as the tables have it: milliseconds since 1970.
pub(super) fn millis(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A time of the tables.
pub(super) fn time(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis.try_into().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_hash_is_what_other_tools_compute() {
        // printf example.com | sha256sum: a379a6f6eeafb9a5...
        assert_eq!(NameHash::of("example.com"), NameHash((0xa379_a6f6_eeaf_b9a5_u64 >> 1).cast_signed()));
    }
}
