//! Runs: which list a run is about, whether it goes on, and how it ended.
//!
//! Decides: what "the same command again" means: the same bytes, the same column, the same way of reading, and as far.
//! An interrupted run goes on, unless that was long ago; after a finished one a new run begins.

use std::time::{Duration, SystemTime};

use rusqlite::{OptionalExtension, Row, params};

use super::worklist::{FreshnessPolicy, RunId};
use super::{State, StateError, millis, time};

/// What a run is to be about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunKey {
    /// What makes it the same command again.
    pub identity: String,
    /// What it is called, for its owner.
    pub input: String,
    /// How old what is used may be, and who may be connected to. On other terms others have to be asked.
    pub terms: String,
}

/// A run that may be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunHandle {
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
pub struct PastRun {
    /// Which.
    pub begun: RunHandle,
    /// When it ended; `None` when it can go on.
    pub ended: Option<SystemTime>,
    /// The word for why nothing that servers said in it is judged.
    pub shut: Option<String>,
    /// Keys of the lanes at which too many mailboxes vanished at once.
    pub anomalies: Vec<String>,
}

impl State {
    /// Goes on with the interrupted run of this command, if it began within `goes_on`, or begins one. What began longer ago
    /// than `lifetime` goes on no more, whatever command that was.
    pub fn begin(
        &mut self,
        command: &RunKey,
        goes_on: Duration,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<RunHandle, StateError> {
        self.begin_writing()?;
        self.drop_runs_before(now.checked_sub(lifetime).unwrap_or(SystemTime::UNIX_EPOCH), now)?;
        let RunKey { identity, input, terms } = command;
        if let Some((begun, on_terms)) = self.open_run(identity)? {
            if now.duration_since(begun.at).unwrap_or_default() < goes_on {
                // On other terms others are fresh.
                let gathered = begun.gathered && on_terms == *terms;
                self.db.execute(
                    "UPDATE run SET terms = ?, worklist_complete = ?, facts_published = 0 WHERE id = ?",
                    params![terms, gathered, begun.id],
                )?;
                self.commit()?;
                return Ok(RunHandle { gathered, ..begun });
            }
            self.drop_run(begun.id, now)?;
        }
        let mut insert =
            self.db.prepare_cached("INSERT INTO run (identity, input, began, terms) VALUES (?, ?, ?, ?)")?;
        let id = RunId(insert.insert(params![identity, input, millis(now), terms])?);
        drop(insert);
        self.commit()?;
        Ok(RunHandle { id, at: time(millis(now)), goes_on: false, gathered: false })
    }

    fn open_run(&self, identity: &str) -> Result<Option<(RunHandle, String)>, StateError> {
        let mut find = self.db.prepare_cached(
            "SELECT id, began, worklist_complete, terms FROM run
             WHERE identity = ? AND ended IS NULL ORDER BY id DESC LIMIT 1",
        )?;
        let begun = find.query_row([identity], |row| Ok((begun(row)?, row.get("terms")?)));
        Ok(begun.optional()?)
    }

    /// The newest run over this list.
    pub fn last_run(&self, identity: &str) -> Result<Option<PastRun>, StateError> {
        let mut find = self.db.prepare_cached(
            "SELECT id, began, worklist_complete, ended, stopped_because, anomalies FROM run
             WHERE identity = ? ORDER BY id DESC LIMIT 1",
        )?;
        let past = find.query_row([identity], |row| {
            let anomalies: Option<String> = row.get("anomalies")?;
            Ok(PastRun {
                begun: begun(row)?,
                ended: row.get::<_, Option<i64>>("ended")?.map(time),
                shut: row.get("stopped_because")?,
                anomalies: anomalies.unwrap_or_default().lines().map(str::to_owned).collect(),
            })
        });
        Ok(past.optional()?)
    }

    /// Ends a run that will not be told about any more.
    fn drop_run(&mut self, run: RunId, now: SystemTime) -> Result<(), StateError> {
        self.db.execute("DELETE FROM worklist WHERE run = ?", [run])?;
        self.db.execute("DELETE FROM tally WHERE run = ?", [run])?;
        self.db.execute("UPDATE run SET ended = ? WHERE id = ?", params![millis(now), run])?;
        Ok(())
    }

    /// Ends all runs that could go on and began before that.
    pub(super) fn drop_runs_before(&mut self, oldest: SystemTime, now: SystemTime) -> Result<(), StateError> {
        let mut find = self.db.prepare_cached("SELECT id FROM run WHERE ended IS NULL AND began < ?")?;
        let old =
            find.query_map([millis(oldest)], |row| row.get(0).map(RunId))?.collect::<Result<Vec<_>, _>>()?;
        drop(find);
        old.into_iter().try_for_each(|run| self.drop_run(run, now))
    }

    /// The newest run of this command for which nothing needs to be asked again.
    pub fn fresh_run(
        &self,
        command: &RunKey,
        fresh: FreshnessPolicy,
    ) -> Result<Option<RunHandle>, StateError> {
        let mut find = self.db.prepare_cached(
            "SELECT id, began, worklist_complete FROM run
             WHERE identity = ? AND terms = ? AND facts_published AND fresh_until > ?
                 AND coalesce(oldest_evidence, 1 << 62) >= ?
             ORDER BY id DESC LIMIT 1",
        )?;
        let RunKey { identity, terms, .. } = command;
        let run = find.query_row(params![identity, terms, millis(fresh.at), millis(fresh.since)], begun);
        Ok(run.optional()?)
    }

    /// Runs of which more was found out than told, but this one: what they found gone may be somebody's outage.
    pub fn unreported_runs(&self, but: RunId) -> Result<Vec<RunId>, StateError> {
        let mut find = self.db.prepare_cached("SELECT id FROM run WHERE NOT facts_published AND id <> ?")?;
        let runs = find.query_map([but], |row| row.get(0).map(RunId))?;
        Ok(runs.collect::<Result<_, _>>()?)
    }

    /// A fact is replaced: what was promised of finished runs, that nothing in them needs to be asked again, may not hold any
    /// more.
    pub(super) fn expire_finished_runs(&self) -> Result<(), StateError> {
        if !self.broke_promises.replace(true) {
            self.db.execute("UPDATE run SET fresh_until = 0 WHERE facts_published", [])?;
        }
        Ok(())
    }

    /// All that was found out in a run is told.
    pub fn mark_reported(&mut self, run: RunId) -> Result<(), StateError> {
        self.begin_writing()?;
        self.db.execute("UPDATE run SET facts_published = 1 WHERE id = ?", [run])?;
        Ok(())
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
            "UPDATE run SET stopped_because = ?, anomalies = ?, fresh_until = ?, oldest_evidence = ? WHERE id = ?",
            params![shut, anomalies.join("\n"), fresh_until, oldest.map(millis), run],
        )?;
        self.commit()
    }
}

/// A run in a row with the columns `id`, `began` and `worklist_complete`.
fn begun(row: &Row<'_>) -> rusqlite::Result<RunHandle> {
    Ok(RunHandle {
        id: RunId(row.get("id")?),
        at: time(row.get("began")?),
        goes_on: true,
        gathered: row.get("worklist_complete")?,
    })
}
