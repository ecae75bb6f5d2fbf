//! Refusals and broken sessions: who rests, who is given up, and what that means for those who wait there.

use super::{CourseId, DoorId, REST, Scheduler, lane};
use crate::reason::{Fault, Finding};
use crate::verdict::evidence::{Obstacle, Said};

/// Sessions that broke in a row, without one answer, before a door is given up.
const STRIKES: u32 = 2;

impl Scheduler {
    /// Everybody who waits at a door is blocked.
    pub(super) fn close_door(&mut self, door_id: DoorId, obstacle: &Obstacle) {
        self.doors[door_id].dead = Some(obstacle.clone());
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
        let lane_id = door.lane;
        if said.meaning.cause.fault() == Fault::Us {
            let lane = &mut self.lanes[lane_id];
            let was_paused = lane.paused.is_some();
            let key = lane.key.clone();
            lane.refused(said, hurried);
            // Egresses that are refused one after the other need not all learn it by themselves.
            let elsewhere =
                (0..self.limits.egresses).filter_map(|egress| self.lane_of.get(&(egress, key.clone())));
            let in_row: u32 = elsewhere.map(|&lane| self.lanes[lane].refused_in_row()).sum();
            let lane = &mut self.lanes[lane_id];
            if in_row >= lane::REFUSALS_TO_PAUSE && lane.tally.asked == 0 {
                lane.pause(said);
            }
            if lane.paused.is_some() {
                self.census.answered += usize::from(!was_paused && lane.tally.asked == 0);
                self.census.refused += usize::from(!was_paused);
                let doors: Vec<DoorId> = lane.doors.values().copied().collect();
                for door in doors {
                    self.send_on(door);
                }
                return;
            }
        }
        let tries = door.refusals as usize;
        let wait = said.meaning.retry_in.unwrap_or(REST * 4u32.saturating_pow(door.refusals - 1));
        if hurried || tries >= lane::REFUSALS_TO_PAUSE as usize || wait > self.limits.patience.max_wait {
            let obstacle = Obstacle::Refused(Box::new(said.clone()));
            self.close_door(door_id, &obstacle);
        } else {
            door.hold_until = self.now.elapsed + wait;
        }
    }

    /// A session broke without one answer.
    pub(super) fn broken(&mut self, door_id: DoorId, finding: Finding) {
        let hurried = self.limits.patience.max_wait < REST;
        let door = &mut self.doors[door_id];
        door.strikes += 1;
        if hurried || door.strikes >= STRIKES || finding == Finding::ConnectFailed {
            self.close_door(door_id, &Obstacle::Broken(finding));
        } else {
            door.hold_until = self.now.elapsed + REST;
        }
    }
}
