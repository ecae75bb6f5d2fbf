//! Rejections in a session: a server that turns rejects every recipient from some moment on, in whatever words.
//!
//! Decides: at providers whose data do not rule that out, whether a rejection counts. An acceptance later in the same
//! session confirms it, and mostly comes by itself. A session that would end without one probes a recipient that the MX
//! host accepted before. If the server rejects it, all rejections since the last acceptance are revoked, and their
//! recipients are probed again in sessions that end before so many probes. A session that ends without the control
//! revokes them as well. Where the MX host never accepted a recipient, no control is possible, and they stay, unless
//! `postmaster` may be probed (`postmaster`).

use super::session_results::HeldRejection;
use crate::address::Address;
use crate::evidence::{ClassifiedReply, ObstacleKind, RecipientKind};
use crate::reason::{Cause, Fault, Verdict};
use crate::schedule::action::{Action, ProviderEventKind};
use crate::schedule::endpoint::Endpoint;
use crate::schedule::in_flight::InFlightProbe;
use crate::schedule::limits::{EndpointId, LaneId, SessionId};
use crate::schedule::scheduler::Scheduler;
use crate::smtp::Stage;

impl Scheduler {
    /// Holds the rejection of a listed recipient, which is applied to its task, until it is settled.
    pub(in crate::schedule) fn hold_rejection(
        &mut self,
        id: SessionId,
        probe: InFlightProbe,
        classified: &ClassifiedReply,
    ) {
        let RecipientKind::Listed(position) = probe.kind else {
            return;
        };
        let Some(session) = self.sessions.get_mut(&id).filter(|session| session.may_turn) else {
            return;
        };
        if may_condemn(classified)
            && let Some(task) = self.tasks[probe.task].as_mut()
            && task.domain_probe.hold_rejection(position)
        {
            let rejection = HeldRejection { task: probe.task, position, classified: classified.clone() };
            session.provisional.hold_rejection(rejection);
        }
    }

    /// Settles the rejections of a session in which a recipient was accepted now.
    pub(in crate::schedule) fn on_accepted(&mut self, id: SessionId, address: Address) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.has_positive_control = true;
        let replies = session.replies;
        session.provisional.note_accepted(address.clone(), replies);
        self.endpoints[session.endpoint].accepted = Some(address);
        self.settle_rejections(id, true);
    }

    /// A recipient that the server at the address of an endpoint accepted before, from whatever egress.
    pub(in crate::schedule) fn accepted_at(&self, endpoint: EndpointId) -> Option<&Address> {
        let Endpoint { lane, address, .. } = &self.endpoints[endpoint];
        let lanes = &self.providers[self.lanes[*lane].provider_id].lanes;
        let endpoints = lanes.iter().filter_map(|&lane| self.lanes[lane].endpoints.get(address));
        std::iter::once(&endpoint).chain(endpoints).find_map(|&id| self.endpoints[id].accepted.as_ref())
    }

    pub(super) fn settle_rejections(&mut self, id: SessionId, is_confirmed: bool) {
        for HeldRejection { task: task_id, position, .. } in self.take_rejections(id) {
            if let Some(task) = self.tasks[task_id].as_mut() {
                task.domain_probe.settle_rejection(position, is_confirmed);
            }
            self.advance(task_id);
        }
    }

    /// Revokes the rejections of a session since its last acceptance. `has_turned`: it rejected their control as well.
    /// Returns their number.
    fn revoke_rejections(&mut self, id: SessionId, has_turned: bool) -> usize {
        let (now, rejections) = (self.now, self.take_rejections(id));
        for HeldRejection { task: task_id, position, classified } in &rejections {
            if let Some(task) = self.tasks[*task_id].as_mut() {
                let kind = RecipientKind::Listed(*position);
                let address = task.domain_probe.address_of(kind).map(std::borrow::Cow::into_owned);
                self.actions.extend(address.map(Action::Revoked));
                let why = ObstacleKind::Rejected(Box::new(classified.clone()));
                task.domain_probe.revoke_rejection(*position, why, has_turned, now);
            }
            self.advance(*task_id);
        }
        rejections.len()
    }

    fn take_rejections(&mut self, id: SessionId) -> Vec<HeldRejection> {
        self.sessions.get_mut(&id).map(|session| session.provisional.take_rejections()).unwrap_or_default()
    }

    /// Settles what a session still holds that ends: acceptances and rejections without a control after them are
    /// revoked, unless no control of the rejections is possible because the MX host never accepted a recipient.
    pub(in crate::schedule) fn settle_session(&mut self, id: SessionId) {
        self.revoke_acceptances(id);
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        if self.accepted_at(session.endpoint).is_some() {
            self.revoke_rejections(id, false);
        } else {
            self.settle_rejections(id, false);
        }
    }

    /// Handles the reply to a closing control that confirms rejections.
    pub(super) fn on_positive_closing_control(
        &mut self,
        id: SessionId,
        lane_id: LaneId,
        classified: &ClassifiedReply,
    ) {
        if classified.reply.is_positive() {
            return self.settle_rejections(id, true);
        }
        let cause = classified.meaning.cause;
        let has_turned = classified.stage == Stage::Rcpt
            && classified.reply.is_permanent()
            && (cause == Cause::Ambiguous || cause.fault() == Fault::Mailbox);
        if has_turned {
            self.invalidate_session_controls(id, classified);
        }
        let revoked = self.revoke_rejections(id, has_turned);
        self.report_event(ProviderEventKind::ResultsRevoked, lane_id, revoked);
        let Some(session) = self.sessions.get_mut(&id).filter(|_| has_turned) else {
            return;
        };
        session.session_limits.rejections = 0;
        let (endpoint, good) = (session.endpoint, session.provisional.replies_at_acceptance());
        if good > 0 {
            self.lanes[lane_id].pace.limit_probes(good);
        } else {
            // It rejects every recipient from the first one on, so a shorter session does not help.
            self.on_turned_endpoint(endpoint, classified);
        }
    }

    /// Makes the domains of the held rejections forget what random recipients showed that were rejected with them.
    fn invalidate_session_controls(&mut self, id: SessionId, classified: &ClassifiedReply) {
        let (now, why) = (self.now, ObstacleKind::Rejected(Box::new(classified.clone())));
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        for task_id in session.provisional.tasks_of_rejections() {
            if let Some(task) = self.tasks[task_id].as_mut()
                && let Some(mx_host) = task.domain_probe.mx_host().cloned()
            {
                task.domain_probe.invalidate_control(&mx_host, &why, now);
            }
        }
    }
}

/// True if the reply may make its recipient undeliverable or risky.
fn may_condemn(classified: &ClassifiedReply) -> bool {
    let meaning = &classified.meaning;
    let is_undecided = meaning.cause == Cause::Ambiguous && meaning.if_about_mailbox.is_some();
    classified.reply.is_permanent()
        && (is_undecided || matches!(meaning.cause.verdict(), Verdict::Undeliverable | Verdict::Risky))
        && classified.stage == Stage::Rcpt
}
