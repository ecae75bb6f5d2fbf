//! One session as the scheduler sees it: what it may still do, and what happens on it.
//!
//! `flight` puts questions on it, `answers` takes what comes back, `doubt` asks for proof that the host still tells names
//! apart, `rest` is the time between flights, `end` what its end means.

mod answers;
mod doubt;
mod end;
mod flight;
mod rest;

use std::time::Duration;

use super::door::DoorTls;
use super::{Action, CourseId, DoorId, LINGER, LaneId, REST, Scheduler, SessionId, Timer, Wire};
use crate::policy::Manners;
use crate::probe::Who;
use crate::reason::Finding;
use crate::smtp::session::{Answer, AskId, End, Ended, Event, Offer};
use crate::smtp::{Reply, Stage};
use crate::verdict::evidence::Said;
use doubt::Doubts;

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
    /// Of these, as unknown.
    unknown: u32,
    answers: u32,
    /// When it last had nothing to do.
    idle_since: Duration,
    /// What makes this session useless for more questions.
    spoilt: Option<Said>,
    /// Its acceptances may be lies, so a transaction is kept for a closing control.
    may_discard: bool,
    doubts: Doubts,
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
    /// A session on its way.
    pub(super) fn new(door: DoorId, manners: Manners, may_discard: bool) -> Session {
        Session {
            door,
            state: State::Working,
            manners,
            offer: Offer::default(),
            flying: Vec::new(),
            answered: Vec::new(),
            transactions: 0,
            refused: 0,
            unknown: 0,
            answers: 0,
            idle_since: Duration::ZERO,
            spoilt: None,
            may_discard,
            doubts: Doubts::default(),
        }
    }

    fn most_transactions(&self) -> u32 {
        self.manners.transactions.min(self.offer.mail_max.unwrap_or(u32::MAX))
    }

    fn transactions_left(&self) -> u32 {
        let most = self.most_transactions();
        let kept = u32::from(self.may_discard && most > 1);
        (most - kept).saturating_sub(self.transactions)
    }

    /// Is there a transaction left for a closing control?
    fn may_close(&self) -> bool {
        self.transactions < self.most_transactions()
    }

    /// Refused recipients that it may still have.
    pub(super) fn refusals_left(&self) -> u32 {
        self.manners.refused.saturating_sub(self.refused)
    }

    /// Of these, the ones that questions may use. Where refusals came that prove nothing, as those that put off do, one is
    /// kept for the closing control of what was accepted with doubt.
    fn refusals_to_spare(&self) -> u32 {
        let keeps_one = !self.doubts.is_empty() && self.refused > self.unknown;
        self.refusals_left().saturating_sub(u32::from(keeps_one))
    }

    fn recipients(&self) -> u32 {
        self.manners.recipients.min(self.offer.rcpt_max.unwrap_or(u32::MAX)).max(1)
    }

    fn is_used_up(&self) -> bool {
        self.spoilt.is_some() || self.transactions_left() == 0 || self.refusals_to_spare() == 0
    }
}

/// Makes what the wire tells into what the scheduler hears; `said` adds what a reply means.
pub fn meant(event: Event, mut said: impl FnMut(Stage, Reply) -> Said) -> Heard {
    match event {
        Event::Ready(offer) => Heard::Ready(offer),
        Event::Landed => Heard::Landed,
        Event::Answered(ask, Answer::Rcpt(reply)) => Heard::Answered(ask, said(Stage::Rcpt, reply)),
        Event::Answered(ask, Answer::Mail(reply)) => Heard::Answered(ask, said(Stage::Mail, reply)),
        Event::Answered(ask, Answer::NoSmtputf8) => Heard::Unable(ask),
        Event::Ended(Ended { stage, why }) => match why {
            End::Quit => Heard::Broken(None),
            End::Refused(reply) => Heard::Refused(said(stage, reply)),
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
                self.rest(id);
            }
            // Believed when the flight has landed: a server that says too much may have answered somebody else.
            Heard::Answered(ask, said) => session.answered.push((ask, said)),
            Heard::Unable(ask) => self.unable(id, ask),
            Heard::Landed => {
                self.believe(id);
                self.rest(id);
            }
            Heard::Refused(_) | Heard::Broken(_) | Heard::NoTls => self.ended(id, &heard),
        }
    }

    /// The lane of a session.
    fn lane_of(&self, id: SessionId) -> Option<LaneId> {
        self.sessions.get(&id).map(|session| self.doors[session.door].lane)
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
            State::Idle => {
                door.idle.retain(|other| *other != id);
                self.idle.remove(&id);
            }
            State::Leaving => lane.leaving -= 1,
        }
        match state {
            State::Working => door.working += 1,
            State::Idle => {
                door.idle.push(id);
                self.idle.insert(id);
            }
            State::Leaving => lane.leaving += 1,
        }
        session.state = state;
    }
}
