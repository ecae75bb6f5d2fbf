//! Asks: looks up routes, runs the scheduler, holds the sessions it wants, and gathers what comes back.
//!
//! The only spawner of a run. Decides: nothing but the order of select; when and what to ask is the scheduler's, what a
//! reply means the policy's. Waits in one place: the loop below.

use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::found::Found;
use super::network::Network;
use super::progress::Progress;
use super::roster::Entry;
use super::sockets;
use super::stop::Stop;
use crate::address::Domain;
use crate::error::{Error, Exit};
use crate::policy::replies::Context;
use crate::policy::{Pace, Policy};
use crate::probe::inquiry::Target;
use crate::probe::{Known, Listed, Patience};
use crate::route::{self, Route};
use crate::schedule::{self, Action, Decision, Heard, Opening, Order, Ruling, Scheduler, SessionId};
use crate::settings::{Place, Reach, Settings};
use crate::smtp::hold::{Call, hold};
use crate::smtp::session::{Event, Manner, Tls};
use crate::smtp::transcript::Transcript;
use crate::smtp::{self};
use crate::verdict::evidence::{Said, Unprobed};

/// Domains looked up at once. More bought nothing where it was measured.
pub(super) const LOOKUPS: usize = 256;

/// How long a stopped run waits for answers that are under way: service managers wait ten seconds and more.
const GRACE: Duration = Duration::from_secs(5);

/// What a run asks for.
pub struct Job {
    /// The other side.
    pub network: Arc<Network>,
    /// What is known about the world.
    pub policy: Policy,
    /// Stop after the DNS.
    pub dns_only: bool,
    /// How hard to press.
    pub pace: Pace,
    /// How long passing trouble is waited for.
    pub max_wait: Duration,
    /// After which time nothing new is started.
    pub max_duration: Option<Duration>,
    /// Sessions open at once.
    pub sessions: usize,
    /// Keep the dialogues.
    pub trace: bool,
}

impl Job {
    /// What the settings ask for at this place. Must be called where a runtime runs: the network's clock starts here.
    pub fn of(settings: &Settings, place: &Place, policy: Policy, trace: bool) -> Result<Job, Error> {
        Ok(Job {
            network: Arc::new(Network::of(place)?),
            policy,
            dns_only: matches!(settings.reach, Reach::Dns(_)),
            pace: settings.pace,
            max_wait: settings.max_wait,
            max_duration: settings.max_duration,
            sessions: sockets::available(),
            trace,
        })
    }
}

/// What came of it.
pub struct Outcome {
    /// What was found out.
    pub found: Found,
    /// The dialogues, by host, in the order of their end; empty unless asked for.
    pub dialogues: Vec<(Domain, Transcript)>,
    /// Connections opened and questions asked.
    pub asked: Asked,
    /// How often the scheduler decided what about an operator.
    pub decisions: BTreeMap<Ruling, u64>,
    /// It was stopped before its end, by the clock.
    pub out_of_time: bool,
}

impl Outcome {
    /// How a run exits that did not come to its end, the strongest reason first.
    pub fn early_exit(&self, stop: &Stop) -> Option<Exit> {
        let shut = self.found.shut.map(|_| Exit::ShutOut);
        stop.wished().or(shut).or(self.out_of_time.then_some(Exit::OutOfTime))
    }
}

/// What a run cost the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Connections.
    pub connections: u64,
    /// RCPT commands answered.
    pub questions: u64,
    /// Domains looked up.
    pub domains: u64,
}

/// A session that is open.
struct Held {
    opening: Opening,
    orders: mpsc::Sender<smtp::session::Order>,
}

type Dialogue = Option<(Domain, Transcript)>;

/// Asks about all of them.
pub async fn ask(job: &Job, domains: Vec<Entry>, mut stop: Stop, progress: &mut Progress) -> Outcome {
    let mut run = Run::new(job);
    let mut waiting = domains.into_iter();
    let mut lookups: JoinSet<(Entry, Route)> = JoinSet::new();
    let (tell, mut events) = mpsc::unbounded_channel();
    let mut sessions: JoinSet<Dialogue> = JoinSet::new();
    loop {
        while lookups.len() < LOOKUPS && !run.stopped {
            let Some(entry) = waiting.next() else { break };
            let network = job.network.clone();
            run.outcome.asked.domains += 1;
            lookups.spawn(async move {
                let route = route::find(&*network.dns, &entry.domain, &network.allowed).await;
                (entry, route)
            });
        }
        while let Some(action) = run.scheduler.action() {
            match action {
                Action::Open(opening) => run.open(opening, &tell, &mut sessions),
                Action::Fly(session, flight) => run.order(session, smtp::session::Order::Fly(flight)),
                Action::Quit(session) => run.order(session, smtp::session::Order::Quit),
                Action::Settled(target, inquired) => {
                    if let Some(domain) = run.domain_of.remove(&target) {
                        run.outcome.found.note_inquired(target, &domain, inquired);
                    }
                    progress.tell(1, run.held.len());
                }
                Action::Decided(decision) => run.decided(&decision),
                Action::Learnt(..) | Action::Room(_) => {}
            }
        }
        let is_idle = lookups.is_empty() && run.scheduler.is_idle() && sessions.is_empty();
        if is_idle && (run.stopped || waiting.len() == 0) {
            break;
        }
        if !run.stopped
            && let Some(shut) = run.scheduler.shut()
        {
            run.outcome.found.shut = Some(shut);
            run.stop(Unprobed::OperatorPaused);
        }
        let wake = run.scheduler.next_wake();
        let deadline = job.max_duration.filter(|_| !run.stopped);
        // In this order, so that a world always tells the same story.
        tokio::select! {
            biased;
            Some((session, event)) = events.recv() => run.hear(session, event),
            // A lookup that failed inside leaves its rows unasked; they are written all the same.
            Some(looked_up) = lookups.join_next() => if let Ok((entry, route)) = looked_up {
                run.routed(entry, route, progress);
            },
            Some(over) = sessions.join_next() => run.outcome.dialogues.extend(over.ok().flatten()),
            () = until(job, wake) => run.scheduler.wake(job.network.clock.now()),
            () = until(job, deadline) => {
                run.outcome.out_of_time = true;
                run.stop(Unprobed::Deadline);
            }
            () = stop.wait(), if !run.stopped => run.stop(Unprobed::Deadline),
            () = until(job, run.cut_at) => {
                lookups.abort_all();
                sessions.abort_all();
                run.cut();
            }
        }
    }
    let Run { mut outcome, scheduler, .. } = run;
    let anomaly = job.policy.thresholds().anomaly;
    outcome
        .found
        .note_anomalies(|lane| scheduler.tally(lane).is_some_and(|tally| tally.is_anomalous(anomaly)));
    outcome
}

async fn until(job: &Job, at: Option<Duration>) {
    match at {
        Some(at) => sleep_until(job.network.clock.at(at)).await,
        None => pending().await,
    }
}

struct Run<'a> {
    job: &'a Job,
    scheduler: Scheduler,
    held: HashMap<SessionId, Held>,
    /// Domains of the addresses that are being asked about.
    domain_of: HashMap<Target, Domain>,
    outcome: Outcome,
    stopped: bool,
    /// When a stopped run waits no longer.
    cut_at: Option<Duration>,
}

impl Run<'_> {
    fn new(job: &Job) -> Run<'_> {
        let limits = schedule::Limits {
            pace: job.pace,
            patience: Patience { max_wait: job.max_wait },
            sessions: job.sessions,
            thresholds: job.policy.thresholds(),
            egresses: job.network.egresses.iter().map(|egress| egress.path.family()).collect(),
        };
        let found = Found::nothing(if job.dns_only { Unprobed::DnsOnly } else { Unprobed::Deadline });
        Run {
            job,
            scheduler: Scheduler::new(limits, job.network.random.clone(), job.network.clock.now()),
            held: HashMap::new(),
            domain_of: HashMap::new(),
            outcome: Outcome {
                found,
                dialogues: Vec::new(),
                asked: Asked::default(),
                decisions: BTreeMap::new(),
                out_of_time: false,
            },
            stopped: false,
            cut_at: None,
        }
    }

    fn stop(&mut self, unprobed: Unprobed) {
        self.stopped = true;
        let now = self.job.network.clock.now();
        self.cut_at = Some(now.elapsed + GRACE);
        self.scheduler.stop(unprobed, now);
    }

    /// Ends the sessions that are still open.
    fn cut(&mut self) {
        self.cut_at = None;
        let now = self.job.network.clock.now();
        let mut open: Vec<SessionId> = self.held.drain().map(|(session, _)| session).collect();
        open.sort_unstable();
        for session in open {
            self.scheduler.hear(session, Heard::Broken(None), now);
        }
    }

    fn routed(&mut self, entry: Entry, route: Route, progress: &mut Progress) {
        let policy = &self.job.policy;
        tracing::debug!(event = "routed", domain = %entry.domain, ?route);
        let stops = self.outcome.found.note_route(&entry.domain, route, policy.providers(), policy.lists);
        if stops.is_empty() || self.job.dns_only || self.stopped {
            return progress.tell(entry.listed.len() as u64, self.held.len());
        }
        self.domain_of.extend(entry.listed.iter().map(|(target, _)| (*target, entry.domain.clone())));
        let listed = entry.listed.into_iter().map(Listed::from).collect();
        let order = Order { domain: entry.domain, exchangers: stops, listed, known: Known::default() };
        self.scheduler.order(order, self.job.network.clock.now());
    }

    fn open(
        &mut self,
        opening: Opening,
        tell: &mpsc::UnboundedSender<(SessionId, Event)>,
        sessions: &mut JoinSet<Dialogue>,
    ) {
        let session = opening.session;
        let Some(egress) = self.job.network.egresses.get(opening.egress).cloned() else {
            return;
        };
        self.outcome.asked.connections += 1;
        let (orders, taken) = mpsc::channel(1);
        let (network, tell, trace) = (self.job.network.clone(), tell.clone(), self.job.trace);
        let Opening { host, address, tls, .. } = opening.clone();
        self.held.insert(session, Held { opening, orders });
        sessions.spawn(async move {
            let call = Call {
                host: &host,
                to: SocketAddr::new(address, network.smtp_port),
                path: &egress.path,
                manner: Manner {
                    helo: egress.helo.clone(),
                    sender: egress.sender.clone(),
                    tls: if tls { Tls::Try } else { Tls::No },
                },
                limits: smtp::hold::Limits::default(),
            };
            let mut transcript = trace.then(Transcript::default);
            // The receiver lives as long as the run: a failed send has nobody left to tell.
            let report = |event| drop(tell.send((session, event)));
            hold(&*network.dial, call, taken, report, transcript.as_mut()).await;
            transcript.map(|transcript| (host, transcript))
        });
    }

    fn decided(&mut self, decision: &Decision) {
        let Decision { what, operator, egress, addresses } = decision;
        tracing::info!(event = what.word(), %operator, egress, addresses, "{}", what.sentence());
        *self.outcome.decisions.entry(*what).or_default() += 1;
    }

    /// Hands an order to a session. One that is gone already will report its end.
    fn order(&mut self, session: SessionId, order: smtp::session::Order) {
        if let Some(held) = self.held.get(&session)
            && held.orders.try_send(order).is_err()
        {
            tracing::debug!(event = "order_lost", session = session.0);
        }
    }

    fn hear(&mut self, session: SessionId, event: Event) {
        let Some(held) = self.held.get(&session) else {
            return;
        };
        let Opening { host, provider, .. } = &held.opening;
        tracing::trace!(event = "session", session = session.0, %host, ?event);
        self.outcome.asked.questions += u64::from(matches!(event, Event::Answered(..)));
        let policy = &self.job.policy;
        let heard = schedule::meant(event, |stage, reply| {
            let context = Context { stage, provider: provider.is_known().then_some(&*provider.id) };
            Said { stage, reply: reply.clone(), meaning: policy.replies().read(reply, &context) }
        });
        if matches!(heard, Heard::Refused(_) | Heard::Broken(_) | Heard::NoTls) {
            self.held.remove(&session);
        }
        self.scheduler.hear(session, heard, self.job.network.clock.now());
    }
}
