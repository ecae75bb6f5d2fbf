//! The scheduler: a pure state machine, events in, actions out, with the clock and the random source given from outside.
//!
//! Decides: when a connection is opened, which questions fly on it, when a lane rests, who is asked again and where.
//! Must not: open, sleep, read text or judge; so the code that runs on the Internet is the code that runs in the simulator.
//!
//! The order of waiting is lane turn, pace, socket, connect: no socket is held while a lane waits for its turn.
//!
//! - a *course* is one domain's [`Inquiry`] on its way through its exchangers;
//! - a *door* is one address of an operator, shared by the courses of all domains behind it;
//! - a *lane* is one operator, with one pace for all its doors ([`lane`], [`pace`]).
//!
//! Here is what comes in and goes out; `course` brings a domain to its next step, `dispatch` starts what may start,
//! `session` hears answers, `trouble` draws the consequences of refusals, `census` tells our trouble from theirs.

mod census;
mod course;
mod dispatch;
pub mod lane;
pub mod pace;
mod queue;
mod session;
#[cfg(test)]
mod tests;
mod trouble;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use crate::address::{Address, Domain};
use crate::policy::{Pace, Provider};
use crate::probe::inquiry::{Expectation, Moment, Target};
use crate::probe::{Inquiry, Known, Listed, Patience, Who, control};
use crate::smtp::session::Flight;
use crate::verdict::evidence::{Attempt, Inquired, Unprobed};
use census::Census;
pub use census::Shut;
use course::Course;
use lane::{Door, Lane, Tally};
use pace::RunClock;
use queue::Queue;
use session::Session;
pub use session::{Heard, meant};

/// Names a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

type CourseId = usize;
type DoorId = usize;
type LaneId = usize;

/// Idle sessions wait this long for another question before they say QUIT.
const LINGER: Duration = Duration::from_secs(2);
/// A refused or broken door rests at least this long before the next try.
const REST: Duration = Duration::from_secs(30);
/// Addresses of one domain that are worth a connection of their own from another egress.
const SHARE: usize = 500;

/// What a run allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How hard to press.
    pub pace: Pace,
    /// How long transient answers are waited for.
    pub patience: Patience,
    /// Sessions open at once, over all lanes.
    pub sessions: usize,
    /// Source addresses; each has lanes of its own.
    pub egresses: usize,
}

/// A domain to ask about, or a part of a long one.
#[derive(Debug)]
pub struct Order {
    /// The domain.
    pub domain: Domain,
    /// Its exchangers, best first, each with its operator.
    pub exchangers: Vec<Stop>,
    /// Its listed addresses.
    pub listed: Vec<Listed>,
    /// What is known about it already.
    pub known: Known,
}

/// An exchanger with its operator.
#[derive(Clone, Debug)]
pub struct Stop {
    /// The exchanger's name.
    pub host: Domain,
    /// Its addresses; at least one.
    pub addresses: Vec<IpAddr>,
    /// Who runs it.
    pub provider: Arc<Provider>,
}

/// What the world outside has to do.
#[derive(Debug)]
pub enum Action {
    /// Open a session.
    Open(Opening),
    /// Send a flight on a session that is ready.
    Fly(SessionId, Flight),
    /// Say QUIT.
    Quit(SessionId),
    /// Keep an answer: it counts. Comes before everything that follows from it.
    Answered(Answered),
    /// What was found out about an address; never again for the same one.
    Settled(Target, Inquired),
    /// What was learnt about a domain: for its other parts, and for later runs.
    Learnt(Domain, Known),
    /// A lane that had no room ([`Scheduler::has_room`]) wants more work.
    Room(Arc<str>),
}

/// An answer that counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The domain asked about.
    pub domain: Domain,
    /// Whom the question was about.
    pub who: Who,
    /// The address in the question.
    pub address: Address,
    /// What was said, by whom and when.
    pub attempt: Attempt,
    /// From which source address, counted from 0.
    pub egress: usize,
    /// What the lane is keyed by.
    pub lane: Arc<str>,
}

/// A session to open.
#[derive(Clone, Debug, PartialEq)]
pub struct Opening {
    /// Its name from now on.
    pub session: SessionId,
    /// From which source address, counted from 0.
    pub egress: usize,
    /// The exchanger.
    pub host: Domain,
    /// Its address; the port is the run's.
    pub address: IpAddr,
    /// Whether to say STARTTLS when it is offered.
    pub tls: bool,
    /// Who runs it.
    pub provider: Arc<Provider>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Lane(LaneId),
    Course(CourseId),
    Linger(SessionId),
}

/// The scheduler.
#[derive(Debug)]
pub struct Scheduler {
    limits: Limits,
    random: Rng,
    clock: RunClock,
    now: Moment,
    lanes: Vec<Lane>,
    /// By egress and key.
    lane_of: HashMap<(usize, Arc<str>), LaneId>,
    doors: Vec<Door>,
    courses: Vec<Option<Course>>,
    /// Courses that are not settled.
    open_courses: usize,
    free_courses: Vec<CourseId>,
    sessions: HashMap<SessionId, Session>,
    next_session: u64,
    next_ask: u64,
    timers: BTreeSet<(Duration, Timer)>,
    actions: VecDeque<Action>,
    stopping: Option<Unprobed>,
    /// Lanes that found no free socket.
    starved: VecDeque<LaneId>,
    /// Keys of lanes whose orders wait outside.
    crowded: HashSet<Arc<str>>,
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
            lanes: Vec::new(),
            lane_of: HashMap::new(),
            doors: Vec::new(),
            courses: Vec::new(),
            open_courses: 0,
            free_courses: Vec::new(),
            sessions: HashMap::new(),
            next_session: 0,
            next_ask: 0,
            timers: BTreeSet::new(),
            actions: VecDeque::new(),
            stopping: None,
            starved: VecDeque::new(),
            crowded: HashSet::new(),
            census: Census::default(),
        }
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

    /// Keys of the lanes at which too many mailboxes vanished at once, over all egresses.
    pub fn anomalies(&self) -> BTreeSet<Arc<str>> {
        let mut tallies: HashMap<&Arc<str>, Tally> = HashMap::new();
        for lane in &self.lanes {
            let tally = tallies.entry(&lane.key).or_default();
            *tally = tally.and(lane.tally);
        }
        tallies.into_iter().filter(|(_, tally)| tally.is_anomalous()).map(|(key, _)| key.clone()).collect()
    }

    /// Should an order for this lane be placed now? Where not, it can wait outside, at no cost for anybody:
    /// [`Action::Room`] calls for it before the lane runs dry.
    pub fn has_room(&mut self, key: &Arc<str>) -> bool {
        let egresses = self.limits.egresses;
        let lanes = (0..egresses).filter_map(|egress| self.lane_of.get(&(egress, key.clone())));
        let (mut backlog, mut first) = (0, None);
        for &lane in lanes {
            backlog += self.lanes[lane].backlog;
            first = first.or(Some(lane));
        }
        let Some(first) = first else { return true };
        let has_room = backlog < self.lanes[first].plenty() * egresses;
        if !has_room {
            self.crowded.insert(key.clone());
        }
        has_room
    }

    /// Are we shut out everywhere?
    pub fn shut(&self) -> Option<Shut> {
        self.census.shut()
    }

    /// What lanes are keyed by: the operator, or the set of MX hosts where nobody knows the operator.
    pub fn lane_key(stops: &[Stop], stop: &Stop) -> Arc<str> {
        if stop.provider.is_known() {
            return stop.provider.id.clone();
        }
        let mut hosts: Vec<&str> =
            stops.iter().filter(|stop| !stop.provider.is_known()).map(|stop| stop.host.as_str()).collect();
        hosts.sort_unstable();
        hosts.join(" ").into()
    }

    /// Takes on a domain. One with many addresses is shared by the egresses.
    pub fn order(&mut self, order: Order, now: Moment) {
        self.set_time(now);
        let Some(first) = order.exchangers.first() else {
            return;
        };
        let key = Self::lane_key(&order.exchangers, first);
        let Order { domain, exchangers, mut listed, known } = order;
        let shares = (listed.len() / SHARE).clamp(1, self.limits.egresses);
        let share = listed.len().div_ceil(shares);
        while listed.len() > share {
            let part = listed.split_off(listed.len() - share);
            let egress = self.egress_for(&key);
            self.take_on(egress, domain.clone(), &exchangers, part, known.clone());
        }
        let egress = self.egress_for(&key);
        self.take_on(egress, domain, &exchangers, listed, known);
        self.run_lanes();
    }

    /// The egress for a part of an operator's addresses: the first that has little to do, so that few connections bear
    /// a trickle; where all have enough, the one that has least. Operators start with different egresses.
    fn egress_for(&mut self, key: &Arc<str>) -> usize {
        let egresses = self.limits.egresses;
        if egresses == 1 {
            return 0;
        }
        let first = key.bytes().fold(0, |sum: usize, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let in_turn = (0..egresses).map(|step| first.wrapping_add(step) % egresses);
        let backlog = |egress: &usize| {
            let lane = self.lane_of.get(&(*egress, key.clone()));
            lane.map_or(0, |&lane| self.lanes[lane].backlog_beyond_little())
        };
        in_turn.min_by_key(backlog).unwrap_or(0)
    }

    fn take_on(
        &mut self,
        egress: usize,
        domain: Domain,
        exchangers: &[Stop],
        listed: Vec<Listed>,
        known: Known,
    ) {
        let stops: VecDeque<(Stop, LaneId)> = exchangers
            .iter()
            .map(|stop| {
                let lane = self.lane(egress, Self::lane_key(exchangers, stop), &stop.provider);
                (stop.clone(), lane)
            })
            .collect();
        let Some((first, lane)) = stops.front() else {
            return;
        };
        let home = *lane;
        self.lanes[home].backlog += listed.len();
        let share = first.provider.catch_all_share;
        let expectation = Expectation {
            made_up_first: first.provider.is_known() && control::goes_first(share, listed.len()),
            never_catch_all: first.provider.is_known() && share == 0.0,
        };
        let hosts: Vec<Domain> = exchangers.iter().map(|stop| stop.host.clone()).collect();
        let patience = self.limits.patience;
        let inquiry = Inquiry::new(domain, hosts, listed, known, expectation, patience, self.now);
        let was_told = inquiry.is_decided();
        let course = Course { inquiry, stops, home, was_told, door: None, queued: false, begun: false };
        self.open_courses += 1;
        let id = if let Some(id) = self.free_courses.pop() {
            self.courses[id] = Some(course);
            id
        } else {
            self.courses.push(Some(course));
            self.courses.len() - 1
        };
        self.go_on(id);
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
            }
        }
        self.run_lanes();
    }

    /// Starts nothing more, lets flights land, then settles everything; what was not asked gets `unprobed`.
    pub fn stop(&mut self, unprobed: Unprobed, now: Moment) {
        self.set_time(now);
        self.stopping.get_or_insert(unprobed);
        let idle: Vec<SessionId> =
            self.doors.iter_mut().flat_map(|door| std::mem::take(&mut door.idle)).collect();
        for session in idle {
            self.quit(session);
        }
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

    fn lane(&mut self, egress: usize, key: Arc<str>, provider: &Arc<Provider>) -> LaneId {
        *self.lane_of.entry((egress, key.clone())).or_insert_with(|| {
            let lane = Lane::new(key, provider.clone(), egress, self.limits.pace, &self.clock);
            self.lanes.push(lane);
            self.lanes.len() - 1
        })
    }
}
