//! What the preflights of runs found: when one last found no fault, and what was passed over by `--force`.
//!
//! Decides: nothing. A fault is never stored as a result, so that a repair counts immediately. The tables are made when they are
//! first needed, so that a state of the same version may lack them.

use std::time::{Duration, SystemTime};

use rusqlite::{OptionalExtension, params};

use super::store::{millis, time};
use super::{RunId, State, StateError};

const TABLES: &str = include_str!("schema/preflight.sql");

impl State {
    /// True if a preflight of this egress found no fault within this time before now.
    pub(crate) fn has_passed_preflight(
        &self,
        egress: &str,
        within: Duration,
        now: SystemTime,
    ) -> Result<bool, StateError> {
        self.db.execute_batch(TABLES)?;
        let mut find = self.db.prepare_cached("SELECT passed FROM preflight WHERE egress = ?")?;
        let passed: Option<i64> = find.query_row([egress], |row| row.get(0)).optional()?;
        // A result from the future comes from a wrong clock.
        Ok(passed.is_some_and(|passed| now.duration_since(time(passed)).is_ok_and(|age| age < within)))
    }

    /// Stores that a preflight of this egress found no fault.
    pub(crate) fn write_passed_preflight(&mut self, egress: &str, now: SystemTime) -> Result<(), StateError> {
        self.begin_writing()?;
        self.db.execute_batch(TABLES)?;
        self.db.execute("INSERT OR REPLACE INTO preflight VALUES (?, ?)", params![egress, millis(now)])?;
        self.commit()
    }

    /// Stores what a preflight found in a run that probes all the same.
    pub(crate) fn write_forced<'a>(
        &mut self,
        run: RunId,
        found: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), StateError> {
        self.begin_writing()?;
        self.db.execute_batch(TABLES)?;
        for (check, sentence) in found {
            self.db.execute("INSERT INTO forced VALUES (?, ?, ?)", params![run, check, sentence])?;
        }
        self.commit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preflight_without_a_fault_counts_for_its_time_and_its_egress() {
        const HOUR: Duration = Duration::from_secs(3600);
        let mut state = State::temporary().unwrap();
        let now = SystemTime::UNIX_EPOCH + HOUR * 1000;
        assert!(!state.has_passed_preflight("a", HOUR, now).unwrap());
        state.write_passed_preflight("a", now).unwrap();
        assert!(state.has_passed_preflight("a", HOUR, now + HOUR / 2).unwrap());
        assert!(!state.has_passed_preflight("a", HOUR, now + HOUR).unwrap());
        assert!(!state.has_passed_preflight("a", HOUR, now - HOUR).unwrap());
        assert!(!state.has_passed_preflight("b", HOUR, now).unwrap());
    }
}
