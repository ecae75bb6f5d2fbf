//! Who is still to be asked in a run: the distinct addresses of its list about which nothing fresh is known.
//!
//! Decides: what is fresh enough ([`Fresh`]). Addresses go through the file, sorted by domain, never through memory; a domain's stand
//! together, so that it can be asked about as a whole.

use std::time::SystemTime;

use rusqlite::{OptionalExtension, ToSql, params};
use rusqlite::types::ToSqlOutput;

use super::{Key, State, StateError, millis};
use crate::address::{Address, Domain};

/// The number of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunId(pub(super) i64);

impl ToSql for RunId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

/// Which evidence may be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fresh {
    /// What expires after this.
    pub at: SystemTime,
    /// What was gathered after this.
    pub since: SystemTime,
}

/// The addresses of a list on their way into the roster, in the order of the list.
pub struct Arrivals<'a> {
    state: &'a mut State,
    run: RunId,
    /// The last domain and its number: neighbours often share it.
    last: Option<(Domain, Key)>,
}

impl State {
    /// Begins the roster of a run anew.
    pub fn arrivals(&mut self, run: RunId) -> Result<Arrivals<'_>, StateError> {
        self.begin_writing()?;
        self.db.execute("DELETE FROM roster WHERE run = ?", [run])?;
        // Temporary tables live in a file of their own, which nobody else sees.
        self.db.execute_batch(
            "CREATE TEMP TABLE IF NOT EXISTS arrived (domain INTEGER NOT NULL, local TEXT NOT NULL);
             DELETE FROM arrived;",
        )?;
        Ok(Arrivals { state: self, run, last: None })
    }

    /// How many are still to be asked.
    pub fn still_to_ask(&self, run: RunId) -> Result<u64, StateError> {
        Ok(self.db.query_row("SELECT count(*) FROM roster WHERE run = ?", [run], |row| row.get(0))?)
    }

    /// The next domain with somebody to ask, by number.
    pub fn next_domain(&self, run: RunId, after: Option<Key>) -> Result<Option<(Key, Domain)>, StateError> {
        let mut find = self.db.prepare_cached(
            "SELECT roster.domain, name.name FROM roster JOIN name ON name.id = roster.domain
             WHERE roster.run = ? AND roster.domain > ? ORDER BY roster.domain LIMIT 1",
        )?;
        let after = after.map_or(-1, |key| key.0);
        let found = find.query_row(params![run, after], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)));
        let Some((key, name)) = found.optional()? else {
            return Ok(None);
        };
        Ok(Domain::from_dns(&name).ok().map(|domain| (key, domain)))
    }

    /// Up to `most` of a domain's addresses that are still to be asked, those after `after` in their order.
    pub fn listed(
        &self,
        run: RunId,
        domain: &Domain,
        after: &str,
        most: usize,
    ) -> Result<Vec<Address>, StateError> {
        let mut find = self.db.prepare_cached(
            "SELECT local FROM roster WHERE run = ? AND domain = ? AND local > ? ORDER BY local LIMIT ?",
        )?;
        let key = Key::of(domain.as_str());
        let locals = find.query_map(params![run, key, after, most], |row| row.get::<_, String>(0))?;
        let mut listed = Vec::new();
        for local in locals {
            let known = |_: &str| Ok(domain.clone());
            listed.extend(Address::parse_with(&format!("{}@{domain}", local?), known).ok());
        }
        Ok(listed)
    }

    /// A domain at which nobody is asked.
    pub fn strike_out(&mut self, run: RunId, domain: Key) -> Result<(), StateError> {
        self.begin_writing()?;
        let mut delete = self.db.prepare_cached("DELETE FROM roster WHERE run = ? AND domain = ?")?;
        delete.execute(params![run, domain])?;
        Ok(())
    }
}

impl Arrivals<'_> {
    /// An address of the list. Address literals have no domain to be asked at and do not arrive.
    pub fn arrive(&mut self, address: &Address) -> Result<(), StateError> {
        let Some(domain) = address.domain() else {
            return Ok(());
        };
        let key = match &self.last {
            Some((last, key)) if last == domain => *key,
            _ => {
                let key = self.state.write_name(domain.as_str())?;
                self.last = Some((domain.clone(), key));
                key
            }
        };
        let mut insert = self.state.db.prepare_cached("INSERT INTO arrived VALUES (?, ?)")?;
        insert.execute(params![key, address.local()])?;
        Ok(())
    }

    /// Everybody has arrived: whoever is not known stands in the roster now, once.
    pub fn close(self, fresh: Fresh) -> Result<(), StateError> {
        let Arrivals { state, run, .. } = self;
        state.db.execute(
            "INSERT INTO roster SELECT DISTINCT ?1, arrived.domain, arrived.local FROM arrived
             WHERE NOT EXISTS (
                SELECT 1 FROM settled WHERE settled.domain = arrived.domain AND settled.local = arrived.local
                AND settled.expires > ?2 AND settled.checked >= ?3
             ) ORDER BY 2, 3",
            params![run, millis(fresh.at), millis(fresh.since)],
        )?;
        state.db.execute("UPDATE run SET gathered = 1 WHERE id = ?", [run])?;
        state.commit()?;
        state.db.execute_batch("DROP TABLE arrived")?;
        Ok(())
    }
}
