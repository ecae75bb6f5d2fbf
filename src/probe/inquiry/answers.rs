//! What an answer leaves open: of a listed address, of the made-up one, of `postmaster`.
//!
//! Decides: whether a question is closed, asked again, or for another exchanger, and what a control proves.

use std::time::{Duration, SystemTime};

use super::here::Control;
use super::{Inquiry, Moment, State, Who};
use crate::address::Domain;
use crate::policy::replies::normalized_text;
use crate::probe::control::{self, Shown};
use crate::probe::known::PutOff;
use crate::reason::{Cause, Verdict};
use crate::verdict::Confidence;
use crate::verdict::evidence::{Attempt, CatchAll, Obstacle, Positive, Proof, Said, Trouble};

/// Sessions that a question may end before it is given up.
const DROPS: u8 = 2;

impl Inquiry {
    /// An answer to a question that [`Inquiry::asks`] gave out.
    pub fn heard(&mut self, who: Who, said: Said, now: Moment) {
        self.flying -= 1;
        match who {
            Who::Listed(place) => {
                if let Some(exchanger) = self.exchangers.front().cloned() {
                    let question = &mut self.questions[place as usize];
                    question.inquired().attempts.push(Attempt { exchanger, at: now.wall, said });
                    self.weigh(place, now);
                }
            }
            Who::MadeUp => self.heard_made_up(said, now),
            Who::Postmaster => self.heard_postmaster(&said),
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
            Who::Postmaster => self.known.postmaster_was_asked = false,
        }
    }

    /// The oldest open question of a session that broke off: it may be what the server did not bear. When it ends a
    /// second session it is given up here, and this is true.
    pub fn dropped(&mut self, who: Who, what: Obstacle, now: Moment) -> bool {
        let drops = match who {
            Who::Listed(place) => &mut self.questions[place as usize].drops,
            Who::MadeUp | Who::Postmaster => &mut self.here.control_drops,
        };
        *drops = drops.saturating_add(1);
        let is_last = *drops >= DROPS;
        let Some(exchanger) = self.exchangers.front().cloned().filter(|_| is_last) else {
            self.unanswered(who);
            return false;
        };
        self.flying -= 1;
        let trouble = Trouble { exchanger, at: now.wall, what };
        match who {
            Who::Listed(place) => {
                let question = &mut self.questions[place as usize];
                question.state = State::Elsewhere;
                question.inquired().trouble = Some(trouble);
                self.elsewhere += 1;
            }
            Who::MadeUp => self.settle_made_up(CatchAll::Failed(trouble)),
            Who::Postmaster => self.here.positive = Positive::Silent,
        }
        true
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
                State::Accepted
            }
            Cause::Ambiguous if reply.is_permanent() && meaning.if_about_mailbox.is_some() => {
                self.undecided += 1;
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
                        self.waiting.insert((due(*at + wait, now), place));
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
        if matches!(question.state, State::Accepted | State::Closed) {
            self.answered.push(place);
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
                self.settle_made_up(CatchAll::Yes(Box::new(attempt)));
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
                self.settle_made_up(CatchAll::Failed(Trouble { exchanger, at: now.wall, what }));
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

    fn heard_postmaster(&mut self, said: &Said) {
        self.here.positive = if said.reply.is_positive() {
            Positive::Accepted
        } else {
            let words = normalized_text(&said.reply, "postmaster");
            let same =
                self.questions.iter().filter(|question| question.state == State::Undecided).any(|question| {
                    let inquired = question.inquired.as_deref();
                    let refusal = inquired.and_then(|inquired| inquired.attempts.last());
                    refusal.is_some_and(|attempt| {
                        normalized_text(&attempt.said.reply, question.address.local()) == words
                    })
                });
            if same { Positive::SameWords } else { Positive::Silent }
        };
    }

    /// A question that this exchanger can't be asked at all.
    pub fn unable(&mut self, who: Who, what: Obstacle, now: Moment) {
        self.flying -= 1;
        let (Who::Listed(place), Some(exchanger)) = (who, self.exchangers.front().cloned()) else {
            return;
        };
        let question = &mut self.questions[place as usize];
        question.state = State::Closed;
        question.inquired().trouble = Some(Trouble { exchanger, at: now.wall, what });
    }
}

/// How long the run has waited since a first "not now"; what was waited before it began does not count.
fn waited(since: SystemTime, now: Moment) -> Duration {
    now.wall.duration_since(since).unwrap_or_default().min(now.elapsed)
}

/// A time of day as a time of the run.
pub(super) fn due(at: SystemTime, now: Moment) -> Duration {
    now.elapsed + at.duration_since(now.wall).unwrap_or_default()
}
