//! The receivers of a simulation: they answer as the generated list says, and count how they are treated.
//!
//! Decides: answers and violations. A violation is counted here from what arrives, never from what the scheduler
//! believes; a minute is any 60 seconds. Must not: know the scheduler.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::list::{DomainId, GeneratedList, HostId, RecipientTruth, read};
use crate::evidence::ClassifiedReply;
use crate::policy::{Pace, RateLimits, ReplyContext, ReplyRules};
use crate::reason::Cause;
use crate::smtp::{Reply, Stage, Transaction};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// How often limits were broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Violations {
    /// RCPT commands beyond a minute's limit.
    pub recipients_per_minute: u64,
    /// Connections beyond a minute's limit.
    pub connections_per_minute: u64,
    /// Connections beyond those that may be open.
    pub open: u64,
    /// Transactions beyond a session's limit.
    pub transactions: u64,
    /// Recipients beyond a transaction's limit.
    pub recipients: u64,
    /// Refused recipients beyond a session's limit.
    pub refused: u64,
    /// Unknown recipients beyond an hour's limit.
    pub unknown_per_hour: u64,
    /// Unknown recipients beyond a day's limit.
    pub unknown_per_day: u64,
    /// Transactions with recipients of more than one domain.
    pub mixed_domains: u64,
}

impl Violations {
    /// All of them.
    pub fn sum(&self) -> u64 {
        self.recipients_per_minute
            + self.connections_per_minute
            + self.open
            + self.transactions
            + self.recipients
            + self.refused
            + self.unknown_per_hour
            + self.unknown_per_day
            + self.mixed_domains
    }
}

/// What one operator heard from one of our addresses.
#[derive(Debug, Default)]
struct Counter {
    recipients: Window,
    connections: Window,
    unknown_in_hour: Window,
    unknown_in_day: Window,
    open: u32,
}

/// Events of the last while.
#[derive(Debug, Default)]
struct Window {
    events: VecDeque<(Duration, u32)>,
    sum: u32,
}

impl Window {
    /// Adds to the window; how many of the added are beyond the limit.
    fn add(&mut self, now: Duration, count: u32, span: Duration, limit: u32) -> u64 {
        while let Some(&(at, gone)) = self.events.front()
            && at + span <= now
        {
            self.events.pop_front();
            self.sum -= gone;
        }
        self.events.push_back((now, count));
        self.sum += count;
        self.sum.saturating_sub(limit).min(count).into()
    }
}

/// A session as a receiver sees it.
#[derive(Debug)]
pub(super) struct SimConnection {
    /// Who is called.
    pub host: HostId,
    /// From which of our addresses.
    pub egress: usize,
    /// When it began.
    pub began: Duration,
    /// MAIL commands.
    pub transactions: u32,
    /// RCPT commands.
    pub asked: u32,
    /// Of these, refused, if only for now.
    pub refused: u32,
    /// Of these, controls.
    pub controls: ControlCounts,
}

/// Questions about nobody of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControlCounts {
    /// The first made-up name at a domain, as often as it was asked about.
    pub negative: u32,
    /// Another made-up name at the same domain: does the host still refuse anybody?
    pub closing: u32,
    /// `postmaster`: does it accept anybody?
    pub positive: u32,
}

impl ControlCounts {
    /// All of them.
    pub fn sum(&self) -> u32 {
        self.negative + self.closing + self.positive
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: ControlCounts) -> ControlCounts {
        ControlCounts {
            negative: self.negative + other.negative,
            closing: self.closing + other.closing,
            positive: self.positive + other.positive,
        }
    }
}

/// What one operator got in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Connections.
    pub connections: u64,
    /// RCPT commands.
    pub probes: u64,
    /// The last thing that happened.
    pub until: Duration,
    /// Addresses left to a later run.
    pub left: u64,
}

/// The answers, made once.
#[derive(Debug)]
pub(super) struct RejectionTexts {
    accepted: ClassifiedReply,
    unknown: ClassifiedReply,
    greylisted: ClassifiedReply,
    /// Said at the greeting.
    pub refused: ClassifiedReply,
}

impl RejectionTexts {
    fn new(rules: &ReplyRules) -> RejectionTexts {
        let classified = |stage, code, text: &str| {
            let reply = Reply::new(code, [text]);
            let meaning = rules.classify(&reply, &ReplyContext { stage, provider: None });
            ClassifiedReply { stage, reply, meaning: meaning.into() }
        };
        RejectionTexts {
            accepted: classified(Stage::Rcpt, 250, "2.1.5 Ok"),
            unknown: classified(Stage::Rcpt, 550, "5.1.1 User unknown"),
            greylisted: classified(Stage::Rcpt, 450, "4.2.0 Greylisted, please try again later"),
            refused: classified(Stage::Connect, 554, "5.7.1 Your IP address is blocked for poor reputation"),
        }
    }
}

/// Which control a made-up name is, by the mark of the first one at its domain.
fn random_recipient(first: &mut u32, name: &str) -> ControlCounts {
    let mark = name.bytes().fold(1u32, |mark, byte| mark.wrapping_mul(31).wrapping_add(byte.into())).max(1);
    if *first == 0 {
        *first = mark;
    }
    let is_first = u32::from(*first == mark);
    ControlCounts { negative: is_first, closing: 1 - is_first, positive: 0 }
}

/// All receivers.
#[derive(Debug)]
pub(super) struct Receivers {
    list: Arc<GeneratedList>,
    pace: Pace,
    words: RejectionTexts,
    counters: HashMap<(usize, HostId), Counter>,
    /// First contacts at greylisting hosts: a domain with a row, or without one its control.
    first_contacts: HashMap<(DomainId, Option<u32>), Duration>,
    /// What was broken.
    pub violations: Violations,
    /// By host.
    pub loads: Vec<Load>,
    /// Controls asked.
    pub controls: ControlCounts,
    /// By domain, a mark of the first made-up name asked about; 0 for none.
    random_recipient: Vec<u32>,
}

impl Receivers {
    /// The receivers of a list.
    pub(super) fn new(list: Arc<GeneratedList>, pace: Pace, rules: &ReplyRules) -> Receivers {
        let random_recipient = vec![0; list.domains.len()];
        Receivers {
            loads: vec![Load::default(); list.hosts.len()],
            list,
            pace,
            words: RejectionTexts::new(rules),
            counters: HashMap::new(),
            first_contacts: HashMap::new(),
            violations: Violations::default(),
            controls: ControlCounts::default(),
            random_recipient,
        }
    }

    /// What is said to who is refused.
    pub(super) fn refusal(&self) -> &ClassifiedReply {
        &self.words.refused
    }

    fn limits(&self, host: HostId) -> RateLimits {
        self.list.hosts[host as usize].provider.limits(self.pace)
    }

    /// Somebody connects.
    pub(super) fn connected(&mut self, host: HostId, egress: usize, now: Duration) -> SimConnection {
        let limits = self.limits(host);
        let counter = self.counters.entry((egress, host)).or_default();
        self.violations.connections_per_minute += counter.connections.add(now, 1, MINUTE, limits.connections);
        counter.open += 1;
        self.violations.open += u64::from(counter.open > limits.open);
        self.loads[host as usize].connections += 1;
        SimConnection {
            host,
            egress,
            began: now,
            transactions: 0,
            asked: 0,
            refused: 0,
            controls: ControlCounts::default(),
        }
    }

    /// A transaction is answered; one answer for each recipient.
    pub(super) fn transaction(
        &mut self,
        call: &mut SimConnection,
        transaction: &Transaction,
        now: Duration,
    ) -> Vec<ClassifiedReply> {
        let list = self.list.clone();
        let host = &list.hosts[call.host as usize];
        let (limits, session_limits) = (host.provider.limits(self.pace), host.provider.session_limits);
        let counter = self.counters.entry((call.egress, call.host)).or_default();
        let asked = u32::try_from(transaction.recipients.len()).unwrap_or(u32::MAX);
        call.transactions += 1;
        call.asked += asked;
        self.violations.transactions += u64::from(call.transactions > session_limits.transactions);
        self.violations.recipients += u64::from(asked.saturating_sub(session_limits.recipients));
        self.violations.recipients_per_minute +=
            counter.recipients.add(now, asked, MINUTE, limits.recipients);
        let load = &mut self.loads[call.host as usize];
        load.probes += u64::from(asked);
        load.until = now;
        let mut domain_of_all = None;
        let mut answers = Vec::with_capacity(transaction.recipients.len());
        for ask in &transaction.recipients {
            let Some((domain, whom)) = read(&ask.address) else {
                continue;
            };
            self.violations.mixed_domains += u64::from(*domain_of_all.get_or_insert(domain) != domain);
            let exists = match whom {
                RecipientTruth::Row(row) => !list.is_unknown(row),
                RecipientTruth::Control { exists } => exists,
            };
            let control = match whom {
                RecipientTruth::Row(_) => ControlCounts::default(),
                RecipientTruth::Control { exists: true } => {
                    ControlCounts { positive: 1, ..ControlCounts::default() }
                }
                RecipientTruth::Control { exists: false } => {
                    random_recipient(&mut self.random_recipient[domain as usize], ask.address.local())
                }
            };
            self.controls = self.controls.and(control);
            call.controls = call.controls.and(control);
            let row = if let RecipientTruth::Row(row) = whom { Some(row) } else { None };
            let is_early =
                host.greylists && now < *self.first_contacts.entry((domain, row)).or_insert(now) + list.wait;
            let classified = match exists || list.domains[domain as usize].catch_all {
                _ if is_early => &self.words.greylisted,
                true => &self.words.accepted,
                false => &self.words.unknown,
            };
            if !classified.reply.is_positive() {
                call.refused += 1;
                self.violations.refused += u64::from(call.refused > session_limits.rejections);
            }
            if classified.meaning.cause == Cause::MailboxUnknown {
                let (hour, day) = (limits.unknown_per_hour, limits.unknown_per_day);
                if let Some(limit) = hour {
                    self.violations.unknown_per_hour += counter.unknown_in_hour.add(now, 1, HOUR, limit);
                }
                if let Some(limit) = day {
                    self.violations.unknown_per_day += counter.unknown_in_day.add(now, 1, DAY, limit);
                }
            }
            answers.push(classified.clone());
        }
        answers
    }

    /// The call is over.
    pub(super) fn hung_up(&mut self, call: &SimConnection, now: Duration) {
        if let Some(counter) = self.counters.get_mut(&(call.egress, call.host)) {
            counter.open -= 1;
        }
        self.loads[call.host as usize].until = now;
    }
}
