//! What an answer leaves open: of a listed address, of the made-up one, of `postmaster`.
//!
//! Decides: whether a question is closed, asked again, or for another exchanger, and what a control proves.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::here::Control;
use super::{Inquiry, Moment, State, Who};
use crate::address::Domain;
use crate::policy::replies::normalized_text;
use crate::probe::control::{self, Shown};
use crate::probe::known::PutOff;
use crate::reason::{Cause, Finding, Verdict};
use crate::verdict::Confidence;
use crate::verdict::evidence::{Attempt, CatchAll, Obstacle, Positive, Proof, Said, Trouble};

/// Sessions that a question may end before it is given up.
const DROPS: u8 = 2;

impl Inquiry {
    /// An answer to a question that [`Inquiry::asks`] gave out.
    pub fn heard(&mut self, who: Who, said: Said, now: Moment) {
        self.flying -= 1;
        match who {
            Who::Listed(place) => self.heard_listed(place, said, now),
            Who::MadeUp => self.heard_made_up(said, now),
            Who::Again(_) | Who::Postmaster => self.heard_positive(who, &said),
        }
    }

    /// A question that was given out and never answered: it is as if it had not been asked.
    pub fn unanswered(&mut self, who: Who) {
        self.flying -= 1;
        match who {
            Who::Listed(place) if matches!(self.here.catch_all, CatchAll::Yes(_)) => {
                self.questions[place as usize].state = State::Closed;
            }
            // Behind the others: should it be what ended the session, they still get their turn.
            Who::Listed(place) => self.ready.push_back(place),
            Who::MadeUp => self.here.made_up_state = Control::Unasked,
            Who::Again(_) => {}
            Who::Postmaster => self.known.postmaster_was_asked = false,
        }
    }

    /// Like [`Inquiry::heard`], but the host may accept anything by now: an acceptance counts when [`Inquiry::believe`]
    /// follows.
    pub fn heard_in_doubt(&mut self, place: u32, said: Said, now: Moment) {
        self.doubts = true;
        self.heard(Who::Listed(place), said, now);
        self.doubts = false;
    }

    /// An acceptance that was doubted is true.
    pub fn believe(&mut self, place: u32) {
        let question = &mut self.questions[place as usize];
        if question.state == State::Doubted {
            question.state = State::Accepted;
            self.doubted -= 1;
            self.answered.push(place);
            self.accepted(place);
        }
    }

    /// An acceptance that was doubted may be a lie: it is as if it had not been asked.
    pub fn unsay(&mut self, place: u32, now: Moment) {
        let question = &mut self.questions[place as usize];
        if question.state != State::Doubted {
            return;
        }
        self.doubted -= 1;
        self.here.accepted -= 1;
        question.inquired().attempts.pop();
        self.flying += 1;
        question.state = State::Open;
        self.dropped(Who::Listed(place), Obstacle::Broken(Finding::Disconnected), now);
    }

    /// Somebody was accepted, so the refusals before were about their mailboxes.
    fn accepted(&mut self, place: u32) {
        self.here.accepted_last = Some(place);
        self.vouch();
    }

    fn vouch(&mut self) {
        for place in std::mem::take(&mut self.undecided) {
            let question = &mut self.questions[place as usize];
            question.state = State::Closed;
            question.inquired().positive = Positive::Accepted;
            self.answered.push(place);
        }
    }

    /// The oldest open question of a session that broke off: it may be what the server did not bear. When it ends a
    /// second session it is given up here, and this is true.
    pub fn dropped(&mut self, who: Who, what: Obstacle, now: Moment) -> bool {
        let drops = match who {
            Who::Listed(place) => &mut self.questions[place as usize].drops,
            Who::Again(_) | Who::MadeUp | Who::Postmaster => &mut self.here.control_drops,
        };
        *drops = drops.saturating_add(1);
        let is_last = *drops >= DROPS;
        let Some(exchanger) = self.exchangers.front().cloned().filter(|_| is_last) else {
            self.unanswered(who);
            return false;
        };
        self.flying -= 1;
        let trouble = Arc::new(Trouble { exchanger, at: now.wall, what });
        match who {
            Who::Listed(place) => {
                let question = &mut self.questions[place as usize];
                question.state = State::Elsewhere;
                question.inquired().trouble = Some(trouble);
                self.elsewhere += 1;
            }
            Who::MadeUp => self.settle_made_up(CatchAll::Failed(trouble)),
            Who::Again(_) | Who::Postmaster => self.here.positive = Positive::Silent,
        }
        true
    }

    fn heard_listed(&mut self, place: u32, said: Said, now: Moment) {
        if let Some(exchanger) = self.exchangers.front().cloned() {
            let question = &mut self.questions[place as usize];
            let attempts = &mut question.inquired().attempts;
            // Most are never asked again, and there are many.
            attempts.reserve_exact(1);
            attempts.push(Attempt { exchanger, at: now.wall, said });
            self.weigh(place, now);
        }
    }

    /// Weighs the newest answer about a listed address that this exchanger gave.
    pub(super) fn weigh(&mut self, place: u32, now: Moment) {
        let question = &mut self.questions[place as usize];
        let attempts = question.inquired.as_deref().map_or(&[][..], |inquired| &inquired.attempts);
        let here = self.exchangers.front();
        let mut attempts = attempts.iter().filter(|attempt| Some(&attempt.exchanger) == here);
        let tries = attempts.clone().count();
        let (first, Some(Attempt { at, said: Said { reply, meaning, .. }, .. })) =
            (attempts.clone().next(), attempts.next_back())
        else {
            return;
        };
        let cause = meaning.cause;
        question.state = match cause {
            Cause::Accepted => {
                self.here.accepted += 1;
                self.doubted += u32::from(self.doubts);
                if self.doubts { State::Doubted } else { State::Accepted }
            }
            Cause::Ambiguous if reply.is_permanent() && meaning.if_about_mailbox.is_some() => {
                self.undecided.push(place);
                State::Undecided
            }
            Cause::RelayDenied | Cause::SenderBlocked | Cause::DomainNoMail => {
                self.elsewhere += 1;
                State::Elsewhere
            }
            Cause::MailboxUnknown if meaning.confidence == Confidence::Confirmed => {
                self.here.clear_refusals += 1;
                State::Closed
            }
            cause if cause.verdict() == Verdict::Unknown && !reply.is_permanent() => {
                self.here.transient_answers += 1;
                let waited = waited(first.map_or(*at, |first| first.at), now);
                let again = self.patience.again_in(cause, tries, meaning.retry_in, waited);
                match again.filter(|_| !matches!(self.here.catch_all, CatchAll::Yes(_))) {
                    Some(wait) => {
                        self.waiting.insert((due(*at, wait, now), place));
                        State::Waiting
                    }
                    None => State::Closed,
                }
            }
            // Once more over TLS, which the scheduler switches on; a second such answer is the last.
            Cause::TlsRequired if tries == 1 => {
                self.ready.push_back(place);
                State::Open
            }
            _ => State::Closed,
        };
        match question.state {
            State::Accepted => {
                self.answered.push(place);
                self.accepted(place);
            }
            State::Closed => self.answered.push(place),
            _ => {}
        }
        if self.here.accepted > 0 && self.here.refused_unclearly {
            self.settle_made_up(CatchAll::No(Proof::UnclearControl));
        }
    }

    fn heard_made_up(&mut self, said: Said, now: Moment) {
        let Some(exchanger) = self.exchangers.front().cloned() else {
            return;
        };
        self.here.made_up_tries += 1;
        match control::shown(&said) {
            Shown::AcceptsAny => {
                let attempt = Attempt { exchanger, at: now.wall, said };
                self.settle_made_up(CatchAll::Yes(Arc::new(attempt)));
            }
            Shown::Refuses => self.settle_made_up(CatchAll::No(Proof::Control)),
            Shown::RefusesUnclearly => {
                self.here.refused_unclearly = true;
                self.here.made_up_state = Control::Settled;
                if self.here.accepted > 0 {
                    self.settle_made_up(CatchAll::No(Proof::UnclearControl));
                }
            }
            Shown::Unclear => {
                self.here.unclear_answers += 1;
                if self.here.unclear_answers < 2 {
                    self.here.made_up_state = Control::Unasked;
                } else {
                    self.settle_made_up(CatchAll::Unclear);
                }
            }
            Shown::Nothing => self.made_up_failed(exchanger, said, now),
        }
    }

    /// Nothing was learnt from the made-up name; it is asked about again where time may help.
    fn made_up_failed(&mut self, exchanger: Domain, said: Said, now: Moment) {
        let Said { reply, meaning, .. } = &said;
        let since = self.here.put_off.map_or(now.wall, |put_off| put_off.since);
        let tries = self.here.made_up_tries;
        let again = self.patience.again_in(meaning.cause, tries, meaning.retry_in, waited(since, now));
        match again.filter(|_| !reply.is_permanent()) {
            Some(wait) => {
                self.here.put_off = Some(PutOff { times: tries, since, until: now.wall + wait });
                self.here.made_up_state = Control::Waiting(now.elapsed + wait);
            }
            None if meaning.cause == Cause::TlsRequired && tries == 1 => {
                self.here.made_up_state = Control::Unasked;
            }
            None => {
                let what = Obstacle::Refused(Box::new(said));
                let trouble = Trouble { exchanger, at: now.wall, what };
                self.settle_made_up(CatchAll::Failed(Arc::new(trouble)));
            }
        }
    }

    pub(super) fn settle_made_up(&mut self, outcome: CatchAll) {
        self.here.made_up_state = Control::Settled;
        if matches!(outcome, CatchAll::Yes(_)) {
            let put_off = std::mem::take(&mut self.waiting).into_iter().map(|(_, place)| place);
            for place in std::mem::take(&mut self.ready).into_iter().chain(put_off) {
                self.questions[place as usize].state = State::Closed;
            }
        }
        self.here.catch_all = outcome;
    }

    /// Does the host accept anybody? Asked for the sake of those who were refused in words that do not decide.
    fn heard_positive(&mut self, who: Who, said: &Said) {
        if said.reply.is_positive() {
            if who == Who::Postmaster {
                self.here.positive = Positive::Accepted;
            }
            return self.vouch();
        }
        let name = match who {
            Who::Again(place) | Who::Listed(place) => self.questions[place as usize].address.local(),
            Who::MadeUp | Who::Postmaster => "postmaster",
        };
        let words = normalized_text(&said.reply, name);
        let same = self.undecided.iter().any(|place| {
            let question = &self.questions[*place as usize];
            let refusal = question.inquired.as_deref().and_then(|inquired| inquired.attempts.last());
            refusal.is_some_and(|attempt| {
                normalized_text(&attempt.said.reply, question.address.local()) == words
            })
        });
        self.here.positive = if same { Positive::SameWords } else { Positive::Silent };
    }

    /// A question that this exchanger can't be asked at all.
    pub fn unable(&mut self, who: Who, what: Obstacle, now: Moment) {
        self.flying -= 1;
        let (Who::Listed(place), Some(exchanger)) = (who, self.exchangers.front().cloned()) else {
            return;
        };
        let question = &mut self.questions[place as usize];
        question.state = State::Closed;
        question.inquired().trouble = Some(Arc::new(Trouble { exchanger, at: now.wall, what }));
    }
}

/// How long the run has waited since a first "not now"; what was waited before it began does not count.
fn waited(since: SystemTime, now: Moment) -> Duration {
    now.wall.duration_since(since).unwrap_or_default().min(now.elapsed)
}

/// When a wait that began at a time of day ends, as a time of the run. A clock that was ahead then makes it no longer.
pub(super) fn due(began: SystemTime, wait: Duration, now: Moment) -> Duration {
    let left = (began + wait).duration_since(now.wall).unwrap_or_default();
    now.elapsed + left.min(wait)
}
