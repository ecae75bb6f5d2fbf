//! The simulation itself: domains that are looked up, sessions and replies, in order of virtual time.
//!
//! Decides: in which order things happen. Must not: decide what is probed when; that is up to the [`Scheduler`].

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::bound::Bound;
use super::list::{DomainId, GeneratedList, HostId, domain_id};
use super::receivers::{Receivers, SimConnection};
use super::report::{Completion, SimulationLog, SimulationReport};
use super::setup::SimulationSetup;
use crate::address::Domain;
use crate::evidence::{ClassifiedReply, DomainFacts, ProbeResult, Timestamp};
use crate::policy::{ReplyRules, RetryPolicy, Thresholds};
use crate::schedule::{
    Action, Backlog, ConnectionAction, DomainJob, RunLimits, Scheduler, SessionEvent, SessionId,
    SessionOpening,
};
use crate::smtp::{Batch, Capabilities, IpFamilies, ProbeId};

/// Poll interval while DNS look-ups are paused because too many lanes wait for a socket.
const LOOKUP_POLL: Duration = Duration::from_millis(100);

/// Runs a list through the scheduler. Fails only when the log can't be written.
pub fn run(
    list: &Arc<GeneratedList>,
    setup: &SimulationSetup,
    log: Option<&mut dyn Write>,
) -> io::Result<SimulationReport> {
    let mut log = SimulationLog::to(log);
    let bound = Bound::of(list, setup.pace, setup.egresses, setup.sockets);
    log.write_world(list, setup)?;
    let mut simulation = Simulation::new(list.clone(), setup, log);
    simulation.run()?;
    let Simulation { completion, receivers, .. } = &simulation;
    Ok(SimulationReport::new(list, setup, bound, *completion, receivers))
}

/// A future event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The next domain was looked up.
    Routed,
    /// A session is open, or its server rejected it.
    Opened(SessionId),
    /// All replies to a batch were received.
    BatchDone(SessionId),
    /// A session ended.
    Ended(SessionId),
}

struct SimulatedSession {
    connection: SimConnection,
    /// The replies to the batch in flight.
    replies: Vec<(ProbeId, ClassifiedReply)>,
    /// QUIT was sent with the batch.
    quits: bool,
}

struct Simulation<'a> {
    list: Arc<GeneratedList>,
    scheduler: Scheduler,
    receivers: Receivers,
    host_of: HashMap<Arc<str>, HostId>,
    sessions: HashMap<SessionId, SimulatedSession>,
    /// Future events, the earliest first; of events at the same time, the one that was added first.
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    /// The number of events so far.
    added: u64,
    now: Duration,
    next_domain: DomainId,
    all_routed: bool,
    waiting: WaitingDomains,
    completion: Completion,
    log: SimulationLog<'a>,
}

impl<'a> Simulation<'a> {
    fn new(list: Arc<GeneratedList>, setup: &SimulationSetup, log: SimulationLog<'a>) -> Simulation<'a> {
        let limits = RunLimits {
            pace: setup.pace,
            retry_policy: RetryPolicy::built_in(setup.max_wait),
            sessions: setup.sockets,
            thresholds: Thresholds::built_in(),
            confirm: setup.confirm,
            egresses: vec![IpFamilies::Both; setup.egresses],
        };
        let now = timestamp(Duration::ZERO);
        let host_of = (0..).zip(&list.hosts).flat_map(|(id, host)| {
            host.mx_hosts.iter().map(move |mx_hop| (Arc::from(mx_hop.host.as_str()), id))
        });
        Simulation {
            scheduler: Scheduler::new(limits, fastrand::Rng::with_seed(setup.seed), now),
            receivers: Receivers::new(list.clone(), setup.pace, ReplyRules::built_in()),
            host_of: host_of.collect(),
            list,
            sessions: HashMap::new(),
            events: BinaryHeap::new(),
            added: 0,
            now: Duration::ZERO,
            next_domain: 0,
            all_routed: false,
            waiting: WaitingDomains::new(Thresholds::built_in()),
            completion: Completion::default(),
            log,
        }
    }

    fn run(&mut self) -> io::Result<()> {
        self.add_event(self.lookup_end(), Event::Routed);
        loop {
            while let Some(action) = self.scheduler.next_action() {
                self.carry_out(action);
            }
            if self.all_routed && self.waiting.is_empty() {
                self.scheduler.close_job_source();
            }
            let event = self.events.peek().map(|Reverse((at, ..))| *at);
            let wake = self.scheduler.next_wake();
            match (event, wake) {
                (Some(at), wake) if wake.is_none_or(|wake| at <= wake) => {
                    self.now = self.now.max(at);
                    let Some(Reverse((_, _, event))) = self.events.pop() else {
                        continue;
                    };
                    self.on_event(event)?;
                }
                (_, Some(wake)) => {
                    self.now = self.now.max(wake);
                    self.scheduler.wake(timestamp(self.now));
                }
                (_, None) => return Ok(()),
            }
        }
    }

    fn add_event(&mut self, at: Duration, event: Event) {
        self.events.push(Reverse((at, self.added, event)));
        self.added += 1;
    }

    /// When the look-up of the next domain ends.
    fn lookup_end(&self) -> Duration {
        Duration::from_secs_f64(f64::from(self.next_domain) / self.list.dns_per_second)
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Connection(ConnectionAction::Open(opening)) => self.open(&opening),
            Action::Connection(ConnectionAction::Send(session, batch)) => self.send_batch(session, &batch),
            Action::Connection(ConnectionAction::Quit(session)) => {
                if let Some(latency) = self.latency(session) {
                    self.add_event(self.now + latency, Event::Ended(session));
                }
            }
            Action::Completed(results) => {
                for ProbeResult { id: target, mailbox, .. } in results {
                    self.completion.completed += 1;
                    self.completion.without_reply += u64::from(mailbox.attempts.is_empty());
                    if mailbox.unprobed.is_some() {
                        self.completion.postponed += 1;
                        self.receivers.loads[self.list.host_of(target) as usize].postponed += 1;
                    }
                }
                self.completion.makespan = self.now;
            }
            Action::Record(_) | Action::Revoked(_) | Action::Event(_) => {}
            Action::DomainFactsChanged(domain, facts) => self.waiting.add_facts(&domain, facts),
            Action::WantsWork(key) => self.submit_waiting(&key),
        }
    }

    fn latency(&self, session: SessionId) -> Option<Duration> {
        let session = self.sessions.get(&session)?;
        Some(self.list.hosts[session.connection.host as usize].latency)
    }

    fn open(&mut self, opening: &SessionOpening) {
        let Some(&id) = self.host_of.get(opening.host.as_str()) else {
            return;
        };
        let connection = self.receivers.on_connect(id, opening.address, opening.egress, self.now);
        let host = &self.list.hosts[id as usize];
        let at = self.now + if host.rejects_us { host.latency * 2 } else { host.opening_time() };
        let session = SimulatedSession { connection, replies: Vec::new(), quits: false };
        self.sessions.insert(opening.session, session);
        self.completion.most_open = self.completion.most_open.max(self.sessions.len());
        self.add_event(at, Event::Opened(opening.session));
    }

    fn send_batch(&mut self, id: SessionId, batch: &Batch) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let host = &self.list.hosts[session.connection.host as usize];
        let mut took = host.latency;
        session.quits = batch.is_last;
        for transaction in &batch.transactions {
            let replies = self.receivers.on_transaction(&mut session.connection, transaction, self.now);
            session.replies.extend(transaction.recipients.iter().map(|probe| probe.id).zip(replies));
            took += host.think * u32::try_from(transaction.recipients.len()).unwrap_or(u32::MAX);
        }
        self.add_event(self.now + took, Event::BatchDone(id));
    }

    fn on_event(&mut self, event: Event) -> io::Result<()> {
        let now = timestamp(self.now);
        match event {
            Event::Routed if self.scheduler.is_short_of_sockets() => {
                self.add_event(self.now + LOOKUP_POLL, Event::Routed);
            }
            Event::Routed => {
                if self.list.is_probed(self.next_domain) {
                    let key = self.waiting.push(&self.list, self.next_domain);
                    self.submit_waiting(&key);
                }
                self.next_domain += 1;
                if (self.next_domain as usize) < self.list.domains.len() {
                    self.add_event(self.lookup_end(), Event::Routed);
                } else {
                    self.all_routed = true;
                }
            }
            Event::Opened(id) => {
                let Some(session) = self.sessions.get(&id) else {
                    return Ok(());
                };
                if self.list.hosts[session.connection.host as usize].rejects_us {
                    let rejected = SessionEvent::Rejected(self.receivers.greeting_rejection().clone());
                    self.disconnect(id)?;
                    self.scheduler.on_session_event(id, rejected, now);
                } else {
                    let capabilities = Capabilities { pipelining: true, ..Capabilities::default() };
                    self.scheduler.on_session_event(id, SessionEvent::Ready(capabilities), now);
                }
            }
            Event::BatchDone(id) => {
                let Some(session) = self.sessions.get_mut(&id) else {
                    return Ok(());
                };
                let quits = session.quits;
                for (probe, classified) in std::mem::take(&mut session.replies) {
                    self.scheduler.on_session_event(id, SessionEvent::Reply(probe, classified), now);
                }
                if quits {
                    self.disconnect(id)?;
                    self.scheduler.on_session_event(id, SessionEvent::Ended(None), now);
                } else {
                    self.scheduler.on_session_event(id, SessionEvent::BatchDone, now);
                }
            }
            Event::Ended(id) => {
                self.disconnect(id)?;
                self.scheduler.on_session_event(id, SessionEvent::Ended(None), now);
            }
        }
        Ok(())
    }

    /// Submits jobs of a provider that wait, as long as the scheduler admits them.
    fn submit_waiting(&mut self, key: &str) {
        while self.scheduler.try_admit(key)
            && let Some(job) = self.waiting.next(&self.list, key)
        {
            self.completion.submitted += job.recipients.len() as u64;
            self.scheduler.submit(job, timestamp(self.now));
        }
    }

    fn disconnect(&mut self, id: SessionId) -> io::Result<()> {
        let Some(SimulatedSession { connection, .. }) = self.sessions.remove(&id) else {
            return Ok(());
        };
        self.receivers.on_disconnect(&connection, self.now);
        self.log.write_session(&self.list, &connection, self.now)
    }
}

fn timestamp(elapsed: Duration) -> Timestamp {
    Timestamp { elapsed, wall: SystemTime::UNIX_EPOCH + elapsed }
}

/// What a run keeps on disk: domains that were looked up and wait for their provider, and facts about large ones.
#[derive(Debug)]
struct WaitingDomains {
    backlog: Backlog<DomainId>,
    /// Facts about domains that are submitted in parts, until the last part is.
    facts: HashMap<DomainId, DomainFacts>,
}

impl WaitingDomains {
    fn new(thresholds: &Thresholds) -> WaitingDomains {
        WaitingDomains { backlog: Backlog::new(thresholds.large_domain), facts: HashMap::new() }
    }

    /// Adds a domain. Returns the key of its provider.
    fn push(&mut self, list: &GeneratedList, id: DomainId) -> Arc<str> {
        let mx_hosts = &list.host(id).mx_hosts;
        let key = mx_hosts.first().map_or_else(|| "".into(), |mx_hop| Scheduler::lane_key(mx_hosts, mx_hop));
        self.backlog.push(key.clone(), id, list.domains[id as usize].recipients);
        key
    }

    /// True if no domain of any provider waits.
    fn is_empty(&self) -> bool {
        self.backlog.is_empty()
    }

    /// The next job of a provider: a domain, or a part of a large one.
    fn next(&mut self, list: &GeneratedList, key: &str) -> Option<DomainJob> {
        let (id, part) = self.backlog.next(key)?;
        let facts = if part.is_last {
            self.facts.remove(&id).unwrap_or_default()
        } else {
            self.facts.entry(id).or_default().clone()
        };
        Some(DomainJob { facts, ..list.job(id, part.range)? })
    }

    /// Adds facts about a domain, if parts of it still wait.
    fn add_facts(&mut self, domain: &Domain, facts: DomainFacts) {
        if let Some(before) = domain_id(domain).and_then(|id| self.facts.get_mut(&id)) {
            before.merge(facts);
        }
    }
}
