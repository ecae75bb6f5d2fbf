//! A run between two events: what is done about each of them.
//!
//! Decides: that what was said is stored before anything follows from it. When and what to ask is the scheduler's, what a
//! reply means the policy's. Must not: wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task;

use super::calls::{Calls, Over};
use super::lookups::{self, Lookups};
use super::outcome::Outcome;
use super::{GRACE, Job, LOOKUPS};
use crate::address::Domain;
use crate::error::Error;
use crate::policy::replies::{Context, RecentReplies};
use crate::probe::Patience;
use crate::probe::inquiry::Found;
use crate::reason::Finding;
use crate::route::{DnsFault, Route};
use crate::run::destination::{self, stops};
use crate::run::feed::Feed;
use crate::run::found::Whole;
use crate::run::progress::Progress;
use crate::run::told;
use crate::schedule::{self, Action, Decision, Heard, Limits, Opening, Scheduler, SessionId, Wire};
use crate::smtp::session::{Answer, Event, Order};
use crate::state::recall::LookedUp;
use crate::state::roster::Fresh;
use crate::state::runs::Begun;
use crate::state::{Key, State};
use crate::verdict::evidence::{Said, Unprobed};

pub(super) struct Run<'a> {
    job: &'a Job,
    pub(super) state: &'a mut State,
    begun: Begun,
    /// What else may be used.
    fresh: Fresh,
    /// The numbers of who we are, by each way out.
    egresses: Vec<i64>,
    feed: Feed,
    /// Domains that are being looked up.
    pub(super) lookups: Lookups,
    replies: RecentReplies,
    pub(super) scheduler: Scheduler,
    pub(super) calls: Calls,
    progress: &'a mut Progress,
    pub(super) outcome: Outcome,
    pub(super) stopped: bool,
    /// When a stopped run waits no longer.
    pub(super) cut_at: Option<Duration>,
}

impl<'a> Run<'a> {
    /// A run that has asked nothing yet; what happens in its sessions comes out of the second half.
    pub(super) fn new(
        job: &'a Job,
        state: &'a mut State,
        (begun, fresh): (Begun, Fresh),
        progress: &'a mut Progress,
    ) -> Result<(Run<'a>, mpsc::UnboundedReceiver<(SessionId, Event)>), Error> {
        let limits = Limits {
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
        for (operator, tally) in state.tallies(begun.id)? {
            scheduler.tallied(&operator, tally);
        }
        let unprobed = Some(if job.dns_only { Unprobed::DnsOnly } else { Unprobed::Deadline });
        let whole = Whole { unprobed, ..Whole::default() };
        let feed = Feed::of(begun, fresh, job.max_wait, egresses.clone());
        let (calls, events) = Calls::new(job.network.clone(), job.trace);
        if !job.dns_only {
            let policy = job.policy;
            // They take longer than a round trip to load, and the first answers would wait for them.
            task::spawn_blocking(move || policy.replies().warm_up());
        }
        let run = Run {
            job,
            state,
            begun,
            fresh,
            egresses,
            feed,
            lookups: Lookups::new(job.network.clone()),
            replies: RecentReplies::of(job.policy),
            scheduler,
            calls,
            progress,
            outcome: Outcome { whole, ..Outcome::default() },
            stopped: false,
            cut_at: None,
        };
        Ok((run, events))
    }

    /// Nothing is under way, and nothing more is to come.
    pub(super) fn is_over(&self) -> bool {
        let is_idle = self.lookups.len() == 0 && self.scheduler.is_idle() && self.calls.is_empty();
        is_idle && (self.stopped || self.feed.is_idle())
    }

    /// There are domains to look up, and room for them.
    pub(super) fn may_look_up(&self) -> bool {
        let has_room = self.lookups.len() < LOOKUPS && !self.scheduler.is_crowded();
        !self.stopped && !self.feed.is_exhausted && has_room
    }

    /// Looks up the next domains of the roster, unless their routes are known.
    pub(super) fn look_up(&mut self) -> Result<(), Error> {
        if self.may_look_up() {
            self.state.begin_writing()?;
        }
        for _ in self.lookups.len()..LOOKUPS {
            if !self.may_look_up() {
                break;
            }
            let Some((key, domain)) = self.feed.next(self.state)? else { break };
            if let Some(route) = self.known_route(key)? {
                self.routed(key, &domain, route)?;
                continue;
            }
            self.outcome.asked.domains += 1;
            self.lookups.begin(key, domain);
        }
        if self.feed.is_idle() && self.lookups.len() == 0 {
            self.scheduler.has_all_orders();
        }
        Ok(())
    }

    /// A route that was looked up lately.
    fn known_route(&self, domain: Key) -> Result<Option<Route>, Error> {
        let known = self.state.recall(self.job.policy).route(domain)?;
        let is_fresh = |known: &LookedUp| {
            let (fact, _) = stops(known.route.clone(), &self.job.policy);
            // A run that goes on may have begun long ago, and with other networks.
            let fresh = Fresh { at: self.job.network.clock.now().wall.max(self.fresh.at), ..self.fresh };
            destination::is_fresh(&fact, known.at, self.job.policy.lifetimes(), fresh)
                && self.job.network.allowed.agree_with(&known.route)
        };
        Ok(known.filter(is_fresh).map(|known| known.route))
    }

    /// Takes what a look-up found. One that was cut leaves its rows to a later run.
    pub(super) fn looked_up(&mut self, over: lookups::LookedUp) -> Result<(), Error> {
        let Some((key, domain, route)) = self.lookups.found(over) else {
            return Ok(());
        };
        match &route {
            Route::Failed(DnsFault::Internal) => {
                tracing::error!(event = "lookup_failed", "a look-up failed inside");
            }
            Route::Failed(_) => self.outcome.asked.untold += 1,
            _ => {}
        }
        tracing::debug!(event = "routed", %domain, ?route);
        self.state.write_route(self.begun.id, &domain, &route, self.job.network.clock.now().wall)?;
        self.routed(key, &domain, route)
    }

    /// A domain's route is known. That its mailboxes are not worth asking about is all there is to know, also when the run was
    /// stopped.
    fn routed(&mut self, key: Key, domain: &Domain, route: Route) -> Result<(), Error> {
        let lane = if self.job.dns_only {
            None
        } else {
            self.feed.routed((key, domain), route, self.state, &self.job.policy)?
        };
        if let Some(lane) = lane {
            return self.fill(&lane);
        }
        let passed = self.state.strike_out(self.begun.id, key)?;
        self.progress.tell(passed, self.calls.len());
        Ok(())
    }

    /// Gives a lane work while it has room for it.
    fn fill(&mut self, lane: &Arc<str>) -> Result<(), Error> {
        while !self.stopped && self.scheduler.has_room(lane) {
            self.state.begin_writing()?;
            let now = self.job.network.clock.now();
            let orders = self.feed.orders(lane, self.state, &self.job.policy, now.wall)?;
            if orders.is_empty() {
                break;
            }
            for order in orders {
                self.scheduler.order(order, now);
            }
        }
        Ok(())
    }

    /// Does what the scheduler wants. What was said is stored before anything that follows from it is done.
    pub(super) fn act(&mut self) -> Result<(), Error> {
        let mut leaving = Vec::new();
        while let Some(action) = self.scheduler.action() {
            match action {
                Action::Answered(answer) => {
                    let egress = self.egresses.get(answer.egress).copied().unwrap_or_default();
                    self.state.write_answer(self.begun.id, egress, &answer)?;
                }
                Action::TakenBack(address) => {
                    self.state.take_back(self.begun.id, &address)?;
                    self.feed.unlearn(&address);
                }
                Action::Settled(found) => found.iter().try_for_each(|found| self.settled(found))?,
                Action::Learnt(domain, known) => self.feed.learnt(&domain, known),
                Action::Room(lane) => self.fill(&lane)?,
                Action::Decided(decision) => self.decided(&decision),
                Action::Wire(wire) => leaving.push(wire),
            }
        }
        self.state.commit()?;
        for wire in leaving {
            match wire {
                Wire::Open(opening) => {
                    self.outcome.asked.connections += 1;
                    self.calls.open(opening);
                }
                Wire::Fly(session, flight) => self.calls.order(session, Order::Fly(flight)),
                Wire::Quit(session) => self.calls.order(session, Order::Quit),
            }
        }
        Ok(())
    }

    fn settled(&mut self, found: &Found) -> Result<(), Error> {
        let Found { address, inquired, .. } = found;
        let now = self.job.network.clock.now().wall;
        let told = told::in_short(address, inquired, self.job.policy.lifetimes(), now);
        self.state.write_settled(self.begun.id, found, told, now)?;
        self.progress.tell(1, self.calls.len());
        Ok(())
    }

    pub(super) fn stop(&mut self, unprobed: Unprobed) {
        self.stopped = true;
        let now = self.job.network.clock.now();
        self.cut_at = Some(now.elapsed + GRACE);
        self.scheduler.stop(unprobed, now);
    }

    /// Waits no longer for what is under way.
    pub(super) fn cut(&mut self) {
        self.cut_at = None;
        self.lookups.cut();
        let now = self.job.network.clock.now();
        for session in self.calls.cut() {
            self.scheduler.hear(session, Heard::Broken(None), now);
        }
    }

    /// A session's task is over.
    pub(super) fn over(&mut self, over: Over) {
        match over {
            Ok((_, dialogue)) => self.outcome.dialogues.extend(dialogue),
            Err(fault) => self.lost(fault.id()),
        }
    }

    /// A session's task failed inside, or was cut.
    fn lost(&mut self, task: task::Id) {
        if let Some(session) = self.calls.lost(task) {
            tracing::error!(event = "session_failed", session = session.0, "a session failed inside");
            let now = self.job.network.clock.now();
            self.scheduler.hear(session, Heard::Broken(Some(Finding::Internal)), now);
        }
    }

    fn decided(&mut self, decision: &Decision) {
        let Decision { what, operator, egress, addresses } = decision;
        tracing::info!(event = what.word(), %operator, egress, addresses, "{}", what.sentence());
        *self.outcome.decisions.entry(*what).or_default() += 1;
    }

    /// Hears what happened in a session.
    pub(super) fn hear(&mut self, session: SessionId, event: Event) {
        let Some(Opening { host, provider, .. }) = self.calls.opening(session) else {
            return;
        };
        tracing::trace!(event = "session", session = session.0, %host, what = in_short(&event));
        self.outcome.asked.questions += u64::from(matches!(event, Event::Answered(..)));
        let replies = &mut self.replies;
        let heard = schedule::meant(event, |stage, reply| {
            let context = Context { stage, provider: provider.is_known().then_some(&*provider.id) };
            Said { stage, meaning: replies.read(&reply, &context), reply }
        });
        if matches!(heard, Heard::Refused(_) | Heard::Broken(_) | Heard::NoTls) {
            self.calls.ended(session);
        }
        self.scheduler.hear(session, heard, self.job.network.clock.now());
    }
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
