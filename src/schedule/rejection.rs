//! Rejected and broken sessions: when a lane slows down, when an endpoint pauses or is abandoned, and when the
//! breaker of a lane opens.
//!
//! Decides: what follows for the lane, the endpoint and the tasks that wait there; `health` counts, and says when it
//! is enough.

use super::action::ProviderEventKind;
use super::endpoint::EndpointTls;
use super::limits::{DomainTaskId, EndpointId, LaneId, MIN_BACKOFF};
use super::scheduler::Scheduler;
use crate::evidence::{ClassifiedReply, ObstacleKind};
use crate::reason::{Cause, Fault, Finding};

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
                self.lanes[lane].pace.slow_down(self.now.elapsed + pause);
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
        let max_wait = self.limits.retry_policy.max_wait;
        let is_impatient = max_wait < MIN_BACKOFF;
        let endpoint = &mut self.endpoints[endpoint_id];
        endpoint.health.record_rejection();
        let lane = endpoint.lane;
        if classified.meaning.cause.fault() == Fault::Us {
            self.lanes[lane].health.record_block_signal(classified);
            let enough = if is_impatient { 1 } else { self.limits.thresholds.breaker.sessions };
            let on_lane = self.lanes[lane].health.record_rejected_session();
            // If egresses are rejected one after the other, not each of them needs to find out by itself.
            let provider = &self.providers[self.lanes[lane].provider_id];
            let on_all_lanes: u32 =
                provider.lanes.iter().map(|&lane| self.lanes[lane].health.consecutive_rejections()).sum();
            let never_answered = self.lanes[lane].tally.probed == 0;
            if on_lane >= enough || (on_all_lanes >= enough && never_answered) {
                return self.open_breaker(lane, classified);
            }
        }
        let (thresholds, now) = (self.limits.thresholds, self.now.elapsed);
        let health = &mut self.endpoints[endpoint_id].health;
        if let Some(obstacle) = health.pause_after_rejection(classified, thresholds, max_wait, now) {
            self.abandon_endpoint(endpoint_id, &obstacle);
        }
    }

    /// Pauses a lane for the rest of the run, revokes its provisional results, and sends its tasks to their next MX
    /// hosts.
    pub(super) fn open_breaker(&mut self, id: LaneId, classified: &ClassifiedReply) {
        let lane = &mut self.lanes[id];
        if !lane.health.open_breaker(classified) {
            return;
        }
        let (provider_id, endpoints) =
            (lane.provider_id, lane.endpoints.values().copied().collect::<Vec<EndpointId>>());
        self.update_rejects_us(provider_id);
        self.report_event(ProviderEventKind::BreakerOpened, id, self.lanes[id].backlog);
        self.revoke_results(id, &ObstacleKind::Rejected(Box::new(classified.clone())));
        for endpoint in endpoints {
            self.requeue_elsewhere(endpoint);
        }
    }

    /// Records a session that broke before the server replied to a probe.
    pub(super) fn record_connection_failure(&mut self, endpoint_id: EndpointId, finding: Finding) {
        let (thresholds, now) = (self.limits.thresholds, self.now.elapsed);
        let max_wait = self.limits.retry_policy.max_wait;
        let health = &mut self.endpoints[endpoint_id].health;
        if let Some(obstacle) = health.record_failure(finding, thresholds, max_wait, now) {
            self.abandon_endpoint(endpoint_id, &obstacle);
        }
    }

    /// Records a session in which a server rejected every recipient, one that it had accepted before as well.
    pub(super) fn on_turned_endpoint(&mut self, endpoint_id: EndpointId, classified: &ClassifiedReply) {
        let (thresholds, now) = (self.limits.thresholds, self.now.elapsed);
        let max_wait = self.limits.retry_policy.max_wait;
        let health = &mut self.endpoints[endpoint_id].health;
        if let Some(obstacle) = health.pause_after_turn(classified, thresholds, max_wait, now) {
            self.abandon_endpoint(endpoint_id, &obstacle);
        }
    }

    /// Uses an endpoint no more in this run, and sends the tasks that wait there elsewhere.
    pub(super) fn abandon_endpoint(&mut self, endpoint_id: EndpointId, obstacle: &ObstacleKind) {
        self.endpoints[endpoint_id].health.abandon(obstacle.clone());
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
            }
        }
        waiting
    }
}
