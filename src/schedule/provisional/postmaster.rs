//! `postmaster` at rejections that stand alone (`--confirm`): in a session that would end with clear rejections, at an MX host
//! that never accepted a recipient, the mailbox that every domain must have is probed (RFC 5321 4.5.1).
//!
//! Decides: of which domain, and what the reply confirms. Accepted, it confirms the rejections before it in the session, as
//! any acceptance does, and later sessions have a recipient for their closing control. Any other reply changes nothing: the
//! rejections stay unproven, and a rejected `postmaster` says nothing about any recipient. It is a probe like any other: the limits
//! of the session, of unknown recipients and of the pace hold, and it is probed once per domain and run.

use super::session_results::HeldRejection;
use crate::evidence::{ClassifiedReply, RecipientKind};
use crate::reason::{Cause, Confidence, Verdict};
use crate::schedule::action::Action;
use crate::schedule::in_flight::InFlightProbe;
use crate::schedule::limits::{DomainTaskId, LaneId, SessionId};
use crate::schedule::scheduler::Scheduler;
use crate::smtp::ProbeId;

impl Scheduler {
    /// The domain whose `postmaster` may confirm the rejections of a session: that of the last clear one. `None` if the run
    /// does not ask for it, or if the session has a recipient that the MX host accepted.
    pub(super) fn postmaster_domain(&self, id: SessionId) -> Option<DomainTaskId> {
        let session = self.sessions.get(&id).filter(|_| self.limits.confirm)?;
        if session.provisional.accepted().is_some() || self.accepted_at(session.endpoint).is_some() {
            return None;
        }
        let clear = session.provisional.rejections().iter().rev().filter(|rejection| is_clear(rejection));
        let mut tasks = clear.map(|rejection| rejection.task);
        tasks.find(|&task| {
            self.tasks[task].as_ref().is_some_and(|task| task.domain_probe.may_probe_postmaster())
        })
    }

    /// Handles the reply to `postmaster`.
    pub(super) fn on_postmaster(
        &mut self,
        id: SessionId,
        lane: LaneId,
        task_id: DomainTaskId,
        classified: &ClassifiedReply,
    ) {
        let kind = RecipientKind::Postmaster;
        let probe = InFlightProbe { id: ProbeId(0), task: task_id, kind, position: 0 };
        let reply = self.to_record(&probe, lane, classified).filter(|_| !classified.stage.is_before_rcpt());
        let address = reply.as_ref().map(|reply| reply.address.clone());
        self.actions.extend(reply.map(Action::Record));
        let is_accepted = classified.reply.is_positive() && classified.meaning.cause == Cause::Accepted;
        let (Some(address), Some(session)) = (address.filter(|_| is_accepted), self.sessions.get(&id)) else {
            return self.settle_rejections(id, false);
        };
        let endpoint = session.endpoint;
        if let Some(task) = self.tasks[task_id].as_mut() {
            task.domain_probe.reopen_unproven();
            self.actions.extend(task.domain_probe.take_reopened().into_iter().map(Action::Revoked));
        }
        self.on_accepted(id, address);
        self.confirm_lane(lane, endpoint);
        self.advance(task_id);
    }
}

/// True if the words of the rejection condemn its recipient.
fn is_clear(rejection: &HeldRejection) -> bool {
    let meaning = &rejection.classified.meaning;
    meaning.cause.verdict() == Verdict::Undeliverable && meaning.confidence == Confidence::Confirmed
}
