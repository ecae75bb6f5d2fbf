//! Which questions are asked next, and how many are to come.
//!
//! Decides: when listed addresses may be asked about, when the made-up name has its turn ([`Turn`]) and when a positive
//! control is wanted. Until it is known whether the domain accepts any name, hardly any listed address is asked: at a domain
//! that does, the others need no question.

use fastrand::Rng;

use super::here::Control;
use super::{Inquiry, Moment, Who};
use crate::address::Address;
use crate::probe::control;
#[cfg(doc)]
use crate::probe::turn::Turn;
use crate::verdict::evidence::{CatchAll, Positive};

/// For more listed addresses than this a made-up name that was put off does not wait: that would put their proof off.
const FEW: usize = 10;

impl Inquiry {
    /// Up to `at_most` questions that may be asked now, in one transaction. They count as under way until
    /// [`Inquiry::heard`] or [`Inquiry::unanswered`]. In a hurry a probe more is no matter where it saves a round trip.
    pub fn asks(&mut self, now: Moment, at_most: u32, hurry: bool, random: &mut Rng) -> Vec<(Who, Address)> {
        let along = hurry || self.expectation.turn.along;
        let mut asks = Vec::new();
        while asks.len() < at_most as usize {
            let Some(ask) = self.next_ask(now, along, random) else {
                break;
            };
            self.flying += 1;
            asks.push(ask);
        }
        asks
    }

    fn next_ask(&mut self, now: Moment, along: bool, random: &mut Rng) -> Option<(Who, Address)> {
        if self.exchangers.is_empty() || matches!(self.here.catch_all, CatchAll::Yes(_)) {
            return None;
        }
        if self.wants_made_up(now, along) {
            if self.here.made_up.is_none() {
                self.here.made_up = control::made_up(&self.domain, random);
            }
            if let Some(address) = self.here.made_up.clone() {
                self.here.made_up_state = Control::Flying;
                return Some((Who::MadeUp, address));
            }
            self.here.made_up_state = Control::Settled;
        }
        if self.askable() > 0
            && let Some(place) = self.ready.pop_front()
        {
            return Some((Who::Listed(place), self.questions[place as usize].address.clone()));
        }
        if self.wants_positive() {
            if let Some(place) = self.here.accepted_last {
                return Some((Who::Again(place), self.questions[place as usize].address.clone()));
            }
            // A domain so long that no such address fits into a path has no positive control.
            self.known.postmaster_was_asked = true;
            return control::postmaster(&self.domain).map(|address| (Who::Postmaster, address));
        }
        None
    }

    /// Is it still worth while to ask few, because the domain may accept any name? Who refused somebody hardly does. Where
    /// answers are put off, the made-up one's too, there is nothing to learn by waiting.
    fn explores(&self) -> bool {
        let may_learn = matches!(self.here.made_up_state, Control::Unasked | Control::Flying);
        !self.tells_apart() && may_learn && self.here.transient_answers == 0
    }

    fn tells_apart(&self) -> bool {
        self.is_proven() || self.here.clear_refusals > 0
    }

    /// How many listed addresses may be asked about now.
    fn askable(&self) -> u32 {
        let ready = u32::try_from(self.ready.len()).unwrap_or(u32::MAX);
        if !self.explores() {
            return ready;
        }
        let before_made_up = self.expectation.turn.after.saturating_sub(self.here.accepted).max(1);
        ready.min(before_made_up.saturating_sub(self.flying))
    }

    fn wants_made_up(&self, now: Moment, along: bool) -> bool {
        let is_next = match self.here.made_up_state {
            // Who puts listed addresses off does so with the control too: both waits are one if it is asked at once.
            Control::Unasked if self.here.transient_answers > 0 || self.here.put_off.is_some() => true,
            Control::Unasked if self.explores() => self.has_turn_come(along),
            // The others may show as well as it that not everybody is accepted.
            Control::Unasked => self.comes_last(false),
            Control::Waiting(due) => due <= now.elapsed && (self.ready.len() > FEW || self.comes_last(along)),
            Control::Flying | Control::Settled => false,
        };
        is_next && !self.is_proven()
    }

    fn has_turn_come(&self, along: bool) -> bool {
        let gone = if along { self.here.accepted + self.flying } else { self.here.accepted };
        let is_heard = along || self.flying == 0;
        is_heard && (gone >= self.expectation.turn.after || (gone > 0 && self.ready.is_empty()))
    }

    /// After all others, the made-up name is asked about only if somebody was accepted. Refused then, it shows at once that
    /// the host did not accept just anybody.
    fn comes_last(&self, along: bool) -> bool {
        self.ready.is_empty() && if self.flying > 0 { along } else { self.here.accepted > 0 }
    }

    /// Undecided refusals need somebody who is accepted after them. A host that turned against us refuses everybody, also
    /// whom it accepted before.
    fn wants_positive(&self) -> bool {
        let is_left = self.here.accepted_last.is_some() || !self.known.postmaster_was_asked;
        is_left
            && !self.here.given_up
            && self.flying == 0
            && self.ready.is_empty()
            && self.here.positive == Positive::NotAsked
            && !self.undecided.is_empty()
    }

    /// True when [`Inquiry::asks`] would give out a question now.
    pub fn wants_ask(&self, now: Moment) -> bool {
        if self.exchangers.is_empty() || matches!(self.here.catch_all, CatchAll::Yes(_)) {
            return false;
        }
        let along = self.expectation.turn.along && self.flying > 0;
        self.wants_made_up(now, along) || self.askable() > 0 || self.wants_positive()
    }

    /// How many questions [`Inquiry::asks`] would give out now; exact up to the controls.
    pub fn demand(&self, hurry: bool) -> u32 {
        let goes_along = self.explores() && (hurry || self.expectation.turn.along);
        self.askable().saturating_add(u32::from(goes_along)).max(1)
    }

    /// How many questions are to come, should the domain not accept any name.
    pub fn prospect(&self) -> u32 {
        u32::try_from(self.ready.len()).unwrap_or(u32::MAX).saturating_add(u32::from(self.explores()))
    }

    /// Nothing will be left to ask but what [`Inquiry::asks`] would give out now, should those who were asked be accepted or
    /// refused in clear words.
    pub fn keeps_nothing_back(&self) -> bool {
        let has_control = matches!(self.here.made_up_state, Control::Flying | Control::Settled);
        let holds_listed = self.explores() && !self.ready.is_empty();
        !holds_listed && self.undecided.is_empty() && (has_control || self.is_proven())
    }
}
