//! The least time in which any run that keeps the limits can probe a list, with the terms of which it is the greatest.
//!
//! ```text
//! T >= max { max over providers and shared machines of  P / (I * min(r, x k, c k / d)),
//!            session seconds / W,   D / q,   the last first contact at a greylisting host + G + 2 d }
//! ```
//!
//! P necessary probes, I source addresses, r recipients and x connections a minute, c open connections, k recipients
//! in a session (P over the fewest sessions that the session limits allow), d = (4 + batches) round trips + k think
//! times, W sockets, D domains, q DNS look-ups a second, G the greylisting wait.
//!
//! Decides: which probes are necessary. At a catch-all domain, one control. At another domain, each recipient, and a
//! control if a recipient is accepted and too few are rejected to prove that the domain is no catch-all. At a
//! greylisting host, each probe twice. At a provider that rejects us, or whose replies are no evidence, none.
#![expect(clippy::cast_precision_loss, reason = "shares and times of a simulation need not be exact")]

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use super::list::{DomainId, GeneratedHost, GeneratedList, HostId};
use crate::policy::{Pace, RateLimits, Thresholds};

/// What a domain or a provider needs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DomainNeed {
    /// The number of recipients, those at catch-all domains included.
    pub rows: u64,
    /// The number of domains.
    pub domains: u64,
    /// The number of necessary probes.
    pub probes: u64,
    /// The number of necessary probes if one rejection proves that a domain is no catch-all.
    pub probes_by_formula: u64,
    /// Of the probes, those that are rejected or deferred.
    pub rejected: u64,
    /// The number of transactions, with one domain each.
    pub transactions: u64,
}

impl DomainNeed {
    /// What a domain needs.
    pub fn of_domain(list: &GeneratedList, id: DomainId) -> DomainNeed {
        let domain = list.domains[id as usize];
        let host = list.host(id);
        if !list.is_probed(id) || host.rejects_us {
            return DomainNeed::default();
        }
        let rows = u64::from(domain.recipients);
        let rounds = if host.greylists { 2 } else { 1 };
        let (probes, by_formula, rejected) = if domain.catch_all {
            (1, 1, 0)
        } else {
            let unknown = (domain.first..domain.first + domain.recipients)
                .filter(|row| list.is_unknown(*row))
                .count() as u64;
            let proof = u64::from(host.provider.proving_rejections);
            let control = u64::from(unknown < proof && unknown < rows);
            (rows + control, rows + u64::from(unknown == 0), unknown + control)
        };
        let recipients = u64::from(host.provider.session_limits.recipients);
        DomainNeed {
            rows,
            domains: 1,
            probes: probes * rounds,
            probes_by_formula: by_formula * rounds,
            rejected: rejected + (rounds - 1) * probes,
            transactions: probes.div_ceil(recipients) * rounds,
        }
    }

    fn add(&mut self, other: DomainNeed) {
        self.rows += other.rows;
        self.domains += other.domains;
        self.probes += other.probes;
        self.probes_by_formula += other.probes_by_formula;
        self.rejected += other.rejected;
        self.transactions += other.transactions;
    }
}

/// The bound of one provider.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BoundLane {
    /// What its domains need.
    pub need: DomainNeed,
    /// The fewest sessions that the session limits allow.
    pub sessions: u64,
    /// The probes per minute and source address that its limit of recipients allows.
    pub by_recipients: f64,
    /// The probes per minute and source address that its limit of new connections allows.
    pub by_connections: f64,
    /// The probes per minute and source address that its limit of open connections allows.
    pub by_open: f64,
    /// The length of a full session.
    pub session: Duration,
    /// The least time for its probes.
    pub time: Duration,
}

impl BoundLane {
    /// The bound of what hosts like this one need within these limits. Nothing if they need no probe.
    fn of(need: DomainNeed, host: &GeneratedHost, limits: RateLimits, egresses: usize) -> BoundLane {
        let DomainNeed { probes, rejected, transactions, .. } = need;
        let mut lane = BoundLane { need, ..BoundLane::default() };
        if probes == 0 {
            return lane;
        }
        let session_limits = host.provider.session_limits;
        lane.sessions = transactions
            .div_ceil(session_limits.transactions.into())
            .max(rejected.div_ceil(session_limits.rejections.into()));
        let per_session = probes as f64 / lane.sessions as f64;
        let batches = (per_session / f64::from(Thresholds::built_in().batch.recipients)).ceil();
        lane.session = host.latency.mul_f64(4.0 + batches) + host.think.mul_f64(per_session);
        lane.by_recipients = limits.recipients.into();
        lane.by_connections = f64::from(limits.connections) * per_session;
        lane.by_open = f64::from(limits.open) * per_session / lane.session.as_secs_f64() * 60.0;
        let rate = lane.by_recipients.min(lane.by_connections).min(lane.by_open);
        lane.time = Duration::from_secs_f64(probes as f64 * 60.0 / (rate * egresses as f64));
        lane
    }
}

/// The bound of a list.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The bound of each provider, by [`HostId`].
    pub lanes: Vec<BoundLane>,
    /// The provider with the longest time.
    pub slowest: HostId,
    /// The time of that provider.
    pub providers: Duration,
    /// The time of the machine with the longest time, of those that several providers share.
    pub machines: Duration,
    /// The seconds of all sessions over the number of sockets.
    pub sockets: Duration,
    /// The number of domains over the rate of DNS look-ups.
    pub dns: Duration,
    /// The last first contact at a greylisting host, its wait, and two sessions.
    pub greylisting: Duration,
}

impl Bound {
    /// Works out the bound of a list.
    pub fn of(list: &GeneratedList, pace: Pace, egresses: usize, sockets: usize) -> Bound {
        let mut lanes = vec![BoundLane::default(); list.hosts.len()];
        let mut last_greylister = None;
        for (id, domain) in (0..).zip(&list.domains) {
            let need = DomainNeed::of_domain(list, id);
            if need.probes > 0 && list.host(id).greylists {
                last_greylister = Some(id);
            }
            lanes[domain.host as usize].need.add(need);
        }
        let mut session_time = 0.0;
        for (lane, host) in lanes.iter_mut().zip(&list.hosts) {
            *lane = BoundLane::of(lane.need, host, host.provider.limits(pace), egresses);
            session_time += lane.sessions as f64 * lane.session.as_secs_f64();
        }
        let slowest = (0..).zip(&lanes).max_by_key(|(_, lane)| lane.time).map_or(0, |(id, _)| id);
        let lookup_time = |domains: f64| Duration::from_secs_f64(domains / list.dns_per_second);
        Bound {
            slowest,
            machines: slowest_machine(list, &lanes, pace, egresses),
            providers: lanes.get(slowest as usize).map_or(Duration::ZERO, |lane| lane.time),
            sockets: Duration::from_secs_f64(session_time / sockets as f64),
            dns: lookup_time(list.domains.len() as f64),
            greylisting: last_greylister.map_or(Duration::ZERO, |id| {
                let session = lanes[list.domains[id as usize].host as usize].session;
                lookup_time(id.into()) + list.wait + 2 * session
            }),
            lanes,
        }
    }

    /// The bound: the greatest of its terms.
    pub fn time(&self) -> Duration {
        self.providers.max(self.machines).max(self.sockets).max(self.dns).max(self.greylisting)
    }

    /// What all domains need.
    pub fn need(&self) -> DomainNeed {
        let mut need = DomainNeed::default();
        for lane in &self.lanes {
            need.add(lane.need);
        }
        need
    }

    /// The fewest sessions in all.
    pub fn sessions(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.sessions).sum()
    }
}

/// The longest time of a machine. A run could use a connection to it for all providers there.
fn slowest_machine(list: &GeneratedList, lanes: &[BoundLane], pace: Pace, egresses: usize) -> Duration {
    let mut machines: HashMap<IpAddr, (DomainNeed, &GeneratedHost, RateLimits)> = HashMap::new();
    for (lane, host) in lanes.iter().zip(&list.hosts) {
        let [mx_hop] = host.mx_hosts.as_slice() else { continue };
        if let ([address], Some(limits)) = (mx_hop.addresses.as_slice(), host.provider.address_limits(pace)) {
            machines.entry(*address).or_insert((DomainNeed::default(), host, limits)).0.add(lane.need);
        }
    }
    let times =
        machines.into_values().map(|(need, host, limits)| BoundLane::of(need, host, limits, egresses).time);
    times.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::setup::Mix;

    /// One domain with every row, at Google, without unknown recipients; a hundred DNS look-ups a second.
    fn one_domain() -> Mix {
        let text = r#"
            unknown = 0.0
            duplicates = 0.0
            invalid = 0.0
            dead = 0.0
            dns_per_second = 100
            wait_s = 300
            domains = { count = 1000, exponent = 0.5, head = 1 }
            big = [{ operator = "google", share = 1.0 }]
            operator = [{ id = "google", share = 0.0, doors = 1, catch_all = 0.1, latency_ms = 40, think_ms = 5 }]
            hosters = { count = 0, share = 0.0, catch_all = 0.0, latency_ms = 1, think_ms = 1 }
            own = { share = 1.0, catch_all = 0.0, greylists = 1.0, refuses = 0.0, latency_ms = 100, think_ms = 10 }
        "#;
        Mix::parse("one_domain.toml", text).unwrap()
    }

    #[test]
    fn one_domain_is_bound_by_the_rate_of_recipients() {
        let list = GeneratedList::generate(&one_domain(), 6000, 1);
        let bound = Bound::of(&list, Pace::Fast, 1, 1000);
        let lane = bound.lanes[0];
        // No recipient is rejected, so one control is necessary. 10 recipients in a transaction, 50 transactions in a
        // session.
        assert_eq!((lane.need.probes, lane.need.rejected, lane.need.transactions), (6001, 1, 601));
        assert_eq!(lane.sessions, 13);
        // 6001 probes at 5000 a minute take longer than 13 sessions at 100 a minute.
        assert_eq!(bound.time(), Duration::from_secs_f64(6001.0 * 60.0 / 5000.0));
        assert_eq!(bound.dns, Duration::from_millis(10));
        // 462 probes in a session: 4 round trips and 10 batches, and the think time.
        let session = 0.040 * 14.0 + 0.005 * 6001.0 / 13.0;
        assert!((lane.session.as_secs_f64() - session).abs() < 1e-6, "{:?}", lane.session);
        let halved = Bound::of(&list, Pace::Fast, 2, 1000);
        assert_eq!(halved.time(), bound.time() / 2);
    }

    #[test]
    fn greylisting_hosts_are_bound_by_the_last_first_contact() {
        let mix = Mix { big: Vec::new(), ..one_domain() };
        let list = GeneratedList::generate(&mix, 50, 1);
        let bound = Bound::of(&list, Pace::Fast, 1, 1000);
        assert_eq!(bound.need().domains, list.domains.len() as u64);
        assert_eq!(bound.need().probes, 2 * (50 + bound.need().domains), "recipient and control, twice each");
        let (newest, domain) = (0u32..).zip(&list.domains).last().unwrap();
        let session = bound.lanes[domain.host as usize].session;
        let expected = Duration::from_millis(10 * u64::from(newest)) + Duration::from_secs(300) + 2 * session;
        assert_eq!(bound.time(), expected);
    }
}
