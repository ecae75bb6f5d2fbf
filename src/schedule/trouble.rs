//! Refusals and broken sessions: who rests, who is given up, and what that means for those who wait there.

use super::decision::Ruling;
use super::{CourseId, DoorId, LaneId, REST, Scheduler};
use crate::reason::{Cause, Fault, Finding, Verdict};
use crate::verdict::evidence::{Obstacle, Said};

impl Scheduler {
    /// Everybody who waits at a door is blocked.
    pub(super) fn close_door(&mut self, door_id: DoorId, obstacle: &Obstacle) {
        self.doors[door_id].dead = Some(obstacle.clone());
        self.decided(Ruling::HostGivenUp, self.doors[door_id].lane, 0);
        self.send_on(door_id);
    }

    /// Lets everybody who waits at a door look for another.
    pub(super) fn send_on(&mut self, door_id: DoorId) {
        for id in self.clear_queue(door_id) {
            self.go_on(id);
        }
    }

    /// Takes all domains out of a door's queue.
    pub(super) fn clear_queue(&mut self, door_id: DoorId) -> Vec<CourseId> {
        let queue = std::mem::take(&mut self.doors[door_id].courses);
        let mut waiting = Vec::with_capacity(queue.len());
        for id in queue.iter() {
            if let Some(course) = self.courses[id].as_mut() {
                course.queued = false;
                waiting.push(id);
            } else {
                self.free_courses.push(id);
            }
        }
        waiting
    }

    /// A session was refused for what we are, or by a host in trouble.
    pub(super) fn refused(&mut self, door_id: DoorId, said: &Said) {
        let hurried = self.limits.patience.max_wait < REST;
        let door = &mut self.doors[door_id];
        door.refusals += 1;
        let lane = door.lane;
        if said.meaning.cause.fault() == Fault::Us {
            self.note_displeasure(lane, said);
            let at_once = if hurried { 1 } else { self.limits.thresholds.breaker.sessions };
            let in_row = self.lanes[lane].refused();
            // Egresses that are refused one after the other need not all learn it by themselves.
            let operator = &self.operators[self.lanes[lane].operator];
            let of_all: u32 = operator.lanes.iter().map(|&lane| self.lanes[lane].refused_in_row()).sum();
            let never_answered = self.lanes[lane].tally.asked == 0;
            if in_row >= at_once || (of_all >= at_once && never_answered) {
                return self.leave_alone(lane, said);
            }
        }
        let door = &mut self.doors[door_id];
        let tries = door.refusals as usize;
        let wait = said.meaning.retry_in.unwrap_or(REST * 4u32.saturating_pow(door.refusals - 1));
        if hurried
            || tries >= self.limits.thresholds.breaker.sessions as usize
            || wait > self.limits.patience.max_wait
        {
            let obstacle = Obstacle::Refused(Box::new(said.clone()));
            self.close_door(door_id, &obstacle);
        } else {
            door.hold_until = self.now.elapsed + wait;
        }
    }

    /// Notes a refusal that is about what we are, not about our pace.
    pub(super) fn note_displeasure(&mut self, lane: LaneId, said: &Said) {
        let cause = said.meaning.cause;
        if cause.fault() == Fault::Us && cause.verdict() == Verdict::Unknown && said.reply.is_permanent() {
            let is_pace = matches!(cause, Cause::RateLimited | Cause::TlsRequired | Cause::ProtocolError);
            let displeased = &mut self.lanes[lane].displeased;
            if !is_pace && displeased.is_none() {
                *displeased = Some(Box::new(said.clone()));
            }
        }
    }

    /// Leaves a lane alone for the rest of the run. What it said last is taken back, and who waits there looks elsewhere.
    pub(super) fn leave_alone(&mut self, id: LaneId, said: &Said) {
        let lane = &mut self.lanes[id];
        if lane.paused.is_some() {
            return;
        }
        lane.paused = Some(Box::new(said.clone()));
        let (operator, doors) = (lane.operator, lane.doors.values().copied().collect::<Vec<DoorId>>());
        self.note_refusal(operator);
        self.decided(Ruling::LeftAlone, id, self.lanes[id].backlog);
        self.withdraw(id, &Obstacle::Refused(Box::new(said.clone())));
        for door in doors {
            self.send_on(door);
        }
    }

    /// A session broke without one answer. The host rests longer each time; nobody waits for one that can't be reached.
    pub(super) fn broken(&mut self, door_id: DoorId, finding: Finding) {
        let patience = self.limits.patience.max_wait;
        let most = match finding {
            Finding::ConnectFailed => 1,
            Finding::Timeout => self.limits.thresholds.broken.silent,
            _ => self.limits.thresholds.broken.sessions,
        };
        let door = &mut self.doors[door_id];
        let rest = REST * 4u32.saturating_pow(door.strikes);
        door.strikes += 1;
        if door.strikes >= most || rest > patience {
            self.close_door(door_id, &Obstacle::Broken(finding));
        } else {
            door.hold_until = self.now.elapsed + rest;
        }
    }
}
