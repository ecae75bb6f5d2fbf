//! The reason that was last reported for each row, so that `--changed-only` can write the changes alone.
//!
//! Decides: what a change is. A run that resumes writes its outputs anew, so it is compared with what was reported
//! before it began. Must not: serve as evidence, or hold an address: rows are identified by a 63-bit hash. Can't know:
//! two rows with one hash. With ten million rows the chance of any collision is about 5e-6; one change may then be
//! missed.

use std::borrow::Borrow;

use rusqlite::{Connection, OptionalExtension, params};

use super::{FactQueries, NameHash, RunHandle, RunId, State, StateError};
use crate::reason::{Finding, Reason};

/// The reason of a row, compared with the one that was last reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeStatus {
    /// Another reason was reported before, or none.
    pub is_changed: bool,
    /// The note to write, if the reason differs from the stored one.
    pub note: Option<ReportedNote>,
}

impl ChangeStatus {
    /// Nothing to compare with: the row counts as changed, and nothing is recorded.
    pub const FIRST: ChangeStatus = ChangeStatus { is_changed: true, note: None };
}

/// The reason that is now reported for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportedNote {
    row: NameHash,
    reason: Reason,
}

/// A row of the table.
struct StoredReason {
    reason: String,
    run: RunId,
    before: Option<String>,
}

impl<D: Borrow<Connection>> FactQueries<D> {
    /// Compares the reason of a row, which is identified by its address or its cell, with what was reported before this run.
    /// `not_probed` is no change where another reason was reported before.
    pub(crate) fn change_status(
        &self,
        row: &str,
        reason: Reason,
        run: RunHandle,
    ) -> Result<ChangeStatus, StateError> {
        let row = NameHash::of(row);
        let db: &Connection = self.db();
        let mut find = db.prepare_cached("SELECT reason, run, before FROM last_reported WHERE id = ?")?;
        let entry = find.query_row([row], |row| {
            Ok(StoredReason { reason: row.get(0)?, run: row.get(1)?, before: row.get(2)? })
        });
        let note = Some(ReportedNote { row, reason });
        let Some(StoredReason { reason: last, run: reported_by, before }) = entry.optional()? else {
            return Ok(ChangeStatus { note, ..ChangeStatus::FIRST });
        };
        let is_stored = last == reason.word();
        let before = if run.is_resumed && reported_by == run.id { before } else { Some(last) };
        Ok(match before {
            Some(_) if reason == Finding::NotProbed.into() => ChangeStatus { is_changed: false, note: None },
            before => ChangeStatus {
                is_changed: before.as_deref() != Some(reason.word()),
                note: note.filter(|_| !is_stored),
            },
        })
    }
}

impl State {
    /// Collects notes until [`State::write_notes`].
    pub(crate) fn add_notes(&mut self, notes: &[ReportedNote]) -> Result<(), StateError> {
        if notes.is_empty() {
            return Ok(());
        }
        self.begin_writing()?;
        self.make_notes_table()?;
        let mut insert = self.db.prepare_cached("INSERT INTO reported_now (id, reason) VALUES (?, ?)")?;
        for ReportedNote { row, reason } in notes {
            insert.execute(params![row, reason.word()])?;
        }
        Ok(())
    }

    /// Writes all collected notes, in the order of their hashes: in random order it would be slow.
    pub(crate) fn write_notes(&mut self, run: RunHandle) -> Result<(), StateError> {
        self.begin_writing()?;
        self.make_notes_table()?;
        self.db.execute(
            "INSERT INTO last_reported (id, reason, run, before)
             SELECT DISTINCT id, reason, ?1, NULL FROM reported_now ORDER BY id
             ON CONFLICT DO UPDATE SET
                 before = CASE WHEN ?2 AND run = excluded.run THEN before ELSE reason END,
                 reason = excluded.reason,
                 run = excluded.run",
            params![run.id, run.is_resumed],
        )?;
        self.db.execute_batch("DELETE FROM reported_now")?;
        Ok(())
    }

    /// Makes the temporary table for notes, which stands in a file of its own.
    fn make_notes_table(&self) -> Result<(), StateError> {
        let make = "CREATE TEMP TABLE IF NOT EXISTS reported_now (id INTEGER NOT NULL, reason TEXT NOT NULL)";
        Ok(self.db.execute_batch(make)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;
    use crate::reason::Cause;
    use crate::state::RunKey;
    use std::time::{Duration, SystemTime};

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    /// Reports a row; returns whether that was a change.
    fn report(state: &mut State, run: RunHandle, reason: impl Into<Reason>) -> bool {
        let ChangeStatus { is_changed, note } =
            state.facts(Policy::built_in()).change_status("jane@acme.example", reason.into(), run).unwrap();
        // The row may stand in the list twice.
        state.add_notes(note.as_slice()).unwrap();
        state.add_notes(note.as_slice()).unwrap();
        state.write_notes(run).unwrap();
        is_changed
    }

    fn next_run(state: &mut State) -> RunHandle {
        let run = state.begin(&RunKey::default(), Duration::MAX, NOW, Duration::MAX).unwrap();
        state.finish_run(run.id, NOW, None, std::iter::empty(), None, None).unwrap();
        run
    }

    #[test]
    fn a_change_is_another_reason_than_before_or_a_first_one() {
        let mut state = State::temporary().unwrap();
        let mut is_change = |reason: Reason| {
            let run = next_run(&mut state);
            report(&mut state, run, reason)
        };
        assert!(is_change(Cause::Accepted.into()), "the first time everything is new");
        assert!(!is_change(Cause::Accepted.into()));
        assert!(is_change(Cause::MailboxUnknown.into()));
        assert!(!is_change(Finding::NotProbed.into()), "it was not probed");
        assert!(!is_change(Cause::MailboxUnknown.into()));
        assert!(is_change(Cause::Accepted.into()));
    }

    #[test]
    fn a_run_that_resumes_is_compared_with_what_was_reported_before_it() {
        let mut state = State::temporary().unwrap();
        let first = next_run(&mut state);
        report(&mut state, first, Cause::Accepted);
        let begun = state.begin(&RunKey::default(), Duration::MAX, NOW, Duration::MAX).unwrap();
        assert!(report(&mut state, begun, Cause::Greylisted));
        let resumed = state.begin(&RunKey::default(), Duration::MAX, NOW, Duration::MAX).unwrap();
        assert_eq!((resumed.id, resumed.is_resumed), (begun.id, true));
        assert!(report(&mut state, resumed, Cause::Greylisted), "its outputs are written anew");
        assert!(!report(&mut state, resumed, Cause::Accepted), "after all nothing has changed");
    }
}
