//! Runs: which list a run is about, whether it goes on, and how it ended.
//!
//! Decides: what "the same command again" means: the same bytes, the same column, the same way of reading, and as far.
//! An interrupted run goes on; after a finished one a new run begins.

use std::time::SystemTime;

use rusqlite::{OptionalExtension, params};

use super::roster::{Fresh, RunId};
use super::{State, StateError, millis, time};
use crate::smtp::egress::{Egress, Path};

/// A run that may be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Its number.
    pub id: RunId,
    /// When it began; before this process did, when it goes on.
    pub at: SystemTime,
    /// It was begun by an earlier process.
    pub goes_on: bool,
    /// Its roster is complete.
    pub gathered: bool,
}

/// A run that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Which.
    pub begun: Begun,
    /// When it ended; `None` when it can go on.
    pub ended: Option<SystemTime>,
    /// The word for why nothing that servers said in it is judged.
    pub shut: Option<String>,
    /// Keys of the lanes at which too many mailboxes vanished at once.
    pub anomalies: Vec<String>,
}

impl State {
    /// Goes on with the interrupted run over this list, or begins one. `anew` drops an interrupted one.
    pub fn begin(
        &mut self,
        identity: &str,
        input: &str,
        anew: bool,
        now: SystemTime,
    ) -> Result<Begun, StateError> {
        self.begin_writing()?;
        let open = self.open_run(identity)?;
        if let Some(begun) = open.filter(|_| !anew) {
            self.commit()?;
            return Ok(begun);
        }
        if let Some(begun) = open {
            self.drop_run(begun.id, now)?;
        }
        let mut insert =
            self.db.prepare_cached("INSERT INTO run (identity, input, began) VALUES (?, ?, ?)")?;
        let id = RunId(insert.insert(params![identity, input, millis(now)])?);
        drop(insert);
        self.commit()?;
        Ok(Begun { id, at: time(millis(now)), goes_on: false, gathered: false })
    }

    fn open_run(&self, identity: &str) -> Result<Option<Begun>, StateError> {
        let mut find = self.db.prepare_cached(
            "SELECT id, began, gathered FROM run WHERE identity = ? AND ended IS NULL ORDER BY id DESC LIMIT 1",
        )?;
        let begun = find.query_row([identity], |row| {
            Ok(Begun { id: RunId(row.get(0)?), at: time(row.get(1)?), goes_on: true, gathered: row.get(2)? })
        });
        Ok(begun.optional()?)
    }

    /// The newest run over this list.
    pub fn last_run(&self, identity: &str) -> Result<Option<Past>, StateError> {
        let mut find = self.db.prepare_cached(
            "SELECT id, began, gathered, ended, shut, anomalies FROM run WHERE identity = ? ORDER BY id DESC LIMIT 1",
        )?;
        let past = find.query_row([identity], |row| {
            let begun =
                Begun { id: RunId(row.get(0)?), at: time(row.get(1)?), goes_on: true, gathered: row.get(2)? };
            let anomalies: Option<String> = row.get(5)?;
            Ok(Past {
                begun,
                ended: row.get::<_, Option<i64>>(3)?.map(time),
                shut: row.get(4)?,
                anomalies: anomalies.unwrap_or_default().lines().map(str::to_owned).collect(),
            })
        });
        Ok(past.optional()?)
    }

    fn drop_run(&mut self, run: RunId, now: SystemTime) -> Result<(), StateError> {
        self.db.execute("DELETE FROM roster WHERE run = ?", [run])?;
        self.db.execute("DELETE FROM tally WHERE run = ?", [run])?;
        self.db.execute("UPDATE run SET ended = ? WHERE id = ?", params![millis(now), run])?;
        Ok(())
    }

    /// The newest run over this list for which nothing needs to be asked again.
    pub fn fresh_run(&self, identity: &str, fresh: Fresh) -> Result<Option<Begun>, StateError> {
        let mut find = self.db.prepare_cached(
            "SELECT id, began, gathered FROM run
             WHERE identity = ? AND ended IS NOT NULL AND fresh_until > ? AND coalesce(oldest, 1 << 62) >= ?
             ORDER BY id DESC LIMIT 1",
        )?;
        let begun = find.query_row(params![identity, millis(fresh.at), millis(fresh.since)], |row| {
            Ok(Begun { id: RunId(row.get(0)?), at: time(row.get(1)?), goes_on: true, gathered: row.get(2)? })
        });
        Ok(begun.optional()?)
    }

    /// Nothing is left to ask in this run, or nothing more will be.
    pub fn end<'a>(
        &mut self,
        run: RunId,
        now: SystemTime,
        shut: Option<&str>,
        anomalies: impl Iterator<Item = &'a str>,
        fresh_until: Option<SystemTime>,
        oldest: Option<SystemTime>,
    ) -> Result<(), StateError> {
        self.begin_writing()?;
        self.drop_run(run, now)?;
        let anomalies: Vec<&str> = anomalies.collect();
        // Where nothing grows old, nothing ever needs to be asked again.
        let fresh_until = if shut.is_some() { 0 } else { fresh_until.map_or(i64::MAX, millis) };
        self.db.execute(
            "UPDATE run SET shut = ?, anomalies = ?, fresh_until = ?, oldest = ? WHERE id = ?",
            params![shut, anomalies.join("\n"), fresh_until, oldest.map(millis), run],
        )?;
        self.commit()
    }

    /// The number of who we are, and where we come from.
    pub fn egress(&mut self, egress: &Egress) -> Result<i64, StateError> {
        self.begin_writing()?;
        let from = match &egress.path {
            Path::Direct(None) => String::new(),
            Path::Direct(Some(address)) => format!(" from {address}"),
            Path::Socks5 { proxy, .. } => format!(" through {proxy}"),
        };
        let name = format!("{} {}{from}", egress.helo, egress.sender);
        let key = super::Key::of(&name);
        self.db.execute("INSERT OR IGNORE INTO egress VALUES (?, ?)", params![key, name])?;
        Ok(key.0)
    }
}
