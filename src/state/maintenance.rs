//! A state in its owner's hands: figures, spring cleaning, and the right to be told and to be forgotten.
//!
//! Decides: what belongs to an address: what was asked about it, what was said, what was told. Must not: leave it in
//! the file: what is deleted is overwritten.

use std::time::SystemTime;

use rusqlite::{OptionalExtension, params};
use serde_json::{Map, Value, json};

use super::{NameHash, State, StateError, millis};
use crate::address::Address;

/// What is in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateStats {
    /// What its facts are about.
    pub namespace: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// Runs, and those of them that can go on.
    pub runs: (u64, u64),
    /// Addresses that are still to be asked about.
    pub still_to_ask: u64,
    /// Domains that were looked up.
    pub domains: u64,
    /// Answers of servers.
    pub answers: u64,
    /// The oldest of them.
    pub oldest: Option<SystemTime>,
    /// Addresses that were asked about, by verdict.
    pub verdicts: Vec<(String, u64)>,
}

/// How much was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PruneCounts {
    /// Addresses that were asked about.
    pub addresses: u64,
    /// Answers that belong to none of these.
    pub answers: u64,
    /// Domains that were looked up.
    pub domains: u64,
}

impl State {
    /// What is in it.
    pub fn stats(&self) -> Result<StateStats, StateError> {
        let count = |sql: &str| self.db.query_row(sql, [], |row| row.get::<_, u64>(0));
        let namespace = self.db.query_row("SELECT name FROM namespace", [], |row| row.get(0)).optional()?;
        let oldest =
            self.db.query_row("SELECT min(at) FROM reply", [], |row| row.get::<_, Option<i64>>(0))?;
        let mut verdicts = self.db.prepare(
            "SELECT coalesce(reason.verdict, 'unknown'), count(*) FROM result
             LEFT JOIN reason ON reason.word = result.reason GROUP BY 1 ORDER BY 1",
        )?;
        let verdicts =
            verdicts.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        Ok(StateStats {
            namespace: namespace.unwrap_or_default(),
            bytes: count("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")?,
            runs: (
                count("SELECT count(*) FROM run")?,
                count("SELECT count(*) FROM run WHERE ended IS NULL")?,
            ),
            still_to_ask: count("SELECT count(*) FROM worklist")?,
            domains: count("SELECT count(*) FROM route")?,
            answers: count("SELECT count(*) FROM reply")?,
            oldest: oldest.map(super::time),
            verdicts,
        })
    }

    /// Deletes what is older. Runs that can go on and are younger keep theirs.
    pub fn prune(&mut self, before: SystemTime, now: SystemTime) -> Result<PruneCounts, StateError> {
        self.begin_writing()?;
        self.drop_runs_before(before, now)?;
        let before = millis(before);
        let is_old = "run IN (SELECT id FROM run WHERE ended IS NOT NULL)";
        let settled = self.db.execute(
            &format!(
                "DELETE FROM result WHERE {is_old}
                 AND coalesce(checked, (SELECT began FROM run WHERE run.id = result.run), 0) < ?"
            ),
            [before],
        )?;
        let answers = self.db.execute(
            &format!(
                "DELETE FROM reply WHERE at < ? AND {is_old} AND (kind > 0 OR NOT EXISTS (
                    SELECT 1 FROM result WHERE result.domain = reply.domain
                    AND result.local = reply.local AND result.run = reply.run))"
            ),
            [before],
        )?;
        let domains = self.db.execute("DELETE FROM route WHERE looked_up < ?", [before])?;
        self.db.execute(
            &format!(
                "DELETE FROM last_reported WHERE {is_old} AND run IN (SELECT id FROM run WHERE began < ?)"
            ),
            [before],
        )?;
        self.db.execute_batch(
            "DELETE FROM obstacle WHERE id NOT IN (SELECT obstacle FROM result WHERE obstacle IS NOT NULL
                 UNION SELECT catch_all_evidence FROM result WHERE catch_all = 'failed');
             DELETE FROM served_domain WHERE run NOT IN (SELECT run FROM result);
             DELETE FROM run WHERE ended IS NOT NULL AND id NOT IN (
                 SELECT run FROM result UNION SELECT run FROM reply UNION SELECT run FROM route
                 UNION SELECT run FROM last_reported);",
        )?;
        self.delete_orphans()?;
        self.invalidate_worklists()?;
        self.commit()?;
        self.tidy()?;
        Ok(PruneCounts { addresses: settled as u64, answers: answers as u64, domains: domains as u64 })
    }

    /// Facts are gone: whom a run has to ask is found out anew, from its list.
    fn invalidate_worklists(&self) -> Result<(), StateError> {
        self.db.execute("UPDATE run SET fresh_until = 0 WHERE facts_published", [])?;
        self.db.execute("UPDATE run SET worklist_complete = 0 WHERE ended IS NULL", [])?;
        Ok(())
    }

    /// Names and texts that nothing refers to.
    fn delete_orphans(&self) -> Result<(), StateError> {
        self.db.execute_batch(
            "DELETE FROM name WHERE id NOT IN (
                 SELECT domain FROM result UNION SELECT domain FROM reply UNION SELECT mx_host FROM reply
                 UNION SELECT domain FROM route UNION SELECT domain FROM worklist
                 UNION SELECT mx_host FROM obstacle);
             DELETE FROM reply_template WHERE id NOT IN (SELECT template FROM reply
                 UNION SELECT template FROM obstacle WHERE template IS NOT NULL);",
        )?;
        Ok(())
    }

    /// Gives free pages back, and empties the log beside the file.
    fn tidy(&self) -> Result<(), StateError> {
        self.db.execute_batch("VACUUM")?;
        self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }

    /// Forgets an address; true when something was known. It may come in with the next list.
    pub fn forget(&mut self, address: &Address) -> Result<bool, StateError> {
        let Some(domain) = address.domain() else {
            return Ok(false);
        };
        let (domain, local) = (NameHash::of(domain.as_str()), address.local());
        self.db.execute_batch("PRAGMA secure_delete = ON")?;
        self.begin_writing()?;
        let mut deleted = 0;
        for table in ["result", "reply", "worklist"] {
            let sql = format!("DELETE FROM {table} WHERE domain = ? AND local = ?");
            deleted += self.db.execute(&sql, params![domain, local])?;
        }
        let email = address.to_string();
        deleted += self.db.execute("DELETE FROM last_reported WHERE id = ?", [NameHash::of(&email)])?;
        // What stood in the way of many may name one of them.
        for table in ["obstacle", "reply"] {
            let sql = format!("UPDATE {table} SET parts = NULL WHERE instr(lower(parts), lower(?)) > 0");
            self.db.execute(&sql, [&email])?;
        }
        self.delete_orphans()?;
        self.invalidate_worklists()?;
        self.commit()?;
        self.tidy()?;
        Ok(deleted > 0)
    }

    /// Everything that is known about an address; `None` when that is nothing.
    pub fn export(&self, address: &Address) -> Result<Option<Value>, StateError> {
        let Some(name) = address.domain() else {
            return Ok(None);
        };
        let (domain, local, email) = (NameHash::of(name.as_str()), address.local(), address.to_string());
        // The views tell what stands in the tables; their conditions on the tables' keys make them quick.
        let verdict =
            self.rows("SELECT * FROM verdicts WHERE email = ?1 AND domain_id = ?2", params![email, domain])?;
        let attempts = self.rows(
            "SELECT * FROM attempts WHERE email = ?1 AND domain_id = ?2 AND who = 'listed' ORDER BY at",
            params![email, domain],
        )?;
        let waiting =
            self.rows("SELECT run FROM worklist WHERE domain = ?1 AND local = ?2", params![domain, local])?;
        if verdict.is_empty() && attempts.is_empty() && waiting.is_empty() {
            return Ok(None);
        }
        let route = self.rows("SELECT * FROM domains WHERE domain = ?1", params![name.as_str()])?;
        Ok(Some(json!({
            "email": email,
            "verdict": verdict.into_iter().next(),
            "attempts": attempts,
            "domain": route.into_iter().next(),
            "to_be_asked_in": waiting,
        })))
    }

    /// Rows of a query as objects, without the tables' own numbers.
    fn rows(&self, sql: &str, parameters: &[&dyn rusqlite::ToSql]) -> Result<Vec<Value>, StateError> {
        let mut find = self.db.prepare(sql)?;
        let names: Vec<String> = find.column_names().map(str::to_owned).collect();
        let mut rows = find.query(parameters)?;
        let mut objects = Vec::new();
        while let Some(row) = rows.next()? {
            let mut object = Map::new();
            for (column, name) in names.iter().enumerate().filter(|(_, name)| *name != "domain_id") {
                let value = match row.get_ref(column)? {
                    rusqlite::types::ValueRef::Integer(number) => number.into(),
                    rusqlite::types::ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
                    _ => Value::Null,
                };
                object.insert(name.clone(), value);
            }
            objects.push(object.into());
        }
        Ok(objects)
    }
}
