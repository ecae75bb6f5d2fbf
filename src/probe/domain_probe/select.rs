//! Which probes are next, and how many follow.
//!
//! Decides: when listed recipients may be probed, when the random recipient is due ([`ControlPlan`]) and when a positive control is
//! needed. While the domain may be a catch-all, few listed recipients are probed: at a catch-all the others need no probe.

use fastrand::Rng;

use super::DomainProbe;
use super::mx_host_state::ControlState;
use crate::address::Address;
use crate::evidence::{CatchAll, PositiveControl, RecipientKind, Timestamp};
use crate::probe::control;

#[cfg(doc)]
use crate::probe::control::ControlPlan;

impl DomainProbe {
    /// Up to `at_most` probes that may be sent now, in one transaction. They are in flight until [`DomainProbe::on_reply`] or
    /// [`DomainProbe::on_unanswered`]. `socket_bound`: sockets are scarce, so an extra probe is worth a saved round trip.
    pub(crate) fn next_probes(
        &mut self,
        now: Timestamp,
        at_most: u32,
        socket_bound: bool,
        random: &mut Rng,
    ) -> Vec<(RecipientKind, Address)> {
        let together = socket_bound || self.strategy.control_plan.together;
        let mut next_probes = Vec::new();
        while next_probes.len() < at_most as usize {
            let Some(probe) = self.next_probe(now, together, random) else {
                break;
            };
            self.in_flight += 1;
            next_probes.push(probe);
        }
        next_probes
    }

    fn next_probe(
        &mut self,
        now: Timestamp,
        together: bool,
        random: &mut Rng,
    ) -> Option<(RecipientKind, Address)> {
        if self.mx_hosts.is_empty() || matches!(self.here.catch_all, CatchAll::Yes(_)) {
            return None;
        }
        if self.wants_control(now, together) {
            if self.here.random_recipient.is_none() {
                self.here.random_recipient = control::random_recipient(&self.domain, random);
            }
            if let Some(address) = self.here.random_recipient.clone() {
                self.here.control_state = ControlState::InFlight;
                return Some((RecipientKind::Random, address));
            }
            self.here.control_state = ControlState::Done;
        }
        if self.sendable() > 0
            && let Some(index) = self.take_ready()
        {
            return Some((RecipientKind::Listed(index), self.recipients[index as usize].address.clone()));
        }
        if self.wants_positive_control() {
            if let Some(index) = self.here.last_accepted {
                return Some((
                    RecipientKind::Recheck(index),
                    self.recipients[index as usize].address.clone(),
                ));
            }
            // A domain name that is too long for `postmaster` in a path has no positive control.
            self.facts.postmaster_was_probed = true;
            return control::postmaster(&self.domain).map(|address| (RecipientKind::Postmaster, address));
        }
        None
    }

    /// Takes the next listed recipient: the first one of the list. Dead recipients often stand together, and an MX host
    /// that rejected some and accepted none leaves them without a control; so there the last one and the middle one are
    /// next, by turns, which finds an accepted one sooner.
    fn take_ready(&mut self) -> Option<u32> {
        let last = self.ready.len().checked_sub(1)?;
        let at = if self.in_flight.is_multiple_of(2) { last } else { last / 2 };
        let has_ended_session =
            self.ready.get(at).is_some_and(|&one| self.recipients[one as usize].drops > 0);
        let has_rejected = self.here.clear_rejections > 0 || !self.undecided.is_empty();
        if self.here.accepted == 0 && has_rejected && !has_ended_session {
            self.ready.swap_remove_back(at)
        } else {
            self.ready.pop_front()
        }
    }

    /// True while probes are limited because the domain may be a catch-all: the control is not completed, no recipient was
    /// rejected, and nothing was deferred (a server that defers recipients defers the control as well).
    fn is_testing_catch_all(&self) -> bool {
        let is_open = matches!(self.here.control_state, ControlState::NotSent | ControlState::InFlight);
        !self.rejects_some() && is_open && self.here.deferrals == 0
    }

    /// True if the current MX host rejected a recipient, so that it is hardly a catch-all.
    fn rejects_some(&self) -> bool {
        self.is_proven() || self.here.clear_rejections > 0
    }

    /// Number of listed recipients that may be probed now.
    fn sendable(&self) -> u32 {
        let ready = u32::try_from(self.ready.len()).unwrap_or(u32::MAX);
        if !self.is_testing_catch_all() {
            return ready;
        }
        let before_control = self.strategy.control_plan.after.saturating_sub(self.here.accepted).max(1);
        ready.min(before_control.saturating_sub(self.in_flight))
    }

    /// True if the random recipient is the next probe.
    fn wants_control(&self, now: Timestamp, together: bool) -> bool {
        let is_next = match self.here.control_state {
            // A server that defers listed recipients defers the control, too. Sent now, it waits at the same time as they do.
            ControlState::NotSent if self.here.deferrals > 0 || self.here.deferral.is_some() => true,
            ControlState::NotSent if self.is_testing_catch_all() => self.control_is_due(together),
            // The other recipients may prove that the domain is no catch-all, so that no control is needed.
            ControlState::NotSent => self.control_is_due_last(false),
            ControlState::Waiting(due) => {
                due <= now.elapsed
                    && (self.ready.len() > self.strategy.before_control_retry
                        || self.control_is_due_last(together))
            }
            ControlState::InFlight | ControlState::Done => false,
        };
        is_next && !self.is_proven()
    }

    /// True if as many listed recipients as planned went before the control.
    fn control_is_due(&self, together: bool) -> bool {
        let before = if together { self.here.accepted + self.in_flight } else { self.here.accepted };
        let is_complete = together || self.in_flight == 0;
        is_complete && (before >= self.strategy.control_plan.after || (before > 0 && self.ready.is_empty()))
    }

    /// True if the control is due as the last probe: all listed recipients are probed, and one was accepted. A rejection of the control
    /// then also proves that the server had not begun to accept any recipient.
    fn control_is_due_last(&self, together: bool) -> bool {
        self.ready.is_empty() && if self.in_flight > 0 { together } else { self.here.accepted > 0 }
    }

    /// True if a positive control is needed: an ambiguous rejection is about its mailbox only if the server accepts a recipient
    /// after it. A server that rejects us rejects every recipient, even one that it accepted before.
    fn wants_positive_control(&self) -> bool {
        let is_possible = self.here.last_accepted.is_some() || !self.facts.postmaster_was_probed;
        is_possible
            && !self.here.controls_stopped
            && self.in_flight == 0
            && self.ready.is_empty()
            && self.here.positive_control == PositiveControl::NotSent
            && !self.undecided.is_empty()
    }

    /// True if [`DomainProbe::next_probes`] would return a probe now.
    pub(crate) fn wants_probe(&self, now: Timestamp) -> bool {
        if self.mx_hosts.is_empty() || matches!(self.here.catch_all, CatchAll::Yes(_)) {
            return false;
        }
        let together = self.strategy.control_plan.together && self.in_flight > 0;
        self.wants_control(now, together) || self.sendable() > 0 || self.wants_positive_control()
    }

    /// Number of probes that [`DomainProbe::next_probes`] would return now; controls may make it inexact.
    pub(crate) fn demand(&self, socket_bound: bool) -> u32 {
        let control_goes_too =
            self.is_testing_catch_all() && (socket_bound || self.strategy.control_plan.together);
        self.sendable().saturating_add(u32::from(control_goes_too)).max(1)
    }

    /// Number of probes that still follow if the domain is no catch-all.
    pub(crate) fn expected_probes(&self) -> u32 {
        u32::try_from(self.ready.len())
            .unwrap_or(u32::MAX)
            .saturating_add(u32::from(self.is_testing_catch_all()))
    }

    /// True if no probe follows those that [`DomainProbe::next_probes`] would return now, provided that all replies are
    /// acceptances or clear rejections.
    pub(crate) fn is_next_batch_last(&self) -> bool {
        let has_control = matches!(self.here.control_state, ControlState::InFlight | ControlState::Done);
        let holds_listed = self.is_testing_catch_all() && !self.ready.is_empty();
        !holds_listed && self.undecided.is_empty() && (has_control || self.is_proven())
    }
}
