//! What comes back: answers go to their inquiries, and into the accounts of session, door, lane and operator.

use super::{Asked, LaneId, Scheduler, SessionId};
use crate::probe::{Inquiry, Who};
use crate::reason::{Cause, Fault, Finding};
use crate::schedule::decision::Ruling;
use crate::schedule::lane::Tally;
use crate::schedule::{Action, Answered};
use crate::smtp::Stage;
use crate::smtp::session::AskId;
use crate::verdict::Confidence;
use crate::verdict::evidence::{Attempt, Obstacle, Said};

impl Scheduler {
    /// Takes the answers of a flight for true.
    pub(super) fn believe(&mut self, id: SessionId) {
        let answered = self.sessions.get_mut(&id).map(|session| std::mem::take(&mut session.answered));
        for (ask, said) in answered.into_iter().flatten() {
            self.answered(id, ask, said);
        }
    }

    fn answered(&mut self, id: SessionId, ask: AskId, said: Said) {
        if self.is_closing(id, ask) {
            return self.closed(id, &said);
        }
        let Some(asked) = self.landed(id, ask) else {
            return;
        };
        let Asked { course: course_id, who, place, .. } = asked;
        let now = self.now;
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let door_id = session.door;
        let lane_id = self.doors[door_id].lane;
        // Too many recipients for one transaction: this one belongs into the next.
        let is_crowded = place > 0 && is_about_transaction(&said);
        if is_crowded {
            session.refused += 1;
            session.manners.recipients = session.manners.recipients.min(place);
            self.learn_recipients(lane_id, place);
        }
        let Some(course) = self.courses[course_id].as_mut() else {
            return;
        };
        // With MAIL refused, or the session ended (421), nothing was said about the recipient.
        let is_unasked = said.stage != Stage::Rcpt || said.reply.code == 421;
        if is_crowded || is_unasked {
            course.inquiry.unanswered(who);
            if is_unasked && let Some(session) = self.sessions.get_mut(&id) {
                session.spoilt.get_or_insert(said);
            }
            return self.go_on(course_id);
        }
        let cause = said.meaning.cause;
        let is_doubtful = self.is_doubtful(id, &said);
        self.account(id, &said);
        let Some(course) = self.courses[course_id].as_mut() else {
            return;
        };
        let lane = &mut self.lanes[lane_id];
        let tally = tally_of(&course.inquiry, who, &said);
        lane.tally = lane.tally.and(tally);
        if tally.asked > 0 && lane.paused.is_none() {
            let operator = lane.operator;
            self.received(operator, |reception| (reception.answered, reception.refused) = (true, false));
        }
        if is_doubtful {
            return self.doubt(id, asked, said);
        }
        let is_refusal = cause == Cause::MailboxUnknown && said.meaning.confidence == Confidence::Confirmed;
        if is_refusal {
            // It speaks for what was accepted before, but nothing of that speaks for it.
            self.clear_doubts(id);
        }
        if let Some(answer) = self.to_keep(&asked, lane_id, &said) {
            self.note_proof(lane_id, &answer);
            self.actions.push_back(Action::Answered(answer));
        }
        if let Some(course) = self.courses[course_id].as_mut() {
            if is_refusal {
                self.doors[door_id].told_apart = Some(course.inquiry.domain().clone());
            }
            course.inquiry.heard(who, said, now);
            let is_accepted = cause == Cause::Accepted;
            self.lanes[lane_id].accepted_last = is_accepted.then(|| course.inquiry.domain().clone());
        }
        if cause == Cause::Accepted {
            self.vouched(lane_id);
        }
        self.go_on(course_id);
    }

    /// An operator takes no more recipients in a transaction, from whatever address of ours.
    fn learn_recipients(&mut self, lane: LaneId, most: u32) {
        let mut is_news = false;
        for &lane in &self.operators[self.lanes[lane].operator].lanes {
            let recipients = &mut self.lanes[lane].manners.recipients;
            is_news |= *recipients > most;
            *recipients = most.min(*recipients);
        }
        if is_news {
            self.decided(Ruling::MannersTightened, lane, 0);
        }
    }

    /// The answer as it is kept, where it is about somebody who was not asked about before.
    pub(super) fn to_keep(&self, asked: &Asked, lane: LaneId, said: &Said) -> Option<Answered> {
        let (course, lane) = (self.courses[asked.course].as_ref()?, &self.lanes[lane]);
        if let Who::Again(_) = asked.who {
            return None;
        }
        let exchanger = course.inquiry.exchanger()?.clone();
        Some(Answered {
            domain: course.inquiry.domain().clone(),
            who: asked.who,
            address: course.inquiry.address_of(asked.who)?.into_owned(),
            attempt: Attempt { exchanger, at: self.now.wall, said: said.clone() },
            egress: lane.egress,
            lane: self.operators[lane.operator].key.clone(),
            tally: tally_of(&course.inquiry, asked.who, said),
        })
    }

    /// Counts an answer to a recipient, whoever it was.
    pub(super) fn account(&mut self, id: SessionId, said: &Said) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let door = &mut self.doors[session.door];
        let lane = &mut self.lanes[door.lane];
        let cause = said.meaning.cause;
        session.answers += 1;
        session.refused += u32::from(!said.reply.is_positive());
        if said.may_be_unknown() {
            session.unknown += 1;
            lane.count_unknown(self.now.elapsed);
        }
        if cause.fault() == Fault::Us {
            session.spoilt.get_or_insert_with(|| said.clone());
            let lane = door.lane;
            self.note_displeasure(lane, said);
        } else {
            (door.strikes, door.refusals) = (0, 0);
            lane.pleased();
        }
    }

    /// The host does not take such an address at all.
    pub(super) fn unable(&mut self, id: SessionId, ask: AskId) {
        let Some(asked) = self.landed(id, ask) else {
            return;
        };
        if let Some(course) = self.courses[asked.course].as_mut() {
            let obstacle = Obstacle::Broken(Finding::Smtputf8Unsupported);
            course.inquiry.unable(asked.who, obstacle, self.now);
            self.go_on(asked.course);
        }
    }

    /// Takes an ask off its session.
    fn landed(&mut self, id: SessionId, ask: AskId) -> Option<Asked> {
        let session = self.sessions.get_mut(&id)?;
        let place = session.flying.iter().position(|asked| asked.ask == ask)?;
        let asked = session.flying.swap_remove(place);
        let lane = self.doors[session.door].lane;
        self.lanes[lane].flying -= 1;
        Some(asked)
    }
}

/// What an answer adds to the accounts: nothing, unless it is the first about a listed address.
fn tally_of(inquiry: &Inquiry, who: Who, said: &Said) -> Tally {
    match who {
        Who::Listed(place) => Tally::of(said, inquiry.was_deliverable(place)),
        Who::Again(_) | Who::MadeUp | Who::Postmaster => Tally::default(),
    }
}

/// "Too many recipients" by its codes (RFC 5321 4.5.3.1.10, RFC 3463 X.5.3), not by what else is too fast.
fn is_about_transaction(said: &Said) -> bool {
    let Said { reply, meaning, .. } = said;
    let by_code = match reply.enhanced {
        Some(enhanced) => (enhanced.subject, enhanced.detail) == (5, 3),
        None => matches!(reply.code, 450..=452),
    };
    meaning.cause == Cause::RateLimited && !reply.is_positive() && (by_code || reply.code == 452)
}
