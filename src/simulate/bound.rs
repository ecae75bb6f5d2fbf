//! The time below which nobody can stay who keeps the limits, with the terms that it comes from.
//!
//! ```text
//! T >= max { max over operators of  P / (I * min(r, x k, c k / d)),
//!            session seconds / W,   D / q,   the last first contact at a greylisting host + G + 2 d }
//! ```
//!
//! P necessary probes, I source addresses, r recipients and x connections a minute, c connections at once, k recipients
//! in a session (P over the fewest sessions that its manners allow), d = (4 + flights) round trips + k think times,
//! W sockets, D domains, q answers of the DNS a second, G the greylisting wait.
//!
//! Decides: what is necessary. One control at a domain that accepts any name, and nothing else; elsewhere every listed
//! address, and a control where somebody was accepted and too few were refused to prove that not everybody is. Twice
//! where they are greylisted. Operators that refuse us, or whose answers are no evidence, need nothing.
#![expect(clippy::cast_precision_loss, reason = "shares and times of a simulation need not be exact")]

use std::time::Duration;

use super::list::{DomainId, GeneratedList, HostId};
use crate::policy::Pace;
use crate::schedule::FLIGHT;

/// What one operator needs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DomainNeed {
    /// Rows asked about, or not because their domain accepts any name.
    pub rows: u64,
    /// Domains.
    pub domains: u64,
    /// Questions that can't be spared.
    pub probes: u64,
    /// The same by the closed formula of the theory, which takes one refusal as proof.
    pub probes_by_formula: u64,
    /// Of the probes, those that will be refused.
    pub refused: u64,
    /// Transactions, at one domain each.
    pub transactions: u64,
}

impl DomainNeed {
    /// What a domain needs.
    pub fn of_domain(list: &GeneratedList, id: DomainId) -> DomainNeed {
        let domain = list.domains[id as usize];
        let host = list.host(id);
        if !list.is_asked(id) || host.refuses {
            return DomainNeed::default();
        }
        let rows = u64::from(domain.listed);
        let rounds = if host.greylists { 2 } else { 1 };
        let (probes, by_formula, refused) = if domain.catch_all {
            (1, 1, 0)
        } else {
            let unknown = (domain.first..domain.first + domain.listed)
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
            refused: refused + (rounds - 1) * probes,
            transactions: probes.div_ceil(recipients) * rounds,
        }
    }

    fn add(&mut self, other: DomainNeed) {
        self.rows += other.rows;
        self.domains += other.domains;
        self.probes += other.probes;
        self.probes_by_formula += other.probes_by_formula;
        self.refused += other.refused;
        self.transactions += other.transactions;
    }
}

/// An operator's part of the bound.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BoundLane {
    /// What it needs.
    pub need: DomainNeed,
    /// The fewest sessions that bear it.
    pub sessions: u64,
    /// Probes a minute and source address by its limit of recipients.
    pub by_recipients: f64,
    /// The same by its limit of new connections.
    pub by_connections: f64,
    /// The same by its limit of open connections.
    pub by_open: f64,
    /// Length of a full session.
    pub session: Duration,
    /// The time that it needs.
    pub time: Duration,
}

/// The bound.
#[derive(Clone, Debug)]
pub struct Bound {
    /// By host.
    pub lanes: Vec<BoundLane>,
    /// The slowest of them.
    pub slowest: HostId,
    /// Its time.
    pub providers: Duration,
    /// Session seconds over sockets.
    pub sockets: Duration,
    /// Domains over the DNS's rate.
    pub dns: Duration,
    /// The last first contact at a greylisting host, its wait and two sessions.
    pub greylisting: Duration,
}

impl Bound {
    /// The bound of a list.
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
            let DomainNeed { probes, refused, transactions, .. } = lane.need;
            if probes == 0 {
                continue;
            }
            let (limits, session_limits) = (host.provider.limits(pace), host.provider.session_limits);
            lane.sessions = transactions
                .div_ceil(session_limits.transactions.into())
                .max(refused.div_ceil(session_limits.rejections.into()));
            let in_session = probes as f64 / lane.sessions as f64;
            let batches = (in_session / f64::from(FLIGHT)).ceil();
            lane.session = host.latency.mul_f64(4.0 + batches) + host.think.mul_f64(in_session);
            lane.by_recipients = limits.recipients.into();
            lane.by_connections = f64::from(limits.connections) * in_session;
            lane.by_open = f64::from(limits.open) * in_session / lane.session.as_secs_f64() * 60.0;
            let rate = lane.by_recipients.min(lane.by_connections).min(lane.by_open);
            lane.time = Duration::from_secs_f64(probes as f64 * 60.0 / (rate * egresses as f64));
            session_time += lane.sessions as f64 * lane.session.as_secs_f64();
        }
        let slowest = (0..).zip(&lanes).max_by_key(|(_, lane)| lane.time).map_or(0, |(id, _)| id);
        let looked_up = |domains: f64| Duration::from_secs_f64(domains / list.dns_per_second);
        Bound {
            slowest,
            providers: lanes.get(slowest as usize).map_or(Duration::ZERO, |lane| lane.time),
            sockets: Duration::from_secs_f64(session_time / sockets as f64),
            dns: looked_up(list.domains.len() as f64),
            greylisting: last_greylister.map_or(Duration::ZERO, |id| {
                let session = lanes[list.domains[id as usize].host as usize].session;
                looked_up(id.into()) + list.wait + 2 * session
            }),
            lanes,
        }
    }

    /// The bound itself.
    pub fn time(&self) -> Duration {
        self.providers.max(self.sockets).max(self.dns).max(self.greylisting)
    }

    /// What must be asked in all.
    pub fn need(&self) -> DomainNeed {
        let mut need = DomainNeed::default();
        for lane in &self.lanes {
            need.add(lane.need);
        }
        need
    }

    /// The fewest connections in all.
    pub fn sessions(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.sessions).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::mix::Mix;

    /// One domain at Google with every row, nobody unknown; a DNS that answers a hundred times a second.
    fn one_domain() -> Mix {
        let text = r#"
            unknown = 0.0
            duplicates = 0.0
            invalid = 0.0
            dead = 0.0
            dns_per_second = 100
            wait_s = 300
            domains = { universe = 1000, exponent = 0.5, head = 1 }
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
        // Nobody is refused, so one control; 10 recipients to a transaction, 50 transactions to a session.
        assert_eq!((lane.need.probes, lane.need.refused, lane.need.transactions), (6001, 1, 601));
        assert_eq!(lane.sessions, 13);
        // 6001 probes at 5000 a minute; 13 sessions at 100 a minute would take less.
        assert_eq!(bound.time(), Duration::from_secs_f64(6001.0 * 60.0 / 5000.0));
        assert_eq!(bound.dns, Duration::from_millis(10));
        // 462 in a session: 4 round trips and 10 flights, and the time to think.
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
        assert_eq!(bound.need().probes, 2 * (50 + bound.need().domains), "listed and control, twice each");
        let (newest, domain) = (0u32..).zip(&list.domains).last().unwrap();
        let session = bound.lanes[domain.host as usize].session;
        let expected = Duration::from_millis(10 * u64::from(newest)) + Duration::from_secs(300) + 2 * session;
        assert_eq!(bound.time(), expected);
    }
}
