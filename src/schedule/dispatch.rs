//! Starts what may start on a lane: a batch on an idle session, or a new session.
//!
//! Decides: the order of waiting, which is lane turn, pace, socket, connect. No socket is held while a lane waits for
//! its turn, and a lane that may not start yet sets a timer and does not delay other lanes.

use std::cmp::Reverse;
use std::time::Duration;

use super::action::{Action, ConnectionAction, ProviderEventKind, SessionOpening};
use super::endpoint::EndpointTls;
use super::limits::{EndpointId, LaneId, SessionId, Timer};
use super::pacing::ConnectionTurn;
use super::scheduler::Scheduler;
use super::session::SessionState;
use crate::evidence::NotProbedReason;
use crate::probe::DomainProbe;

/// What was started at an endpoint, or when something may be.
pub(super) enum DispatchResult {
    /// Nothing is left to probe at the endpoint.
    Empty,
    /// A batch or a session was started, and there may be more to start.
    Started,
    /// Nothing may start before this time of the run.
    Until(Duration),
    /// Nothing may start until a session of the endpoint ends or becomes idle, or a socket is free.
    Full,
    /// Nothing may start until a session of another endpoint ends.
    LaneFull,
}

impl Scheduler {
    /// Starts what may start on all lanes that are due.
    pub(super) fn run_lanes(&mut self) {
        while let Some(&(at, timer)) = self.timers.first().filter(|(at, _)| *at <= self.now.elapsed) {
            let Timer::Lane(lane) = timer else { break };
            self.timers.remove(&(at, timer));
            self.run_lane(lane);
        }
        // Lanes that found no free socket come next. One that does not need a socket any more leaves it to the one
        // behind.
        while self.sessions.len() < self.limits.sessions
            && let Some(lane) = self.waiting_for_socket.pop_front()
        {
            self.lanes[lane].waits_for_socket = false;
            self.run_lane(lane);
        }
    }

    /// Starts what may start on a lane now, and sets a timer for the rest.
    pub(super) fn run_lane(&mut self, id: LaneId) {
        if self.stopping.is_some() {
            return;
        }
        let mut wake: Option<Duration> = None;
        let mut later = |at: Duration| wake = Some(wake.map_or(at, |wake| wake.min(at)));
        let paused_until = self.lanes[id].pace.paused_until();
        if paused_until > self.now.elapsed {
            later(paused_until);
        } else {
            self.sort_endpoints_by_backlog(id);
            let mut is_lane_full = false;
            let mut untried = self.lanes[id].ready_endpoints.len();
            while untried > 0 {
                untried -= 1;
                let Some(endpoint) = self.lanes[id].ready_endpoints.pop_front() else {
                    break;
                };
                match self.dispatch_endpoint(endpoint) {
                    DispatchResult::Empty => {
                        self.endpoints[endpoint].is_ready = false;
                        self.send_closing_controls_at(endpoint);
                        continue;
                    }
                    DispatchResult::Started => untried = self.lanes[id].ready_endpoints.len() + 1,
                    DispatchResult::Until(at) => later(at),
                    DispatchResult::LaneFull => is_lane_full = true,
                    DispatchResult::Full => {}
                }
                self.lanes[id].ready_endpoints.push_back(endpoint);
            }
            if is_lane_full {
                self.close_useless_session(id);
            }
        }
        if let Some(at) = wake {
            self.timers.insert((at.max(self.now.elapsed + Duration::from_nanos(1)), Timer::Lane(id)));
        }
    }

    /// Starts a batch on an idle session of an endpoint, or else a new session.
    fn dispatch_endpoint(&mut self, endpoint_id: EndpointId) -> DispatchResult {
        let endpoint = &self.endpoints[endpoint_id];
        if endpoint.queue.is_empty() {
            return DispatchResult::Empty;
        }
        if endpoint.health.is_paused(self.now.elapsed) {
            return DispatchResult::Until(endpoint.health.paused_until());
        }
        let Some(session) = self.next_idle(endpoint_id) else {
            return self.try_open_session(endpoint_id);
        };
        match self.send_batch(endpoint_id, session) {
            // Where sessions are the scarce resource, the time until the next batch is used to open another one.
            DispatchResult::Until(batch)
                if self.lanes[self.endpoints[endpoint_id].lane].pace.is_session_bound() =>
            {
                match self.try_open_session(endpoint_id) {
                    DispatchResult::Started => DispatchResult::Started,
                    DispatchResult::Until(open) => DispatchResult::Until(batch.min(open)),
                    DispatchResult::Empty | DispatchResult::Full | DispatchResult::LaneFull => {
                        DispatchResult::Until(batch)
                    }
                }
            }
            result => result,
        }
    }

    /// The idle session with the fewest rejections left, so that sessions are used up one after the other.
    fn next_idle(&self, endpoint: EndpointId) -> Option<SessionId> {
        let left = |id: &&SessionId| self.sessions.get(id).map(SessionState::rejections_left);
        self.endpoints[endpoint].idle.iter().min_by_key(left).copied()
    }

    /// Opens a session at an endpoint if its sessions are too few for the recipients that wait there, and if lane,
    /// limits, sockets and pace allow it.
    fn try_open_session(&mut self, endpoint_id: EndpointId) -> DispatchResult {
        let endpoint = &self.endpoints[endpoint_id];
        let lane_id = endpoint.lane;
        let lane = &self.lanes[lane_id];
        if !lane.pace.may_open() {
            return if endpoint.working == 0 && endpoint.idle.is_empty() {
                DispatchResult::LaneFull
            } else {
                DispatchResult::Full
            };
        }
        let sessions = endpoint.working + u32::try_from(endpoint.idle.len()).unwrap_or(u32::MAX);
        let per_session = lane.pace.probes_per_session();
        if !self.has_at_least_pending(endpoint_id, sessions * per_session + 1) {
            return DispatchResult::Full;
        }
        if self.unknown_left(endpoint_id) == 0 {
            return self.on_unknown_cap(endpoint_id);
        }
        if self.sessions.len() >= self.limits.sessions {
            if !std::mem::replace(&mut self.lanes[lane_id].waits_for_socket, true) {
                self.waiting_for_socket.push_back(lane_id);
                self.release_idle_socket();
            }
            return DispatchResult::Full;
        }
        match self.take_connection(endpoint_id) {
            ConnectionTurn::LaneAt(at) => DispatchResult::Until(at),
            ConnectionTurn::Queued => DispatchResult::Full,
            ConnectionTurn::Now => {
                self.open_session(endpoint_id);
                DispatchResult::Started
            }
        }
    }

    /// Puts the endpoints with the most probes first when the lane may open a session, so that a new session is used up
    /// before its endpoint runs out of recipients.
    fn sort_endpoints_by_backlog(&mut self, id: LaneId) {
        let lane = &mut self.lanes[id];
        if lane.ready_endpoints.len() > 1 && lane.pace.may_open() && lane.pace.may_connect(self.now.elapsed) {
            let probes = |endpoint: &EndpointId| Reverse(self.endpoints[*endpoint].queue.probes());
            lane.ready_endpoints.make_contiguous().sort_by_key(probes);
        }
    }

    /// True if the tasks that wait at an endpoint need at least `enough` probes in all.
    fn has_at_least_pending(&self, endpoint_id: EndpointId, enough: u32) -> bool {
        let queue = &self.endpoints[endpoint_id].queue;
        queue.len() >= enough as usize
            || self.count(endpoint_id, enough, DomainProbe::expected_probes) >= enough
    }

    /// How many probes could be sent at an endpoint now, at most `enough`. For `socket_bound` see
    /// [`DomainProbe::next_probes`].
    pub(super) fn demand(&self, endpoint_id: EndpointId, enough: u32, socket_bound: bool) -> u32 {
        self.count(endpoint_id, enough, |domain_probe| domain_probe.demand(socket_bound))
    }

    fn count(&self, endpoint_id: EndpointId, enough: u32, of: impl Fn(&DomainProbe) -> u32) -> u32 {
        let waiting = self.endpoints[endpoint_id].queue.iter().filter_map(|task| self.tasks[task].as_ref());
        let mut count: u32 = 0;
        for task in waiting {
            count = count.saturating_add(of(&task.domain_probe));
            if count >= enough {
                break;
            }
        }
        count.min(enough)
    }

    /// Closes an idle session at an endpoint of the lane that has nothing to probe now, so that another endpoint may
    /// open one.
    fn close_useless_session(&mut self, lane: LaneId) {
        if self.lanes[lane].pace.has_quitting() {
            return;
        }
        let endpoints = self.lanes[lane].endpoints.values().map(|&endpoint| &self.endpoints[endpoint]);
        let useless = endpoints
            .filter(|endpoint| endpoint.queue.is_empty() || endpoint.health.is_paused(self.now.elapsed));
        let idle = useless.flat_map(|endpoint| &endpoint.idle);
        let left = |id: &&SessionId| self.sessions.get(id).map(SessionState::rejections_left);
        if let Some(&session) = idle.min_by_key(left) {
            self.quit(session);
        }
    }

    /// Handles a lane whose limit of unknown recipients is reached: waits until the limit allows more, or leaves the
    /// recipients at the endpoint to a later run.
    pub(super) fn on_unknown_cap(&mut self, endpoint_id: EndpointId) -> DispatchResult {
        let Some(allowed_at) = self.unknown_allowed_at(endpoint_id) else {
            self.await_reply(endpoint_id);
            return DispatchResult::Full;
        };
        // The wait counts from now, because the endpoint has nothing else to do.
        let wait = allowed_at.saturating_sub(self.now.elapsed);
        if self.limits.retry_policy.permits(Duration::ZERO, wait) {
            return DispatchResult::Until(allowed_at);
        }
        let postponed = self.clear_queue(endpoint_id);
        let lane = self.endpoints[endpoint_id].lane;
        // Later recipients meet the same limit: one event tells of all.
        if !std::mem::replace(&mut self.lanes[lane].has_reported_cap, true) {
            self.report_event(ProviderEventKind::CapReached, lane, postponed.len());
        }
        for task in postponed {
            if let Some(task) = self.tasks[task].as_mut() {
                task.domain_probe.postpone(NotProbedReason::Budget(wait));
            }
            self.advance(task);
        }
        DispatchResult::Empty
    }

    fn open_session(&mut self, endpoint_id: EndpointId) {
        let host_accepts = self.accepted_at(endpoint_id).is_some();
        let endpoint = &mut self.endpoints[endpoint_id];
        let lane = &self.lanes[endpoint.lane];
        let provider_id = lane.provider_id;
        let session = SessionId(self.next_session);
        self.next_session += 1;
        endpoint.working += 1;
        let state = SessionState::new(
            endpoint_id,
            endpoint.tls,
            lane.pace.session_limits(),
            lane.pace.max_probes(),
            !lane.provider.is_trusted(),
            host_accepts || self.limits.confirm,
            self.now.elapsed,
        );
        self.sessions.insert(session, state);
        self.actions.push_back(Action::Connection(ConnectionAction::Open(SessionOpening {
            session,
            egress: lane.egress,
            host: endpoint.host.clone(),
            address: endpoint.address,
            tls: endpoint.tls == EndpointTls::Wanted,
            pipelining: endpoint.pipelining,
            provider: lane.provider.clone(),
        })));
        self.update_contact(provider_id, |contact| contact.tried = true);
    }
}
