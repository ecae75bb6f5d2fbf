//! The probing pass of a run: looks up routes, drives the scheduler, runs the sessions that it wants, and stores what
//! they return.
//!
//! The loop of [`probe`] is the only place that waits; [`Engine`] is what is done between two events, and
//! [`super::tasks`] holds look-ups and sessions. Decides: that a reply is classified once, when it arrives, and stored
//! before anything that follows from it is done. What is probed when is decided by the scheduler, what a reply means by
//! the policy.

mod blocked;
#[cfg(test)]
mod tests;

use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{self, JoinSet};
use tokio::time::{sleep, sleep_until};

use super::cancel::CancelToken;
use super::job_source::{EgressIds, JobSource, RoutedJobs};
use super::judge;
use super::name_servers::{NameServerHealth, SilentLookup};
use super::probe_job::{ProbeJob, RunOutcome};
use super::progress::ProgressReporter;
use super::routed_domain::RoutedDomain;
use super::tasks::{FinishedLookup, FinishedSession, LookupTasks, SessionTasks};
use crate::address::{Address, Domain};
use crate::error::Error;
use crate::evidence::{ClassifiedReply, NotProbedReason, ProbeResult, RecipientId, Timestamp};
use crate::policy::ReplyCache;
use crate::probe::RetryPolicy;
use crate::reason::Finding;
use crate::route::{DnsFault, ResolvedRoute, Route};
use crate::schedule::{
    self, Action, ConnectionAction, ProviderEvent, RunLimits, Scheduler, SessionEvent, SessionId,
    SessionOpening,
};
use crate::smtp::{ProbeReply, SessionCommand, SmtpEvent};
use crate::state::{DomainContact, FreshnessPolicy, NameHash, RouteTimes, RunHandle, State, StoredRoute};

/// The most session events that are taken together, and stored in one transaction.
const EVENTS: usize = 1024;

/// The most look-ups in progress. More were not faster where that was measured.
pub(super) const LOOKUPS: usize = 256;

/// How long a stopped run waits for replies to probes in flight: service managers wait ten seconds and more before they
/// kill.
const GRACE: Duration = Duration::from_secs(5);

/// How often the time of day is read: after a machine has slept it is later than the run's own clock says.
const READ_CLOCK_EVERY: Duration = Duration::from_secs(30);

/// Probes the recipients in the worklist of a run. Their results are in the state when this returns.
pub async fn probe(
    job: &ProbeJob,
    state: &mut State,
    run: RunHandle,
    fresh: FreshnessPolicy,
    cancel: &CancelToken,
    progress: &mut ProgressReporter<'_>,
) -> Result<RunOutcome, Error> {
    let (mut engine, mut events) = Engine::new(job, state, (run, fresh), progress)?;
    let mut received = Vec::with_capacity(EVENTS);
    loop {
        // Checked here, not only in `select!`, where session events that never cease would always come first.
        if !engine.stopped {
            engine.outcome.out_of_time =
                job.time_left(job.network.clock.now()).is_some_and(|left| left.is_zero());
            if engine.outcome.out_of_time || cancel.requested().is_some() {
                engine.stop(NotProbedReason::Deadline);
            }
        }
        engine.look_up()?;
        engine.act()?;
        engine.look_up_again();
        if !engine.stopped
            && let Some(blocked) = engine.run_blocked()?
        {
            engine.outcome.conditions.blocked = Some(blocked);
            engine.stop(NotProbedReason::ProviderPaused);
            engine.act()?;
        }
        if !engine.stopped && engine.health.is_lost(job.network.clock.now().elapsed) {
            engine.on_name_servers_lost()?;
            engine.act()?;
        }
        if engine.is_over() {
            break;
        }
        let wake = engine.next_wake();
        let may_look_up = engine.may_look_up();
        // Biased, so that a scripted world always runs the same way.
        tokio::select! {
            biased;
            _ = events.recv_many(&mut received, EVENTS) => {
                for (session, event) in received.drain(..) {
                    engine.on_event(session, event);
                }
                // While session events never cease, the other branches never run: finished tasks would keep their
                // memory, and timers would be late.
                while let Some(finished) = engine.sessions.try_next_finished() {
                    engine.on_session_finished(finished);
                }
                let now = job.network.clock.now();
                if wake.is_some_and(|at| at <= now.elapsed) {
                    engine.scheduler.wake(now);
                }
            }
            Some(finished) = engine.lookups.next_finished() => {
                engine.on_looked_up(finished)?;
                while let Some(finished) = engine.lookups.try_next_finished() {
                    engine.on_looked_up(finished)?;
                }
            }
            Some(is_alive) = engine.tests.join_next() => engine.on_tested(is_alive.unwrap_or(false))?,
            Some(finished) = engine.sessions.next_finished() => engine.on_session_finished(finished),
            () = until(job, wake) => engine.scheduler.wake(job.network.clock.now()),
            () = out_of_time(job), if !engine.stopped => {}
            () = cancel.canceled(), if !engine.stopped => {}
            () = until(job, engine.abort_at) => engine.abort(),
            () = ready(()), if may_look_up => {}
        }
    }
    engine.state.commit()?;
    let Engine { mut outcome, scheduler, .. } = engine;
    outcome.conditions.anomalies = scheduler.anomalous_providers();
    outcome.conditions.blocked = outcome.conditions.blocked.or_else(|| scheduler.run_blocked_at_end());
    if outcome.conditions.blocked.is_some() {
        outcome.rejections = scheduler.rejections();
    }
    // The deadline stopped nothing if the probes in flight were the last ones.
    outcome.out_of_time &= state.still_to_probe(run.id)? > 0;
    Ok(outcome)
}

async fn until(job: &ProbeJob, at: Option<Duration>) {
    match at {
        Some(at) => sleep_until(job.network.clock.at(at)).await,
        None => pending().await,
    }
}

/// Waits until nothing new may be started.
async fn out_of_time(job: &ProbeJob) {
    while let Some(left) = job.time_left(job.network.clock.now()) {
        if left.is_zero() {
            return;
        }
        sleep(left.min(READ_CLOCK_EVERY)).await;
    }
    pending::<()>().await;
}

/// A run between two events.
struct Engine<'a, 'p> {
    job: &'a ProbeJob,
    state: &'a mut State,
    run: RunHandle,
    /// Which evidence of other runs may be used.
    fresh: FreshnessPolicy,
    egresses: EgressIds,
    jobs: JobSource,
    lookups: LookupTasks,
    health: NameServerHealth,
    /// Test queries in flight: does any name server answer?
    tests: JoinSet<bool>,
    replies: ReplyCache,
    scheduler: Scheduler,
    sessions: SessionTasks,
    progress: &'a mut ProgressReporter<'p>,
    outcome: RunOutcome,
    stopped: bool,
    /// The scheduler knows how providers responded to earlier runs.
    knows_earlier_contacts: bool,
    /// When a stopped run aborts what is still in flight.
    abort_at: Option<Duration>,
}

impl<'a, 'p> Engine<'a, 'p> {
    /// A run that has not probed anything, and the receiver of what will happen in its sessions.
    fn new(
        job: &'a ProbeJob,
        state: &'a mut State,
        (run, fresh): (RunHandle, FreshnessPolicy),
        progress: &'a mut ProgressReporter<'p>,
    ) -> Result<(Engine<'a, 'p>, mpsc::UnboundedReceiver<(SessionId, SmtpEvent)>), Error> {
        let limits = RunLimits {
            pace: job.pace,
            retry_policy: RetryPolicy { max_wait: job.max_wait },
            sessions: job.sessions,
            thresholds: job.policy.thresholds(),
            egresses: job.network.egresses.iter().map(|egress| egress.path.families()).collect(),
        };
        let egresses = EgressIds::of(&job.network.egresses, state)?;
        let now = job.network.clock.now();
        let mut scheduler = Scheduler::new(limits, job.network.random.clone(), now);
        for (egress, id) in egresses.iter().enumerate() {
            for (provider, ago, unknown) in state.unknown_usage(id, now.wall)? {
                scheduler.seed_unknown_usage(egress, &provider, ago, unknown);
            }
        }
        for (provider, tally) in state.tallies(run.id)? {
            scheduler.seed_tally(&provider, tally);
        }
        let (sessions, events) = SessionTasks::new(job.network.clone(), job.trace);
        if !job.dns_only {
            let policy = job.policy;
            // Loading the reply rules takes longer than a round trip, for which the first replies would wait.
            task::spawn_blocking(move || policy.replies().warm_up());
        }
        let engine = Engine {
            job,
            state,
            run,
            fresh,
            jobs: JobSource::new(run, fresh, job.max_wait, egresses.clone()),
            egresses,
            lookups: LookupTasks::new(job.network.clone()),
            health: NameServerHealth::new(job.policy.thresholds().name_servers, job.max_wait),
            tests: JoinSet::new(),
            replies: ReplyCache::of(job.policy),
            scheduler,
            sessions,
            progress,
            outcome: job.outcome(),
            stopped: false,
            knows_earlier_contacts: false,
            abort_at: None,
        };
        Ok((engine, events))
    }

    /// True if nothing is in progress and nothing more will come.
    fn is_over(&self) -> bool {
        let is_idle = self.lookups.len() == 0 && self.scheduler.is_idle() && self.sessions.is_empty();
        is_idle && (self.stopped || (self.jobs.is_empty() && !self.health.holds_any()))
    }

    /// When something is due that no event brings.
    fn next_wake(&self) -> Option<Duration> {
        let health = self.health.next_wake().filter(|_| !self.stopped);
        self.scheduler.next_wake().into_iter().chain(health).min()
    }

    /// True if there are domains to look up, and room for them.
    fn may_look_up(&self) -> bool {
        let has_room = self.lookups.len() < LOOKUPS && !self.scheduler.is_short_of_sockets();
        !self.stopped && !self.jobs.has_all_domains && has_room && self.health.may_look_up()
    }

    /// Starts to look up the next domains of the worklist; a stored route that is fresh is used instead.
    fn look_up(&mut self) -> Result<(), Error> {
        if self.may_look_up() {
            self.state.begin_writing()?;
        }
        for _ in self.lookups.len()..LOOKUPS {
            if !self.may_look_up() {
                break;
            }
            let Some((key, domain)) = self.jobs.next_domain(self.state)? else { break };
            if let Some(routed) = self.stored_route(key, &domain)? {
                self.on_routed(key, &domain, &routed, Vec::new())?;
                continue;
            }
            self.outcome.counts.domains += 1;
            self.start_lookup(key, domain);
        }
        self.look_up_again();
        self.test_name_servers()?;
        if self.jobs.is_empty() && self.lookups.len() == 0 && !self.health.holds_any() {
            self.scheduler.close_job_source();
        }
        Ok(())
    }

    fn start_lookup(&mut self, key: NameHash, domain: Domain) {
        if self.health.on_begun(self.job.network.clock.now().elapsed) {
            self.start_test();
        }
        self.lookups.start(key, domain);
    }

    /// Starts to look up the domains whose route has expired.
    fn look_up_again(&mut self) {
        if !self.stopped && self.health.may_look_up() {
            for (key, domain) in self.jobs.take_expired() {
                self.start_lookup(key, domain);
            }
        }
    }

    /// Sends a test query where silent look-ups may be the fault of the name servers.
    fn test_name_servers(&mut self) -> Result<(), Error> {
        if self.stopped {
            return Ok(());
        }
        let is_last = self.jobs.has_all_domains && self.lookups.len() == 0 && self.tests.is_empty();
        if self.health.wants_test(is_last, self.job.network.clock.now().elapsed) {
            self.start_test();
        } else if is_last && self.health.never_answered() {
            for lookup in self.health.take_held() {
                self.on_lookup_failed(lookup)?;
            }
        }
        Ok(())
    }

    fn start_test(&mut self) {
        let network = self.job.network.clone();
        self.tests.spawn(async move { network.dns.is_alive().await });
    }

    /// Takes the result of a test query.
    fn on_tested(&mut self, is_alive: bool) -> Result<(), Error> {
        match self.health.on_test(is_alive, self.job.network.clock.now().elapsed) {
            Ok(again) => again.into_iter().for_each(|lookup| self.lookups.start(lookup.key, lookup.domain)),
            Err(failed) => failed.into_iter().try_for_each(|lookup| self.on_lookup_failed(lookup))?,
        }
        Ok(())
    }

    /// Stops a run that has no name service. The same command continues it.
    fn on_name_servers_lost(&mut self) -> Result<(), Error> {
        let held = self.health.take_held();
        let fault = held.iter().find_map(|lookup| match &lookup.route {
            Route::Failed(fault) => Some(fault.clone()),
            _ => None,
        });
        self.outcome.conditions.unresolved = Some(fault.unwrap_or(DnsFault::Timeout));
        self.outcome.name_servers_down = true;
        self.outcome.counts.unanswered += held.len() as u64;
        tracing::warn!(event = "name_servers_down", "no name server answers, so the run stops");
        self.stop(NotProbedReason::Deadline);
        self.lookups.abort();
        Ok(())
    }

    /// A stored route that is fresh now, and allowed by the networks of this run: a resumed run may have begun long
    /// ago, with others.
    fn stored_route(&self, key: NameHash, domain: &Domain) -> Result<Option<RoutedDomain>, Error> {
        let policy = &self.job.policy;
        let Some(StoredRoute { route, at, valid_until, .. }) = self.state.facts(*policy).route(key)? else {
            return Ok(None);
        };
        if !route.is_valid_under(&self.job.network.allowed) {
            return Ok(None);
        }
        let now = self.job.network.clock.now().wall;
        let fresh = FreshnessPolicy { at: now.max(self.fresh.at), ..self.fresh };
        let routed = RoutedDomain::new(domain, route, policy);
        Ok(Some(routed).filter(|routed| routed.is_fresh(at, valid_until, policy.lifetimes(), fresh)))
    }

    /// Takes the route that a look-up found. An aborted one leaves its recipients to a later run.
    fn on_looked_up(&mut self, finished: FinishedLookup) -> Result<(), Error> {
        let Some((key, domain, resolved)) = self.lookups.take_route(finished) else {
            return Ok(());
        };
        tracing::debug!(event = "routed", %domain, route = ?resolved.route);
        match &resolved.route {
            Route::Failed(fault) if fault.is_silence() => {
                if !self.stopped {
                    self.health.on_silence(SilentLookup { key, domain, route: resolved.route });
                }
                return Ok(());
            }
            _ => {
                for lookup in self.health.on_answer() {
                    self.on_lookup_failed(lookup)?;
                }
            }
        }
        self.on_resolved(key, &domain, resolved)
    }

    /// Takes a look-up without an answer that is not made again.
    fn on_lookup_failed(&mut self, lookup: SilentLookup) -> Result<(), Error> {
        let SilentLookup { key, domain, route } = lookup;
        self.on_resolved(key, &domain, ResolvedRoute { route, ttl: Duration::ZERO })
    }

    /// Stores a route.
    fn on_resolved(&mut self, key: NameHash, domain: &Domain, resolved: ResolvedRoute) -> Result<(), Error> {
        let ResolvedRoute { route, ttl } = resolved;
        match &route {
            Route::Failed(DnsFault::Internal) => {
                tracing::error!(event = "lookup_failed", "a look-up failed inside");
            }
            Route::Failed(_) => self.outcome.counts.unanswered += 1,
            _ => {}
        }
        let now = self.job.network.clock.now().wall;
        let valid_until = now + self.job.policy.lifetimes().of_route(ttl);
        let lasts = RouteTimes { looked_up: now, valid_until };
        let is_changed = self.state.write_route(self.run.id, domain, &route, lasts)?;
        let again = match &route {
            Route::Hosts(mx_hosts) if is_changed => {
                let after = self.jobs.last_submitted(key);
                self.state.drop_other_hosts(self.run.id, domain, mx_hosts, after)?
            }
            _ => Vec::new(),
        };
        self.on_routed(key, domain, &RoutedDomain::new(domain, route, &self.job.policy), again)
    }

    /// Queues a domain for its lane, or completes its recipients if there is nothing to probe, also when the run was
    /// stopped. `again`: recipients that were put into the worklist again.
    fn on_routed(
        &mut self,
        key: NameHash,
        domain: &Domain,
        routed: &RoutedDomain,
        again: Vec<(RecipientId, Address)>,
    ) -> Result<(), Error> {
        let is_probed = !self.job.dns_only && routed.is_worth_probing();
        let expired = self.jobs.routed_again(key);
        let Some(lane) = routed.lane_key().filter(|_| is_probed) else {
            let completed = self.state.remove_domain(self.run.id, key)?;
            self.progress.advance(completed, self.sessions.len());
            return Ok(());
        };
        // Recipients that were submitted before are submitted again; the others wait for room.
        let (waits, mut returned) =
            expired.map_or((true, Vec::new()), |expired| (expired.waits, expired.returned));
        if waits {
            self.jobs.enqueue(lane.clone(), key, self.state)?;
        } else {
            returned.extend(again);
        }
        if !self.stopped {
            let now = self.job.network.clock.now();
            let jobs = self.jobs.returned_jobs(domain, returned, self.state, &self.job.policy, now.wall)?;
            if let Some(jobs) = jobs {
                self.submit(jobs, now);
            }
        }
        self.fill(&lane)
    }

    /// Submits jobs to a lane while it has room for them.
    fn fill(&mut self, lane: &Arc<str>) -> Result<(), Error> {
        while !self.stopped && self.scheduler.try_admit(lane) {
            self.state.begin_writing()?;
            let now = self.job.network.clock.now();
            let Some(jobs) = self.jobs.next_jobs(lane, self.state, &self.job.policy, now.wall)? else {
                break;
            };
            self.submit(jobs, now);
        }
        Ok(())
    }

    fn submit(&mut self, RoutedJobs { jobs, valid_until }: RoutedJobs, now: Timestamp) {
        let expires = now.elapsed + valid_until.duration_since(now.wall).unwrap_or_default();
        for job in jobs {
            self.scheduler.submit_until(job, expires, now);
        }
    }

    /// Does what the scheduler wants. Nothing leaves for a server before everything that came before it is committed.
    fn act(&mut self) -> Result<(), Error> {
        let mut leaving = Vec::new();
        while let Some(action) = self.scheduler.next_action() {
            match action {
                Action::Record(recorded) => {
                    let egress = self.egresses.id(recorded.egress);
                    self.state.write_reply(self.run.id, egress, &recorded)?;
                }
                Action::Revoked(address) => {
                    self.state.delete_replies(self.run.id, &address)?;
                    self.jobs.forget_facts(&address);
                }
                Action::Completed(results) => {
                    results.into_iter().try_for_each(|result| self.on_completed(result))?;
                }
                Action::DomainFactsChanged(domain, facts) => self.jobs.add_facts(&domain, facts),
                Action::WantsWork(lane) => self.fill(&lane)?,
                Action::Event(event) => self.on_provider_event(&event),
                Action::Connection(action) => leaving.push(action),
            }
        }
        self.state.commit()?;
        for action in leaving {
            match action {
                ConnectionAction::Open(opening) => {
                    self.outcome.counts.connections += 1;
                    self.sessions.open(opening);
                }
                ConnectionAction::Send(session, batch) => {
                    self.sessions.command(session, SessionCommand::Send(batch));
                }
                ConnectionAction::Quit(session) => self.sessions.command(session, SessionCommand::Quit),
            }
        }
        Ok(())
    }

    /// Takes a result. A recipient whose route has expired is probed after a new look-up.
    fn on_completed(&mut self, mut result: ProbeResult) -> Result<(), Error> {
        if result.mailbox.unprobed == Some(NotProbedReason::RouteExpired) {
            if !self.stopped {
                self.jobs.take_back(result.id, result.address);
                return Ok(());
            }
            result.mailbox.unprobed = Some(NotProbedReason::Deadline);
        }
        self.complete(&result)
    }

    /// Stores the result of a recipient, with the verdict that follows from its own evidence.
    fn complete(&mut self, result: &ProbeResult) -> Result<(), Error> {
        let now = self.job.network.clock.now().wall;
        let verdict = judge::recipient(&result.address, &result.mailbox, self.job.policy.lifetimes(), now);
        self.state.write_result(self.run.id, result, verdict, now)?;
        self.progress.advance(1, self.sessions.len());
        Ok(())
    }

    /// Starts nothing more; recipients that are not probed get this reason.
    fn stop(&mut self, reason: NotProbedReason) {
        self.stopped = true;
        let now = self.job.network.clock.now();
        self.abort_at = Some(now.elapsed + GRACE);
        self.scheduler.stop(reason, now);
    }

    /// Aborts what is still in flight.
    fn abort(&mut self) {
        self.abort_at = None;
        self.lookups.abort();
        let now = self.job.network.clock.now();
        for session in self.sessions.abort() {
            self.scheduler.on_session_event(session, SessionEvent::Ended(None), now);
        }
    }

    fn on_session_finished(&mut self, finished: FinishedSession) {
        match finished {
            Ok((_, dialogue)) => self.outcome.dialogues.extend(dialogue),
            Err(fault) => self.on_session_lost(fault.id()),
        }
    }

    /// A session's task panicked or was aborted.
    fn on_session_lost(&mut self, task: task::Id) {
        if let Some(session) = self.sessions.lost(task) {
            tracing::error!(event = "session_failed", session = session.0, "a session failed inside");
            let now = self.job.network.clock.now();
            self.scheduler.on_session_event(session, SessionEvent::Ended(Some(Finding::Internal)), now);
        }
    }

    fn on_provider_event(&mut self, event: &ProviderEvent) {
        let ProviderEvent { kind, provider, egress, recipients } = event;
        tracing::info!(event = kind.word(), %provider, egress, recipients, "{}", kind.sentence());
        *self.outcome.events.entry(*kind).or_default() += 1;
    }

    /// Classifies what a session received, and passes it to the scheduler.
    fn on_event(&mut self, session: SessionId, event: SmtpEvent) {
        let Some(SessionOpening { host, provider, .. }) = self.sessions.opening(session) else {
            return;
        };
        tracing::trace!(event = "session", session = session.0, %host, what = without_text(&event));
        self.outcome.counts.questions += u64::from(matches!(event, SmtpEvent::Reply(..)));
        let replies = &mut self.replies;
        let event = schedule::classify_event(event, |stage, reply| {
            ClassifiedReply::new(replies, stage, provider, reply)
        });
        if matches!(event, SessionEvent::Rejected(_) | SessionEvent::Ended(_) | SessionEvent::TlsFailed) {
            self.sessions.ended(session);
        }
        self.scheduler.on_session_event(session, event, self.job.network.clock.now());
    }
}

/// An event for the log, without the text of replies, which holds addresses.
fn without_text(event: &SmtpEvent) -> String {
    match event {
        SmtpEvent::Ready(_) => "ready".to_owned(),
        SmtpEvent::Reply(_, ProbeReply::Rcpt(reply)) => format!("replied {}", reply.code),
        SmtpEvent::Reply(_, ProbeReply::Mail(reply)) => format!("rejected at mail {}", reply.code),
        SmtpEvent::Reply(_, ProbeReply::NoSmtputf8) => "no smtputf8".to_owned(),
        SmtpEvent::BatchDone => "batch done".to_owned(),
        SmtpEvent::Ended(ended) => format!("ended at {}", ended.stage.word()),
    }
}
