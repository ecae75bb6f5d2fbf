//! Rejected and broken sessions: when a lane slows down, when an endpoint pauses or is abandoned, and when the
//! breaker of a lane opens.
//!
//! Decides: what follows for the lane, the endpoint and the tasks that wait there; `health` counts, and says when it
//! is enough.

use std::time::Duration;

use super::action::ProviderEventKind;
use super::endpoint::EndpointTls;
use super::job::DomainTask;
use super::limits::{DomainTaskId, EndpointId, LaneId};
use super::scheduler::Scheduler;
use crate::evidence::{ClassifiedReply, ObstacleKind};
use crate::reason::{Cause, Confidence, Fault, Finding};

/// True for a deferral about the load of the server: it is overloaded, busy, or has no room.
pub(super) fn is_about_load(classified: &ClassifiedReply) -> bool {
    let reply = &classified.reply;
    classified.meaning.cause == Cause::ServerFailure && !reply.is_positive() && !reply.is_permanent()
}

impl Scheduler {
    /// Records a reply to RCPT, whatever its recipient is. `slows`: it is the first one of its session about the load of the
    /// server.
    pub(super) fn record_reply(
        &mut self,
        endpoint_id: EndpointId,
        classified: &ClassifiedReply,
        slows: bool,
    ) {
        let cause = classified.meaning.cause;
        let endpoint = &mut self.endpoints[endpoint_id];
        let lane = &mut self.lanes[endpoint.lane];
        endpoint.has_replied = true;
        if cause.fault() == Fault::Us {
            return lane.health.record_block_signal(classified);
        }
        endpoint.health.record_success();
        lane.health.record_success();
        // Greylisting and the like are no sign that the server would take more.
        let is_clear =
            cause == Cause::MailboxUnknown && classified.meaning.confidence == Confidence::Confirmed;
        if cause == Cause::Accepted || is_clear {
            lane.pace.record_success();
        }
        if slows {
            self.on_overload(endpoint_id, classified);
        } else if !is_about_load(classified) {
            self.endpoints[endpoint_id].health.end_trouble();
        }
    }

    /// Slows down for a server that is overloaded.
    fn on_overload(&mut self, endpoint_id: EndpointId, classified: &ClassifiedReply) {
        let endpoint = &mut self.endpoints[endpoint_id];
        let (lane, pause) = (endpoint.lane, endpoint.health.record_overload(self.limits.thresholds));
        self.lanes[lane].pace.slow_down(self.now.elapsed);
        self.report_event(ProviderEventKind::SlowedDown, lane, 0);
        self.pause_or_leave(endpoint_id, pause, &ObstacleKind::Rejected(Box::new(classified.clone())));
    }

    /// Pauses an endpoint, or leaves it if the pause would end later than `--max-wait` after its trouble began. A task that
    /// has waited elsewhere leaves earlier. This is the only place where a wait for a server's wish begins.
    fn pause_or_leave(&mut self, endpoint_id: EndpointId, pause: Duration, why: &ObstacleKind) {
        let (now, retry_policy) = (self.now.elapsed, self.limits.retry_policy);
        if !self.endpoints[endpoint_id].health.pause(pause, retry_policy, now) {
            return self.abandon_endpoint(endpoint_id, why);
        }
        if pause.is_zero() {
            return;
        }
        let is_patient = |task: &mut DomainTask| {
            let since = *task.waiting_since.get_or_insert(now);
            retry_policy.permits(now.saturating_sub(since), pause)
        };
        let waiting: Vec<DomainTaskId> = self.endpoints[endpoint_id].queue.iter().collect();
        let mut leaves = false;
        for id in waiting {
            leaves |= self.tasks[id].as_mut().is_some_and(|task| !is_patient(task));
        }
        if !leaves {
            return;
        }
        for id in self.clear_queue(endpoint_id) {
            if self.tasks[id].as_mut().is_some_and(|task| !is_patient(task)) {
                self.fail_current_mx_host(id, why.clone());
            }
            self.advance(id);
        }
    }

    /// Handles a reply by which a server rejected us, in a session or instead of one. `tls` is that of the session.
    pub(super) fn on_rejection_of_us(
        &mut self,
        endpoint_id: EndpointId,
        tls: EndpointTls,
        classified: &ClassifiedReply,
    ) {
        match classified.meaning.cause {
            Cause::TlsRequired => match (tls, self.endpoints[endpoint_id].tls) {
                (EndpointTls::Plain, EndpointTls::Plain) => {
                    self.endpoints[endpoint_id].tls = EndpointTls::Wanted;
                }
                // Another session without TLS said the same meanwhile.
                (EndpointTls::Plain, EndpointTls::Wanted) => {}
                // The server demands TLS, which has failed.
                (EndpointTls::Wanted | EndpointTls::Broken, _) | (_, EndpointTls::Broken) => {
                    self.abandon_endpoint(endpoint_id, &ObstacleKind::Rejected(Box::new(classified.clone())));
                }
            },
            Cause::RateLimited => {
                let pause =
                    classified.meaning.retry_in.unwrap_or(self.limits.thresholds.backoff.after_rate_reply());
                let lane = self.endpoints[endpoint_id].lane;
                // The endpoint is left if it asks for longer than the run waits. The lane goes on elsewhere.
                let is_granted = self.limits.retry_policy.permits(Duration::ZERO, pause);
                let until = self.now.elapsed + if is_granted { pause } else { Duration::ZERO };
                self.lanes[lane].pace.slow_down(until);
                if let Some(machine) = self.endpoints[endpoint_id].machine {
                    let paused_until = &mut self.machines[machine].paused_until;
                    *paused_until = until.max(*paused_until);
                }
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
        let (retry_policy, thresholds) = (self.limits.retry_policy, self.limits.thresholds);
        let is_impatient = !retry_policy.permits(Duration::ZERO, thresholds.backoff.shortest());
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
            let is_enough = |enough| on_lane >= enough || (on_all_lanes >= enough && never_answered);
            if is_enough(enough) {
                // What is known about a provider of the table holds for all its machines. Other MX hosts, and other
                // addresses of an MX host, may be other machines, which mail delivery would try.
                let most = enough.saturating_mul(self.limits.thresholds.mx.rejecting);
                if !self.has_other_machine(endpoint_id) || is_enough(most) {
                    return self.open_breaker(lane, classified);
                }
                let obstacle = ObstacleKind::Rejected(Box::new(classified.clone()));
                self.abandon_endpoint(endpoint_id, &obstacle);
                return self.revoke_results(lane, &obstacle);
            }
        }
        let obstacle = ObstacleKind::Rejected(Box::new(classified.clone()));
        let health = &self.endpoints[endpoint_id].health;
        match health.pause_after_rejection(classified, thresholds, retry_policy) {
            Some(pause) => self.pause_or_leave(endpoint_id, pause, &obstacle),
            None => self.abandon_endpoint(endpoint_id, &obstacle),
        }
    }

    /// True if the lane has another machine that does not reject us, as far as known.
    fn has_other_machine(&self, endpoint_id: EndpointId) -> bool {
        let lane = &self.lanes[self.endpoints[endpoint_id].lane];
        lane.pace.address_limits().is_some()
            && lane.addresses.iter().any(|address| match lane.endpoints.get(address) {
                Some(&other) => other != endpoint_id && self.endpoints[other].health.abandoned().is_none(),
                None => true,
            })
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
        let obstacle = ObstacleKind::NoReply(finding);
        let health = &mut self.endpoints[endpoint_id].health;
        match health.record_failure(finding, self.limits.thresholds) {
            Some(pause) => self.pause_or_leave(endpoint_id, pause, &obstacle),
            None => self.abandon_endpoint(endpoint_id, &obstacle),
        }
    }

    /// Records a session in which a server rejected every recipient, one that it had accepted before as well.
    pub(super) fn on_turned_endpoint(&mut self, endpoint_id: EndpointId, classified: &ClassifiedReply) {
        let obstacle = ObstacleKind::Rejected(Box::new(classified.clone()));
        match self.endpoints[endpoint_id].health.record_turn(self.limits.thresholds) {
            Some(pause) => self.pause_or_leave(endpoint_id, pause, &obstacle),
            None => self.abandon_endpoint(endpoint_id, &obstacle),
        }
    }

    /// Uses an endpoint no more in this run, and sends the tasks that wait there elsewhere.
    pub(super) fn abandon_endpoint(&mut self, endpoint_id: EndpointId, obstacle: &ObstacleKind) {
        let endpoint = &mut self.endpoints[endpoint_id];
        if endpoint.health.abandoned().is_none() {
            endpoint.health.abandon(obstacle.clone());
            let lane = endpoint.lane;
            self.report_event(ProviderEventKind::EndpointAbandoned, lane, 0);
        }
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
        let queue = self.endpoints[endpoint_id].queue.take();
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
