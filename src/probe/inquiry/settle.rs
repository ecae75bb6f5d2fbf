//! The way on and the end: the next exchanger, and what was found out about each address.

use super::here::{Control, Here};
use super::{Found, Inquiry, Moment, Question, State};
use crate::address::Domain;
use crate::probe::known::Known;
use crate::reason::{Cause, Verdict};
use crate::verdict::evidence::{Attempt, CatchAll, Positive, Proof, Unprobed};

impl Inquiry {
    /// Goes on to the next exchanger with the questions that this one did not answer.
    pub fn advance(&mut self, now: Moment) {
        self.freeze();
        self.leave();
        self.exchangers.pop_front();
        self.undecided.clear();
        self.elsewhere = 0;
        self.arrive(now);
    }

    /// Begins at an exchanger: with what is known about it, and with what it said earlier to those who ask here.
    pub(super) fn arrive(&mut self, now: Moment) {
        let known = self.exchangers.front().and_then(|exchanger| self.known.take(exchanger));
        self.here = known.map_or_else(Here::default, |known| Here::with(known, now));
        for (place, question) in (0..).zip(&mut self.questions) {
            if question.state == State::Elsewhere {
                (question.state, question.drops) = (State::Open, 0);
                self.ready.push_back(place);
            }
        }
        let accepts_any = matches!(self.here.catch_all, CatchAll::Yes(_));
        for place in std::mem::take(&mut self.ready) {
            if accepts_any {
                self.questions[place as usize].state = State::Closed;
            } else if self.was_asked_here(place) {
                self.weigh(place, now);
                self.reopen(place);
            } else {
                self.ready.push_back(place);
            }
        }
    }

    fn was_asked_here(&self, place: u32) -> bool {
        let inquired = self.questions[place as usize].inquired.as_deref();
        let mut attempts = inquired.into_iter().flat_map(|inquired| &inquired.attempts);
        attempts.any(|attempt| Some(&attempt.exchanger) == self.exchangers.front())
    }

    /// Who was put off too often for an earlier run is asked again in this one.
    fn reopen(&mut self, place: u32) {
        let question = &mut self.questions[place as usize];
        let last = question.inquired.as_deref().and_then(|inquired| inquired.attempts.last());
        let is_open = last.is_some_and(|last| last.said.meaning.cause.verdict() == Verdict::Unknown);
        if question.state == State::Closed && is_open {
            question.state = State::Open;
            self.answered.retain(|answered| *answered != place);
            self.ready.push_back(place);
        }
    }

    /// Leaves an exchanger; what was learnt there is kept.
    fn leave(&mut self) {
        if let Some(exchanger) = self.exchangers.front() {
            self.known.exchangers.push(self.here.known(exchanger.clone()));
        }
    }

    /// What is known about the domain by now.
    pub fn known(&self) -> Known {
        let mut known = self.known.clone();
        known.exchangers.extend(self.exchangers.front().map(|exchanger| self.here.known(exchanger.clone())));
        known
    }

    /// It was found out whether this exchanger accepts any name.
    pub fn is_decided(&self) -> bool {
        matches!(self.here.catch_all, CatchAll::Yes(_) | CatchAll::No(_) | CatchAll::Unclear)
    }

    /// This exchanger has refused a made-up name of the domain, perhaps in an earlier run.
    pub fn refuses_made_up(&self) -> bool {
        self.here.catch_all == CatchAll::No(Proof::Control)
    }

    /// An exchanger that refused names turned out to refuse us: that shows nothing about the domain.
    pub fn disbelieve(&mut self, exchanger: &Domain) {
        if self.exchangers.front() != Some(exchanger) {
            self.known.take(exchanger);
            return;
        }
        self.here.clear_refusals = 0;
        if matches!(self.here.catch_all, CatchAll::No(_)) || self.here.refused_unclearly {
            (self.here.catch_all, self.here.refused_unclearly) = (CatchAll::NotAsked, false);
            if !self.here.given_up {
                (self.here.made_up, self.here.made_up_tries) = (None, 0);
                self.here.made_up_state = Control::Unasked;
            }
        }
    }

    /// What the exchanger proves to be by now.
    fn proven(&self) -> CatchAll {
        // Beside an accepted made-up name clear refusals prove nothing: the host contradicts itself.
        if self.is_proven() && !matches!(self.here.catch_all, CatchAll::No(_) | CatchAll::Yes(_)) {
            CatchAll::No(Proof::Listed)
        } else {
            self.here.catch_all.clone()
        }
    }

    /// Hands out addresses about which nothing more can be learnt, as soon as that is so.
    pub fn take_final(&mut self) -> Vec<Found> {
        if self.answered.is_empty() || !self.is_proven() {
            return Vec::new();
        }
        let proven = self.proven();
        let mut taken = Vec::with_capacity(self.answered.len());
        for place in std::mem::take(&mut self.answered) {
            let question = &mut self.questions[place as usize];
            if question.state == State::Accepted {
                question.inquired().catch_all = proven.clone();
            }
            if matches!(question.state, State::Accepted | State::Closed) {
                taken.push(question.take());
            }
        }
        taken
    }

    /// Writes what is known about this exchanger to the addresses that it answered.
    fn freeze(&mut self) {
        let proven = match (self.proven(), &self.trouble) {
            // The host was given up while an acceptance was under way.
            (CatchAll::NotAsked, Some(trouble)) if self.here.accepted > 0 => {
                CatchAll::Failed(trouble.clone())
            }
            (proven, _) => proven,
        };
        let positive = self.here.positive.clone();
        let accepts_any = matches!(proven, CatchAll::Yes(_));
        let exchanger = self.exchangers.front();
        for question in &mut self.questions {
            match question.state {
                State::Accepted => {
                    question.inquired().catch_all = proven.clone();
                    question.state = State::Closed;
                }
                State::Undecided => {
                    question.inquired().positive = positive.clone();
                    question.state = State::Closed;
                }
                State::Closed if accepts_any => {
                    let last = question.inquired.as_deref().and_then(|inquired| inquired.attempts.last());
                    if last.is_none_or(|last| Some(&last.exchanger) == exchanger) {
                        let inquired = question.inquired();
                        inquired.catch_all = proven.clone();
                        // Who accepts anybody did not mean the mailbox.
                        inquired.positive = Positive::NotAsked;
                    }
                }
                _ => {}
            }
        }
    }

    /// Ends the inquiry and hands out what was found and not handed out yet, and what is known about the domain. Whoever
    /// was not asked to the end gets `unprobed`.
    pub fn settle(&mut self, unprobed: Option<Unprobed>) -> (Known, Vec<Found>) {
        self.freeze();
        self.leave();
        let asked = self.questions.iter_mut().filter(|question| question.state != State::Gone);
        let settled = asked.map(|question| {
            let is_open = !matches!(question.state, State::Closed | State::Elsewhere);
            let mut found = question.take();
            let inquired = &mut found.inquired;
            if inquired.trouble.is_none() {
                inquired.trouble.clone_from(&self.trouble);
            }
            let lacks_control =
                inquired.catch_all == CatchAll::NotAsked && inquired.attempts.iter().any(is_acceptance);
            if is_open || lacks_control {
                inquired.unprobed = inquired.unprobed.or(unprobed);
            }
            found
        });
        (std::mem::take(&mut self.known), settled.collect())
    }
}

impl Question {
    /// Hands it out.
    fn take(&mut self) -> Found {
        self.state = State::Gone;
        Found {
            target: self.target,
            address: self.address.clone(),
            was_deliverable: self.was_deliverable,
            inquired: self.inquired.take().unwrap_or_default(),
        }
    }
}

fn is_acceptance(attempt: &Attempt) -> bool {
    attempt.said.meaning.cause == Cause::Accepted
}
