//! Facts come out: the questions that a run and its telling have.
//!
//! Decides: nothing; what stands in a row is read by [`super::decode`], by the rules of the day. Must not: take a name for
//! another: numbers are looked up and names compared. What can't be read back counts as not known.

use std::borrow::Borrow;
use std::sync::LazyLock;
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, params};

use super::decode::{AFTER_REPLY, FactDecoder, REPLY, RESULT};
use super::worklist::RunId;
use super::{NameHash, State, StateError, route, time};
use crate::address::{Address, Domain};
use crate::evidence::{Attempt, MailboxEvidence, RecipientKind};
use crate::policy::Policy;
use crate::reason::{Reason, Verdict};
use crate::route::Route;

/// The end of the questions about an address, beside each answer of its run, oldest first.
static SETTLED: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {REPLY}, {RESULT} FROM result LEFT JOIN reply ON reply.domain = result.domain
             AND reply.kind = 0 AND reply.local = result.local AND reply.run = result.run
         WHERE result.domain = ? AND result.local = ? ORDER BY at"
    )
});

/// Reads facts, over a connection of its own ([`State::reader`]) or over the one that writes.
pub struct FactQueries<D> {
    db: D,
    reader: FactDecoder,
}

/// The end of the questions about an address.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredResult {
    /// The run in which it came.
    pub run: RunId,
    /// What servers said.
    pub mailbox: MailboxEvidence,
    /// The word of the reason that was told last.
    pub reason: Option<String>,
    /// When the evidence of that was gathered.
    pub checked: Option<SystemTime>,
    /// When it is too old to be used again.
    pub expires: Option<SystemTime>,
}

impl StoredResult {
    /// It was told that the address is gone.
    pub fn condemns(&self) -> bool {
        let reason = self.reason.as_deref().and_then(Reason::from_word);
        reason.is_none_or(|reason| reason.verdict() == Verdict::Undeliverable)
    }
}

/// A route that was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRoute {
    /// Where mail goes.
    pub route: Route,
    /// When that was.
    pub at: SystemTime,
    /// In which run.
    pub run: RunId,
}

impl State {
    /// Reads what is known, also what was not committed yet.
    pub fn recall(&self, policy: Policy) -> FactQueries<&Connection> {
        FactQueries::of(&self.db, policy)
    }
}

impl<D: Borrow<Connection>> FactQueries<D> {
    /// Reads by these rules.
    pub fn of(db: D, policy: Policy) -> FactQueries<D> {
        FactQueries { db, reader: FactDecoder::of(policy) }
    }

    /// Where it reads.
    pub(super) fn db(&self) -> &Connection {
        self.db.borrow()
    }

    /// What came of the questions about an address; `now` is what a wait is counted from.
    pub fn settled(
        &mut self,
        domain: NameHash,
        address: &Address,
        now: SystemTime,
    ) -> Result<Option<StoredResult>, StateError> {
        let FactQueries { db, reader } = self;
        let db: &Connection = (*db).borrow();
        let mut find = db.prepare_cached(&SETTLED)?;
        let mut rows = find.query(params![domain, address.local()])?;
        let mut settled: Option<StoredResult> = None;
        // One row for each answer, or one without any.
        while let Some(row) = rows.next()? {
            let settled = match &mut settled {
                Some(settled) => settled,
                None => settled.insert(reader.settled(db, row, domain, address, now)?),
            };
            settled.mailbox.attempts.extend(reader.attempt(db, row, address)?);
        }
        Ok(settled)
    }

    /// What servers said in a run about a listed address, oldest first.
    pub fn attempts(
        &mut self,
        run: RunId,
        domain: NameHash,
        address: &Address,
    ) -> Result<Vec<Attempt>, StateError> {
        let FactQueries { db, reader } = self;
        reader.attempts((*db).borrow(), run, domain, address)
    }

    /// What servers said about a listed address until then, in any run.
    pub fn attempts_until(
        &mut self,
        domain: NameHash,
        address: &Address,
        then: SystemTime,
    ) -> Result<Vec<Attempt>, StateError> {
        let FactQueries { db, reader } = self;
        reader.attempts_until((*db).borrow(), domain, address, then)
    }

    /// What servers said about made-up names of a domain in this run or since then, and about its `postmaster` in this
    /// run; oldest first.
    pub fn controls(
        &mut self,
        run: RunId,
        domain: &Domain,
        since: SystemTime,
    ) -> Result<Vec<(RecipientKind, Address, Attempt)>, StateError> {
        let FactQueries { db, reader } = self;
        let db: &Connection = (*db).borrow();
        let mut find = db.prepare_cached(&format!(
            "SELECT {REPLY}, kind, local FROM reply
             WHERE domain = ?1 AND kind IN (1, 2) AND (run = ?3 OR kind = 1 AND at >= ?2) ORDER BY at"
        ))?;
        let mut rows = find.query(params![NameHash::of(domain.as_str()), super::millis(since), run])?;
        let mut controls = Vec::new();
        while let Some(row) = rows.next()? {
            let who = if row.get::<_, i64>(AFTER_REPLY)? == 1 {
                RecipientKind::Random
            } else {
                RecipientKind::Postmaster
            };
            let text = format!("{}@{domain}", row.get_ref(AFTER_REPLY + 1)?.as_str().unwrap_or_default());
            let Ok(address) = Address::parse(&text) else { continue };
            if let Some(attempt) = reader.attempt(db, row, &address)? {
                controls.push((who, address, attempt));
            }
        }
        Ok(controls)
    }

    /// The number of who asked last about a name of a domain, listed or made up.
    pub fn asked_from(&self, domain: NameHash, address: &Address) -> Result<Option<i64>, StateError> {
        let mut find = self.db().prepare_cached(
            "SELECT egress FROM reply WHERE domain = ? AND kind IN (0, 1) AND local = ? ORDER BY at DESC LIMIT 1",
        )?;
        Ok(find.query_row(params![domain, address.local()], |row| row.get(0)).optional()?)
    }

    /// Was this address found deliverable since then?
    pub fn was_deliverable(
        &self,
        domain: NameHash,
        address: &Address,
        since: SystemTime,
    ) -> Result<bool, StateError> {
        let mut find = self
            .db()
            .prepare_cached("SELECT 1 FROM result WHERE domain = ? AND local = ? AND last_accepted >= ?")?;
        Ok(find.exists(params![domain, address.local(), super::millis(since)])?)
    }

    /// Where a domain's mail goes.
    pub fn route(&self, domain: NameHash) -> Result<Option<StoredRoute>, StateError> {
        let db: &Connection = self.db.borrow();
        let mut find =
            db.prepare_cached("SELECT kind, detail, looked_up, run FROM route WHERE domain = ?")?;
        let mut rows = find.query([domain])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let (kind, detail) = (row.get_ref(0)?.as_str(), row.get_ref(1)?.as_str());
        let Some(route) = route::read(kind.unwrap_or_default(), detail.unwrap_or_default()) else {
            return Ok(None);
        };
        Ok(Some(StoredRoute { route, at: time(row.get(2)?), run: RunId(row.get(3)?) }))
    }

    /// Did this exchanger clearly answer for another domain in a run?
    pub fn serves_others(&self, run: RunId, mx_host: &Domain, domain: NameHash) -> Result<bool, StateError> {
        let db: &Connection = self.db.borrow();
        let mut find =
            db.prepare_cached("SELECT 1 FROM served_domain WHERE mx_host = ? AND run = ? AND domain <> ?")?;
        Ok(find.exists(params![NameHash::of(mx_host.as_str()), run, domain])?)
    }

    /// The name with this number.
    pub fn domain(&mut self, key: NameHash) -> Result<Option<Domain>, StateError> {
        let FactQueries { db, reader } = self;
        reader.domain((*db).borrow(), key)
    }
}
