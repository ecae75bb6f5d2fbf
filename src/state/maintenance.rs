//! Facts in bulk: statistics, deletion of old facts, what the owner of an address may demand (export and erasure), and
//! the import of facts from a locked state.
//!
//! Decides: what belongs to a recipient: the replies to its probes, its result, its place in worklists, and the reason
//! that was last reported. Must not: leave a deleted address in the file; `forget` overwrites it.

use std::time::{Duration, SystemTime};

use rusqlite::types::{Value as SqlValue, ValueRef};
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use serde_json::{Map, Value, json};

use super::freshness::is_usable_in;
use super::store::{millis, time};
use super::{NameHash, State, StateError};
use crate::address::{Address, Domain};

/// Answers are deleted when some are older than their retention by this time.
const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// Figures of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateStats {
    /// The network whose facts it holds.
    pub namespace: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// Runs, and those of them that can resume.
    pub runs: (u64, u64),
    /// Recipients that runs have still to probe.
    pub still_to_probe: u64,
    /// Domains with a route.
    pub domains: u64,
    /// Replies to probes.
    pub replies: u64,
    /// The time of the oldest reply.
    pub oldest: Option<SystemTime>,
    /// Recipients with a result, by verdict.
    pub verdicts: Vec<(String, u64)>,
}

/// How much `prune` deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PruneCounts {
    /// Results of recipients.
    pub addresses: u64,
    /// Replies that belong to none of these.
    pub replies: u64,
    /// Routes of domains.
    pub domains: u64,
}

impl State {
    /// The figures of the state.
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
            still_to_probe: count("SELECT count(*) FROM worklist")?,
            domains: count("SELECT count(*) FROM route")?,
            replies: count("SELECT count(*) FROM reply")?,
            oldest: oldest.map(time),
            verdicts,
        })
    }

    /// Deletes facts from before a time, but not those of younger runs that can resume.
    pub fn prune(&mut self, before: SystemTime, now: SystemTime) -> Result<PruneCounts, StateError> {
        self.prune_facts(before, now, false)
    }

    /// Deletes answers that are older than `retention`, if some are older by a month: it takes a while in a large state. What
    /// was last reported stays.
    pub(crate) fn retain(&mut self, retention: Duration, now: SystemTime) -> Result<(), StateError> {
        let before = |age| now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        let (oldest, wanted) = (before(retention.saturating_add(MONTH)), before(retention));
        let has_old = |sql: &str| self.db.prepare(sql)?.exists([millis(oldest)]);
        // Replies have no index by time, and runs are few.
        if has_old("SELECT 1 FROM run WHERE began < ?")? && has_old("SELECT 1 FROM reply WHERE at < ?")? {
            self.prune_facts(wanted, now, true)?;
        }
        Ok(())
    }

    fn prune_facts(
        &mut self,
        before: SystemTime,
        now: SystemTime,
        keeps_reported: bool,
    ) -> Result<PruneCounts, StateError> {
        self.begin_writing()?;
        self.end_runs_before(before, now)?;
        let before = millis(before);
        let is_old = "run IN (SELECT id FROM run WHERE ended IS NOT NULL)";
        let results = self.db.execute(
            &format!(
                "DELETE FROM result WHERE {is_old}
                 AND coalesce(checked, (SELECT began FROM run WHERE run.id = result.run), 0) < ?"
            ),
            [before],
        )?;
        let replies = self.db.execute(
            &format!(
                "DELETE FROM reply WHERE at < ? AND {is_old} AND (kind > 0 OR NOT EXISTS (
                    SELECT 1 FROM result WHERE result.domain = reply.domain
                    AND result.local = reply.local AND result.run = reply.run))"
            ),
            [before],
        )?;
        let domains = self.db.execute("DELETE FROM route WHERE looked_up < ?", [before])?;
        if !keeps_reported {
            self.db.execute(
                &format!(
                    "DELETE FROM last_reported WHERE {is_old} AND run IN (SELECT id FROM run WHERE began < ?)"
                ),
                [before],
            )?;
        }
        self.db.execute_batch(
            "DELETE FROM obstacle WHERE id NOT IN (SELECT obstacle FROM result WHERE obstacle IS NOT NULL
                 UNION SELECT catch_all_evidence FROM result WHERE catch_all = 'failed');
             DELETE FROM served_domain WHERE run NOT IN (SELECT run FROM result);
             DELETE FROM spelling WHERE run IN (SELECT id FROM run WHERE ended IS NOT NULL)
                 AND run NOT IN (SELECT run FROM result);
             DELETE FROM run WHERE ended IS NOT NULL AND id NOT IN (
                 SELECT run FROM result UNION SELECT run FROM reply UNION SELECT run FROM route
                 UNION SELECT run FROM last_reported);",
        )?;
        self.delete_orphans()?;
        self.invalidate_worklists()?;
        self.commit()?;
        self.vacuum()?;
        Ok(PruneCounts { addresses: results as u64, replies: replies as u64, domains: domains as u64 })
    }

    /// Must be called when facts were deleted: each run makes its worklist again from its list.
    fn invalidate_worklists(&self) -> Result<(), StateError> {
        self.db.execute("UPDATE run SET fresh_until = 0 WHERE facts_published", [])?;
        self.db.execute("UPDATE run SET worklist_complete = 0 WHERE ended IS NULL", [])?;
        Ok(())
    }

    /// Deletes names and templates that nothing refers to.
    fn delete_orphans(&self) -> Result<(), StateError> {
        self.db.execute_batch(
            "DELETE FROM name WHERE id NOT IN (
                 SELECT domain FROM result UNION SELECT domain FROM reply UNION SELECT mx_host FROM reply
                 UNION SELECT domain FROM route UNION SELECT domain FROM worklist UNION SELECT domain FROM reused
                 UNION SELECT domain FROM spelling
                 UNION SELECT mx_host FROM obstacle);
             DELETE FROM reply_template WHERE id NOT IN (SELECT template FROM reply
                 UNION SELECT template FROM obstacle WHERE template IS NOT NULL);",
        )?;
        Ok(())
    }

    /// Returns free pages to the system, and empties the write-ahead log.
    fn vacuum(&self) -> Result<(), StateError> {
        self.db.execute_batch("VACUUM")?;
        self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }

    /// Deletes everything about an address in every spelling; returns whether there was anything. The next list may bring it
    /// again.
    pub fn forget(&mut self, address: &Address) -> Result<bool, StateError> {
        let Some(domain) = address.domain() else {
            return Ok(false);
        };
        let mut spellings = self.stored_spellings(address, domain)?;
        if !spellings.contains(address) {
            spellings.push(address.clone());
        }
        let domain = NameHash::of(domain.as_str());
        self.db.execute_batch("PRAGMA secure_delete = ON")?;
        self.begin_writing()?;
        let mut deleted = 0;
        for spelling in spellings {
            for table in ["result", "reply", "worklist", "reused", "spelling"] {
                let sql = format!("DELETE FROM {table} WHERE domain = ? AND local = ?");
                deleted += self.db.execute(&sql, params![domain, spelling.local()])?;
            }
            let email = spelling.to_string();
            deleted += self.db.execute("DELETE FROM last_reported WHERE id = ?", [NameHash::of(&email)])?;
            self.db.execute(
                "DELETE FROM spelling WHERE domain = ? AND probed_as = ?",
                params![domain, spelling.local()],
            )?;
        }
        // A reply about many recipients may name one of them.
        for table in ["obstacle", "reply"] {
            let sql = format!("UPDATE {table} SET parts = NULL WHERE instr(lower(parts), lower(?)) > 0");
            self.db.execute(&sql, [address.to_string()])?;
        }
        self.delete_orphans()?;
        self.invalidate_worklists()?;
        self.commit()?;
        self.vacuum()?;
        Ok(deleted > 0)
    }

    /// Everything about an address as JSON; `None` if there is nothing. Other spellings of it that are stored follow in
    /// `other_spellings`, if there are any.
    pub fn export(&self, address: &Address) -> Result<Option<Value>, StateError> {
        let Some(domain) = address.domain() else {
            return Ok(None);
        };
        let mut spellings = self.stored_spellings(address, domain)?;
        // The address as it was given comes first.
        spellings.sort_by_key(|spelling| spelling != address);
        let mut exported = spellings.iter().map(|spelling| self.export_spelling(spelling, domain));
        let Some(mut first) = exported.next().transpose()? else {
            return Ok(None);
        };
        let others = exported.collect::<Result<Vec<Value>, _>>()?;
        if let (Some(object), false) = (first.as_object_mut(), others.is_empty()) {
            object.insert("other_spellings".to_owned(), others.into());
        }
        Ok(Some(first))
    }

    /// Everything about one spelling of an address.
    fn export_spelling(&self, address: &Address, name: &Domain) -> Result<Value, StateError> {
        let (domain, local, email) = (NameHash::of(name.as_str()), address.local(), address.to_string());
        // The condition on `domain_id`, a key of the tables, makes the views fast.
        let verdict =
            self.rows("SELECT * FROM verdicts WHERE email = ?1 AND domain_id = ?2", params![email, domain])?;
        let attempts = self.rows(
            "SELECT * FROM attempts WHERE email = ?1 AND domain_id = ?2 AND who = 'listed' ORDER BY at",
            params![email, domain],
        )?;
        let waiting =
            self.rows("SELECT run FROM worklist WHERE domain = ?1 AND local = ?2", params![domain, local])?;
        let route = self.rows("SELECT * FROM domains WHERE domain = ?1", params![name.as_str()])?;
        Ok(json!({
            "email": email,
            "verdict": verdict.into_iter().next(),
            "attempts": attempts,
            "domain": route.into_iter().next(),
            "to_be_asked_in": waiting,
        }))
    }

    /// The rows of a query as JSON objects, without the tables' own numbers.
    fn rows(&self, sql: &str, parameters: &[&dyn rusqlite::ToSql]) -> Result<Vec<Value>, StateError> {
        let mut find = self.db.prepare(sql)?;
        let names: Vec<String> = find.column_names().map(str::to_owned).collect();
        let mut rows = find.query(parameters)?;
        let mut objects = Vec::new();
        while let Some(row) = rows.next()? {
            let mut object = Map::new();
            for (column, name) in names.iter().enumerate().filter(|(_, name)| *name != "domain_id") {
                let value = match row.get_ref(column)? {
                    ValueRef::Integer(number) => number.into(),
                    ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
                    _ => Value::Null,
                };
                object.insert(name.clone(), value);
            }
            objects.push(object.into());
        }
        Ok(objects)
    }
}

/// The `id` of no run, for imported facts: a run of the other state may have the `id` of one here.
const NO_RUN: i64 = 0;

impl State {
    /// Copies the facts about some addresses from another state, which a run may hold.
    pub(crate) fn import_from<'a>(
        &mut self,
        other: &State,
        addresses: impl Iterator<Item = &'a Address>,
    ) -> Result<(), StateError> {
        self.begin_writing()?;
        for address in addresses {
            let Some(domain) = address.domain() else { continue };
            let (domain, local) = (NameHash::of(domain.as_str()), address.local());
            let result = format!("domain = ?1 AND local = ?2 AND {}", is_usable_in("0"));
            let of_recipient: [(&str, &str); 3] = [
                ("result", &result),
                (
                    "reply",
                    "domain = ?1 AND (kind > 0 OR kind = 0 AND local = ?2 AND run =
                         (SELECT run FROM result WHERE result.domain = ?1 AND result.local = ?2))",
                ),
                ("route", "domain = ?1 AND ?2 <> ''"),
            ];
            let of_replies: [(&str, &str); 3] = [
                (
                    "name",
                    "?2 <> '' AND (id = ?1 OR id IN (SELECT mx_host FROM reply WHERE domain = ?1)
                     OR id IN (SELECT mx_host FROM obstacle JOIN result ON obstacle.id = result.obstacle
                               WHERE result.domain = ?1))",
                ),
                ("reply_template", "?2 <> '' AND id IN (SELECT template FROM reply WHERE domain = ?1)"),
                ("obstacle", "id IN (SELECT obstacle FROM result WHERE domain = ?1 AND local = ?2)"),
            ];
            for (table, condition) in of_recipient.into_iter().chain(of_replies) {
                copy(&other.db, &self.db, table, condition, domain, local)?;
            }
        }
        self.commit()
    }
}

/// Copies the rows of a table that fulfill a condition.
fn copy(
    from: &Connection,
    to: &Connection,
    table: &str,
    condition: &str,
    domain: NameHash,
    local: &str,
) -> Result<(), StateError> {
    let mut find = from.prepare_cached(&format!("SELECT * FROM {table} WHERE {condition}"))?;
    // By name: two files may have the columns in another order.
    let columns: Vec<String> = find.column_names().map(str::to_owned).collect();
    let (names, marks) = (columns.join(", "), vec!["?"; columns.len()].join(", "));
    let mut insert =
        to.prepare_cached(&format!("INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"))?;
    let mut rows = find.query(params![domain, local])?;
    while let Some(row) = rows.next()? {
        let value = |name: &String| {
            if name == "run" { Ok(NO_RUN.into()) } else { row.get::<_, SqlValue>(name.as_str()) }
        };
        let values = columns.iter().map(value).collect::<Result<Vec<_>, _>>()?;
        insert.execute(params_from_iter(values))?;
    }
    Ok(())
}
