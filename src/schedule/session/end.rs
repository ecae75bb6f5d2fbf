//! The end of a session: what was not answered is asked again, and its host bears the consequence.

use super::{Asked, DoorId, DoorTls, Heard, LaneId, REST, Scheduler, Session, SessionId, State};
use crate::reason::{Cause, Finding};
use crate::schedule::decision::Ruling;
use crate::verdict::evidence::{Obstacle, Said};

impl Scheduler {
    pub(super) fn ended(&mut self, id: SessionId, how: &Heard) {
        let is_out_of_step = *how == Heard::Broken(Some(Finding::MalformedReply));
        if !is_out_of_step {
            self.believe(id);
        }
        self.forget_closing(id);
        self.set_state(id, State::Leaving);
        self.unsay_doubtful(id);
        let Some(mut session) = self.sessions.remove(&id) else {
            return;
        };
        let door_id = session.door;
        let lane_id = self.doors[door_id].lane;
        let lane = &mut self.lanes[lane_id];
        lane.open -= 1;
        lane.leaving -= 1;
        lane.flying -= u32::try_from(session.flying.len()).unwrap_or(0);
        let broke_off = !session.flying.is_empty();
        // What broke a session without a word may be its oldest open question.
        let suspected = match how {
            Heard::Broken(finding) if session.spoilt.is_none() => *finding,
            _ => None,
        };
        let mut unanswered = std::mem::take(&mut session.flying);
        unanswered.sort_unstable_by_key(|asked| asked.ask);
        let was_question = self.ask_again(&unanswered, suspected);
        self.learn_manners(lane_id, &session, broke_off, matches!(how, Heard::Refused(_)), was_question);
        self.bear_the_end(door_id, &session, how, was_question);
        for Asked { course, .. } in unanswered {
            self.go_on(course);
        }
        if is_out_of_step {
            self.withdraw(lane_id, &Obstacle::Broken(Finding::MalformedReply));
        }
        self.run_dry(lane_id);
        self.wake_lane(lane_id);
        self.may_retire(lane_id);
    }

    /// Hands unanswered questions back. True when the oldest of them was given up because it ended a session again.
    fn ask_again(&mut self, unanswered: &[Asked], mut suspected: Option<Finding>) -> bool {
        let mut was_question = false;
        for Asked { course, who, .. } in unanswered {
            let Some(course) = self.courses[*course].as_mut() else {
                continue;
            };
            match suspected.take() {
                Some(finding) => {
                    was_question = course.inquiry.dropped(*who, Obstacle::Broken(finding), self.now);
                }
                None => course.inquiry.unanswered(*who),
            }
        }
        was_question
    }

    /// A host that cut a session bore some of what it got, so the next session asks for less.
    fn learn_manners(
        &mut self,
        lane_id: LaneId,
        session: &Session,
        broke_off: bool,
        was_refused: bool,
        was_question: bool,
    ) {
        let lane = &mut self.lanes[lane_id];
        let was_cut = broke_off || was_refused;
        // One silent drop may be chance; a second session in a row is not.
        let was_cut_before = std::mem::replace(&mut lane.was_cut, was_cut && !was_question);
        if session.answers == 0 || !(was_refused || (was_cut && was_cut_before && !was_question)) {
            return;
        }
        lane.flight = (lane.flight / 2).max(1);
        let manners = &mut lane.manners;
        if session.refused > 1 {
            manners.refused = manners.refused.min(session.refused - 1);
        } else {
            manners.transactions = manners.transactions.min(session.transactions.saturating_sub(1).max(1));
        }
        self.decided(Ruling::MannersTightened, lane_id, 0);
    }

    /// What the end means for the door, the lane and the operator.
    fn bear_the_end(&mut self, door_id: DoorId, session: &Session, how: &Heard, was_question: bool) {
        match how {
            Heard::Refused(said) => {
                self.census.connected = true;
                // A server that ends a session in which it answered is not displeased with what we are.
                if session.answers == 0 || said.meaning.cause != Cause::RateLimited {
                    self.displeased(door_id, said);
                }
            }
            Heard::Broken(_) if session.spoilt.is_some() => {
                if let Some(said) = &session.spoilt {
                    self.displeased(door_id, said);
                }
            }
            Heard::Broken(Some(finding)) if session.answers == 0 && !was_question => {
                let is_unreachable = *finding == Finding::ConnectFailed;
                self.census.connected |= !is_unreachable;
                let operator = self.lanes[self.doors[door_id].lane].operator;
                self.received(operator, |reception| reception.unreachable |= is_unreachable);
                self.broken(door_id, *finding);
            }
            Heard::NoTls if self.doors[door_id].tls == DoorTls::Wanted => {
                self.doors[door_id].tls = DoorTls::Broken;
            }
            Heard::NoTls => self.broken(door_id, Finding::Disconnected),
            _ => {}
        }
    }

    /// A server refused us in the middle of a session.
    pub(super) fn displeased(&mut self, door_id: DoorId, said: &Said) {
        match said.meaning.cause {
            Cause::TlsRequired => match self.doors[door_id].tls {
                DoorTls::Plain => self.doors[door_id].tls = DoorTls::Wanted,
                // It demands what did not work: nothing more can be learnt here.
                DoorTls::Wanted | DoorTls::Broken => {
                    self.close_door(door_id, &Obstacle::Refused(Box::new(said.clone())));
                }
            },
            Cause::RateLimited => {
                let rest = said.meaning.retry_in.unwrap_or(REST * 2);
                let lane = self.doors[door_id].lane;
                self.lanes[lane].slow_down(self.now.elapsed + rest);
                self.decided(Ruling::SlowedDown, lane, 0);
                self.refused(door_id, said);
            }
            _ => self.refused(door_id, said),
        }
    }
}
