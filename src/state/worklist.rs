//! Who is still to be asked in a run: the distinct addresses of its list about which nothing fresh is known.
//!
//! Decides: what is fresh enough ([`FreshnessPolicy`]). Addresses go through the file, sorted by domain, never through memory; a domain's stand
//! together, so that it can be asked about as a whole.

use std::time::{Duration, SystemTime};

use rusqlite::types::ToSqlOutput;
use rusqlite::{OptionalExtension, ToSql, params};

use super::open::{SORTING_KIB, WRITING_KIB};
use super::{NameHash, State, StateError, millis};
use crate::address::{Address, Domain};
use crate::evidence::RecipientId;

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
pub struct FreshnessPolicy {
    /// What expires after this.
    pub at: SystemTime,
    /// What was gathered after this.
    pub since: SystemTime,
}

impl FreshnessPolicy {
    /// What is still good at this time and not older than that; `None` is any age.
    pub fn of(at: SystemTime, max_age: Option<Duration>) -> FreshnessPolicy {
        let since = max_age.and_then(|age| at.checked_sub(age));
        FreshnessPolicy { at, since: since.unwrap_or(SystemTime::UNIX_EPOCH) }
    }

    /// Nothing that was known before the run.
    pub fn nothing() -> FreshnessPolicy {
        FreshnessPolicy { at: super::time(i64::MAX), since: super::time(i64::MAX) }
    }
}

/// The addresses of a list on their way into the roster, in the order of the list.
pub struct WorklistBuilder<'a> {
    state: &'a mut State,
    run: RunId,
    /// The last domain and its number: neighbours often share it.
    last: Option<(Domain, NameHash)>,
}

impl State {
    /// Begins the roster of a run anew.
    pub fn arrivals(&mut self, run: RunId) -> Result<WorklistBuilder<'_>, StateError> {
        self.set_cache_size(SORTING_KIB)?;
        self.begin_writing()?;
        self.db.execute("DELETE FROM worklist WHERE run = ?", [run])?;
        // Temporary tables live in a file of their own, which nobody else sees.
        self.db.execute_batch(
            "CREATE TEMP TABLE IF NOT EXISTS incoming (domain INTEGER NOT NULL, local TEXT NOT NULL);
             DELETE FROM incoming;",
        )?;
        Ok(WorklistBuilder { state: self, run, last: None })
    }

    /// How many are still to be asked.
    pub fn still_to_ask(&self, run: RunId) -> Result<u64, StateError> {
        Ok(self.db.query_row("SELECT count(*) FROM worklist WHERE run = ?", [run], |row| row.get(0))?)
    }

    /// The next domain with somebody to ask, by number. One whose name can't be read back is struck out.
    pub fn next_domain(
        &mut self,
        run: RunId,
        after: Option<NameHash>,
    ) -> Result<Option<(NameHash, Domain)>, StateError> {
        loop {
            let mut find = self.db.prepare_cached(
                "SELECT worklist.domain, name.name FROM worklist LEFT JOIN name ON name.id = worklist.domain
                 WHERE worklist.run = ? AND worklist.domain > ? ORDER BY worklist.domain LIMIT 1",
            )?;
            let after = after.map_or(-1, |key| key.0);
            let found = find
                .query_row(params![run, after], |row| Ok((row.get(0)?, row.get::<_, Option<String>>(1)?)));
            let Some((key, name)) = found.optional()? else {
                return Ok(None);
            };
            drop(find);
            if let Some(domain) = name.and_then(|name| Domain::from_dns(&name).ok()) {
                return Ok(Some((key, domain)));
            }
            self.remove_domain(run, key)?;
        }
    }

    /// How many of a domain's addresses are still to be asked.
    pub fn count_listed(&self, run: RunId, domain: NameHash) -> Result<u32, StateError> {
        let mut count =
            self.db.prepare_cached("SELECT count(*) FROM worklist WHERE run = ? AND domain = ?")?;
        Ok(count.query_row(params![run, domain], |row| row.get(0))?)
    }

    /// Up to `most` of a domain's addresses that are still to be asked, those after a place in their order.
    pub fn listed(
        &self,
        run: RunId,
        domain: &Domain,
        after: RecipientId,
        most: usize,
    ) -> Result<Vec<(RecipientId, Address)>, StateError> {
        let mut find = self.db.prepare_cached(
            "SELECT position, local FROM worklist
             WHERE run = ? AND domain = ? AND position > ? ORDER BY position LIMIT ?",
        )?;
        let key = NameHash::of(domain.as_str());
        let mut rows = find.query(params![run, key, after.0, most])?;
        let mut listed = Vec::new();
        while let Some(row) = rows.next()? {
            let known = |_: &str| Ok(domain.clone());
            let text = format!("{}@{domain}", row.get_ref(1)?.as_str().unwrap_or_default());
            if let Ok(address) = Address::parse_with(&text, known) {
                listed.push((RecipientId(row.get(0)?), address));
            }
        }
        Ok(listed)
    }

    /// A domain at which nobody is asked; returns how many addresses that are.
    pub fn remove_domain(&mut self, run: RunId, domain: NameHash) -> Result<u64, StateError> {
        self.begin_writing()?;
        let mut delete = self.db.prepare_cached("DELETE FROM worklist WHERE run = ? AND domain = ?")?;
        Ok(delete.execute(params![run, domain])? as u64)
    }
}

/// The condition on which what a row of `result` says counts in this run: it was told with its whole run before it, when too
/// many mailboxes gone at once would have shown, or it condemns nobody.
pub(super) fn counts_beside(run: &str) -> String {
    format!(
        "(result.run NOT IN (SELECT id FROM run WHERE NOT facts_published AND id <> {run})
          OR result.reason NOT IN (SELECT word FROM reason WHERE verdict = 'undeliverable'))"
    )
}

impl WorklistBuilder<'_> {
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
        let mut insert =
            self.state.db.prepare_cached("INSERT INTO incoming (domain, local) VALUES (?, ?)")?;
        insert.execute(params![key, address.local()])?;
        Ok(())
    }

    /// Everybody has arrived: whoever is not known stands in the roster now, once.
    pub fn close(self, fresh: FreshnessPolicy) -> Result<(), StateError> {
        let WorklistBuilder { state, run, .. } = self;
        let counts = counts_beside("?1");
        state.db.execute(
            &format!(
                "INSERT INTO worklist (run, domain, position, local)
                 SELECT ?1, domain, min(rowid) AS position, local FROM incoming
                 WHERE NOT EXISTS (
                    SELECT 1 FROM result WHERE result.domain = incoming.domain AND result.local = incoming.local
                    AND (result.run = ?1 AND result.not_probed_because IS NULL
                         OR result.expires > ?2 AND result.checked >= ?3 AND {counts})
                 ) GROUP BY domain, local ORDER BY domain, position"
            ),
            params![run, millis(fresh.at), millis(fresh.since)],
        )?;
        state.db.execute("UPDATE run SET worklist_complete = 1 WHERE id = ?", [run])?;
        state.commit()?;
        state.db.execute_batch("DROP TABLE incoming")?;
        state.set_cache_size(WRITING_KIB)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::state::runs::RunKey;

    #[test]
    fn a_domain_whose_name_can_not_be_read_back_is_struck_out_and_the_others_are_asked() {
        let mut state = State::temporary().unwrap();
        let run = state.begin(&RunKey::default(), Duration::MAX, UNIX_EPOCH, Duration::MAX).unwrap().id;
        let names = ["a.example", "b.example", "c.example", "d.example"];
        let mut arrivals = state.arrivals(run).unwrap();
        for name in names {
            arrivals.arrive(&Address::parse(&format!("jane@{name}")).unwrap()).unwrap();
        }
        arrivals.close(FreshnessPolicy::nothing()).unwrap();
        let mut domains = names.map(NameHash::of);
        domains.sort_unstable_by_key(|key| key.0);
        let [first, second, third, fourth] = domains;
        state.db.execute("UPDATE name SET name = '..' WHERE id = ?", [first]).unwrap();
        state.db.execute("DELETE FROM name WHERE id = ?", [third]).unwrap();

        let mut found = Vec::new();
        while let Some((key, _)) = state.next_domain(run, found.last().copied()).unwrap() {
            found.push(key);
        }
        assert_eq!(found, [second, fourth]);
        assert_eq!(state.still_to_ask(run).unwrap(), 2);
    }
}
