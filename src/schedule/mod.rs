//! The scheduler: a pure state machine, events in, actions out, with the clock and the random source given from outside.
//!
//! Decides: when a connection is opened, which questions fly on it, when a lane rests, who is asked again and where.
//! Must not: open, sleep, read text or judge; so the code that runs on the Internet is the code that runs in the simulator.
//!
//! The order of waiting is lane turn, pace, socket, connect: no socket is held while a lane waits for its turn.
//!
//! - a *course* is one domain's [`Inquiry`] on its way through its exchangers;
//! - a *door* is one address of an operator, shared by the courses of all domains behind it;
//! - a *lane* is one operator from one egress, with one pace for all its doors ([`lane`], [`pace`]).
//!
//! Here are the events; [`Order`]s come in, [`Action`]s go out. `operator` chooses the lane, `course` brings a domain to its
//! next step, `dispatch` starts what may start, `session` hears answers, `trouble` draws the consequences of refusals,
//! `vouching` holds refusals back until they can be believed, `census` tells our trouble from theirs, `retire` forgets operators that were quiet.

mod action;
mod census;
mod course;
mod decision;
mod dispatch;
mod door;
pub mod lane;
mod operator;
mod order;
pub mod pace;
mod queue;
mod retire;
mod session;
#[cfg(test)]
mod tests;
mod trouble;
mod vouching;
mod waiting;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use crate::policy::{Pace, Thresholds};
#[cfg(doc)]
use crate::probe::Inquiry;
use crate::probe::Patience;
use crate::probe::inquiry::Moment;
use crate::smtp::egress::Family;
use crate::verdict::evidence::Unprobed;
pub use action::{Action, Answered, Opening, Wire};
use census::Census;
pub use census::Shut;
use course::Course;
pub use decision::{Decision, Ruling};
use door::Door;
use lane::{Lane, Tally};
use operator::Operator;
pub use order::{Order, Stop};
use pace::RunClock;
use queue::Queue;
use retire::Free;
use session::Session;
pub use session::{Heard, meant};
pub use waiting::{Part, Waiting};

/// Names a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

type CourseId = usize;
type DoorId = usize;
type LaneId = usize;
type OperatorId = usize;

/// Idle sessions wait this long for another question before they say QUIT.
const LINGER: Duration = Duration::from_secs(5);
/// A refused or broken door rests at least this long before the next try.
const REST: Duration = Duration::from_secs(30);
/// What a run allows.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How hard to press.
    pub pace: Pace,
    /// How long transient answers are waited for.
    pub patience: Patience,
    /// Sessions open at once, over all lanes.
    pub sessions: usize,
    /// When conclusions are drawn.
    pub thresholds: &'static Thresholds,
    /// The ways out, at least one, by what each reaches; each has lanes of its own.
    pub egresses: Vec<Family>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Lane(LaneId),
    Course(CourseId),
    Linger(SessionId),
    Retire(OperatorId),
}

/// The scheduler.
#[derive(Debug)]
pub struct Scheduler {
    limits: Limits,
    random: Rng,
    clock: RunClock,
    now: Moment,
    operators: Vec<Operator>,
    /// By key.
    operator_of: HashMap<Arc<str>, OperatorId>,
    lanes: Vec<Lane>,
    doors: Vec<Door>,
    courses: Vec<Option<Course>>,
    /// Courses that are not settled.
    open_courses: usize,
    free_courses: Vec<CourseId>,
    free: Free,
    sessions: HashMap<SessionId, Session>,
    /// Those that are idle, the oldest first.
    idle: BTreeSet<SessionId>,
    next_session: u64,
    next_ask: u64,
    timers: BTreeSet<(Duration, Timer)>,
    actions: VecDeque<Action>,
    stopping: Option<Unprobed>,
    /// Lanes that found no free socket.
    starved: VecDeque<LaneId>,
    /// Unknown recipients asked about over lanes that are not there, by operator: the egress, and when each will be a day
    /// ago.
    earlier: HashMap<Arc<str>, Vec<(usize, Duration)>>,
    /// What operators answered in the part of the run that was before, by their keys.
    tallied: HashMap<Arc<str>, Tally>,
    /// No more orders will come.
    has_all_orders: bool,
    census: Census,
}

impl Scheduler {
    /// A scheduler at the start of a run.
    pub fn new(limits: Limits, random: Rng, now: Moment) -> Scheduler {
        Scheduler {
            limits,
            random,
            clock: RunClock::default(),
            now,
            operators: Vec::new(),
            operator_of: HashMap::new(),
            lanes: Vec::new(),
            doors: Vec::new(),
            courses: Vec::new(),
            open_courses: 0,
            free_courses: Vec::new(),
            free: Free::default(),
            sessions: HashMap::new(),
            idle: BTreeSet::new(),
            next_session: 0,
            next_ask: 0,
            timers: BTreeSet::new(),
            actions: VecDeque::new(),
            stopping: None,
            starved: VecDeque::new(),
            earlier: HashMap::new(),
            tallied: HashMap::new(),
            has_all_orders: false,
            census: Census::default(),
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
        self.open_courses == 0 && self.sessions.is_empty()
    }

    /// Are we shut out everywhere?
    pub fn shut(&self) -> Option<Shut> {
        self.census.shut(self.limits.thresholds)
    }

    /// No more orders will come: sessions need not be kept for them.
    pub fn has_all_orders(&mut self) {
        if !std::mem::replace(&mut self.has_all_orders, true) {
            (0..self.doors.len()).for_each(|door| self.prove_at(door));
        }
    }

    /// Tells what happened on a session.
    pub fn hear(&mut self, id: SessionId, heard: Heard, now: Moment) {
        self.set_time(now);
        self.hear_session(id, heard);
        self.run_lanes();
    }

    /// Does what is due.
    pub fn wake(&mut self, now: Moment) {
        self.set_time(now);
        while let Some(&(at, timer)) = self.timers.first().filter(|(at, _)| *at <= now.elapsed) {
            self.timers.remove(&(at, timer));
            match timer {
                Timer::Lane(lane) => self.run_lane(lane),
                Timer::Course(course) => self.go_on(course),
                Timer::Linger(session) => self.stop_lingering(session),
                Timer::Retire(operator) => self.retire(operator),
            }
        }
        self.run_lanes();
    }

    /// Starts nothing more but the closing controls, lets flights land, then settles everything; what was not asked gets
    /// `unprobed`.
    pub fn stop(&mut self, unprobed: Unprobed, now: Moment) {
        self.set_time(now);
        self.stopping.get_or_insert(unprobed);
        self.leave_all();
        for door in &mut self.doors {
            door.courses = Queue::default();
        }
        for id in 0..self.courses.len() {
            if let Some(course) = self.courses[id].as_mut() {
                course.queued = false;
            }
            self.go_on(id);
        }
    }

    fn set_time(&mut self, now: Moment) {
        self.now = now;
        self.clock.set(now.elapsed);
    }
}
