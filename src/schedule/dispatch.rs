//! Starts what may start: at each lane in turn a flight on an idle session, or a new session.
//!
//! Decides: the order of waiting. A lane that may not start says when it may; nobody else waits for it.

use std::cmp::Reverse;
use std::time::Duration;

use super::endpoint::EndpointTls;
use super::lane::{FLIGHT, PROBES_PER_REFUSAL};
use super::provider_event::ProviderEventKind;
use super::session::SessionState;
use super::{Action, ConnectionAction, EndpointId, LaneId, Scheduler, SessionId, SessionOpening, Timer};
use crate::evidence::NotProbedReason;
use crate::probe::DomainProbe;

/// What [`Scheduler::serve`] did.
pub(super) enum DispatchResult {
    /// Nothing is left to do at this door.
    Nothing,
    /// Something; there may be more.
    Started,
    /// Nothing before this time of the run.
    Until(Duration),
    /// Nothing until a session ends or lands.
    Full,
    /// Nothing until another door's session ends.
    NoRoom,
}

impl Scheduler {
    pub(super) fn run_lanes(&mut self) {
        while let Some(&(at, timer)) = self.timers.first().filter(|(at, _)| *at <= self.now.elapsed) {
            let Timer::Lane(lane) = timer else { break };
            self.timers.remove(&(at, timer));
            self.run_lane(lane);
        }
        // Who found no free socket comes next; a lane that needs none any more passes its turn on.
        while self.sessions.len() < self.limits.sessions
            && let Some(lane) = self.starved.pop_front()
        {
            self.lanes[lane].is_starved = false;
            self.run_lane(lane);
        }
    }

    /// Starts what the lane may start now, and asks to be woken for the rest.
    pub(super) fn run_lane(&mut self, id: LaneId) {
        if self.stopping.is_some() {
            return;
        }
        let mut wake: Option<Duration> = None;
        let mut later = |at: Duration| wake = Some(wake.map_or(at, |wake| wake.min(at)));
        let held = self.lanes[id].hold_until;
        if held > self.now.elapsed {
            later(held);
        } else {
            self.sort_endpoints_by_backlog(id);
            let mut lacks_room = false;
            let mut untried = self.lanes[id].busy_endpoints.len();
            while untried > 0 {
                untried -= 1;
                let Some(endpoint) = self.lanes[id].busy_endpoints.pop_front() else {
                    break;
                };
                match self.serve(endpoint) {
                    DispatchResult::Nothing => {
                        self.endpoints[endpoint].busy = false;
                        self.send_closing_controls_at(endpoint);
                        continue;
                    }
                    DispatchResult::Started => untried = self.lanes[id].busy_endpoints.len() + 1,
                    DispatchResult::Until(at) => later(at),
                    DispatchResult::NoRoom => lacks_room = true,
                    DispatchResult::Full => {}
                }
                self.lanes[id].busy_endpoints.push_back(endpoint);
            }
            if lacks_room {
                self.close_useless_session(id);
            }
        }
        if let Some(at) = wake {
            self.timers.insert((at.max(self.now.elapsed + Duration::from_nanos(1)), Timer::Lane(id)));
        }
    }

    /// Starts one thing at a door: a flight on an idle session, or a new session.
    pub(super) fn serve(&mut self, endpoint_id: EndpointId) -> DispatchResult {
        let endpoint = &self.endpoints[endpoint_id];
        if endpoint.tasks.is_empty() {
            return DispatchResult::Nothing;
        }
        if endpoint.hold_until > self.now.elapsed {
            return DispatchResult::Until(endpoint.hold_until);
        }
        let Some(session) = self.next_idle(endpoint_id) else {
            return self.dial(endpoint_id);
        };
        match self.send_batch(endpoint_id, session) {
            // The time until the next flight is used for the next session, where sessions are the scarce good.
            DispatchResult::Until(batch)
                if self.lanes[self.endpoints[endpoint_id].lane].is_session_bound() =>
            {
                match self.dial(endpoint_id) {
                    DispatchResult::Started => DispatchResult::Started,
                    DispatchResult::Until(dial) => DispatchResult::Until(batch.min(dial)),
                    DispatchResult::Nothing | DispatchResult::Full | DispatchResult::NoRoom => {
                        DispatchResult::Until(batch)
                    }
                }
            }
            served => served,
        }
    }

    /// The idle session that is nearest to its end, so that sessions are used up one after the other.
    fn next_idle(&self, endpoint: EndpointId) -> Option<SessionId> {
        let left = |id: &&SessionId| self.sessions.get(id).map(SessionState::refusals_left);
        self.endpoints[endpoint].idle.iter().min_by_key(left).copied()
    }

    /// Opens a session at a door, if those that it has are too few for the questions that wait there.
    fn dial(&mut self, endpoint_id: EndpointId) -> DispatchResult {
        let endpoint = &self.endpoints[endpoint_id];
        let lane_id = endpoint.lane;
        let lane = &self.lanes[lane_id];
        if !lane.has_room() {
            return if endpoint.working == 0 && endpoint.idle.is_empty() {
                DispatchResult::NoRoom
            } else {
                DispatchResult::Full
            };
        }
        let sessions = endpoint.working + u32::try_from(endpoint.idle.len()).unwrap_or(u32::MAX);
        let for_each = lane.session_limits.rejections.saturating_mul(PROBES_PER_REFUSAL).min(FLIGHT);
        if !self.has_at_least_pending(endpoint_id, sessions * for_each + 1) {
            return DispatchResult::Full;
        }
        if lane.unknown_left(self.now.elapsed) == 0 {
            return self.on_unknown_cap(endpoint_id);
        }
        if self.sessions.len() >= self.limits.sessions {
            if !std::mem::replace(&mut self.lanes[lane_id].is_starved, true) {
                self.starved.push_back(lane_id);
                self.release_idle_socket();
            }
            return DispatchResult::Full;
        }
        let lane = &mut self.lanes[lane_id];
        if let Err(wait) = lane.connection_pacer.take(1) {
            lane.connect_from = self.now.elapsed + wait;
            return DispatchResult::Until(lane.connect_from);
        }
        self.open(endpoint_id);
        DispatchResult::Started
    }

    /// Where most wait, a new session is used up before its door has nobody left. So these doors come first when a session
    /// may be opened.
    fn sort_endpoints_by_backlog(&mut self, id: LaneId) {
        let lane = &mut self.lanes[id];
        if lane.busy_endpoints.len() > 1 && lane.has_room() && lane.connect_from <= self.now.elapsed {
            let asks = |endpoint: &EndpointId| Reverse(self.endpoints[*endpoint].tasks.asks());
            lane.busy_endpoints.make_contiguous().sort_by_key(asks);
        }
    }

    /// Are at least so many questions to come at a door, from those who wait there?
    pub(super) fn has_at_least_pending(&self, endpoint_id: EndpointId, enough: u32) -> bool {
        let tasks = &self.endpoints[endpoint_id].tasks;
        tasks.len() >= enough as usize
            || self.count(endpoint_id, enough, DomainProbe::expected_probes) >= enough
    }

    /// How many questions could be asked at a door now; counts no further than to `enough`.
    pub(super) fn demand(&self, endpoint_id: EndpointId, enough: u32, socket_bound: bool) -> u32 {
        self.count(endpoint_id, enough, |domain_probe| domain_probe.demand(socket_bound))
    }

    fn count(&self, endpoint_id: EndpointId, enough: u32, of: impl Fn(&DomainProbe) -> u32) -> u32 {
        let waiting = self.endpoints[endpoint_id].tasks.iter().filter_map(|task| self.tasks[task].as_ref());
        let mut count: u32 = 0;
        for task in waiting {
            count = count.saturating_add(of(&task.domain_probe));
            if count >= enough {
                break;
            }
        }
        count.min(enough)
    }

    /// Sends a session without work away, so that another door of the lane gets its place.
    pub(super) fn close_useless_session(&mut self, lane: LaneId) {
        if self.lanes[lane].leaving > 0 {
            return;
        }
        let endpoints = self.lanes[lane].endpoints.values().map(|&endpoint| &self.endpoints[endpoint]);
        let useless =
            endpoints.filter(|endpoint| endpoint.tasks.is_empty() || endpoint.hold_until > self.now.elapsed);
        let idle = useless.flat_map(|endpoint| &endpoint.idle);
        let left = |id: &&SessionId| self.sessions.get(id).map(SessionState::refusals_left);
        if let Some(&session) = idle.min_by_key(left) {
            self.quit(session);
        }
    }

    /// The caps on unknown recipients are used up: wait for them, or leave the rest to a later run.
    pub(super) fn on_unknown_cap(&mut self, endpoint_id: EndpointId) -> DispatchResult {
        let lane = &self.lanes[self.endpoints[endpoint_id].lane];
        let again = lane.unknown_again(self.now.elapsed);
        if lane.in_flight > 0 || again <= self.now.elapsed {
            return DispatchResult::Full;
        }
        if again <= self.limits.retry_policy.max_wait {
            return DispatchResult::Until(again);
        }
        let wait = again.saturating_sub(self.now.elapsed);
        let left = self.clear_queue(endpoint_id);
        self.decided(ProviderEventKind::CapReached, self.endpoints[endpoint_id].lane, left.len());
        for task in left {
            if let Some(task) = self.tasks[task].as_mut() {
                task.domain_probe.postpone(NotProbedReason::Budget(wait));
            }
            self.go_on(task);
        }
        DispatchResult::Nothing
    }

    pub(super) fn open(&mut self, endpoint_id: EndpointId) {
        let endpoint = &mut self.endpoints[endpoint_id];
        let lane = &mut self.lanes[endpoint.lane];
        let operator = lane.operator;
        let session = SessionId(self.next_session);
        self.next_session += 1;
        endpoint.working += 1;
        lane.open += 1;
        self.sessions
            .insert(session, SessionState::new(endpoint_id, lane.session_limits, lane.provider.may_discard));
        self.actions.push_back(Action::Connection(ConnectionAction::Open(SessionOpening {
            session,
            egress: lane.egress,
            host: endpoint.host.clone(),
            address: endpoint.address,
            tls: endpoint.tls == EndpointTls::Wanted,
            provider: lane.provider.clone(),
        })));
        self.received(operator, |reception| reception.tried = true);
    }
}
