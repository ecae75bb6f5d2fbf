//! Asks: looks up routes, runs the scheduler, holds the sessions it wants, and gathers what comes back.
//!
//! This file is the loop, the one place that waits. [`lookups`] asks the DNS, [`sessions`] holds the sessions, [`run`] does
//! what is due after each event, [`outcome`] is what comes of it. Decides: nothing but the order of select.

mod lookups;
mod outcome;
mod run;
mod sessions;
#[cfg(test)]
mod tests;

use std::future::{pending, ready};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{sleep, sleep_until};

use super::cancel::CancelToken;
use super::network::{Network, NetworkJob};
use super::progress::ProgressReporter;
use crate::error::Error;
use crate::evidence::{NotProbedReason, Timestamp};
use crate::policy::{Pace, Policy};
use crate::settings::RunDepth;
use crate::state::{FreshnessPolicy, RunHandle, State};
use run::ProbingRun;

pub use outcome::RunOutcome;

/// Events heard at once, and stored in one transaction.
const EVENTS: usize = 1024;

/// Domains looked up at once. More bought nothing where it was measured.
pub(super) const LOOKUPS: usize = 256;

/// How long a stopped run waits for answers that are under way: service managers wait ten seconds and more.
const GRACE: Duration = Duration::from_secs(5);

/// The time of day is looked at this often: after a machine has slept it is later than the run believes.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(30);

/// What a run asks for.
pub struct ProbeJob {
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
    /// At which time of day nothing new is started.
    pub deadline: Option<SystemTime>,
    /// Sessions open at once.
    pub sessions: usize,
    /// Keep the dialogues.
    pub trace: bool,
}

impl ProbeJob {
    /// What the settings ask for.
    pub(super) fn of(job: NetworkJob<'_>, trace: bool) -> Result<ProbeJob, Error> {
        let NetworkJob { settings, policy, network, .. } = job;
        let network = Arc::new(network);
        Ok(ProbeJob {
            policy,
            dns_only: matches!(settings.depth, RunDepth::Dns(_)),
            pace: settings.pace,
            max_wait: settings.max_wait,
            max_duration: settings.max_duration,
            deadline: match &settings.deadline {
                None => None,
                Some(deadline) => Some(deadline.next(network.clock.now().wall)?),
            },
            sessions: settings.connections,
            trace,
            network,
        })
    }

    /// How long something new may be started; `None` is for ever.
    fn time_left(&self, now: Timestamp) -> Option<Duration> {
        let by_run = self.max_duration.map(|most| most.saturating_sub(now.elapsed));
        let by_day = self.deadline.map(|at| at.duration_since(now.wall).unwrap_or_default());
        by_run.into_iter().chain(by_day).min()
    }
}

/// Asks about everybody in the roster of a run. What is found out is in the state when this returns.
pub async fn ask(
    job: &ProbeJob,
    state: &mut State,
    begun: RunHandle,
    fresh: FreshnessPolicy,
    cancel: &CancelToken,
    progress: &mut ProgressReporter<'_>,
) -> Result<RunOutcome, Error> {
    let (mut run, mut events) = ProbingRun::new(job, state, (begun, fresh), progress)?;
    let mut heard = Vec::with_capacity(EVENTS);
    loop {
        // Here, and not where it is waited for: events that never cease would come first for ever.
        if !run.stopped {
            run.outcome.out_of_time =
                job.time_left(job.network.clock.now()).is_some_and(|left| left.is_zero());
            if run.outcome.out_of_time || cancel.requested().is_some() {
                run.stop(NotProbedReason::Deadline);
            }
        }
        run.look_up()?;
        run.act()?;
        if !run.stopped
            && let Some(shut) = run.scheduler.shut()
        {
            run.outcome.whole.shut = Some(shut);
            run.stop(NotProbedReason::ProviderPaused);
            run.act()?;
        }
        if run.is_over() {
            break;
        }
        let wake = run.scheduler.next_wake();
        let may_look_up = run.may_look_up();
        // In this order, so that a world always tells the same story.
        tokio::select! {
            biased;
            _ = events.recv_many(&mut heard, EVENTS) => {
                for (session, event) in heard.drain(..) {
                    run.hear(session, event);
                }
                // Where events never cease, nobody else would come to these: what is over holds its memory, and what is due
                // is late.
                while let Some(over) = run.calls.try_next_over() {
                    run.over(over);
                }
                let now = job.network.clock.now();
                if wake.is_some_and(|at| at <= now.elapsed) {
                    run.scheduler.wake(now);
                }
            }
            Some(over) = run.lookups.next_over() => {
                run.looked_up(over)?;
                while let Some(over) = run.lookups.try_next_over() {
                    run.looked_up(over)?;
                }
            }
            Some(over) = run.calls.next_over() => run.over(over),
            () = until(job, wake) => run.scheduler.wake(job.network.clock.now()),
            () = out_of_time(job), if !run.stopped => {}
            () = cancel.canceled(), if !run.stopped => {}
            () = until(job, run.cut_at) => run.cut(),
            () = ready(()), if may_look_up => {}
        }
    }
    run.state.commit()?;
    let ProbingRun { mut outcome, scheduler, .. } = run;
    outcome.whole.anomalies = scheduler.anomalies();
    // What was under way may have been the rest.
    outcome.out_of_time &= state.still_to_ask(begun.id)? > 0;
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
        sleep(left.min(LOOK_AT_CLOCK)).await;
    }
    pending::<()>().await;
}
