//! The receivers of a simulation: they reply as the generated list says, and count violations of their limits.
//!
//! Decides: replies and violations. A violation is counted from what arrives here, never from what the scheduler
//! assumes; a minute is any 60 seconds. Must not: know the scheduler.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::list::{DomainId, GeneratedList, HostId, RecipientTruth, look_up};
use crate::evidence::ClassifiedReply;
use crate::policy::{Pace, RateLimits, ReplyContext, ReplyRules};
use crate::reason::Cause;
use crate::smtp::{Reply, Stage, Transaction};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// How often limits were exceeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Violations {
    /// RCPT commands beyond the limit of a minute.
    pub recipients_per_minute: u64,
    /// Connections beyond the limit of a minute.
    pub connections_per_minute: u64,
    /// Connections beyond the limit of open ones.
    pub open: u64,
    /// Transactions beyond the limit of a session.
    pub transactions: u64,
    /// Recipients beyond the limit of a transaction.
    pub recipients: u64,
    /// Rejected recipients beyond the limit of a session.
    #[serde(rename = "refused")]
    pub rejected: u64,
    /// Unknown recipients beyond the limit of an hour.
    pub unknown_per_hour: u64,
    /// Unknown recipients beyond the limit of a day.
    pub unknown_per_day: u64,
    /// Transactions with recipients of more than one domain.
    pub mixed_domains: u64,
}

impl Violations {
    /// The sum of all violations.
    pub fn sum(&self) -> u64 {
        self.recipients_per_minute
            + self.connections_per_minute
            + self.open
            + self.transactions
            + self.recipients
            + self.rejected
            + self.unknown_per_hour
            + self.unknown_per_day
            + self.mixed_domains
    }
}

/// What one provider, or one machine, counts for one egress.
#[derive(Debug, Default)]
struct Counter {
    recipients: Window,
    connections: Window,
    unknown_in_hour: Window,
    unknown_in_day: Window,
    open: u32,
}

impl Counter {
    /// Counts a new connection.
    fn connect(&mut self, now: Duration, limits: &RateLimits, violations: &mut Violations) {
        violations.connections_per_minute += self.connections.add(now, 1, MINUTE, limits.connections);
        self.open += 1;
        violations.open += u64::from(self.open > limits.open);
    }

    /// Counts an unknown recipient.
    fn unknown(&mut self, now: Duration, limits: &RateLimits, violations: &mut Violations) {
        if let Some(limit) = limits.unknown_per_hour {
            violations.unknown_per_hour += self.unknown_in_hour.add(now, 1, HOUR, limit);
        }
        if let Some(limit) = limits.unknown_per_day {
            violations.unknown_per_day += self.unknown_in_day.add(now, 1, DAY, limit);
        }
    }
}

/// The events within a span of time.
#[derive(Debug, Default)]
struct Window {
    events: VecDeque<(Duration, u32)>,
    sum: u32,
}

impl Window {
    /// Adds `count` events. Returns how many of them are beyond the limit.
    fn add(&mut self, now: Duration, count: u32, span: Duration, limit: u32) -> u64 {
        while let Some(&(at, old)) = self.events.front()
            && at + span <= now
        {
            self.events.pop_front();
            self.sum -= old;
        }
        self.events.push_back((now, count));
        self.sum += count;
        self.sum.saturating_sub(limit).min(count).into()
    }
}

/// A session as a receiver sees it.
#[derive(Debug)]
pub(super) struct SimConnection {
    /// The provider.
    pub host: HostId,
    /// The IP address of the host.
    pub address: IpAddr,
    /// The egress, counted from 0.
    pub egress: usize,
    /// When the connection was opened.
    pub opened_at: Duration,
    /// The number of MAIL commands.
    pub transactions: u32,
    /// The number of RCPT commands.
    pub probes: u32,
    /// Of these, rejected or deferred.
    pub rejected: u32,
    /// Of the probes, controls.
    pub controls: ControlCounts,
}

/// Probes of recipients that are not on the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControlCounts {
    /// Probes of the first random recipient at a domain.
    pub negative: u32,
    /// Probes of other random recipients there.
    pub closing: u32,
    /// Probes of `postmaster`.
    pub positive: u32,
    /// Probes of recipients of the list that were accepted before.
    pub closing_positive: u32,
}

impl ControlCounts {
    /// The number of all controls.
    pub fn sum(&self) -> u32 {
        self.negative + self.closing + self.positive + self.closing_positive
    }

    /// The sums of both counts.
    #[must_use]
    pub fn and(self, other: ControlCounts) -> ControlCounts {
        ControlCounts {
            negative: self.negative + other.negative,
            closing: self.closing + other.closing,
            positive: self.positive + other.positive,
            closing_positive: self.closing_positive + other.closing_positive,
        }
    }
}

/// What one provider got in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// The number of connections.
    pub connections: u64,
    /// The number of RCPT commands.
    pub probes: u64,
    /// When its last transaction or connection ended.
    pub until: Duration,
    /// Recipients that wait for a later run.
    pub postponed: u64,
}

/// All replies, each classified once.
#[derive(Debug)]
struct ReceiverReplies {
    accepted: ClassifiedReply,
    unknown: ClassifiedReply,
    greylisted: ClassifiedReply,
    /// The reply instead of a greeting, by a host that rejects us.
    blocked: ClassifiedReply,
}

impl ReceiverReplies {
    fn new(rules: &ReplyRules) -> ReceiverReplies {
        let classified = |stage, code, text: &str| {
            let reply = Reply::new(code, [text]);
            let meaning = rules.classify(&reply, &ReplyContext { stage, provider: None });
            ClassifiedReply { stage, reply, meaning: meaning.into() }
        };
        ReceiverReplies {
            accepted: classified(Stage::Rcpt, 250, "2.1.5 Ok"),
            unknown: classified(Stage::Rcpt, 550, "5.1.1 User unknown"),
            greylisted: classified(Stage::Rcpt, 450, "4.2.0 Greylisted, please try again later"),
            blocked: classified(Stage::Connect, 554, "5.7.1 Your IP address is blocked for poor reputation"),
        }
    }
}

/// Counts a random recipient: as the negative control if it is the first one at its domain, otherwise as a closing
/// control.
fn count_random_recipient(first: &mut u32, local_part: &str) -> ControlCounts {
    let mark =
        local_part.bytes().fold(1u32, |mark, byte| mark.wrapping_mul(31).wrapping_add(byte.into())).max(1);
    if *first == 0 {
        *first = mark;
    }
    let is_first = u32::from(*first == mark);
    ControlCounts { negative: is_first, closing: 1 - is_first, ..ControlCounts::default() }
}

/// All receivers.
#[derive(Debug)]
pub(super) struct Receivers {
    list: Arc<GeneratedList>,
    pace: Pace,
    replies: ReceiverReplies,
    counters: HashMap<(usize, HostId), Counter>,
    /// The counters of the machines of providers that may share them.
    machines: HashMap<(usize, IpAddr), Counter>,
    /// The recipients of the list that were accepted, one bit each.
    accepted: Vec<u64>,
    /// The first contacts at greylisting hosts, by domain and recipient; `None` for its controls.
    first_contacts: HashMap<(DomainId, Option<u32>), Duration>,
    /// The violations of the limits of providers.
    pub violations: Violations,
    /// The violations of the limits of IP addresses.
    pub address_violations: Violations,
    /// What each provider got, by [`HostId`].
    pub loads: Vec<Load>,
    /// The controls of all domains.
    pub controls: ControlCounts,
    /// A hash of the first random recipient of each domain, by [`DomainId`]; 0 for none.
    first_random: Vec<u32>,
}

impl Receivers {
    /// The receivers of a list.
    pub(super) fn new(list: Arc<GeneratedList>, pace: Pace, rules: &ReplyRules) -> Receivers {
        let first_random = vec![0; list.domains.len()];
        Receivers {
            loads: vec![Load::default(); list.hosts.len()],
            pace,
            replies: ReceiverReplies::new(rules),
            counters: HashMap::new(),
            machines: HashMap::new(),
            accepted: vec![0; list.rows as usize / 64 + 1],
            first_contacts: HashMap::new(),
            violations: Violations::default(),
            address_violations: Violations::default(),
            controls: ControlCounts::default(),
            first_random,
            list,
        }
    }

    /// The reply of a host that rejects us at the greeting.
    pub(super) fn greeting_rejection(&self) -> &ClassifiedReply {
        &self.replies.blocked
    }

    /// Counts a new connection to an IP address of a host.
    pub(super) fn on_connect(
        &mut self,
        host: HostId,
        address: IpAddr,
        egress: usize,
        now: Duration,
    ) -> SimConnection {
        let provider = &self.list.hosts[host as usize].provider;
        let limits = provider.limits(self.pace);
        self.counters.entry((egress, host)).or_default().connect(now, &limits, &mut self.violations);
        if let Some(limits) = provider.address_limits(self.pace) {
            let machine = self.machines.entry((egress, address)).or_default();
            machine.connect(now, &limits, &mut self.address_violations);
        }
        self.loads[host as usize].connections += 1;
        SimConnection {
            host,
            address,
            egress,
            opened_at: now,
            transactions: 0,
            probes: 0,
            rejected: 0,
            controls: ControlCounts::default(),
        }
    }

    /// Replies to a transaction: one reply for each recipient.
    pub(super) fn on_transaction(
        &mut self,
        connection: &mut SimConnection,
        transaction: &Transaction,
        now: Duration,
    ) -> Vec<ClassifiedReply> {
        let list = self.list.clone();
        let host = &list.hosts[connection.host as usize];
        let (limits, session_limits) = (host.provider.limits(self.pace), host.provider.session_limits);
        let counter = self.counters.entry((connection.egress, connection.host)).or_default();
        let address_limits = host.provider.address_limits(self.pace);
        let mut machine = address_limits.map(|limits| {
            (self.machines.entry((connection.egress, connection.address)).or_default(), limits)
        });
        let probes = u32::try_from(transaction.recipients.len()).unwrap_or(u32::MAX);
        connection.transactions += 1;
        connection.probes += probes;
        self.violations.transactions += u64::from(connection.transactions > session_limits.transactions);
        self.violations.recipients += u64::from(probes.saturating_sub(session_limits.recipients));
        self.violations.recipients_per_minute +=
            counter.recipients.add(now, probes, MINUTE, limits.recipients);
        if let Some((machine, limits)) = &mut machine {
            self.address_violations.recipients_per_minute +=
                machine.recipients.add(now, probes, MINUTE, limits.recipients);
        }
        let load = &mut self.loads[connection.host as usize];
        load.probes += u64::from(probes);
        load.until = now;
        let mut domain_of_all = None;
        let mut replies = Vec::with_capacity(transaction.recipients.len());
        for probe in &transaction.recipients {
            let Some((domain, truth)) = look_up(&probe.address) else {
                continue;
            };
            self.violations.mixed_domains += u64::from(*domain_of_all.get_or_insert(domain) != domain);
            let exists = match truth {
                RecipientTruth::Row(row) => !list.is_unknown(row),
                RecipientTruth::Control { exists } => exists,
            };
            let control = match truth {
                RecipientTruth::Row(row) => {
                    let was_accepted = self.accepted[row as usize / 64] >> (row % 64) & 1 == 1;
                    ControlCounts { closing_positive: was_accepted.into(), ..ControlCounts::default() }
                }
                RecipientTruth::Control { exists: true } => {
                    ControlCounts { positive: 1, ..ControlCounts::default() }
                }
                RecipientTruth::Control { exists: false } => {
                    count_random_recipient(&mut self.first_random[domain as usize], probe.address.local())
                }
            };
            self.controls = self.controls.and(control);
            connection.controls = connection.controls.and(control);
            let row = if let RecipientTruth::Row(row) = truth { Some(row) } else { None };
            let is_early =
                host.greylists && now < *self.first_contacts.entry((domain, row)).or_insert(now) + list.wait;
            let classified = match exists || list.domains[domain as usize].catch_all {
                _ if is_early => &self.replies.greylisted,
                true => &self.replies.accepted,
                false => &self.replies.unknown,
            };
            if let (true, Some(row)) = (classified.reply.is_positive(), row) {
                self.accepted[row as usize / 64] |= 1 << (row % 64);
            }
            if !classified.reply.is_positive() {
                connection.rejected += 1;
                self.violations.rejected += u64::from(connection.rejected > session_limits.rejections);
            }
            if classified.meaning.cause == Cause::MailboxUnknown {
                counter.unknown(now, &limits, &mut self.violations);
                if let Some((machine, limits)) = &mut machine {
                    machine.unknown(now, limits, &mut self.address_violations);
                }
            }
            replies.push(classified.clone());
        }
        replies
    }

    /// Counts the end of a connection.
    pub(super) fn on_disconnect(&mut self, connection: &SimConnection, now: Duration) {
        if let Some(counter) = self.counters.get_mut(&(connection.egress, connection.host)) {
            counter.open -= 1;
        }
        if let Some(machine) = self.machines.get_mut(&(connection.egress, connection.address)) {
            machine.open -= 1;
        }
        self.loads[connection.host as usize].until = now;
    }
}
