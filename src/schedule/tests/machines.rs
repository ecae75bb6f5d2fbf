//! What IP addresses count of each egress, whatever names lead to them; routes that expire; and how long a run may take.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::checks::most_within;
use super::habits::Habit;
use super::hosts::World;
use super::play::Run;
use super::{DAY, MINUTE, SessionId};
use crate::policy::{Pace, Provider, RateLimits};
use crate::smtp::RcptProbe;

/// By egress and IP address: when connections were opened, recipients were probed, and unknown ones were rejected.
#[derive(Default)]
pub(super) struct Machines {
    pub(super) connections: HashMap<(usize, IpAddr), Vec<Duration>>,
    pub(super) probes: HashMap<(usize, IpAddr), Vec<Duration>>,
    pub(super) unknown: HashMap<(usize, IpAddr), Vec<Duration>>,
    /// The limits of IP addresses where names of several providers may stand.
    pub(super) limits: HashMap<IpAddr, RateLimits>,
}

impl Machines {
    /// Checks what the machines counted against their limits.
    pub(super) fn check(&self) {
        let minute = |times: &HashMap<(usize, IpAddr), Vec<Duration>>, limit: fn(&RateLimits) -> u32| {
            for ((_, address), times) in times {
                if let Some(limits) = self.limits.get(address) {
                    let most = limit(limits).max(2) as usize;
                    assert!(most_within(times, MINUTE) <= most, "at {address} in a minute");
                }
            }
        };
        minute(&self.connections, |limits| limits.connections);
        minute(&self.probes, |limits| limits.recipients);
        for ((_, address), times) in &self.unknown {
            let Some(limits) = self.limits.get(address) else {
                continue;
            };
            let mut times = times.clone();
            times.sort_unstable();
            for (most, span) in [(limits.unknown_per_hour, MINUTE * 60), (limits.unknown_per_day, DAY)] {
                let got = most_within(&times, span);
                assert!(most.is_none_or(|most| got <= most as usize), "{got} unknown at {address}");
            }
        }
    }
}

/// What decides how long a run takes.
#[derive(Default)]
pub(super) struct Spent {
    /// The time of all sessions together.
    pub(super) sessions: Duration,
    /// Lanes that slowed down.
    pub(super) slowed: HashSet<String>,
}

impl Spent {
    /// The longest that a run may take beside its waits for servers: all sessions one after the other, all lanes at their
    /// rates one after the other, all overloaded machines at the rates that they bear, and the waits for limits of
    /// unknown recipients.
    pub(super) fn bound(
        &self,
        world: &World,
        providers: &HashMap<String, Arc<Provider>>,
        seeded: usize,
        run: Run,
    ) -> Duration {
        let count = |times: &HashMap<String, Vec<Duration>>, lane: &String| {
            u32::try_from(times.get(lane).map_or(0, Vec::len)).unwrap()
        };
        let World { machines, probes, connections, .. } = world;
        let mut bound = self.sessions;
        for (lane, provider) in providers {
            let limits = provider.limits(run.pace);
            let start = if run.pace == Pace::Fast { limits.recipients } else { limits.recipients.min(60) };
            let rate = if self.slowed.contains(lane) { 1 } else { start };
            // A limiter has a burst of at most a quarter of its rate, and keeps the rest for it.
            bound += MINUTE * count(probes, lane) * 4 / (3 * rate).max(1);
            bound += MINUTE * count(connections, lane) * 2 / limits.connections.max(1);
        }
        // A machine that is overloaded beyond so many recipients in a minute needs that time for those that it bears.
        for ((_, address), times) in &machines.probes {
            if let Some((Habit::Overloaded(most) | Habit::Sheds(most), _)) = world.habits.get(address) {
                let bears = |(place, at): (usize, &Duration)| {
                    let before = times[..place].iter().rev().take_while(|time| **time + MINUTE > *at);
                    before.count() < *most as usize
                };
                let borne = times.iter().enumerate().filter(|probe| bears(*probe)).count();
                bound += MINUTE * u32::try_from(borne).unwrap() / *most;
            }
        }
        let caps =
            |limits: RateLimits| [(limits.unknown_per_hour, MINUTE * 60), (limits.unknown_per_day, DAY)];
        let mut waits = Duration::ZERO;
        let mut add = |limits: RateLimits, unknown: usize| {
            for (most, span) in caps(limits) {
                // Nothing waits before a limit is reached, at most by replies that may mean an unknown recipient.
                let times = most.map_or(0, |most| (unknown + seeded) / most as usize);
                waits += span.min(run.max_wait) * u32::try_from(times).unwrap();
            }
        };
        for ((_, address), times) in &machines.probes {
            machines.limits.get(address).into_iter().for_each(|limits| add(*limits, times.len()));
        }
        for (lane, provider) in providers {
            add(provider.limits(run.pace), count(probes, lane) as usize);
        }
        bound + waits
    }
}

impl World {
    /// True if the machine of a session got more than so many recipients from its egress in the last minute.
    pub(super) fn is_over(&self, id: SessionId, most: u32) -> bool {
        let open = &self.sessions[&id];
        let since = self.now.saturating_sub(MINUTE);
        let times = self.machines.probes.get(&(open.egress, open.address.unwrap()));
        times.map_or(0, |times| times.iter().rev().take_while(|at| **at > since).count()) > most as usize
    }

    /// No session starts for a domain on a route that has expired. A recipient that was accepted may be a control.
    pub(super) fn check_route(&self, id: SessionId, probe: &RcptProbe) {
        let open = &self.sessions[&id];
        let route = (probe.address.domain().unwrap().clone(), open.address.unwrap());
        let is_expired = self.expires.get(&route).is_some_and(|expires| *expires < open.opened);
        let is_control = self.accepted_recipients.contains(&probe.address.to_string());
        assert!(!is_expired || is_control, "{} is probed on an old route", probe.address);
    }
}
