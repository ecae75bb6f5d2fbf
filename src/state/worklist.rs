//! The worklist of a run: the distinct recipients of its list that have no fresh result.
//!
//! Decides: which recipients need no probe, because they have a fresh result. The file sorts the recipients by domain, so
//! that memory does not grow with the list, and a domain is probed as a whole.

use rusqlite::{OptionalExtension, params};

use super::freshness::is_usable_in;
use super::open::{SORTING_KIB, WRITING_KIB};
use super::store::millis;
use super::{FreshnessPolicy, NameHash, RunId, State, StateError, spellings};
use crate::address::{Address, Domain, folded_local};
use crate::evidence::RecipientId;

/// Takes the recipients of a list, in its order, and makes a worklist of them.
pub struct WorklistBuilder<'a> {
    state: &'a mut State,
    run: RunId,
    /// Recipients that differ in ASCII case are different ones.
    case_sensitive: bool,
    /// The last domain and its number: rows one after the other often share it.
    last: Option<(Domain, NameHash)>,
}

impl State {
    /// Begins the worklist of a run, in place of one that may be incomplete.
    pub fn build_worklist(&mut self, run: RunId) -> Result<WorklistBuilder<'_>, StateError> {
        self.set_cache_size(SORTING_KIB)?;
        self.begin_writing()?;
        self.db.execute("DELETE FROM worklist WHERE run = ?", [run])?;
        self.db.execute("DELETE FROM reused WHERE run = ?", [run])?;
        self.db.execute("DELETE FROM spelling WHERE run = ?", [run])?;
        // A temporary table stands in a file of its own, without a name.
        self.db.execute_batch(
            "CREATE TEMP TABLE IF NOT EXISTS incoming (domain INTEGER NOT NULL, local TEXT NOT NULL, folded TEXT);
             DELETE FROM incoming;",
        )?;
        Ok(WorklistBuilder { state: self, run, case_sensitive: false, last: None })
    }

    /// How many recipients the run has still to probe.
    pub(crate) fn still_to_probe(&self, run: RunId) -> Result<u64, StateError> {
        Ok(self.db.query_row("SELECT count(*) FROM worklist WHERE run = ?", [run], |row| row.get(0))?)
    }

    /// The domain of the worklist with the next number. A domain whose name can't be read is removed.
    pub(crate) fn next_domain(
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

    /// How many recipients of a domain, after this one, the run has still to probe.
    pub(crate) fn count_recipients(
        &self,
        run: RunId,
        domain: NameHash,
        after: RecipientId,
    ) -> Result<u32, StateError> {
        let mut count = self
            .db
            .prepare_cached("SELECT count(*) FROM worklist WHERE run = ? AND domain = ? AND position > ?")?;
        Ok(count.query_row(params![run, domain, after.0], |row| row.get(0))?)
    }

    /// The next recipients of a domain that the run has still to probe: at most `most`, in the order of the list, those
    /// after `after`. A recipient whose address can't be read is removed.
    pub(crate) fn recipients(
        &self,
        run: RunId,
        domain: &Domain,
        after: RecipientId,
        most: usize,
    ) -> Result<Vec<(RecipientId, Address)>, StateError> {
        let mut find = self.db.prepare_cached(
            "SELECT position, local FROM worklist
             WHERE run = ? AND domain = ? AND position > ? ORDER BY position",
        )?;
        let key = NameHash::of(domain.as_str());
        let mut rows = find.query(params![run, key, after.0])?;
        let (mut recipients, mut unreadable) = (Vec::new(), Vec::new());
        while recipients.len() < most
            && let Some(row) = rows.next()?
        {
            let id = RecipientId(row.get(0)?);
            let known = |_: &str| Ok(domain.clone());
            let text = format!("{}@{domain}", row.get_ref(1)?.as_str().unwrap_or_default());
            match Address::parse_with(&text, known) {
                Ok(address) => recipients.push((id, address)),
                Err(_) => unreadable.push(id),
            }
        }
        drop(rows);
        // An older version read them in another way. The list has them, and is read by this version.
        for id in unreadable {
            self.remove_recipient(run, key, id)?;
        }
        Ok(recipients)
    }

    /// Removes a recipient.
    pub(super) fn remove_recipient(
        &self,
        run: RunId,
        domain: NameHash,
        id: RecipientId,
    ) -> Result<(), StateError> {
        let mut delete =
            self.db.prepare_cached("DELETE FROM worklist WHERE run = ? AND domain = ? AND position = ?")?;
        delete.execute(params![run, domain, id.0])?;
        Ok(())
    }

    /// Removes a domain whose recipients are not probed; returns how many there were.
    pub(crate) fn remove_domain(&mut self, run: RunId, domain: NameHash) -> Result<u64, StateError> {
        self.begin_writing()?;
        let mut delete = self.db.prepare_cached("DELETE FROM worklist WHERE run = ? AND domain = ?")?;
        Ok(delete.execute(params![run, domain])? as u64)
    }
}

/// More than any number of a row: added to the place of spellings that are not in lower case, which come later.
const LATER: i64 = 1 << 40;

impl WorklistBuilder<'_> {
    /// Recipients that differ in ASCII case are different ones.
    #[must_use]
    pub fn case_sensitive(self, case_sensitive: bool) -> Self {
        WorklistBuilder { case_sensitive, ..self }
    }

    /// Adds a recipient. An address literal has no domain and is left out.
    pub fn add(&mut self, address: &Address) -> Result<(), StateError> {
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
            self.state.db.prepare_cached("INSERT INTO incoming (domain, local, folded) VALUES (?, ?, ?)")?;
        let local = address.local();
        let folded = folded_local(local);
        let is_other = !self.case_sensitive && folded != local;
        insert.execute(params![key, local, is_other.then_some(folded)])?;
        Ok(())
    }

    /// Completes the worklist: each recipient without a fresh result stands in it once, in lower case if the list has that
    /// spelling, else in the first one.
    pub fn finish(self, fresh: FreshnessPolicy) -> Result<(), StateError> {
        let WorklistBuilder { state, run, .. } = self;
        let is_usable = is_usable_in("?1");
        // The distinct recipients come in the order of the results, so that the two are read side by side, whatever the
        // order of the list.
        let distinct = |of: &str| {
            format!(
                "SELECT domain, local, place % {LATER} AS position FROM (
                    SELECT domain, local, min(rowid + (folded IS NOT NULL) * {LATER}) AS place FROM incoming {of}
                    GROUP BY domain, coalesce(folded, local))"
            )
        };
        let (all, at_domains_to_probe) =
            (distinct(""), distinct("WHERE domain IN (SELECT domain FROM worklist WHERE run = ?1)"));
        let is_known = format!(
            "EXISTS (SELECT 1 FROM result WHERE result.domain = listed.domain AND result.local = listed.local
                AND (result.run = ?1 AND result.not_probed_because IS NULL
                     OR result.expires > ?2 AND result.checked BETWEEN ?3 AND ?4 AND {is_usable}))"
        );
        let FreshnessPolicy { at, since, until } = fresh;
        let terms = params![run, millis(at), millis(since), millis(until)];
        let to_probe = state.db.execute(
            &format!(
                "INSERT INTO worklist (run, domain, position, local)
                 WITH listed AS ({all})
                 SELECT ?1, domain, position, local FROM listed WHERE NOT {is_known}
                 ORDER BY domain, position"
            ),
            terms,
        )?;
        if to_probe > 0 {
            state.read_earlier_contacts(run)?;
            state.db.execute(
                &format!(
                    "INSERT INTO reused (run, domain, position, local)
                     WITH listed AS ({at_domains_to_probe})
                     SELECT ?1, domain, position, local FROM listed WHERE {is_known}
                     ORDER BY domain, position"
                ),
                terms,
            )?;
        }
        spellings::record(&state.db, run)?;
        spellings::add_rejected(&state.db, run, fresh)?;
        state.db.execute("UPDATE run SET worklist_complete = 1 WHERE id = ?", [run])?;
        state.commit()?;
        state.db.execute_batch("DROP TABLE incoming")?;
        state.set_cache_size(WRITING_KIB)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::state::runs::RunKey;

    #[test]
    fn a_domain_whose_name_can_not_be_read_is_removed_and_the_others_are_probed() {
        let mut state = State::temporary().unwrap();
        let run = state.begin(&RunKey::default(), Duration::MAX, UNIX_EPOCH, Duration::MAX).unwrap().id;
        let names = ["a.example", "b.example", "c.example", "d.example"];
        let mut worklist = state.build_worklist(run).unwrap();
        for name in names {
            worklist.add(&Address::parse(&format!("jane@{name}")).unwrap()).unwrap();
        }
        worklist.finish(FreshnessPolicy::nothing()).unwrap();
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
        assert_eq!(state.still_to_probe(run).unwrap(), 2);
    }

    #[test]
    fn a_recipient_whose_address_can_not_be_read_is_removed_and_the_others_are_probed() {
        let mut state = State::temporary().unwrap();
        let run = state.begin(&RunKey::default(), Duration::MAX, UNIX_EPOCH, Duration::MAX).unwrap().id;
        let mut worklist = state.build_worklist(run).unwrap();
        for n in 0..4 {
            worklist.add(&Address::parse(&format!("user{n}@a.example")).unwrap()).unwrap();
        }
        worklist.finish(FreshnessPolicy::nothing()).unwrap();
        state.db.execute("UPDATE worklist SET local = 'a..' WHERE local IN ('user0', 'user1')", []).unwrap();
        let domain = Domain::parse("a.example").unwrap();
        let first = state.recipients(run, &domain, RecipientId::default(), 1).unwrap();
        let locals = |found: &[(RecipientId, Address)]| -> Vec<String> {
            found.iter().map(|(_, address)| address.local().to_owned()).collect()
        };
        assert_eq!(locals(&first), ["user2"]);
        assert_eq!(locals(&state.recipients(run, &domain, first[0].0, 9).unwrap()), ["user3"]);
        assert_eq!(state.still_to_probe(run).unwrap(), 2);
    }
}
