//! The way on and the end: the next exchanger, and what was found out about each address.

use super::{Here, Inquiry, State, Target};
use crate::reason::Cause;
use crate::verdict::evidence::{Attempt, CatchAll, Inquired, Positive, Proof, Unprobed};

impl Inquiry {
    /// Goes on to the next exchanger with the questions that this one did not answer.
    pub fn advance(&mut self) {
        self.freeze();
        self.exchangers.pop_front();
        self.here = Here::default();
        (self.undecided, self.elsewhere) = (0, 0);
        for (place, question) in (0..).zip(&mut self.questions) {
            if question.state == State::Elsewhere {
                question.state = State::Open;
                (question.tries, question.drops) = (0, 0);
                self.ready.push_back(place);
            }
        }
    }

    /// Writes what is known about this exchanger to the addresses that it answered.
    fn freeze(&mut self) {
        // Beside an accepted made-up name clear refusals prove nothing: the host contradicts itself.
        let proven = if self.is_proven() && !matches!(self.here.catch_all, CatchAll::No(_) | CatchAll::Yes(_))
        {
            CatchAll::No(Proof::Listed)
        } else {
            self.here.catch_all.clone()
        };
        let proven = match (proven, &self.trouble) {
            // The host was given up while an acceptance was under way.
            (CatchAll::NotAsked, Some(trouble)) if self.here.accepted > 0 => {
                CatchAll::Failed(trouble.clone())
            }
            (proven, _) => proven,
        };
        let positive = if self.here.accepted > 0 { Positive::Accepted } else { self.here.positive.clone() };
        let exchanger = self.exchangers.front();
        for question in &mut self.questions {
            match question.state {
                State::Accepted => {
                    question.inquired.catch_all = proven.clone();
                    question.state = State::Closed;
                }
                State::Undecided => {
                    question.inquired.positive = positive.clone();
                    question.state = State::Closed;
                }
                State::Closed
                    if matches!(proven, CatchAll::Yes(_))
                        && question
                            .inquired
                            .attempts
                            .last()
                            .is_none_or(|last| Some(&last.exchanger) == exchanger) =>
                {
                    question.inquired.catch_all = proven.clone();
                }
                _ => {}
            }
        }
    }

    /// Ends the inquiry and hands out what was found. Whoever was not asked to the end gets `unprobed`.
    pub fn settle(mut self, unprobed: Option<Unprobed>) -> impl Iterator<Item = (Target, Inquired)> {
        self.freeze();
        let trouble = self.trouble;
        self.questions.into_iter().map(move |mut question| {
            if question.inquired.trouble.is_none() {
                question.inquired.trouble.clone_from(&trouble);
            }
            let is_open = !matches!(question.state, State::Closed | State::Elsewhere);
            let lacks_control = question.inquired.catch_all == CatchAll::NotAsked
                && question.inquired.attempts.iter().any(is_acceptance);
            if is_open || lacks_control {
                question.inquired.unprobed = question.inquired.unprobed.or(unprobed);
            }
            (question.target, question.inquired)
        })
    }
}

fn is_acceptance(attempt: &Attempt) -> bool {
    attempt.said.meaning.cause == Cause::Accepted
}
