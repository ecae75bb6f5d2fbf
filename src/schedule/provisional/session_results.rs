//! The provisional results of a session: acceptances that a clear rejection or a closing control has to confirm.

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
    /// The closing control in flight.
    closing_control: Option<ProbeId>,
    /// The closing control waits for the pace of the lane.
    waits_for_pace: bool,
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
        self.acceptances.is_empty()
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
        if self.is_empty() { all } else { self.unknown_before }
    }

    /// Notes the closing control that is sent.
    pub(super) fn set_closing_control(&mut self, probe: ProbeId) {
        self.closing_control = Some(probe);
    }

    /// True if the probe is the closing control in flight.
    pub(super) fn is_closing_control(&self, probe: ProbeId) -> bool {
        self.closing_control == Some(probe)
    }

    /// Takes the closing control off the session. False if none is in flight.
    pub(super) fn take_closing_control(&mut self) -> bool {
        self.closing_control.take().is_some()
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
