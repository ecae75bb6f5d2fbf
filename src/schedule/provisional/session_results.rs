//! The provisional results of a session: acceptances that a clear rejection or a closing control has to confirm, and
//! rejections that an acceptance has to confirm.

use std::collections::BTreeSet;

use crate::address::Address;
use crate::evidence::{ClassifiedReply, RecipientKind, RecordedReply, Timestamp};
use crate::reason::Cause;
use crate::schedule::in_flight::InFlightProbe;
use crate::schedule::limits::DomainTaskId;
use crate::smtp::ProbeId;

/// What a session holds.
#[derive(Debug, Default)]
pub(in crate::schedule) struct SessionResults {
    acceptances: HeldAcceptances,
    /// The unknown recipients of the session when its first held acceptance came.
    unknown_before: u32,
    /// Rejections since the last acceptance.
    rejections: Vec<HeldRejection>,
    /// The recipient that the session accepted last.
    accepted: Option<Address>,
    /// The replies of the session up to its last acceptance.
    replies_at_acceptance: u32,
    /// The replies of the session up to its last clear rejection.
    replies_at_rejection: u32,
    /// The closing control in flight.
    closing_control: Option<(ProbeId, ClosingControl)>,
    /// The closing control waits for the pace of the lane.
    waits_for_pace: bool,
}

/// What a closing control confirms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClosingControl {
    /// Acceptances, if this random recipient is rejected.
    Negative,
    /// Rejections, if this recipient is accepted, which the MX host accepted before.
    Positive,
    /// Rejections, if `postmaster` of this domain is accepted.
    Postmaster(DomainTaskId),
}

/// A rejection that may still be revoked.
#[derive(Debug)]
pub(super) struct HeldRejection {
    pub(super) task: DomainTaskId,
    /// The position of the recipient in its task.
    pub(super) position: u32,
    pub(super) classified: ClassifiedReply,
}

/// Acceptances that may still be revoked.
#[derive(Debug, Default)]
pub(super) struct HeldAcceptances {
    /// Accepted recipients, by task and position there.
    pub(super) accepted: Vec<(DomainTaskId, u32)>,
    /// Other positive replies with the time of receipt, which are not applied to their tasks yet.
    pub(super) parked: Vec<(InFlightProbe, ClassifiedReply, Timestamp)>,
    /// All these replies as they are recorded once they are confirmed.
    pub(super) to_record: Vec<RecordedReply>,
}

impl HeldAcceptances {
    fn is_empty(&self) -> bool {
        self.accepted.is_empty() && self.parked.is_empty()
    }

    /// The number of replies.
    pub(super) fn len(&self) -> usize {
        self.accepted.len() + self.parked.len()
    }
}

impl SessionResults {
    /// True if nothing is held.
    pub(in crate::schedule) fn is_empty(&self) -> bool {
        self.acceptances.is_empty() && self.rejections.is_empty()
    }

    /// True if acceptances are held.
    pub(in crate::schedule) fn holds_acceptances(&self) -> bool {
        !self.acceptances.is_empty()
    }

    /// True if rejections are held.
    pub(in crate::schedule) fn holds_rejections(&self) -> bool {
        !self.rejections.is_empty()
    }

    /// Holds a rejection.
    pub(super) fn hold_rejection(&mut self, rejection: HeldRejection) {
        self.rejections.push(rejection);
    }

    /// The rejections, oldest first.
    pub(super) fn rejections(&self) -> &[HeldRejection] {
        &self.rejections
    }

    /// Takes out the rejections.
    pub(super) fn take_rejections(&mut self) -> Vec<HeldRejection> {
        std::mem::take(&mut self.rejections)
    }

    /// Notes a recipient that was accepted, and the replies of the session up to there.
    pub(super) fn note_accepted(&mut self, address: Address, replies: u32) {
        (self.accepted, self.replies_at_acceptance) = (Some(address), replies);
    }

    /// The tasks of the rejections, each once.
    pub(super) fn tasks_of_rejections(&self) -> BTreeSet<DomainTaskId> {
        self.rejections.iter().map(|rejection| rejection.task).collect()
    }

    /// The recipient that the session accepted last.
    pub(super) fn accepted(&self) -> Option<&Address> {
        self.accepted.as_ref()
    }

    /// The replies of the session up to its last acceptance.
    pub(super) fn replies_at_acceptance(&self) -> u32 {
        self.replies_at_acceptance
    }

    /// Notes a clear rejection.
    pub(in crate::schedule) fn note_rejected(&mut self, replies: u32) {
        self.replies_at_rejection = replies;
    }

    /// The replies of the session up to its last clear rejection.
    pub(super) fn replies_at_rejection(&self) -> u32 {
        self.replies_at_rejection
    }

    /// Holds a positive reply. `unknown`: the unknown recipients of the session so far. Returns the position of the
    /// recipient in its task, if the reply accepts a listed recipient; other replies are parked.
    pub(super) fn hold_acceptance(
        &mut self,
        probe: InFlightProbe,
        classified: ClassifiedReply,
        to_record: Option<RecordedReply>,
        unknown: u32,
        now: Timestamp,
    ) -> Option<(u32, ClassifiedReply)> {
        let held = &mut self.acceptances;
        held.to_record.extend(to_record);
        if held.is_empty() {
            self.unknown_before = unknown;
        }
        match probe.kind {
            RecipientKind::Listed(position) if classified.meaning.cause == Cause::Accepted => {
                held.accepted.push((probe.task, position));
                Some((position, classified))
            }
            _ => {
                held.parked.push((probe, classified, now));
                None
            }
        }
    }

    /// Takes out what is held, if anything is. A closing control in flight stays.
    pub(super) fn take(&mut self) -> Option<HeldAcceptances> {
        let held = std::mem::take(&mut self.acceptances);
        let is_empty = held.is_empty();
        (self.unknown_before, self.waits_for_pace) =
            if is_empty { (self.unknown_before, self.waits_for_pace) } else { (0, false) };
        (!is_empty).then_some(held)
    }

    /// The unknown recipients of the session when its first held acceptance came; `all` if nothing is held: a clear
    /// rejection has confirmed everything meanwhile, so the server began to accept any recipient after that one.
    pub(super) fn unknown_before(&self, all: u32) -> u32 {
        if self.holds_acceptances() { self.unknown_before } else { all }
    }

    /// Notes the closing control that is sent.
    pub(super) fn set_closing_control(&mut self, probe: ProbeId, kind: ClosingControl) {
        self.closing_control = Some((probe, kind));
    }

    /// True if the probe is the closing control in flight.
    pub(super) fn is_closing_control(&self, probe: ProbeId) -> bool {
        self.closing_control.is_some_and(|(control, _)| control == probe)
    }

    /// Takes the closing control off the session.
    pub(super) fn take_closing_control(&mut self) -> Option<ClosingControl> {
        self.closing_control.take().map(|(_, kind)| kind)
    }

    /// The closing control waits for the pace of the lane.
    pub(super) fn wait_for_pace(&mut self) {
        self.waits_for_pace = true;
    }

    /// True if the closing control has waited for its pace until now.
    pub(in crate::schedule) fn take_wait(&mut self) -> bool {
        std::mem::take(&mut self.waits_for_pace)
    }
}
