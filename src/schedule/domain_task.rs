//! One domain, from its job to its results: which egress and endpoint its recipients are probed at, and when its next
//! MX host is.
//!
//! Decides: the lane of a job, when its negative control is sent, where its recipients wait, and when the task ends.
//! Must not: open sessions or send probes; that is up to `dispatch`.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use super::action::Action;
use super::endpoint::Endpoint;
use super::job::{DomainJob, DomainTask, LaneHop};
use super::limits::{DomainTaskId, EndpointId, LaneId, Timer};
use super::provisional::{Unproven, is_unproven};
use super::queue::EndpointQueue;
use super::scheduler::{Scheduler, insert_slot};
use crate::address::Domain;
use crate::evidence::{DomainFacts, NotProbedReason, ObstacleKind, ProbeResult, Recipient, Timestamp};
use crate::policy::Provider;
use crate::probe::{ControlPlan, DomainPriors, DomainProbe, NextStep, ProbeStrategy};
use crate::reason::Finding;

impl Scheduler {
    /// Takes on a job whose route does not expire.
    pub fn submit(&mut self, job: DomainJob, now: Timestamp) {
        self.submit_until(job, Duration::MAX, now);
    }

    /// Takes on a job. Recipients that wait for a retry are probed from the egress that they were deferred at. From
    /// `route_expires` on, a time of the run, no session starts on its route: recipients that are left then are completed
    /// with [`NotProbedReason::RouteExpired`], and should be submitted again with a new route.
    pub fn submit_until(&mut self, job: DomainJob, route_expires: Duration, now: Timestamp) {
        self.set_time(now);
        let DomainJob { domain, mx_hosts, recipients, facts } = job;
        let hops: Vec<LaneHop> = mx_hosts
            .iter()
            .map(|mx_hop| LaneHop { mx_hop: mx_hop.clone(), key: Self::lane_key(&mx_hosts, mx_hop) })
            .collect();
        let Some(LaneHop { key, .. }) = hops.first() else {
            return;
        };
        let bound_to = facts.egress.filter(|egress| *egress < self.limits.egresses.len());
        let egress =
            bound_to.unwrap_or_else(|| self.egress_for(key, &mx_hosts, self.is_large(recipients.len())));
        self.enqueue_domain(egress, domain, &hops, recipients, facts, route_expires);
        self.run_lanes();
    }

    /// Makes a task and takes its first step.
    pub(super) fn enqueue_domain(
        &mut self,
        egress: usize,
        domain: Domain,
        hops: &[LaneHop],
        recipients: Vec<Recipient>,
        facts: DomainFacts,
        route_expires: Duration,
    ) {
        let mx_hops: VecDeque<(LaneHop, LaneId)> = hops
            .iter()
            .map(|hop| {
                let LaneHop { mx_hop, key } = hop;
                let lane = self.lane(egress, key.clone(), &mx_hop.provider);
                let most = self.limits.thresholds.mx.addresses;
                self.lanes[lane].add_addresses(&mx_hop.addresses, most);
                let provider = &mut self.providers[self.lanes[lane].provider_id];
                provider.serves_others |= !mx_hop.host.is_within(domain.as_str());
                (hop.clone(), lane)
            })
            .collect();
        let Some((first, lane)) = mx_hops.front() else {
            return;
        };
        let initial_lane = *lane;
        self.lanes[initial_lane].backlog += recipients.len();
        self.open_recipients += recipients.len();
        if self.is_large(recipients.len()) {
            self.lanes[initial_lane].large_domain_recipients += recipients.len();
        }
        let Provider { catch_all_share, may_discard, proving_rejections, .. } = *first.mx_hop.provider;
        let is_alone = self.lanes[initial_lane].tasks == 0;
        let priors = DomainPriors {
            catch_all_share,
            listed: recipients.len(),
            rejections_needed: proving_rejections,
            may_discard,
            is_alone,
        };
        let costs = self.limits.thresholds.control;
        let strategy = ProbeStrategy {
            control_plan: ControlPlan::of(priors, costs),
            rejections_needed: proving_rejections,
            hosts_may_turn: hops.iter().any(|hop| !hop.mx_hop.provider.is_trusted()),
            before_control_retry: costs.recipients_before_retry,
        };
        let hosts: Vec<Domain> = hops.iter().map(|hop| hop.mx_hop.host.clone()).collect();
        let retry_policy = self.limits.retry_policy;
        let domain_probe =
            DomainProbe::new(domain, hosts, recipients, facts, strategy, retry_policy, self.now);
        for (_, lane) in &mx_hops {
            self.lanes[*lane].tasks += 1;
        }
        let task = DomainTask::new(domain_probe, mx_hops, initial_lane, route_expires);
        self.open_tasks += 1;
        let id = insert_slot(&mut self.tasks, &mut self.free_tasks, Some(task));
        self.advance(id);
    }

    /// Brings a task to its next step: a queue, a wait, the next MX host, or its end.
    pub(super) fn advance(&mut self, id: DomainTaskId) {
        loop {
            self.emit_final(id);
            let now = self.now;
            let Some(task) = self.tasks[id].as_mut() else {
                return;
            };
            if self.stopping.is_some() {
                // Replies to probes in flight are awaited, and unconfirmed acceptances get their closing control.
                // Nothing more is probed.
                if !task.domain_probe.is_in_flight() && !task.domain_probe.has_unconfirmed() {
                    self.finish(id);
                }
                return;
            }
            match task.domain_probe.next_step(now) {
                NextStep::AwaitReplies => return,
                NextStep::Done => return self.finish(id),
                NextStep::Wait(due) => {
                    self.timers.insert((due, Timer::DomainTask(id)));
                    return;
                }
                NextStep::NextMxHost => self.leave_mx_host(id),
                NextStep::Probe if task.route_expires <= now.elapsed => {
                    let awaits = task.domain_probe.is_in_flight() || task.domain_probe.has_unconfirmed();
                    if task.is_expired && !awaits {
                        return self.finish(id);
                    }
                    if self.expire_route(id) {
                        return;
                    }
                }
                NextStep::Probe => {
                    if task.is_queued {
                        return;
                    }
                    match self.pick_endpoint(id) {
                        Ok(endpoint) => return self.enqueue(id, endpoint),
                        Err(obstacle) => self.fail_current_mx_host(id, obstacle),
                    }
                }
            }
        }
    }

    /// Takes a task whose route has expired out of its queue, and leaves its recipients to a new route. Returns true if
    /// replies to probes in flight are awaited.
    fn expire_route(&mut self, id: DomainTaskId) -> bool {
        let Some(task) = self.tasks[id].as_mut() else {
            return true;
        };
        task.is_expired = true;
        task.domain_probe.postpone(NotProbedReason::RouteExpired);
        self.dequeue(id);
        let awaits = |probe: &DomainProbe| probe.is_in_flight() || probe.has_unconfirmed();
        self.tasks[id].as_ref().is_some_and(|task| awaits(&task.domain_probe))
    }

    /// The first endpoint of the task's current MX host that is not abandoned. The error is why there is none.
    fn pick_endpoint(&mut self, id: DomainTaskId) -> Result<EndpointId, ObstacleKind> {
        let unreachable = ObstacleKind::NoReply(Finding::ConnectFailed);
        let Some(task) = self.tasks[id].as_ref() else {
            return Err(unreachable);
        };
        let Some((mx_hop, lane_id)) = task.mx_hop() else {
            return Err(unreachable);
        };
        let lane = &self.lanes[lane_id];
        if let Some(classified) = lane.health.breaker_opened_by() {
            return Err(ObstacleKind::Rejected(Box::new(classified.clone())));
        }
        if let Some(endpoint) = task.endpoint
            && self.endpoints[endpoint].health.abandoned().is_none()
        {
            return Ok(endpoint);
        }
        let mut last = unreachable;
        // Endpoints that other domains use come first, because their sessions serve this domain, too.
        let known = mx_hop.addresses.iter().filter(|address| lane.endpoints.contains_key(address));
        let reached = known.chain(&mx_hop.addresses).filter(|address| self.reaches(lane.egress, address));
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in reached {
            if !addresses.contains(address) {
                addresses.push(*address);
            }
        }
        limit_addresses(&mut addresses, self.limits.thresholds.mx.addresses);
        let (host, tls) = (mx_hop.host.clone(), lane.provider.tls);
        for address in &addresses {
            let endpoint = if let Some(&endpoint) = self.lanes[lane_id].endpoints.get(address) {
                endpoint
            } else {
                let machine = self.attach_machine(lane_id, *address);
                let queue = EndpointQueue::new(self.limits.thresholds.large_domain);
                let new = Endpoint::new(lane_id, *address, machine, host.clone(), tls, queue);
                let endpoint = insert_slot(&mut self.endpoints, &mut self.free_slots.endpoints, new);
                self.lanes[lane_id].endpoints.insert(*address, endpoint);
                endpoint
            };
            match self.endpoints[endpoint].health.abandoned() {
                None => return Ok(endpoint),
                Some(obstacle) => last = obstacle.clone(),
            }
        }
        Err(last)
    }

    fn enqueue(&mut self, id: DomainTaskId, endpoint_id: EndpointId) {
        let Some(task) = self.tasks[id].as_mut() else {
            return;
        };
        (task.endpoint, task.is_queued) = (Some(endpoint_id), true);
        if task.route_expires < Duration::MAX {
            self.timers.insert((task.route_expires, Timer::DomainTask(id)));
        }
        let endpoint = &mut self.endpoints[endpoint_id];
        if endpoint.rejected_domain.is_none() && task.domain_probe.has_clear_rejection() {
            endpoint.rejected_domain = Some(task.domain_probe.domain().clone());
        }
        if let Some(accepted) = task.domain_probe.take_accepted() {
            endpoint.accepted.get_or_insert(accepted);
        }
        let unprobed = task.domain_probe.unprobed();
        endpoint.queue.push(id, unprobed, task.has_begun);
        if !std::mem::replace(&mut endpoint.is_ready, true) {
            self.lanes[endpoint.lane].ready_endpoints.push_back(endpoint_id);
        }
        self.timers.insert((self.now.elapsed, Timer::Lane(endpoint.lane)));
    }

    pub(super) fn fail_current_mx_host(&mut self, id: DomainTaskId, obstacle: ObstacleKind) {
        let now = self.now;
        if let Some(task) = self.tasks[id].as_mut() {
            task.domain_probe.on_mx_failed(obstacle, now);
        }
    }

    /// Takes a task out of the queue of its endpoint, if it is there.
    fn dequeue(&mut self, id: DomainTaskId) {
        if let Some(task) = self.tasks[id].as_mut()
            && std::mem::take(&mut task.is_queued)
            && let Some(endpoint) = task.endpoint
        {
            self.endpoints[endpoint].queue.remove(id);
        }
    }

    /// Moves a task on to its next MX host. If that one is another provider's, the results of this provider are held
    /// at its lane: nothing that happens elsewhere confirms them.
    fn leave_mx_host(&mut self, id: DomainTaskId) {
        self.dequeue(id);
        let now = self.now;
        let Some(task) = self.tasks[id].as_mut() else {
            return;
        };
        let (before, was_visiting) = (task.lane(), task.is_visiting());
        if let Some(lane) = task.leave_mx_host(now) {
            self.lanes[lane].tasks -= 1;
        }
        let (after, initial_lane) = (task.lane(), task.initial_lane);
        if after == before {
            return;
        }
        let (results, elsewhere) = (task.domain_probe.take_closed(), task.mx_hosts_beyond(before));
        self.lanes[before].visiting -= u32::from(was_visiting);
        self.lanes[after].visiting += u32::from(after != initial_lane);
        self.hold_results(before, initial_lane, results, elsewhere.as_ref(), None);
        self.on_lane_drained(before);
        self.schedule_eviction(before);
    }

    /// Ends a task and emits the results that are left.
    fn finish(&mut self, id: DomainTaskId) {
        self.dequeue(id);
        let Some(mut task) = self.tasks[id].take() else {
            return;
        };
        self.open_tasks -= 1;
        for lane in task.lanes() {
            self.lanes[lane].tasks -= 1;
        }
        self.free_tasks.push(id);
        let domain = task.domain_probe.domain().clone();
        let expired = task.is_expired.then_some(NotProbedReason::RouteExpired);
        if self.stopping.is_some()
            && let Some(endpoint) = task.endpoint
            && let Some(failure) = self.endpoints[endpoint].health.failure()
        {
            task.domain_probe.note_failure(ObstacleKind::NoReply(failure), self.now);
        }
        let (mut facts, results) = task.domain_probe.finish(self.stopping.or(expired));
        facts.egress = facts.is_waiting().then_some(self.lanes[task.initial_lane].egress);
        // Comes before the results, because these may be revoked immediately, and the facts with them.
        self.actions.push_back(Action::DomainFactsChanged(domain, facts));
        if task.is_visiting() {
            self.lanes[task.lane()].visiting -= 1;
        }
        let (elsewhere, unproven) = (task.mx_hosts_elsewhere(), unproven(&task, &results));
        self.hold_results(task.lane(), task.initial_lane, results, elsewhere.as_ref(), unproven.as_ref());
        for lane in task.lanes() {
            self.schedule_eviction(lane);
        }
        if self.open_tasks == 0 {
            self.close_all_idle();
        }
    }

    /// Emits results that are final before the whole domain is, and the catch-all result for other parts of the domain.
    fn emit_final(&mut self, id: DomainTaskId) {
        let Some(task) = self.tasks[id].as_mut() else {
            return;
        };
        if task.domain_probe.is_catch_all_known() && !std::mem::replace(&mut task.facts_published, true) {
            let (domain, facts) = (task.domain_probe.domain().clone(), task.domain_probe.facts());
            self.actions.push_back(Action::DomainFactsChanged(domain, facts));
        }
        let results = task.domain_probe.take_final();
        if results.is_empty() {
            return;
        }
        let (lane, initial_lane) = (task.lane(), task.initial_lane);
        let (elsewhere, unproven) = (task.mx_hosts_elsewhere(), unproven(task, &results));
        self.hold_results(lane, initial_lane, results, elsewhere.as_ref(), unproven.as_ref());
    }
}

/// Where rejections among these results come from that no acceptance confirms; `None` if there are none.
fn unproven(task: &DomainTask, results: &[ProbeResult]) -> Option<Unproven> {
    let endpoint = task.endpoint.filter(|_| results.iter().any(is_unproven))?;
    Some(Unproven { endpoint, route: task.mx_hosts_left() })
}

/// Keeps the first addresses that are tried. If both families are among them, the last one kept is of the second family,
/// so that a family that does not work hides no host.
fn limit_addresses(addresses: &mut Vec<IpAddr>, most: usize) {
    if addresses.len() <= most {
        return;
    }
    let is_other = |address: &IpAddr| address.is_ipv4() != addresses[0].is_ipv4();
    let other = addresses.iter().position(is_other).filter(|&other| other >= most);
    if let (Some(other), Some(last)) = (other, most.checked_sub(1)) {
        addresses.swap(last, other);
    }
    addresses.truncate(most);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_family_keeps_an_address() {
        let limited = |count: (u16, u16)| {
            let v4 = (0..count.0).map(|n| IpAddr::from([192, 0, 2, n.to_le_bytes()[0]]));
            let v6 = (0..count.1).map(|n| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n]));
            let mut addresses = v4.chain(v6).collect();
            limit_addresses(&mut addresses, 5);
            let v4 = addresses.iter().filter(|address| address.is_ipv4()).count();
            (v4, addresses.len() - v4)
        };
        let table = [
            ((3, 2), (3, 2)),
            ((9, 0), (5, 0)),
            ((0, 9), (0, 5)),
            ((9, 9), (4, 1)),
            ((4, 4), (4, 1)),
            ((1, 9), (1, 4)),
        ];
        for (given, kept) in table {
            assert_eq!(limited(given), kept, "{given:?}");
        }
    }
}
