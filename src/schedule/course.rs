//! A course: one domain's inquiry on its way through its exchangers.
//!
//! Decides: where a domain's questions wait, and when the next exchanger is asked. Must not: start anything.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::door::Door;
use super::retire::place;
use super::{Action, CourseId, DoorId, LaneId, Scheduler, Stop, Timer};
use crate::probe::Inquiry;
use crate::probe::inquiry::Next;
use crate::reason::Finding;
use crate::verdict::evidence::Obstacle;

/// One domain on its way.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) inquiry: Inquiry,
    /// The exchangers left, the front one is being asked; in step with the inquiry's.
    pub(super) stops: VecDeque<(Stop, LaneId)>,
    /// The lane that it was ordered at.
    pub(super) home: LaneId,
    /// That it was decided whether the domain accepts any name has been told.
    pub(super) was_told: bool,
    /// Where its questions wait, or were last asked.
    pub(super) door: Option<DoorId>,
    /// It stands in its door's queue.
    pub(super) queued: bool,
    /// It was asked about already.
    pub(super) begun: bool,
}

impl Scheduler {
    /// Brings a course to its next step: a queue, a wait, the next exchanger, or its end.
    pub(super) fn go_on(&mut self, id: CourseId) {
        loop {
            self.tell_final(id);
            let now = self.now;
            let Some(course) = self.courses[id].as_mut() else {
                return;
            };
            if self.stopping.is_some() {
                // What was asked is heard to its end and, where it is doubted, proven; nothing more is asked.
                if !course.inquiry.is_flying() && !course.inquiry.is_doubted() {
                    self.settle(id);
                }
                return;
            }
            match course.inquiry.next(now) {
                Next::Hear => return,
                Next::Done => return self.settle(id),
                Next::Wait(due) => {
                    self.timers.insert((due, Timer::Course(id)));
                    return;
                }
                Next::Move => {
                    course.inquiry.advance(now);
                    let left = course.stops.pop_front();
                    course.door = None;
                    if let Some((_, lane)) = left {
                        self.lanes[lane].courses -= 1;
                    }
                }
                Next::Ask => {
                    if course.queued {
                        return;
                    }
                    match self.find_door(id) {
                        Ok(door) => return self.queue(id, door),
                        Err(obstacle) => self.block(id, obstacle),
                    }
                }
            }
        }
    }

    /// A living door for the course's current exchanger.
    pub(super) fn find_door(&mut self, id: CourseId) -> Result<DoorId, Obstacle> {
        let nobody = Obstacle::Broken(Finding::ConnectFailed);
        let Some(course) = self.courses[id].as_ref() else {
            return Err(nobody);
        };
        let Some((stop, lane_id)) = course.stops.front() else {
            return Err(nobody);
        };
        let lane_id = *lane_id;
        let lane = &self.lanes[lane_id];
        if let Some(said) = &lane.paused {
            return Err(Obstacle::Refused(said.clone()));
        }
        if let Some(door) = course.door
            && self.doors[door].dead.is_none()
        {
            return Ok(door);
        }
        let mut last = nobody;
        // A door that others use already is better than a new one: its connection serves this domain too.
        let known = stop.addresses.iter().filter(|address| lane.doors.contains_key(address));
        let reached = known.chain(&stop.addresses).filter(|address| self.reaches(lane.egress, address));
        let addresses: Vec<IpAddr> = reached.copied().collect();
        let lane = &mut self.lanes[lane_id];
        for address in &addresses {
            let door = *lane.doors.entry(*address).or_insert_with(|| {
                let new = Door::new(lane_id, *address, stop.host.clone(), lane.provider.tls);
                place(&mut self.doors, &mut self.free.doors, new)
            });
            match &self.doors[door].dead {
                None => return Ok(door),
                Some(obstacle) => last = obstacle.clone(),
            }
        }
        Err(last)
    }

    pub(super) fn queue(&mut self, id: CourseId, door_id: DoorId) {
        let Some(course) = self.courses[id].as_mut() else {
            return;
        };
        (course.door, course.queued) = (Some(door_id), true);
        let door = &mut self.doors[door_id];
        if door.told_apart.is_none() && course.inquiry.refuses_made_up() {
            door.told_apart = Some(course.inquiry.domain().clone());
        }
        door.courses.push(id, course.inquiry.unasked(), course.begun);
        if !std::mem::replace(&mut door.busy, true) {
            self.lanes[door.lane].busy_doors.push_back(door_id);
        }
        self.timers.insert((self.now.elapsed, Timer::Lane(door.lane)));
    }

    pub(super) fn block(&mut self, id: CourseId, obstacle: Obstacle) {
        let now = self.now;
        if let Some(course) = self.courses[id].as_mut() {
            course.inquiry.blocked(obstacle, now);
        }
    }

    pub(super) fn settle(&mut self, id: CourseId) {
        let Some(mut course) = self.courses[id].take() else {
            return;
        };
        self.open_courses -= 1;
        for (_, lane) in &course.stops {
            self.lanes[*lane].courses -= 1;
        }
        if !course.queued {
            // Else its place in the queue still has the id; who finds it there frees it.
            self.free_courses.push(id);
        }
        let domain = course.inquiry.domain().clone();
        let lane = course.stops.front().map_or(course.home, |(_, lane)| *lane);
        let (mut known, settled) = course.inquiry.settle(self.stopping);
        known.egress = known.is_waiting().then_some(self.lanes[course.home].egress);
        // First, so that it is forgotten should the answers be taken back at once.
        self.actions.push_back(Action::Learnt(domain, known));
        self.hold(lane, course.home, settled, course.elsewhere().as_ref());
        for (_, lane) in &course.stops {
            self.may_retire(*lane);
        }
        if self.open_courses == 0 {
            self.let_go();
        }
    }

    /// Hands out what is final before the whole domain is, and tells what its other parts need not ask again.
    fn tell_final(&mut self, id: CourseId) {
        let Some(course) = self.courses[id].as_mut() else {
            return;
        };
        if course.inquiry.is_decided() && !std::mem::replace(&mut course.was_told, true) {
            let learnt = Action::Learnt(course.inquiry.domain().clone(), course.inquiry.known());
            self.actions.push_back(learnt);
        }
        let taken = course.inquiry.take_final();
        if taken.is_empty() {
            return;
        }
        let elsewhere = course.elsewhere();
        let lane = course.stops.front().map_or(course.home, |(_, lane)| *lane);
        let home = course.home;
        self.hold(lane, home, taken, elsewhere.as_ref());
    }
}
