//! The probing pass of a run: looks up routes, drives the scheduler, runs the sessions that it wants, and stores what
//! they return.
//!
//! The loop of [`probe`] is the only place that waits; [`Engine`] is what is done between two events, and
//! [`super::tasks`] holds look-ups and sessions. Decides: that a reply is classified once, when it arrives, and stored
//! before anything that follows from it is done. What is probed when is decided by the scheduler, what a reply means by
//! the policy.

mod blocked;
mod lookups;
#[cfg(test)]
mod tests;

use std::future::{pending, ready};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{self, JoinSet};
use tokio::time::{sleep, sleep_until};

use super::cancel::CancelToken;
use super::job_source::{EgressIds, JobSource};
use super::judge;
use super::name_servers::NameServerHealth;
use super::probe_job::{ProbeJob, RunOutcome};
use super::progress::ProgressReporter;
use super::tasks::{FinishedSession, LookupTasks, SessionTasks};
use crate::error::Error;
use crate::evidence::{ClassifiedReply, NotProbedReason, ProbeResult};
use crate::policy::{ReplyCache, RetryPolicy};
use crate::reason::Finding;
use crate::schedule::{
    self, Action, ConnectionAction, ProviderEvent, RunLimits, Scheduler, SessionEvent, SessionId,
    SessionOpening,
};
use crate::smtp::{ProbeReply, SessionCommand, SmtpEvent};
use crate::state::{FreshnessPolicy, RunHandle, State};

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
            engine.on_name_servers_lost();
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
        let retry_policy = RetryPolicy::new(job.max_wait, job.policy.retry());
        let limits = RunLimits {
            pace: job.pace,
            retry_policy,
            sessions: job.sessions,
            thresholds: job.policy.thresholds(),
            confirm: job.confirm,
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
            jobs: JobSource::new(
                run,
                fresh,
                retry_policy,
                job.policy.thresholds().large_domain,
                egresses.clone(),
            ),
            egresses,
            lookups: LookupTasks::new(job.network.clone()),
            health: NameServerHealth::new(job.policy.thresholds().name_servers, retry_policy),
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
                    self.sessions.open(opening, self.job.network.clock.now().elapsed);
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
                self.jobs.return_recipient(result.id, result.address);
                return Ok(());
            }
            result.mailbox.unprobed = Some(NotProbedReason::Deadline);
        }
        self.complete(&result)
    }

    /// Stores the result of a recipient, with the verdict that follows from its own evidence.
    fn complete(&mut self, result: &ProbeResult) -> Result<(), Error> {
        let now = self.job.network.clock.now().wall;
        let verdict = judge::recipient(&result.address, &result.mailbox, &self.job.policy, now);
        self.state.write_result(self.run.id, result, verdict, now)?;
        self.progress.advance(1, self.sessions.len());
        Ok(())
    }

    /// Starts nothing more; recipients that are not probed get this reason.
    fn stop(&mut self, reason: NotProbedReason) {
        self.stopped = true;
        let now = self.job.network.clock.now();
        self.abort_at = Some(now.elapsed + GRACE);
        let silence = self.job.policy.thresholds().silence.shortest();
        for session in self.sessions.silent_since(now.elapsed.saturating_sub(silence)) {
            self.scheduler.note_silence(session);
        }
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
        let now = self.job.network.clock.now();
        self.sessions.on_event(session);
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
        self.scheduler.on_session_event(session, event, now);
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
