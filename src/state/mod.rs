//! The state: what was found out, on disk, so that a run goes on after anything and nothing is asked twice.
//!
//! One database file of `SQLite` ([`open`]), one run at a time ([`lock`]). Facts go in ([`write`]) and come out ([`query`]); what they
//! mean is nobody's business here. [`runs`] tells an interrupted run from a finished one, [`worklist`] holds who is still to
//! be asked, [`last_reported`] what was told, [`usage`] what others may count, [`maintenance`] is for its owner. `schema/` describes the tables;
//! [`migrate`] makes them, and migrates a state of an older version.
//!
//! Without a state file the very same store is a temporary one. Must not: judge, or know a server's words.

mod columns;
mod decode;
mod error;
mod import;
mod last_reported;
mod lock;
mod maintenance;
mod migrate;
mod name_hash;
mod open;
mod query;
mod reply_template;
mod route;
mod runs;
mod usage;
mod worklist;
mod write;

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use error::StateError;
pub use lock::StateLock;
pub use migrate::backups;
pub use name_hash::NameHash;
use open::Readers;
pub use open::{Namespace, default_file};

use rusqlite::Connection;

/// An open state.
pub struct State {
    db: Connection,
    /// Held as long as the state is open; `None` for a temporary one.
    _lock: Option<StateLock>,
    /// More connections for those who only read.
    readers: Readers,
    /// Numbers that are known to stand in their tables.
    noted: write::WrittenKeys,
    /// What was promised of finished runs holds no more.
    broke_promises: Cell<bool>,
}

impl State {
    fn with(db: Connection, readers: Readers, lock: Option<StateLock>) -> State {
        // Each room asks a handful of questions, again and again.
        db.set_prepared_statement_cache_capacity(64);
        State {
            db,
            _lock: lock,
            readers,
            noted: write::WrittenKeys::default(),
            broke_promises: Cell::new(false),
        }
    }
}

impl State {
    /// It will be there when the process is gone.
    pub fn is_kept(&self) -> bool {
        matches!(self.readers, Readers::Of(_))
    }
}

/// A time as it stands in the tables: milliseconds since 1970.
fn millis(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn time(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis.try_into().unwrap_or(0))
}

pub use last_reported::{ChangeStatus, ReportedNote};
pub use maintenance::{PruneCounts, StateStats};
pub use query::{FactQueries, StoredResult, StoredRoute};
pub use runs::{RunHandle, RunKey};
pub use worklist::{FreshnessPolicy, RunId};
pub use write::{ReportedVerdict, VerdictUpdate};
