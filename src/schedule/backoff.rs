//! Rejected and broken sessions: when a lane slows down, when an endpoint pauses or is abandoned, and when the
//! breaker of a lane opens.
//!
//! Decides: what follows for the lane, the endpoint and the tasks that wait there. Can't know: whether a rejection is
//! about one machine of the provider or about us; thresholds decide.

use super::action::ProviderEventKind;
use super::endpoint::EndpointTls;
use super::limits::{DomainTaskId, EndpointId, LaneId, MIN_BACKOFF};
use super::scheduler::Scheduler;
use crate::evidence::{ClassifiedReply, ObstacleKind};
use crate::reason::{Cause, Fault, Finding, Verdict};

impl Scheduler {
    /// Handles a reply by which a server rejected us, in a session or instead of one.
    pub(super) fn on_rejection_of_us(&mut self, endpoint_id: EndpointId, classified: &ClassifiedReply) {
        match classified.meaning.cause {
            Cause::TlsRequired => match self.endpoints[endpoint_id].tls {
                EndpointTls::Plain => self.endpoints[endpoint_id].tls = EndpointTls::Wanted,
                // The server demands TLS, which has failed.
                EndpointTls::Wanted | EndpointTls::Broken => {
                    self.abandon_endpoint(endpoint_id, &ObstacleKind::Rejected(Box::new(classified.clone())));
                }
            },
            Cause::RateLimited => {
                let pause = classified.meaning.retry_in.unwrap_or(MIN_BACKOFF * 2);
                let lane = self.endpoints[endpoint_id].lane;
                self.lanes[lane].slow_down(self.now.elapsed + pause);
                self.report_event(ProviderEventKind::SlowedDown, lane, 0);
                self.record_rejection(endpoint_id, classified);
            }
            _ => self.record_rejection(endpoint_id, classified),
        }
    }

    /// Records a session that was rejected for what we are, or by a server in trouble. Opens the breaker of the lane,
    /// abandons the endpoint, or pauses it.
    fn record_rejection(&mut self, endpoint_id: EndpointId, classified: &ClassifiedReply) {
        // A run that does not wait does not try again.
        let is_impatient = self.limits.retry_policy.max_wait < MIN_BACKOFF;
        let endpoint = &mut self.endpoints[endpoint_id];
        endpoint.consecutive_rejections += 1;
        let lane = endpoint.lane;
        if classified.meaning.cause.fault() == Fault::Us {
            self.record_block_signal(lane, classified);
            let enough = if is_impatient { 1 } else { self.limits.thresholds.breaker.sessions };
            let on_lane = self.lanes[lane].record_rejected_session();
            // If egresses are rejected one after the other, not each of them needs to find out by itself.
            let provider = &self.providers[self.lanes[lane].provider_id];
            let on_all_lanes: u32 =
                provider.lanes.iter().map(|&lane| self.lanes[lane].consecutive_rejections()).sum();
            let never_answered = self.lanes[lane].tally.probed == 0;
            if on_lane >= enough || (on_all_lanes >= enough && never_answered) {
                return self.open_breaker(lane, classified);
            }
        }
        let endpoint = &mut self.endpoints[endpoint_id];
        let rejections = endpoint.consecutive_rejections;
        let pause = classified.meaning.retry_in.unwrap_or(MIN_BACKOFF * 4u32.saturating_pow(rejections - 1));
        if is_impatient
            || rejections >= self.limits.thresholds.breaker.sessions
            || pause > self.limits.retry_policy.max_wait
        {
            let obstacle = ObstacleKind::Rejected(Box::new(classified.clone()));
            self.abandon_endpoint(endpoint_id, &obstacle);
        } else {
            endpoint.paused_until = self.now.elapsed + pause;
        }
    }

    /// Remembers a reply that rejects us for what we are, not for our rate or a protocol fault, until the lane
    /// accepts a recipient.
    pub(super) fn record_block_signal(&mut self, lane: LaneId, classified: &ClassifiedReply) {
        let cause = classified.meaning.cause;
        if cause.fault() == Fault::Us
            && cause.verdict() == Verdict::Unknown
            && classified.reply.is_permanent()
        {
            let is_about_conduct =
                matches!(cause, Cause::RateLimited | Cause::TlsRequired | Cause::ProtocolError);
            let rejected_us = &mut self.lanes[lane].rejected_us;
            if !is_about_conduct && rejected_us.is_none() {
                *rejected_us = Some(Box::new(classified.clone()));
            }
        }
    }

    /// Pauses a lane for the rest of the run, revokes its provisional results, and sends its tasks to their next MX
    /// hosts.
    pub(super) fn open_breaker(&mut self, id: LaneId, classified: &ClassifiedReply) {
        let lane = &mut self.lanes[id];
        if lane.breaker_opened_by.is_some() {
            return;
        }
        lane.breaker_opened_by = Some(Box::new(classified.clone()));
        let (provider_id, endpoints) =
            (lane.provider_id, lane.endpoints.values().copied().collect::<Vec<EndpointId>>());
        self.update_rejects_us(provider_id);
        self.report_event(ProviderEventKind::BreakerOpened, id, self.lanes[id].backlog);
        self.revoke_results(id, &ObstacleKind::Rejected(Box::new(classified.clone())));
        for endpoint in endpoints {
            self.requeue_elsewhere(endpoint);
        }
    }

    /// Records a session that broke before the server replied to a probe. Each pause of the endpoint is four times as
    /// long as the one before; after too many, or if no connection is possible, the endpoint is abandoned.
    pub(super) fn record_connection_failure(&mut self, endpoint_id: EndpointId, finding: Finding) {
        let max_wait = self.limits.retry_policy.max_wait;
        let enough = match finding {
            Finding::ConnectFailed => 1,
            Finding::Timeout => self.limits.thresholds.broken_connections.timed_out_sessions,
            _ => self.limits.thresholds.broken_connections.sessions,
        };
        let endpoint = &mut self.endpoints[endpoint_id];
        let pause = MIN_BACKOFF * 4u32.saturating_pow(endpoint.consecutive_failures);
        endpoint.consecutive_failures += 1;
        endpoint.last_failure = Some(finding);
        if endpoint.consecutive_failures >= enough || pause > max_wait {
            self.abandon_endpoint(endpoint_id, &ObstacleKind::NoReply(finding));
        } else {
            endpoint.paused_until = self.now.elapsed + pause;
        }
    }

    /// Uses an endpoint no more in this run, and sends the tasks that wait there elsewhere.
    fn abandon_endpoint(&mut self, endpoint_id: EndpointId, obstacle: &ObstacleKind) {
        self.endpoints[endpoint_id].abandoned = Some(obstacle.clone());
        self.report_event(ProviderEventKind::EndpointAbandoned, self.endpoints[endpoint_id].lane, 0);
        self.requeue_elsewhere(endpoint_id);
    }

    /// Sends the tasks that wait at an endpoint to other endpoints or MX hosts.
    fn requeue_elsewhere(&mut self, endpoint_id: EndpointId) {
        for id in self.clear_queue(endpoint_id) {
            self.advance(id);
        }
    }

    /// Takes all tasks out of the queue of an endpoint.
    pub(super) fn clear_queue(&mut self, endpoint_id: EndpointId) -> Vec<DomainTaskId> {
        let queue = std::mem::take(&mut self.endpoints[endpoint_id].queue);
        let mut waiting = Vec::with_capacity(queue.len());
        for id in queue.iter() {
            if let Some(task) = self.tasks[id].as_mut() {
                task.is_queued = false;
                waiting.push(id);
            } else {
                self.free_tasks.push(id);
            }
        }
        waiting
    }
}
