//! What stands in a row of the tables, as a fact again.
//!
//! Decides: nothing. A reply is read anew each time, so a better rule needs no new question; names and texts, which many
//! rows share, are remembered. What can't be read back counts as not known.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::query::StoredResult;
use super::worklist::RunId;
use super::{NameHash, StateError, millis, reply_template, time};
use crate::address::{Address, Domain};
use crate::evidence::{
    Attempt, CatchAll, ClassifiedReply, MailboxEvidence, NotCatchAllProof, NotProbedReason, Obstacle,
    ObstacleKind, PositiveControl,
};
use crate::policy::{Policy, ReplyCache, ReplyContext};
use crate::reason::Finding;
use crate::smtp::{Reply, Stage};

/// The columns of an answer.
pub(super) const ANSWER: &str = "at, exchanger, stage, code, text, parts";

/// Reads rows, and remembers names and texts.
pub(super) struct FactDecoder {
    policy: Policy,
    replies: ReplyCache,
    names: HashMap<NameHash, Option<Domain>>,
    texts: HashMap<NameHash, Option<Arc<str>>>,
}

impl FactDecoder {
    /// Reads by these rules.
    pub(super) fn of(policy: Policy) -> FactDecoder {
        FactDecoder { policy, replies: ReplyCache::of(policy), names: HashMap::new(), texts: HashMap::new() }
    }

    /// The end of the questions about an address, without its answers, in a row whose columns follow those of [`ANSWER`].
    pub(super) fn settled(
        &mut self,
        db: &Connection,
        row: &Row<'_>,
        domain: NameHash,
        address: &Address,
        now: SystemTime,
    ) -> Result<StoredResult, StateError> {
        let mailbox = MailboxEvidence {
            catch_all: match row.get_ref(7)?.as_str_or_null().unwrap_or_default() {
                Some("yes") => match row.get::<_, Option<i64>>(8)? {
                    Some(at) => self.random_recipient_at(db, domain, address, at)?,
                    None => CatchAll::NotAsked,
                },
                Some("no.control") => CatchAll::No(NotCatchAllProof::Control),
                Some("no.unclear_control") => CatchAll::No(NotCatchAllProof::UnclearControl),
                Some("no.listed") => CatchAll::No(NotCatchAllProof::Listed),
                Some("unclear") => CatchAll::Unclear,
                Some("failed") => {
                    self.obstacle(db, row.get(8)?)?.map_or(CatchAll::NotAsked, CatchAll::Failed)
                }
                _ => CatchAll::NotAsked,
            },
            positive: match row.get_ref(9)?.as_str_or_null().unwrap_or_default() {
                Some("accepted") => PositiveControl::Accepted,
                Some("same_words") => PositiveControl::SameWords,
                Some("silent") => PositiveControl::Silent,
                _ => PositiveControl::NotAsked,
            },
            obstacle: self.obstacle(db, row.get(10)?)?,
            unprobed: unprobed(row, now)?,
            ..MailboxEvidence::default()
        };
        let moment = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(time));
        let (checked, expires) = (moment(14)?, moment(15)?);
        Ok(StoredResult { run: RunId(row.get(6)?), mailbox, reason: row.get(13)?, checked, expires })
    }

    pub(super) fn attempts(
        &mut self,
        db: &Connection,
        run: RunId,
        domain: NameHash,
        address: &Address,
    ) -> Result<Vec<Attempt>, StateError> {
        self.listed(db, domain, address, ("run = ?", run.0))
    }

    pub(super) fn attempts_until(
        &mut self,
        db: &Connection,
        domain: NameHash,
        address: &Address,
        then: SystemTime,
    ) -> Result<Vec<Attempt>, StateError> {
        self.listed(db, domain, address, ("at <= ?", millis(then)))
    }

    /// The answers about a listed address that fulfil a condition, oldest first.
    fn listed(
        &mut self,
        db: &Connection,
        domain: NameHash,
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

    fn random_recipient_at(
        &mut self,
        db: &Connection,
        domain: NameHash,
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
        let Ok(random_recipient) = Address::parse(&text) else {
            return Ok(CatchAll::NotAsked);
        };
        Ok(self
            .attempt(db, row, &random_recipient)?
            .map_or(CatchAll::NotAsked, |attempt| CatchAll::Yes(Arc::new(attempt))))
    }

    /// An answer in a row that begins with the columns of [`ANSWER`]; `None` also where there is none.
    pub(super) fn attempt(
        &mut self,
        db: &Connection,
        row: &Row<'_>,
        address: &Address,
    ) -> Result<Option<Attempt>, StateError> {
        let Some(mx_host) = row.get(1)? else {
            return Ok(None);
        };
        let Some(mx_host) = self.domain(db, mx_host)? else {
            return Ok(None);
        };
        let classified = self.classified(db, row, &mx_host, address.local(), &address.to_string())?;
        Ok(classified.map(|classified| Attempt { mx_host, at: at(row), classified }))
    }

    fn obstacle(&mut self, db: &Connection, id: Option<i64>) -> Result<Option<Arc<Obstacle>>, StateError> {
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
        let Some(mx_host) = self.domain(db, row.get(1)?)? else {
            return Ok(None);
        };
        let finding = row.get_ref(6)?.as_str_or_null().unwrap_or_default().and_then(Finding::from_word);
        let what = match finding {
            Some(finding) => Some(ObstacleKind::NoReply(finding)),
            None => self
                .classified(db, row, &mx_host, "@", "@")?
                .map(|classified| ObstacleKind::Rejected(Box::new(classified))),
        };
        Ok(what.map(|what| Arc::new(Obstacle { mx_host, at: at(row), what })))
    }

    /// A reply in the columns `stage, code, text, parts`, which are those from 2 on.
    fn classified(
        &mut self,
        db: &Connection,
        row: &Row<'_>,
        mx_host: &Domain,
        local: &str,
        address: &str,
    ) -> Result<Option<ClassifiedReply>, StateError> {
        let stage = row.get_ref(2)?.as_str().ok().and_then(Stage::from_word);
        let (Some(stage), Some(shared)) = (stage, self.text(db, row.get(4)?)?) else {
            return Ok(None);
        };
        let parts = row.get_ref(5)?.as_str_or_null().unwrap_or_default();
        let reply = Reply::new(row.get(3)?, reply_template::put_together(&shared, parts, local, address));
        let provider = self.policy.providers().of(mx_host);
        let context = ReplyContext { stage, provider: provider.is_known().then_some(&*provider.id) };
        let meaning = self.replies.read(&reply, &context);
        Ok(Some(ClassifiedReply { stage, reply, meaning }))
    }

    /// The name with this number.
    pub(super) fn domain(&mut self, db: &Connection, key: NameHash) -> Result<Option<Domain>, StateError> {
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

    fn text(&mut self, db: &Connection, key: NameHash) -> Result<Option<Arc<str>>, StateError> {
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
fn bound<T>(known: &mut HashMap<NameHash, T>) {
    const MOST: usize = 1 << 15;
    if known.len() >= MOST {
        known.clear();
    }
}

fn at(row: &Row<'_>) -> SystemTime {
    time(row.get(0).unwrap_or_default())
}

fn unprobed(row: &Row<'_>, now: SystemTime) -> rusqlite::Result<Option<NotProbedReason>> {
    let word = row.get_ref(11)?.as_str_or_null().unwrap_or_default();
    let again = row.get::<_, Option<i64>>(12)?.map(time);
    let wait = again.and_then(|again| again.duration_since(now).ok()).unwrap_or(Duration::ZERO);
    let all = [
        NotProbedReason::Offline,
        NotProbedReason::DnsOnly,
        NotProbedReason::Deadline,
        NotProbedReason::Budget(wait),
        NotProbedReason::ProviderPaused,
    ];
    Ok(all.into_iter().find(|unprobed| Some(unprobed.word()) == word))
}
