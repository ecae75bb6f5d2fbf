//! What was told about each row last, so that a run can write just what it tells otherwise.
//!
//! Decides: what is news. A run that goes on is compared with what was told before it began, since it writes its outputs
//! anew. Must not: serve as evidence, or name anybody: a row stands here by its number. Can't know: two rows with one
//! number; by chance there are such two among ten million once in two hundred thousand states, and one may be missed.

use std::borrow::Borrow;

use rusqlite::{Connection, OptionalExtension, params};

use super::query::FactQueries;
use super::runs::RunHandle;
use super::worklist::RunId;
use super::{NameHash, State, StateError};
use crate::reason::{Finding, Reason};

/// What is told about a row, beside what was told before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeStatus {
    /// Something else was told before, or nothing.
    pub is_news: bool,
    /// What has to be noted.
    pub note: Option<ReportedNote>,
}

impl ChangeStatus {
    /// Where nobody knows what was told before.
    pub const FIRST: ChangeStatus = ChangeStatus { is_news: true, note: None };
}

/// Something else is told about a row than stands in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportedNote {
    row: NameHash,
    reason: Reason,
}

/// What the ledger says about a row.
struct Entry {
    reason: String,
    run: RunId,
    before: Option<String>,
}

impl<D: Borrow<Connection>> FactQueries<D> {
    /// Compares what is told about a row, by its address or its cell, with what was told before this run. That it was not
    /// asked about is no news of somebody about whom more is known.
    pub fn news(&self, row: &str, reason: Reason, run: RunHandle) -> Result<ChangeStatus, StateError> {
        let row = NameHash::of(row);
        let db: &Connection = self.db();
        let mut find = db.prepare_cached("SELECT reason, run, before FROM last_reported WHERE id = ?")?;
        let entry = find.query_row([row], |row| {
            Ok(Entry { reason: row.get(0)?, run: RunId(row.get(1)?), before: row.get(2)? })
        });
        let note = Some(ReportedNote { row, reason });
        let Some(Entry { reason: last, run: told_in, before }) = entry.optional()? else {
            return Ok(ChangeStatus { note, ..ChangeStatus::FIRST });
        };
        let is_noted = last == reason.word();
        let before = if run.goes_on && told_in == run.id { before } else { Some(last) };
        Ok(match before {
            Some(_) if reason == Finding::NotProbed.into() => ChangeStatus { is_news: false, note: None },
            before => ChangeStatus {
                is_news: before.as_deref() != Some(reason.word()),
                note: note.filter(|_| !is_noted),
            },
        })
    }
}

impl State {
    /// Takes notes, which stand in the ledger after [`State::close_notes`].
    pub fn note(&mut self, notes: &[ReportedNote]) -> Result<(), StateError> {
        if notes.is_empty() {
            return Ok(());
        }
        self.begin_writing()?;
        self.make_notes()?;
        let mut insert = self.db.prepare_cached("INSERT INTO reported_now (id, reason) VALUES (?, ?)")?;
        for ReportedNote { row, reason } in notes {
            insert.execute(params![row, reason.word()])?;
        }
        Ok(())
    }

    /// Writes all notes into the ledger, in its own order: at random it would be slow.
    pub fn close_notes(&mut self, run: RunHandle) -> Result<(), StateError> {
        self.begin_writing()?;
        self.make_notes()?;
        self.db.execute(
            "INSERT INTO last_reported (id, reason, run, before)
             SELECT DISTINCT id, reason, ?1, NULL FROM reported_now ORDER BY id
             ON CONFLICT DO UPDATE SET
                 before = CASE WHEN ?2 AND run = excluded.run THEN before ELSE reason END,
                 reason = excluded.reason,
                 run = excluded.run",
            params![run.id, run.goes_on],
        )?;
        self.db.execute_batch("DELETE FROM reported_now")?;
        Ok(())
    }

    /// Temporary tables live in a file of their own.
    fn make_notes(&self) -> Result<(), StateError> {
        let make = "CREATE TEMP TABLE IF NOT EXISTS reported_now (id INTEGER NOT NULL, reason TEXT NOT NULL)";
        Ok(self.db.execute_batch(make)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;
    use crate::reason::Cause;
    use crate::state::runs::RunKey;
    use std::time::{Duration, SystemTime};

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    /// Tells a row, and whether that was news.
    fn tell(state: &mut State, run: RunHandle, reason: impl Into<Reason>) -> bool {
        let ChangeStatus { is_news, note } =
            state.recall(Policy::built_in()).news("jane@acme.example", reason.into(), run).unwrap();
        // The row may stand in the list twice.
        state.note(note.as_slice()).unwrap();
        state.note(note.as_slice()).unwrap();
        state.close_notes(run).unwrap();
        is_news
    }

    fn next_run(state: &mut State) -> RunHandle {
        let run = state.begin(&RunKey::default(), Duration::MAX, NOW, Duration::MAX).unwrap();
        state.end(run.id, NOW, None, std::iter::empty(), None, None).unwrap();
        run
    }

    #[test]
    fn news_is_what_was_told_otherwise_or_not_at_all() {
        let mut state = State::temporary().unwrap();
        let mut told = |reason: Reason| {
            let run = next_run(&mut state);
            tell(&mut state, run, reason)
        };
        assert!(told(Cause::Accepted.into()), "the first time everything is new");
        assert!(!told(Cause::Accepted.into()));
        assert!(told(Cause::MailboxUnknown.into()));
        assert!(!told(Finding::NotProbed.into()), "nobody asked");
        assert!(!told(Cause::MailboxUnknown.into()));
        assert!(told(Cause::Accepted.into()));
    }

    #[test]
    fn a_run_that_goes_on_is_compared_with_what_was_told_before_it() {
        let mut state = State::temporary().unwrap();
        let first = next_run(&mut state);
        tell(&mut state, first, Cause::Accepted);
        let begun = state.begin(&RunKey::default(), Duration::MAX, NOW, Duration::MAX).unwrap();
        assert!(tell(&mut state, begun, Cause::Greylisted));
        let goes_on = state.begin(&RunKey::default(), Duration::MAX, NOW, Duration::MAX).unwrap();
        assert_eq!((goes_on.id, goes_on.goes_on), (begun.id, true));
        assert!(tell(&mut state, goes_on, Cause::Greylisted), "its outputs are written anew");
        assert!(!tell(&mut state, goes_on, Cause::Accepted), "after all nothing has changed");
    }
}
