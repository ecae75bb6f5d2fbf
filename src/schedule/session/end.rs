//! The end of a session: what was not answered is asked again, and its host bears the consequence.

use super::{
    EndpointId, EndpointTls, InFlightProbe, LaneId, REST, Scheduler, SessionEvent, SessionId, SessionPhase,
    SessionState,
};
use crate::evidence::{ClassifiedReply, ObstacleKind};
use crate::reason::{Cause, Finding};
use crate::schedule::provider_event::ProviderEventKind;

impl Scheduler {
    pub(super) fn ended(&mut self, id: SessionId, how: &SessionEvent) {
        let is_out_of_step = *how == SessionEvent::Ended(Some(Finding::MalformedReply));
        if !is_out_of_step {
            self.believe(id);
        }
        self.forget_closing(id);
        self.set_state(id, SessionPhase::Leaving);
        self.revoke_acceptances(id);
        let Some(mut session) = self.sessions.remove(&id) else {
            return;
        };
        let endpoint_id = session.endpoint;
        let lane_id = self.endpoints[endpoint_id].lane;
        let lane = &mut self.lanes[lane_id];
        lane.open -= 1;
        lane.leaving -= 1;
        lane.in_flight -= u32::try_from(session.in_flight.len()).unwrap_or(0);
        let broke_off = !session.in_flight.is_empty();
        // What broke a session without a word may be its oldest open question.
        let suspected = match how {
            SessionEvent::Ended(finding) if session.spoilt.is_none() => *finding,
            _ => None,
        };
        let mut unanswered = std::mem::take(&mut session.in_flight);
        unanswered.sort_unstable_by_key(|asked| asked.ask);
        let was_question = self.requeue_unanswered(&unanswered, suspected);
        self.tighten_limits_after_cut(
            lane_id,
            &session,
            broke_off,
            matches!(how, SessionEvent::Rejected(_)),
            was_question,
        );
        self.apply_end_to_provider(endpoint_id, &session, how, was_question);
        for InFlightProbe { task, .. } in unanswered {
            self.go_on(task);
        }
        if is_out_of_step {
            self.revoke_results(lane_id, &ObstacleKind::NoReply(Finding::MalformedReply));
        }
        self.on_lane_drained(lane_id);
        self.wake_lane(lane_id);
        self.may_retire(lane_id);
    }

    /// Hands unanswered questions back. True when the oldest of them was given up because it ended a session again.
    fn requeue_unanswered(&mut self, unanswered: &[InFlightProbe], mut suspected: Option<Finding>) -> bool {
        let mut was_question = false;
        for InFlightProbe { task, who, .. } in unanswered {
            let Some(task) = self.tasks[*task].as_mut() else {
                continue;
            };
            match suspected.take() {
                Some(finding) => {
                    was_question =
                        task.domain_probe.on_connection_lost(*who, ObstacleKind::NoReply(finding), self.now);
                }
                None => task.domain_probe.on_unanswered(*who),
            }
        }
        was_question
    }

    /// A host that cut a session bore some of what it got, so the next session asks for less.
    fn tighten_limits_after_cut(
        &mut self,
        lane_id: LaneId,
        session: &SessionState,
        broke_off: bool,
        was_refused: bool,
        was_question: bool,
    ) {
        let lane = &mut self.lanes[lane_id];
        let was_cut = broke_off || was_refused;
        // One silent drop may be chance; a second session in a row is not.
        let was_cut_before = std::mem::replace(&mut lane.was_cut, was_cut && !was_question);
        if session.answers == 0 || !(was_refused || (was_cut && was_cut_before && !was_question)) {
            return;
        }
        lane.batch = (lane.batch / 2).max(1);
        let session_limits = &mut lane.session_limits;
        if session.refused > 1 {
            session_limits.rejections = session_limits.rejections.min(session.refused - 1);
        } else {
            session_limits.transactions =
                session_limits.transactions.min(session.transactions.saturating_sub(1).max(1));
        }
        self.decided(ProviderEventKind::LimitsTightened, lane_id, 0);
    }

    /// What the end means for the door, the lane and the operator.
    fn apply_end_to_provider(
        &mut self,
        endpoint_id: EndpointId,
        session: &SessionState,
        how: &SessionEvent,
        was_question: bool,
    ) {
        match how {
            SessionEvent::Rejected(classified) => {
                self.census.connected = true;
                // A server that ends a session in which it answered is not displeased with what we are.
                if session.answers == 0 || classified.meaning.cause != Cause::RateLimited {
                    self.rejected_us(endpoint_id, classified);
                }
            }
            SessionEvent::Ended(_) if session.spoilt.is_some() => {
                if let Some(classified) = &session.spoilt {
                    self.rejected_us(endpoint_id, classified);
                }
            }
            SessionEvent::Ended(Some(finding)) if session.answers == 0 && !was_question => {
                let is_unreachable = *finding == Finding::ConnectFailed;
                self.census.connected |= !is_unreachable;
                let operator = self.lanes[self.endpoints[endpoint_id].lane].operator;
                self.received(operator, |reception| reception.unreachable |= is_unreachable);
                self.broken(endpoint_id, *finding);
            }
            SessionEvent::TlsFailed if self.endpoints[endpoint_id].tls == EndpointTls::Wanted => {
                self.endpoints[endpoint_id].tls = EndpointTls::Broken;
            }
            SessionEvent::TlsFailed => self.broken(endpoint_id, Finding::Disconnected),
            _ => {}
        }
    }

    /// A server refused us in the middle of a session.
    pub(super) fn rejected_us(&mut self, endpoint_id: EndpointId, classified: &ClassifiedReply) {
        match classified.meaning.cause {
            Cause::TlsRequired => match self.endpoints[endpoint_id].tls {
                EndpointTls::Plain => self.endpoints[endpoint_id].tls = EndpointTls::Wanted,
                // It demands what did not work: nothing more can be learnt here.
                EndpointTls::Wanted | EndpointTls::Broken => {
                    self.abandon_endpoint(endpoint_id, &ObstacleKind::Rejected(Box::new(classified.clone())));
                }
            },
            Cause::RateLimited => {
                let rest = classified.meaning.retry_in.unwrap_or(REST * 2);
                let lane = self.endpoints[endpoint_id].lane;
                self.lanes[lane].slow_down(self.now.elapsed + rest);
                self.decided(ProviderEventKind::SlowedDown, lane, 0);
                self.refused(endpoint_id, classified);
            }
            _ => self.refused(endpoint_id, classified),
        }
    }
}
