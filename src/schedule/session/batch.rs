//! Flights: which questions leave together on an idle session, how many, and whether QUIT leaves with them.

use super::{InFlightProbe, SessionPhase};
use crate::address::Address;
use crate::evidence::RecipientKind;
use crate::probe::DomainProbe;
use crate::schedule::dispatch::DispatchResult;
use crate::schedule::queue::EndpointQueue;
use crate::schedule::{Action, ConnectionAction, DomainTaskId, EndpointId, LaneId, Scheduler, SessionId};
use crate::smtp::{Batch, ProbeId, RcptProbe, Transaction};

/// What a flight may hold.
#[derive(Clone, Copy)]
struct BatchCapacity {
    questions: u32,
    transactions: u32,
    /// In one transaction.
    recipients: u32,
    /// See [`DomainProbe::asks`].
    socket_bound: bool,
}

impl Scheduler {
    /// Puts a flight on an idle session.
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
        let lane = &self.lanes[lane_id];
        let unknown_left = lane.unknown_left(now.elapsed);
        if unknown_left == 0 {
            return self.on_unknown_cap(endpoint_id);
        }
        // Refusals are known only after the flight has left, so it holds no more than the session may still get.
        let most = lane.batch.min(lane.asks.burst()).min(session.refusals_to_spare()).min(unknown_left);
        let (recipients, transactions) = (session.recipients(), session.transactions_left());
        let socket_bound = self.is_socket_bound(endpoint_id, most);
        let questions = self.demand(endpoint_id, most, socket_bound).max(1);
        if let Err(wait) = self.lanes[lane_id].asks.take(questions) {
            return DispatchResult::Until(now.elapsed + wait);
        }
        let room = BatchCapacity { questions, transactions, recipients, socket_bound };
        let (mut batch, in_flight) = self.load(endpoint_id, room);
        if in_flight.is_empty() {
            return DispatchResult::Nothing;
        }
        let begun = u32::try_from(batch.transactions.len()).unwrap_or(u32::MAX);
        self.lanes[lane_id].in_flight += u32::try_from(in_flight.len()).unwrap_or(u32::MAX);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.transactions += begun;
            session.in_flight = in_flight;
        }
        batch.is_last =
            self.is_last(id, endpoint_id, most) && self.append_closing_control(id, lane_id, &mut batch);
        self.set_state(id, SessionPhase::Working);
        self.actions.push_back(Action::Connection(ConnectionAction::Send(id, batch)));
        DispatchResult::Started
    }

    /// Lanes wait for sockets, and all that waits at this door fits into one flight: the fewer round trips it takes the
    /// sooner its socket is free.
    fn is_socket_bound(&self, endpoint_id: EndpointId, most: u32) -> bool {
        !self.starved.is_empty() && self.demand(endpoint_id, most.saturating_add(1), true) <= most
    }

    /// Takes the next questions of a door.
    fn load(&mut self, endpoint_id: EndpointId, room: BatchCapacity) -> (Batch, Vec<InFlightProbe>) {
        let now = self.now;
        let mut transactions: Vec<(DomainTaskId, Vec<(RecipientKind, Address)>)> = Vec::new();
        let mut left = room.questions;
        while left > 0 && transactions.len() < room.transactions as usize {
            let endpoint = &mut self.endpoints[endpoint_id];
            let Some(task_id) = endpoint.tasks.pop(endpoint.idle.len() > 1) else {
                break;
            };
            let Some(task) = self.tasks[task_id].as_mut() else {
                self.free_tasks.push(task_id);
                continue;
            };
            let was_long = EndpointQueue::is_long(task.domain_probe.unprobed());
            let asks = task.domain_probe.next_probes(
                now,
                room.recipients.min(left),
                room.socket_bound,
                &mut self.random,
            );
            let count = u32::try_from(asks.len()).unwrap_or(u32::MAX);
            left -= count;
            task.queued = task.domain_probe.wants_probe(now);
            task.begun |= count > 0;
            let queue = &mut self.endpoints[endpoint_id].tasks;
            if task.queued {
                queue.push(task_id, task.domain_probe.unprobed(), task.begun);
            }
            queue.asked(count, was_long);
            if count > 0 {
                transactions.push((task_id, asks));
            } else if !task.queued {
                self.go_on(task_id);
            }
        }
        // Refused last, made-up names show that the host told names apart up to there.
        transactions.sort_by_key(|(_, asks)| asks.iter().all(|(who, _)| *who == RecipientKind::Random));
        self.number(transactions)
    }

    /// Gives questions their numbers, in the order in which they leave.
    fn number(
        &mut self,
        transactions: Vec<(DomainTaskId, Vec<(RecipientKind, Address)>)>,
    ) -> (Batch, Vec<InFlightProbe>) {
        let mut batch = Batch::default();
        let mut in_flight = Vec::new();
        for (task, asks) in transactions {
            let mut recipients = Vec::with_capacity(asks.len());
            for (place, (who, address)) in (0..).zip(asks) {
                let ask = ProbeId(self.next_probe);
                self.next_probe += 1;
                in_flight.push(InFlightProbe { ask, task, who, place });
                recipients.push(RcptProbe { id: ask, address });
            }
            batch.transactions.push(Transaction { recipients });
        }
        (batch, in_flight)
    }

    /// Will nothing be left for a session to ask when the flight that it was given has landed? Either it may not ask more,
    /// or nobody has more questions for it and sessions are not kept for those who may come.
    fn is_last(&self, id: SessionId, endpoint_id: EndpointId, most: u32) -> bool {
        let Some(session) = self.sessions.get(&id) else {
            return false;
        };
        if session.transactions_left() == 0 && !session.may_discard {
            return true;
        }
        if self.starved.is_empty() && !self.close_job_source {
            return false;
        }
        let domain_probes = session.in_flight.iter().filter_map(|asked| self.tasks[asked.task].as_ref());
        let others =
            u32::try_from(self.endpoints[endpoint_id].idle.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let they_take = others.saturating_mul(most);
        domain_probes.map(|task| &task.domain_probe).all(DomainProbe::is_next_batch_last)
            && self.demand(endpoint_id, they_take.saturating_add(1), false) <= they_take
    }

    /// Will no acceptance of the flight be in doubt at its end? Where one might, a closing control goes with it.
    fn append_closing_control(&mut self, id: SessionId, lane_id: LaneId, batch: &mut Batch) -> bool {
        let lane = &self.lanes[lane_id];
        let Some(session) = self.sessions.get(&id).filter(|_| lane.provider.may_discard) else {
            return !lane.provider.may_discard;
        };
        let threshold = self.limits.thresholds.discard;
        let begins = session.unknown == 0 && lane.unknown_names < threshold.unknown_in_run;
        // A first refusal that comes last casts no doubt on anybody.
        let last_decides = match &session.in_flight[..] {
            [_] => true,
            [others @ .., last] => {
                last.who == RecipientKind::Random && others.iter().all(|asked| asked.task == last.task)
            }
            [] => false,
        };
        if begins && last_decides && session.unconfirmed.is_empty() {
            return true;
        }
        let Some(closing) = self.closing(id).ok().flatten() else {
            return false;
        };
        batch.transactions.push(closing);
        true
    }
}
