//! Asks: looks up routes, runs the scheduler, holds the sessions it wants, and gathers what comes back.
//!
//! The only spawner of a run. Decides: nothing but the order of select; when and what to ask is the scheduler's, what a
//! reply means the policy's. Waits in one place: the loop below.

use std::collections::{BTreeMap, HashMap};
use std::future::{pending, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{self, JoinSet};
use tokio::time::sleep_until;

use super::feed::Feed;
use super::found::{Whole, stops};
use super::network::Network;
use super::progress::Progress;
use super::stop::Stop;
use super::{sockets, told};
use crate::address::Domain;
use crate::error::{Error, Exit};
use crate::policy::replies::{Context, RecentReplies};
use crate::policy::{Pace, Policy};
use crate::probe::Patience;
use crate::probe::inquiry::Target;
use crate::reason::Finding;
use crate::route::{self, Route};
use crate::schedule::{self, Action, Decision, Heard, Opening, Ruling, Scheduler, SessionId};
use crate::settings::{Place, Reach, Settings};
use crate::smtp::hold::{Call, hold};
use crate::smtp::session::{Answer, Event, Manner, Tls};
use crate::smtp::transcript::Transcript;
use crate::smtp::{self};
use crate::state::recall::LookedUp;
use crate::state::roster::Fresh;
use crate::state::runs::Begun;
use crate::state::{Key, State};
use crate::verdict::evidence::{Inquired, Said, Unprobed};

/// Events heard at once, and stored in one transaction.
const EVENTS: usize = 1024;

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
        let network = Arc::new(Network::of(place)?);
        Ok(Job {
            policy,
            dns_only: matches!(settings.reach, Reach::Dns(_)),
            pace: settings.pace,
            max_wait: settings.max_wait,
            max_duration: match &settings.deadline {
                None => settings.max_duration,
                Some(deadline) => {
                    let left = deadline.after(network.clock.now().wall)?;
                    Some(settings.max_duration.map_or(left, |most| most.min(left)))
                }
            },
            sessions: sockets::available(),
            trace,
            network,
        })
    }
}

/// What came of it, besides the facts in the state.
#[derive(Default)]
pub struct Outcome {
    /// What holds for all rows.
    pub whole: Whole,
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
        let shut = self.whole.shut.map(|_| Exit::ShutOut);
        stop.wished()
            .or(self.asked.in_vain().then_some(Exit::NetworkDown))
            .or(shut)
            .or(self.out_of_time.then_some(Exit::OutOfTime))
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
    /// How many of them no name server told anything about.
    pub untold: u64,
}

impl Asked {
    /// No name server told anything at all, and nobody could be connected to by what was known before: the trouble is not
    /// theirs. A few domains may all be broken by themselves.
    fn in_vain(self) -> bool {
        const FEW: u64 = 3;
        self.domains >= FEW && self.untold == self.domains && self.connections == 0
    }
}

/// A session that is open.
struct Held {
    opening: Opening,
    orders: mpsc::Sender<smtp::session::Order>,
    task: task::Id,
}

type Dialogue = Option<(Domain, Transcript)>;

/// Asks about everybody in the roster of a run. What is found out is in the state when this returns.
pub async fn ask(
    job: &Job,
    state: &mut State,
    begun: Begun,
    fresh: Fresh,
    mut stop: Stop,
    progress: &mut Progress,
) -> Result<Outcome, Error> {
    let mut run = Run::new(job, state, (begun, fresh), progress)?;
    let mut lookups: JoinSet<(Key, Domain, Route)> = JoinSet::new();
    let (tell, mut events) = mpsc::unbounded_channel();
    let mut heard = Vec::with_capacity(EVENTS);
    let mut sessions: JoinSet<Dialogue> = JoinSet::new();
    loop {
        run.look_up(&mut lookups)?;
        if lookups.is_empty() && run.feed.is_idle() {
            run.scheduler.all_ordered(job.network.clock.now());
        }
        run.act(&tell, &mut sessions)?;
        let is_idle = lookups.is_empty() && run.scheduler.is_idle() && sessions.is_empty();
        if is_idle && (run.stopped || run.feed.is_idle()) {
            break;
        }
        if !run.stopped
            && let Some(shut) = run.scheduler.shut()
        {
            run.outcome.whole.shut = Some(shut);
            run.stop(Unprobed::OperatorPaused);
        }
        let wake = run.scheduler.next_wake();
        let deadline = job.max_duration.filter(|_| !run.stopped);
        let may_look_up = !run.stopped && !run.feed.is_exhausted && lookups.len() < LOOKUPS;
        // In this order, so that a world always tells the same story.
        tokio::select! {
            biased;
            _ = events.recv_many(&mut heard, EVENTS) => {
                for (session, event) in heard.drain(..) {
                    run.hear(session, event);
                }
            }
            // A lookup that failed inside leaves its rows unasked; they are written all the same.
            Some(looked_up) = lookups.join_next() => if let Ok((key, domain, route)) = looked_up {
                run.looked_up(key, &domain, route)?;
            },
            Some(over) = sessions.join_next_with_id() => match over {
                Ok((_, dialogue)) => run.outcome.dialogues.extend(dialogue),
                Err(fault) => run.lost(fault.id()),
            },
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
            () = ready(()), if may_look_up => {}
        }
    }
    run.state.commit()?;
    let Run { mut outcome, scheduler, .. } = run;
    outcome.whole.anomalies = scheduler.anomalies();
    Ok(outcome)
}

/// What happened, without the words of servers: these name addresses.
fn in_short(event: &Event) -> String {
    match event {
        Event::Ready(_) => "ready".to_owned(),
        Event::Answered(_, Answer::Rcpt(reply)) => format!("answered {}", reply.code),
        Event::Answered(_, Answer::Mail(reply)) => format!("refused at mail {}", reply.code),
        Event::Answered(_, Answer::NoSmtputf8) => "no smtputf8".to_owned(),
        Event::Landed => "landed".to_owned(),
        Event::Ended(ended) => format!("ended at {}", ended.stage.word()),
    }
}

async fn until(job: &Job, at: Option<Duration>) {
    match at {
        Some(at) => sleep_until(job.network.clock.at(at)).await,
        None => pending().await,
    }
}

struct Run<'a> {
    job: &'a Job,
    state: &'a mut State,
    begun: Begun,
    /// What else may be used.
    fresh: Fresh,
    /// The numbers of who we are, by each way out.
    egresses: Vec<i64>,
    feed: Feed,
    replies: RecentReplies,
    scheduler: Scheduler,
    held: HashMap<SessionId, Held>,
    progress: &'a mut Progress,
    outcome: Outcome,
    stopped: bool,
    /// When a stopped run waits no longer.
    cut_at: Option<Duration>,
}

impl<'a> Run<'a> {
    fn new(
        job: &'a Job,
        state: &'a mut State,
        (begun, fresh): (Begun, Fresh),
        progress: &'a mut Progress,
    ) -> Result<Run<'a>, Error> {
        let limits = schedule::Limits {
            pace: job.pace,
            patience: Patience { max_wait: job.max_wait },
            sessions: job.sessions,
            thresholds: job.policy.thresholds(),
            egresses: job.network.egresses.iter().map(|egress| egress.path.family()).collect(),
        };
        let egresses = job.network.egresses.iter().map(|egress| state.egress(egress));
        let egresses = egresses.collect::<Result<Vec<_>, _>>()?;
        let now = job.network.clock.now();
        let mut scheduler = Scheduler::new(limits, job.network.random.clone(), now);
        for (place, &egress) in egresses.iter().enumerate() {
            for (operator, ago, unknown) in state.spent(egress, now.wall)? {
                scheduler.spent(place, &operator, ago, unknown);
            }
        }
        let unprobed = Some(if job.dns_only { Unprobed::DnsOnly } else { Unprobed::Deadline });
        let whole = Whole { unprobed, ..Whole::default() };
        Ok(Run {
            job,
            state,
            begun,
            fresh,
            egresses,
            feed: Feed::of(begun, fresh, job.max_wait),
            replies: RecentReplies::of(job.policy),
            scheduler,
            held: HashMap::new(),
            progress,
            outcome: Outcome {
                whole,
                dialogues: Vec::new(),
                asked: Asked::default(),
                decisions: BTreeMap::new(),
                out_of_time: false,
            },
            stopped: false,
            cut_at: None,
        })
    }

    /// Looks up the next domains of the roster, unless their routes are known.
    fn look_up(&mut self, lookups: &mut JoinSet<(Key, Domain, Route)>) -> Result<(), Error> {
        for _ in lookups.len()..LOOKUPS {
            if self.stopped {
                break;
            }
            let Some((key, domain)) = self.feed.next(self.state)? else { break };
            if let Some(route) = self.known_route(key)? {
                self.routed(key, &domain, route)?;
                continue;
            }
            let network = self.job.network.clone();
            self.outcome.asked.domains += 1;
            lookups.spawn(async move {
                let route = route::find(&*network.dns, &domain, &network.allowed).await;
                (key, domain, route)
            });
        }
        Ok(())
    }

    /// A route that was looked up lately.
    fn known_route(&self, domain: Key) -> Result<Option<Route>, Error> {
        let known = self.state.recall(self.job.policy).route(domain)?;
        let is_fresh = |known: &LookedUp| {
            let (fact, _) = stops(known.route.clone(), &self.job.policy);
            told::is_route_fresh(&fact, known.at, self.job.policy.lifetimes(), self.fresh)
        };
        Ok(known.filter(is_fresh).map(|known| known.route))
    }

    fn looked_up(&mut self, key: Key, domain: &Domain, route: Route) -> Result<(), Error> {
        tracing::debug!(event = "routed", %domain, ?route);
        self.outcome.asked.untold += u64::from(matches!(route, Route::Failed(_)));
        self.state.write_route(self.begun.id, domain, &route, self.job.network.clock.now().wall)?;
        self.routed(key, domain, route)
    }

    fn routed(&mut self, key: Key, domain: &Domain, route: Route) -> Result<(), Error> {
        if self.stopped {
            return Ok(());
        }
        let lane = if self.job.dns_only {
            None
        } else {
            self.feed.routed((key, domain), route, self.state, &self.job.policy)?
        };
        if let Some(lane) = lane {
            return self.fill(&lane);
        }
        let passed = self.state.strike_out(self.begun.id, key)?;
        self.progress.tell(passed, self.held.len());
        Ok(())
    }

    /// Gives a lane work while it has room for it.
    fn fill(&mut self, lane: &Arc<str>) -> Result<(), Error> {
        while !self.stopped && self.scheduler.has_room(lane) {
            let now = self.job.network.clock.now();
            let Some(order) = self.feed.order(lane, self.state, &self.job.policy, now.wall)? else {
                break;
            };
            self.scheduler.order(order, now);
        }
        Ok(())
    }

    /// Does what the scheduler wants. What was said is stored before anything that follows from it is done.
    fn act(
        &mut self,
        tell: &mpsc::UnboundedSender<(SessionId, Event)>,
        sessions: &mut JoinSet<Dialogue>,
    ) -> Result<(), Error> {
        let mut wanted = Vec::new();
        while let Some(action) = self.scheduler.action() {
            match action {
                Action::Answered(answer) => {
                    let egress = self.egresses.get(answer.egress).copied().unwrap_or_default();
                    self.state.write_answer(self.begun.id, egress, &answer)?;
                }
                Action::Settled(target, inquired) => self.settled(target, &inquired)?,
                Action::Learnt(domain, known) => self.feed.learnt(&domain, known),
                Action::Room(lane) => self.fill(&lane)?,
                Action::Decided(decision) => self.decided(&decision),
                action => wanted.push(action),
            }
        }
        self.state.commit()?;
        for action in wanted {
            match action {
                Action::Open(opening) => self.open(opening, tell, sessions),
                Action::Fly(session, flight) => self.order(session, smtp::session::Order::Fly(flight)),
                Action::Quit(session) => self.order(session, smtp::session::Order::Quit),
                Action::Answered(_)
                | Action::Settled(..)
                | Action::Learnt(..)
                | Action::Room(_)
                | Action::Decided(_) => {}
            }
        }
        Ok(())
    }

    fn settled(&mut self, target: Target, inquired: &Inquired) -> Result<(), Error> {
        let Some((place, address)) = self.feed.settled(target) else {
            return Ok(());
        };
        let now = self.job.network.clock.now().wall;
        let told = told::in_short(&address, inquired, self.job.policy.lifetimes(), now);
        self.state.write_settled(self.begun.id, (place, &address), inquired, told, now)?;
        self.progress.tell(1, self.held.len());
        Ok(())
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
        let task = sessions.spawn(async move {
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
        self.held.insert(session, Held { opening, orders, task: task.id() });
    }

    /// A session's task failed inside, or was cut. One that told its end is gone already; any other has broken.
    fn lost(&mut self, task: task::Id) {
        let Some(session) = self.held.iter().find(|(_, held)| held.task == task).map(|(session, _)| *session)
        else {
            return;
        };
        self.held.remove(&session);
        tracing::error!(event = "session_failed", session = session.0, "a session failed inside");
        self.scheduler.hear(session, Heard::Broken(Some(Finding::Internal)), self.job.network.clock.now());
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
        tracing::trace!(event = "session", session = session.0, %host, what = in_short(&event));
        self.outcome.asked.questions += u64::from(matches!(event, Event::Answered(..)));
        let replies = &mut self.replies;
        let heard = schedule::meant(event, |stage, reply| {
            let context = Context { stage, provider: provider.is_known().then_some(&*provider.id) };
            Said { stage, reply: reply.clone(), meaning: replies.read(reply, &context) }
        });
        if matches!(heard, Heard::Refused(_) | Heard::Broken(_) | Heard::NoTls) {
            self.held.remove(&session);
        }
        self.scheduler.hear(session, heard, self.job.network.clock.now());
    }
}

#[cfg(test)]
mod tests;
