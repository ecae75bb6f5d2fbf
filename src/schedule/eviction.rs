//! Operators that were quiet for a while are forgotten, so that a long list of small hosts costs no more than a short one.
//!
//! Decides: when nothing is lost by that. One that refused us, could not be reached, bore less than its data say or may yet
//! show an anomaly is remembered to the end; unknown recipients keep counting against the caps. Can't know: whether another
//! of its domains comes; then it is met anew, and counts once more among those that answered.

use std::time::Duration;

use super::run_health::ProviderContact;
use super::{EndpointId, LaneId, ProviderId, Scheduler, Timer};
use crate::evidence::Tally;

/// How long an operator is quiet that may be asked about another domain: as long as the windows of the rates.
const QUIET: Duration = Duration::from_secs(60);

/// Places of what was forgotten.
#[derive(Debug, Default)]
pub(super) struct FreeSlots {
    pub(super) providers: Vec<ProviderId>,
    pub(super) lanes: Vec<LaneId>,
    pub(super) endpoints: Vec<EndpointId>,
}

/// Puts something into a free place, or behind the others.
pub(super) fn place<T>(all: &mut Vec<T>, free: &mut Vec<usize>, new: T) -> usize {
    if let Some(id) = free.pop() {
        all[id] = new;
        return id;
    }
    all.push(new);
    all.len() - 1
}

impl Scheduler {
    /// A lane may have become quiet: looks again in a while.
    pub(super) fn may_retire(&mut self, lane: LaneId) {
        let id = self.lanes[lane].operator;
        if !self.lanes[lane].is_quiet() {
            return;
        }
        let operator = &mut self.providers[id];
        // Most hosts that stand in the domain that they serve have no other one, so nobody will miss what is known of them.
        // Where they do, their rates at least have nothing left to count by then.
        let quiet = if operator.serves_others { QUIET } else { self.lanes[lane].refills_in() };
        let retires_at = self.now.elapsed + quiet;
        operator.retires_at = retires_at;
        if !std::mem::replace(&mut operator.is_retiring, true) {
            self.timers.insert((retires_at, Timer::Retire(id)));
        }
    }

    /// Forgets an operator that was quiet for a while, unless there is something to remember.
    pub(super) fn retire(&mut self, id: ProviderId) {
        let operator = &mut self.providers[id];
        if operator.retires_at > self.now.elapsed {
            // It was busy meanwhile: its rates still count that.
            self.timers.insert((operator.retires_at, Timer::Retire(id)));
            return;
        }
        operator.is_retiring = false;
        let lanes = operator.lanes.clone();
        let was_answered = ProviderContact { tried: true, answered: true, ..ProviderContact::default() };
        if operator.reception != was_answered || !lanes.iter().all(|&lane| self.is_forgettable(lane)) {
            return;
        }
        let now = self.now.elapsed;
        self.provider_of.remove(&self.providers[id].key);
        self.providers[id].lanes.clear();
        for &id in &lanes {
            let lane = &mut self.lanes[id];
            let egress = lane.egress;
            let unknown: Vec<_> = lane.take_unknown(now).map(|forgotten| (egress, forgotten)).collect();
            let endpoints: Vec<EndpointId> = std::mem::take(&mut lane.endpoints).into_values().collect();
            lane.busy_endpoints.clear();
            lane.tally = Tally::default();
            if !unknown.is_empty() {
                let key = self.providers[lane.operator].key.clone();
                let earlier = self.earlier.entry(key).or_default();
                earlier.extend(unknown);
                earlier.shrink_to_fit();
            }
            for &endpoint in &endpoints {
                self.clear_queue(endpoint);
            }
            self.free.endpoints.extend(endpoints);
        }
        self.free.lanes.extend(lanes);
        self.free.providers.push(id);
    }

    /// Does nobody need this lane, and was nothing learnt there?
    fn is_forgettable(&self, id: LaneId) -> bool {
        let (lane, now) = (&self.lanes[id], self.now.elapsed);
        let are_endpoints_new = || {
            lane.endpoints
                .values()
                .all(|&endpoint| self.endpoints[endpoint].is_as_new(lane.provider.tls, now))
        };
        lane.is_quiet() && lane.is_as_new(self.limits.thresholds, now) && are_endpoints_new()
    }
}
