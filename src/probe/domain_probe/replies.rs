//! What a reply changes: to a listed recipient, to the random recipient, to a positive control.
//!
//! Decides: whether a recipient is completed, probed again, or left to another MX host, and what a control proves.

use std::sync::Arc;

use super::mx_host_state::ControlState;
use super::{DomainProbe, RecipientState};
use crate::address::Domain;
use crate::evidence::{
    self, Attempt, CatchAll, ClassifiedReply, ControlOutcome, Deferral, NotCatchAllProof, Obstacle,
    ObstacleKind, PositiveControl, RecipientKind, Timestamp,
};
use crate::policy::comparable_text;
use crate::probe::retry_time::{due, waited};
use crate::reason::{Cause, Confidence, Finding, Verdict};

impl DomainProbe {
    /// Applies the reply to a probe that [`DomainProbe::next_probes`] returned.
    pub(crate) fn on_reply(&mut self, kind: RecipientKind, classified: ClassifiedReply, now: Timestamp) {
        self.in_flight -= 1;
        match kind {
            RecipientKind::Listed(index) => {
                self.on_recipient_reply(index, classified, RecipientState::Accepted, now);
            }
            RecipientKind::Random => self.on_control_reply(classified, now),
            RecipientKind::Recheck(_) | RecipientKind::Postmaster => {
                self.on_positive_control(kind, &classified);
            }
        }
    }

    /// Puts a probe without a reply back into the queue: it counts as not sent.
    pub(crate) fn on_unanswered(&mut self, kind: RecipientKind) {
        self.in_flight -= 1;
        match kind {
            RecipientKind::Listed(index) if matches!(self.here.catch_all, CatchAll::Yes(_)) => {
                self.recipients[index as usize].state = RecipientState::Closed;
            }
            // To the end of the queue: if this probe ended the session, it does not end the next one before the others are sent.
            RecipientKind::Listed(index) => self.ready.push_back(index),
            RecipientKind::Random => self.here.control_state = ControlState::NotSent,
            RecipientKind::Recheck(_) => {}
            RecipientKind::Postmaster => self.facts.postmaster_was_probed = false,
        }
    }

    /// Like [`DomainProbe::on_reply`] for a listed recipient, where the server may accept any recipient by now: an acceptance
    /// counts only after [`DomainProbe::confirm`].
    pub(crate) fn on_unconfirmed_acceptance(
        &mut self,
        index: u32,
        classified: ClassifiedReply,
        now: Timestamp,
    ) {
        self.in_flight -= 1;
        self.on_recipient_reply(index, classified, RecipientState::Unconfirmed, now);
    }

    /// Confirms an unconfirmed acceptance.
    pub(crate) fn confirm(&mut self, index: u32) {
        let recipient = &mut self.recipients[index as usize];
        if recipient.state == RecipientState::Unconfirmed {
            recipient.state = RecipientState::Accepted;
            self.unconfirmed -= 1;
            self.completed.push(index);
            self.on_acceptance(index);
        }
    }

    /// Revokes an unconfirmed acceptance: its reply is dropped, and the recipient is probed again.
    pub(crate) fn revoke(&mut self, index: u32, now: Timestamp) {
        let recipient = &mut self.recipients[index as usize];
        if recipient.state != RecipientState::Unconfirmed {
            return;
        }
        self.unconfirmed -= 1;
        self.here.accepted -= 1;
        let revoked = recipient.mailbox().attempts.pop();
        self.in_flight += 1;
        recipient.state = RecipientState::Open;
        let why = revoked.map_or(ObstacleKind::NoReply(Finding::Disconnected), |attempt| {
            ObstacleKind::Rejected(Box::new(attempt.classified))
        });
        self.on_connection_lost(RecipientKind::Listed(index), why, now);
    }

    /// Notes an acceptance. The server accepts mail, so its ambiguous rejections so far were about their mailboxes.
    fn on_acceptance(&mut self, index: u32) {
        self.here.last_accepted = Some(index);
        self.reopen_unproven();
        self.confirm_undecided();
    }

    /// Completes the recipients that were rejected with an ambiguous text, as rejected because of their mailboxes.
    fn confirm_undecided(&mut self) {
        for index in std::mem::take(&mut self.undecided) {
            let recipient = &mut self.recipients[index as usize];
            recipient.state = RecipientState::Closed;
            recipient.mailbox().positive_control = PositiveControl::Accepted;
            self.completed.push(index);
        }
    }

    /// The session ended while this was its oldest open probe, so the probe may be the cause. Returns true if the probe is
    /// given up at this MX host, because it has ended two sessions.
    pub(crate) fn on_connection_lost(
        &mut self,
        kind: RecipientKind,
        why: ObstacleKind,
        now: Timestamp,
    ) -> bool {
        let drops = match kind {
            RecipientKind::Listed(index) => &mut self.recipients[index as usize].drops,
            RecipientKind::Recheck(_) | RecipientKind::Random | RecipientKind::Postmaster => {
                &mut self.here.control_drops
            }
        };
        *drops = drops.saturating_add(1);
        let is_last = *drops >= self.retry_policy.tries().drops;
        let Some(mx_host) = self.mx_hosts.front().cloned().filter(|_| is_last) else {
            self.on_unanswered(kind);
            return false;
        };
        self.in_flight -= 1;
        let obstacle = Arc::new(Obstacle { mx_host, at: now.wall, kind: why });
        match kind {
            RecipientKind::Listed(index) => {
                let recipient = &mut self.recipients[index as usize];
                recipient.state = RecipientState::NeedsNextMx;
                recipient.mailbox().obstacle = Some(obstacle);
                self.needs_next_mx += 1;
            }
            RecipientKind::Random => self.finish_control(CatchAll::Failed(obstacle)),
            RecipientKind::Recheck(_) | RecipientKind::Postmaster => {
                self.here.positive_control = PositiveControl::Inconclusive;
            }
        }
        true
    }

    /// Adds a reply to a listed recipient; `if_accepted` is its state if the reply accepts it.
    fn on_recipient_reply(
        &mut self,
        index: u32,
        classified: ClassifiedReply,
        if_accepted: RecipientState,
        now: Timestamp,
    ) {
        if let Some(mx_host) = self.mx_hosts.front().cloned() {
            let recipient = &mut self.recipients[index as usize];
            let attempts = &mut recipient.mailbox().attempts;
            // Most recipients get one reply only, and there are many recipients.
            attempts.reserve_exact(1);
            attempts.push(Attempt { mx_host, at: now.wall, classified });
            self.apply_reply(index, if_accepted, now);
        }
    }

    /// Applies the newest reply of the current MX host to a listed recipient; `if_accepted` is its state if the reply accepts it.
    pub(super) fn apply_reply(&mut self, index: u32, if_accepted: RecipientState, now: Timestamp) {
        let recipient = &mut self.recipients[index as usize];
        let attempts = recipient.mailbox.as_deref().map_or(&[][..], |mailbox| &mailbox.attempts);
        let here = self.mx_hosts.front();
        let mut attempts = attempts.iter().filter(|attempt| Some(&attempt.mx_host) == here);
        let tries = attempts.clone().count();
        let (first, Some(Attempt { at, classified: ClassifiedReply { reply, meaning, .. }, .. })) =
            (attempts.clone().next(), attempts.next_back())
        else {
            return;
        };
        let cause = meaning.cause;
        recipient.state = match cause {
            // 252 as well: whether a random recipient gets it, too, shows whether the domain is a catch-all.
            _ if reply.is_positive() => {
                self.here.accepted += 1;
                self.unconfirmed += u32::from(if_accepted == RecipientState::Unconfirmed);
                if_accepted
            }
            Cause::Ambiguous if reply.is_permanent() && meaning.if_about_mailbox.is_some() => {
                self.undecided.push(index);
                RecipientState::Undecided
            }
            Cause::RelayDenied | Cause::SenderBlocked | Cause::DomainNoMail => {
                self.needs_next_mx += 1;
                RecipientState::NeedsNextMx
            }
            Cause::MailboxUnknown if meaning.confidence == Confidence::Confirmed => {
                self.here.clear_rejections += 1;
                RecipientState::Closed
            }
            cause if cause.verdict() == Verdict::Unknown && !reply.is_permanent() => {
                self.here.deferrals += 1;
                let waited = waited(first.map_or(*at, |first| first.at), now);
                let wait = self.retry_policy.retry_after(cause, tries, meaning.retry_in, waited);
                match wait.filter(|_| !matches!(self.here.catch_all, CatchAll::Yes(_))) {
                    Some(wait) => {
                        self.waiting.insert((due(*at, wait, now), index));
                        RecipientState::Waiting
                    }
                    None => RecipientState::Closed,
                }
            }
            // Probed again over TLS, which the scheduler turns on.
            Cause::TlsRequired if tries < self.retry_policy.tries().tls => {
                self.ready.push_back(index);
                RecipientState::Open
            }
            _ => RecipientState::Closed,
        };
        match recipient.state {
            RecipientState::Accepted => {
                self.completed.push(index);
                if cause == Cause::Accepted {
                    self.on_acceptance(index);
                }
            }
            RecipientState::Closed => self.completed.push(index),
            _ => {}
        }
        if self.here.accepted > 0 && self.here.rejected_unclearly {
            self.finish_control(CatchAll::No(NotCatchAllProof::UnclearControl));
        }
    }

    /// Applies a reply to the random recipient.
    fn on_control_reply(&mut self, classified: ClassifiedReply, now: Timestamp) {
        let Some(mx_host) = self.mx_hosts.front().cloned() else {
            return;
        };
        self.here.control_tries += 1;
        match evidence::interpret_control(&classified) {
            ControlOutcome::Accepted => {
                let attempt = Attempt { mx_host, at: now.wall, classified };
                self.finish_control(CatchAll::Yes(Arc::new(attempt)));
            }
            ControlOutcome::Rejected => self.finish_control(CatchAll::No(NotCatchAllProof::Control)),
            ControlOutcome::RejectedUnclearly => {
                self.here.rejected_unclearly = true;
                self.here.control_state = ControlState::Done;
                if self.here.accepted > 0 {
                    self.finish_control(CatchAll::No(NotCatchAllProof::UnclearControl));
                }
            }
            ControlOutcome::Unclear => {
                self.here.unclear_replies += 1;
                if self.here.unclear_replies < self.retry_policy.tries().unclear_controls {
                    self.here.control_state = ControlState::NotSent;
                } else {
                    self.finish_control(CatchAll::Unclear);
                }
            }
            ControlOutcome::Failed => self.on_control_failure(mx_host, classified, now),
        }
    }

    /// The reply to the random recipient shows nothing about the domain; it is probed again where a wait may help.
    fn on_control_failure(&mut self, mx_host: Domain, classified: ClassifiedReply, now: Timestamp) {
        let ClassifiedReply { reply, meaning, .. } = &classified;
        let since = self.here.deferral.map_or(now.wall, |deferral| deferral.since);
        let tries = self.here.control_tries;
        let wait = self.retry_policy.retry_after(meaning.cause, tries, meaning.retry_in, waited(since, now));
        match wait.filter(|_| !reply.is_permanent()) {
            Some(wait) => {
                self.here.deferral = Some(Deferral { times: tries, since, until: now.wall + wait });
                self.here.control_state = ControlState::Waiting(now.elapsed + wait);
            }
            None if meaning.cause == Cause::TlsRequired && tries < self.retry_policy.tries().tls => {
                self.here.control_state = ControlState::NotSent;
            }
            None => {
                let kind = ObstacleKind::Rejected(Box::new(classified));
                let obstacle = Obstacle { mx_host, at: now.wall, kind };
                self.finish_control(CatchAll::Failed(Arc::new(obstacle)));
            }
        }
    }

    /// Ends the control. At a catch-all domain no further recipient needs a probe.
    fn finish_control(&mut self, outcome: CatchAll) {
        self.here.control_state = ControlState::Done;
        if matches!(outcome, CatchAll::Yes(_)) {
            let deferred = std::mem::take(&mut self.waiting).into_iter().map(|(_, index)| index);
            for index in std::mem::take(&mut self.ready).into_iter().chain(deferred) {
                self.recipients[index as usize].state = RecipientState::Closed;
            }
        }
        self.here.catch_all = outcome;
    }

    /// Applies the reply to a positive control. An acceptance shows that the ambiguous rejections were about their mailboxes.
    fn on_positive_control(&mut self, kind: RecipientKind, classified: &ClassifiedReply) {
        if classified.reply.is_positive() {
            if kind == RecipientKind::Postmaster {
                self.here.positive_control = PositiveControl::Accepted;
            }
            self.reopen_unproven();
            return self.confirm_undecided();
        }
        let name = match kind {
            RecipientKind::Recheck(index) | RecipientKind::Listed(index) => {
                self.recipients[index as usize].address.local()
            }
            RecipientKind::Random | RecipientKind::Postmaster => "postmaster",
        };
        let text = comparable_text(&classified.reply, name);
        let same = self.undecided.iter().any(|index| {
            let recipient = &self.recipients[*index as usize];
            let rejection = recipient.mailbox.as_deref().and_then(|mailbox| mailbox.attempts.last());
            rejection.is_some_and(|attempt| {
                comparable_text(&attempt.classified.reply, recipient.address.local()) == text
            })
        });
        self.here.positive_control =
            if same { PositiveControl::SameText } else { PositiveControl::Inconclusive };
    }

    /// The current MX host can't take this probe: it lacks SMTPUTF8, for example.
    pub(crate) fn on_unsupported(&mut self, kind: RecipientKind, why: ObstacleKind, now: Timestamp) {
        self.in_flight -= 1;
        let (RecipientKind::Listed(index), Some(mx_host)) = (kind, self.mx_hosts.front().cloned()) else {
            return;
        };
        let recipient = &mut self.recipients[index as usize];
        recipient.state = RecipientState::Closed;
        recipient.mailbox().obstacle = Some(Arc::new(Obstacle { mx_host, at: now.wall, kind: why }));
    }
}
