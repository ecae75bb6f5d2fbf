//! What stands in a row of the tables, as a fact again.
//!
//! Decides: nothing. A reply is read anew each time, so a better rule needs no new question; names and texts, which many
//! rows share, are remembered. What can't be read back counts as not known.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::columns::columns;
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

columns! {
    /// The columns of a reply, and of an obstacle.
    REPLY from 0;
    AT = "at",
    MX_HOST = "mx_host",
    STAGE = "stage",
    CODE = "code",
    TEMPLATE = "template",
    PARTS = "parts",
}

/// Columns of a query's own stand behind those of [`REPLY`].
pub(super) const AFTER_REPLY: usize = PARTS + 1;

columns! {
    /// The columns of a result, behind those of [`REPLY`].
    RESULT from AFTER_REPLY;
    RUN = "result.run",
    CATCH_ALL = "catch_all",
    CATCH_ALL_EVIDENCE = "catch_all_evidence",
    POSITIVE_CONTROL = "positive_control",
    OBSTACLE = "obstacle",
    NOT_PROBED_BECAUSE = "not_probed_because",
    RETRY_AT = "retry_at",
    REASON = "reason",
    CHECKED = "checked",
    EXPIRES = "expires",
}

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

    /// The end of the questions about an address, without its answers, in a row with the columns [`REPLY`] and [`RESULT`].
    pub(super) fn settled(
        &mut self,
        db: &Connection,
        row: &Row<'_>,
        domain: NameHash,
        address: &Address,
        now: SystemTime,
    ) -> Result<StoredResult, StateError> {
        let mailbox = MailboxEvidence {
            catch_all: match row.get_ref(CATCH_ALL)?.as_str_or_null().unwrap_or_default() {
                Some("yes") => match row.get::<_, Option<i64>>(CATCH_ALL_EVIDENCE)? {
                    Some(at) => self.random_recipient_at(db, domain, address, at)?,
                    None => CatchAll::NotTested,
                },
                Some("no.control") => CatchAll::No(NotCatchAllProof::Control),
                Some("no.unclear_control") => CatchAll::No(NotCatchAllProof::UnclearControl),
                Some("no.listed") => CatchAll::No(NotCatchAllProof::Listed),
                Some("unclear") => CatchAll::Unclear,
                Some("failed") => self
                    .obstacle(db, row.get(CATCH_ALL_EVIDENCE)?)?
                    .map_or(CatchAll::NotTested, CatchAll::Failed),
                _ => CatchAll::NotTested,
            },
            positive_control: match row.get_ref(POSITIVE_CONTROL)?.as_str_or_null().unwrap_or_default() {
                Some("accepted") => PositiveControl::Accepted,
                Some("same_words") => PositiveControl::SameText,
                Some("silent") => PositiveControl::Inconclusive,
                _ => PositiveControl::NotSent,
            },
            obstacle: self.obstacle(db, row.get(OBSTACLE)?)?,
            unprobed: unprobed(row, now)?,
            ..MailboxEvidence::default()
        };
        let moment = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(time));
        let (checked, expires) = (moment(CHECKED)?, moment(EXPIRES)?);
        Ok(StoredResult { run: RunId(row.get(RUN)?), mailbox, reason: row.get(REASON)?, checked, expires })
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
            "SELECT {REPLY} FROM reply WHERE domain = ? AND kind = 0 AND local = ? AND {which} ORDER BY at"
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
            "SELECT {REPLY}, local FROM reply WHERE domain = ? AND kind = 1 AND at = ?"
        ))?;
        let mut rows = find.query(params![domain, at])?;
        let Some((row, domain)) = rows.next()?.zip(address.domain()) else {
            return Ok(CatchAll::NotTested);
        };
        let text = format!("{}@{domain}", row.get_ref(AFTER_REPLY)?.as_str().unwrap_or_default());
        let Ok(random_recipient) = Address::parse(&text) else {
            return Ok(CatchAll::NotTested);
        };
        Ok(self
            .attempt(db, row, &random_recipient)?
            .map_or(CatchAll::NotTested, |attempt| CatchAll::Yes(Arc::new(attempt))))
    }

    /// An answer in a row that begins with the columns [`REPLY`]; `None` also where there is none.
    pub(super) fn attempt(
        &mut self,
        db: &Connection,
        row: &Row<'_>,
        address: &Address,
    ) -> Result<Option<Attempt>, StateError> {
        let Some(mx_host) = row.get(MX_HOST)? else {
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
        let mut find = db.prepare_cached(&format!("SELECT {REPLY}, finding FROM obstacle WHERE id = ?"))?;
        let mut rows = find.query([id])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let Some(mx_host) = self.domain(db, row.get(MX_HOST)?)? else {
            return Ok(None);
        };
        let finding =
            row.get_ref(AFTER_REPLY)?.as_str_or_null().unwrap_or_default().and_then(Finding::from_word);
        let what = match finding {
            Some(finding) => Some(ObstacleKind::NoReply(finding)),
            None => self
                .classified(db, row, &mx_host, "@", "@")?
                .map(|classified| ObstacleKind::Rejected(Box::new(classified))),
        };
        Ok(what.map(|what| Arc::new(Obstacle { mx_host, at: at(row), kind: what })))
    }

    /// The reply in a row that begins with the columns [`REPLY`].
    fn classified(
        &mut self,
        db: &Connection,
        row: &Row<'_>,
        mx_host: &Domain,
        local: &str,
        address: &str,
    ) -> Result<Option<ClassifiedReply>, StateError> {
        let stage = row.get_ref(STAGE)?.as_str().ok().and_then(Stage::from_word);
        let (Some(stage), Some(shared)) = (stage, self.text(db, row.get(TEMPLATE)?)?) else {
            return Ok(None);
        };
        let parts = row.get_ref(PARTS)?.as_str_or_null().unwrap_or_default();
        let reply = Reply::new(row.get(CODE)?, reply_template::put_together(&shared, parts, local, address));
        let provider = self.policy.providers().of(mx_host);
        let context = ReplyContext { stage, provider: provider.is_known().then_some(&*provider.id) };
        let meaning = self.replies.classify(&reply, &context);
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
        let mut find = db.prepare_cached("SELECT template FROM reply_template WHERE id = ?")?;
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
    time(row.get(AT).unwrap_or_default())
}

fn unprobed(row: &Row<'_>, now: SystemTime) -> rusqlite::Result<Option<NotProbedReason>> {
    let word = row.get_ref(NOT_PROBED_BECAUSE)?.as_str_or_null().unwrap_or_default();
    let again = row.get::<_, Option<i64>>(RETRY_AT)?.map(time);
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
