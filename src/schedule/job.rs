//! Orders: what there is to ask about, as it comes in.
//!
//! Decides: from which egress a domain is asked, and what is expected of it before anybody is asked. Must not: start
//! anything; an order becomes a [`DomainTask`], which finds its door.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use super::domain_task::DomainTask;
use super::queue::EndpointQueue;
use super::{LaneId, Scheduler};
use crate::address::Domain;
use crate::evidence::{DomainFacts, Recipient, Timestamp};
use crate::policy::Provider;
use crate::probe::{ControlPlan, DomainPriors, DomainProbe, ProbeStrategy};

/// A domain to ask about, or a part of a long one.
#[derive(Debug)]
pub struct DomainJob {
    /// The domain.
    pub domain: Domain,
    /// Its exchangers, best first, each with its operator.
    pub mx_hosts: Vec<MxHop>,
    /// Its listed addresses.
    pub listed: Vec<Recipient>,
    /// What is known about it already.
    pub known: DomainFacts,
}

/// An exchanger with its operator.
#[derive(Clone, Debug)]
pub struct MxHop {
    /// The exchanger's name.
    pub host: Domain,
    /// Its addresses; at least one.
    pub addresses: Vec<IpAddr>,
    /// Who runs it.
    pub provider: Arc<Provider>,
}

impl Scheduler {
    /// Takes on a domain, at the egress at which a wait has begun, if there is one.
    pub fn order(&mut self, order: DomainJob, now: Timestamp) {
        self.set_time(now);
        let DomainJob { domain, mx_hosts, listed, known } = order;
        let Some(first) = mx_hosts.first() else {
            return;
        };
        let bound_to = known.egress.filter(|egress| *egress < self.limits.egresses.len());
        let egress = bound_to.unwrap_or_else(|| {
            let key = Self::lane_key(&mx_hosts, first);
            self.egress_for(&key, &mx_hosts, EndpointQueue::is_long(listed.len()))
        });
        self.enqueue_domain(egress, domain, &mx_hosts, listed, known);
        self.run_lanes();
    }

    pub(super) fn enqueue_domain(
        &mut self,
        egress: usize,
        domain: Domain,
        mx_hosts: &[MxHop],
        listed: Vec<Recipient>,
        known: DomainFacts,
    ) {
        let stops: VecDeque<(MxHop, LaneId)> = mx_hosts
            .iter()
            .map(|stop| {
                let lane = self.lane(egress, Self::lane_key(mx_hosts, stop), &stop.provider);
                let operator = &mut self.providers[self.lanes[lane].operator];
                operator.serves_others |= !stop.host.is_within(domain.as_str());
                (stop.clone(), lane)
            })
            .collect();
        let Some((first, lane)) = stops.front() else {
            return;
        };
        let initial_lane = *lane;
        self.lanes[initial_lane].backlog += listed.len();
        if EndpointQueue::is_long(listed.len()) {
            self.lanes[initial_lane].given_long += listed.len();
        }
        let Provider { catch_all_share, may_discard, proving_rejections: proof, .. } = *first.provider;
        let is_alone = self.lanes[initial_lane].tasks == 0;
        let before = DomainPriors {
            catch_all_share,
            listed: listed.len(),
            rejections_needed: proof,
            may_discard,
            is_alone,
        };
        let expectation = ProbeStrategy { control_plan: ControlPlan::of(before), rejections_needed: proof };
        let hosts: Vec<Domain> = mx_hosts.iter().map(|stop| stop.host.clone()).collect();
        let retry_policy = self.limits.retry_policy;
        let domain_probe =
            DomainProbe::new(domain, hosts, listed, known, expectation, retry_policy, self.now);
        let was_told = domain_probe.is_catch_all_known();
        for (_, lane) in &stops {
            self.lanes[*lane].tasks += 1;
        }
        let task = DomainTask {
            domain_probe,
            stops,
            initial_lane,
            was_told,
            endpoint: None,
            queued: false,
            begun: false,
        };
        self.open_tasks += 1;
        let id = if let Some(id) = self.free_tasks.pop() {
            self.tasks[id] = Some(task);
            id
        } else {
            self.tasks.push(Some(task));
            self.tasks.len() - 1
        };
        self.go_on(id);
    }
}
