//! Between flights: a session waits for more questions, asks for proof of what it accepted, or leaves.

use super::{Action, ConnectionAction, EndpointId, LINGER, REST, Scheduler, SessionId, SessionPhase, Timer};

impl Scheduler {
    /// A session has nothing under way: it waits for a flight, or leaves.
    pub(super) fn rest(&mut self, id: SessionId) {
        self.set_state(id, SessionPhase::Idle);
        let now = self.now.elapsed;
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.idle_since = now;
        let endpoint = session.endpoint;
        let is_last = self.close_job_source && self.endpoints[endpoint].tasks.is_empty();
        let has_unconfirmed = !session.unconfirmed.is_empty();
        let is_in_the_way = !self.starved.is_empty() && self.endpoints[endpoint].tasks.is_empty();
        if session.is_used_up() || self.stopping.is_some() || self.open_tasks == 0 || is_in_the_way {
            self.leave(id);
        } else if !(has_unconfirmed && is_last && self.close(id, false)) {
            self.timers.insert((now + LINGER, Timer::Linger(id)));
        }
        self.wake_lane(self.endpoints[endpoint].lane);
    }

    /// An idle session leaves, unless it was busy meanwhile or its door has questions that wait for their pace only.
    pub(in crate::schedule) fn on_idle_timeout(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if std::mem::take(&mut session.unconfirmed.is_waiting) {
            self.set_state(id, SessionPhase::Idle);
            return self.leave(id);
        }
        if session.state != SessionPhase::Idle {
            return;
        }
        let (idle_since, endpoint) = (session.idle_since, &self.endpoints[session.endpoint]);
        let now = self.now.elapsed;
        let is_held = endpoint.hold_until.max(self.lanes[endpoint.lane].hold_until) > now;
        let is_wanted = !endpoint.tasks.is_empty() && !is_held && now < idle_since + REST;
        let until = idle_since + LINGER;
        if until > now || is_wanted {
            let again = if until > now { until } else { now + LINGER };
            self.timers.insert((again, Timer::Linger(id)));
        } else {
            self.leave(id);
        }
    }

    /// Nobody waits at a door, and nobody else will come: sessions that rest there ask for the proof that they lack now, or
    /// the domains that hang on it would wait until they leave.
    pub(in crate::schedule) fn send_closing_controls_at(&mut self, endpoint: EndpointId) {
        if self.close_job_source && self.endpoints[endpoint].tasks.is_empty() {
            for id in self.endpoints[endpoint].idle.clone() {
                self.close(id, false);
            }
        }
    }

    /// A lane found no free socket: an idle session that nobody waits for gives up its own.
    pub(in crate::schedule) fn release_idle_socket(&mut self) {
        /// Who is looked at. Idle sessions with questions before them wait for their pace only, and are few.
        const LOOKED_AT: usize = 16;
        let mut idle = self.idle.iter().copied().take(LOOKED_AT);
        let is_needless = |id: &SessionId| {
            self.sessions.get(id).is_some_and(|session| self.endpoints[session.endpoint].tasks.is_empty())
        };
        if let Some(id) = idle.find(is_needless) {
            self.leave(id);
        }
    }

    /// Nobody is left to be asked about: idle sessions need not wait.
    pub(in crate::schedule) fn close_all_idle(&mut self) {
        while let Some(id) = self.idle.pop_first() {
            self.quit(id);
        }
    }

    /// The run is told to stop: idle sessions leave.
    pub(in crate::schedule) fn leave_all(&mut self) {
        while let Some(&id) = self.idle.first() {
            self.leave(id);
        }
    }

    /// An idle session that gets no more questions: a closing control where it needs one, else QUIT.
    pub(super) fn leave(&mut self, id: SessionId) {
        if !self.close(id, true) {
            self.quit(id);
        }
    }

    /// Says QUIT on an idle session, and draws the consequence of what spoilt it.
    pub(in crate::schedule) fn quit(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if session.state == SessionPhase::Leaving {
            return;
        }
        let (endpoint, spoilt) = (session.endpoint, session.spoilt.take());
        self.set_state(id, SessionPhase::Leaving);
        self.actions.push_back(Action::Connection(ConnectionAction::Quit(id)));
        if let Some(classified) = spoilt {
            self.rejected_us(endpoint, &classified);
        }
        self.revoke_acceptances(id);
    }
}
