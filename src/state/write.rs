//! Facts go in: routes, replies, and results of recipients.
//!
//! The run writes a reply before it does anything that follows from it, and commits before anything leaves for a
//! server. So after a crash at most the probes in flight are repeated. Must not: judge; the verdict of a result comes
//! from the caller.

use std::sync::Arc;
use std::time::SystemTime;

use rusqlite::{OptionalExtension, params};

use super::store::{millis, remember};
use super::{EgressId, NameHash, RunId, State, StateError, encoding};
use crate::address::{Address, Domain};
use crate::evidence::{
    Attempt, CatchAll, ClassifiedReply, MailboxEvidence, NotProbedReason, Obstacle, ObstacleKind,
    ProbeResult, RecordedReply, Tally,
};
use crate::reason::{Cause, Confidence, Fault, Finding, Reason};
use crate::route::Route;

/// The verdict on a recipient, as far as the state keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReportedVerdict {
    /// The reason, from which verdict and fault follow.
    pub reason: Reason,
    /// When the evidence was gathered.
    pub checked: Option<SystemTime>,
    /// From when on the result may not be used again.
    pub expires: Option<SystemTime>,
}

/// A verdict that differs from the one that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VerdictUpdate {
    domain: NameHash,
    local: String,
    verdict: ReportedVerdict,
}

impl VerdictUpdate {
    /// A new verdict on a recipient; `None` for an address literal, which has no stored result.
    pub(crate) fn new(address: &Address, verdict: ReportedVerdict) -> Option<VerdictUpdate> {
        let domain = NameHash::of(address.domain()?.as_str());
        Some(VerdictUpdate { domain, local: address.local().to_owned(), verdict })
    }
}

/// When a route was looked up, and until when its MX hosts may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RouteTimes {
    /// The time of the look-up.
    pub looked_up: SystemTime,
    /// The end of its TTL.
    pub valid_until: SystemTime,
}

/// A reply as the tables have it.
struct EncodedReply {
    stage: &'static str,
    code: u16,
    template: NameHash,
    parts: Option<String>,
}

impl State {
    /// Writes where a domain receives mail. Returns true if another route was stored before.
    pub(crate) fn write_route(
        &mut self,
        run: RunId,
        domain: &Domain,
        route: &Route,
        lasts: RouteTimes,
    ) -> Result<bool, StateError> {
        self.begin_writing()?;
        let key = self.write_name(domain.as_str())?;
        let (kind, detail) = encoding::encode_route(route);
        let mut other = self
            .db
            .prepare_cached("SELECT 1 FROM route WHERE domain = ? AND NOT (kind = ? AND detail = ?)")?;
        let is_changed = other.exists(params![key, kind, detail])?;
        if is_changed {
            self.expire_finished_runs()?;
        }
        let mut insert = self.db.prepare_cached(
            "INSERT OR REPLACE INTO route (domain, kind, detail, looked_up, valid_until, run)
             VALUES (?, ?, ?, ?, ?, ?)",
        )?;
        insert.execute(params![
            key,
            kind,
            detail,
            millis(lasts.looked_up),
            millis(lasts.valid_until),
            run
        ])?;
        Ok(is_changed)
    }

    /// Writes a reply to a probe, and counts it.
    pub(crate) fn write_reply(
        &mut self,
        run: RunId,
        egress: EgressId,
        recorded: &RecordedReply,
    ) -> Result<(), StateError> {
        self.begin_writing()?;
        let RecordedReply { domain, kind, address, attempt, lane, tally, .. } = recorded;
        let classified = &attempt.classified;
        let name = self.write_name(domain.as_str())?;
        let mx_host = self.write_name(attempt.mx_host.as_str())?;
        let (kind, local) = (encoding::kind_number(*kind), address.local());
        let EncodedReply { stage, code, template, parts } =
            self.encode_reply(classified, local, &address.to_string())?;
        let mut at = millis(attempt.at);
        if kind == encoding::RANDOM {
            // A result names the reply to a random recipient by its time.
            let mut find =
                self.db.prepare_cached("SELECT 1 FROM reply WHERE domain = ? AND kind = 1 AND at = ?")?;
            while find.exists(params![name, at])? {
                at += 1;
            }
        }
        let mut insert = self.db.prepare_cached(
            "INSERT OR IGNORE INTO reply
                 (domain, kind, local, at, run, egress, mx_host, stage, code, template, parts)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        // The time is part of the key: the second of two replies in one millisecond gets the next one.
        while insert
            .execute(params![name, kind, local, at, run, egress, mx_host, stage, code, template, parts])?
            == 0
        {
            at += 1;
        }
        drop(insert);
        if shows_service(classified) && remember(&mut self.written.served, (mx_host, name)) {
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
            self.add_to_tally(run, lane, *tally)?;
        }
        Ok(())
    }

    /// Deletes the replies of a run about a recipient, of the list or random, because they were revoked.
    pub(crate) fn delete_replies(&mut self, run: RunId, address: &Address) -> Result<(), StateError> {
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
        self.written.served.clear();
        Ok(())
    }

    /// Writes the result of a recipient, which leaves the worklist unless it was not probed to the end. The replies
    /// that it rests on must be written before: a result keeps the text of none.
    pub(crate) fn write_result(
        &mut self,
        run: RunId,
        ProbeResult { id, address, mailbox, .. }: &ProbeResult,
        verdict: ReportedVerdict,
        now: SystemTime,
    ) -> Result<(), StateError> {
        self.begin_writing()?;
        let Some(domain) = address.domain() else {
            return Ok(());
        };
        let (name, local) = (self.write_name(domain.as_str())?, address.local());
        if mailbox.attempts.is_empty() {
            // Replies that were revoked.
            self.delete_replies(run, address)?;
        }
        debug_assert!(self.has_replies(run, name, local, mailbox)?, "a result without its replies");
        let (catch_all, control) = match &mailbox.catch_all {
            CatchAll::Yes(reply) => (Some(encoding::CATCH_ALL), Some(self.time_of_control(name, reply)?)),
            CatchAll::No(proof) => (encoding::PROOFS.word(proof), None),
            CatchAll::Unclear => (Some(encoding::CATCH_ALL_UNCLEAR), None),
            CatchAll::Failed(obstacle) => {
                (Some(encoding::CONTROL_FAILED), Some(self.write_obstacle(obstacle)?))
            }
            CatchAll::NotTested => (None, None),
        };
        let obstacle = mailbox.obstacle.as_ref().map(|obstacle| self.write_obstacle(obstacle)).transpose()?;
        let accepted = verdict.checked.filter(|_| verdict.reason == Cause::Accepted.into());
        let row = params![
            name,
            local,
            run,
            catch_all,
            control,
            encoding::POSITIVE_CONTROLS.word(&mailbox.positive_control),
            obstacle,
            mailbox.unprobed.map(NotProbedReason::word),
            encoding::retry_at(mailbox.unprobed, now).map(millis),
            verdict.reason.word(),
            verdict.checked.map(millis),
            verdict.expires.map(millis),
            accepted.map(millis),
        ];
        let mut insert = self.db.prepare_cached(
            "INSERT OR IGNORE INTO result
                 (domain, local, run, catch_all, catch_all_evidence, positive_control, obstacle,
                  not_probed_because, retry_at, reason, checked, expires, last_accepted)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        if insert.execute(row)? == 0 && !is_nothing_known(mailbox) {
            self.before_overwrite(name, local)?;
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
            delete.execute(params![run, name, id.0])?;
        }
        Ok(())
    }

    /// The time under which the reply to a random recipient is stored: a little later than its own if others came in the
    /// same millisecond.
    fn time_of_control(&self, domain: NameHash, reply: &Attempt) -> Result<i64, StateError> {
        const LATEST: i64 = 1_000;
        let at = millis(reply.at);
        let mut find = self.db.prepare_cached(
            "SELECT at FROM reply WHERE domain = ? AND kind = 1 AND mx_host = ? AND code = ? AND at BETWEEN ? AND ?
             ORDER BY at LIMIT 1",
        )?;
        let mx_host = NameHash::of(reply.mx_host.as_str());
        let code = reply.classified.reply.code;
        let stored = find.query_row(params![domain, mx_host, code, at, at + LATEST], |row| row.get(0));
        Ok(stored.optional()?.unwrap_or(at))
    }

    /// True if each attempt of a result is among the written replies of its run.
    fn has_replies(
        &self,
        run: RunId,
        domain: NameHash,
        local: &str,
        mailbox: &MailboxEvidence,
    ) -> Result<bool, StateError> {
        let mut count = self.db.prepare_cached(
            "SELECT count(*) FROM reply WHERE domain = ? AND kind = 0 AND local = ? AND run = ?",
        )?;
        let written: usize = count.query_row(params![domain, local, run], |row| row.get(0))?;
        Ok(written >= mailbox.attempts.len())
    }

    /// Replaces the stored verdict on a recipient.
    pub(crate) fn update_verdict(
        &mut self,
        VerdictUpdate { domain, local, verdict }: &VerdictUpdate,
    ) -> Result<(), StateError> {
        self.begin_writing()?;
        self.before_overwrite(*domain, local)?;
        let mut update = self.db.prepare_cached(
            "UPDATE result SET reason = ?, checked = ?, expires = ? WHERE domain = ? AND local = ?",
        )?;
        let (checked, expires) = (verdict.checked.map(millis), verdict.expires.map(millis));
        update.execute(params![verdict.reason.word(), checked, expires, domain, local])?;
        Ok(())
    }

    /// Must be called before a result is overwritten: a finished run that used it is no longer known to be fresh.
    fn before_overwrite(&self, domain: NameHash, local: &str) -> Result<(), StateError> {
        if self.finished_runs_expired.get() {
            return Ok(());
        }
        let mut find = self.db.prepare_cached(
            "SELECT 1 FROM result WHERE domain = ? AND local = ? AND expires IS NOT NULL
             AND run IN (SELECT id FROM run WHERE facts_published)",
        )?;
        if find.exists(params![domain, local])? {
            self.expire_finished_runs()?;
        }
        Ok(())
    }

    /// Writes an obstacle and returns its `id`. Recipients one after the other that share one share the row.
    fn write_obstacle(&mut self, obstacle: &Arc<Obstacle>) -> Result<i64, StateError> {
        if let Some((_, id)) = self.written.obstacle.as_ref().filter(|(last, _)| last == obstacle) {
            return Ok(*id);
        }
        let mx_host = self.write_name(obstacle.mx_host.as_str())?;
        let (finding, reply) = match &obstacle.kind {
            ObstacleKind::NoReply(finding) => (Some(Finding::word(*finding)), None),
            ObstacleKind::Rejected(classified) => {
                let none = encoding::NO_ADDRESS;
                (None, Some(self.encode_reply(classified, none, none)?))
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
            reply.as_ref().map(|reply| reply.template),
            reply.as_ref().and_then(|reply| reply.parts.as_deref()),
        ])?;
        drop(insert);
        self.written.obstacle = Some((obstacle.clone(), id));
        Ok(id)
    }

    /// Encodes a reply, and writes its template.
    fn encode_reply(
        &mut self,
        ClassifiedReply { stage, reply, .. }: &ClassifiedReply,
        local: &str,
        address: &str,
    ) -> Result<EncodedReply, StateError> {
        let (text, parts) = encoding::split_reply(&reply.lines, local, address);
        let template = NameHash::of(&text);
        if remember(&mut self.written.templates, template) {
            let mut insert = self
                .db
                .prepare_cached("INSERT OR IGNORE INTO reply_template (id, template) VALUES (?, ?)")?;
            insert.execute(params![template, text])?;
        }
        Ok(EncodedReply { stage: stage.word(), code: reply.code, template, parts })
    }
}

/// True if a run ended before anything became known about a recipient: what an earlier run knows stays.
fn is_nothing_known(mailbox: &MailboxEvidence) -> bool {
    mailbox.unprobed == Some(NotProbedReason::Deadline)
        && mailbox.attempts.is_empty()
        && mailbox.obstacle.is_none()
        && mailbox.catch_all == CatchAll::NotTested
}

/// True if a reply shows that the MX host serves the domain: an acceptance or a clear rejection of the recipient.
fn shows_service(classified: &ClassifiedReply) -> bool {
    let meaning = &classified.meaning;
    let is_about_mailbox = meaning.cause == Cause::Accepted || meaning.cause.fault() == Fault::Mailbox;
    is_about_mailbox && meaning.confidence == Confidence::Confirmed
}
