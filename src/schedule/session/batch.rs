//! Batches: which probes leave together on an idle session, how many, and whether QUIT leaves with them.

use super::state::SessionPhase;
use crate::address::Address;
use crate::evidence::RecipientKind;
use crate::probe::DomainProbe;
use crate::schedule::action::{Action, ConnectionAction};
use crate::schedule::dispatch::DispatchResult;
use crate::schedule::in_flight::InFlightProbe;
use crate::schedule::limits::{DomainTaskId, EndpointId, LaneId, SessionId};
use crate::schedule::scheduler::Scheduler;
use crate::smtp::{Batch, ProbeId, RcptProbe, Transaction};

/// What a batch may hold.
#[derive(Clone, Copy)]
struct BatchCapacity {
    probes: u32,
    transactions: u32,
    /// In one transaction.
    recipients: u32,
    /// See [`DomainProbe::next_probes`].
    socket_bound: bool,
}

impl Scheduler {
    /// Sends a batch on an idle session, as large as pace and limits allow now.
    pub(in crate::schedule) fn send_batch(
        &mut self,
        endpoint_id: EndpointId,
        id: SessionId,
    ) -> DispatchResult {
        let now = self.now;
        let lane_id = self.endpoints[endpoint_id].lane;
        let Some(session) = self.sessions.get(&id) else {
            return DispatchResult::Full;
        };
        let unknown_left = self.unknown_left(endpoint_id);
        if unknown_left == 0 {
            return self.on_unknown_cap(endpoint_id);
        }
        // Rejections are known only after the batch was sent, so a batch holds no more probes than the session may
        // still get rejections.
        let max = self
            .max_batch(endpoint_id)
            .min(session.rejections_for_probes())
            .min(session.probes_left())
            .min(unknown_left);
        let (recipients, transactions) = (session.max_recipients(), session.transactions_left());
        let socket_bound = self.is_socket_bound(endpoint_id, max);
        let probes = self.demand(endpoint_id, max, socket_bound).max(1);
        if let Err(wait) = self.take_recipients(endpoint_id, probes) {
            return DispatchResult::Until(now.elapsed + wait);
        }
        let capacity = BatchCapacity { probes, transactions, recipients, socket_bound };
        let (mut batch, in_flight) = self.collect_batch(endpoint_id, capacity);
        if in_flight.is_empty() {
            return DispatchResult::Empty;
        }
        let begun = u32::try_from(batch.transactions.len()).unwrap_or(u32::MAX);
        self.add_in_flight(endpoint_id, u32::try_from(in_flight.len()).unwrap_or(u32::MAX));
        if let Some(session) = self.sessions.get_mut(&id) {
            session.transactions += begun;
            session.sent += u32::try_from(in_flight.len()).unwrap_or(u32::MAX);
            session.in_flight = in_flight;
        }
        batch.is_last =
            self.is_last(id, endpoint_id, max) && self.append_closing_control(id, lane_id, &mut batch);
        self.set_phase(id, SessionPhase::Working);
        self.actions.push_back(Action::Connection(ConnectionAction::Send(id, batch)));
        DispatchResult::Started
    }

    /// True if lanes wait for a socket and all probes that wait at the endpoint fit into one batch: then fewer round
    /// trips free its socket sooner.
    fn is_socket_bound(&self, endpoint_id: EndpointId, max: u32) -> bool {
        !self.waiting_for_socket.is_empty() && self.demand(endpoint_id, max.saturating_add(1), true) <= max
    }

    /// Takes the next probes at an endpoint.
    fn collect_batch(
        &mut self,
        endpoint_id: EndpointId,
        capacity: BatchCapacity,
    ) -> (Batch, Vec<InFlightProbe>) {
        let now = self.now;
        let mut transactions: Vec<(DomainTaskId, Vec<(RecipientKind, Address)>)> = Vec::new();
        let mut left = capacity.probes;
        while left > 0 && transactions.len() < capacity.transactions as usize {
            let endpoint = &mut self.endpoints[endpoint_id];
            let Some(task_id) = endpoint.queue.pop(endpoint.idle.len() > 1) else {
                break;
            };
            let Some(task) = self.tasks[task_id].as_mut() else {
                continue;
            };
            let was_large = self.limits.thresholds.large_domain.is_large(task.domain_probe.unprobed());
            let probes = task.domain_probe.next_probes(
                now,
                capacity.recipients.min(left),
                capacity.socket_bound,
                &mut self.random,
            );
            let count = u32::try_from(probes.len()).unwrap_or(u32::MAX);
            left -= count;
            task.is_queued = task.domain_probe.wants_probe(now);
            task.has_begun |= count > 0;
            let queue = &mut self.endpoints[endpoint_id].queue;
            if task.is_queued {
                queue.push(task_id, task.domain_probe.unprobed(), task.has_begun);
            }
            queue.count(count, was_large);
            if count > 0 {
                transactions.push((task_id, probes));
            } else if !task.is_queued {
                self.advance(task_id);
            }
        }
        // A random recipient that is rejected last shows that the server distinguished recipients up to there.
        transactions.sort_by_key(|(_, probes)| probes.iter().all(|(kind, _)| *kind == RecipientKind::Random));
        self.assign_ids(transactions)
    }

    /// Gives probes their ids, in the order in which they leave.
    fn assign_ids(
        &mut self,
        transactions: Vec<(DomainTaskId, Vec<(RecipientKind, Address)>)>,
    ) -> (Batch, Vec<InFlightProbe>) {
        let mut batch = Batch::default();
        let mut in_flight = Vec::new();
        for (task, probes) in transactions {
            let mut recipients = Vec::with_capacity(probes.len());
            for (position, (kind, address)) in (0..).zip(probes) {
                let id = ProbeId(self.next_probe);
                self.next_probe += 1;
                in_flight.push(InFlightProbe { id, task, kind, position });
                recipients.push(RcptProbe { id, address });
            }
            batch.transactions.push(Transaction { recipients });
        }
        (batch, in_flight)
    }

    /// True if the batch that a session just got is expected to be its last: the session may send no more, or nothing
    /// will be left to probe and the session is not kept for later jobs.
    fn is_last(&self, id: SessionId, endpoint_id: EndpointId, max: u32) -> bool {
        let Some(session) = self.sessions.get(&id) else {
            return false;
        };
        if session.may_need_acceptance() {
            return false;
        }
        if session.transactions_left() == 0 && !session.may_turn {
            return true;
        }
        if self.waiting_for_socket.is_empty() && !self.job_source_closed {
            return false;
        }
        let domain_probes = session.in_flight.iter().filter_map(|probe| self.tasks[probe.task].as_ref());
        let other_sessions =
            u32::try_from(self.endpoints[endpoint_id].idle.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let they_take = other_sessions.saturating_mul(max);
        domain_probes.map(|task| &task.domain_probe).all(DomainProbe::is_next_batch_last)
            && self.demand(endpoint_id, they_take.saturating_add(1), false) <= they_take
    }

    /// Appends a closing control to a last batch if an acceptance may be unconfirmed after it. False if a control is
    /// needed but not possible.
    fn append_closing_control(&mut self, id: SessionId, lane_id: LaneId, batch: &mut Batch) -> bool {
        let lane = &self.lanes[lane_id];
        let Some(session) = self.sessions.get(&id).filter(|_| lane.provider.may_discard) else {
            return !lane.provider.may_discard;
        };
        let threshold = self.limits.thresholds.discard;
        let has_no_unknown =
            session.unknown == 0 && self.unknown_in_run(session.endpoint) < threshold.unknown_in_run;
        // No acceptance comes after the session's first rejection if that is the last reply.
        let last_decides = match &session.in_flight[..] {
            [_] => true,
            [others @ .., last] => {
                last.kind == RecipientKind::Random && others.iter().all(|probe| probe.task == last.task)
            }
            [] => false,
        };
        if has_no_unknown && last_decides && !session.provisional.holds_acceptances() {
            return true;
        }
        let Some(control) = self.make_negative_control(id) else {
            return false;
        };
        batch.transactions.push(control);
        true
    }
}
