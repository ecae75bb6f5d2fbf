//! A course: one domain's inquiry on its way through its exchangers.
//!
//! Decides: where a domain's questions wait, and when the next exchanger is asked. Must not: start anything.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::endpoint::Endpoint;
use super::eviction::place;
use super::{Action, DomainTaskId, EndpointId, LaneId, MxHop, Scheduler, Timer};
use crate::evidence::ObstacleKind;
use crate::probe::{DomainProbe, NextStep};
use crate::reason::Finding;

/// One domain on its way.
#[derive(Debug)]
pub(super) struct DomainTask {
    pub(super) domain_probe: DomainProbe,
    /// The exchangers left, the front one is being asked; in step with the inquiry's.
    pub(super) stops: VecDeque<(MxHop, LaneId)>,
    /// The lane that it was ordered at.
    pub(super) initial_lane: LaneId,
    /// That it was decided whether the domain accepts any name has been told.
    pub(super) was_told: bool,
    /// Where its questions wait, or were last asked.
    pub(super) endpoint: Option<EndpointId>,
    /// It stands in its door's queue.
    pub(super) queued: bool,
    /// It was asked about already.
    pub(super) begun: bool,
}

impl Scheduler {
    /// Brings a course to its next step: a queue, a wait, the next exchanger, or its end.
    pub(super) fn go_on(&mut self, id: DomainTaskId) {
        loop {
            self.emit_final(id);
            let now = self.now;
            let Some(task) = self.tasks[id].as_mut() else {
                return;
            };
            if self.stopping.is_some() {
                // What was asked is heard to its end and, where it is doubted, proven; nothing more is asked.
                if !task.domain_probe.is_in_flight() && !task.domain_probe.has_unconfirmed() {
                    self.settle(id);
                }
                return;
            }
            match task.domain_probe.next_step(now) {
                NextStep::AwaitReplies => return,
                NextStep::Done => return self.settle(id),
                NextStep::Wait(due) => {
                    self.timers.insert((due, Timer::DomainTask(id)));
                    return;
                }
                NextStep::NextMxHost => {
                    task.domain_probe.advance(now);
                    let left = task.stops.pop_front();
                    task.endpoint = None;
                    if let Some((_, lane)) = left {
                        self.lanes[lane].tasks -= 1;
                    }
                }
                NextStep::Probe => {
                    if task.queued {
                        return;
                    }
                    match self.pick_endpoint(id) {
                        Ok(endpoint) => return self.queue(id, endpoint),
                        Err(obstacle) => self.block(id, obstacle),
                    }
                }
            }
        }
    }

    /// A living door for the course's current exchanger.
    pub(super) fn pick_endpoint(&mut self, id: DomainTaskId) -> Result<EndpointId, ObstacleKind> {
        let nobody = ObstacleKind::NoReply(Finding::ConnectFailed);
        let Some(task) = self.tasks[id].as_ref() else {
            return Err(nobody);
        };
        let Some((stop, lane_id)) = task.stops.front() else {
            return Err(nobody);
        };
        let lane_id = *lane_id;
        let lane = &self.lanes[lane_id];
        if let Some(classified) = &lane.paused {
            return Err(ObstacleKind::Rejected(classified.clone()));
        }
        if let Some(endpoint) = task.endpoint
            && self.endpoints[endpoint].dead.is_none()
        {
            return Ok(endpoint);
        }
        let mut last = nobody;
        // A door that others use already is better than a new one: its connection serves this domain too.
        let known = stop.addresses.iter().filter(|address| lane.endpoints.contains_key(address));
        let reached = known.chain(&stop.addresses).filter(|address| self.reaches(lane.egress, address));
        let addresses: Vec<IpAddr> = reached.copied().collect();
        let lane = &mut self.lanes[lane_id];
        for address in &addresses {
            let endpoint = *lane.endpoints.entry(*address).or_insert_with(|| {
                let new = Endpoint::new(lane_id, *address, stop.host.clone(), lane.provider.tls);
                place(&mut self.endpoints, &mut self.free.endpoints, new)
            });
            match &self.endpoints[endpoint].dead {
                None => return Ok(endpoint),
                Some(obstacle) => last = obstacle.clone(),
            }
        }
        Err(last)
    }

    pub(super) fn queue(&mut self, id: DomainTaskId, endpoint_id: EndpointId) {
        let Some(task) = self.tasks[id].as_mut() else {
            return;
        };
        (task.endpoint, task.queued) = (Some(endpoint_id), true);
        let endpoint = &mut self.endpoints[endpoint_id];
        if endpoint.rejected_domain.is_none() && task.domain_probe.rejects_control() {
            endpoint.rejected_domain = Some(task.domain_probe.domain().clone());
        }
        endpoint.tasks.push(id, task.domain_probe.unprobed(), task.begun);
        if !std::mem::replace(&mut endpoint.busy, true) {
            self.lanes[endpoint.lane].busy_endpoints.push_back(endpoint_id);
        }
        self.timers.insert((self.now.elapsed, Timer::Lane(endpoint.lane)));
    }

    pub(super) fn block(&mut self, id: DomainTaskId, obstacle: ObstacleKind) {
        let now = self.now;
        if let Some(task) = self.tasks[id].as_mut() {
            task.domain_probe.on_mx_failed(obstacle, now);
        }
    }

    pub(super) fn settle(&mut self, id: DomainTaskId) {
        let Some(mut task) = self.tasks[id].take() else {
            return;
        };
        self.open_tasks -= 1;
        for (_, lane) in &task.stops {
            self.lanes[*lane].tasks -= 1;
        }
        if !task.queued {
            // Else its place in the queue still has the id; who finds it there frees it.
            self.free_tasks.push(id);
        }
        let domain = task.domain_probe.domain().clone();
        let lane = task.stops.front().map_or(task.initial_lane, |(_, lane)| *lane);
        let (mut known, settled) = task.domain_probe.finish(self.stopping);
        known.egress = known.is_waiting().then_some(self.lanes[task.initial_lane].egress);
        // First, so that it is forgotten should the answers be taken back at once.
        self.actions.push_back(Action::DomainFactsChanged(domain, known));
        self.hold(lane, task.initial_lane, settled, task.elsewhere().as_ref());
        for (_, lane) in &task.stops {
            self.may_retire(*lane);
        }
        if self.open_tasks == 0 {
            self.close_all_idle();
        }
    }

    /// Hands out what is final before the whole domain is, and tells what its other parts need not ask again.
    fn emit_final(&mut self, id: DomainTaskId) {
        let Some(task) = self.tasks[id].as_mut() else {
            return;
        };
        if task.domain_probe.is_catch_all_known() && !std::mem::replace(&mut task.was_told, true) {
            let learnt =
                Action::DomainFactsChanged(task.domain_probe.domain().clone(), task.domain_probe.facts());
            self.actions.push_back(learnt);
        }
        let taken = task.domain_probe.take_final();
        if taken.is_empty() {
            return;
        }
        let elsewhere = task.elsewhere();
        let lane = task.stops.front().map_or(task.initial_lane, |(_, lane)| *lane);
        let initial_lane = task.initial_lane;
        self.hold(lane, initial_lane, taken, elsewhere.as_ref());
    }
}
