//! Facts come out, and mean what the rules of the day say.
//!
//! Decides: nothing. A reply is read anew each time, so a better rule needs no new question. Must not: take a name for
//! another: numbers are looked up and names compared. What can't be read back counts as not known.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::roster::RunId;
use super::{Key, State, StateError, route, time, wording};
use crate::address::{Address, Domain};
use crate::policy::Policy;
use crate::policy::replies::{Context, RecentReplies};
use crate::probe::Who;
use crate::reason::{Cause, Finding, Reason};
use crate::route::Route;
use crate::smtp::{Reply, Stage};
use crate::verdict::evidence::{
    Attempt, CatchAll, Inquired, Obstacle, Positive, Proof, Said, Trouble, Unprobed,
};

/// The columns of an answer.
const ANSWER: &str = "at, exchanger, stage, code, text, parts";

/// Reads facts, over a connection of its own ([`State::reader`]) or over the one that writes.
pub struct Recall<D> {
    db: D,
    reader: Reader,
}

/// Reads replies, and remembers names and texts.
struct Reader {
    policy: Policy,
    replies: RecentReplies,
    names: HashMap<Key, Option<Domain>>,
    texts: HashMap<Key, Option<Arc<str>>>,
}

/// The end of the questions about an address.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// The run in which it came.
    pub run: RunId,
    /// What servers said.
    pub inquired: Inquired,
    /// The word of the reason that was told last.
    pub reason: Option<String>,
    /// When the evidence of that was gathered.
    pub checked: Option<SystemTime>,
    /// When it is too old to be used again.
    pub expires: Option<SystemTime>,
}

/// A route that was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookedUp {
    /// Where mail goes.
    pub route: Route,
    /// When that was.
    pub at: SystemTime,
    /// In which run.
    pub run: RunId,
}

impl State {
    /// Reads what is known, also what was not committed yet.
    pub fn recall(&self, policy: Policy) -> Recall<&Connection> {
        Recall::of(&self.db, policy)
    }
}

impl<D: Borrow<Connection>> Recall<D> {
    /// Reads by these rules.
    pub fn of(db: D, policy: Policy) -> Recall<D> {
        Recall {
            db,
            reader: Reader {
                policy,
                replies: RecentReplies::of(policy),
                names: HashMap::new(),
                texts: HashMap::new(),
            },
        }
    }

    /// Where it reads.
    pub(super) fn db(&self) -> &Connection {
        self.db.borrow()
    }

    /// What came of the questions about an address; `now` is what a wait is counted from.
    pub fn settled(
        &mut self,
        domain: Key,
        address: &Address,
        now: SystemTime,
    ) -> Result<Option<Settled>, StateError> {
        let Recall { db, reader } = self;
        let db: &Connection = (*db).borrow();
        let mut find = db.prepare_cached(
            "SELECT run, catch_all, control, positive, trouble, unprobed, again, reason, checked, expires
             FROM settled WHERE domain = ? AND local = ?",
        )?;
        let mut rows = find.query(params![domain, address.local()])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let run = RunId(row.get(0)?);
        let inquired = Inquired {
            attempts: reader.attempts(db, run, domain, address)?,
            catch_all: match row.get_ref(1)?.as_str_or_null().unwrap_or_default() {
                Some("yes") => match row.get::<_, Option<i64>>(2)? {
                    Some(at) => reader.made_up_at(db, domain, address, at)?,
                    None => CatchAll::NotAsked,
                },
                Some("no.control") => CatchAll::No(Proof::Control),
                Some("no.unclear_control") => CatchAll::No(Proof::UnclearControl),
                Some("no.listed") => CatchAll::No(Proof::Listed),
                Some("unclear") => CatchAll::Unclear,
                Some("failed") => {
                    reader.trouble(db, row.get(2)?)?.map_or(CatchAll::NotAsked, CatchAll::Failed)
                }
                _ => CatchAll::NotAsked,
            },
            positive: match row.get_ref(3)?.as_str_or_null().unwrap_or_default() {
                Some("accepted") => Positive::Accepted,
                Some("same_words") => Positive::SameWords,
                Some("silent") => Positive::Silent,
                _ => Positive::NotAsked,
            },
            trouble: reader.trouble(db, row.get(4)?)?,
            unprobed: unprobed(row, now)?,
            ..Inquired::default()
        };
        let moment = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(time));
        Ok(Some(Settled { run, inquired, reason: row.get(7)?, checked: moment(8)?, expires: moment(9)? }))
    }

    /// What servers said in a run about a listed address, oldest first.
    pub fn attempts(
        &mut self,
        run: RunId,
        domain: Key,
        address: &Address,
    ) -> Result<Vec<Attempt>, StateError> {
        let Recall { db, reader } = self;
        reader.attempts((*db).borrow(), run, domain, address)
    }

    /// What servers said about made-up names of a domain in this run or since then, and about its `postmaster` in this
    /// run; oldest first.
    pub fn controls(
        &mut self,
        run: RunId,
        domain: &Domain,
        since: SystemTime,
    ) -> Result<Vec<(Who, Address, Attempt)>, StateError> {
        let Recall { db, reader } = self;
        let db: &Connection = (*db).borrow();
        let mut find = db.prepare_cached(&format!(
            "SELECT {ANSWER}, who, local FROM answer
             WHERE domain = ?1 AND who IN (1, 2) AND (run = ?3 OR who = 1 AND at >= ?2) ORDER BY at"
        ))?;
        let mut rows = find.query(params![Key::of(domain.as_str()), super::millis(since), run])?;
        let mut controls = Vec::new();
        while let Some(row) = rows.next()? {
            let who = if row.get::<_, i64>(6)? == 1 { Who::MadeUp } else { Who::Postmaster };
            let text = format!("{}@{domain}", row.get_ref(7)?.as_str().unwrap_or_default());
            let Ok(address) = Address::parse(&text) else { continue };
            if let Some(attempt) = reader.attempt(db, row, &address)? {
                controls.push((who, address, attempt));
            }
        }
        Ok(controls)
    }

    /// The number of who asked last at a domain in a run.
    pub fn last_egress(&self, run: RunId, domain: Key) -> Result<Option<i64>, StateError> {
        let mut find = self.db().prepare_cached(
            "SELECT egress FROM answer WHERE domain = ? AND run = ? ORDER BY at DESC LIMIT 1",
        )?;
        Ok(find.query_row(params![domain, run], |row| row.get(0)).optional()?)
    }

    /// Was this address found deliverable since then?
    pub fn was_deliverable(
        &self,
        domain: Key,
        address: &Address,
        since: SystemTime,
    ) -> Result<bool, StateError> {
        let mut find = self.db().prepare_cached(
            "SELECT 1 FROM settled WHERE domain = ? AND local = ? AND reason = ? AND checked >= ?",
        )?;
        let accepted = Reason::from(Cause::Accepted).word();
        Ok(find.exists(params![domain, address.local(), accepted, super::millis(since)])?)
    }

    /// Where a domain's mail goes.
    pub fn route(&self, domain: Key) -> Result<Option<LookedUp>, StateError> {
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
        Ok(Some(LookedUp { route, at: time(row.get(2)?), run: RunId(row.get(3)?) }))
    }

    /// Did this exchanger clearly answer for another domain?
    pub fn serves_others(&self, exchanger: &Domain, domain: Key) -> Result<bool, StateError> {
        let db: &Connection = self.db.borrow();
        let mut find = db.prepare_cached("SELECT 1 FROM served WHERE exchanger = ? AND domain <> ?")?;
        Ok(find.exists(params![Key::of(exchanger.as_str()), domain])?)
    }

    /// The name with this number.
    pub fn domain(&mut self, key: Key) -> Result<Option<Domain>, StateError> {
        let Recall { db, reader } = self;
        reader.domain((*db).borrow(), key)
    }
}

impl Reader {
    fn attempts(
        &mut self,
        db: &Connection,
        run: RunId,
        domain: Key,
        address: &Address,
    ) -> Result<Vec<Attempt>, StateError> {
        let mut find = db.prepare_cached(&format!(
            "SELECT {ANSWER} FROM answer WHERE domain = ? AND who = 0 AND local = ? AND run = ? ORDER BY at"
        ))?;
        let mut rows = find.query(params![domain, address.local(), run])?;
        let mut attempts = Vec::new();
        while let Some(row) = rows.next()? {
            attempts.extend(self.attempt(db, row, address)?);
        }
        Ok(attempts)
    }

    fn made_up_at(
        &mut self,
        db: &Connection,
        domain: Key,
        address: &Address,
        at: i64,
    ) -> Result<CatchAll, StateError> {
        let mut find = db.prepare_cached(&format!(
            "SELECT {ANSWER}, local FROM answer WHERE domain = ? AND who = 1 AND at = ?"
        ))?;
        let mut rows = find.query(params![domain, at])?;
        let Some((row, domain)) = rows.next()?.zip(address.domain()) else {
            return Ok(CatchAll::NotAsked);
        };
        let text = format!("{}@{domain}", row.get_ref(6)?.as_str().unwrap_or_default());
        let Ok(made_up) = Address::parse(&text) else {
            return Ok(CatchAll::NotAsked);
        };
        Ok(self
            .attempt(db, row, &made_up)?
            .map_or(CatchAll::NotAsked, |attempt| CatchAll::Yes(Box::new(attempt))))
    }

    /// An answer in a row that begins with the columns of [`ANSWER`].
    fn attempt(
        &mut self,
        db: &Connection,
        row: &Row<'_>,
        address: &Address,
    ) -> Result<Option<Attempt>, StateError> {
        let Some(exchanger) = self.domain(db, row.get(1)?)? else {
            return Ok(None);
        };
        let said = self.said(db, row, 2, &exchanger, address.local(), &address.to_string())?;
        Ok(said.map(|said| Attempt { exchanger, at: at(row), said }))
    }

    fn trouble(&mut self, db: &Connection, id: Option<i64>) -> Result<Option<Trouble>, StateError> {
        let Some(id) = id else {
            return Ok(None);
        };
        let mut find = db.prepare_cached(
            "SELECT at, exchanger, stage, code, text, parts, finding FROM trouble WHERE id = ?",
        )?;
        let mut rows = find.query([id])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let Some(exchanger) = self.domain(db, row.get(1)?)? else {
            return Ok(None);
        };
        let finding = row.get_ref(6)?.as_str_or_null().unwrap_or_default().and_then(Finding::from_word);
        let what = match finding {
            Some(finding) => Some(Obstacle::Broken(finding)),
            None => {
                self.said(db, row, 2, &exchanger, "@", "@")?.map(|said| Obstacle::Refused(Box::new(said)))
            }
        };
        Ok(what.map(|what| Trouble { exchanger, at: at(row), what }))
    }

    /// A reply in the columns `stage, code, text, parts` from `first` on.
    fn said(
        &mut self,
        db: &Connection,
        row: &Row<'_>,
        first: usize,
        exchanger: &Domain,
        local: &str,
        address: &str,
    ) -> Result<Option<Said>, StateError> {
        let stage = row.get_ref(first)?.as_str().ok().and_then(Stage::from_word);
        let (Some(stage), Some(shared)) = (stage, self.text(db, row.get(first + 2)?)?) else {
            return Ok(None);
        };
        let parts = row.get_ref(first + 3)?.as_str_or_null().unwrap_or_default();
        let reply = Reply::new(row.get(first + 1)?, wording::put_together(&shared, parts, local, address));
        let provider = self.policy.providers().of(exchanger);
        let context = Context { stage, provider: provider.is_known().then_some(&*provider.id) };
        let meaning = self.replies.read(&reply, &context);
        Ok(Some(Said { stage, reply, meaning }))
    }

    fn domain(&mut self, db: &Connection, key: Key) -> Result<Option<Domain>, StateError> {
        if let Some(known) = self.names.get(&key) {
            return Ok(known.clone());
        }
        let mut find = db.prepare_cached("SELECT name FROM name WHERE id = ?")?;
        let name = find.query_row([key], |row| row.get::<_, String>(0)).optional()?;
        let domain = name.and_then(|name| Domain::from_dns(&name).ok());
        bound(&mut self.names);
        self.names.insert(key, domain.clone());
        Ok(domain)
    }

    fn text(&mut self, db: &Connection, key: Key) -> Result<Option<Arc<str>>, StateError> {
        if let Some(known) = self.texts.get(&key) {
            return Ok(known.clone());
        }
        let mut find = db.prepare_cached("SELECT text FROM text WHERE id = ?")?;
        let text = find.query_row([key], |row| row.get::<_, String>(0)).optional()?.map(Arc::from);
        bound(&mut self.texts);
        self.texts.insert(key, text.clone());
        Ok(text)
    }
}

/// Forgets everything when there is too much of it.
fn bound<T>(known: &mut HashMap<Key, T>) {
    const MOST: usize = 1 << 15;
    if known.len() >= MOST {
        known.clear();
    }
}

fn at(row: &Row<'_>) -> SystemTime {
    time(row.get(0).unwrap_or_default())
}

fn unprobed(row: &Row<'_>, now: SystemTime) -> rusqlite::Result<Option<Unprobed>> {
    let word = row.get_ref(5)?.as_str_or_null().unwrap_or_default();
    let again = row.get::<_, Option<i64>>(6)?.map(time);
    let wait = again.and_then(|again| again.duration_since(now).ok()).unwrap_or(Duration::ZERO);
    let all = [
        Unprobed::Offline,
        Unprobed::DnsOnly,
        Unprobed::Deadline,
        Unprobed::Budget(wait),
        Unprobed::OperatorPaused,
    ];
    Ok(all.into_iter().find(|unprobed| Some(unprobed.word()) == word))
}
