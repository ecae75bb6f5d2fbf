//! Starts what may start: at each lane in turn a flight on an idle session, or a new session.
//!
//! Decides: the order of waiting. A lane that may not start says when it may; nobody else waits for it.

use std::cmp::Reverse;
use std::time::Duration;

use super::decision::Ruling;
use super::door::DoorTls;
use super::lane::{FLIGHT, PROBES_PER_REFUSAL};
use super::session::Session;
use super::{Action, DoorId, LaneId, Opening, Scheduler, SessionId, Timer, Wire};
use crate::probe::Inquiry;
use crate::verdict::evidence::Unprobed;

/// What [`Scheduler::serve`] did.
pub(super) enum Served {
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
            self.put_longest_first(id);
            let mut lacks_room = false;
            let mut untried = self.lanes[id].busy_doors.len();
            while untried > 0 {
                untried -= 1;
                let Some(door) = self.lanes[id].busy_doors.pop_front() else {
                    break;
                };
                match self.serve(door) {
                    Served::Nothing => {
                        self.doors[door].busy = false;
                        self.prove_at(door);
                        continue;
                    }
                    Served::Started => untried = self.lanes[id].busy_doors.len() + 1,
                    Served::Until(at) => later(at),
                    Served::NoRoom => lacks_room = true,
                    Served::Full => {}
                }
                self.lanes[id].busy_doors.push_back(door);
            }
            if lacks_room {
                self.make_room(id);
            }
        }
        if let Some(at) = wake {
            self.timers.insert((at.max(self.now.elapsed + Duration::from_nanos(1)), Timer::Lane(id)));
        }
    }

    /// Starts one thing at a door: a flight on an idle session, or a new session.
    pub(super) fn serve(&mut self, door_id: DoorId) -> Served {
        let door = &self.doors[door_id];
        if door.courses.is_empty() {
            return Served::Nothing;
        }
        if door.hold_until > self.now.elapsed {
            return Served::Until(door.hold_until);
        }
        let Some(session) = self.next_idle(door_id) else {
            return self.dial(door_id);
        };
        match self.fly(door_id, session) {
            // The time until the next flight is used for the next session, where sessions are the scarce good.
            Served::Until(flight) if self.lanes[self.doors[door_id].lane].lacks_sessions() => {
                match self.dial(door_id) {
                    Served::Started => Served::Started,
                    Served::Until(dial) => Served::Until(flight.min(dial)),
                    Served::Nothing | Served::Full | Served::NoRoom => Served::Until(flight),
                }
            }
            served => served,
        }
    }

    /// The idle session that is nearest to its end, so that sessions are used up one after the other.
    fn next_idle(&self, door: DoorId) -> Option<SessionId> {
        let left = |id: &&SessionId| self.sessions.get(id).map(Session::refusals_left);
        self.doors[door].idle.iter().min_by_key(left).copied()
    }

    /// Opens a session at a door, if those that it has are too few for the questions that wait there.
    fn dial(&mut self, door_id: DoorId) -> Served {
        let door = &self.doors[door_id];
        let lane_id = door.lane;
        let lane = &self.lanes[lane_id];
        if !lane.has_room() {
            return if door.working == 0 && door.idle.is_empty() { Served::NoRoom } else { Served::Full };
        }
        let sessions = door.working + u32::try_from(door.idle.len()).unwrap_or(u32::MAX);
        let for_each = lane.manners.refused.saturating_mul(PROBES_PER_REFUSAL).min(FLIGHT);
        if !self.has_prospects_of(door_id, sessions * for_each + 1) {
            return Served::Full;
        }
        if lane.unknown_left(self.now.elapsed) == 0 {
            return self.hit_cap(door_id);
        }
        if self.sessions.len() >= self.limits.sessions {
            if !std::mem::replace(&mut self.lanes[lane_id].is_starved, true) {
                self.starved.push_back(lane_id);
                self.make_way();
            }
            return Served::Full;
        }
        let lane = &mut self.lanes[lane_id];
        if let Err(wait) = lane.dials.take(1) {
            lane.dial_from = self.now.elapsed + wait;
            return Served::Until(lane.dial_from);
        }
        self.open(door_id);
        Served::Started
    }

    /// Where most wait, a new session is used up before its door has nobody left. So these doors come first when a session
    /// may be opened.
    fn put_longest_first(&mut self, id: LaneId) {
        let lane = &mut self.lanes[id];
        if lane.busy_doors.len() > 1 && lane.has_room() && lane.dial_from <= self.now.elapsed {
            let asks = |door: &DoorId| Reverse(self.doors[*door].courses.asks());
            lane.busy_doors.make_contiguous().sort_by_key(asks);
        }
    }

    /// Are at least so many questions to come at a door, from those who wait there?
    pub(super) fn has_prospects_of(&self, door_id: DoorId, enough: u32) -> bool {
        let courses = &self.doors[door_id].courses;
        courses.len() >= enough as usize || self.count(door_id, enough, Inquiry::prospect) >= enough
    }

    /// How many questions could be asked at a door now; counts no further than to `enough`.
    pub(super) fn demand(&self, door_id: DoorId, enough: u32, hurry: bool) -> u32 {
        self.count(door_id, enough, |inquiry| inquiry.demand(hurry))
    }

    fn count(&self, door_id: DoorId, enough: u32, of: impl Fn(&Inquiry) -> u32) -> u32 {
        let waiting = self.doors[door_id].courses.iter().filter_map(|course| self.courses[course].as_ref());
        let mut count: u32 = 0;
        for course in waiting {
            count = count.saturating_add(of(&course.inquiry));
            if count >= enough {
                break;
            }
        }
        count.min(enough)
    }

    /// Sends a session without work away, so that another door of the lane gets its place.
    pub(super) fn make_room(&mut self, lane: LaneId) {
        if self.lanes[lane].leaving > 0 {
            return;
        }
        let doors = self.lanes[lane].doors.values().map(|&door| &self.doors[door]);
        let useless = doors.filter(|door| door.courses.is_empty() || door.hold_until > self.now.elapsed);
        let idle = useless.flat_map(|door| &door.idle);
        let left = |id: &&SessionId| self.sessions.get(id).map(Session::refusals_left);
        if let Some(&session) = idle.min_by_key(left) {
            self.quit(session);
        }
    }

    /// The caps on unknown recipients are used up: wait for them, or leave the rest to a later run.
    pub(super) fn hit_cap(&mut self, door_id: DoorId) -> Served {
        let lane = &self.lanes[self.doors[door_id].lane];
        let again = lane.unknown_again(self.now.elapsed);
        if lane.flying > 0 || again <= self.now.elapsed {
            return Served::Full;
        }
        if again <= self.limits.patience.max_wait {
            return Served::Until(again);
        }
        let wait = again.saturating_sub(self.now.elapsed);
        let left = self.clear_queue(door_id);
        self.decided(Ruling::CapReached, self.doors[door_id].lane, left.len());
        for course in left {
            if let Some(course) = self.courses[course].as_mut() {
                course.inquiry.give_up(Unprobed::Budget(wait));
            }
            self.go_on(course);
        }
        Served::Nothing
    }

    pub(super) fn open(&mut self, door_id: DoorId) {
        let door = &mut self.doors[door_id];
        let lane = &mut self.lanes[door.lane];
        let operator = lane.operator;
        let session = SessionId(self.next_session);
        self.next_session += 1;
        door.working += 1;
        lane.open += 1;
        self.sessions.insert(session, Session::new(door_id, lane.manners, lane.provider.may_discard));
        self.actions.push_back(Action::Wire(Wire::Open(Opening {
            session,
            egress: lane.egress,
            host: door.host.clone(),
            address: door.address,
            tls: door.tls == DoorTls::Wanted,
            provider: lane.provider.clone(),
        })));
        self.received(operator, |reception| reception.tried = true);
    }
}
