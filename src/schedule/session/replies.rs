//! Replies to probes: each goes to its task, and into the counts of its session, endpoint, lane and provider.
//!
//! Decides: which replies are about the recipient at all, which are recorded, and which rejections confirm earlier
//! acceptances.

use std::borrow::Cow;

use crate::evidence::{Attempt, ClassifiedReply, ObstacleKind, RecipientKind, RecordedReply, Tally};
use crate::probe::DomainProbe;
use crate::reason::{Cause, Confidence, Fault, Finding};
use crate::schedule::action::{Action, ProviderEventKind};
use crate::schedule::in_flight::InFlightProbe;
use crate::schedule::limits::{LaneId, SessionId};
use crate::schedule::rejection::is_about_load;
use crate::schedule::scheduler::Scheduler;
use crate::smtp::{ProbeId, Stage};

impl Scheduler {
    /// Applies the replies to a batch.
    pub(in crate::schedule) fn apply_replies(&mut self, id: SessionId) {
        let received = self.sessions.get_mut(&id).map(|session| std::mem::take(&mut session.received));
        for (probe, classified) in received.into_iter().flatten() {
            self.apply_reply(id, probe, classified);
        }
    }

    fn apply_reply(&mut self, id: SessionId, probe_id: ProbeId, classified: ClassifiedReply) {
        if self.is_closing_control(id, probe_id) {
            return self.on_closing_control(id, &classified);
        }
        let Some(probe) = self.take_in_flight(id, probe_id) else {
            return;
        };
        let InFlightProbe { task: task_id, kind, position, .. } = probe;
        let now = self.now;
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let endpoint_id = session.endpoint;
        let lane_id = self.endpoints[endpoint_id].lane;
        // The transaction has too many recipients, so this one belongs in the next transaction.
        let is_surplus = position > 0 && is_about_transaction(&classified);
        if is_surplus {
            session.rejected += 1;
            session.session_limits.recipients = session.session_limits.recipients.min(position);
            self.tighten_recipient_limit(lane_id, position);
        }
        let Some(task) = self.tasks[task_id].as_mut() else {
            return;
        };
        // A rejected MAIL and a 421 say nothing about the recipient.
        let is_about_session = classified.stage != Stage::Rcpt || classified.reply.code == 421;
        if is_surplus || is_about_session {
            task.domain_probe.on_unanswered(kind);
            if is_about_session && let Some(session) = self.sessions.get_mut(&id) {
                session.spoiled_by.get_or_insert(classified);
            }
            return self.advance(task_id);
        }
        let cause = classified.meaning.cause;
        let is_unconfirmed = self.is_unconfirmed(id, &classified);
        self.count_reply(id, &classified);
        let Some(task) = self.tasks[task_id].as_mut() else {
            return;
        };
        let lane = &mut self.lanes[lane_id];
        let is_mailbox = cause == Cause::Accepted && kind != RecipientKind::Random;
        let accepted = is_mailbox.then(|| task.domain_probe.address_of(kind).map(Cow::into_owned)).flatten();
        let tally = tally_of(&task.domain_probe, kind, &classified);
        lane.tally = lane.tally.plus(tally);
        if tally.probed > 0 && !lane.health.is_open() {
            let provider_id = lane.provider_id;
            self.update_contact(provider_id, |contact| {
                (contact.answered, contact.rejects_us) = (true, false);
            });
        }
        if is_unconfirmed {
            self.hold_acceptance(id, probe, classified);
            return accepted.into_iter().for_each(|address| self.on_accepted(id, address));
        }
        let is_clear_rejection =
            cause == Cause::MailboxUnknown && classified.meaning.confidence == Confidence::Confirmed;
        if is_clear_rejection {
            // It confirms the acceptances before it. They do not confirm the rejection.
            self.confirm_acceptances(id);
            if let Some(session) = self.sessions.get_mut(&id) {
                session.provisional.note_rejected(session.replies);
            }
        }
        if let Some(reply) = self.to_record(&probe, lane_id, &classified) {
            let lane = &mut self.lanes[lane_id];
            lane.provisional.add_control(&reply);
            self.actions.push_back(Action::Record(reply));
        }
        if let Some(task) = self.tasks[task_id].as_mut() {
            if is_clear_rejection {
                self.endpoints[endpoint_id].rejected_domain = Some(task.domain_probe.domain().clone());
            }
            task.domain_probe.on_reply(kind, classified.clone(), now);
            self.actions.extend(task.domain_probe.take_reopened().into_iter().map(Action::Revoked));
            let provisional = &mut self.lanes[lane_id].provisional;
            provisional.note_reply(task.domain_probe.domain(), cause == Cause::Accepted);
        }
        self.hold_rejection(id, probe, &classified);
        if let Some(address) = accepted {
            self.on_accepted(id, address);
        }
        if cause == Cause::Accepted {
            self.confirm_lane(lane_id, endpoint_id);
        }
        self.advance(task_id);
    }

    /// Lowers the recipients in a transaction on all lanes of a provider.
    fn tighten_recipient_limit(&mut self, lane: LaneId, max: u32) {
        let mut is_lower = false;
        for &lane in &self.providers[self.lanes[lane].provider_id].lanes {
            is_lower |= self.lanes[lane].pace.limit_recipients(max);
        }
        if is_lower {
            self.report_event(ProviderEventKind::LimitsTightened, lane, 0);
        }
    }

    /// The reply as it is recorded. `None` for a recheck, because the first reply about the recipient counts.
    pub(in crate::schedule) fn to_record(
        &self,
        probe: &InFlightProbe,
        lane: LaneId,
        classified: &ClassifiedReply,
    ) -> Option<RecordedReply> {
        let (task, lane) = (self.tasks[probe.task].as_ref()?, &self.lanes[lane]);
        if let RecipientKind::Recheck(_) = probe.kind {
            return None;
        }
        let mx_host = task.domain_probe.mx_host()?.clone();
        Some(RecordedReply {
            domain: task.domain_probe.domain().clone(),
            kind: probe.kind,
            address: task.domain_probe.address_of(probe.kind)?.into_owned(),
            attempt: Attempt { mx_host, at: self.now.wall, classified: classified.clone() },
            egress: lane.egress,
            lane: self.providers[lane.provider_id].key.clone(),
            tally: tally_of(&task.domain_probe, probe.kind, classified),
        })
    }

    /// Counts a reply to RCPT, whatever its recipient is.
    pub(in crate::schedule) fn count_reply(&mut self, id: SessionId, classified: &ClassifiedReply) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let endpoint_id = session.endpoint;
        session.replies += 1;
        session.is_last_rejected = !classified.reply.is_positive();
        session.rejected += u32::from(session.is_last_rejected);
        session.unknown += u32::from(classified.may_be_unknown());
        if classified.meaning.cause.fault() == Fault::Us {
            session.spoiled_by.get_or_insert_with(|| classified.clone());
        }
        let slows = is_about_load(classified) && !std::mem::replace(&mut session.was_slowed, true);
        if classified.may_be_unknown() {
            self.count_unknown(endpoint_id);
        }
        self.record_reply(endpoint_id, classified, slows);
    }

    /// Handles a probe that was not sent because the server does not support SMTPUTF8.
    pub(in crate::schedule) fn on_smtputf8_unsupported(&mut self, id: SessionId, probe: ProbeId) {
        let Some(probe) = self.take_in_flight(id, probe) else {
            return;
        };
        if let Some(task) = self.tasks[probe.task].as_mut() {
            let obstacle = ObstacleKind::NoReply(Finding::Smtputf8Unsupported);
            task.domain_probe.on_unsupported(probe.kind, obstacle, self.now);
            self.advance(probe.task);
        }
    }

    /// Takes a probe off its session.
    fn take_in_flight(&mut self, id: SessionId, probe: ProbeId) -> Option<InFlightProbe> {
        let session = self.sessions.get_mut(&id)?;
        let index = session.in_flight.iter().position(|in_flight| in_flight.id == probe)?;
        let probe = session.in_flight.swap_remove(index);
        let endpoint = session.endpoint;
        self.remove_in_flight(endpoint);
        Some(probe)
    }
}

/// What a reply adds to the tally: only the first reply about a listed recipient counts.
fn tally_of(domain_probe: &DomainProbe, kind: RecipientKind, classified: &ClassifiedReply) -> Tally {
    match kind {
        RecipientKind::Listed(position) => Tally::of(classified, domain_probe.was_deliverable(position)),
        RecipientKind::Recheck(_) | RecipientKind::Random | RecipientKind::Postmaster => Tally::default(),
    }
}

/// True for "too many recipients" by its codes (RFC 5321 4.5.3.1.10, RFC 3463 X.5.3). Other rate replies are about
/// time, not about the transaction.
fn is_about_transaction(classified: &ClassifiedReply) -> bool {
    let ClassifiedReply { reply, meaning, .. } = classified;
    let by_code = match reply.enhanced {
        Some(enhanced) => (enhanced.subject, enhanced.detail) == (5, 3),
        None => matches!(reply.code, 450..=452),
    };
    meaning.cause == Cause::RateLimited && !reply.is_positive() && (by_code || reply.code == 452)
}
