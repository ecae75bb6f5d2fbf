//! Providers and their lanes: which lane probes a domain, when a provider needs more jobs, how it responds to us, and
//! when it is evicted.
//!
//! A quiet provider is evicted, so that a long list of small hosts needs no more memory than a short one. Kept to the
//! end is a provider that rejects us, could not be reached, accepted less than its data say, or may yet show an
//! anomaly. Unknown recipients of evicted lanes keep counting against the limits. Can't know: whether another of its
//! domains comes; then it starts anew, and counts once more among the providers that answered.

use std::net::IpAddr;
use std::sync::Arc;

use super::action::{Action, ProviderEvent, ProviderEventKind};
use super::health::ProviderContact;
use super::job::MxHop;
use super::lane::{Lane, ProviderState};
use super::limits::{EndpointId, LaneId, ProviderId, Timer};
use super::scheduler::{Scheduler, insert_slot};
use crate::evidence::Tally;
use crate::policy::Provider;
use crate::smtp::IpFamilies;

impl Scheduler {
    /// The key of a provider and its lanes: its id, or for an unknown provider its set of MX hosts.
    pub fn lane_key(mx_hosts: &[MxHop], mx_hop: &MxHop) -> Arc<str> {
        if mx_hop.provider.is_known() {
            return mx_hop.provider.id.clone();
        }
        let unknown = mx_hosts.iter().filter(|mx_hop| !mx_hop.provider.is_known());
        let mut hosts: Vec<&str> = unknown.map(|mx_hop| mx_hop.host.as_str()).collect();
        hosts.sort_unstable();
        hosts.join(" ").into()
    }

    /// True if a job of the provider with this key should be submitted now. Otherwise the job should wait outside,
    /// where it needs no memory here: [`Action::WantsWork`] comes before the provider's lanes run dry.
    pub fn try_admit(&mut self, key: &str) -> bool {
        let Some(&id) = self.provider_ids.get(key) else {
            return true;
        };
        let (backlog, target) = self.backlog_and_target(id);
        let is_admitted = backlog < target;
        self.providers[id].has_jobs_outside |= !is_admitted;
        is_admitted
    }

    /// The backlog of a provider, and the backlog that it should have, over all egresses.
    fn backlog_and_target(&self, id: ProviderId) -> (usize, usize) {
        let lanes = || self.providers[id].lanes.iter().map(|&lane| &self.lanes[lane]);
        let backlog = lanes().map(|lane| lane.backlog).sum();
        // All lanes of a provider have the same rates.
        let target = lanes().next().map_or(usize::MAX, |lane| lane.pace.target_backlog());
        let target = target.saturating_mul(self.limits.egresses.len());
        let memory = self.limits.thresholds.backlog;
        let is_large = self.open_recipients >= memory.many_recipients;
        (backlog, if is_large { target.min(memory.few_recipients) } else { target })
    }

    /// True if so many lanes wait for a socket that more domains would only need memory. DNS look-ups should pause
    /// then.
    pub fn is_short_of_sockets(&self) -> bool {
        self.waiting_for_socket.len() >= self.limits.thresholds.sockets.waiting_lanes * self.limits.sessions
    }

    /// Asks for jobs that wait outside once less than half of the target backlog is left.
    pub(super) fn request_work(&mut self, id: ProviderId) {
        if !self.providers[id].has_jobs_outside {
            return;
        }
        let (backlog, target) = self.backlog_and_target(id);
        if backlog < target / 2 {
            let provider = &mut self.providers[id];
            provider.has_jobs_outside = false;
            self.actions.push_back(Action::WantsWork(provider.key.clone()));
        }
    }

    /// The egress for a job: of those that reach one of its MX hosts, the first that has little to do, so that few
    /// connections serve a small list; if all have enough, the one with the least. Recipients of large domains are
    /// spread evenly, so that each egress has its share of large and small domains (see `queue`). Providers start
    /// with different egresses. A lane with an open breaker gets a job only if all lanes of the provider have one.
    pub(super) fn egress_for(&self, key: &str, mx_hosts: &[MxHop], is_large: bool) -> usize {
        let egresses = self.limits.egresses.len();
        if egresses == 1 {
            return 0;
        }
        let addresses = || mx_hosts.iter().flat_map(|mx_hop| &mx_hop.addresses);
        let reaches =
            |egress: &usize| addresses().any(|address| self.limits.egresses[*egress].includes(address));
        let lanes = self.provider_ids.get(key).map_or(&[][..], |&id| &self.providers[id].lanes);
        let burden = |egress: &usize| {
            let mut lanes = lanes.iter().map(|&lane| &self.lanes[lane]);
            let lane = lanes.find(|lane| lane.egress == *egress);
            lane.map_or((false, 0), |lane| {
                let burden =
                    if is_large { lane.large_domain_recipients } else { lane.backlog_above_low_water() };
                (lane.health.is_open(), burden)
            })
        };
        let first = key.bytes().fold(0, |sum: usize, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let in_turn = (0..egresses).map(|step| first.wrapping_add(step) % egresses);
        in_turn.filter(reaches).min_by_key(burden).unwrap_or(0)
    }

    /// The lane of a provider from an egress. Creates both where they are new.
    pub(super) fn lane(&mut self, egress: usize, key: Arc<str>, provider: &Arc<Provider>) -> LaneId {
        let id = if let Some(&id) = self.provider_ids.get(&key) {
            id
        } else {
            let new = ProviderState::new(key.clone());
            let id = insert_slot(&mut self.providers, &mut self.free_slots.providers, new);
            let earlier = self.health.take_earlier(&key);
            self.provider_ids.insert(key, id);
            self.update_contact(id, |contact| contact.earlier = earlier);
            id
        };
        let lanes = &self.providers[id].lanes;
        if let Some(&lane) = lanes.iter().find(|&&lane| self.lanes[lane].egress == egress) {
            return lane;
        }
        let (pace, thresholds) = (self.limits.pace, self.limits.thresholds);
        let new = Lane::new(id, provider.clone(), egress, pace, thresholds, &self.clock);
        let lane = insert_slot(&mut self.lanes, &mut self.free_slots.lanes, new);
        if let Some(earlier) = self.earlier_unknown.get_mut(&self.providers[id].key) {
            let own = earlier.extract_if(.., |(from, _)| *from == egress).map(|(_, expires)| expires);
            self.lanes[lane].seed_unknown(own, self.now.elapsed);
        }
        self.providers[id].lanes.push(lane);
        lane
    }

    /// True if an egress can reach this IP address.
    pub(super) fn reaches(&self, egress: usize, address: &IpAddr) -> bool {
        self.limits
            .egresses
            .get(egress)
            .copied()
            .is_some_and(|families: IpFamilies| families.includes(address))
    }

    /// Changes how a provider responds to us, and counts it in the health of the run.
    pub(super) fn update_contact(&mut self, id: ProviderId, change: impl FnOnce(&mut ProviderContact)) {
        let contact = &mut self.providers[id].contact;
        let before = *contact;
        change(contact);
        let after = *contact;
        self.health.change(before, after);
    }

    /// Records whether a provider rejects us on each of its lanes.
    pub(super) fn update_rejects_us(&mut self, id: ProviderId) {
        let lanes = &self.providers[id].lanes;
        let rejects_us = lanes.iter().all(|&lane| self.lanes[lane].health.is_open());
        self.update_contact(id, |contact| contact.rejects_us = rejects_us);
    }

    /// Emits an event about a lane. `recipients`: how many are affected, 0 if it is about the lane only.
    pub(super) fn report_event(&mut self, kind: ProviderEventKind, lane: LaneId, recipients: usize) {
        let lane = &self.lanes[lane];
        let provider = self.providers[lane.provider_id].key.clone();
        self.actions.push_back(Action::Event(ProviderEvent {
            kind,
            provider,
            egress: lane.egress,
            recipients,
        }));
    }

    /// Sets a timer for the eviction of a lane's provider, if the lane is quiet.
    pub(super) fn schedule_eviction(&mut self, lane: LaneId) {
        let id = self.lanes[lane].provider_id;
        if !self.lanes[lane].is_quiet() {
            return;
        }
        let provider = &mut self.providers[id];
        // An MX host inside the only domain that it serves is rarely needed again, so it goes as soon as its rate
        // limiters are full again.
        let quiet = if provider.serves_others {
            self.limits.thresholds.quiet.longest()
        } else {
            self.lanes[lane].pace.refill_time()
        };
        let evict_at = self.now.elapsed + quiet;
        provider.evict_at = evict_at;
        if !std::mem::replace(&mut provider.eviction_is_due, true) {
            self.timers.insert((evict_at, Timer::Evict(id)));
        }
    }

    /// Evicts a provider that was quiet long enough, unless there is something to remember about it.
    pub(super) fn evict(&mut self, id: ProviderId) {
        let provider = &mut self.providers[id];
        if provider.evict_at > self.now.elapsed {
            // It was busy meanwhile, and its rate limiters still count that.
            self.timers.insert((provider.evict_at, Timer::Evict(id)));
            return;
        }
        provider.eviction_is_due = false;
        let lanes = provider.lanes.clone();
        let only_answered = ProviderContact { tried: true, answered: true, ..ProviderContact::default() };
        if provider.contact != only_answered || !lanes.iter().all(|&lane| self.may_evict_lane(lane)) {
            return;
        }
        let now = self.now.elapsed;
        self.provider_ids.remove(&self.providers[id].key);
        self.providers[id].lanes.clear();
        for &lane in &lanes {
            let lane = &mut self.lanes[lane];
            let egress = lane.egress;
            let unknown: Vec<_> = lane.take_unknown(now).map(|expires| (egress, expires)).collect();
            let endpoints: Vec<EndpointId> = std::mem::take(&mut lane.endpoints).into_values().collect();
            lane.ready_endpoints.clear();
            lane.tally = Tally::default();
            if !unknown.is_empty() {
                let key = self.providers[id].key.clone();
                let earlier = self.earlier_unknown.entry(key).or_default();
                earlier.extend(unknown);
                earlier.shrink_to_fit();
            }
            for &endpoint in &endpoints {
                self.clear_queue(endpoint);
                self.detach_machine(endpoint);
            }
            self.free_slots.endpoints.extend(endpoints);
        }
        self.free_slots.lanes.extend(lanes);
        self.free_slots.providers.push(id);
    }

    fn may_evict_lane(&self, id: LaneId) -> bool {
        let (lane, now) = (&self.lanes[id], self.now.elapsed);
        let may_evict_endpoints = || {
            lane.endpoints
                .values()
                .all(|&endpoint| self.endpoints[endpoint].has_nothing_to_remember(lane.provider.tls, now))
        };
        lane.is_quiet() && lane.has_nothing_to_remember(self.limits.thresholds, now) && may_evict_endpoints()
    }
}
