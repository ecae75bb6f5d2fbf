//! The scope of a lane: holds its provisional results, then confirms or revokes them.
//!
//! Decides: when the results of a lane are confirmed or revoked, and where revoked recipients are probed again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::lane_results::{ProvisionalResult, Unproven, unknown_because};
use crate::address::{Address, Domain};
use crate::evidence::{DomainFacts, ObstacleKind, ProbeResult, Recipient};
use crate::schedule::action::{Action, ProviderEventKind};
use crate::schedule::job::{DomainTask, RemainingRoute};
use crate::schedule::limits::{EndpointId, LaneId};
use crate::schedule::scheduler::Scheduler;

/// The recipients of a domain that are probed again in one task, because they share the controls of the domain.
struct RevokedDomain {
    /// The MX hosts that are tried.
    route: Arc<RemainingRoute>,
    recipients: Vec<Recipient>,
}

/// Domains that are probed again, each with the lane that counts its recipients.
type RevokedDomains = BTreeMap<(LaneId, Domain), RevokedDomain>;

impl Scheduler {
    /// Emits the results of a task, but holds back the provisional ones. `lane`: where the recipients were probed.
    pub(in crate::schedule) fn hold_results(
        &mut self,
        lane: LaneId,
        initial_lane: LaneId,
        results: Vec<ProbeResult>,
        elsewhere: Option<&Arc<RemainingRoute>>,
        unproven: Option<&Unproven>,
    ) {
        if results.is_empty() {
            return;
        }
        let (unconfirmed, confirmed) = self.lanes[lane].provisional.split(results);
        let provisional = |result| ProvisionalResult::new(result, initial_lane, elsewhere, unproven);
        let unconfirmed: Vec<ProvisionalResult> = unconfirmed.into_iter().map(provisional).collect();
        if let Some(classified) = self.lanes[lane].health.breaker_opened_by().cloned() {
            self.revoke(lane, unconfirmed, &ObstacleKind::Rejected(Box::new(classified)));
        } else {
            self.lanes[initial_lane].held += unconfirmed.len();
            self.lanes[lane].provisional.hold(unconfirmed);
        }
        self.emit(initial_lane, confirmed);
        self.on_lane_drained(lane);
        if lane != initial_lane {
            self.on_lane_drained(initial_lane);
        }
    }

    fn emit(&mut self, initial_lane: LaneId, results: Vec<ProbeResult>) {
        if results.is_empty() {
            return;
        }
        let lane = &mut self.lanes[initial_lane];
        lane.backlog -= results.len();
        self.open_recipients -= results.len();
        let provider_id = lane.provider_id;
        self.actions.push_back(Action::Completed(results));
        self.request_work(provider_id);
    }

    /// Takes out what a lane holds: its results, and its rejected controls with their MX hosts.
    fn take_provisional(&mut self, lane: LaneId) -> (Vec<ProvisionalResult>, Vec<(Domain, Address)>) {
        let (results, controls) = self.lanes[lane].provisional.take();
        for ProvisionalResult { initial_lane, .. } in &results {
            self.lanes[*initial_lane].held -= 1;
        }
        (results, controls)
    }

    fn confirm_results(&mut self, lane: LaneId) {
        let (results, _) = self.take_provisional(lane);
        self.emit_all(lane, results);
    }

    fn emit_all(&mut self, lane: LaneId, results: Vec<ProvisionalResult>) {
        let mut by_lane: BTreeMap<LaneId, Vec<ProbeResult>> = BTreeMap::new();
        for ProvisionalResult { result, initial_lane, .. } in results {
            by_lane.entry(initial_lane).or_default().push(result);
        }
        for (initial_lane, results) in by_lane {
            self.emit(initial_lane, results);
            self.on_other_lane_settled(lane, initial_lane);
        }
    }

    /// Results of `initial_lane` were held at `lane`, and are settled.
    fn on_other_lane_settled(&mut self, lane: LaneId, initial_lane: LaneId) {
        if lane != initial_lane {
            self.on_lane_drained(initial_lane);
            self.schedule_eviction(initial_lane);
        }
    }

    /// Confirms the provisional results of a lane that has accepted a recipient at this endpoint. What the endpoint
    /// rejected in sessions that accepted none is probed again.
    pub(in crate::schedule) fn confirm_lane(&mut self, lane: LaneId, endpoint: EndpointId) {
        self.lanes[lane].health.take_block_signal();
        let (results, _) = self.take_provisional(lane);
        let is_stopping = self.stopping.is_some();
        let (again, confirmed) = results.into_iter().partition(|provisional: &ProvisionalResult| {
            !is_stopping
                && provisional.unproven.as_ref().is_some_and(|unproven| unproven.endpoint == endpoint)
        });
        self.emit_all(lane, confirmed);
        self.probe_again(lane, again);
    }

    /// Probes recipients again whose rejections no acceptance confirmed.
    fn probe_again(&mut self, lane: LaneId, unproven: Vec<ProvisionalResult>) {
        if unproven.is_empty() {
            return;
        }
        self.report_event(ProviderEventKind::ResultsRevoked, lane, unproven.len());
        let mut again = RevokedDomains::new();
        for ProvisionalResult { result, initial_lane, unproven, .. } in unproven {
            match (unproven, result.address.domain().cloned()) {
                (Some(Unproven { route, .. }), Some(domain)) => {
                    self.actions.push_back(Action::Revoked(result.address.clone()));
                    add_revoked(&mut again, (initial_lane, domain), route, result);
                }
                _ => self.emit(initial_lane, vec![result]),
            }
        }
        self.enqueue_again(lane, again);
    }

    /// Gives recipients whose results at a lane are revoked to new tasks.
    fn enqueue_again(&mut self, lane: LaneId, again: RevokedDomains) {
        for ((initial_lane, domain), RevokedDomain { route, recipients }) in again {
            self.lanes[initial_lane].backlog -= recipients.len();
            self.open_recipients -= recipients.len();
            let facts = DomainFacts { postmaster_was_probed: true, ..DomainFacts::default() };
            let egress = self.lanes[initial_lane].egress;
            self.enqueue_domain(egress, domain, &route.mx_hosts, recipients, facts, route.expires);
            self.on_other_lane_settled(lane, initial_lane);
        }
    }

    /// Revokes all provisional results of a lane that rejects us, or whose server sent a malformed or surplus reply.
    pub(in crate::schedule) fn revoke_results(&mut self, lane: LaneId, why: &ObstacleKind) {
        let (results, controls) = self.take_provisional(lane);
        self.invalidate_controls(controls.iter().map(|(mx_host, address)| (mx_host, address)), why);
        self.actions.extend(controls.into_iter().map(|(_, address)| Action::Revoked(address)));
        self.revoke(lane, results, why);
    }

    /// Makes all tasks, of whatever egress, forget what the rejections of these addresses showed about their domains.
    fn invalidate_controls<'a>(
        &mut self,
        rejected: impl Iterator<Item = (&'a Domain, &'a Address)>,
        why: &ObstacleKind,
    ) {
        let now = self.now;
        let mut mx_hosts: BTreeMap<&Domain, BTreeSet<&Domain>> = BTreeMap::new();
        for (mx_host, address) in rejected {
            if let Some(domain) = address.domain() {
                mx_hosts.entry(domain).or_default().insert(mx_host);
            }
        }
        if mx_hosts.is_empty() {
            return;
        }
        for DomainTask { domain_probe, .. } in self.tasks.iter_mut().flatten() {
            for mx_host in mx_hosts.get(domain_probe.domain()).into_iter().flatten() {
                domain_probe.invalidate_control(mx_host, why, now);
            }
        }
    }

    fn revoke(&mut self, lane: LaneId, revoked: Vec<ProvisionalResult>, why: &ObstacleKind) {
        if revoked.is_empty() {
            return;
        }
        self.report_event(ProviderEventKind::ResultsRevoked, lane, revoked.len());
        let rejected = revoked.iter().filter_map(|ProvisionalResult { result, .. }| {
            Some((&result.mailbox.attempts.last()?.mx_host, &result.address))
        });
        self.invalidate_controls(rejected, why);
        let mut unknown: BTreeMap<LaneId, Vec<ProbeResult>> = BTreeMap::new();
        let mut again = RevokedDomains::new();
        for ProvisionalResult { result, initial_lane, elsewhere, .. } in revoked {
            self.actions.push_back(Action::Revoked(result.address.clone()));
            let elsewhere = elsewhere.filter(|_| self.stopping.is_none());
            match (elsewhere, result.address.domain().cloned()) {
                (Some(route), Some(domain)) => {
                    add_revoked(&mut again, (initial_lane, domain), route, result);
                }
                _ => unknown.entry(initial_lane).or_default().push(unknown_because(result, why)),
            }
        }
        self.enqueue_again(lane, again);
        for (initial_lane, results) in unknown {
            self.emit(initial_lane, results);
            self.on_other_lane_settled(lane, initial_lane);
        }
    }

    /// Confirms the provisional results of a lane that has nothing left to probe, of its own tasks or others', and whose
    /// sessions have all ended without a surplus reply. Revokes them if the lane rejects us.
    pub(in crate::schedule) fn on_lane_drained(&mut self, id: LaneId) {
        let lane = &mut self.lanes[id];
        if lane.backlog > lane.held || lane.visiting > 0 || lane.pace.has_open() {
            return;
        }
        if let Some(classified) = lane.health.take_block_signal() {
            // No acceptance came after this rejection.
            let (provider_id, has_accepted) = (lane.provider_id, lane.tally.accepted > 0);
            self.update_contact(provider_id, |contact| contact.rejects_us |= !has_accepted);
            return self.revoke_results(id, &ObstacleKind::Rejected(classified));
        }
        if let Some(classified) = lane.health.breaker_opened_by().cloned() {
            // These results came after the breaker opened.
            return self.revoke_results(id, &ObstacleKind::Rejected(Box::new(classified)));
        }
        self.confirm_results(id);
    }
}

fn add_revoked(
    again: &mut RevokedDomains,
    key: (LaneId, Domain),
    route: Arc<RemainingRoute>,
    result: ProbeResult,
) {
    let domain = again.entry(key).or_insert(RevokedDomain { route, recipients: Vec::new() });
    domain.recipients.push(result.into_recipient());
}
