//! Which questions are asked next, and how many are to come.
//!
//! Decides: when listed addresses may be asked about, when the made-up name has its turn ([`ControlPlan`]) and when a positive
//! control is wanted. Until it is known whether the domain accepts any name, hardly any listed address is asked: at a domain
//! that does, the others need no question.

use fastrand::Rng;

use super::DomainProbe;
use super::mx_host_state::ControlState;
use crate::address::Address;
use crate::evidence::{CatchAll, PositiveControl, RecipientKind, Timestamp};
use crate::probe::control;

#[cfg(doc)]
use crate::probe::control_plan::ControlPlan;

/// For more listed addresses than this a made-up name that was put off does not wait: that would put their proof off.
const FEW: usize = 10;

impl DomainProbe {
    /// Up to `at_most` questions that may be asked now, in one transaction. They count as under way until
    /// [`DomainProbe::heard`] or [`DomainProbe::unanswered`]. In a hurry a probe more is no matter where it saves a round trip.
    pub fn next_probes(
        &mut self,
        now: Timestamp,
        at_most: u32,
        hurry: bool,
        random: &mut Rng,
    ) -> Vec<(RecipientKind, Address)> {
        let along = hurry || self.expectation.turn.along;
        let mut next_probes = Vec::new();
        while next_probes.len() < at_most as usize {
            let Some(ask) = self.next_probe(now, along, random) else {
                break;
            };
            self.in_flight += 1;
            next_probes.push(ask);
        }
        next_probes
    }

    fn next_probe(
        &mut self,
        now: Timestamp,
        along: bool,
        random: &mut Rng,
    ) -> Option<(RecipientKind, Address)> {
        if self.mx_hosts.is_empty() || matches!(self.here.catch_all, CatchAll::Yes(_)) {
            return None;
        }
        if self.wants_control(now, along) {
            if self.here.random_recipient.is_none() {
                self.here.random_recipient = control::random_recipient(&self.domain, random);
            }
            if let Some(address) = self.here.random_recipient.clone() {
                self.here.control_state = ControlState::InFlight;
                return Some((RecipientKind::Random, address));
            }
            self.here.control_state = ControlState::Done;
        }
        if self.askable() > 0
            && let Some(place) = self.ready.pop_front()
        {
            return Some((RecipientKind::Listed(place), self.questions[place as usize].address.clone()));
        }
        if self.wants_positive() {
            if let Some(place) = self.here.accepted_last {
                return Some((RecipientKind::Recheck(place), self.questions[place as usize].address.clone()));
            }
            // A domain so long that no such address fits into a path has no positive control.
            self.known.postmaster_was_asked = true;
            return control::postmaster(&self.domain).map(|address| (RecipientKind::Postmaster, address));
        }
        None
    }

    /// Is it still worth while to ask few, because the domain may accept any name? Who refused somebody hardly does. Where
    /// answers are put off, the made-up one's too, there is nothing to learn by waiting.
    fn is_testing_catch_all(&self) -> bool {
        let may_learn = matches!(self.here.control_state, ControlState::NotSent | ControlState::InFlight);
        !self.tells_apart() && may_learn && self.here.transient_answers == 0
    }

    fn tells_apart(&self) -> bool {
        self.is_proven() || self.here.clear_refusals > 0
    }

    /// How many listed addresses may be asked about now.
    fn askable(&self) -> u32 {
        let ready = u32::try_from(self.ready.len()).unwrap_or(u32::MAX);
        if !self.is_testing_catch_all() {
            return ready;
        }
        let before_control = self.expectation.turn.after.saturating_sub(self.here.accepted).max(1);
        ready.min(before_control.saturating_sub(self.in_flight))
    }

    fn wants_control(&self, now: Timestamp, along: bool) -> bool {
        let is_next = match self.here.control_state {
            // Who puts listed addresses off does so with the control too: both waits are one if it is asked at once.
            ControlState::NotSent if self.here.transient_answers > 0 || self.here.deferral.is_some() => true,
            ControlState::NotSent if self.is_testing_catch_all() => self.control_is_due(along),
            // The others may show as well as it that not everybody is accepted.
            ControlState::NotSent => self.comes_last(false),
            ControlState::Waiting(due) => {
                due <= now.elapsed && (self.ready.len() > FEW || self.comes_last(along))
            }
            ControlState::InFlight | ControlState::Done => false,
        };
        is_next && !self.is_proven()
    }

    fn control_is_due(&self, along: bool) -> bool {
        let gone = if along { self.here.accepted + self.in_flight } else { self.here.accepted };
        let is_heard = along || self.in_flight == 0;
        is_heard && (gone >= self.expectation.turn.after || (gone > 0 && self.ready.is_empty()))
    }

    /// After all others, the made-up name is asked about only if somebody was accepted. Refused then, it shows at once that
    /// the host did not accept just anybody.
    fn comes_last(&self, along: bool) -> bool {
        self.ready.is_empty() && if self.in_flight > 0 { along } else { self.here.accepted > 0 }
    }

    /// Undecided refusals need somebody who is accepted after them. A host that turned against us refuses everybody, also
    /// whom it accepted before.
    fn wants_positive(&self) -> bool {
        let is_left = self.here.accepted_last.is_some() || !self.known.postmaster_was_asked;
        is_left
            && !self.here.given_up
            && self.in_flight == 0
            && self.ready.is_empty()
            && self.here.positive == PositiveControl::NotAsked
            && !self.undecided.is_empty()
    }

    /// True when [`DomainProbe::next_probes`] would give out a question now.
    pub fn wants_probe(&self, now: Timestamp) -> bool {
        if self.mx_hosts.is_empty() || matches!(self.here.catch_all, CatchAll::Yes(_)) {
            return false;
        }
        let along = self.expectation.turn.along && self.in_flight > 0;
        self.wants_control(now, along) || self.askable() > 0 || self.wants_positive()
    }

    /// How many questions [`DomainProbe::next_probes`] would give out now; exact up to the controls.
    pub fn demand(&self, hurry: bool) -> u32 {
        let goes_along = self.is_testing_catch_all() && (hurry || self.expectation.turn.along);
        self.askable().saturating_add(u32::from(goes_along)).max(1)
    }

    /// How many questions are to come, should the domain not accept any name.
    pub fn prospect(&self) -> u32 {
        u32::try_from(self.ready.len())
            .unwrap_or(u32::MAX)
            .saturating_add(u32::from(self.is_testing_catch_all()))
    }

    /// Nothing will be left to ask but what [`DomainProbe::next_probes`] would give out now, should those who were asked be accepted or
    /// refused in clear words.
    pub fn has_nothing_pending(&self) -> bool {
        let has_control = matches!(self.here.control_state, ControlState::InFlight | ControlState::Done);
        let holds_listed = self.is_testing_catch_all() && !self.ready.is_empty();
        !holds_listed && self.undecided.is_empty() && (has_control || self.is_proven())
    }
}
