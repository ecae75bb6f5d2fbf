//! Rejections that may still be revoked: a server that turns rejects every recipient from then on, in whatever words.
//!
//! Decides: what a rejection that is settled or revoked changes. Must not: know what settles it; that is an acceptance in
//! the same session, which the scheduler sees.

use super::{DomainProbe, RecipientState};
use crate::address::Address;
use crate::evidence::{CatchAll, ObstacleKind, PositiveControl, RecipientKind, Timestamp};
use crate::probe::control;
use crate::reason::{Cause, Confidence};

impl DomainProbe {
    /// Marks the newest rejection of a listed recipient as one that may be revoked. False if its newest reply leaves
    /// nothing to revoke.
    pub(crate) fn hold_rejection(&mut self, index: u32) -> bool {
        let recipient = &mut self.recipients[index as usize];
        let is_rejected = matches!(recipient.state, RecipientState::Closed | RecipientState::Undecided);
        if is_rejected && !recipient.is_unsettled {
            recipient.is_unsettled = true;
            self.unsettled += 1;
        }
        is_rejected
    }

    /// The rejection will not be revoked. `is_confirmed`: the server accepted a recipient after it in the same session,
    /// so it is about its mailbox; else the MX host has accepted no recipient so far.
    pub(crate) fn settle_rejection(&mut self, index: u32, is_confirmed: bool) {
        let recipient = &mut self.recipients[index as usize];
        if !std::mem::take(&mut recipient.is_unsettled) {
            return;
        }
        self.unsettled -= 1;
        recipient.is_unproven = !is_confirmed;
        recipient.mailbox().positive_control =
            if is_confirmed { PositiveControl::Accepted } else { PositiveControl::Inconclusive };
        if is_confirmed && recipient.state == RecipientState::Undecided {
            recipient.state = RecipientState::Closed;
            self.undecided.retain(|undecided| *undecided != index);
            self.completed.push(index);
        }
    }

    /// Marks a rejection by which an earlier part of the run knows the recipient: whether an acceptance came after it in its
    /// session is not stored.
    pub(super) fn note_unproven(&mut self, index: u32) {
        let recipient = &mut self.recipients[index as usize];
        let is_closed = matches!(recipient.state, RecipientState::Closed | RecipientState::Undecided);
        let last = recipient.mailbox.as_deref().and_then(|mailbox| mailbox.attempts.last());
        if self.strategy.hosts_may_turn
            && is_closed
            && last.is_some_and(|last| last.classified.reply.is_permanent())
        {
            recipient.is_unproven = true;
            recipient.mailbox().positive_control = PositiveControl::Inconclusive;
        }
    }

    /// Revokes a rejection: its reply is dropped, and the recipient is probed again. If the server rejected the control as
    /// well (`has_turned`), the recipient is left to the next MX host the second time. If there only was no control, because
    /// the server deferred it or ended the session, that says nothing about the recipient, which is probed a few times more.
    pub(crate) fn revoke_rejection(
        &mut self,
        index: u32,
        why: ObstacleKind,
        has_turned: bool,
        now: Timestamp,
    ) {
        let recipient = &mut self.recipients[index as usize];
        if !std::mem::take(&mut recipient.is_unsettled) {
            return;
        }
        recipient.uncontrolled += u8::from(!has_turned);
        let is_free =
            !has_turned && recipient.uncontrolled < self.retry_policy.tries().uncontrolled_rejections;
        self.unsettled -= 1;
        self.undo_rejection(index);
        self.in_flight += 1;
        self.recipients[index as usize].state = RecipientState::Open;
        if is_free {
            self.on_unanswered(RecipientKind::Listed(index));
        } else {
            self.on_connection_lost(RecipientKind::Listed(index), why, now);
        }
    }

    /// Probes those recipients again that were rejected before the MX host accepted any: now a control is possible.
    pub(crate) fn reopen_unproven(&mut self) {
        let unproven = |recipient: &super::RecipientProbe| {
            recipient.is_unproven
                && matches!(recipient.state, RecipientState::Closed | RecipientState::Undecided)
        };
        let reopened: Vec<u32> =
            (0..).zip(&self.recipients).filter(|(_, one)| unproven(one)).map(|(index, _)| index).collect();
        let accepts_any = matches!(self.here.catch_all, CatchAll::Yes(_));
        for index in reopened {
            self.undo_rejection(index);
            self.reopened.push(index);
            // Another probe would show nothing at a host that accepts any recipient.
            if accepts_any {
                self.recipients[index as usize].state = RecipientState::Closed;
            } else {
                self.recipients[index as usize].state = RecipientState::Open;
                self.ready.push_back(index);
            }
        }
    }

    /// Removes and returns the addresses of the recipients that are probed again because an acceptance makes a control
    /// possible: their stored replies count no more.
    pub(crate) fn take_reopened(&mut self) -> Vec<Address> {
        let reopened = std::mem::take(&mut self.reopened);
        reopened.into_iter().map(|index| self.recipients[index as usize].address.clone()).collect()
    }

    /// The address of `postmaster`; `None` for a domain name that is too long for it.
    pub(crate) fn postmaster(&self) -> Option<Address> {
        control::postmaster(&self.domain)
    }

    /// True if `postmaster` was not probed in this run, and is no listed recipient, whose own reply says as much.
    pub(crate) fn may_probe_postmaster(&self) -> bool {
        let address = if self.facts.postmaster_was_probed { None } else { self.postmaster() };
        address.is_some_and(|address| self.recipients.iter().all(|recipient| recipient.address != address))
    }

    /// Notes that `postmaster` is probed.
    pub(crate) fn note_postmaster(&mut self) {
        self.facts.postmaster_was_probed = true;
    }

    /// Drops the newest reply of a rejected recipient, and what it showed.
    fn undo_rejection(&mut self, index: u32) {
        self.undecided.retain(|undecided| *undecided != index);
        self.completed.retain(|completed| *completed != index);
        let recipient = &mut self.recipients[index as usize];
        recipient.is_unproven = false;
        let mailbox = recipient.mailbox();
        mailbox.positive_control = PositiveControl::NotSent;
        let Some(meaning) = mailbox.attempts.pop().map(|attempt| attempt.classified.meaning) else {
            return;
        };
        if meaning.cause == Cause::MailboxUnknown && meaning.confidence == Confidence::Confirmed {
            self.here.clear_rejections = self.here.clear_rejections.saturating_sub(1);
        }
    }
}
