//! Other spellings of recipients: `Jane@` beside `jane@` in one list.
//!
//! Decides: which spelling of a recipient is probed for all of them, and that each is probed where that one was found
//! undeliverable: a host may distinguish case (RFC 5321 2.4), so a rejection of one spelling condemns no other. Must not:
//! change stored facts, which are about one spelling each.

use rusqlite::{Connection, OptionalExtension, params};

use super::freshness::is_usable_in;
use super::store::millis;
use super::{FreshnessPolicy, NameHash, RunId, State, StateError};
use crate::address::{Address, Domain, folded_local};

/// Records the spellings in the temporary table `incoming` that are not the one to be probed: that is the one in lower case
/// if the list has it, else the first.
pub(super) fn record(db: &Connection, run: RunId) -> Result<(), StateError> {
    db.execute(
        "INSERT INTO spelling (run, domain, local, position, probed_as)
         SELECT ?1, domain, local, position, probed_as FROM (
            SELECT domain, local, position,
                   first_value(local) OVER (PARTITION BY domain, form ORDER BY is_other, position) AS probed_as
            FROM (
                SELECT domain, local, coalesce(folded, local) AS form, folded IS NOT NULL AS is_other,
                       min(rowid) AS position
                FROM incoming
                WHERE (domain, coalesce(folded, local)) IN (
                    SELECT domain, folded FROM incoming WHERE folded IS NOT NULL)
                GROUP BY domain, local
            )
         ) WHERE local <> probed_as",
        [run],
    )?;
    Ok(())
}

/// Adds to the worklist the spellings whose probed one was found undeliverable, unless they have a result of their own;
/// returns how many there are.
pub(super) fn add_rejected(db: &Connection, run: RunId, fresh: FreshnessPolicy) -> Result<usize, StateError> {
    let is_usable = is_usable_in("?1");
    let counts = format!(
        "(result.run = ?1 AND result.not_probed_because IS NULL
          OR result.expires > ?2 AND result.checked BETWEEN ?3 AND ?4 AND {is_usable})"
    );
    let added = db.execute(
        &format!(
            "INSERT OR IGNORE INTO worklist (run, domain, position, local)
             SELECT spelling.run, spelling.domain, spelling.position, spelling.local FROM spelling
             JOIN result ON result.domain = spelling.domain AND result.local = spelling.probed_as
             WHERE spelling.run = ?1 AND {counts}
               AND result.reason IN (SELECT word FROM reason WHERE verdict = 'undeliverable')
               AND NOT EXISTS (
                  SELECT 1 FROM result WHERE result.domain = spelling.domain AND result.local = spelling.local AND {counts})"
        ),
        params![run, millis(fresh.at), millis(fresh.since), millis(fresh.until)],
    )?;
    Ok(added)
}

impl State {
    /// Must be called when the recipients of a run are probed: returns how many other spellings are to be probed now.
    pub(crate) fn add_rejected_spellings(
        &mut self,
        run: RunId,
        fresh: FreshnessPolicy,
    ) -> Result<usize, StateError> {
        self.begin_writing()?;
        let added = add_rejected(&self.db, run, fresh)?;
        self.commit()?;
        Ok(added)
    }

    /// The stored spellings of an address, in the order of their bytes.
    pub(super) fn stored_spellings(
        &self,
        address: &Address,
        domain: &Domain,
    ) -> Result<Vec<Address>, StateError> {
        let mut find = self.db.prepare(
            "SELECT local FROM result WHERE domain = ?1 UNION SELECT local FROM reply WHERE domain = ?1 AND kind = 0
             UNION SELECT local FROM worklist WHERE domain = ?1 UNION SELECT local FROM spelling WHERE domain = ?1",
        )?;
        let form = folded_local(address.local());
        let mut rows = find.query([NameHash::of(domain.as_str())])?;
        let mut spellings = Vec::new();
        while let Some(row) = rows.next()? {
            let local = row.get_ref(0)?.as_str().unwrap_or_default();
            if folded_local(local) == form {
                spellings.extend(Address::parse(&format!("{local}@{domain}")).ok());
            }
        }
        Ok(spellings)
    }
}

/// The spelling that was probed for this one in a run; `None` if it was to be probed itself.
pub(super) fn probed_as(
    db: &Connection,
    run: RunId,
    domain: NameHash,
    local: &str,
) -> Result<Option<String>, StateError> {
    let mut find =
        db.prepare_cached("SELECT probed_as FROM spelling WHERE run = ? AND domain = ? AND local = ?")?;
    Ok(find.query_row(params![run, domain, local], |row| row.get(0)).optional()?)
}
