//! What limits count: the egresses, the unknown recipients of the last day, and the replies of each provider in a run.
//!
//! Decides: that unknown recipients count for an origin, which is the path of an egress without its HELO name and sender:
//! receivers see no more of it. Limits and shares outlive the process.

use std::time::{Duration, SystemTime};

use rusqlite::params;

use super::store::millis;
use super::{EgressId, NameHash, RunId, State, StateError};
use crate::evidence::Tally;
use crate::smtp::{Egress, EgressPath};

const MINUTE_MILLIS: i64 = 60_000;
const DAY_MINUTES: i64 = 24 * 60;

impl State {
    /// The `id` of an egress with this HELO name and sender; it is written if it is new.
    pub(crate) fn egress(&mut self, egress: &Egress) -> Result<EgressId, StateError> {
        self.begin_writing()?;
        let from = match &egress.path {
            EgressPath::Direct(None) => String::new(),
            EgressPath::Direct(Some(address)) => format!(" from {address}"),
            EgressPath::Socks5 { proxy, .. } => format!(" through {proxy}"),
        };
        let name = format!("{} {}{from}", egress.helo, egress.sender);
        let (key, origin) = (NameHash::of(&name), NameHash::of(from.trim()));
        self.db.execute(
            "INSERT INTO egress (id, name, origin) VALUES (?, ?, ?)
             ON CONFLICT DO UPDATE SET origin = excluded.origin",
            params![key, name, origin],
        )?;
        Ok(EgressId(key.0))
    }

    /// Counts one unknown recipient, in the minute of the reply.
    pub(super) fn count_unknown(&self, egress: EgressId, provider: &str, at: i64) -> Result<(), StateError> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO usage (origin, provider, minute, unknown) SELECT origin, ?2, ?3, 1 FROM egress WHERE id = ?1
             ON CONFLICT DO UPDATE SET unknown = unknown + 1",
        )?;
        insert.execute(params![egress, provider, at / MINUTE_MILLIS])?;
        Ok(())
    }

    /// The unknown recipients that were probed within the last day from the origin of an egress, each with the key of the
    /// provider, how long ago, and how many. Older ones are deleted.
    pub(crate) fn unknown_usage(
        &mut self,
        egress: EgressId,
        now: SystemTime,
    ) -> Result<Vec<(String, Duration, usize)>, StateError> {
        let now = millis(now);
        self.begin_writing()?;
        self.db.execute("DELETE FROM usage WHERE minute < ?", [now / MINUTE_MILLIS - DAY_MINUTES])?;
        let mut find = self.db.prepare_cached(
            "SELECT provider, minute, unknown FROM usage WHERE origin = (SELECT origin FROM egress WHERE id = ?)",
        )?;
        let usage = find.query_map([egress], |row| {
            let ago = now.saturating_sub(row.get::<_, i64>(1)? * MINUTE_MILLIS).max(0);
            Ok((row.get(0)?, Duration::from_millis(ago.unsigned_abs()), row.get(2)?))
        })?;
        Ok(usage.collect::<Result<_, _>>()?)
    }

    /// Adds a reply about a recipient of the list to the tally of its provider.
    pub(super) fn add_to_tally(
        &mut self,
        run: RunId,
        provider: &str,
        tally: Tally,
    ) -> Result<(), StateError> {
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
            provider,
            asked,
            unknown,
            accepted,
            recently_deliverable,
            recently_gone
        ])?;
        Ok(())
    }

    /// The tallies of a run so far, by the keys of providers.
    pub(crate) fn tallies(&self, run: RunId) -> Result<Vec<(String, Tally)>, StateError> {
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
