//! One session as the scheduler sees it: what it heard, what it may still do, and what its end means for its door.

mod flight;

use std::time::Duration;

use super::lane::DoorTls;
use super::{Action, Answered, CourseId, DoorId, LINGER, LaneId, REST, Scheduler, SessionId, Timer};
use crate::policy::Manners;
use crate::probe::Who;
use crate::reason::{Cause, Fault, Finding};
use crate::smtp::session::{Answer, AskId, End, Ended, Event, Offer};
use crate::smtp::{Reply, Stage};
use crate::verdict::evidence::{Attempt, Obstacle, Said};

/// What happened on a session, with its meaning.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// Ready for the first flight.
    Ready(Offer),
    /// A recipient's answer.
    Answered(AskId, Said),
    /// The recipient was not asked, because the server does not take such addresses.
    Unable(AskId),
    /// The flight is over.
    Landed,
    /// The session ended with a refusal.
    Refused(Said),
    /// The session ended otherwise; `None` after our QUIT.
    Broken(Option<Finding>),
    /// The TLS handshake failed; nothing else is wrong.
    NoTls,
}

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    door: DoorId,
    state: State,
    manners: Manners,
    offer: Offer,
    flying: Vec<Asked>,
    /// What came back of it.
    answered: Vec<(AskId, Said)>,
    transactions: u32,
    refused: u32,
    answers: u32,
    /// When it last had nothing to do.
    idle_since: Duration,
    /// What makes this session useless for more questions.
    spoilt: Option<Said>,
}

/// A question under way.
#[derive(Clone, Copy, Debug)]
struct Asked {
    ask: AskId,
    course: CourseId,
    who: Who,
    /// How many recipients its transaction had before it.
    place: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Opening, or in flight.
    Working,
    /// Ready for a flight.
    Idle,
    /// Saying QUIT.
    Leaving,
}

impl Session {
    pub(super) fn new(door: DoorId, manners: Manners) -> Session {
        Session {
            door,
            state: State::Working,
            manners,
            offer: Offer::default(),
            flying: Vec::new(),
            answered: Vec::new(),
            transactions: 0,
            refused: 0,
            answers: 0,
            idle_since: Duration::ZERO,
            spoilt: None,
        }
    }

    fn transactions_left(&self) -> u32 {
        self.manners
            .transactions
            .min(self.offer.mail_max.unwrap_or(u32::MAX))
            .saturating_sub(self.transactions)
    }

    fn refusals_left(&self) -> u32 {
        self.manners.refused.saturating_sub(self.refused)
    }

    fn recipients(&self) -> u32 {
        self.manners.recipients.min(self.offer.rcpt_max.unwrap_or(u32::MAX)).max(1)
    }

    fn is_used_up(&self) -> bool {
        self.spoilt.is_some() || self.transactions_left() == 0 || self.refusals_left() == 0
    }
}

/// Makes what the wire tells into what the scheduler hears; `said` adds what a reply means.
pub fn meant(event: Event, mut said: impl FnMut(Stage, &Reply) -> Said) -> Heard {
    match event {
        Event::Ready(offer) => Heard::Ready(offer),
        Event::Landed => Heard::Landed,
        Event::Answered(ask, Answer::Rcpt(reply)) => Heard::Answered(ask, said(Stage::Rcpt, &reply)),
        Event::Answered(ask, Answer::Mail(reply)) => Heard::Answered(ask, said(Stage::Mail, &reply)),
        Event::Answered(ask, Answer::NoSmtputf8) => Heard::Unable(ask),
        Event::Ended(Ended { stage, why }) => match why {
            End::Quit => Heard::Broken(None),
            End::Refused(reply) => Heard::Refused(said(stage, &reply)),
            End::Closed => Heard::Broken(Some(Finding::Disconnected)),
            End::TimedOut => Heard::Broken(Some(Finding::Timeout)),
            End::Malformed(_) => Heard::Broken(Some(Finding::MalformedReply)),
            End::Connect(_) => Heard::Broken(Some(Finding::ConnectFailed)),
            End::Tls(_) => Heard::NoTls,
        },
    }
}

impl Scheduler {
    pub(super) fn hear_session(&mut self, id: SessionId, heard: Heard) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        match heard {
            Heard::Ready(offer) => {
                session.offer = offer;
                self.census.connected = true;
                let lane = self.doors[session.door].lane;
                self.lanes[lane].tally.sessions += 1;
                self.rest(id);
            }
            // Believed when the flight has landed: a server that says too much may have answered somebody else.
            Heard::Answered(ask, said) => session.answered.push((ask, said)),
            Heard::Unable(ask) => {
                if let Some(asked) = self.landed(id, ask)
                    && let Some(course) = self.courses[asked.course].as_mut()
                {
                    let obstacle = Obstacle::Broken(Finding::Smtputf8Unsupported);
                    course.inquiry.unable(asked.who, obstacle, self.now);
                    self.go_on(asked.course);
                }
            }
            Heard::Landed => {
                self.believe(id);
                self.rest(id);
            }
            Heard::Refused(_) | Heard::Broken(_) | Heard::NoTls => self.ended(id, heard),
        }
    }

    /// Takes the answers of a flight for true.
    fn believe(&mut self, id: SessionId) {
        let answered = self.sessions.get_mut(&id).map(|session| std::mem::take(&mut session.answered));
        for (ask, said) in answered.into_iter().flatten() {
            self.answered(id, ask, said);
        }
    }

    fn answered(&mut self, id: SessionId, ask: AskId, said: Said) {
        let Some(Asked { course: course_id, who, place, .. }) = self.landed(id, ask) else {
            return;
        };
        let now = self.now;
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let door = &mut self.doors[session.door];
        let lane = &mut self.lanes[door.lane];
        let Some(course) = self.courses[course_id].as_mut() else {
            return;
        };
        // Too many recipients for one transaction: this one belongs into the next.
        let is_crowded = said.reply.code == 452 && said.meaning.cause == Cause::RateLimited && place > 0;
        if is_crowded {
            lane.manners.recipients = lane.manners.recipients.min(place);
            session.manners.recipients = session.manners.recipients.min(place);
        }
        // With MAIL refused, or the session ended (421), nothing was said about the recipient.
        let is_unasked = said.stage != Stage::Rcpt || said.reply.code == 421;
        if is_crowded || is_unasked {
            course.inquiry.unanswered(who);
            if is_unasked {
                session.spoilt.get_or_insert(said);
            }
            return self.go_on(course_id);
        }
        let cause = said.meaning.cause;
        session.answers += 1;
        session.refused += u32::from(!said.reply.is_positive());
        if let Who::Listed(_) = who {
            let about_mailbox = cause.fault() == Fault::Mailbox || cause == Cause::Accepted;
            self.census.answered +=
                usize::from(about_mailbox && lane.tally.asked == 0 && lane.paused.is_none());
            lane.tally.asked += u32::from(about_mailbox);
            lane.tally.unknown += u32::from(cause == Cause::MailboxUnknown);
            lane.tally.accepted += u32::from(cause == Cause::Accepted);
        }
        if said.may_be_unknown() {
            lane.count_unknown(now.elapsed);
        }
        if cause.fault() == Fault::Us {
            session.spoilt.get_or_insert_with(|| said.clone());
        } else {
            (door.strikes, door.refusals) = (0, 0);
            lane.pleased();
        }
        let (egress, key) = (lane.egress, lane.key.clone());
        if let (Some(address), Some(exchanger)) = (course.inquiry.address_of(who), course.inquiry.exchanger())
        {
            let attempt = Attempt { exchanger: exchanger.clone(), at: now.wall, said: said.clone() };
            let (domain, address) = (course.inquiry.domain().clone(), address.into_owned());
            let answer = Answered { domain, who, address, attempt, egress, lane: key };
            self.actions.push_back(Action::Answered(answer));
        }
        course.inquiry.heard(who, said, now);
        self.go_on(course_id);
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

    /// A session has nothing under way: it waits for a flight, or leaves.
    fn rest(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let door = session.door;
        self.set_state(id, State::Idle);
        let used_up = self.sessions.get(&id).is_some_and(Session::is_used_up);
        if used_up || self.stopping.is_some() {
            self.quit(id);
        } else {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.idle_since = self.now.elapsed;
            }
            self.timers.insert((self.now.elapsed + LINGER, Timer::Linger(id)));
        }
        self.wake_lane(self.doors[door].lane);
    }

    /// An idle session leaves, unless it was busy meanwhile or its door has questions that wait for their pace only.
    pub(super) fn stop_lingering(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(&id).filter(|session| session.state == State::Idle) else {
            return;
        };
        let (now, door) = (self.now.elapsed, &self.doors[session.door]);
        let is_held = door.hold_until.max(self.lanes[door.lane].hold_until) > now;
        let is_wanted = !door.courses.is_empty() && !is_held && now < session.idle_since + REST;
        let until = session.idle_since + LINGER;
        if until > now || is_wanted {
            let again = if until > now { until } else { now + LINGER };
            self.timers.insert((again, Timer::Linger(id)));
        } else {
            self.quit(id);
        }
    }

    /// Says QUIT on an idle session, and draws the consequence of what spoilt it.
    pub(super) fn quit(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if session.state == State::Leaving {
            return;
        }
        let (door, spoilt) = (session.door, session.spoilt.take());
        self.set_state(id, State::Leaving);
        self.actions.push_back(Action::Quit(id));
        if let Some(said) = spoilt {
            self.displeased(door, &said);
        }
    }

    /// A server refused us in the middle of a session.
    fn displeased(&mut self, door_id: DoorId, said: &Said) {
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
                self.refused(door_id, said);
            }
            _ => self.refused(door_id, said),
        }
    }

    fn ended(&mut self, id: SessionId, how: Heard) {
        if how != Heard::Broken(Some(Finding::MalformedReply)) {
            self.believe(id);
        }
        self.set_state(id, State::Leaving);
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        let door_id = session.door;
        let lane_id = self.doors[door_id].lane;
        let lane = &mut self.lanes[lane_id];
        lane.open -= 1;
        lane.leaving -= 1;
        lane.flying -= u32::try_from(session.flying.len()).unwrap_or(0);
        let broke_off = !session.flying.is_empty();
        let mut courses = Vec::with_capacity(session.flying.len());
        let mut unanswered = session.flying;
        unanswered.sort_unstable_by_key(|asked| asked.ask);
        // What broke a session without a word may be its oldest open question.
        let mut suspected = match how {
            Heard::Broken(finding) if session.spoilt.is_none() => finding,
            _ => None,
        };
        let mut was_question = false;
        for Asked { course: course_id, who, .. } in unanswered {
            let Some(course) = self.courses[course_id].as_mut() else {
                continue;
            };
            courses.push(course_id);
            match suspected.take() {
                Some(finding) => {
                    was_question = course.inquiry.dropped(who, Obstacle::Broken(finding), self.now);
                }
                None => course.inquiry.unanswered(who),
            }
        }
        let was_refused = matches!(how, Heard::Refused(_));
        let was_cut = broke_off || was_refused;
        // One silent drop may be chance; a second session in a row is not.
        let was_cut_before = std::mem::replace(&mut lane.was_cut, was_cut && !was_question);
        if session.answers > 0 && (was_refused || (was_cut && was_cut_before && !was_question)) {
            // It bore some of what it got, so the next session asks for less.
            lane.flight = (lane.flight / 2).max(1);
            let manners = &mut lane.manners;
            if session.refused > 1 {
                manners.refused = manners.refused.min(session.refused - 1);
            } else {
                manners.transactions =
                    manners.transactions.min(session.transactions.saturating_sub(1).max(1));
            }
        }
        match how {
            Heard::Refused(said) => {
                self.census.connected = true;
                // A server that ends a session in which it answered is not displeased with what we are.
                if session.answers == 0 || said.meaning.cause != Cause::RateLimited {
                    self.displeased(door_id, &said);
                }
            }
            Heard::Broken(Some(_)) if session.spoilt.is_some() => {
                if let Some(said) = &session.spoilt {
                    self.displeased(door_id, said);
                }
            }
            Heard::Broken(Some(finding)) if session.answers == 0 && !was_question => {
                self.census.connected |= finding != Finding::ConnectFailed;
                let unreachable = finding == Finding::ConnectFailed && !lane.tally.unreachable;
                lane.tally.unreachable |= unreachable;
                self.census.unreachable += usize::from(unreachable);
                self.broken(door_id, finding);
            }
            Heard::NoTls if self.doors[door_id].tls == DoorTls::Wanted => {
                self.doors[door_id].tls = DoorTls::Broken;
            }
            Heard::NoTls => self.broken(door_id, Finding::Disconnected),
            _ => {}
        }
        for course in courses {
            self.go_on(course);
        }
        self.wake_lane(lane_id);
    }

    fn wake_lane(&mut self, lane: LaneId) {
        self.timers.insert((self.now.elapsed, Timer::Lane(lane)));
    }

    /// Moves a session between the counts of its door and lane.
    fn set_state(&mut self, id: SessionId, state: State) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let door = &mut self.doors[session.door];
        let lane = &mut self.lanes[door.lane];
        match session.state {
            State::Working => door.working -= 1,
            State::Idle => door.idle.retain(|other| *other != id),
            State::Leaving => lane.leaving -= 1,
        }
        match state {
            State::Working => door.working += 1,
            State::Idle => door.idle.push(id),
            State::Leaving => lane.leaving += 1,
        }
        session.state = state;
    }
}
