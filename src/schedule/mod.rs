//! The scheduler: a pure state machine, events in, actions out, with the clock and the random source given from outside.
//!
//! Decides: when a connection is opened, which questions fly on it, when a lane rests, who is asked again and where.
//! Must not: open, sleep, read text or judge; so the code that runs on the Internet is the code that runs in the simulator.
//!
//! The order of waiting is lane turn, pace, socket, connect: no socket is held while a lane waits for its turn.
//!
//! - a *course* is one domain's [`DomainProbe`] on its way through its exchangers;
//! - a *door* is one address of an operator, shared by the courses of all domains behind it;
//! - a *lane* is one operator from one egress, with one pace for all its doors ([`lane`], [`pace`]).
//!
//! Here are the events; [`DomainJob`]s come in, [`Action`]s go out. `provider` chooses the lane, `task` brings a domain to its
//! next step, `dispatch` starts what may start, `session` hears answers, `obstacle` draws the consequences of refusals,
//! `provisional` holds refusals back until they can be believed, `run_health` tells our trouble from theirs, `eviction` forgets operators that were quiet.

mod action;
mod backlog;
mod backoff;
mod dispatch;
mod domain_task;
mod endpoint;
mod eviction;
mod job;
mod lane;
mod pace;
mod provider;
mod provider_event;
mod provisional;
mod queue;
mod run_health;
mod session;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use crate::evidence::{NotProbedReason, Tally, Timestamp};
use crate::policy::{Pace, Thresholds};
use crate::probe::RetryPolicy;
use crate::smtp::IpFamilies;
use domain_task::DomainTask;
use endpoint::Endpoint;
use eviction::FreeSlots;
use lane::Lane;
use pace::RunClock;
use provider::ProviderState;
use queue::EndpointQueue;
use run_health::RunHealth;
use session::SessionState;

pub use crate::evidence::RecordedReply;
#[cfg(doc)]
use crate::probe::DomainProbe;
pub use action::{Action, ConnectionAction, SessionOpening};
pub use backlog::{Backlog, DomainPart};
pub use job::{DomainJob, MxHop};
pub use provider_event::{ProviderEvent, ProviderEventKind};
pub use run_health::RunBlocked;
pub use session::{SessionEvent, meant};

/// Names a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

type DomainTaskId = usize;
type EndpointId = usize;
type LaneId = usize;
type ProviderId = usize;

/// Idle sessions wait this long for another question before they say QUIT.
const LINGER: Duration = Duration::from_secs(5);
/// A refused or broken door rests at least this long before the next try.
const REST: Duration = Duration::from_secs(30);
/// What a run allows.
#[derive(Clone, Debug)]
pub struct RunLimits {
    /// How hard to press.
    pub pace: Pace,
    /// How long transient answers are waited for.
    pub retry_policy: RetryPolicy,
    /// Sessions open at once, over all lanes.
    pub sessions: usize,
    /// When conclusions are drawn.
    pub thresholds: &'static Thresholds,
    /// The ways out, at least one, by what each reaches; each has lanes of its own.
    pub egresses: Vec<IpFamilies>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Lane(LaneId),
    DomainTask(DomainTaskId),
    Linger(SessionId),
    Retire(ProviderId),
}

/// The scheduler.
#[derive(Debug)]
pub struct Scheduler {
    limits: RunLimits,
    random: Rng,
    clock: RunClock,
    now: Timestamp,
    providers: Vec<ProviderState>,
    /// By key.
    provider_of: HashMap<Arc<str>, ProviderId>,
    lanes: Vec<Lane>,
    endpoints: Vec<Endpoint>,
    tasks: Vec<Option<DomainTask>>,
    /// Courses that are not settled.
    open_tasks: usize,
    free_tasks: Vec<DomainTaskId>,
    free: FreeSlots,
    sessions: HashMap<SessionId, SessionState>,
    /// Those that are idle, the oldest first.
    idle: BTreeSet<SessionId>,
    next_session: u64,
    next_probe: u64,
    timers: BTreeSet<(Duration, Timer)>,
    actions: VecDeque<Action>,
    stopping: Option<NotProbedReason>,
    /// Lanes that found no free socket.
    starved: VecDeque<LaneId>,
    /// Unknown recipients asked about over lanes that are not there, by operator: the egress, and when each will be a day
    /// ago.
    earlier: HashMap<Arc<str>, Vec<(usize, Duration)>>,
    /// What operators answered in the part of the run that was before, by their keys.
    tallied: HashMap<Arc<str>, Tally>,
    /// No more orders will come.
    close_job_source: bool,
    census: RunHealth,
}

impl Scheduler {
    /// A scheduler at the start of a run.
    pub fn new(limits: RunLimits, random: Rng, now: Timestamp) -> Scheduler {
        Scheduler {
            limits,
            random,
            clock: RunClock::default(),
            now,
            providers: Vec::new(),
            provider_of: HashMap::new(),
            lanes: Vec::new(),
            endpoints: Vec::new(),
            tasks: Vec::new(),
            open_tasks: 0,
            free_tasks: Vec::new(),
            free: FreeSlots::default(),
            sessions: HashMap::new(),
            idle: BTreeSet::new(),
            next_session: 0,
            next_probe: 0,
            timers: BTreeSet::new(),
            actions: VecDeque::new(),
            stopping: None,
            starved: VecDeque::new(),
            earlier: HashMap::new(),
            tallied: HashMap::new(),
            close_job_source: false,
            census: RunHealth::default(),
        }
    }

    /// Unknown recipients that an operator was asked about in earlier runs, so long ago: they count against its caps as
    /// long as those of this run do. Call it before the first order.
    pub fn spent(&mut self, egress: usize, operator: &str, ago: Duration, unknown: usize) {
        let Some(forgotten) = lane::DAY.checked_sub(ago) else {
            return;
        };
        let spent = std::iter::repeat_n((egress, forgotten), unknown);
        self.earlier.entry(operator.into()).or_default().extend(spent);
    }

    /// What an operator answered when this run was interrupted.
    pub fn tallied(&mut self, operator: &str, tally: Tally) {
        self.tallied.insert(operator.into(), tally);
    }

    /// The next thing to do, if there is one.
    pub fn action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The time of the run at which [`Scheduler::wake`] wants to be called.
    pub fn next_wake(&self) -> Option<Duration> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Nothing is open and nothing is to come, unless more is ordered.
    pub fn is_idle(&self) -> bool {
        self.open_tasks == 0 && self.sessions.is_empty()
    }

    /// Are we shut out everywhere?
    pub fn shut(&self) -> Option<RunBlocked> {
        self.census.shut(self.limits.thresholds)
    }

    /// No more orders will come: sessions need not be kept for them.
    pub fn close_job_source(&mut self) {
        if !std::mem::replace(&mut self.close_job_source, true) {
            (0..self.endpoints.len()).for_each(|endpoint| self.send_closing_controls_at(endpoint));
        }
    }

    /// Tells what happened on a session.
    pub fn hear(&mut self, id: SessionId, heard: SessionEvent, now: Timestamp) {
        self.set_time(now);
        self.dispatch_event(id, heard);
        self.run_lanes();
    }

    /// Does what is due.
    pub fn wake(&mut self, now: Timestamp) {
        self.set_time(now);
        while let Some(&(at, timer)) = self.timers.first().filter(|(at, _)| *at <= now.elapsed) {
            self.timers.remove(&(at, timer));
            match timer {
                Timer::Lane(lane) => self.run_lane(lane),
                Timer::DomainTask(task) => self.go_on(task),
                Timer::Linger(session) => self.on_idle_timeout(session),
                Timer::Retire(operator) => self.retire(operator),
            }
        }
        self.run_lanes();
    }

    /// Starts nothing more but the closing controls, lets flights land, then settles everything; what was not asked gets
    /// `unprobed`.
    pub fn stop(&mut self, unprobed: NotProbedReason, now: Timestamp) {
        self.set_time(now);
        self.stopping.get_or_insert(unprobed);
        self.leave_all();
        for endpoint in &mut self.endpoints {
            endpoint.tasks = EndpointQueue::default();
        }
        for id in 0..self.tasks.len() {
            if let Some(task) = self.tasks[id].as_mut() {
                task.queued = false;
            }
            self.go_on(id);
        }
    }

    fn set_time(&mut self, now: Timestamp) {
        self.now = now;
        self.clock.set(now.elapsed);
    }
}

pub use lane::FLIGHT;
