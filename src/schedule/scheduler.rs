//! The state of the scheduler, and the calls of its driver that change it.
//!
//! The driver submits jobs ([`Scheduler::submit`], in `domain_task`), carries out each [`Action`], and calls
//! [`Scheduler::on_session_event`] and [`Scheduler::wake`]. Other files of this room add the rest of `impl
//! Scheduler`; this file calls them, and they call each other, but only through methods.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::action::Action;
use super::endpoint::Endpoint;
use super::health::RunHealth;
use super::job::DomainTask;
use super::lane::{Lane, ProviderState};
use super::limits::{
    DAY, DomainTaskId, EndpointId, LaneId, MachineId, ProviderId, RunLimits, SessionId, Timer,
};
use super::pacing::{Machine, MachineKey, RunClock};
use super::session::{SessionEvent, SessionState};
use crate::evidence::{NotProbedReason, Tally, Timestamp};

/// The scheduler of one run.
#[derive(Debug)]
pub struct Scheduler {
    pub(super) limits: RunLimits,
    pub(super) random: Rng,
    pub(super) clock: RunClock,
    pub(super) now: Timestamp,
    pub(super) providers: Vec<ProviderState>,
    /// Indices of providers by [`Scheduler::lane_key`].
    pub(super) provider_ids: HashMap<Arc<str>, ProviderId>,
    pub(super) lanes: Vec<Lane>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) machines: Vec<Machine>,
    pub(super) machine_ids: HashMap<MachineKey, MachineId>,
    pub(super) tasks: Vec<Option<DomainTask>>,
    /// The number of tasks that have not ended.
    pub(super) open_tasks: usize,
    /// The recipients without an emitted result.
    pub(super) open_recipients: usize,
    pub(super) free_tasks: Vec<DomainTaskId>,
    pub(super) free_slots: FreeSlots,
    pub(super) sessions: HashMap<SessionId, SessionState>,
    /// The idle sessions, oldest first.
    pub(super) idle_sessions: BTreeSet<SessionId>,
    pub(super) next_session: u64,
    pub(super) next_probe: u64,
    pub(super) timers: BTreeSet<(Duration, Timer)>,
    pub(super) actions: VecDeque<Action>,
    /// The run stops: why recipients that were not probed are not.
    pub(super) stopping: Option<NotProbedReason>,
    /// Lanes that need a session but found no free socket, in order of arrival.
    pub(super) waiting_for_socket: VecDeque<LaneId>,
    /// Unknown recipients of lanes that do not exist now, by the key of the provider: the egress, and the time of the
    /// run when the probe is a day ago.
    pub(super) earlier_unknown: HashMap<Arc<str>, Vec<(usize, Duration)>>,
    /// Unknown recipients at machines that do not exist now, each by the time of the run when the probe is a day ago.
    pub(super) earlier_at_machine: HashMap<MachineKey, Vec<Duration>>,
    /// Tallies from before this run was interrupted, by the key of the provider.
    earlier_tallies: HashMap<Arc<str>, Tally>,
    /// [`Scheduler::close_job_source`] was called.
    pub(super) job_source_closed: bool,
    pub(super) health: RunHealth,
}

/// Indices whose contents were evicted.
#[derive(Debug, Default)]
pub(super) struct FreeSlots {
    pub(super) providers: Vec<ProviderId>,
    pub(super) lanes: Vec<LaneId>,
    pub(super) endpoints: Vec<EndpointId>,
    pub(super) machines: Vec<MachineId>,
}

/// Puts `new` into a free slot, or at the end. Returns its index.
pub(super) fn insert_slot<T>(all: &mut Vec<T>, free: &mut Vec<usize>, new: T) -> usize {
    if let Some(id) = free.pop() {
        all[id] = new;
        return id;
    }
    all.push(new);
    all.len() - 1
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
            provider_ids: HashMap::new(),
            lanes: Vec::new(),
            endpoints: Vec::new(),
            machines: Vec::new(),
            machine_ids: HashMap::new(),
            tasks: Vec::new(),
            open_tasks: 0,
            open_recipients: 0,
            free_tasks: Vec::new(),
            free_slots: FreeSlots::default(),
            sessions: HashMap::new(),
            idle_sessions: BTreeSet::new(),
            next_session: 0,
            next_probe: 0,
            timers: BTreeSet::new(),
            actions: VecDeque::new(),
            stopping: None,
            waiting_for_socket: VecDeque::new(),
            earlier_unknown: HashMap::new(),
            earlier_at_machine: HashMap::new(),
            earlier_tallies: HashMap::new(),
            job_source_closed: false,
            health: RunHealth::default(),
        }
    }

    /// Counts unknown recipients that earlier runs probed from `egress` at the provider with this key, `ago` before
    /// this run. They count against the hourly and daily limits as those of this run do. Call it before the first job
    /// is submitted.
    pub fn seed_unknown_usage(&mut self, egress: usize, provider: &str, ago: Duration, unknown: usize) {
        let Some(expires) = DAY.checked_sub(ago) else {
            return;
        };
        let usage = std::iter::repeat_n((egress, expires), unknown);
        self.earlier_unknown.entry(provider.into()).or_default().extend(usage);
    }

    /// Sets the tally of a provider from before this run was interrupted.
    pub fn seed_tally(&mut self, provider: &str, tally: Tally) {
        self.earlier_tallies.insert(provider.into(), tally);
    }

    /// The keys of the providers at which unusually many recipients are unknown, by all replies of the whole run: an
    /// outage of the provider is likelier than so many mailboxes that are gone.
    pub fn anomalous_providers(&self) -> BTreeSet<Arc<str>> {
        let anomaly = self.limits.thresholds.anomaly;
        let mut tallies = self.earlier_tallies.clone();
        for lane in &self.lanes {
            let tally = tallies.entry(self.providers[lane.provider_id].key.clone()).or_default();
            *tally = tally.plus(lane.tally);
        }
        let is_anomalous = |(_, tally): &(Arc<str>, Tally)| tally.is_anomalous(anomaly);
        tallies.into_iter().filter(is_anomalous).map(|(key, _)| key).collect()
    }

    /// Takes out the next action, if there is one.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The time of the run at which [`Scheduler::wake`] must be called, if any.
    pub fn next_wake(&self) -> Option<Duration> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// True if no task and no session is left.
    pub fn is_idle(&self) -> bool {
        self.open_tasks == 0 && self.sessions.is_empty()
    }

    /// Says that no more jobs will be submitted, so idle sessions need not wait for them.
    pub fn close_job_source(&mut self) {
        if !std::mem::replace(&mut self.job_source_closed, true) {
            (0..self.endpoints.len()).for_each(|endpoint| self.send_closing_controls_at(endpoint));
        }
    }

    /// Handles what happened on a session.
    pub fn on_session_event(&mut self, id: SessionId, event: SessionEvent, now: Timestamp) {
        self.set_time(now);
        self.handle_event(id, event);
        self.run_lanes();
    }

    /// Does everything that is due by now.
    pub fn wake(&mut self, now: Timestamp) {
        self.set_time(now);
        while let Some(&(at, timer)) = self.timers.first().filter(|(at, _)| *at <= now.elapsed) {
            self.timers.remove(&(at, timer));
            match timer {
                Timer::Lane(lane) => self.run_lane(lane),
                Timer::DomainTask(task) => self.advance(task),
                Timer::IdleTimeout(session) => self.on_idle_timeout(session),
                Timer::Machine(machine) => self.on_machine_timer(machine),
                Timer::Evict(provider) => self.evict(provider),
            }
        }
        self.run_lanes();
    }

    /// Stops the run: starts nothing more but closing controls, awaits the batches in flight, then completes all
    /// recipients. Those not probed get `unprobed`.
    pub fn stop(&mut self, unprobed: NotProbedReason, now: Timestamp) {
        self.set_time(now);
        self.stopping.get_or_insert(unprobed);
        self.release_all_idle();
        for endpoint in &mut self.endpoints {
            endpoint.queue.clear();
        }
        for id in 0..self.tasks.len() {
            if let Some(task) = self.tasks[id].as_mut() {
                task.is_queued = false;
            }
            self.advance(id);
        }
    }

    /// True if a domain with so many unprobed recipients is large.
    pub(super) fn is_large(&self, unprobed: usize) -> bool {
        self.limits.thresholds.large_domain.is_large(unprobed)
    }

    pub(super) fn set_time(&mut self, now: Timestamp) {
        self.now = now;
        self.clock.set(now.elapsed);
    }
}
