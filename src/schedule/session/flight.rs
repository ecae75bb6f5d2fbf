//! Flights: which questions leave together on an idle session, how many, and whether QUIT leaves with them.

use super::{Asked, State};
use crate::address::Address;
use crate::probe::{Inquiry, Who};
use crate::schedule::dispatch::Served;
use crate::schedule::queue::Queue;
use crate::schedule::{Action, CourseId, DoorId, LaneId, Scheduler, SessionId, Wire};
use crate::smtp::session::{Ask, AskId, Flight, Transaction};

/// What a flight may hold.
#[derive(Clone, Copy)]
struct Room {
    questions: u32,
    transactions: u32,
    /// In one transaction.
    recipients: u32,
    /// See [`Inquiry::asks`].
    hurry: bool,
}

impl Scheduler {
    /// Puts a flight on an idle session.
    pub(in crate::schedule) fn fly(&mut self, door_id: DoorId, id: SessionId) -> Served {
        let now = self.now;
        let lane_id = self.doors[door_id].lane;
        let Some(session) = self.sessions.get(&id) else {
            return Served::Full;
        };
        let lane = &self.lanes[lane_id];
        let unknown_left = lane.unknown_left(now.elapsed);
        if unknown_left == 0 {
            return self.hit_cap(door_id);
        }
        // Refusals are known only after the flight has left, so it holds no more than the session may still get.
        let most = lane.flight.min(lane.asks.burst()).min(session.refusals_to_spare()).min(unknown_left);
        let (recipients, transactions) = (session.recipients(), session.transactions_left());
        let hurry = self.is_worth_a_hurry(door_id, most);
        let questions = self.demand(door_id, most, hurry).max(1);
        if let Err(wait) = self.lanes[lane_id].asks.take(questions) {
            return Served::Until(now.elapsed + wait);
        }
        let room = Room { questions, transactions, recipients, hurry };
        let (mut flight, flying) = self.load(door_id, room);
        if flying.is_empty() {
            return Served::Nothing;
        }
        let begun = u32::try_from(flight.transactions.len()).unwrap_or(u32::MAX);
        self.lanes[lane_id].flying += u32::try_from(flying.len()).unwrap_or(u32::MAX);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.transactions += begun;
            session.flying = flying;
        }
        flight.is_last = self.is_last(id, door_id, most) && self.is_proven_by(id, lane_id, &mut flight);
        self.set_state(id, State::Working);
        self.actions.push_back(Action::Wire(Wire::Fly(id, flight)));
        Served::Started
    }

    /// Lanes wait for sockets, and all that waits at this door fits into one flight: the fewer round trips it takes the
    /// sooner its socket is free.
    fn is_worth_a_hurry(&self, door_id: DoorId, most: u32) -> bool {
        !self.starved.is_empty() && self.demand(door_id, most.saturating_add(1), true) <= most
    }

    /// Takes the next questions of a door.
    fn load(&mut self, door_id: DoorId, room: Room) -> (Flight, Vec<Asked>) {
        let now = self.now;
        let mut transactions: Vec<(CourseId, Vec<(Who, Address)>)> = Vec::new();
        let mut left = room.questions;
        while left > 0 && transactions.len() < room.transactions as usize {
            let door = &mut self.doors[door_id];
            let Some(course_id) = door.courses.pop(door.idle.len() > 1) else {
                break;
            };
            let Some(course) = self.courses[course_id].as_mut() else {
                self.free_courses.push(course_id);
                continue;
            };
            let was_long = Queue::is_long(course.inquiry.unasked());
            let asks = course.inquiry.asks(now, room.recipients.min(left), room.hurry, &mut self.random);
            let count = u32::try_from(asks.len()).unwrap_or(u32::MAX);
            left -= count;
            course.queued = course.inquiry.wants_ask(now);
            course.begun |= count > 0;
            let queue = &mut self.doors[door_id].courses;
            if course.queued {
                queue.push(course_id, course.inquiry.unasked(), course.begun);
            }
            queue.asked(count, was_long);
            if count > 0 {
                transactions.push((course_id, asks));
            } else if !course.queued {
                self.go_on(course_id);
            }
        }
        // Refused last, made-up names show that the host told names apart up to there.
        transactions.sort_by_key(|(_, asks)| asks.iter().all(|(who, _)| *who == Who::MadeUp));
        self.number(transactions)
    }

    /// Gives questions their numbers, in the order in which they leave.
    fn number(&mut self, transactions: Vec<(CourseId, Vec<(Who, Address)>)>) -> (Flight, Vec<Asked>) {
        let mut flight = Flight::default();
        let mut flying = Vec::new();
        for (course, asks) in transactions {
            let mut recipients = Vec::with_capacity(asks.len());
            for (place, (who, address)) in (0..).zip(asks) {
                let ask = AskId(self.next_ask);
                self.next_ask += 1;
                flying.push(Asked { ask, course, who, place });
                recipients.push(Ask { id: ask, address });
            }
            flight.transactions.push(Transaction { recipients });
        }
        (flight, flying)
    }

    /// Will nothing be left for a session to ask when the flight that it was given has landed? Either it may not ask more,
    /// or nobody has more questions for it and sessions are not kept for those who may come.
    fn is_last(&self, id: SessionId, door_id: DoorId, most: u32) -> bool {
        let Some(session) = self.sessions.get(&id) else {
            return false;
        };
        if session.transactions_left() == 0 && !session.may_discard {
            return true;
        }
        if self.starved.is_empty() && !self.has_all_orders {
            return false;
        }
        let inquiries = session.flying.iter().filter_map(|asked| self.courses[asked.course].as_ref());
        let others = u32::try_from(self.doors[door_id].idle.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let they_take = others.saturating_mul(most);
        inquiries.map(|course| &course.inquiry).all(Inquiry::keeps_nothing_back)
            && self.demand(door_id, they_take.saturating_add(1), false) <= they_take
    }

    /// Will no acceptance of the flight be in doubt at its end? Where one might, a closing control goes with it.
    fn is_proven_by(&mut self, id: SessionId, lane_id: LaneId, flight: &mut Flight) -> bool {
        let lane = &self.lanes[lane_id];
        let Some(session) = self.sessions.get(&id).filter(|_| lane.provider.may_discard) else {
            return !lane.provider.may_discard;
        };
        let threshold = self.limits.thresholds.doubt;
        let begins = session.unknown == 0 && lane.unknown_names < threshold.unknown_in_run;
        // A first refusal that comes last casts no doubt on anybody.
        let last_decides = match &session.flying[..] {
            [_] => true,
            [others @ .., last] => {
                last.who == Who::MadeUp && others.iter().all(|asked| asked.course == last.course)
            }
            [] => false,
        };
        if begins && last_decides && session.doubts.is_empty() {
            return true;
        }
        let Some(closing) = self.closing(id).ok().flatten() else {
            return false;
        };
        flight.transactions.push(closing);
        true
    }
}
