//! A row of a table as a fact again.
//!
//! Decides: nothing. A reply is classified when it is read, so that a better rule needs no new probe. Names and templates,
//! which many rows share, are cached. What can't be read counts as not known.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::encoding::{
    self, CATCH_ALL as YES, CATCH_ALL_UNCLEAR, CONTROL_FAILED, NO_ADDRESS, POSITIVE_CONTROLS, PROOFS,
};
use super::store::time;
use super::{NameHash, RunId, StateError};
use crate::address::{Address, Domain};
use crate::evidence::{
    Attempt, CatchAll, ClassifiedReply, MailboxEvidence, NotProbedReason, Obstacle, ObstacleKind,
};
use crate::policy::{Policy, ReplyCache};
use crate::reason::{Finding, Reason, Verdict};
use crate::smtp::{Reply, Stage};

/// Declares the columns of a decoder: a constant with the list for `SELECT`, and a constant with the number of each
/// column. The numbers begin at `from`, for a list that follows another.
macro_rules! columns {
    ($(#[$doc:meta])* $list:ident from $from:expr; $($column:ident = $sql:literal,)+) => {
        $(#[$doc])*
        pub(super) const $list: &str = $crate::state::decode::columns!(@list $($sql),+);
        $crate::state::decode::columns!(@number $from; $($column,)+);
    };
    (@list $first:literal $(, $more:literal)*) => { concat!($first $(, ", ", $more)*) };
    (@number $number:expr; $column:ident, $($more:ident,)*) => {
        const $column: usize = $number;
        $crate::state::decode::columns!(@number $column + 1; $($more,)*);
    };
    (@number $number:expr;) => {};
}
pub(super) use columns;

columns! {
    /// The columns of a reply or an obstacle. Every query of this room selects them first.
    REPLY from 0;
    AT = "at",
    MX_HOST = "mx_host",
    STAGE = "stage",
    CODE = "code",
    TEMPLATE = "template",
    PARTS = "parts",
}

/// The number of the first column after those of [`REPLY`].
pub(super) const AFTER_REPLY: usize = PARTS + 1;

columns! {
    /// The columns of a result, after those of [`REPLY`].
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

/// The result of a recipient, with the verdict that was stored with it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredResult {
    /// The run that wrote it.
    pub run: RunId,
    /// The evidence.
    pub mailbox: MailboxEvidence,
    /// The word of the reason.
    pub reason: Option<String>,
    /// When the evidence was gathered.
    pub checked: Option<SystemTime>,
    /// From when on the result may not be used again.
    pub expires: Option<SystemTime>,
}

impl StoredResult {
    /// True if the verdict is `undeliverable`, or a reason that this version does not know.
    pub(crate) fn is_undeliverable(&self) -> bool {
        let reason = self.reason.as_deref().and_then(Reason::from_word);
        reason.is_none_or(|reason| reason.verdict() == Verdict::Undeliverable)
    }
}

/// Decodes rows, and caches names and templates.
pub(super) struct FactDecoder {
    policy: Policy,
    replies: ReplyCache,
    names: BoundedCache<Option<Domain>>,
    templates: BoundedCache<Option<Arc<str>>>,
}

impl FactDecoder {
    /// Classifies replies by this policy.
    pub(super) fn new(policy: Policy) -> FactDecoder {
        FactDecoder {
            policy,
            replies: ReplyCache::of(policy),
            names: BoundedCache::default(),
            templates: BoundedCache::default(),
        }
    }

    /// The result of a recipient without its attempts, from a row with the columns [`REPLY`] and [`RESULT`].
    pub(super) fn result(
        &mut self,
        db: &Connection,
        row: &Row<'_>,
        domain: NameHash,
        address: &Address,
        now: SystemTime,
    ) -> Result<StoredResult, StateError> {
        let mailbox = MailboxEvidence {
            catch_all: self.catch_all(db, row, domain, address)?,
            positive_control: word(row, POSITIVE_CONTROL)?
                .and_then(|word| POSITIVE_CONTROLS.value(word))
                .unwrap_or_default(),
            obstacle: self.obstacle(db, row.get(OBSTACLE)?)?,
            unprobed: not_probed_reason(row, now)?,
            ..MailboxEvidence::default()
        };
        let at = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(time));
        let (checked, expires) = (at(CHECKED)?, at(EXPIRES)?);
        Ok(StoredResult { run: row.get(RUN)?, mailbox, reason: row.get(REASON)?, checked, expires })
    }

    fn catch_all(
        &mut self,
        db: &Connection,
        row: &Row<'_>,
        domain: NameHash,
        address: &Address,
    ) -> Result<CatchAll, StateError> {
        let Some(word) = word(row, CATCH_ALL)? else {
            return Ok(CatchAll::NotTested);
        };
        let evidence = || row.get::<_, Option<i64>>(CATCH_ALL_EVIDENCE);
        Ok(match word {
            YES => match evidence()? {
                Some(at) => self
                    .random_recipient(db, domain, address, at)?
                    .map_or(CatchAll::NotTested, |attempt| CatchAll::Yes(Arc::new(attempt))),
                None => CatchAll::NotTested,
            },
            CATCH_ALL_UNCLEAR => CatchAll::Unclear,
            CONTROL_FAILED => self.obstacle(db, evidence()?)?.map_or(CatchAll::NotTested, CatchAll::Failed),
            word => PROOFS.value(word).map_or(CatchAll::NotTested, CatchAll::No),
        })
    }

    /// The reply to the random recipient of a domain at this time.
    fn random_recipient(
        &mut self,
        db: &Connection,
        domain: NameHash,
        address: &Address,
        at: i64,
    ) -> Result<Option<Attempt>, StateError> {
        let mut find = db.prepare_cached(&format!(
            "SELECT {REPLY}, local FROM reply WHERE domain = ? AND kind = 1 AND at = ?"
        ))?;
        let mut rows = find.query(params![domain, at])?;
        let Some((row, domain)) = rows.next()?.zip(address.domain()) else {
            return Ok(None);
        };
        let text = format!("{}@{domain}", row.get_ref(AFTER_REPLY)?.as_str().unwrap_or_default());
        let Ok(random_recipient) = Address::parse(&text) else {
            return Ok(None);
        };
        self.attempt(db, row, &random_recipient)
    }

    /// The reply in a row that begins with the columns [`REPLY`]; `None` also where these are null.
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
        let kind = match word(row, AFTER_REPLY)?.and_then(Finding::from_word) {
            Some(finding) => Some(ObstacleKind::NoReply(finding)),
            None => self
                .classified(db, row, &mx_host, NO_ADDRESS, NO_ADDRESS)?
                .map(|classified| ObstacleKind::Rejected(Box::new(classified))),
        };
        Ok(kind.map(|kind| Arc::new(Obstacle { mx_host, at: at(row), kind })))
    }

    fn classified(
        &mut self,
        db: &Connection,
        row: &Row<'_>,
        mx_host: &Domain,
        local: &str,
        address: &str,
    ) -> Result<Option<ClassifiedReply>, StateError> {
        let stage = row.get_ref(STAGE)?.as_str().ok().and_then(Stage::from_word);
        let (Some(stage), Some(template)) = (stage, self.template(db, row.get(TEMPLATE)?)?) else {
            return Ok(None);
        };
        let lines = encoding::join_reply(&template, word(row, PARTS)?, local, address);
        let reply = Reply::new(row.get(CODE)?, lines);
        let provider = self.policy.providers().of(mx_host);
        Ok(Some(ClassifiedReply::new(&mut self.replies, stage, provider, reply)))
    }

    /// The domain or host with this number.
    pub(super) fn domain(&mut self, db: &Connection, key: NameHash) -> Result<Option<Domain>, StateError> {
        if let Some(known) = self.names.get(key) {
            return Ok(known.clone());
        }
        let mut find = db.prepare_cached("SELECT name FROM name WHERE id = ?")?;
        let name = find.query_row([key], |row| row.get::<_, String>(0)).optional()?;
        let domain = name.and_then(|name| Domain::from_dns(&name).ok());
        self.names.insert(key, domain.clone(), domain.as_ref().map_or(0, |domain| domain.as_str().len()));
        Ok(domain)
    }

    fn template(&mut self, db: &Connection, key: NameHash) -> Result<Option<Arc<str>>, StateError> {
        if let Some(known) = self.templates.get(key) {
            return Ok(known.clone());
        }
        let mut find = db.prepare_cached("SELECT template FROM reply_template WHERE id = ?")?;
        let text = find.query_row([key], |row| row.get::<_, String>(0)).optional()?.map(Arc::from);
        self.templates.insert(key, text.clone(), text.as_ref().map_or(0, |text| text.len()));
        Ok(text)
    }
}

/// A cache by number. Bounded in bytes, because untrusted servers choose the texts; a full one is emptied.
struct BoundedCache<T> {
    values: HashMap<NameHash, T>,
    bytes: usize,
}

impl<T> Default for BoundedCache<T> {
    fn default() -> BoundedCache<T> {
        BoundedCache { values: HashMap::new(), bytes: 0 }
    }
}

impl<T> BoundedCache<T> {
    const MOST: usize = 4 << 20;
    /// Memory of an entry beside its text; rough.
    const ENTRY: usize = 64;

    fn get(&self, key: NameHash) -> Option<&T> {
        self.values.get(&key)
    }

    fn insert(&mut self, key: NameHash, value: T, bytes: usize) {
        if self.bytes >= Self::MOST {
            self.values.clear();
            self.bytes = 0;
        }
        self.bytes += Self::ENTRY + bytes;
        self.values.insert(key, value);
    }
}

fn at(row: &Row<'_>) -> SystemTime {
    time(row.get(AT).unwrap_or_default())
}

/// A text; `None` if the column is null or holds something else.
fn word<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<Option<&'a str>> {
    Ok(row.get_ref(column)?.as_str_or_null().unwrap_or_default())
}

fn not_probed_reason(row: &Row<'_>, now: SystemTime) -> rusqlite::Result<Option<NotProbedReason>> {
    let retry_at = row.get::<_, Option<i64>>(RETRY_AT)?.map(time);
    let wait = retry_at.and_then(|at| at.duration_since(now).ok()).unwrap_or(Duration::ZERO);
    Ok(word(row, NOT_PROBED_BECAUSE)?.and_then(|word| encoding::not_probed_reason(word, wait)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_of_long_texts_is_emptied_when_it_is_full() {
        let mut cache = BoundedCache::default();
        for n in 0..1_000 {
            cache.insert(NameHash::of(&n.to_string()), n, 64 << 10);
            assert!(cache.values.len() <= BoundedCache::<i32>::MOST / (64 << 10) + 1);
        }
        assert_eq!(cache.get(NameHash::of("999")), Some(&999));
    }
}
