//! One mail server of the world: its script, and what it remembers between sessions.
//!
//! Decides: which rules match, which clients are greylisted, which limit is exceeded. Must not: send replies.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::limits::{LimitViolation, SlidingWindow};
use super::observed::{ObservedHost, lock};
use super::pattern::chance;
use super::rule::{CountScope, CountedEvent, DialogueStep, HostRule};
use super::script::{Greylist, GreylistKey, HostEntry};
use crate::address::Domain;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A mail server.
pub struct ScriptedHost {
    /// The name of the host; the first of several.
    pub name: Domain,
    /// The addresses at which it listens.
    pub addresses: Vec<IpAddr>,
    /// Its script; shared by the hosts of one entry.
    pub behavior: Arc<HostEntry>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    clients: HashMap<IpAddr, Client>,
    /// The time of the first contact, by greylisting key.
    first_contacts: HashMap<String, Duration>,
    /// How often each rule with a limit of uses has matched.
    rule_uses: HashMap<usize, u32>,
    /// The recent steps of each rule with a rate.
    rule_rates: HashMap<usize, SlidingWindow>,
    observed: ObservedHost,
}

#[derive(Default)]
struct Client {
    open_connections: u32,
    counts: EventCounts,
    connects: SlidingWindow,
    rcpts: SlidingWindow,
    unknown_hour: SlidingWindow,
    unknown_day: SlidingWindow,
    banned_until: Option<Duration>,
}

/// The events that rules count.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventCounts {
    /// Each step, in the order of [`DialogueStep`].
    pub steps: [u32; 7],
    /// Unknown recipients.
    pub unknown: u32,
    /// Sessions.
    pub sessions: u32,
}

/// The facts that rules can test.
pub struct RuleContext<'a> {
    /// The time in the world.
    pub now: Duration,
    /// The address of the client.
    pub client: IpAddr,
    /// The number of the session at this host, from 1.
    pub session: u64,
    /// The envelope sender; empty before MAIL.
    pub sender: &'a str,
    /// Local part and domain of the recipient, lower case, at RCPT.
    pub recipient: Option<(&'a str, &'a str)>,
    /// The events of this session, the current one included.
    pub counts: EventCounts,
    /// The seed of random choices.
    pub seed: u64,
}

impl ScriptedHost {
    /// A host without any memory.
    pub fn new(name: Domain, addresses: Vec<IpAddr>, behavior: Arc<HostEntry>) -> ScriptedHost {
        ScriptedHost { name, addresses, behavior, memory: Mutex::default() }
    }

    /// What the host has observed so far.
    pub fn observed(&self) -> ObservedHost {
        lock(&self.memory).observed.clone()
    }

    /// Registers a new connection. Returns the number of the session and the limits that the connection exceeds.
    pub fn connect(&self, client: IpAddr, now: Duration) -> (u64, Vec<LimitViolation>) {
        let limits = &self.behavior.limits;
        let mut memory = lock(&self.memory);
        let state = memory.clients.entry(client).or_default();
        state.open_connections += 1;
        state.counts.sessions += 1;
        let open = state.open_connections;
        let checks = [
            (state.banned_until.is_some_and(|until| now < until), LimitViolation::Banned),
            (limits.connections.is_some_and(|most| open > most), LimitViolation::Connections),
            (
                state.connects.add(now, MINUTE, limits.connections_per_minute),
                LimitViolation::ConnectionsPerMinute,
            ),
        ];
        memory.observed.sessions += 1;
        memory.observed.max_concurrent = memory.observed.max_concurrent.max(open);
        let violations =
            checks.into_iter().filter_map(|(is_violated, violation)| is_violated.then_some(violation));
        (memory.observed.sessions, violations.collect())
    }

    /// Registers the end of a connection.
    pub fn disconnect(&self, client: IpAddr) {
        if let Some(state) = lock(&self.memory).clients.get_mut(&client) {
            state.open_connections = state.open_connections.saturating_sub(1);
        }
    }

    /// Counts a step of a client.
    pub fn count_step(&self, client: IpAddr, step: DialogueStep) {
        lock(&self.memory).clients.entry(client).or_default().counts.steps[step as usize] += 1;
    }

    /// Counts a command.
    pub fn count_command(&self, verb: &str) {
        *lock(&self.memory).observed.commands.entry(verb.to_owned()).or_default() += 1;
    }

    /// Counts a violation.
    pub fn count_violation(&self, violation: LimitViolation) {
        *lock(&self.memory).observed.violations.entry(violation).or_default() += 1;
    }

    /// Counts a RCPT. Returns the limit that it exceeds.
    pub fn count_rcpt(&self, address: &str, client: IpAddr, now: Duration) -> Option<LimitViolation> {
        let mut memory = lock(&self.memory);
        *memory.observed.rcpts.entry(address.to_owned()).or_default() += 1;
        let state = memory.clients.entry(client).or_default();
        let is_exceeded = state.rcpts.add(now, MINUTE, self.behavior.limits.rcpts_per_minute);
        is_exceeded.then_some(LimitViolation::RcptsPerMinute)
    }

    /// Counts an unknown recipient. Returns the limit that it exceeds, in which case the client may be banned.
    pub fn count_unknown(&self, client: IpAddr, now: Duration) -> Option<LimitViolation> {
        let limits = &self.behavior.limits;
        let mut memory = lock(&self.memory);
        memory.observed.unknown += 1;
        let state = memory.clients.entry(client).or_default();
        state.counts.unknown += 1;
        let hour = state.unknown_hour.add(now, HOUR, limits.unknown_per_hour);
        let day = state.unknown_day.add(now, DAY, limits.unknown_per_day);
        if let (true, Some(ban)) = (hour || day, limits.ban) {
            state.banned_until = Some(now + ban);
        }
        match (hour, day) {
            (_, true) => Some(LimitViolation::UnknownPerDay),
            (true, false) => Some(LimitViolation::UnknownPerHour),
            (false, false) => None,
        }
    }

    /// True if the greylist defers this client. The first contact is remembered and starts the delay.
    pub fn greylists(&self, greylist: &Greylist, on: &RuleContext<'_>) -> bool {
        let (local, domain) = on.recipient.unwrap_or_default();
        let key = match greylist.by {
            GreylistKey::Triplet => format!("{} {} {local}@{domain}", on.client, on.sender),
            GreylistKey::Domain => format!("{} {domain}", on.client),
            GreylistKey::Client => on.client.to_string(),
        };
        let first = *lock(&self.memory).first_contacts.entry(key).or_insert(on.now);
        on.now < first + greylist.delay
    }

    /// The rules that match at a step, up to the first that replies or misbehaves. Counts the uses of rules with a
    /// limit, and the steps of rules with a rate.
    pub fn take_rules(&self, step: DialogueStep, on: &RuleContext<'_>) -> Vec<&HostRule> {
        let mut matching = Vec::new();
        let mut memory = lock(&self.memory);
        let by_client = memory.clients.get(&on.client).map(|client| client.counts).unwrap_or_default();
        for (index, rule) in self.behavior.rules.iter().enumerate() {
            if rule.at != step || !matches(rule, index, on) || nth(rule, on.counts, by_client) <= rule.after {
                continue;
            }
            if let Some(rate) = rule.per_minute
                && !memory.rule_rates.entry(index).or_default().add(on.now, MINUTE, Some(rate))
            {
                continue;
            }
            if let Some(times) = rule.times {
                let used = memory.rule_uses.entry(index).or_default();
                *used += 1;
                if *used > times {
                    continue;
                }
            }
            matching.push(rule);
            if rule.say.is_some() || rule.misbehavior.is_some() {
                break;
            }
        }
        matching
    }
}

/// The number of the current event among those that a rule counts, from 1.
fn nth(rule: &HostRule, in_session: EventCounts, by_client: EventCounts) -> u32 {
    let counts = match rule.over {
        CountScope::Session => in_session,
        CountScope::Client => by_client,
    };
    match rule.counts {
        CountedEvent::Step => counts.steps[rule.at as usize],
        CountedEvent::Unknown => counts.unknown + 1,
        CountedEvent::Session => by_client.sessions,
    }
}

fn matches(rule: &HostRule, index: usize, on: &RuleContext<'_>) -> bool {
    let (local, domain) = on.recipient.unwrap_or_default();
    let contains = |names: &Option<super::pattern::NamePattern>, text: &str| {
        names.as_ref().is_none_or(|names| names.contains(text, 0))
    };
    let drawn = || {
        let draw = format!("{index} {} {} {local}@{domain}", on.session, on.counts.steps[rule.at as usize]);
        rule.share >= 1.0 || chance(on.seed, &draw) < rule.share
    };
    contains(&rule.domain, domain)
        && contains(&rule.mailbox, local)
        && contains(&rule.sender, on.sender)
        && rule.client.is_none_or(|net| net.contains(&on.client))
        && on.now >= rule.since
        && rule.until.is_none_or(|until| on.now < until)
        && drawn()
}
