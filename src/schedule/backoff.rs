//! Refusals and broken sessions: who rests, who is given up, and what that means for those who wait there.

use super::provider_event::ProviderEventKind;
use super::{DomainTaskId, EndpointId, LaneId, REST, Scheduler};
use crate::evidence::{ClassifiedReply, ObstacleKind};
use crate::reason::{Cause, Fault, Finding, Verdict};

impl Scheduler {
    /// Everybody who waits at a door is blocked.
    pub(super) fn abandon_endpoint(&mut self, endpoint_id: EndpointId, obstacle: &ObstacleKind) {
        self.endpoints[endpoint_id].dead = Some(obstacle.clone());
        self.decided(ProviderEventKind::EndpointAbandoned, self.endpoints[endpoint_id].lane, 0);
        self.requeue_elsewhere(endpoint_id);
    }

    /// Lets everybody who waits at a door look for another.
    pub(super) fn requeue_elsewhere(&mut self, endpoint_id: EndpointId) {
        for id in self.clear_queue(endpoint_id) {
            self.go_on(id);
        }
    }

    /// Takes all domains out of a door's queue.
    pub(super) fn clear_queue(&mut self, endpoint_id: EndpointId) -> Vec<DomainTaskId> {
        let queue = std::mem::take(&mut self.endpoints[endpoint_id].tasks);
        let mut waiting = Vec::with_capacity(queue.len());
        for id in queue.iter() {
            if let Some(task) = self.tasks[id].as_mut() {
                task.queued = false;
                waiting.push(id);
            } else {
                self.free_tasks.push(id);
            }
        }
        waiting
    }

    /// A session was refused for what we are, or by a host in trouble.
    pub(super) fn refused(&mut self, endpoint_id: EndpointId, classified: &ClassifiedReply) {
        let hurried = self.limits.retry_policy.max_wait < REST;
        let endpoint = &mut self.endpoints[endpoint_id];
        endpoint.refusals += 1;
        let lane = endpoint.lane;
        if classified.meaning.cause.fault() == Fault::Us {
            self.record_block_signal(lane, classified);
            let at_once = if hurried { 1 } else { self.limits.thresholds.breaker.sessions };
            let in_row = self.lanes[lane].refused();
            // Egresses that are refused one after the other need not all learn it by themselves.
            let operator = &self.providers[self.lanes[lane].operator];
            let of_all: u32 = operator.lanes.iter().map(|&lane| self.lanes[lane].refused_in_row()).sum();
            let never_answered = self.lanes[lane].tally.probed == 0;
            if in_row >= at_once || (of_all >= at_once && never_answered) {
                return self.open_breaker(lane, classified);
            }
        }
        let endpoint = &mut self.endpoints[endpoint_id];
        let tries = endpoint.refusals as usize;
        let wait = classified.meaning.retry_in.unwrap_or(REST * 4u32.saturating_pow(endpoint.refusals - 1));
        if hurried
            || tries >= self.limits.thresholds.breaker.sessions as usize
            || wait > self.limits.retry_policy.max_wait
        {
            let obstacle = ObstacleKind::Rejected(Box::new(classified.clone()));
            self.abandon_endpoint(endpoint_id, &obstacle);
        } else {
            endpoint.hold_until = self.now.elapsed + wait;
        }
    }

    /// Notes a refusal that is about what we are, not about our pace.
    pub(super) fn record_block_signal(&mut self, lane: LaneId, classified: &ClassifiedReply) {
        let cause = classified.meaning.cause;
        if cause.fault() == Fault::Us
            && cause.verdict() == Verdict::Unknown
            && classified.reply.is_permanent()
        {
            let is_pace = matches!(cause, Cause::RateLimited | Cause::TlsRequired | Cause::ProtocolError);
            let rejected_us = &mut self.lanes[lane].rejected_us;
            if !is_pace && rejected_us.is_none() {
                *rejected_us = Some(Box::new(classified.clone()));
            }
        }
    }

    /// Leaves a lane alone for the rest of the run. What it said last is taken back, and who waits there looks elsewhere.
    pub(super) fn open_breaker(&mut self, id: LaneId, classified: &ClassifiedReply) {
        let lane = &mut self.lanes[id];
        if lane.paused.is_some() {
            return;
        }
        lane.paused = Some(Box::new(classified.clone()));
        let (operator, endpoints) =
            (lane.operator, lane.endpoints.values().copied().collect::<Vec<EndpointId>>());
        self.note_refusal(operator);
        self.decided(ProviderEventKind::BreakerOpened, id, self.lanes[id].backlog);
        self.revoke_results(id, &ObstacleKind::Rejected(Box::new(classified.clone())));
        for endpoint in endpoints {
            self.requeue_elsewhere(endpoint);
        }
    }

    /// A session broke without one answer. The host rests longer each time; nobody waits for one that can't be reached.
    pub(super) fn broken(&mut self, endpoint_id: EndpointId, finding: Finding) {
        let retry_policy = self.limits.retry_policy.max_wait;
        let most = match finding {
            Finding::ConnectFailed => 1,
            Finding::Timeout => self.limits.thresholds.broken_connections.timed_out_sessions,
            _ => self.limits.thresholds.broken_connections.sessions,
        };
        let endpoint = &mut self.endpoints[endpoint_id];
        let rest = REST * 4u32.saturating_pow(endpoint.failures_in_row);
        endpoint.failures_in_row += 1;
        if endpoint.failures_in_row >= most || rest > retry_policy {
            self.abandon_endpoint(endpoint_id, &ObstacleKind::NoReply(finding));
        } else {
            endpoint.hold_until = self.now.elapsed + rest;
        }
    }
}
