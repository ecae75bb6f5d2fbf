//! Operators: what is common to the lanes of all egresses to one of them.
//!
//! Decides: from which egress a domain is asked, when an operator wants more work, how it received us.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::eviction::place;
use super::lane::Lane;
use super::run_health::ProviderContact;
use super::{Action, LaneId, MxHop, ProviderId, Scheduler};
use crate::evidence::Tally;
use crate::policy::Provider;
use crate::smtp::IpFamilies;

/// One operator.
#[derive(Debug)]
pub(super) struct ProviderState {
    /// What it is found by.
    pub(super) key: Arc<str>,
    /// Its lanes, at most one for each egress.
    pub(super) lanes: Vec<LaneId>,
    /// One of its hosts takes mail for a domain that it is not in.
    pub(super) serves_others: bool,
    /// Orders for it wait outside.
    is_crowded: bool,
    pub(super) reception: ProviderContact,
    /// It may be forgotten once it was quiet for a while.
    pub(super) is_retiring: bool,
    /// When that will be, if it stays quiet.
    pub(super) retires_at: Duration,
}

impl Scheduler {
    /// What lanes are keyed by: the operator, or the set of MX hosts where nobody knows the operator.
    pub fn lane_key(stops: &[MxHop], stop: &MxHop) -> Arc<str> {
        if stop.provider.is_known() {
            return stop.provider.id.clone();
        }
        let mut hosts: Vec<&str> =
            stops.iter().filter(|stop| !stop.provider.is_known()).map(|stop| stop.host.as_str()).collect();
        hosts.sort_unstable();
        hosts.join(" ").into()
    }

    /// Should an order for this operator be placed now? Where not, it can wait outside, at no cost for anybody:
    /// [`Action::WantsWork`] calls for it before the operator's lanes run dry.
    pub fn has_room(&mut self, key: &str) -> bool {
        let Some(&id) = self.provider_of.get(key) else {
            return true;
        };
        let operator = &mut self.providers[id];
        let lanes = || operator.lanes.iter().map(|&lane| &self.lanes[lane]);
        let backlog: usize = lanes().map(|lane| lane.backlog).sum();
        let target_backlog = lanes().next().map_or(usize::MAX, Lane::target_backlog);
        let has_room = backlog < target_backlog * self.limits.egresses.len();
        operator.is_crowded |= !has_room;
        has_room
    }

    /// Do so many operators wait for a socket that more of them would only cost memory? Then whoever looks up domains
    /// should wait, too.
    pub fn is_crowded(&self) -> bool {
        /// So many for each socket are done with in about half a minute.
        const CROWD: usize = 20;
        self.starved.len() >= CROWD * self.limits.sessions
    }

    /// Calls for orders that wait outside, once little is left to do.
    pub(super) fn request_work(&mut self, id: ProviderId) {
        if !self.providers[id].is_crowded {
            return;
        }
        let lanes = self.providers[id].lanes.iter().map(|&lane| &self.lanes[lane]);
        let (mut backlog, mut target_backlog) = (0, 0);
        for lane in lanes {
            backlog += lane.backlog;
            target_backlog = lane.target_backlog();
        }
        if backlog < target_backlog * self.limits.egresses.len() / 2 {
            let operator = &mut self.providers[id];
            operator.is_crowded = false;
            self.actions.push_back(Action::WantsWork(operator.key.clone()));
        }
    }

    /// Keys of the operators at which too many mailboxes vanished at once, over all egresses and the whole run.
    pub fn anomalies(&self) -> BTreeSet<Arc<str>> {
        let anomaly = self.limits.thresholds.anomaly;
        let mut tallies = self.tallied.clone();
        for lane in &self.lanes {
            let tally = tallies.entry(self.providers[lane.operator].key.clone()).or_default();
            *tally = tally.plus(lane.tally);
        }
        let is_anomalous = |(_, tally): &(Arc<str>, Tally)| tally.is_anomalous(anomaly);
        tallies.into_iter().filter(is_anomalous).map(|(key, _)| key).collect()
    }

    /// The egress for a part of an operator's addresses: of those that reach it, the first that has little to do, so that
    /// few connections bear a trickle; where all have enough, the one that has least. Long domains are dealt out evenly, so
    /// that each egress has its share of both kinds ([`super::queue`]). Operators start with different egresses. One that was
    /// refused gets nothing more, unless all were.
    pub(super) fn egress_for(&self, key: &str, stops: &[MxHop], is_long: bool) -> usize {
        let egresses = self.limits.egresses.len();
        if egresses == 1 {
            return 0;
        }
        let addresses = || stops.iter().flat_map(|stop| &stop.addresses);
        let reaches =
            |egress: &usize| addresses().any(|address| self.limits.egresses[*egress].includes(address));
        let lanes = self.provider_of.get(key).map_or(&[][..], |&id| &self.providers[id].lanes);
        let burden = |egress: &usize| {
            let mut lanes = lanes.iter().map(|&lane| &self.lanes[lane]);
            let lane = lanes.find(|lane| lane.egress == *egress);
            lane.map_or((false, 0), |lane| {
                let share = if is_long { lane.given_long } else { lane.backlog_beyond_little() };
                (lane.paused.is_some(), share)
            })
        };
        let first = key.bytes().fold(0, |sum: usize, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let in_turn = (0..egresses).map(|step| first.wrapping_add(step) % egresses);
        in_turn.filter(reaches).min_by_key(burden).unwrap_or(0)
    }

    /// The operator's lane from an egress.
    pub(super) fn lane(&mut self, egress: usize, key: Arc<str>, provider: &Arc<Provider>) -> LaneId {
        let id = *self.provider_of.entry(key).or_insert_with_key(|key| {
            let (key, reception) = (key.clone(), ProviderContact::default());
            let operator = ProviderState {
                key,
                lanes: Vec::new(),
                serves_others: false,
                is_crowded: false,
                reception,
                is_retiring: false,
                retires_at: Duration::ZERO,
            };
            place(&mut self.providers, &mut self.free.providers, operator)
        });
        let lanes = &self.providers[id].lanes;
        if let Some(&lane) = lanes.iter().find(|&&lane| self.lanes[lane].egress == egress) {
            return lane;
        }
        let (pace, thresholds) = (self.limits.pace, self.limits.thresholds);
        let new = Lane::new(id, provider.clone(), egress, pace, thresholds, &self.clock);
        let lane = place(&mut self.lanes, &mut self.free.lanes, new);
        if let Some(earlier) = self.earlier.get_mut(&self.providers[id].key) {
            let own = earlier.extract_if(.., |(from, _)| *from == egress).map(|(_, forgotten)| forgotten);
            self.lanes[lane].count_earlier(own, self.now.elapsed);
        }
        self.providers[id].lanes.push(lane);
        lane
    }

    /// Notes how an operator received us.
    pub(super) fn received(&mut self, id: ProviderId, note: impl FnOnce(&mut ProviderContact)) {
        let reception = &mut self.providers[id].reception;
        let before = *reception;
        note(reception);
        let after = *reception;
        self.census.change(before, after);
    }

    /// Notes whether an operator is left alone from every egress that asked it.
    pub(super) fn note_refusal(&mut self, id: ProviderId) {
        let refused = self.providers[id].lanes.iter().all(|&lane| self.lanes[lane].paused.is_some());
        self.received(id, |reception| reception.refused = refused);
    }

    /// Can an egress reach this address?
    pub(super) fn reaches(&self, egress: usize, address: &IpAddr) -> bool {
        self.limits.egresses.get(egress).copied().is_some_and(|family: IpFamilies| family.includes(address))
    }
}
