//! Runs: over which list, whether an interrupted one resumes, and how a run ended.
//!
//! Decides: that the same command again ([`RunKey::identity`]) resumes its interrupted run, unless that began too long
//! ago; after a finished run a new one begins.

use std::time::{Duration, SystemTime};

use rusqlite::{OptionalExtension, Row, params};

use super::store::{millis, time};
use super::{FreshnessPolicy, RunId, State, StateError};

/// The command that a run carries out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunKey {
    /// What makes two commands the same: list, column, way of reading, and whether mail servers are contacted.
    pub identity: String,
    /// The name of the list, for the owner of the state.
    pub input: String,
    /// The age of the evidence that may be used, and the networks beside the public ones. Other terms need another worklist.
    pub terms: String,
}

/// A run that this process carries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunHandle {
    /// Its `id`.
    pub id: RunId,
    /// When it began; before this process did, if it resumes.
    pub at: SystemTime,
    /// An earlier process began it.
    pub is_resumed: bool,
    /// Its worklist is complete.
    pub has_worklist: bool,
}

/// A run of the past, for `report`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PastRun {
    /// The run.
    pub run: RunHandle,
    /// When it ended; `None` if it can resume.
    pub ended: Option<SystemTime>,
    /// Why no reply of the run is judged, as a word.
    pub blocked: Option<String>,
    /// Keys of the lanes at which too many mailboxes vanished at the same time.
    pub anomalies: Vec<String>,
}

impl State {
    /// Resumes the interrupted run of this command if it began at most `resume_within` ago; begins a run otherwise.
    /// Runs of any command that began more than `lifetime` ago are ended first.
    pub fn begin(
        &mut self,
        command: &RunKey,
        resume_within: Duration,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<RunHandle, StateError> {
        self.begin_writing()?;
        self.end_runs_before(now.checked_sub(lifetime).unwrap_or(SystemTime::UNIX_EPOCH), now)?;
        let RunKey { identity, input, terms } = command;
        if let Some((run, earlier_terms)) = self.open_run(identity)? {
            // A run that began in the future had a wrong clock.
            let began_in_time = FreshnessPolicy::of(now, None, now).includes(run.at);
            if began_in_time && now.duration_since(run.at).unwrap_or_default() < resume_within {
                let has_worklist = run.has_worklist && earlier_terms == *terms;
                self.db.execute(
                    "UPDATE run SET terms = ?, worklist_complete = ?, facts_published = 0,
                         paused = NULL, paused_because = NULL WHERE id = ?",
                    params![terms, has_worklist, run.id],
                )?;
                self.commit()?;
                return Ok(RunHandle { has_worklist, ..run });
            }
            self.end_run(run.id, now)?;
        }
        let mut insert =
            self.db.prepare_cached("INSERT INTO run (identity, input, began, terms) VALUES (?, ?, ?, ?)")?;
        let id = RunId(insert.insert(params![identity, input, millis(now), terms])?);
        drop(insert);
        self.commit()?;
        Ok(RunHandle { id, at: time(millis(now)), is_resumed: false, has_worklist: false })
    }

    fn open_run(&self, identity: &str) -> Result<Option<(RunHandle, String)>, StateError> {
        let mut find = self.db.prepare_cached(
            "SELECT id, began, worklist_complete, terms FROM run
             WHERE identity = ? AND ended IS NULL ORDER BY id DESC LIMIT 1",
        )?;
        let run = find.query_row([identity], |row| Ok((decode_run(row)?, row.get("terms")?)));
        Ok(run.optional()?)
    }

    /// The newest run of this identity.
    pub(crate) fn last_run(&self, identity: &str) -> Result<Option<PastRun>, StateError> {
        let mut find = self.db.prepare_cached(
            "SELECT id, began, worklist_complete, ended, stopped_because, anomalies FROM run
             WHERE identity = ? ORDER BY id DESC LIMIT 1",
        )?;
        let past = find.query_row([identity], |row| {
            let anomalies: Option<String> = row.get("anomalies")?;
            Ok(PastRun {
                run: decode_run(row)?,
                ended: row.get::<_, Option<i64>>("ended")?.map(time),
                blocked: row.get("stopped_because")?,
                anomalies: anomalies.unwrap_or_default().lines().map(str::to_owned).collect(),
            })
        });
        Ok(past.optional()?)
    }

    /// Marks a run as ended, and deletes what only a run that can resume needs.
    fn end_run(&mut self, run: RunId, now: SystemTime) -> Result<(), StateError> {
        self.db.execute("DELETE FROM worklist WHERE run = ?", [run])?;
        self.db.execute("DELETE FROM reused WHERE run = ?", [run])?;
        self.db.execute("DELETE FROM tally WHERE run = ?", [run])?;
        self.db.execute("UPDATE run SET ended = ? WHERE id = ?", params![millis(now), run])?;
        Ok(())
    }

    /// Ends all runs that could resume and began before `oldest`.
    pub(super) fn end_runs_before(&mut self, oldest: SystemTime, now: SystemTime) -> Result<(), StateError> {
        let mut find = self.db.prepare_cached("SELECT id FROM run WHERE ended IS NULL AND began < ?")?;
        let old =
            find.query_map([millis(oldest)], |row| row.get(0).map(RunId))?.collect::<Result<Vec<_>, _>>()?;
        drop(find);
        old.into_iter().try_for_each(|run| self.end_run(run, now))
    }

    /// The newest finished run of this command whose results are all still fresh.
    pub(crate) fn fresh_run(
        &self,
        command: &RunKey,
        fresh: FreshnessPolicy,
    ) -> Result<Option<RunHandle>, StateError> {
        let mut find = self.db.prepare_cached(
            "SELECT id, began, worklist_complete FROM run
             WHERE identity = ? AND terms = ? AND facts_published AND fresh_until > ?
                 AND coalesce(oldest_evidence, 1 << 62) >= ? AND began <= ?
             ORDER BY id DESC LIMIT 1",
        )?;
        let RunKey { identity, terms, .. } = command;
        let FreshnessPolicy { at, since, until } = fresh;
        let run =
            find.query_row(params![identity, terms, millis(at), millis(since), millis(until)], decode_run);
        Ok(run.optional()?)
    }

    /// Other runs with results that were not all reported. Their `undeliverable` results are not used: a provider's
    /// outage would show only in all of them.
    pub(crate) fn unreported_runs(&self, but: RunId) -> Result<Vec<RunId>, StateError> {
        let mut find = self.db.prepare_cached("SELECT id FROM run WHERE NOT facts_published AND id <> ?")?;
        let runs = find.query_map([but], |row| row.get(0).map(RunId))?;
        Ok(runs.collect::<Result<_, _>>()?)
    }

    /// Must be called when a fact is replaced: a finished run may have used it, so none is known to be fresh any longer.
    pub(super) fn expire_finished_runs(&self) -> Result<(), StateError> {
        if !self.finished_runs_expired.replace(true) {
            self.db.execute("UPDATE run SET fresh_until = 0 WHERE facts_published", [])?;
        }
        Ok(())
    }

    /// Records that all results of a run were reported.
    pub(crate) fn mark_reported(&mut self, run: RunId) -> Result<(), StateError> {
        self.begin_writing()?;
        self.db.execute("UPDATE run SET facts_published = 1 WHERE id = ?", [run])?;
        Ok(())
    }

    /// Records that a run stopped before its end, for the owner of the state.
    pub(crate) fn pause_run(&mut self, run: RunId, now: SystemTime, because: &str) -> Result<(), StateError> {
        self.begin_writing()?;
        self.db.execute(
            "UPDATE run SET paused = ?, paused_because = ? WHERE id = ?",
            params![millis(now), because, run],
        )?;
        Ok(())
    }

    /// Ends a run: it has nothing more to probe, or was stopped for good. `blocked` is why no reply of it is judged;
    /// `fresh_until` is when its first result expires, `None` if none does; `oldest` is the time of the oldest
    /// evidence.
    pub(crate) fn finish_run<'a>(
        &mut self,
        run: RunId,
        now: SystemTime,
        blocked: Option<&str>,
        anomalies: impl Iterator<Item = &'a str>,
        fresh_until: Option<SystemTime>,
        oldest: Option<SystemTime>,
    ) -> Result<(), StateError> {
        self.begin_writing()?;
        self.end_run(run, now)?;
        let anomalies: Vec<&str> = anomalies.collect();
        let fresh_until = if blocked.is_some() { 0 } else { fresh_until.map_or(i64::MAX, millis) };
        self.db.execute(
            "UPDATE run SET stopped_because = ?, anomalies = ?, fresh_until = ?, oldest_evidence = ? WHERE id = ?",
            params![blocked, anomalies.join("\n"), fresh_until, oldest.map(millis), run],
        )?;
        self.commit()
    }
}

/// A run, from a row with the columns `id`, `began` and `worklist_complete`.
fn decode_run(row: &Row<'_>) -> rusqlite::Result<RunHandle> {
    Ok(RunHandle {
        id: row.get("id")?,
        at: time(row.get("began")?),
        is_resumed: true,
        has_worklist: row.get("worklist_complete")?,
    })
}
