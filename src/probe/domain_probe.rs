//! The probes of one domain, from the first recipient to the last control, as a state machine.
//!
//! Decides: which recipient is probed next, when a control is needed, when enough is known, and what each reply leaves open.
//! Must not: know about connections, lanes or rates (the scheduler asks for the next probes), nor judge (the results are
//! [`MailboxEvidence`]). Can't know: whether a server is honest; the controls test that.

mod finish;
mod mx_host_state;
mod rejections;
mod replies;
mod select;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::control::{self, ControlPlan};
use crate::address::{Address, Domain};
use crate::evidence::{
    CatchAll, DomainFacts, MailboxEvidence, NotProbedReason, Obstacle, ObstacleKind, Recipient, RecipientId,
    RecipientKind, Timestamp,
};
use crate::policy::RetryPolicy;
use mx_host_state::{ControlState, MxHostState};

/// What a domain probe needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextStep {
    /// Probes can be sent: [`DomainProbe::next_probes`].
    Probe,
    /// Replies to probes in flight, or confirmation of acceptances.
    AwaitReplies,
    /// Nothing before this time of the run: all open probes are deferred.
    Wait(Duration),
    /// The next MX host: [`DomainProbe::advance`].
    NextMxHost,
    /// Nothing: [`DomainProbe::finish`] has the results.
    Done,
}

/// How to probe a domain, by the data about its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProbeStrategy {
    /// When the random recipient is probed.
    pub control_plan: ControlPlan,
    /// Clear rejections of listed recipients that prove that the domain is no catch-all.
    pub rejections_needed: u32,
    /// A host of the domain may turn, so a rejection counts only with an acceptance after it.
    pub hosts_may_turn: bool,
    /// The most listed recipients that go before a due retry of the random recipient.
    pub before_control_retry: usize,
}

/// The state machine that probes the recipients of one domain.
#[derive(Debug)]
pub(crate) struct DomainProbe {
    domain: Domain,
    /// The current MX host, then those not tried yet, best first.
    mx_hosts: VecDeque<Domain>,
    strategy: ProbeStrategy,
    retry_policy: RetryPolicy,
    recipients: Vec<RecipientProbe>,
    /// Indexes of recipients that may be probed now, or after a control.
    ready: VecDeque<u32>,
    /// Deferred recipients, by the time of their retry.
    waiting: BTreeSet<(Duration, u32)>,
    /// Recipients that are completed here and not yet emitted.
    completed: Vec<u32>,
    /// Recipients rejected with an ambiguous text since this MX host last accepted a recipient.
    undecided: Vec<u32>,
    /// Number of unconfirmed acceptances.
    unconfirmed: u32,
    /// Number of rejections that may still be revoked, because no acceptance came after them in their session.
    unsettled: u32,
    /// Recipients that are probed again because an acceptance makes a control possible; see `rejections`.
    reopened: Vec<u32>,
    /// Number of recipients that only another MX host can answer.
    needs_next_mx: u32,
    here: MxHostState,
    /// Facts from all MX hosts but the current one: those are in `here`.
    facts: DomainFacts,
    in_flight: u32,
    obstacle: Option<Arc<Obstacle>>,
}

/// The probe of one listed recipient. Most have no reply yet, so the evidence is allocated with the first one.
#[derive(Debug)]
struct RecipientProbe {
    id: RecipientId,
    state: RecipientState,
    /// Number of sessions that ended when this was their oldest open probe, or before its acceptance was confirmed.
    drops: u8,
    /// Number of its rejections at this MX host whose session ended without a control of them.
    uncontrolled: u8,
    /// Its rejection may still be revoked.
    is_unsettled: bool,
    /// Its rejection was settled although its MX host had accepted no recipient.
    is_unproven: bool,
    /// An earlier run recently found it deliverable.
    was_deliverable: bool,
    address: Address,
    /// The evidence; `None` before the first reply or obstacle.
    mailbox: Option<Box<MailboxEvidence>>,
}

impl RecipientProbe {
    fn mailbox(&mut self) -> &mut MailboxEvidence {
        self.mailbox.get_or_insert_default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RecipientState {
    /// May be probed, or is in flight.
    Open,
    /// Deferred; waits for its retry.
    Waiting,
    /// Accepted here; it counts if the domain is no catch-all.
    Accepted,
    /// Accepted here, but the server may accept any recipient by now: a closing control decides.
    Unconfirmed,
    /// Rejected with an ambiguous text.
    Undecided,
    /// This MX host can't answer, another one may.
    NeedsNextMx,
    /// No further probe is needed or possible.
    Closed,
    /// The result was emitted.
    Emitted,
}

impl DomainProbe {
    /// A domain probe of listed recipients at MX hosts, best first, with what is known already.
    pub(crate) fn new(
        domain: Domain,
        mx_hosts: impl IntoIterator<Item = Domain>,
        listed: impl IntoIterator<Item = Recipient>,
        facts: DomainFacts,
        strategy: ProbeStrategy,
        retry_policy: RetryPolicy,
        now: Timestamp,
    ) -> DomainProbe {
        let recipient_probe = |listed: Recipient| {
            let earlier = Some(listed.earlier).filter(|earlier| !earlier.is_empty());
            let mailbox = |attempts| Box::new(MailboxEvidence { attempts, ..MailboxEvidence::default() });
            RecipientProbe {
                id: listed.id,
                state: RecipientState::NeedsNextMx,
                drops: 0,
                uncontrolled: 0,
                is_unsettled: false,
                is_unproven: false,
                was_deliverable: listed.was_deliverable,
                address: listed.address,
                mailbox: earlier.map(mailbox),
            }
        };
        let mut domain_probe = DomainProbe {
            domain,
            mx_hosts: mx_hosts.into_iter().collect(),
            strategy,
            retry_policy,
            recipients: listed.into_iter().map(recipient_probe).collect(),
            ready: VecDeque::new(),
            waiting: BTreeSet::new(),
            completed: Vec::new(),
            undecided: Vec::new(),
            unconfirmed: 0,
            unsettled: 0,
            reopened: Vec::new(),
            needs_next_mx: 0,
            here: MxHostState::default(),
            facts,
            in_flight: 0,
            obstacle: None,
        };
        domain_probe.enter_mx(now);
        domain_probe
    }

    /// The domain.
    pub(crate) fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The address of a recipient of this domain probe.
    pub(crate) fn address_of(&self, kind: RecipientKind) -> Option<Cow<'_, Address>> {
        match kind {
            RecipientKind::Listed(index) | RecipientKind::Recheck(index) => {
                self.recipients.get(index as usize).map(|recipient| Cow::Borrowed(&recipient.address))
            }
            RecipientKind::Random => self.here.random_recipient.as_ref().map(Cow::Borrowed),
            RecipientKind::Postmaster => control::postmaster(&self.domain).map(Cow::Owned),
        }
    }

    /// The current MX host; `None` if none is left.
    pub(crate) fn mx_host(&self) -> Option<&Domain> {
        self.mx_hosts.front()
    }

    /// True if the current MX host is known not to accept every recipient.
    fn is_proven(&self) -> bool {
        matches!(self.here.catch_all, CatchAll::No(_))
            || self.here.clear_rejections >= self.strategy.rejections_needed
    }

    /// Leaves all recipients that wait for a probe to a later run.
    pub(crate) fn postpone(&mut self, unprobed: NotProbedReason) {
        let deferred = std::mem::take(&mut self.waiting).into_iter().map(|(_, index)| index);
        for index in std::mem::take(&mut self.ready).into_iter().chain(deferred) {
            let recipient = &mut self.recipients[index as usize];
            recipient.state = RecipientState::Closed;
            recipient.mailbox().unprobed = Some(unprobed);
        }
        self.here.stop_controls();
    }

    /// True if an earlier run recently found this recipient deliverable.
    pub(crate) fn was_deliverable(&self, index: u32) -> bool {
        self.recipients[index as usize].was_deliverable
    }

    /// Number of listed recipients that may be probed now, or after a control.
    pub(crate) fn unprobed(&self) -> usize {
        self.ready.len()
    }

    /// True if probes wait for their replies.
    pub(crate) fn is_in_flight(&self) -> bool {
        self.in_flight > 0
    }

    /// True if an acceptance or a rejection waits for its confirmation.
    pub(crate) fn has_unconfirmed(&self) -> bool {
        self.unconfirmed > 0 || self.unsettled > 0
    }

    /// The current MX host failed, for a reason that is no fact about any recipient. Open recipients are left to the next MX
    /// host.
    pub(crate) fn on_mx_failed(&mut self, kind: ObstacleKind, now: Timestamp) {
        let Some(mx_host) = self.mx_hosts.front().cloned() else {
            return;
        };
        let obstacle = Arc::new(Obstacle { mx_host, at: now.wall, kind });
        self.ready.clear();
        self.waiting.clear();
        for recipient in &mut self.recipients {
            if matches!(recipient.state, RecipientState::Open | RecipientState::Waiting) {
                recipient.state = RecipientState::NeedsNextMx;
                self.needs_next_mx += 1;
            }
        }
        if self.here.accepted > 0 && !self.is_proven() && self.here.control_state != ControlState::Done {
            self.here.catch_all = CatchAll::Failed(obstacle.clone());
        }
        self.here.stop_controls();
        self.obstacle = Some(obstacle);
    }

    /// The run ends after the current MX host failed: what is known about that host stays with its recipients.
    pub(crate) fn note_failure(&mut self, kind: ObstacleKind, now: Timestamp) {
        if let Some(mx_host) = self.mx_hosts.front().cloned() {
            self.obstacle = Some(Arc::new(Obstacle { mx_host, at: now.wall, kind }));
        }
    }

    /// What this domain probe needs now. Makes retries that are due ready.
    pub(crate) fn next_step(&mut self, now: Timestamp) -> NextStep {
        while let Some(&(at, index)) = self.waiting.first().filter(|(at, _)| *at <= now.elapsed) {
            self.waiting.remove(&(at, index));
            self.recipients[index as usize].state = RecipientState::Open;
            self.ready.push_back(index);
        }
        let mut due = self.waiting.first().map(|(at, _)| *at);
        if let ControlState::Waiting(at) = self.here.control_state
            && at > now.elapsed
            && !self.is_proven()
        {
            due = Some(due.map_or(at, |due| due.min(at)));
        }
        if self.wants_probe(now) {
            return NextStep::Probe;
        }
        if self.in_flight > 0 || self.has_unconfirmed() {
            return NextStep::AwaitReplies;
        }
        if let Some(due) = due {
            return NextStep::Wait(due);
        }
        if self.needs_next_mx > 0 && self.mx_hosts.len() > 1 { NextStep::NextMxHost } else { NextStep::Done }
    }
}
