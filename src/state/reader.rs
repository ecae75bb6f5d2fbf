//! What stands in a row of the tables, as a fact again.
//!
//! Decides: nothing. A reply is read anew each time, so a better rule needs no new question; names and texts, which many
//! rows share, are remembered. What can't be read back counts as not known.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::recall::Settled;
use super::roster::RunId;
use super::{Key, StateError, millis, time, wording};
use crate::address::{Address, Domain};
use crate::policy::Policy;
use crate::policy::replies::{Context, RecentReplies};
use crate::reason::Finding;
use crate::smtp::{Reply, Stage};
use crate::verdict::evidence::{
    Attempt, CatchAll, Inquired, Obstacle, Positive, Proof, Said, Trouble, Unprobed,
};

/// The columns of an answer.
pub(super) const ANSWER: &str = "at, exchanger, stage, code, text, parts";

/// Reads rows, and remembers names and texts.
pub(super) struct Reader {
    policy: Policy,
    replies: RecentReplies,
    names: HashMap<Key, Option<Domain>>,
    texts: HashMap<Key, Option<Arc<str>>>,
}

impl Reader {
    /// Reads by these rules.
    pub(super) fn of(policy: Policy) -> Reader {
        Reader { policy, replies: RecentReplies::of(policy), names: HashMap::new(), texts: HashMap::new() }
    }

    /// The end of the questions about an address, without its answers, in a row whose columns follow those of [`ANSWER`].
    pub(super) fn settled(
        &mut self,
        db: &Connection,
        row: &Row<'_>,
        domain: Key,
        address: &Address,
        now: SystemTime,
    ) -> Result<Settled, StateError> {
        let inquired = Inquired {
            catch_all: match row.get_ref(7)?.as_str_or_null().unwrap_or_default() {
                Some("yes") => match row.get::<_, Option<i64>>(8)? {
                    Some(at) => self.made_up_at(db, domain, address, at)?,
                    None => CatchAll::NotAsked,
                },
                Some("no.control") => CatchAll::No(Proof::Control),
                Some("no.unclear_control") => CatchAll::No(Proof::UnclearControl),
                Some("no.listed") => CatchAll::No(Proof::Listed),
                Some("unclear") => CatchAll::Unclear,
                Some("failed") => self.trouble(db, row.get(8)?)?.map_or(CatchAll::NotAsked, CatchAll::Failed),
                _ => CatchAll::NotAsked,
            },
            positive: match row.get_ref(9)?.as_str_or_null().unwrap_or_default() {
                Some("accepted") => Positive::Accepted,
                Some("same_words") => Positive::SameWords,
                Some("silent") => Positive::Silent,
                _ => Positive::NotAsked,
            },
            trouble: self.trouble(db, row.get(10)?)?,
            unprobed: unprobed(row, now)?,
            ..Inquired::default()
        };
        let moment = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(time));
        let (checked, expires) = (moment(14)?, moment(15)?);
        Ok(Settled { run: RunId(row.get(6)?), inquired, reason: row.get(13)?, checked, expires })
    }

    pub(super) fn attempts(
        &mut self,
        db: &Connection,
        run: RunId,
        domain: Key,
        address: &Address,
    ) -> Result<Vec<Attempt>, StateError> {
        self.listed(db, domain, address, ("run = ?", run.0))
    }

    pub(super) fn attempts_until(
        &mut self,
        db: &Connection,
        domain: Key,
        address: &Address,
        then: SystemTime,
    ) -> Result<Vec<Attempt>, StateError> {
        self.listed(db, domain, address, ("at <= ?", millis(then)))
    }

    /// The answers about a listed address that fulfil a condition, oldest first.
    fn listed(
        &mut self,
        db: &Connection,
        domain: Key,
        address: &Address,
        (which, value): (&str, i64),
    ) -> Result<Vec<Attempt>, StateError> {
        let mut find = db.prepare_cached(&format!(
            "SELECT {ANSWER} FROM answer WHERE domain = ? AND who = 0 AND local = ? AND {which} ORDER BY at"
        ))?;
        let mut rows = find.query(params![domain, address.local(), value])?;
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
            .map_or(CatchAll::NotAsked, |attempt| CatchAll::Yes(Arc::new(attempt))))
    }

    /// An answer in a row that begins with the columns of [`ANSWER`]; `None` also where there is none.
    pub(super) fn attempt(
        &mut self,
        db: &Connection,
        row: &Row<'_>,
        address: &Address,
    ) -> Result<Option<Attempt>, StateError> {
        let Some(exchanger) = row.get(1)? else {
            return Ok(None);
        };
        let Some(exchanger) = self.domain(db, exchanger)? else {
            return Ok(None);
        };
        let said = self.said(db, row, &exchanger, address.local(), &address.to_string())?;
        Ok(said.map(|said| Attempt { exchanger, at: at(row), said }))
    }

    fn trouble(&mut self, db: &Connection, id: Option<i64>) -> Result<Option<Arc<Trouble>>, StateError> {
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
            None => self.said(db, row, &exchanger, "@", "@")?.map(|said| Obstacle::Refused(Box::new(said))),
        };
        Ok(what.map(|what| Arc::new(Trouble { exchanger, at: at(row), what })))
    }

    /// A reply in the columns `stage, code, text, parts`, which are those from 2 on.
    fn said(
        &mut self,
        db: &Connection,
        row: &Row<'_>,
        exchanger: &Domain,
        local: &str,
        address: &str,
    ) -> Result<Option<Said>, StateError> {
        let stage = row.get_ref(2)?.as_str().ok().and_then(Stage::from_word);
        let (Some(stage), Some(shared)) = (stage, self.text(db, row.get(4)?)?) else {
            return Ok(None);
        };
        let parts = row.get_ref(5)?.as_str_or_null().unwrap_or_default();
        let reply = Reply::new(row.get(3)?, wording::put_together(&shared, parts, local, address));
        let provider = self.policy.providers().of(exchanger);
        let context = Context { stage, provider: provider.is_known().then_some(&*provider.id) };
        let meaning = self.replies.read(&reply, &context);
        Ok(Some(Said { stage, reply, meaning }))
    }

    /// The name with this number.
    pub(super) fn domain(&mut self, db: &Connection, key: Key) -> Result<Option<Domain>, StateError> {
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
    let word = row.get_ref(11)?.as_str_or_null().unwrap_or_default();
    let again = row.get::<_, Option<i64>>(12)?.map(time);
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
