//! Facts go in: routes, answers, and the end of the questions about an address.
//!
//! Everything written since the last [`State::commit`] is one transaction. The run commits before it acts on what it
//! heard, so at most what was under way is asked again after a crash. Fails: when the disk does.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;
use std::time::SystemTime;

use rusqlite::params;

use super::worklist::RunId;
use super::{NameHash, State, StateError, millis, reply_template, route};
use crate::address::{Address, Domain};
use crate::evidence::{
    CatchAll, ClassifiedReply, NotCatchAllProof, NotProbedReason, Obstacle, ObstacleKind, PositiveControl,
    ProbeResult, RecipientKind, RecordedReply, Tally,
};
use crate::reason::{Cause, Confidence, Fault, Finding, Reason};
use crate::route::Route;
use crate::smtp::{Reply, Stage};

/// What was told about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportedVerdict {
    /// The reason of the verdict.
    pub reason: Reason,
    /// When the evidence was gathered.
    pub checked: Option<SystemTime>,
    /// When it is too old to be used again.
    pub expires: Option<SystemTime>,
}

/// An address about which something else is told now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictUpdate {
    /// Its domain.
    pub domain: NameHash,
    /// Its local part.
    pub local: String,
    /// What is told.
    pub told: ReportedVerdict,
}

/// Numbers that stand in their tables for sure. Forgotten now and then: writing one again is no mistake.
#[derive(Default)]
pub(super) struct WrittenKeys {
    names: HashSet<NameHash>,
    texts: HashSet<NameHash>,
    served: HashSet<(NameHash, NameHash)>,
    /// The last trouble, which is often everybody's.
    obstacle: Option<(Arc<Obstacle>, i64)>,
}

/// True when it was not remembered.
fn remember<T: Eq + Hash>(set: &mut HashSet<T>, value: T) -> bool {
    /// More are not worth their memory.
    const MOST: usize = 1 << 16;
    if set.len() >= MOST {
        set.clear();
    }
    set.insert(value)
}

/// A reply as it stands in the tables.
struct Written {
    stage: &'static str,
    code: u16,
    text: NameHash,
    parts: Option<String>,
}

impl State {
    /// Writes for good what was written since the last time.
    pub fn commit(&mut self) -> Result<(), StateError> {
        if !self.db.is_autocommit() {
            self.db.execute_batch("COMMIT")?;
        }
        Ok(())
    }

    /// Until the next commit everything is one transaction. Who reads much is quicker in one, too: it locks the file once.
    pub fn begin_writing(&mut self) -> Result<(), StateError> {
        if self.db.is_autocommit() {
            self.db.execute_batch("BEGIN IMMEDIATE")?;
        }
        Ok(())
    }

    pub(super) fn write_name(&mut self, name: &str) -> Result<NameHash, StateError> {
        let key = NameHash::of(name);
        if remember(&mut self.noted.names, key) {
            let mut insert = self.db.prepare_cached("INSERT OR IGNORE INTO name (id, name) VALUES (?, ?)")?;
            insert.execute(params![key, name])?;
        }
        Ok(key)
    }

    fn write_reply(
        &mut self,
        stage: Stage,
        reply: &Reply,
        local: &str,
        address: &str,
    ) -> Result<Written, StateError> {
        let (shared, parts) = reply_template::take_apart(&reply.lines, local, address);
        let text = NameHash::of(&shared);
        if remember(&mut self.noted.texts, text) {
            let mut insert = self
                .db
                .prepare_cached("INSERT OR IGNORE INTO reply_template (id, template) VALUES (?, ?)")?;
            insert.execute(params![text, shared])?;
        }
        Ok(Written { stage: stage.word(), code: reply.code, text, parts })
    }

    /// Writes where a domain's mail goes.
    pub fn write_route(
        &mut self,
        run: RunId,
        domain: &Domain,
        found: &Route,
        now: SystemTime,
    ) -> Result<(), StateError> {
        self.begin_writing()?;
        let key = self.write_name(domain.as_str())?;
        let (kind, detail) = route::written(found);
        let mut other = self
            .db
            .prepare_cached("SELECT 1 FROM route WHERE domain = ? AND NOT (kind = ? AND detail = ?)")?;
        if other.exists(params![key, kind, detail])? {
            self.expire_finished_runs()?;
        }
        let mut insert = self.db.prepare_cached(
            "INSERT OR REPLACE INTO route (domain, kind, detail, looked_up, run) VALUES (?, ?, ?, ?, ?)",
        )?;
        insert.execute(params![key, kind, detail, millis(now), run])?;
        Ok(())
    }

    /// Writes an answer.
    pub fn write_answer(
        &mut self,
        run: RunId,
        egress: i64,
        answer: &RecordedReply,
    ) -> Result<(), StateError> {
        self.begin_writing()?;
        let RecordedReply { domain, kind: who, address, attempt, lane, tally, .. } = answer;
        let classified = &attempt.classified;
        let name = self.write_name(domain.as_str())?;
        let mx_host = self.write_name(attempt.mx_host.as_str())?;
        let local = address.local();
        let Written { stage, code, text, parts } =
            self.write_reply(classified.stage, &classified.reply, local, &address.to_string())?;
        let who = match who {
            RecipientKind::Listed(_) | RecipientKind::Recheck(_) => 0,
            RecipientKind::Random => 1,
            RecipientKind::Postmaster => 2,
        };
        let mut at = millis(attempt.at);
        let mut insert = self.db.prepare_cached(
            "INSERT OR IGNORE INTO reply
                 (domain, kind, local, at, run, egress, mx_host, stage, code, template, parts)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        // Of two answers of one millisecond the second is a millisecond younger.
        while insert.execute(params![name, who, local, at, run, egress, mx_host, stage, code, text, parts])?
            == 0
        {
            at += 1;
        }
        drop(insert);
        if is_clear(classified) && remember(&mut self.noted.served, (mx_host, name)) {
            let mut insert = self.db.prepare_cached(
                "INSERT OR IGNORE INTO served_domain (mx_host, run, domain) SELECT ?1, ?2, ?3
                 WHERE (SELECT count(*) FROM served_domain WHERE mx_host = ?1 AND run = ?2) < 2",
            )?;
            insert.execute(params![mx_host, run, name])?;
        }
        if classified.may_be_unknown() {
            self.count_unknown(egress, lane, at)?;
        }
        if *tally != Tally::default() {
            self.count(run, lane, *tally)?;
        }
        Ok(())
    }

    /// Forgets what was answered about an address, listed or made up, in a run: it counts no longer.
    pub fn revoke(&mut self, run: RunId, address: &Address) -> Result<(), StateError> {
        self.begin_writing()?;
        let Some(domain) = address.domain() else {
            return Ok(());
        };
        let mut delete = self.db.prepare_cached(
            "DELETE FROM reply WHERE domain = ? AND kind IN (0, 1) AND local = ? AND run = ?",
        )?;
        let key = NameHash::of(domain.as_str());
        delete.execute(params![key, address.local(), run])?;
        let mut delete = self.db.prepare_cached("DELETE FROM served_domain WHERE run = ? AND domain = ?")?;
        delete.execute(params![run, key])?;
        drop(delete);
        self.noted.served.clear();
        Ok(())
    }

    /// Writes the end of the questions about an address. It leaves the roster, unless it was not asked to the end.
    pub fn write_settled(
        &mut self,
        run: RunId,
        ProbeResult { id: target, address, mailbox, .. }: &ProbeResult,
        told: ReportedVerdict,
        now: SystemTime,
    ) -> Result<(), StateError> {
        self.begin_writing()?;
        let Some(domain) = address.domain() else {
            return Ok(());
        };
        let (name, local) = (self.write_name(domain.as_str())?, address.local());
        if mailbox.attempts.is_empty() {
            // What was answered meanwhile has been taken back.
            self.revoke(run, address)?;
        }
        let (catch_all, control) = match &mailbox.catch_all {
            CatchAll::Yes(random_recipient) => (Some("yes"), Some(millis(random_recipient.at))),
            CatchAll::No(NotCatchAllProof::Control) => (Some("no.control"), None),
            CatchAll::No(NotCatchAllProof::UnclearControl) => (Some("no.unclear_control"), None),
            CatchAll::No(NotCatchAllProof::Listed) => (Some("no.listed"), None),
            CatchAll::Unclear => (Some("unclear"), None),
            CatchAll::Failed(obstacle) => (Some("failed"), Some(self.write_obstacle(obstacle)?)),
            CatchAll::NotTested => (None, None),
        };
        let positive = match mailbox.positive_control {
            PositiveControl::Accepted => Some("accepted"),
            PositiveControl::SameText => Some("same_words"),
            PositiveControl::Inconclusive => Some("silent"),
            PositiveControl::NotSent => None,
        };
        let obstacle = mailbox.obstacle.as_ref().map(|obstacle| self.write_obstacle(obstacle)).transpose()?;
        let again = match mailbox.unprobed {
            Some(NotProbedReason::Budget(wait)) => Some(millis(now + wait)),
            _ => None,
        };
        let accepted = told.checked.filter(|_| told.reason == Cause::Accepted.into());
        let row = params![
            name,
            local,
            run,
            catch_all,
            control,
            positive,
            obstacle,
            mailbox.unprobed.map(NotProbedReason::word),
            again,
            told.reason.word(),
            told.checked.map(millis),
            told.expires.map(millis),
            accepted.map(millis),
        ];
        let mut insert = self.db.prepare_cached(
            "INSERT OR IGNORE INTO result
                 (domain, local, run, catch_all, catch_all_evidence, positive_control, obstacle,
                  not_probed_because, retry_at, reason, checked, expires, last_accepted)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        if insert.execute(row)? == 0 {
            self.replaces_fact(name, local)?;
            let mut update = self.db.prepare_cached(
                "UPDATE result SET run = ?3, catch_all = ?4, catch_all_evidence = ?5, positive_control = ?6,
                     obstacle = ?7, not_probed_because = ?8, retry_at = ?9, reason = ?10, checked = ?11,
                     expires = ?12, last_accepted = coalesce(?13, last_accepted)
                 WHERE domain = ?1 AND local = ?2",
            )?;
            update.execute(row)?;
        }
        if mailbox.unprobed.is_none() {
            let mut delete = self
                .db
                .prepare_cached("DELETE FROM worklist WHERE run = ? AND domain = ? AND position = ?")?;
            delete.execute(params![run, name, target.0])?;
        }
        Ok(())
    }

    /// Writes what was told about an address that was judged otherwise before.
    pub fn write_reported(
        &mut self,
        VerdictUpdate { domain, local, told }: &VerdictUpdate,
    ) -> Result<(), StateError> {
        self.begin_writing()?;
        self.replaces_fact(*domain, local)?;
        let mut update = self.db.prepare_cached(
            "UPDATE result SET reason = ?, checked = ?, expires = ? WHERE domain = ? AND local = ?",
        )?;
        let (checked, expires) = (told.checked.map(millis), told.expires.map(millis));
        update.execute(params![told.reason.word(), checked, expires, domain, local])?;
        Ok(())
    }

    /// What is known about an address is about to be replaced.
    fn replaces_fact(&self, domain: NameHash, local: &str) -> Result<(), StateError> {
        if self.broke_promises.get() {
            return Ok(());
        }
        let mut promised = self.db.prepare_cached(
            "SELECT 1 FROM result WHERE domain = ? AND local = ? AND expires IS NOT NULL
             AND run IN (SELECT id FROM run WHERE facts_published)",
        )?;
        if promised.exists(params![domain, local])? {
            self.expire_finished_runs()?;
        }
        Ok(())
    }

    fn write_obstacle(&mut self, obstacle: &Arc<Obstacle>) -> Result<i64, StateError> {
        if let Some((_, id)) = self.noted.obstacle.as_ref().filter(|(last, _)| last == obstacle) {
            return Ok(*id);
        }
        let mx_host = self.write_name(obstacle.mx_host.as_str())?;
        let (finding, reply) = match &obstacle.kind {
            ObstacleKind::NoReply(finding) => (Some(Finding::word(*finding)), None),
            ObstacleKind::Rejected(classified) => {
                let nobody = reply_template::NOBODY;
                (None, Some(self.write_reply(classified.stage, &classified.reply, nobody, nobody)?))
            }
        };
        let mut insert = self.db.prepare_cached(
            "INSERT INTO obstacle (mx_host, at, finding, stage, code, template, parts) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?;
        let id = insert.insert(params![
            mx_host,
            millis(obstacle.at),
            finding,
            reply.as_ref().map(|reply| reply.stage),
            reply.as_ref().map(|reply| reply.code),
            reply.as_ref().map(|reply| reply.text),
            reply.as_ref().and_then(|reply| reply.parts.as_deref()),
        ])?;
        drop(insert);
        self.noted.obstacle = Some((obstacle.clone(), id));
        Ok(id)
    }
}

/// An answer that shows that the exchanger serves the domain.
fn is_clear(classified: &ClassifiedReply) -> bool {
    let meaning = &classified.meaning;
    let about_mailbox = meaning.cause == Cause::Accepted || meaning.cause.fault() == Fault::Mailbox;
    about_mailbox && meaning.confidence == Confidence::Confirmed
}
