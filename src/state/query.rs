//! Facts come out: what a run asks while it probes and while it judges.
//!
//! Decides: nothing; [`super::decode`] turns rows into facts by the current policy. Must not: confuse two names that
//! have one number: a name is compared after it is found by its number. What can't be read counts as not known.

use std::borrow::Borrow;
use std::ops::RangeInclusive;
use std::sync::LazyLock;
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, params};

use super::decode::{AFTER_REPLY, FactDecoder, REPLY, RESULT, StoredResult, columns};
use super::store::{millis, time};
use super::{EgressId, NameHash, RunId, State, StateError, encoding, spellings};
use crate::address::{Address, Domain};
use crate::evidence::{Attempt, RecipientKind};
use crate::policy::Policy;
use crate::route::Route;

/// The result of a recipient beside each reply of its run, oldest first; one row if there is none.
static RESULT_WITH_REPLIES: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {REPLY}, {RESULT} FROM result LEFT JOIN reply ON reply.domain = result.domain
             AND reply.kind = 0 AND reply.local = result.local AND reply.run = result.run
         WHERE result.domain = ? AND result.local = ? ORDER BY at"
    )
});

columns! {
    /// The columns of a control, after those of [`REPLY`].
    CONTROL from AFTER_REPLY;
    KIND = "kind",
    LOCAL = "local",
}

/// Queries over a connection: that of the state ([`State::facts`]), or one that only reads ([`State::reader`]).
pub(crate) struct FactQueries<D> {
    db: D,
    decoder: FactDecoder,
}

/// The route of a domain, as it was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredRoute {
    /// Where the domain receives mail.
    pub route: Route,
    /// When that was looked up.
    pub at: SystemTime,
    /// Until when its MX hosts may be connected to; `None` where that is not known.
    pub valid_until: Option<SystemTime>,
    /// The run that looked it up.
    pub run: RunId,
}

impl State {
    /// Queries that also see what is not committed yet.
    pub(crate) fn facts(&self, policy: Policy) -> FactQueries<&Connection> {
        FactQueries::new(&self.db, policy)
    }
}

impl<D: Borrow<Connection>> FactQueries<D> {
    /// Queries that classify replies by this policy.
    pub(crate) fn new(db: D, policy: Policy) -> FactQueries<D> {
        FactQueries { db, decoder: FactDecoder::new(policy) }
    }

    /// The connection.
    pub(super) fn db(&self) -> &Connection {
        self.db.borrow()
    }

    /// The result of a recipient, of whatever run. A wait that it holds is counted from `now`.
    pub(crate) fn result(
        &mut self,
        domain: NameHash,
        address: &Address,
        now: SystemTime,
    ) -> Result<Option<StoredResult>, StateError> {
        let FactQueries { db, decoder } = self;
        let db: &Connection = (*db).borrow();
        let mut find = db.prepare_cached(&RESULT_WITH_REPLIES)?;
        let mut rows = find.query(params![domain, address.local()])?;
        let mut result: Option<StoredResult> = None;
        while let Some(row) = rows.next()? {
            let result = match &mut result {
                Some(result) => result,
                None => result.insert(decoder.result(db, row, domain, address, now)?),
            };
            result.mailbox.attempts.extend(decoder.attempt(db, row, address)?);
        }
        Ok(result)
    }

    /// The spelling of an address that was probed for it in a run; `None` if it was to be probed itself.
    pub(crate) fn probed_as(
        &self,
        run: RunId,
        domain: NameHash,
        address: &Address,
    ) -> Result<Option<Address>, StateError> {
        let (Some(name), Some(local)) =
            (address.domain(), spellings::probed_as(self.db(), run, domain, address.local())?)
        else {
            return Ok(None);
        };
        Ok(Address::parse_with(&format!("{local}@{name}"), |_| Ok(name.clone())).ok())
    }

    /// The replies about a recipient in a run, oldest first.
    pub(crate) fn attempts(
        &mut self,
        run: RunId,
        domain: NameHash,
        address: &Address,
    ) -> Result<Vec<Attempt>, StateError> {
        self.attempts_where("run = ?", run.0, domain, address)
    }

    /// The replies about a recipient in any run up to a time, oldest first.
    pub(crate) fn attempts_until(
        &mut self,
        domain: NameHash,
        address: &Address,
        until: SystemTime,
    ) -> Result<Vec<Attempt>, StateError> {
        self.attempts_where("at <= ?", millis(until), domain, address)
    }

    fn attempts_where(
        &mut self,
        condition: &str,
        value: i64,
        domain: NameHash,
        address: &Address,
    ) -> Result<Vec<Attempt>, StateError> {
        let FactQueries { db, decoder } = self;
        let db: &Connection = (*db).borrow();
        let mut find = db.prepare_cached(&format!(
            "SELECT {REPLY} FROM reply WHERE domain = ? AND kind = 0 AND local = ? AND {condition} ORDER BY at"
        ))?;
        let mut rows = find.query(params![domain, address.local(), value])?;
        let mut attempts = Vec::new();
        while let Some(row) = rows.next()? {
            attempts.extend(decoder.attempt(db, row, address)?);
        }
        Ok(attempts)
    }

    /// The replies to the controls of a domain, oldest first: to random recipients in this run or within a time, to
    /// `postmaster` in this run.
    pub(crate) fn controls(
        &mut self,
        run: RunId,
        domain: &Domain,
        within: RangeInclusive<SystemTime>,
    ) -> Result<Vec<(RecipientKind, Address, Attempt)>, StateError> {
        let FactQueries { db, decoder } = self;
        let db: &Connection = (*db).borrow();
        let mut find = db.prepare_cached(&format!(
            "SELECT {REPLY}, {CONTROL} FROM reply
             WHERE domain = ?1 AND kind IN (1, 2) AND (run = ?3 OR kind = 1 AND at BETWEEN ?2 AND ?4) ORDER BY at"
        ))?;
        let mut rows = find.query(params![
            NameHash::of(domain.as_str()),
            millis(*within.start()),
            run,
            millis(*within.end())
        ])?;
        let mut controls = Vec::new();
        while let Some(row) = rows.next()? {
            let text = format!("{}@{domain}", row.get_ref(LOCAL)?.as_str().unwrap_or_default());
            let (Some(kind), Ok(address)) = (encoding::control(row.get(KIND)?), Address::parse(&text)) else {
                continue;
            };
            if let Some(attempt) = decoder.attempt(db, row, &address)? {
                controls.push((kind, address, attempt));
            }
        }
        Ok(controls)
    }

    /// The egress of the last reply about a recipient of the list or a random recipient.
    pub(crate) fn last_egress(
        &self,
        domain: NameHash,
        address: &Address,
    ) -> Result<Option<EgressId>, StateError> {
        let mut find = self.db().prepare_cached(
            "SELECT egress FROM reply WHERE domain = ? AND kind IN (0, 1) AND local = ? ORDER BY at DESC LIMIT 1",
        )?;
        Ok(find.query_row(params![domain, address.local()], |row| row.get(0)).optional()?)
    }

    /// True if the recipient was found deliverable within this time.
    pub(crate) fn was_deliverable(
        &self,
        domain: NameHash,
        address: &Address,
        within: &RangeInclusive<SystemTime>,
    ) -> Result<bool, StateError> {
        let mut find = self.db().prepare_cached(
            "SELECT 1 FROM result WHERE domain = ? AND local = ? AND last_accepted BETWEEN ? AND ?",
        )?;
        Ok(find.exists(params![domain, address.local(), millis(*within.start()), millis(*within.end())])?)
    }

    /// A recipient of a domain that was found deliverable since then.
    pub(crate) fn accepted_since(
        &self,
        domain: &Domain,
        since: SystemTime,
    ) -> Result<Option<Address>, StateError> {
        let mut find = self
            .db()
            .prepare_cached("SELECT local FROM result WHERE domain = ? AND last_accepted >= ? LIMIT 1")?;
        let found = params![NameHash::of(domain.as_str()), millis(since)];
        let local: Option<String> = find.query_row(found, |row| row.get(0)).optional()?;
        Ok(local.and_then(|local| Address::parse(&format!("{local}@{domain}")).ok()))
    }

    /// The route of a domain.
    pub(crate) fn route(&self, domain: NameHash) -> Result<Option<StoredRoute>, StateError> {
        let mut find = self
            .db()
            .prepare_cached("SELECT kind, detail, looked_up, run, valid_until FROM route WHERE domain = ?")?;
        let mut rows = find.query([domain])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let (kind, detail) = (row.get_ref(0)?.as_str(), row.get_ref(1)?.as_str());
        let route = encoding::decode_route(kind.unwrap_or_default(), detail.unwrap_or_default());
        let (at, run) = (time(row.get(2)?), row.get(3)?);
        let valid_until = row.get::<_, Option<i64>>(4)?.map(time);
        Ok(route.map(|route| StoredRoute { route, at, valid_until, run }))
    }

    /// True if an MX host accepted or clearly rejected a recipient of another domain in a run.
    pub(crate) fn serves_others(
        &self,
        run: RunId,
        mx_host: &Domain,
        domain: NameHash,
    ) -> Result<bool, StateError> {
        let mut find = self
            .db()
            .prepare_cached("SELECT 1 FROM served_domain WHERE mx_host = ? AND run = ? AND domain <> ?")?;
        Ok(find.exists(params![NameHash::of(mx_host.as_str()), run, domain])?)
    }

    /// The domain with this number.
    pub(crate) fn domain(&mut self, key: NameHash) -> Result<Option<Domain>, StateError> {
        let FactQueries { db, decoder } = self;
        decoder.domain((*db).borrow(), key)
    }
}
