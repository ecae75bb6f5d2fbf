//! The life of a session: what each event leads to, what an idle session does, and what its end means for its probes,
//! its lane and its provider.
//!
//! Decides: how long an idle session stays, when it gives up its socket, and which limits a session that was cut
//! short tightens.

use super::state::{SessionEvent, SessionPhase, SessionState};
use crate::evidence::ObstacleKind;
use crate::reason::{Cause, Finding};
use crate::schedule::action::{Action, ConnectionAction, ProviderEventKind};
use crate::schedule::endpoint::EndpointTls;
use crate::schedule::in_flight::InFlightProbe;
use crate::schedule::limits::{EndpointId, LaneId, SessionId, Timer};
use crate::schedule::scheduler::Scheduler;
use crate::smtp::SmtpTimeouts;

impl Scheduler {
    /// Handles what happened on a session.
    pub(in crate::schedule) fn handle_event(&mut self, id: SessionId, event: SessionEvent) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        match event {
            SessionEvent::Ready(capabilities) => {
                session.capabilities = capabilities;
                self.health.connected = true;
                self.on_idle(id);
            }
            // Applied when the batch is done, because a surplus reply may follow: then each reply may belong to
            // another probe.
            SessionEvent::Reply(probe, classified) => session.received.push((probe, classified)),
            SessionEvent::NotSupported(probe) => self.on_smtputf8_unsupported(id, probe),
            SessionEvent::BatchDone => {
                self.apply_replies(id);
                self.on_idle(id);
            }
            SessionEvent::Rejected(_) | SessionEvent::Ended(_) | SessionEvent::TlsFailed => {
                self.on_session_end(id, &event);
            }
        }
    }

    pub(in crate::schedule) fn lane_of(&self, id: SessionId) -> Option<LaneId> {
        self.sessions.get(&id).map(|session| self.endpoints[session.endpoint].lane)
    }

    fn wake_lane(&mut self, lane: LaneId) {
        self.timers.insert((self.now.elapsed, Timer::Lane(lane)));
    }

    /// Moves a session to another phase, and updates the counts of its endpoint and lane.
    pub(in crate::schedule) fn set_phase(&mut self, id: SessionId, phase: SessionPhase) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let endpoint = &mut self.endpoints[session.endpoint];
        let lane = &mut self.lanes[endpoint.lane];
        match session.phase {
            SessionPhase::Working => endpoint.working -= 1,
            SessionPhase::Idle => {
                endpoint.idle.retain(|other| *other != id);
                self.idle_sessions.remove(&id);
            }
            SessionPhase::Quitting => lane.pace.on_not_quitting(),
        }
        match phase {
            SessionPhase::Working => endpoint.working += 1,
            SessionPhase::Idle => {
                endpoint.idle.push(id);
                self.idle_sessions.insert(id);
            }
            SessionPhase::Quitting => lane.pace.on_quitting(),
        }
        session.phase = phase;
    }

    /// Handles a session that has nothing in flight: it waits for a batch, sends its closing control, or quits.
    fn on_idle(&mut self, id: SessionId) {
        self.set_phase(id, SessionPhase::Idle);
        let now = self.now.elapsed;
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.idle_since = now;
        let endpoint = session.endpoint;
        let is_last = self.job_source_closed && self.endpoints[endpoint].queue.is_empty();
        let has_unconfirmed = !session.provisional.is_empty();
        let blocks_a_socket =
            !self.waiting_for_socket.is_empty() && self.endpoints[endpoint].queue.is_empty();
        if session.is_used_up() || self.stopping.is_some() || self.open_tasks == 0 || blocks_a_socket {
            self.release(id);
        } else if !(has_unconfirmed && is_last && self.send_closing_control(id, false)) {
            self.timers.insert((now + self.limits.thresholds.idle.timeout(), Timer::IdleTimeout(id)));
        }
        self.wake_lane(self.endpoints[endpoint].lane);
    }

    /// Releases a session that was idle long enough, unless its endpoint has recipients that only wait for their
    /// pace. Also sends a closing control that has waited for its pace.
    pub(in crate::schedule) fn on_idle_timeout(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if session.provisional.take_wait() {
            self.set_phase(id, SessionPhase::Idle);
            return self.release(id);
        }
        if session.phase != SessionPhase::Idle {
            return;
        }
        let (idle_since, endpoint) = (session.idle_since, &self.endpoints[session.endpoint]);
        let now = self.now.elapsed;
        let is_paused =
            endpoint.health.paused_until().max(self.lanes[endpoint.lane].pace.paused_until()) > now;
        let idle = self.limits.thresholds.idle;
        let is_wanted =
            !endpoint.queue.is_empty() && !is_paused && now < idle_since + idle.timeout_if_wanted();
        let until = idle_since + idle.timeout();
        if until > now || is_wanted {
            let again = if until > now { until } else { now + idle.timeout() };
            self.timers.insert((again, Timer::IdleTimeout(id)));
        } else {
            self.release(id);
        }
    }

    /// Sends the closing controls of the idle sessions at an endpoint where nothing waits and no more jobs come.
    /// Otherwise the domains with unconfirmed acceptances would wait until the sessions time out.
    pub(in crate::schedule) fn send_closing_controls_at(&mut self, endpoint: EndpointId) {
        if self.job_source_closed && self.endpoints[endpoint].queue.is_empty() {
            for id in self.endpoints[endpoint].idle.clone() {
                self.send_closing_control(id, false);
            }
        }
    }

    /// Releases one idle session whose endpoint has nothing to probe, for a lane that found no free socket.
    pub(in crate::schedule) fn release_idle_socket(&mut self) {
        let mut idle = self.idle_sessions.iter().copied().take(self.limits.thresholds.sockets.examined);
        let is_useless = |id: &SessionId| {
            self.sessions.get(id).is_some_and(|session| self.endpoints[session.endpoint].queue.is_empty())
        };
        if let Some(id) = idle.find(is_useless) {
            self.release(id);
        }
    }

    /// Closes all idle sessions, because no task is left.
    pub(in crate::schedule) fn close_all_idle(&mut self) {
        while let Some(id) = self.idle_sessions.pop_first() {
            self.quit(id);
        }
    }

    /// Releases all idle sessions, because the run stops.
    pub(in crate::schedule) fn release_all_idle(&mut self) {
        while let Some(&id) = self.idle_sessions.first() {
            self.release(id);
        }
    }

    /// Ends an idle session: with a closing control if it needs one and may send one, else with QUIT.
    pub(in crate::schedule) fn release(&mut self, id: SessionId) {
        if !self.send_closing_control(id, true) {
            self.quit(id);
        }
    }

    /// Sends QUIT on an idle session, and handles the reply that made the session useless.
    pub(in crate::schedule) fn quit(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if session.phase == SessionPhase::Quitting {
            return;
        }
        let (endpoint, tls, spoiled_by) = (session.endpoint, session.tls, session.spoiled_by.take());
        self.set_phase(id, SessionPhase::Quitting);
        self.actions.push_back(Action::Connection(ConnectionAction::Quit(id)));
        if let Some(classified) = spoiled_by {
            self.on_rejection_of_us(endpoint, tls, &classified);
        }
        self.settle_session(id);
    }

    /// Records that the host of a session says nothing. Must be called before [`Scheduler::stop`]: what is known about the
    /// host stays with the recipients that wait for it.
    pub fn note_silence(&mut self, session: SessionId) {
        if let Some(session) = self.sessions.get(&session) {
            self.endpoints[session.endpoint].health.note_silence();
        }
    }

    fn on_session_end(&mut self, id: SessionId, end: &SessionEvent) {
        let is_out_of_sync = *end == SessionEvent::Ended(Some(Finding::MalformedReply));
        if !is_out_of_sync {
            self.apply_replies(id);
        }
        self.drop_closing_control(id);
        let is_after_quit =
            self.sessions.get(&id).is_some_and(|session| session.phase == SessionPhase::Quitting);
        self.set_phase(id, SessionPhase::Quitting);
        self.settle_session(id);
        let Some(mut session) = self.sessions.remove(&id) else {
            return;
        };
        let endpoint_id = session.endpoint;
        let lane_id = self.endpoints[endpoint_id].lane;
        if is_out_of_sync {
            // Before anything that may confirm them.
            self.revoke_results(lane_id, &ObstacleKind::NoReply(Finding::MalformedReply));
        }
        self.release_connection(endpoint_id, u32::try_from(session.in_flight.len()).unwrap_or(0));
        let has_unanswered = !session.in_flight.is_empty();
        // The time limit of a whole session is our own.
        let is_own_limit = *end == SessionEvent::Ended(Some(Finding::Timeout))
            && self.now.elapsed >= session.opened + SmtpTimeouts::default().session;
        // The host counts what it rejected, whatever its replies are worth.
        for (_, classified) in &session.received {
            if classified.may_be_unknown() {
                self.count_unknown(endpoint_id);
            }
        }
        let endpoint = &mut self.endpoints[endpoint_id];
        // If the session broke without a reply, its oldest unanswered probe may be the cause, unless the server never
        // replied to any.
        let suspicion = match end {
            SessionEvent::Ended(finding)
                if session.spoiled_by.is_none() && endpoint.has_replied && !is_own_limit =>
            {
                *finding
            }
            _ => None,
        };
        if *end == SessionEvent::Ended(Some(Finding::Timeout)) && has_unanswered {
            endpoint.pipelining = false;
        }
        let mut unanswered = std::mem::take(&mut session.in_flight);
        unanswered.sort_unstable_by_key(|probe| probe.id);
        let ended_by_probe = self.requeue_unanswered(&unanswered, suspicion);
        // What crosses our QUIT cuts nothing short.
        let was_rejected = matches!(end, SessionEvent::Rejected(_)) && !is_after_quit;
        if !is_own_limit {
            self.tighten_limits_after_cut(lane_id, &session, has_unanswered, was_rejected, ended_by_probe);
        }
        self.apply_end_to_provider(endpoint_id, &session, end, ended_by_probe);
        for InFlightProbe { task, .. } in unanswered {
            self.advance(task);
        }
        if is_out_of_sync
            && let Some(obstacle) =
                self.endpoints[endpoint_id].health.record_out_of_step(self.limits.thresholds)
        {
            self.abandon_endpoint(endpoint_id, &obstacle);
        }
        self.on_lane_drained(lane_id);
        self.wake_lane(lane_id);
        self.schedule_eviction(lane_id);
    }

    /// Returns unanswered probes to their tasks. True if the oldest one was given up, because it ended a session for
    /// the second time.
    fn requeue_unanswered(&mut self, unanswered: &[InFlightProbe], mut suspicion: Option<Finding>) -> bool {
        let mut was_given_up = false;
        for InFlightProbe { task, kind, .. } in unanswered {
            let Some(task) = self.tasks[*task].as_mut() else {
                continue;
            };
            match suspicion.take() {
                Some(finding) => {
                    was_given_up =
                        task.domain_probe.on_connection_lost(*kind, ObstacleKind::NoReply(finding), self.now);
                }
                None => task.domain_probe.on_unanswered(*kind),
            }
        }
        was_given_up
    }

    /// Tightens the session limits and halves the batches of a lane whose server cut a session short: the server
    /// accepts less than the session sent.
    fn tighten_limits_after_cut(
        &mut self,
        lane_id: LaneId,
        session: &SessionState,
        has_unanswered: bool,
        was_rejected: bool,
        ended_by_probe: bool,
    ) {
        let lane = &mut self.lanes[lane_id];
        let was_cut = has_unanswered || was_rejected;
        // One dropped connection may be chance; a second one in a row is not.
        let was_cut_before = lane.health.record_end(was_cut && !ended_by_probe);
        if session.replies == 0 || !(was_rejected || (was_cut && was_cut_before && !ended_by_probe)) {
            return;
        }
        lane.pace.shrink_batches();
        if session.rejected > 1 {
            lane.pace.limit_rejections(session.rejected - 1);
        } else if session.rejected == 1 && session.is_last_rejected {
            // It ends after each rejection, so that a control settles what came before it.
            lane.pace.limit_rejections(1);
        } else {
            lane.pace.limit_transactions(session.transactions.saturating_sub(1).max(1));
        }
        self.report_event(ProviderEventKind::LimitsTightened, lane_id, 0);
    }

    /// Applies the end of a session to the health of its endpoint, lane and provider.
    fn apply_end_to_provider(
        &mut self,
        endpoint_id: EndpointId,
        session: &SessionState,
        end: &SessionEvent,
        ended_by_probe: bool,
    ) {
        match end {
            SessionEvent::Rejected(classified) => {
                self.health.connected = true;
                // A server that replied to probes and then ends the session for its rate limits the session, but does
                // not reject us.
                if session.replies == 0 || classified.meaning.cause != Cause::RateLimited {
                    self.on_rejection_of_us(endpoint_id, session.tls, classified);
                }
            }
            SessionEvent::Ended(_) if session.spoiled_by.is_some() => {
                if let Some(classified) = &session.spoiled_by {
                    self.on_rejection_of_us(endpoint_id, session.tls, classified);
                }
            }
            SessionEvent::Ended(Some(finding)) if session.replies == 0 && !ended_by_probe => {
                let is_unreachable = *finding == Finding::ConnectFailed;
                self.health.connected |= !is_unreachable && *finding != Finding::NotProbed;
                let provider_id = self.lanes[self.endpoints[endpoint_id].lane].provider_id;
                self.update_contact(provider_id, |contact| contact.unreachable |= is_unreachable);
                self.record_connection_failure(endpoint_id, *finding);
            }
            SessionEvent::TlsFailed if self.endpoints[endpoint_id].tls == EndpointTls::Wanted => {
                self.endpoints[endpoint_id].tls = EndpointTls::Broken;
            }
            SessionEvent::TlsFailed => self.record_connection_failure(endpoint_id, Finding::Disconnected),
            _ => {}
        }
    }
}
