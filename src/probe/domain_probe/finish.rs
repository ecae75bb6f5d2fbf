//! The way on and the end: the next exchanger, and what was found out about each address.

use super::mx_host_state::{ControlState, MxHostState};
use super::{DomainProbe, RecipientProbe, RecipientState};
use crate::address::Domain;
use crate::evidence::{
    Attempt, CatchAll, DomainFacts, NotCatchAllProof, NotProbedReason, PositiveControl, ProbeResult,
    Timestamp,
};
use crate::reason::{Cause, Verdict};

impl DomainProbe {
    /// Goes on to the next exchanger with the questions that this one did not answer.
    pub fn advance(&mut self, now: Timestamp) {
        self.freeze();
        self.leave();
        self.mx_hosts.pop_front();
        self.undecided.clear();
        self.elsewhere = 0;
        self.arrive(now);
    }

    /// Begins at an exchanger: with what is known about it, and with what it said earlier to those who ask here.
    pub(super) fn arrive(&mut self, now: Timestamp) {
        let known = self.mx_hosts.front().and_then(|mx_host| self.known.take(mx_host));
        self.here = known.map_or_else(MxHostState::default, |known| MxHostState::with(known, now));
        for (place, question) in (0..).zip(&mut self.questions) {
            if question.state == RecipientState::NeedsNextMx {
                (question.state, question.drops) = (RecipientState::Open, 0);
                self.ready.push_back(place);
            }
        }
        let accepts_any = matches!(self.here.catch_all, CatchAll::Yes(_));
        for place in std::mem::take(&mut self.ready) {
            if accepts_any {
                self.questions[place as usize].state = RecipientState::Closed;
            } else if self.was_asked_here(place) {
                self.apply_reply(place, now);
                self.reopen(place);
            } else {
                self.ready.push_back(place);
            }
        }
    }

    fn was_asked_here(&self, place: u32) -> bool {
        let mailbox = self.questions[place as usize].mailbox.as_deref();
        let mut attempts = mailbox.into_iter().flat_map(|mailbox| &mailbox.attempts);
        attempts.any(|attempt| Some(&attempt.mx_host) == self.mx_hosts.front())
    }

    /// Who was put off too often for an earlier run is asked again in this one.
    fn reopen(&mut self, place: u32) {
        let question = &mut self.questions[place as usize];
        let last = question.mailbox.as_deref().and_then(|mailbox| mailbox.attempts.last());
        let is_open = last.is_some_and(|last| last.classified.meaning.cause.verdict() == Verdict::Unknown);
        if question.state == RecipientState::Closed && is_open {
            question.state = RecipientState::Open;
            self.answered.retain(|answered| *answered != place);
            self.ready.push_back(place);
        }
    }

    /// Leaves an exchanger; what was learnt there is kept.
    fn leave(&mut self) {
        if let Some(mx_host) = self.mx_hosts.front() {
            self.known.mx_hosts.push(self.here.known(mx_host.clone()));
        }
    }

    /// What is known about the domain by now.
    pub fn known(&self) -> DomainFacts {
        let mut known = self.known.clone();
        known.mx_hosts.extend(self.mx_hosts.front().map(|mx_host| self.here.known(mx_host.clone())));
        known
    }

    /// It was found out whether this exchanger accepts any name.
    pub fn is_decided(&self) -> bool {
        matches!(self.here.catch_all, CatchAll::Yes(_) | CatchAll::No(_) | CatchAll::Unclear)
    }

    /// This exchanger has refused a made-up name of the domain, perhaps in an earlier run.
    pub fn rejects_control(&self) -> bool {
        self.here.catch_all == CatchAll::No(NotCatchAllProof::Control)
    }

    /// An exchanger that refused names turned out to refuse us: that shows nothing about the domain.
    pub fn invalidate_control(&mut self, mx_host: &Domain) {
        if self.mx_hosts.front() != Some(mx_host) {
            self.known.take(mx_host);
            return;
        }
        self.here.clear_refusals = 0;
        if matches!(self.here.catch_all, CatchAll::No(_)) || self.here.refused_unclearly {
            (self.here.catch_all, self.here.refused_unclearly) = (CatchAll::NotAsked, false);
            if !self.here.given_up {
                (self.here.random_recipient, self.here.control_tries) = (None, 0);
                self.here.control_state = ControlState::NotSent;
            }
        }
    }

    /// What the exchanger proves to be by now.
    fn proven(&self) -> CatchAll {
        // Beside an accepted made-up name clear refusals prove nothing: the host contradicts itself.
        if self.is_proven() && !matches!(self.here.catch_all, CatchAll::No(_) | CatchAll::Yes(_)) {
            CatchAll::No(NotCatchAllProof::Listed)
        } else {
            self.here.catch_all.clone()
        }
    }

    /// Hands out addresses about which nothing more can be learnt, as soon as that is so.
    pub fn take_final(&mut self) -> Vec<ProbeResult> {
        if self.answered.is_empty() || !self.is_proven() {
            return Vec::new();
        }
        let proven = self.proven();
        let mut taken = Vec::with_capacity(self.answered.len());
        for place in std::mem::take(&mut self.answered) {
            let question = &mut self.questions[place as usize];
            if question.state == RecipientState::Accepted {
                question.mailbox().catch_all = proven.clone();
            }
            if matches!(question.state, RecipientState::Accepted | RecipientState::Closed) {
                taken.push(question.take());
            }
        }
        taken
    }

    /// Writes what is known about this exchanger to the addresses that it answered.
    fn freeze(&mut self) {
        let proven = match (self.proven(), &self.obstacle) {
            // The host was given up while an acceptance was under way.
            (CatchAll::NotAsked, Some(obstacle)) if self.here.accepted > 0 => {
                CatchAll::Failed(obstacle.clone())
            }
            (proven, _) => proven,
        };
        let positive = self.here.positive.clone();
        let accepts_any = matches!(proven, CatchAll::Yes(_));
        let mx_host = self.mx_hosts.front();
        for question in &mut self.questions {
            match question.state {
                RecipientState::Accepted => {
                    question.mailbox().catch_all = proven.clone();
                    question.state = RecipientState::Closed;
                }
                RecipientState::Undecided => {
                    question.mailbox().positive = positive.clone();
                    question.state = RecipientState::Closed;
                }
                RecipientState::Closed if accepts_any => {
                    let last = question.mailbox.as_deref().and_then(|mailbox| mailbox.attempts.last());
                    if last.is_none_or(|last| Some(&last.mx_host) == mx_host) {
                        let mailbox = question.mailbox();
                        mailbox.catch_all = proven.clone();
                        // Who accepts anybody did not mean the mailbox.
                        mailbox.positive = PositiveControl::NotAsked;
                    }
                }
                _ => {}
            }
        }
    }

    /// Ends the inquiry and hands out what was found and not handed out yet, and what is known about the domain. Whoever
    /// was not asked to the end gets `unprobed`.
    pub fn settle(&mut self, unprobed: Option<NotProbedReason>) -> (DomainFacts, Vec<ProbeResult>) {
        self.freeze();
        self.leave();
        let asked = self.questions.iter_mut().filter(|question| question.state != RecipientState::Emitted);
        let settled = asked.map(|question| {
            let is_open = !matches!(question.state, RecipientState::Closed | RecipientState::NeedsNextMx);
            let mut found = question.take();
            let mailbox = &mut found.mailbox;
            if mailbox.obstacle.is_none() {
                mailbox.obstacle.clone_from(&self.obstacle);
            }
            let lacks_control =
                mailbox.catch_all == CatchAll::NotAsked && mailbox.attempts.iter().any(is_acceptance);
            if is_open || lacks_control {
                mailbox.unprobed = mailbox.unprobed.or(unprobed);
            }
            found
        });
        (std::mem::take(&mut self.known), settled.collect())
    }
}

impl RecipientProbe {
    /// Hands it out.
    fn take(&mut self) -> ProbeResult {
        self.state = RecipientState::Emitted;
        ProbeResult {
            target: self.target,
            address: self.address.clone(),
            was_deliverable: self.was_deliverable,
            mailbox: self.mailbox.take().unwrap_or_default(),
        }
    }
}

fn is_acceptance(attempt: &Attempt) -> bool {
    attempt.classified.meaning.cause == Cause::Accepted
}
