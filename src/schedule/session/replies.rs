//! What comes back: answers go to their inquiries, and into the accounts of session, door, lane and operator.

use super::{InFlightProbe, LaneId, Scheduler, SessionId};
use crate::evidence::{Attempt, ClassifiedReply, ObstacleKind, RecipientKind, RecordedReply, Tally};
use crate::probe::DomainProbe;
use crate::reason::{Cause, Confidence, Fault, Finding};
use crate::schedule::Action;
use crate::schedule::provider_event::ProviderEventKind;
use crate::smtp::{ProbeId, Stage};

impl Scheduler {
    /// Takes the answers of a flight for true.
    pub(super) fn believe(&mut self, id: SessionId) {
        let answered = self.sessions.get_mut(&id).map(|session| std::mem::take(&mut session.answered));
        for (ask, classified) in answered.into_iter().flatten() {
            self.answered(id, ask, classified);
        }
    }

    fn answered(&mut self, id: SessionId, ask: ProbeId, classified: ClassifiedReply) {
        if self.is_closing(id, ask) {
            return self.closed(id, &classified);
        }
        let Some(asked) = self.landed(id, ask) else {
            return;
        };
        let InFlightProbe { task: task_id, who, place, .. } = asked;
        let now = self.now;
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let endpoint_id = session.endpoint;
        let lane_id = self.endpoints[endpoint_id].lane;
        // Too many recipients for one transaction: this one belongs into the next.
        let is_crowded = place > 0 && is_about_transaction(&classified);
        if is_crowded {
            session.refused += 1;
            session.session_limits.recipients = session.session_limits.recipients.min(place);
            self.tighten_recipient_limit(lane_id, place);
        }
        let Some(task) = self.tasks[task_id].as_mut() else {
            return;
        };
        // With MAIL refused, or the session ended (421), nothing was said about the recipient.
        let is_unasked = classified.stage != Stage::Rcpt || classified.reply.code == 421;
        if is_crowded || is_unasked {
            task.domain_probe.on_unanswered(who);
            if is_unasked && let Some(session) = self.sessions.get_mut(&id) {
                session.spoilt.get_or_insert(classified);
            }
            return self.go_on(task_id);
        }
        let cause = classified.meaning.cause;
        let is_unconfirmed = self.is_unconfirmed(id, &classified);
        self.account(id, &classified);
        let Some(task) = self.tasks[task_id].as_mut() else {
            return;
        };
        let lane = &mut self.lanes[lane_id];
        let tally = tally_of(&task.domain_probe, who, &classified);
        lane.tally = lane.tally.plus(tally);
        if tally.probed > 0 && lane.paused.is_none() {
            let operator = lane.operator;
            self.received(operator, |reception| (reception.answered, reception.refused) = (true, false));
        }
        if is_unconfirmed {
            return self.doubt(id, asked, classified);
        }
        let is_refusal =
            cause == Cause::MailboxUnknown && classified.meaning.confidence == Confidence::Confirmed;
        if is_refusal {
            // It speaks for what was accepted before, but nothing of that speaks for it.
            self.confirm_acceptances(id);
        }
        if let Some(answer) = self.to_keep(&asked, lane_id, &classified) {
            self.hold_control(lane_id, &answer);
            self.actions.push_back(Action::Record(answer));
        }
        if let Some(task) = self.tasks[task_id].as_mut() {
            if is_refusal {
                self.endpoints[endpoint_id].rejected_domain = Some(task.domain_probe.domain().clone());
            }
            task.domain_probe.on_reply(who, classified, now);
            let is_accepted = cause == Cause::Accepted;
            self.lanes[lane_id].accepted_last = is_accepted.then(|| task.domain_probe.domain().clone());
        }
        if cause == Cause::Accepted {
            self.confirm_lane(lane_id);
        }
        self.go_on(task_id);
    }

    /// An operator takes no more recipients in a transaction, from whatever address of ours.
    fn tighten_recipient_limit(&mut self, lane: LaneId, most: u32) {
        let mut is_news = false;
        for &lane in &self.providers[self.lanes[lane].operator].lanes {
            let recipients = &mut self.lanes[lane].session_limits.recipients;
            is_news |= *recipients > most;
            *recipients = most.min(*recipients);
        }
        if is_news {
            self.decided(ProviderEventKind::LimitsTightened, lane, 0);
        }
    }

    /// The answer as it is kept, where it is about somebody who was not asked about before.
    pub(super) fn to_keep(
        &self,
        asked: &InFlightProbe,
        lane: LaneId,
        classified: &ClassifiedReply,
    ) -> Option<RecordedReply> {
        let (task, lane) = (self.tasks[asked.task].as_ref()?, &self.lanes[lane]);
        if let RecipientKind::Recheck(_) = asked.who {
            return None;
        }
        let mx_host = task.domain_probe.mx_host()?.clone();
        Some(RecordedReply {
            domain: task.domain_probe.domain().clone(),
            kind: asked.who,
            address: task.domain_probe.address_of(asked.who)?.into_owned(),
            attempt: Attempt { mx_host, at: self.now.wall, classified: classified.clone() },
            egress: lane.egress,
            lane: self.providers[lane.operator].key.clone(),
            tally: tally_of(&task.domain_probe, asked.who, classified),
        })
    }

    /// Counts an answer to a recipient, whoever it was.
    pub(super) fn account(&mut self, id: SessionId, classified: &ClassifiedReply) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let endpoint = &mut self.endpoints[session.endpoint];
        let lane = &mut self.lanes[endpoint.lane];
        let cause = classified.meaning.cause;
        session.answers += 1;
        session.refused += u32::from(!classified.reply.is_positive());
        if classified.may_be_unknown() {
            session.unknown += 1;
            lane.count_unknown(self.now.elapsed);
        }
        if cause.fault() == Fault::Us {
            session.spoilt.get_or_insert_with(|| classified.clone());
            let lane = endpoint.lane;
            self.record_block_signal(lane, classified);
        } else {
            (endpoint.failures_in_row, endpoint.refusals) = (0, 0);
            lane.record_success();
        }
    }

    /// The host does not take such an address at all.
    pub(super) fn unable(&mut self, id: SessionId, ask: ProbeId) {
        let Some(asked) = self.landed(id, ask) else {
            return;
        };
        if let Some(task) = self.tasks[asked.task].as_mut() {
            let obstacle = ObstacleKind::NoReply(Finding::Smtputf8Unsupported);
            task.domain_probe.on_unsupported(asked.who, obstacle, self.now);
            self.go_on(asked.task);
        }
    }

    /// Takes an ask off its session.
    fn landed(&mut self, id: SessionId, ask: ProbeId) -> Option<InFlightProbe> {
        let session = self.sessions.get_mut(&id)?;
        let place = session.in_flight.iter().position(|asked| asked.ask == ask)?;
        let asked = session.in_flight.swap_remove(place);
        let lane = self.endpoints[session.endpoint].lane;
        self.lanes[lane].in_flight -= 1;
        Some(asked)
    }
}

/// What an answer adds to the accounts: nothing, unless it is the first about a listed address.
fn tally_of(domain_probe: &DomainProbe, who: RecipientKind, classified: &ClassifiedReply) -> Tally {
    match who {
        RecipientKind::Listed(place) => Tally::of(classified, domain_probe.was_deliverable(place)),
        RecipientKind::Recheck(_) | RecipientKind::Random | RecipientKind::Postmaster => Tally::default(),
    }
}

/// "Too many recipients" by its codes (RFC 5321 4.5.3.1.10, RFC 3463 X.5.3), not by what else is too fast.
fn is_about_transaction(classified: &ClassifiedReply) -> bool {
    let ClassifiedReply { reply, meaning, .. } = classified;
    let by_code = match reply.enhanced {
        Some(enhanced) => (enhanced.subject, enhanced.detail) == (5, 3),
        None => matches!(reply.code, 450..=452),
    };
    meaning.cause == Cause::RateLimited && !reply.is_positive() && (by_code || reply.code == 452)
}
