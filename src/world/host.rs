//! One machine of the world: how it behaves, and what it remembers from one session to the next.
//!
//! Decides: which rule fits a moment, who is a newcomer, which limit is passed. Must not: speak.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::limits::{LimitViolation, SlidingWindow};
use super::observed::{ObservedHost, lock};
use super::pattern::chance;
use super::script::{DialogueStep, Greylist, GreylistKey, HostEntry, HostRule};
use crate::address::Domain;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A machine.
pub struct ScriptedHost {
    /// Its name.
    pub name: Domain,
    /// Where it listens.
    pub addresses: Vec<IpAddr>,
    /// How it behaves; shared by the hosts of one entry.
    pub behaviour: Arc<HostEntry>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    clients: HashMap<IpAddr, Client>,
    /// When each newcomer was first seen.
    greylist: HashMap<String, Duration>,
    /// How often each rule fitted.
    rules: HashMap<usize, u32>,
    heard: ObservedHost,
}

#[derive(Default)]
struct Client {
    open: u32,
    connects: SlidingWindow,
    rcpts: SlidingWindow,
    unknown_hour: SlidingWindow,
    unknown_day: SlidingWindow,
    banned_until: Option<Duration>,
}

/// Who is asked for what in which session: what rules can ask about.
pub struct RuleContext<'a> {
    /// The time of the world.
    pub now: Duration,
    /// Whose address the connection comes from.
    pub client: IpAddr,
    /// Which session of this host, from 1.
    pub session: u64,
    /// The envelope sender, once given.
    pub sender: &'a str,
    /// Local part and domain of the recipient, lower case, at RCPT.
    pub recipient: Option<(&'a str, &'a str)>,
    /// How often this moment came in this session, from 1.
    pub nth: u32,
    /// Chooses among chances.
    pub seed: u64,
}

impl ScriptedHost {
    /// A machine that nobody has spoken to yet.
    pub fn new(name: Domain, addresses: Vec<IpAddr>, behaviour: Arc<HostEntry>) -> ScriptedHost {
        ScriptedHost { name, addresses, behaviour, memory: Mutex::default() }
    }

    /// What it heard until now.
    pub fn heard(&self) -> ObservedHost {
        lock(&self.memory).heard.clone()
    }

    /// A client comes: the number of the session, and what is wrong with its coming.
    pub fn opens(&self, client: IpAddr, now: Duration) -> (u64, Vec<LimitViolation>) {
        let limits = &self.behaviour.limits;
        let mut memory = lock(&self.memory);
        let state = memory.clients.entry(client).or_default();
        state.open += 1;
        let open = state.open;
        let wrong = [
            (state.banned_until.is_some_and(|until| now < until), LimitViolation::Banned),
            (limits.connections.is_some_and(|most| open > most), LimitViolation::Connections),
            (
                state.connects.passes(now, MINUTE, limits.connections_per_minute),
                LimitViolation::ConnectionsPerMinute,
            ),
        ];
        memory.heard.sessions += 1;
        memory.heard.most_at_once = memory.heard.most_at_once.max(open);
        let wrong = wrong.into_iter().filter_map(|(is, violation)| is.then_some(violation));
        (memory.heard.sessions, wrong.collect())
    }

    /// A client is gone.
    pub fn closes(&self, client: IpAddr) {
        if let Some(state) = lock(&self.memory).clients.get_mut(&client) {
            state.open = state.open.saturating_sub(1);
        }
    }

    /// Counts a command.
    pub fn hears(&self, verb: &str) {
        *lock(&self.memory).heard.commands.entry(verb.to_owned()).or_default() += 1;
    }

    /// Counts a violation.
    pub fn notes(&self, violation: LimitViolation) {
        *lock(&self.memory).heard.violations.entry(violation).or_default() += 1;
    }

    /// Counts a recipient; the limit that is passed by it.
    pub fn is_asked(&self, address: &str, client: IpAddr, now: Duration) -> Option<LimitViolation> {
        let mut memory = lock(&self.memory);
        *memory.heard.asked.entry(address.to_owned()).or_default() += 1;
        let state = memory.clients.entry(client).or_default();
        let passed = state.rcpts.passes(now, MINUTE, self.behaviour.limits.rcpts_per_minute);
        passed.then_some(LimitViolation::RcptsPerMinute)
    }

    /// Counts an unknown recipient; the limit that is passed by it. Then the client may be banned.
    pub fn is_asked_for_nobody(&self, client: IpAddr, now: Duration) -> Option<LimitViolation> {
        let limits = &self.behaviour.limits;
        let mut memory = lock(&self.memory);
        memory.heard.unknown += 1;
        let state = memory.clients.entry(client).or_default();
        let hour = state.unknown_hour.passes(now, HOUR, limits.unknown_per_hour);
        let day = state.unknown_day.passes(now, DAY, limits.unknown_per_day);
        if let (true, Some(ban)) = (hour || day, limits.ban) {
            state.banned_until = Some(now + ban);
        }
        match (hour, day) {
            (_, true) => Some(LimitViolation::UnknownPerDay),
            (true, false) => Some(LimitViolation::UnknownPerHour),
            (false, false) => None,
        }
    }

    /// Is this a newcomer who has to come back later? The first contact starts the time.
    pub fn is_newcomer(&self, greylist: &Greylist, on: &RuleContext<'_>) -> bool {
        let (local, domain) = on.recipient.unwrap_or_default();
        let key = match greylist.by {
            GreylistKey::Triplet => format!("{} {} {local}@{domain}", on.client, on.sender),
            GreylistKey::Domain => format!("{} {domain}", on.client),
            GreylistKey::Client => on.client.to_string(),
        };
        let first = *lock(&self.memory).greylist.entry(key).or_insert(on.now);
        on.now < first + greylist.delay
    }

    /// The rules that fit, up to and with the first that says or does something.
    pub fn rules_for(&self, moment: DialogueStep, on: &RuleContext<'_>) -> Vec<&HostRule> {
        let mut fitting = Vec::new();
        for (index, rule) in self.behaviour.rules.iter().enumerate() {
            if rule.at != moment || !fits(rule, index, on) {
                continue;
            }
            if let Some(times) = rule.times {
                let mut memory = lock(&self.memory);
                let used = memory.rules.entry(index).or_default();
                *used += 1;
                if *used > times {
                    continue;
                }
            }
            fitting.push(rule);
            if rule.say.is_some() || rule.act.is_some() {
                break;
            }
        }
        fitting
    }
}

fn fits(rule: &HostRule, index: usize, on: &RuleContext<'_>) -> bool {
    let (local, domain) = on.recipient.unwrap_or_default();
    let named = |names: &Option<super::pattern::NamePattern>, text: &str| {
        names.as_ref().is_none_or(|names| names.contains(text, 0))
    };
    let lucky = || {
        let draw = format!("{index} {} {} {local}@{domain}", on.session, on.nth);
        rule.share >= 1.0 || chance(on.seed, &draw) < rule.share
    };
    named(&rule.domain, domain)
        && named(&rule.mailbox, local)
        && named(&rule.sender, on.sender)
        && rule.client.is_none_or(|net| net.contains(&on.client))
        && on.nth > rule.after
        && on.now >= rule.since
        && rule.until.is_none_or(|until| on.now < until)
        && lucky()
}
