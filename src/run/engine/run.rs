//! A run between two events: what is done about each of them.
//!
//! Decides: that what was said is stored before anything follows from it. When and what to ask is the scheduler's, what a
//! reply means the policy's. Must not: wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task;

use super::lookups::{self, Lookups};
use super::outcome::RunOutcome;
use super::sessions::{FinishedSession, SessionTasks};
use super::{GRACE, LOOKUPS, ProbeJob};
use crate::address::Domain;
use crate::error::Error;
use crate::evidence::{ClassifiedReply, NotProbedReason, ProbeResult};
use crate::policy::{ReplyCache, ReplyContext};
use crate::probe::RetryPolicy;
use crate::reason::Finding;
use crate::route::{DnsFault, Route};
use crate::run::evidence_reader::RunConditions;
use crate::run::job_source::JobSource;
use crate::run::judged_row;
use crate::run::progress::ProgressReporter;
use crate::run::routing::{self, stops};
use crate::schedule::{
    self, Action, ConnectionAction, ProviderEvent, RunLimits, Scheduler, SessionEvent, SessionId,
    SessionOpening,
};
use crate::smtp::{ProbeReply, SessionCommand, SmtpEvent};
use crate::state::{FreshnessPolicy, NameHash, RunHandle, State, StoredRoute};

pub(super) struct ProbingRun<'a, 'p> {
    job: &'a ProbeJob,
    pub(super) state: &'a mut State,
    begun: RunHandle,
    /// What else may be used.
    fresh: FreshnessPolicy,
    /// The numbers of who we are, by each way out.
    egresses: Vec<i64>,
    feed: JobSource,
    /// Domains that are being looked up.
    pub(super) lookups: Lookups,
    replies: ReplyCache,
    pub(super) scheduler: Scheduler,
    pub(super) calls: SessionTasks,
    progress: &'a mut ProgressReporter<'p>,
    pub(super) outcome: RunOutcome,
    pub(super) stopped: bool,
    /// When a stopped run waits no longer.
    pub(super) cut_at: Option<Duration>,
}

impl<'a, 'p> ProbingRun<'a, 'p> {
    /// A run that has asked nothing yet; what happens in its sessions comes out of the second half.
    pub(super) fn new(
        job: &'a ProbeJob,
        state: &'a mut State,
        (begun, fresh): (RunHandle, FreshnessPolicy),
        progress: &'a mut ProgressReporter<'p>,
    ) -> Result<(ProbingRun<'a, 'p>, mpsc::UnboundedReceiver<(SessionId, SmtpEvent)>), Error> {
        let limits = RunLimits {
            pace: job.pace,
            retry_policy: RetryPolicy { max_wait: job.max_wait },
            sessions: job.sessions,
            thresholds: job.policy.thresholds(),
            egresses: job.network.egresses.iter().map(|egress| egress.path.families()).collect(),
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
        let unprobed = Some(if job.dns_only { NotProbedReason::DnsOnly } else { NotProbedReason::Deadline });
        let whole = RunConditions { unprobed, ..RunConditions::default() };
        let feed = JobSource::of(begun, fresh, job.max_wait, egresses.clone());
        let (calls, events) = SessionTasks::new(job.network.clone(), job.trace);
        if !job.dns_only {
            let policy = job.policy;
            // They take longer than a round trip to load, and the first answers would wait for them.
            task::spawn_blocking(move || policy.replies().warm_up());
        }
        let run = ProbingRun {
            job,
            state,
            begun,
            fresh,
            egresses,
            feed,
            lookups: Lookups::new(job.network.clone()),
            replies: ReplyCache::of(job.policy),
            scheduler,
            calls,
            progress,
            outcome: RunOutcome { whole, ..RunOutcome::default() },
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
            self.scheduler.close_job_source();
        }
        Ok(())
    }

    /// A route that was looked up lately.
    fn known_route(&self, domain: NameHash) -> Result<Option<Route>, Error> {
        let known = self.state.recall(self.job.policy).route(domain)?;
        let is_fresh = |known: &StoredRoute| {
            let (fact, _) = stops(known.route.clone(), &self.job.policy);
            // A run that goes on may have begun long ago, and with other networks.
            let fresh =
                FreshnessPolicy { at: self.job.network.clock.now().wall.max(self.fresh.at), ..self.fresh };
            routing::is_fresh(&fact, known.at, self.job.policy.lifetimes(), fresh)
                && known.route.is_valid_under(&self.job.network.allowed)
        };
        Ok(known.filter(is_fresh).map(|known| known.route))
    }

    /// Takes what a look-up found. One that was cut leaves its rows to a later run.
    pub(super) fn looked_up(&mut self, over: lookups::FinishedLookup) -> Result<(), Error> {
        let Some((key, domain, route)) = self.lookups.found(over) else {
            return Ok(());
        };
        match &route {
            Route::Failed(DnsFault::Internal) => {
                tracing::error!(event = "lookup_failed", "a look-up failed inside");
            }
            Route::Failed(_) => self.outcome.asked.unanswered += 1,
            _ => {}
        }
        tracing::debug!(event = "routed", %domain, ?route);
        self.state.write_route(self.begun.id, &domain, &route, self.job.network.clock.now().wall)?;
        self.routed(key, &domain, route)
    }

    /// A domain's route is known. That its mailboxes are not worth asking about is all there is to know, also when the run was
    /// stopped.
    fn routed(&mut self, key: NameHash, domain: &Domain, route: Route) -> Result<(), Error> {
        let lane = if self.job.dns_only {
            None
        } else {
            self.feed.routed((key, domain), route, self.state, &self.job.policy)?
        };
        if let Some(lane) = lane {
            return self.fill(&lane);
        }
        let passed = self.state.remove_domain(self.begun.id, key)?;
        self.progress.advance(passed, self.calls.len());
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
                Action::Record(answer) => {
                    let egress = self.egresses.get(answer.egress).copied().unwrap_or_default();
                    self.state.write_answer(self.begun.id, egress, &answer)?;
                }
                Action::Revoked(address) => {
                    self.state.revoke(self.begun.id, &address)?;
                    self.feed.forget_facts(&address);
                }
                Action::Completed(found) => found.iter().try_for_each(|found| self.settled(found))?,
                Action::DomainFactsChanged(domain, known) => self.feed.learnt(&domain, known),
                Action::WantsWork(lane) => self.fill(&lane)?,
                Action::Event(decision) => self.decided(&decision),
                Action::Connection(wire) => leaving.push(wire),
            }
        }
        self.state.commit()?;
        for wire in leaving {
            match wire {
                ConnectionAction::Open(opening) => {
                    self.outcome.asked.connections += 1;
                    self.calls.open(opening);
                }
                ConnectionAction::Send(session, batch) => {
                    self.calls.order(session, SessionCommand::Send(batch))
                }
                ConnectionAction::Quit(session) => self.calls.order(session, SessionCommand::Quit),
            }
        }
        Ok(())
    }

    fn settled(&mut self, found: &ProbeResult) -> Result<(), Error> {
        let ProbeResult { address, mailbox, .. } = found;
        let now = self.job.network.clock.now().wall;
        let told = judged_row::provisional_verdict(address, mailbox, self.job.policy.lifetimes(), now);
        self.state.write_settled(self.begun.id, found, told, now)?;
        self.progress.advance(1, self.calls.len());
        Ok(())
    }

    pub(super) fn stop(&mut self, unprobed: NotProbedReason) {
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
            self.scheduler.hear(session, SessionEvent::Ended(None), now);
        }
    }

    /// A session's task is over.
    pub(super) fn over(&mut self, over: FinishedSession) {
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
            self.scheduler.hear(session, SessionEvent::Ended(Some(Finding::Internal)), now);
        }
    }

    fn decided(&mut self, decision: &ProviderEvent) {
        let ProviderEvent { what, operator, egress, addresses } = decision;
        tracing::info!(event = what.word(), %operator, egress, addresses, "{}", what.sentence());
        *self.outcome.decisions.entry(*what).or_default() += 1;
    }

    /// Hears what happened in a session.
    pub(super) fn hear(&mut self, session: SessionId, event: SmtpEvent) {
        let Some(SessionOpening { host, provider, .. }) = self.calls.opening(session) else {
            return;
        };
        tracing::trace!(event = "session", session = session.0, %host, what = provisional_verdict(&event));
        self.outcome.asked.questions += u64::from(matches!(event, SmtpEvent::Reply(..)));
        let replies = &mut self.replies;
        let heard = schedule::meant(event, |stage, reply| {
            let context = ReplyContext { stage, provider: provider.is_known().then_some(&*provider.id) };
            ClassifiedReply { stage, meaning: replies.classify(&reply, &context), reply }
        });
        if matches!(heard, SessionEvent::Rejected(_) | SessionEvent::Ended(_) | SessionEvent::TlsFailed) {
            self.calls.ended(session);
        }
        self.scheduler.hear(session, heard, self.job.network.clock.now());
    }
}

/// What happened, without the words of servers: these name addresses.
fn provisional_verdict(event: &SmtpEvent) -> String {
    match event {
        SmtpEvent::Ready(_) => "ready".to_owned(),
        SmtpEvent::Reply(_, ProbeReply::Rcpt(reply)) => format!("answered {}", reply.code),
        SmtpEvent::Reply(_, ProbeReply::Mail(reply)) => format!("refused at mail {}", reply.code),
        SmtpEvent::Reply(_, ProbeReply::NoSmtputf8) => "no smtputf8".to_owned(),
        SmtpEvent::BatchDone => "landed".to_owned(),
        SmtpEvent::Ended(ended) => format!("ended at {}", ended.stage.word()),
    }
}
