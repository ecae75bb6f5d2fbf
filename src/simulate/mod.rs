//! The real scheduler in a generated world, under a virtual clock.
//!
//! Decides: in which order things happen; nothing else is simulated than time and receivers ([`receivers`]). What to do
//! and when is decided by the same [`Scheduler`] that runs on the Internet. Can't know: how real receivers behave beyond
//! their limits; it shows what the scheduler makes of limits, not what limits there are.
//!
//! [`mix`] is what a list is made of, [`list`] the list, [`bound`] the time below which nobody can stay,
//! [`from_list`] a real list instead, [`outcome`] the figures, [`log`] what others need to work all of it out again.

mod bound;
mod from_list;
mod list;
mod log;
mod mix;
mod outcome;
mod receivers;
mod spool;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::evidence::{ClassifiedReply, ProbeResult, Timestamp};
use crate::policy::{Pace, ReplyRules, Thresholds};
use crate::probe::RetryPolicy;
use crate::schedule::{
    Action, ConnectionAction, RunLimits, Scheduler, SessionEvent, SessionId, SessionOpening,
};
use crate::smtp::{Batch, Capabilities, IpFamilies, ProbeId};
use bound::Bound;
use list::HostId;
use log::SimulationLog;
use receivers::{Receivers, SimConnection};
use spool::Spool;

/// How often it is looked whether so many operators wait for a socket that no domain needs to be looked up.
const CROWDED: Duration = Duration::from_millis(100);

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct SimulationSetup {
    /// Source addresses.
    pub egresses: usize,
    /// How hard to press.
    pub pace: Pace,
    /// How long transient answers are waited for.
    pub max_wait: Duration,
    /// Connections that this machine may hold open.
    pub sockets: usize,
    /// For made-up names.
    pub seed: u64,
}

/// Runs a list through the scheduler. Fails only when the log can't be written.
pub fn simulate(
    list: &Arc<GeneratedList>,
    setup: &SimulationSetup,
    log: Option<&mut dyn Write>,
) -> io::Result<SimulationReport> {
    let mut log = SimulationLog::to(log);
    let bound = Bound::of(list, setup.pace, setup.egresses, setup.sockets);
    log.world(list, setup)?;
    let mut run = Simulation::new(list.clone(), setup, log);
    run.play()?;
    Ok(SimulationReport::new(list, setup, bound, &run))
}

/// Something that will happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The next domain has been looked up.
    Routed,
    /// A session has come as far as it can without a flight.
    Opened(SessionId),
    /// All answers to a flight are there.
    Landed(SessionId),
    /// A session has ended.
    Ended(SessionId),
}

struct SimulatedSession {
    call: SimConnection,
    answers: Vec<(ProbeId, ClassifiedReply)>,
    /// QUIT was said with the flight.
    leaves: bool,
}

struct Simulation<'a> {
    list: Arc<GeneratedList>,
    scheduler: Scheduler,
    receivers: Receivers,
    host_of: HashMap<Arc<str>, HostId>,
    sessions: HashMap<SessionId, SimulatedSession>,
    /// What will happen, the earliest first; of equals the one that was foreseen first.
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    foreseen: u64,
    now: Duration,
    next_domain: u32,
    all_routed: bool,
    spool: Spool,
    settled: u64,
    unanswered: u64,
    left: u64,
    ordered: u64,
    most_open: usize,
    settled_last: Duration,
    log: SimulationLog<'a>,
}

impl<'a> Simulation<'a> {
    fn new(list: Arc<GeneratedList>, setup: &SimulationSetup, log: SimulationLog<'a>) -> Simulation<'a> {
        let limits = RunLimits {
            pace: setup.pace,
            retry_policy: RetryPolicy { max_wait: setup.max_wait },
            sessions: setup.sockets,
            thresholds: Thresholds::built_in(),
            egresses: vec![IpFamilies::Both; setup.egresses],
        };
        let now = moment(Duration::ZERO);
        let host_of = (0..)
            .zip(&list.hosts)
            .flat_map(|(id, host)| host.mx_hosts.iter().map(move |stop| (Arc::from(stop.host.as_str()), id)));
        Simulation {
            scheduler: Scheduler::new(limits, fastrand::Rng::with_seed(setup.seed), now),
            receivers: Receivers::new(list.clone(), setup.pace, ReplyRules::built_in()),
            host_of: host_of.collect(),
            list,
            sessions: HashMap::new(),
            events: BinaryHeap::new(),
            foreseen: 0,
            now: Duration::ZERO,
            next_domain: 0,
            all_routed: false,
            spool: Spool::default(),
            settled: 0,
            unanswered: 0,
            left: 0,
            ordered: 0,
            most_open: 0,
            settled_last: Duration::ZERO,
            log,
        }
    }

    fn play(&mut self) -> io::Result<()> {
        self.foresee(self.looked_up(), Event::Routed);
        loop {
            while let Some(action) = self.scheduler.action() {
                self.act(action);
            }
            if self.all_routed && self.spool.is_empty() {
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
                    self.happen(event)?;
                }
                (_, Some(wake)) => {
                    self.now = self.now.max(wake);
                    self.scheduler.wake(moment(self.now));
                }
                (_, None) => return Ok(()),
            }
        }
    }

    fn foresee(&mut self, at: Duration, event: Event) {
        self.events.push(Reverse((at, self.foreseen, event)));
        self.foreseen += 1;
    }

    /// When the next domain has been looked up.
    fn looked_up(&self) -> Duration {
        Duration::from_secs_f64(f64::from(self.next_domain) / self.list.dns_per_second)
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connection(ConnectionAction::Open(opening)) => self.open(&opening),
            Action::Connection(ConnectionAction::Send(session, batch)) => self.fly(session, &batch),
            Action::Connection(ConnectionAction::Quit(session)) => {
                if let Some(latency) = self.latency(session) {
                    self.foresee(self.now + latency, Event::Ended(session));
                }
            }
            Action::Completed(found) => {
                for ProbeResult { id: target, mailbox, .. } in found {
                    self.settled += 1;
                    self.unanswered += u64::from(mailbox.attempts.is_empty());
                    if mailbox.unprobed.is_some() {
                        self.left += 1;
                        self.receivers.loads[self.list.host_of(target) as usize].left += 1;
                    }
                }
                self.settled_last = self.now;
            }
            Action::Record(_) | Action::Revoked(_) | Action::Event(_) => {}
            Action::DomainFactsChanged(domain, known) => self.spool.learnt(&domain, known),
            Action::WantsWork(key) => self.feed(&key),
        }
    }

    fn latency(&self, session: SessionId) -> Option<Duration> {
        let session = self.sessions.get(&session)?;
        Some(self.list.hosts[session.call.host as usize].latency)
    }

    fn open(&mut self, opening: &SessionOpening) {
        let Some(&id) = self.host_of.get(opening.host.as_str()) else {
            return;
        };
        let call = self.receivers.connected(id, opening.egress, self.now);
        let host = &self.list.hosts[id as usize];
        let at = self.now + if host.refuses { host.latency * 2 } else { host.opening() };
        self.sessions.insert(opening.session, SimulatedSession { call, answers: Vec::new(), leaves: false });
        self.most_open = self.most_open.max(self.sessions.len());
        self.foresee(at, Event::Opened(opening.session));
    }

    fn fly(&mut self, id: SessionId, batch: &Batch) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let host = &self.list.hosts[session.call.host as usize];
        let mut took = host.latency;
        session.leaves = batch.is_last;
        for transaction in &batch.transactions {
            let answers = self.receivers.transaction(&mut session.call, transaction, self.now);
            session.answers.extend(transaction.recipients.iter().map(|ask| ask.id).zip(answers));
            took += host.think * u32::try_from(transaction.recipients.len()).unwrap_or(u32::MAX);
        }
        self.foresee(self.now + took, Event::Landed(id));
    }

    fn happen(&mut self, event: Event) -> io::Result<()> {
        let now = moment(self.now);
        match event {
            Event::Routed if self.scheduler.is_crowded() => self.foresee(self.now + CROWDED, Event::Routed),
            Event::Routed => {
                if self.list.is_asked(self.next_domain) {
                    let key = self.spool.push(&self.list, self.next_domain);
                    self.feed(&key);
                }
                self.next_domain += 1;
                if (self.next_domain as usize) < self.list.domains.len() {
                    self.foresee(self.looked_up(), Event::Routed);
                } else {
                    self.all_routed = true;
                }
            }
            Event::Opened(id) => {
                let Some(session) = self.sessions.get(&id) else {
                    return Ok(());
                };
                if self.list.hosts[session.call.host as usize].refuses {
                    let refusal = SessionEvent::Rejected(self.receivers.refusal().clone());
                    self.hang_up(id)?;
                    self.scheduler.hear(id, refusal, now);
                } else {
                    let capabilities = Capabilities { pipelining: true, ..Capabilities::default() };
                    self.scheduler.hear(id, SessionEvent::Ready(capabilities), now);
                }
            }
            Event::Landed(id) => {
                let Some(session) = self.sessions.get_mut(&id) else {
                    return Ok(());
                };
                let leaves = session.leaves;
                for (ask, classified) in std::mem::take(&mut session.answers) {
                    self.scheduler.hear(id, SessionEvent::Reply(ask, classified), now);
                }
                if leaves {
                    self.hang_up(id)?;
                    self.scheduler.hear(id, SessionEvent::Ended(None), now);
                } else {
                    self.scheduler.hear(id, SessionEvent::BatchDone, now);
                }
            }
            Event::Ended(id) => {
                self.hang_up(id)?;
                self.scheduler.hear(id, SessionEvent::Ended(None), now);
            }
        }
        Ok(())
    }

    /// Orders what waits for an operator, as long as it has room.
    fn feed(&mut self, key: &str) {
        while self.scheduler.has_room(key)
            && let Some(order) = self.spool.next(&self.list, key)
        {
            self.ordered += order.listed.len() as u64;
            self.scheduler.order(order, moment(self.now));
        }
    }

    fn hang_up(&mut self, id: SessionId) -> io::Result<()> {
        let Some(SimulatedSession { call, .. }) = self.sessions.remove(&id) else {
            return Ok(());
        };
        self.receivers.hung_up(&call, self.now);
        self.log.session(&self.list, &call, self.now)
    }
}

fn moment(elapsed: Duration) -> Timestamp {
    Timestamp { elapsed, wall: SystemTime::UNIX_EPOCH + elapsed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::mix::ShippedMix;

    fn run(
        mix: ShippedMix,
        rows: u32,
        egresses: usize,
        pace: Pace,
        log: Option<&mut dyn Write>,
    ) -> SimulationReport {
        let list = Arc::new(GeneratedList::generate(&mix.mix().unwrap(), rows, 7));
        let max_wait = Duration::from_secs(1800);
        simulate(&list, &SimulationSetup { egresses, pace, max_wait, sockets: 1000, seed: 7 }, log).unwrap()
    }

    #[test]
    fn everything_is_settled_and_no_limit_broken() {
        for mix in [ShippedMix::B2b, ShippedMix::B2c] {
            for (egresses, pace) in [(1, Pace::Fast), (4, Pace::Fast), (1, Pace::Normal)] {
                let outcome = run(mix, 1500, egresses, pace, None);
                let what = format!("{mix:?} {egresses} {pace:?}");
                assert_eq!(outcome.settled, outcome.ordered, "{what}");
                assert_eq!(outcome.violations, receivers::Violations::default(), "{what}");
                assert!(outcome.refuser_sessions <= 20, "{what}: {}", outcome.refuser_sessions);
                if pace == Pace::Fast {
                    assert!(outcome.probes >= outcome.bound.need().probes, "{what}");
                    assert!(
                        outcome.ratio().is_some_and(|ratio| ratio >= 0.99),
                        "{what}: {:?}",
                        outcome.ratio()
                    );
                }
            }
        }
    }

    #[test]
    fn the_log_tells_enough_to_count_again() {
        let mut log = Vec::new();
        let outcome = run(ShippedMix::B2b, 500, 1, Pace::Fast, Some(&mut log));
        let lines: Vec<serde_json::Value> =
            log.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).cloned().collect::<Vec<_>>();
        let sum = |lines: &[serde_json::Value], key: &str| {
            lines.iter().filter_map(|line| line[key].as_u64()).sum::<u64>()
        };
        assert_eq!(of("setup").len(), 1);
        assert_eq!(of("domain").len(), outcome.domains);
        assert_eq!(of("session").len() as u64, outcome.connections);
        assert_eq!(sum(&of("session"), "asked"), outcome.probes);
        assert_eq!(sum(&of("session"), "controls"), u64::from(outcome.controls.sum()));
    }

    #[test]
    fn a_seed_makes_one_list_and_one_run() {
        let [one, other] = [(); 2].map(|()| run(ShippedMix::B2c, 500, 2, Pace::Fast, None));
        assert_eq!(
            (one.makespan, one.probes, one.connections),
            (other.makespan, other.probes, other.connections)
        );
    }
}

pub use from_list::ListToSimulate;
pub use list::GeneratedList;
pub use mix::ShippedMix;
pub use outcome::{MeasuredCost, SimulationReport};
