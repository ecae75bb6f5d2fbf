//! What others may count: who asked, and how often operators were asked about whom.
//!
//! Decides: by what a way out is counted: by where it leaves, whatever it calls itself. Caps and shares outlive the process.

use std::time::{Duration, SystemTime};

use rusqlite::params;

use super::worklist::RunId;
use super::{State, StateError, millis};
use crate::evidence::Tally;
use crate::smtp::{Egress, EgressPath};

const MINUTE_MILLIS: i64 = 60_000;
/// In minutes.
const DAY: i64 = 24 * 60;

impl State {
    /// The number of who we are, and where we come from.
    pub fn egress(&mut self, egress: &Egress) -> Result<i64, StateError> {
        self.begin_writing()?;
        let from = match &egress.path {
            EgressPath::Direct(None) => String::new(),
            EgressPath::Direct(Some(address)) => format!(" from {address}"),
            EgressPath::Socks5 { proxy, .. } => format!(" through {proxy}"),
        };
        let name = format!("{} {}{from}", egress.helo, egress.sender);
        let (key, origin) = (super::NameHash::of(&name), super::NameHash::of(from.trim()));
        self.db.execute(
            "INSERT INTO egress (id, name, origin) VALUES (?, ?, ?)
             ON CONFLICT DO UPDATE SET origin = excluded.origin",
            params![key, name, origin],
        )?;
        Ok(key.0)
    }

    /// Counts an unknown recipient, by the minute of the answer.
    pub(super) fn count_unknown(&self, egress: i64, operator: &str, at: i64) -> Result<(), StateError> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO usage (origin, provider, minute, unknown) SELECT origin, ?2, ?3, 1 FROM egress WHERE id = ?1
             ON CONFLICT DO UPDATE SET unknown = unknown + 1",
        )?;
        insert.execute(params![egress, operator, at / MINUTE_MILLIS])?;
        Ok(())
    }

    /// Unknown recipients that were asked about from where an egress is within the last day: the operator, how long ago, how
    /// many.
    pub fn spent(
        &mut self,
        egress: i64,
        now: SystemTime,
    ) -> Result<Vec<(String, Duration, usize)>, StateError> {
        let now = millis(now);
        self.begin_writing()?;
        self.db.execute("DELETE FROM usage WHERE minute < ?", [now / MINUTE_MILLIS - DAY])?;
        let mut find = self.db.prepare_cached(
            "SELECT provider, minute, unknown FROM usage WHERE origin = (SELECT origin FROM egress WHERE id = ?)",
        )?;
        let spent = find.query_map([egress], |row| {
            let ago = now.saturating_sub(row.get::<_, i64>(1)? * MINUTE_MILLIS).max(0);
            Ok((row.get(0)?, Duration::from_millis(ago.unsigned_abs()), row.get(2)?))
        })?;
        Ok(spent.collect::<Result<_, _>>()?)
    }

    /// Counts an answer about a listed address.
    pub(super) fn count(&mut self, run: RunId, operator: &str, tally: Tally) -> Result<(), StateError> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO tally (run, provider, probed, unknown, accepted,
                 recently_deliverable, recently_deliverable_unknown)
             VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
                 probed = probed + excluded.probed, unknown = unknown + excluded.unknown,
                 accepted = accepted + excluded.accepted,
                 recently_deliverable = recently_deliverable + excluded.recently_deliverable,
                 recently_deliverable_unknown =
                     recently_deliverable_unknown + excluded.recently_deliverable_unknown",
        )?;
        let Tally { probed: asked, unknown, accepted, recently_deliverable, recently_gone } = tally;
        insert.execute(params![
            run,
            operator,
            asked,
            unknown,
            accepted,
            recently_deliverable,
            recently_gone
        ])?;
        Ok(())
    }

    /// What operators answered in a run until now, by their keys.
    pub fn tallies(&self, run: RunId) -> Result<Vec<(String, Tally)>, StateError> {
        let mut find = self.db.prepare_cached(
            "SELECT provider, probed, unknown, accepted, recently_deliverable, recently_deliverable_unknown
             FROM tally WHERE run = ?",
        )?;
        let tallies = find.query_map([run], |row| {
            let (asked, unknown, accepted) = (row.get(1)?, row.get(2)?, row.get(3)?);
            let (recently_deliverable, recently_gone) = (row.get(4)?, row.get(5)?);
            Ok((row.get(0)?, Tally { probed: asked, unknown, accepted, recently_deliverable, recently_gone }))
        })?;
        Ok(tallies.collect::<Result<_, _>>()?)
    }
}
