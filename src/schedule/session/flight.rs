//! Flights: which questions leave together on an idle session, and how many.

use super::{Asked, State};
use crate::schedule::dispatch::Served;
use crate::schedule::queue::Queue;
use crate::schedule::{Action, DoorId, Scheduler, SessionId};
use crate::smtp::session::{Ask, AskId, Flight, Transaction};

impl Scheduler {
    /// Puts a flight on an idle session.
    pub(in crate::schedule) fn fly(&mut self, door_id: DoorId, id: SessionId) -> Served {
        let now = self.now;
        let lane_id = self.doors[door_id].lane;
        let Some(session) = self.sessions.get(&id) else {
            return Served::Full;
        };
        let lane = &mut self.lanes[lane_id];
        let unknown_left = lane.unknown_left(now.elapsed);
        if unknown_left == 0 {
            return self.hit_cap(door_id);
        }
        // Refusals are known only after the flight has left, so it holds no more than the session may still get.
        let room = lane.flight.min(lane.asks.burst()).min(session.refusals_left()).min(unknown_left);
        let (recipients, transactions_left) = (session.recipients(), session.transactions_left());
        let size = self.demand(door_id, room).max(1);
        let lane = &mut self.lanes[lane_id];
        if let Err(wait) = lane.asks.take(size) {
            return Served::Until(now.elapsed + wait);
        }
        let mut flight = Flight::default();
        let mut flying = Vec::new();
        let (mut asked, mut begun) = (0, 0);
        while asked < size && begun < transactions_left {
            let Some(course_id) = self.doors[door_id].courses.pop() else {
                break;
            };
            let Some(course) = self.courses[course_id].as_mut() else {
                self.free_courses.push(course_id);
                continue;
            };
            let was_long = Queue::is_long(course.inquiry.unasked());
            let mut recipients_of = Vec::new();
            let asks = course.inquiry.asks(now, recipients.min(size - asked), &mut self.random);
            for (place, (who, address)) in (0..).zip(asks) {
                let id = AskId(self.next_ask);
                self.next_ask += 1;
                asked += 1;
                flying.push(Asked { ask: id, course: course_id, who, place });
                recipients_of.push(Ask { id, address });
            }
            course.queued = course.inquiry.wants_ask(now);
            course.begun |= !recipients_of.is_empty();
            let queue = &mut self.doors[door_id].courses;
            if course.queued {
                queue.push(course_id, course.inquiry.unasked(), course.begun);
            }
            queue.asked(u32::try_from(recipients_of.len()).unwrap_or(u32::MAX), was_long);
            if !recipients_of.is_empty() {
                begun += 1;
                flight.transactions.push(Transaction { recipients: recipients_of });
            } else if !course.queued {
                self.go_on(course_id);
            }
        }
        if flying.is_empty() {
            return Served::Nothing;
        }
        self.set_state(id, State::Working);
        self.lanes[lane_id].flying += asked;
        if let Some(session) = self.sessions.get_mut(&id) {
            session.transactions += begun;
            session.flying.extend(flying);
        }
        self.actions.push_back(Action::Fly(id, flight));
        Served::Started
    }
}
