//! The next MX host, and the results of the recipients.
//!
//! Decides: which facts and recipients go on to the next MX host, and when the result of a recipient is final.

use std::sync::Arc;

use super::mx_host_state::{ControlState, MxHostState};
use super::{DomainProbe, RecipientProbe, RecipientState};
use crate::address::{Address, Domain};
use crate::evidence::{
    Attempt, CatchAll, DomainFacts, NotCatchAllProof, NotProbedReason, Obstacle, ObstacleKind,
    PositiveControl, ProbeResult, Timestamp,
};
use crate::reason::{Cause, Verdict};

impl DomainProbe {
    /// Goes on to the next MX host with the recipients that need it.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        self.finalize_mx();
        self.leave_mx();
        self.mx_hosts.pop_front();
        self.undecided.clear();
        self.needs_next_mx = 0;
        self.enter_mx(now);
    }

    /// Starts at the front MX host, with the facts about it and with its earlier replies to the open recipients.
    pub(super) fn enter_mx(&mut self, now: Timestamp) {
        let facts = self.mx_hosts.front().and_then(|mx_host| self.facts.take(mx_host));
        self.here = facts.map_or_else(MxHostState::default, |facts| MxHostState::of(facts, now));
        for (index, recipient) in (0..).zip(&mut self.recipients) {
            if recipient.state == RecipientState::NeedsNextMx {
                recipient.state = RecipientState::Open;
                (recipient.drops, recipient.uncontrolled) = (0, 0);
                self.ready.push_back(index);
            }
        }
        let accepts_any = matches!(self.here.catch_all, CatchAll::Yes(_));
        for index in std::mem::take(&mut self.ready) {
            if accepts_any {
                self.recipients[index as usize].state = RecipientState::Closed;
            } else if self.was_probed_here(index) {
                self.apply_reply(index, RecipientState::Accepted, now);
                self.reopen(index);
                self.note_unproven(index);
            } else {
                self.ready.push_back(index);
            }
        }
    }

    fn was_probed_here(&self, index: u32) -> bool {
        let mailbox = self.recipients[index as usize].mailbox.as_deref();
        let mut attempts = mailbox.into_iter().flat_map(|mailbox| &mailbox.attempts);
        attempts.any(|attempt| Some(&attempt.mx_host) == self.mx_hosts.front())
    }

    /// Reopens a recipient that an earlier run closed after too many deferrals: each run probes it again.
    fn reopen(&mut self, index: u32) {
        let recipient = &mut self.recipients[index as usize];
        let last = recipient.mailbox.as_deref().and_then(|mailbox| mailbox.attempts.last());
        let is_open = last.is_some_and(|last| last.classified.meaning.cause.verdict() == Verdict::Unknown);
        if recipient.state == RecipientState::Closed && is_open {
            recipient.state = RecipientState::Open;
            self.completed.retain(|completed| *completed != index);
            self.ready.push_back(index);
        }
    }

    /// Leaves the current MX host and keeps the facts about it.
    fn leave_mx(&mut self) {
        if let Some(mx_host) = self.mx_hosts.front() {
            debug_assert!(self.facts.mx_hosts.iter().all(|host| host.mx_host != *mx_host), "facts twice");
            self.facts.mx_hosts.push(self.here.facts(mx_host.clone()));
        }
    }

    /// What is known about the domain by now.
    pub(crate) fn facts(&self) -> DomainFacts {
        let mut facts = self.facts.clone();
        facts.mx_hosts.extend(self.mx_hosts.front().map(|mx_host| self.here.facts(mx_host.clone())));
        facts
    }

    /// True if it is known whether the current MX host accepts any recipient, or that controls can't show it.
    pub(crate) fn is_catch_all_known(&self) -> bool {
        self.here.catch_all.is_known()
    }

    /// Removes and returns a recipient that was accepted earlier in the run. Only the first MX host gets it.
    pub(crate) fn take_accepted(&mut self) -> Option<Address> {
        self.facts.accepted.take()
    }

    /// True if the current MX host clearly rejected a recipient of the domain, perhaps a random one in an earlier run.
    pub(crate) fn has_clear_rejection(&self) -> bool {
        self.here.catch_all == CatchAll::No(NotCatchAllProof::Control) || self.here.clear_rejections > 0
    }

    /// Drops what rejections by this MX host proved: it was rejecting us, which is no fact about the domain.
    /// The control is probed again, but given up the second time.
    pub(crate) fn invalidate_control(&mut self, mx_host: &Domain, why: &ObstacleKind, now: Timestamp) {
        if self.mx_hosts.front() != Some(mx_host) {
            self.facts.take(mx_host);
            return;
        }
        self.here.clear_rejections = 0;
        if matches!(self.here.catch_all, CatchAll::No(_)) || self.here.rejected_unclearly {
            (self.here.catch_all, self.here.rejected_unclearly) = (CatchAll::NotTested, false);
            self.here.revoked_controls += 1;
            if self.here.revoked_controls >= self.retry_policy.tries().revoked_controls {
                let (mx_host, kind) = (mx_host.clone(), why.clone());
                self.here.catch_all = CatchAll::Failed(Arc::new(Obstacle { mx_host, at: now.wall, kind }));
                self.here.stop_controls();
            } else if !self.here.controls_stopped {
                (self.here.random_recipient, self.here.control_tries) = (None, 0);
                self.here.control_state = ControlState::NotSent;
            }
        }
    }

    /// What is proven by now about the current MX host: by the control, or by rejections of listed recipients.
    fn catch_all_result(&self) -> CatchAll {
        // An accepted random recipient outweighs clear rejections: the server contradicts itself.
        if self.is_proven() && !matches!(self.here.catch_all, CatchAll::No(_) | CatchAll::Yes(_)) {
            CatchAll::No(NotCatchAllProof::Listed)
        } else {
            self.here.catch_all.clone()
        }
    }

    /// Removes and returns the results that no later reply of this domain can change.
    pub(crate) fn take_final(&mut self) -> Vec<ProbeResult> {
        // What is proven may rest on a rejection that is revoked later.
        if self.completed.is_empty() || !self.is_proven() || self.unsettled > 0 {
            return Vec::new();
        }
        let catch_all_result = self.catch_all_result();
        let rejected_unclearly = self.here.rejected_unclearly;
        let mut taken = Vec::with_capacity(self.completed.len());
        for index in std::mem::take(&mut self.completed) {
            let recipient = &mut self.recipients[index as usize];
            if recipient.state == RecipientState::Accepted {
                recipient.mailbox().catch_all = catch_all_result.clone();
            }
            if rejected_unclearly {
                mark_rejected_by_policy(recipient);
            }
            if matches!(recipient.state, RecipientState::Accepted | RecipientState::Closed) {
                taken.push(recipient.take());
            }
        }
        taken
    }

    /// Removes and returns the results that no later MX host can change.
    pub(crate) fn take_closed(&mut self) -> Vec<ProbeResult> {
        let mut taken = Vec::new();
        for recipient in &mut self.recipients {
            if recipient.state == RecipientState::Closed {
                if recipient.mailbox().obstacle.is_none() {
                    recipient.mailbox().obstacle.clone_from(&self.obstacle);
                }
                taken.push(recipient.take());
            }
        }
        taken
    }

    /// Writes what is known about the current MX host to the recipients that it answered.
    fn finalize_mx(&mut self) {
        let catch_all_result = match (self.catch_all_result(), &self.obstacle) {
            // The MX host failed while the reply that accepted was in flight.
            (CatchAll::NotTested, Some(obstacle)) if self.here.accepted > 0 => {
                CatchAll::Failed(obstacle.clone())
            }
            (catch_all_result, _) => catch_all_result,
        };
        let positive_control = self.here.positive_control.clone();
        let accepts_any = matches!(catch_all_result, CatchAll::Yes(_));
        let mx_host = self.mx_hosts.front();
        let rejected_unclearly = self.here.rejected_unclearly;
        for recipient in &mut self.recipients {
            if rejected_unclearly {
                mark_rejected_by_policy(recipient);
            }
            match recipient.state {
                RecipientState::Accepted => {
                    recipient.mailbox().catch_all = catch_all_result.clone();
                    recipient.state = RecipientState::Closed;
                }
                RecipientState::Undecided => {
                    recipient.mailbox().positive_control = positive_control.clone();
                    recipient.state = RecipientState::Closed;
                }
                RecipientState::Closed if accepts_any => {
                    let last = recipient.mailbox.as_deref().and_then(|mailbox| mailbox.attempts.last());
                    if last.is_none_or(|last| Some(&last.mx_host) == mx_host) {
                        let mailbox = recipient.mailbox();
                        mailbox.catch_all = catch_all_result.clone();
                        // A server that accepts any recipient did not reject because of the mailbox.
                        mailbox.positive_control = PositiveControl::NotSent;
                    }
                }
                _ => {}
            }
        }
    }

    /// Ends the domain probe. Returns the facts about the domain and all results that were not taken yet; a recipient that was not
    /// probed completely gets the reason `unprobed`.
    pub(crate) fn finish(&mut self, unprobed: Option<NotProbedReason>) -> (DomainFacts, Vec<ProbeResult>) {
        self.finalize_mx();
        self.leave_mx();
        let remaining =
            self.recipients.iter_mut().filter(|recipient| recipient.state != RecipientState::Emitted);
        let results = remaining.map(|recipient| {
            let is_open = !matches!(recipient.state, RecipientState::Closed | RecipientState::NeedsNextMx);
            let mut result = recipient.take();
            let mailbox = &mut result.mailbox;
            if mailbox.obstacle.is_none() {
                mailbox.obstacle.clone_from(&self.obstacle);
            }
            let lacks_control =
                mailbox.catch_all == CatchAll::NotTested && mailbox.attempts.iter().any(is_acceptance);
            if is_open || lacks_control {
                mailbox.unprobed = mailbox.unprobed.or(unprobed);
            }
            result
        });
        (std::mem::take(&mut self.facts), results.collect())
    }
}

impl RecipientProbe {
    /// Removes and returns the result.
    fn take(&mut self) -> ProbeResult {
        self.state = RecipientState::Emitted;
        ProbeResult {
            id: self.id,
            address: self.address.clone(),
            was_deliverable: self.was_deliverable,
            mailbox: self.mailbox.take().unwrap_or_default(),
        }
    }
}

fn is_acceptance(attempt: &Attempt) -> bool {
    attempt.classified.meaning.cause == Cause::Accepted
}

/// Records that the random recipient was rejected unclearly as well, where a policy rejected the recipient: so an unknown mailbox
/// gets such a reply, too, and it does not show that this one exists.
fn mark_rejected_by_policy(recipient: &mut RecipientProbe) {
    let last = recipient.mailbox.as_deref().and_then(|mailbox| mailbox.attempts.last());
    let by_policy = last.is_some_and(|last| {
        let meaning = &last.classified.meaning;
        [Some(meaning.cause), meaning.if_about_mailbox].contains(&Some(Cause::RecipientPolicy))
    });
    if by_policy && recipient.state != RecipientState::Accepted {
        recipient.mailbox().catch_all = CatchAll::No(NotCatchAllProof::UnclearControl);
    }
}
