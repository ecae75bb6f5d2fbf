//! Acceptances that prove nothing yet: some hosts accept, and discard, after too many unknown names.
//!
//! Decides: at operators that nobody knows, whether an acceptance after unknown names is believed. A clear refusal later in
//! the same session shows that the host still tells names apart, and mostly comes by itself; a session that would end
//! without one asks about a made-up name at a domain that refused somebody before. A host that accepts that name is caught:
//! its doubtful acceptances are taken back, and asked again in sessions that end before the lies begin.

use std::time::Duration;

use super::{Action, Asked, LaneId, Scheduler, SessionId, State, Timer, Wire};
use crate::probe::inquiry::Moment;
use crate::probe::{Who, control};
use crate::reason::{Cause, Fault, Finding};
use crate::schedule::decision::Ruling;
use crate::schedule::{Answered, CourseId};
use crate::smtp::Stage;
use crate::smtp::session::{Ask, AskId, Flight, Transaction};
use crate::verdict::evidence::{Obstacle, Said};

/// The doubts of a session.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    /// Listed addresses that were accepted, by their places.
    accepted: Vec<(CourseId, u32)>,
    /// Made-up names that were accepted, of which their inquiries don't know yet, and when.
    parked: Vec<(Asked, Said, Moment)>,
    /// All of these answers as they are to be kept, once they count.
    unkept: Vec<Answered>,
    /// How many unknown names the session had refused when doubt began.
    refused_before: u32,
    /// The closing control that is under way.
    closing: Option<AskId>,
    /// It waits for its pace.
    pub(super) is_waiting: bool,
}

impl Doubts {
    pub(super) fn is_empty(&self) -> bool {
        self.accepted.is_empty() && self.parked.is_empty()
    }
}

impl Scheduler {
    /// Must this acceptance be proven?
    pub(super) fn is_doubtful(&self, id: SessionId, said: &Said) -> bool {
        let Some(session) = self.sessions.get(&id) else {
            return false;
        };
        let lane = &self.lanes[self.doors[session.door].lane];
        let threshold = self.limits.thresholds.doubt;
        let too_many =
            session.unknown >= threshold.unknown_in_session || lane.unknown_names >= threshold.unknown_in_run;
        let can_be_tested = self.doors[session.door].told_apart.is_some();
        said.reply.is_positive() && lane.provider.may_discard && too_many && can_be_tested
    }

    /// Takes an acceptance with doubt.
    pub(super) fn doubt(&mut self, id: SessionId, asked: Asked, said: Said) {
        let now = self.now;
        let unkept = self.lane_of(id).and_then(|lane| self.to_keep(&asked, lane, &said));
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.doubts.unkept.extend(unkept);
        if session.doubts.is_empty() {
            session.doubts.refused_before = session.unknown;
        }
        match asked.who {
            Who::Listed(place) if said.meaning.cause == Cause::Accepted => {
                session.doubts.accepted.push((asked.course, place));
                if let Some(course) = self.courses[asked.course].as_mut() {
                    course.inquiry.heard_in_doubt(place, said, now);
                }
            }
            _ => session.doubts.parked.push((asked, said, now)),
        }
        self.go_on(asked.course);
    }

    /// The host still tells names apart: what it accepted was accepted.
    pub(super) fn clear_doubts(&mut self, id: SessionId) {
        let Some(lane) = self.lane_of(id) else {
            return;
        };
        let Some(Doubts { accepted, parked, unkept, .. }) = self.take_doubts(id) else {
            return;
        };
        self.actions.extend(unkept.into_iter().map(Action::Answered));
        if !accepted.is_empty() {
            self.vouched(lane);
        }
        for (course_id, place) in accepted {
            if let Some(course) = self.courses[course_id].as_mut() {
                course.inquiry.believe(place);
            }
            self.go_on(course_id);
        }
        for (Asked { course: course_id, who, .. }, said, heard_at) in parked {
            if let Some(course) = self.courses[course_id].as_mut() {
                course.inquiry.heard(who, said, heard_at);
            }
            self.go_on(course_id);
        }
    }

    /// Nothing shows that the host still tells names apart: what it accepted is asked again.
    pub(super) fn unsay_doubtful(&mut self, id: SessionId) -> usize {
        let now = self.now;
        let Some(Doubts { accepted, parked, .. }) = self.take_doubts(id) else {
            return 0;
        };
        let count = accepted.len() + parked.len();
        for (course_id, place) in accepted {
            if let Some(course) = self.courses[course_id].as_mut() {
                course.inquiry.unsay(place, now);
            }
            self.go_on(course_id);
        }
        for (Asked { course: course_id, who, .. }, ..) in parked {
            if let Some(course) = self.courses[course_id].as_mut() {
                course.inquiry.dropped(who, Obstacle::Broken(Finding::Disconnected), now);
            }
            self.go_on(course_id);
        }
        count
    }

    fn take_doubts(&mut self, id: SessionId) -> Option<Doubts> {
        let session = self.sessions.get_mut(&id).filter(|session| !session.doubts.is_empty())?;
        // A closing control that is under way is still to come.
        let closing = session.doubts.closing;
        Some(std::mem::replace(&mut session.doubts, Doubts { closing, ..Doubts::default() }))
    }

    /// Sends the closing control of an idle session that has doubts, if it leaves together with QUIT. `false` when it needs
    /// none or can't have one.
    pub(super) fn close(&mut self, id: SessionId, is_last: bool) -> bool {
        let has_doubts = self.sessions.get(&id).is_some_and(|session| !session.doubts.is_empty());
        if !has_doubts {
            return false;
        }
        match self.closing(id) {
            Ok(None) => return false,
            Ok(Some(closing)) => {
                self.set_state(id, State::Working);
                self.actions
                    .push_back(Action::Wire(Wire::Fly(id, Flight { transactions: vec![closing], is_last })));
            }
            Err(wait) => {
                self.set_state(id, State::Working);
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.doubts.is_waiting = true;
                }
                self.timers.insert((self.now.elapsed + wait, Timer::Linger(id)));
            }
        }
        true
    }

    /// The closing control of an idle session, which counts as asked from now on. `None` where it can't have one; an error
    /// says after which time it can.
    pub(super) fn closing(&mut self, id: SessionId) -> Result<Option<Transaction>, Duration> {
        let Some(session) = self.sessions.get(&id).filter(|session| session.state == State::Idle) else {
            return Ok(None);
        };
        let door = &self.doors[session.door];
        let lane = &mut self.lanes[door.lane];
        let under_way = u32::try_from(session.flying.len()).unwrap_or(u32::MAX);
        let may = session.may_close()
            && session.refusals_left() > under_way
            && session.spoilt.is_none()
            && lane.paused.is_none()
            && lane.unknown_left(self.now.elapsed) > 0;
        let domain = door.told_apart.clone().filter(|_| may);
        let Some(address) = domain.and_then(|domain| control::made_up(&domain, &mut self.random)) else {
            return Ok(None);
        };
        lane.asks.take(1)?;
        lane.flying += 1;
        let ask = AskId(self.next_ask);
        self.next_ask += 1;
        if let Some(session) = self.sessions.get_mut(&id) {
            session.transactions += 1;
            session.doubts.closing = Some(ask);
        }
        Ok(Some(Transaction { recipients: vec![Ask { id: ask, address }] }))
    }

    /// Is this the closing control?
    pub(super) fn is_closing(&self, id: SessionId, ask: AskId) -> bool {
        self.sessions.get(&id).is_some_and(|session| session.doubts.closing == Some(ask))
    }

    /// The closing control was answered.
    pub(super) fn closed(&mut self, id: SessionId, said: &Said) {
        self.account(id, said);
        let Some(lane_id) = self.forget_closing(id) else {
            return;
        };
        let cause = said.meaning.cause;
        // Where a refusal has cleared all doubts meanwhile, the lies begin after it.
        let refused_before = self.sessions.get(&id).map_or(0, |session| {
            if session.doubts.is_empty() { session.unknown } else { session.doubts.refused_before }
        });
        if said.reply.is_positive() {
            let taken_back = self.unsay_doubtful(id);
            if let Some(session) = self.sessions.get_mut(&id) {
                session.manners.refused = 0;
            }
            self.decided(Ruling::CaughtAccepting, lane_id, taken_back);
            if refused_before > 0 {
                self.bear_less(lane_id, refused_before);
            } else {
                // It lies from the first answer on: nothing can be learnt here any more.
                self.leave_alone(lane_id, said);
            }
        } else if said.stage != Stage::Rcpt || cause.fault() == Fault::Us {
            self.unsay_doubtful(id);
        } else {
            // However it says it: it does not accept the name.
            self.clear_doubts(id);
        }
    }

    /// So many refusals are all that a session may have at a lane, also one that is open.
    fn bear_less(&mut self, lane_id: LaneId, refused: u32) {
        let manners = &mut self.lanes[lane_id].manners;
        manners.refused = manners.refused.min(refused);
        let mut used_up = Vec::new();
        for (&id, session) in &mut self.sessions {
            if self.doors[session.door].lane == lane_id {
                session.manners.refused = session.manners.refused.min(refused);
                if session.state == State::Idle && session.is_used_up() {
                    used_up.push(id);
                }
            }
        }
        used_up.sort_unstable();
        for id in used_up {
            self.leave(id);
        }
    }

    /// Takes the closing control off its session.
    pub(super) fn forget_closing(&mut self, id: SessionId) -> Option<usize> {
        let session = self.sessions.get_mut(&id)?;
        let lane = self.doors[session.door].lane;
        if session.doubts.closing.take().is_some() {
            self.lanes[lane].flying -= 1;
        }
        Some(lane)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::address::{Address, Domain};
    use crate::policy::replies::{Context, ReplyRules};
    use crate::policy::{Pace, Providers, Thresholds};
    use crate::probe::inquiry::{Found, Target};
    use crate::probe::known::AtExchanger;
    use crate::probe::{Known, Listed, Patience};
    use crate::schedule::{Heard, Limits, Order, Stop};
    use crate::smtp::Reply;
    use crate::smtp::egress::Family;
    use crate::smtp::session::Offer;
    use crate::verdict::evidence::{CatchAll, Proof};

    fn answers(found: &[Found]) -> usize {
        found.iter().map(|found| found.inquired.attempts.len()).sum()
    }

    /// A host that heard so many unknown names from us in a run before, and refused a made-up one then, is asked about two
    /// mailboxes and accepts everything now; how many acceptances are handed out.
    fn believed_after(unknown_before: usize) -> usize {
        let (domain, host) =
            (Domain::parse("acme.example").unwrap(), Domain::parse("mx.acme.example").unwrap());
        let now = Moment { elapsed: Duration::ZERO, wall: UNIX_EPOCH };
        let limits = Limits {
            pace: Pace::Fast,
            patience: Patience { max_wait: Duration::ZERO },
            sessions: 1,
            thresholds: Thresholds::built_in(),
            egresses: vec![Family::Both],
        };
        let mut scheduler = Scheduler::new(limits, fastrand::Rng::with_seed(1), now);
        let stop = Stop {
            provider: Providers::built_in().of(&host).clone(),
            host: host.clone(),
            addresses: vec![[192, 0, 2, 1].into()],
        };
        let stops = vec![stop];
        let lane = Scheduler::lane_key(&stops, &stops[0]);
        scheduler.spent(0, &lane, Duration::from_secs(60), unknown_before);
        let refused = AtExchanger { catch_all: CatchAll::No(Proof::Control), ..AtExchanger::new(host) };
        let known = Known { exchangers: vec![refused], ..Known::default() };
        let listed = [(Target(1), "jane@acme.example"), (Target(2), "joe@acme.example")];
        let listed = listed.map(|(target, text)| Listed::from((target, Address::parse(text).unwrap())));
        scheduler.order(Order { domain, exchangers: stops, listed: listed.into(), known }, now);
        scheduler.has_all_orders();
        let reply = Reply::parse(b"250 2.1.5 Ok\r\n").unwrap();
        let context = Context { stage: Stage::Rcpt, provider: None };
        let accepted =
            Said { stage: Stage::Rcpt, meaning: ReplyRules::built_in().read(&reply, &context).into(), reply };
        let mut believed = 0;
        while !scheduler.is_idle() {
            while let Some(action) = scheduler.action() {
                let (session, heard) = match action {
                    Action::Wire(Wire::Open(opening)) => {
                        (opening.session, vec![Heard::Ready(Offer { pipelining: true, ..Offer::default() })])
                    }
                    Action::Wire(Wire::Fly(session, flight)) => {
                        let asks = flight.transactions.iter().flat_map(|transaction| &transaction.recipients);
                        let mut heard: Vec<Heard> =
                            asks.map(|ask| Heard::Answered(ask.id, accepted.clone())).collect();
                        heard.push(if flight.is_last { Heard::Broken(None) } else { Heard::Landed });
                        (session, heard)
                    }
                    Action::Wire(Wire::Quit(session)) => (session, vec![Heard::Broken(None)]),
                    Action::Settled(found) => {
                        believed += answers(&found);
                        continue;
                    }
                    _ => continue,
                };
                for heard in heard {
                    scheduler.hear(session, heard, now);
                }
            }
            scheduler.wake(Moment { elapsed: scheduler.next_wake().unwrap_or_default(), ..now });
        }
        while let Some(action) = scheduler.action() {
            believed += if let Action::Settled(found) = action { answers(&found) } else { 0 };
        }
        believed
    }

    #[test]
    fn a_host_that_heard_too_many_unknown_names_before_this_run_is_doubted_in_it() {
        assert_eq!(believed_after(0), 2, "nobody had reason to lie");
        assert_eq!(believed_after(100), 0);
    }
}
