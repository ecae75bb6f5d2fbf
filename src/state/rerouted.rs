//! A domain whose route has changed: rejections by MX hosts that it no longer has, and the recipients that are probed again.
//!
//! Decides: that a rejection counts only as long as the DNS names the MX host that gave it. An acceptance keeps its
//! lifetime. Must not: look anything up.

use std::collections::HashSet;

use rusqlite::params;

use super::{NameHash, RunId, State, StateError};
use crate::address::{Address, Domain};
use crate::evidence::RecipientId;
use crate::route::MxHost;

impl State {
    /// Deletes the rejections and deferrals of a domain by other MX hosts than these, and the results that rest on them.
    /// Recipients of the run's list that had such a result are put into its worklist again, after `after` and all others
    /// of the domain. Returns these.
    pub(crate) fn drop_other_hosts(
        &mut self,
        run: RunId,
        domain: &Domain,
        mx_hosts: &[MxHost],
        after: RecipientId,
    ) -> Result<Vec<(RecipientId, Address)>, StateError> {
        self.begin_writing()?;
        let name = domain;
        let domain = NameHash::of(name.as_str());
        let mx_hosts: HashSet<NameHash> =
            mx_hosts.iter().map(|mx_host| NameHash::of(mx_host.host.as_str())).collect();
        let is_dropped = |mx_host: &NameHash| !mx_hosts.contains(mx_host);
        let rejected_by = "SELECT DISTINCT mx_host FROM reply WHERE domain = ? AND kind = 0 AND code >= 400";
        let mut find = self.db.prepare_cached(rejected_by)?;
        let dropped = find.query_map([domain], |row| row.get(0))?.collect::<Result<Vec<NameHash>, _>>()?;
        let dropped: Vec<NameHash> = dropped.into_iter().filter(is_dropped).collect();
        drop(find);
        if dropped.is_empty() {
            return Ok(Vec::new());
        }
        let results = self.results_by(domain, &dropped)?;
        for mx_host in dropped {
            let mut delete = self.db.prepare_cached(
                "DELETE FROM reply WHERE domain = ? AND kind = 0 AND code >= 400 AND mx_host = ?",
            )?;
            delete.execute(params![domain, mx_host])?;
        }
        let mut last = self.last_position(run, domain)?.max(after.0);
        let mut again = Vec::new();
        for (local, of_run) in results {
            let mut delete = self.db.prepare_cached("DELETE FROM result WHERE domain = ? AND local = ?")?;
            delete.execute(params![domain, local])?;
            let mut take =
                self.db.prepare_cached("DELETE FROM reused WHERE run = ? AND domain = ? AND local = ?")?;
            let is_reused = take.execute(params![run, domain, local])? > 0;
            let is_listed = is_reused || (of_run == run && !self.is_in_worklist(run, domain, &local)?);
            let address = Address::parse_with(&format!("{local}@{name}"), |_| Ok(name.clone()));
            if let (true, Ok(address)) = (is_listed, address) {
                last += 1;
                let mut insert = self.db.prepare_cached(
                    "INSERT INTO worklist (run, domain, position, local) VALUES (?, ?, ?, ?)",
                )?;
                insert.execute(params![run, domain, last, local])?;
                again.push((RecipientId(last), address));
            }
        }
        Ok(again)
    }

    /// The recipients of a domain whose result rests on a rejection by one of these MX hosts, each with the run of the
    /// result. The last reply decides.
    fn results_by(
        &self,
        domain: NameHash,
        mx_hosts: &[NameHash],
    ) -> Result<Vec<(String, RunId)>, StateError> {
        // With `max`, SQLite takes the other columns from the same row.
        let mut find = self.db.prepare_cached(
            "SELECT result.local, result.run, reply.mx_host, reply.code, max(reply.at)
             FROM result JOIN reply ON reply.domain = result.domain AND reply.kind = 0
                 AND reply.local = result.local AND reply.run = result.run
             WHERE result.domain = ? GROUP BY result.local",
        )?;
        let mut rows = find.query([domain])?;
        let mut results = Vec::new();
        while let Some(row) = rows.next()? {
            let (mx_host, code): (NameHash, u16) = (row.get(2)?, row.get(3)?);
            if code >= 400 && mx_hosts.contains(&mx_host) {
                results.push((row.get(0)?, row.get(1)?));
            }
        }
        Ok(results)
    }

    fn last_position(&self, run: RunId, domain: NameHash) -> Result<i64, StateError> {
        let mut find = self.db.prepare_cached(
            "SELECT max((SELECT coalesce(max(position), 0) FROM worklist WHERE run = ?1 AND domain = ?2),
                        (SELECT coalesce(max(position), 0) FROM reused WHERE run = ?1 AND domain = ?2))",
        )?;
        Ok(find.query_row(params![run, domain], |row| row.get(0))?)
    }

    fn is_in_worklist(&self, run: RunId, domain: NameHash, local: &str) -> Result<bool, StateError> {
        let mut find =
            self.db.prepare_cached("SELECT 1 FROM worklist WHERE run = ? AND domain = ? AND local = ?")?;
        Ok(find.exists(params![run, domain, local])?)
    }
}
