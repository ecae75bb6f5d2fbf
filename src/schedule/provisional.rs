//! Refusals that nobody vouches for yet.
//!
//! Decides: when "no such mailbox" is believed, and what becomes of it where it is not. A host that turns against us says it to
//! everybody, sometimes before it says what it means. So a refusal is handed out once the same lane has accepted somebody
//! after it, or has run dry, and so is an acceptance that rests on refusals, because they alone show that not everybody is
//! accepted. If the lane turns out to refuse us before that, all that it said since its last acceptance is withdrawn: it is
//! as if it had not been asked. Only a made-up name that is refused right after an acceptance at its domain needs nobody: that
//! is a clear pair of unlike answers. Whoever has an exchanger of another operator is asked about there, from the
//! same egress, which is how mail goes on too; nobody is asked again where we are refused, nor from another egress, which
//! would be a way round a block.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;
use std::sync::Arc;

use super::domain_task::DomainTask;
use super::provider_event::ProviderEventKind;
use super::{Action, LaneId, MxHop, Scheduler};
use crate::address::{Address, Domain};
use crate::evidence::{
    self, Attempt, CatchAll, ControlOutcome, DomainFacts, MailboxEvidence, Obstacle, ObstacleKind,
    ProbeResult, Recipient, RecipientKind, RecordedReply,
};
use crate::reason::{Cause, Fault};

/// What nobody vouches for yet.
#[derive(Debug, Default)]
pub(super) struct ProvisionalResults {
    /// Refusals, and acceptances that rest on such.
    pub(super) found: Vec<ProvisionalResult>,
    /// Made-up names that were refused, each with who did so.
    proofs: Vec<(Domain, Address)>,
}

impl ProvisionalResults {
    fn is_empty(&self) -> bool {
        self.found.is_empty() && self.proofs.is_empty()
    }
}

/// What was found out, and may be withdrawn.
#[derive(Debug)]
pub(super) struct ProvisionalResult {
    found: ProbeResult,
    /// Exchangers of other operators, where it may be asked about should this be taken back.
    elsewhere: Option<Arc<[MxHop]>>,
}

impl ProvisionalResult {
    /// A thousand lanes hold some hundreds each, so it takes little: the words of what was said, which are stored by now, are
    /// let go; what they mean is enough.
    fn of(mut found: ProbeResult, elsewhere: Option<&Arc<[MxHop]>>) -> ProvisionalResult {
        for attempt in &mut found.mailbox.attempts {
            attempt.classified.reply.lines = Vec::new();
        }
        ProvisionalResult { found, elsewhere: elsewhere.cloned() }
    }
}

impl DomainTask {
    /// The exchangers of other operators that are left to ask.
    pub(super) fn elsewhere(&self) -> Option<Arc<[MxHop]>> {
        let here = self.stops.front().map(|(_, lane)| *lane);
        let others = self.stops.iter().filter(|(_, lane)| Some(*lane) != here);
        let others: Vec<MxHop> = others.map(|(stop, _)| stop.clone()).collect();
        (!others.is_empty()).then(|| others.into())
    }
}

impl Scheduler {
    /// Notes a made-up name that was refused, unless that makes a clear pair with the answer before it.
    pub(super) fn hold_control(&mut self, lane: LaneId, answer: &RecordedReply) {
        let RecordedReply { domain, kind: who, address, attempt, .. } = answer;
        let lane = &mut self.lanes[lane];
        let is_refused = matches!(
            evidence::interpret_control(&attempt.classified),
            ControlOutcome::Rejected | ControlOutcome::RejectedUnclearly
        );
        if *who == RecipientKind::Random && is_refused && lane.accepted_last.as_ref() != Some(domain) {
            lane.provisional.proofs.push((attempt.mx_host.clone(), address.clone()));
        }
    }

    /// Hands out what was found out at a lane about addresses of a domain, but keeps that for which nobody vouches yet.
    pub(super) fn hold(
        &mut self,
        lane: LaneId,
        initial_lane: LaneId,
        found: Vec<ProbeResult>,
        elsewhere: Option<&Arc<[MxHop]>>,
    ) {
        if found.is_empty() {
            return;
        }
        let has_refused =
            !self.lanes[lane].provisional.is_empty() || found.iter().any(|found| is_refusal(&found.mailbox));
        let (unconfirmed, rest): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|ProbeResult { mailbox, .. }| {
                is_refusal(mailbox) || (has_refused && matches!(mailbox.catch_all, CatchAll::No(_)))
            });
        let held = |found| ProvisionalResult::of(found, elsewhere);
        if let Some(classified) = self.lanes[lane].paused.clone() {
            let unconfirmed = unconfirmed.into_iter().map(held).collect();
            self.revoke(lane, initial_lane, unconfirmed, &ObstacleKind::Rejected(classified));
        } else if lane == initial_lane {
            let provisional = &mut self.lanes[lane].provisional.found;
            provisional.reserve_exact(unconfirmed.len());
            provisional.extend(unconfirmed.into_iter().map(held));
        } else {
            // Who was sent on from another lane is not this one's to count.
            self.emit(initial_lane, unconfirmed);
        }
        self.emit(initial_lane, rest);
        self.on_lane_drained(initial_lane);
    }

    fn emit(&mut self, initial_lane: LaneId, found: Vec<ProbeResult>) {
        if found.is_empty() {
            return;
        }
        let lane = &mut self.lanes[initial_lane];
        lane.backlog -= found.len();
        let operator = lane.operator;
        self.actions.push_back(Action::Completed(found));
        self.request_work(operator);
    }

    /// What a lane refused is believed.
    fn confirm_rejections(&mut self, lane: LaneId) {
        let ProvisionalResults { found, .. } = take(&mut self.lanes[lane].provisional);
        self.emit(lane, found.into_iter().map(|held| held.found).collect());
    }

    /// Somebody was accepted at a lane: what it refused before is believed.
    pub(super) fn confirm_lane(&mut self, lane: LaneId) {
        self.lanes[lane].rejected_us = None;
        self.confirm_rejections(lane);
    }

    /// A lane was found to refuse us, or to say more than it was asked: what nobody vouched for is taken back.
    pub(super) fn revoke_results(&mut self, lane: LaneId, why: &ObstacleKind) {
        let ProvisionalResults { found, proofs } = take(&mut self.lanes[lane].provisional);
        self.invalidate_control(proofs.iter().map(|(mx_host, random_recipient)| (mx_host, random_recipient)));
        self.actions
            .extend(proofs.into_iter().map(|(_, random_recipient)| Action::Revoked(random_recipient)));
        self.revoke(lane, lane, found, why);
    }

    /// Whoever asks at the domains of these names now, from wherever, does not rely on their refusals any more.
    fn invalidate_control<'a>(&mut self, refused: impl Iterator<Item = (&'a Domain, &'a Address)>) {
        let mut mx_hosts: BTreeMap<&Domain, BTreeSet<&Domain>> = BTreeMap::new();
        for (mx_host, name) in refused {
            if let Some(domain) = name.domain() {
                mx_hosts.entry(domain).or_default().insert(mx_host);
            }
        }
        if mx_hosts.is_empty() {
            return;
        }
        for DomainTask { domain_probe, .. } in self.tasks.iter_mut().flatten() {
            for mx_host in mx_hosts.get(domain_probe.domain()).into_iter().flatten() {
                domain_probe.invalidate_control(mx_host);
            }
        }
    }

    fn revoke(
        &mut self,
        lane: LaneId,
        initial_lane: LaneId,
        refusals: Vec<ProvisionalResult>,
        why: &ObstacleKind,
    ) {
        if refusals.is_empty() {
            return;
        }
        self.decided(ProviderEventKind::ResultsRevoked, lane, refusals.len());
        self.invalidate_control(refusals.iter().filter_map(|ProvisionalResult { found, .. }| {
            Some((&found.mailbox.attempts.last()?.mx_host, &found.address))
        }));
        let mut over = Vec::new();
        // One order for a domain: its addresses share their controls.
        let mut again: BTreeMap<Domain, (Arc<[MxHop]>, Vec<Recipient>)> = BTreeMap::new();
        for ProvisionalResult { found, elsewhere } in refusals {
            self.actions.push_back(Action::Revoked(found.address.clone()));
            let elsewhere = elsewhere.filter(|_| self.stopping.is_none());
            let (Some(elsewhere), Some(domain)) = (elsewhere, found.address.domain()) else {
                over.push(withdrawn(found, why));
                continue;
            };
            self.lanes[initial_lane].backlog -= 1;
            let (_, listed) = again.entry(domain.clone()).or_insert((elsewhere, Vec::new()));
            listed.push(found.into_recipient());
        }
        for (domain, (mx_hosts, listed)) in again {
            let known = DomainFacts { postmaster_was_probed: true, ..DomainFacts::default() };
            self.enqueue_domain(self.lanes[initial_lane].egress, domain, &mx_hosts, listed, known);
        }
        self.emit(initial_lane, over);
    }

    /// Nothing is left to be asked at a lane, and its sessions have shown at their ends that no reply was one too many: what
    /// it refused last is believed, unless it refuses us too.
    pub(super) fn on_lane_drained(&mut self, id: LaneId) {
        let lane = &mut self.lanes[id];
        if lane.backlog > lane.provisional.found.len() || lane.open > 0 {
            return;
        }
        if let Some(classified) = lane.rejected_us.take() {
            // The last that was heard of it is that it refuses us.
            let (operator, accepted) = (lane.operator, lane.tally.accepted > 0);
            self.received(operator, |reception| reception.refused |= !accepted);
            return self.revoke_results(id, &ObstacleKind::Rejected(classified));
        }
        if let Some(classified) = lane.paused.clone() {
            // What came back after it was left alone.
            return self.revoke_results(id, &ObstacleKind::Rejected(classified));
        }
        self.confirm_rejections(id);
    }
}

/// Takes back what was said about an address by a host that turned out to refuse us.
fn withdrawn(found: ProbeResult, why: &ObstacleKind) -> ProbeResult {
    let obstacle = found.mailbox.attempts.last().map(|Attempt { mx_host, at, .. }| {
        Arc::new(Obstacle { mx_host: mx_host.clone(), at: *at, kind: why.clone() })
    });
    ProbeResult { mailbox: Box::new(MailboxEvidence { obstacle, ..MailboxEvidence::default() }), ..found }
}

/// The last word about it may condemn it, and the domain is not one that accepts anybody.
fn is_refusal(mailbox: &MailboxEvidence) -> bool {
    let accepts_any = matches!(mailbox.catch_all, CatchAll::Yes(_));
    let last = mailbox.attempts.last().map(|attempt| attempt.classified.meaning.cause);
    !accepts_any && last.is_some_and(|cause| cause == Cause::Ambiguous || cause.fault() == Fault::Mailbox)
}
