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

pub mod lane;
pub mod pace;
mod queue;
mod session;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use crate::address::{Address, Domain};
use crate::policy::{Pace, Provider};
use crate::probe::inquiry::{Expectation, Moment, Next, Target};
use crate::probe::{Inquiry, Patience, control};
use crate::reason::{Fault, Finding};
use crate::smtp::session::Flight;
use crate::verdict::evidence::{Inquired, Obstacle, Said, Unprobed};
use lane::{Door, DoorTls, Lane, Tally};
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
/// Questions that a session is expected to bear for each refused recipient that it may have; a guess that only decides
/// how many sessions are opened at once where few questions are left.
const PROBES_PER_REFUSAL: u32 = 2;
/// A refused or broken door rests at least this long before the next try.
const REST: Duration = Duration::from_secs(30);
/// Addresses of one domain that are worth a connection of their own from another egress.
const SHARE: usize = 500;
/// Sessions that broke in a row, without one answer, before a door is given up.
const STRIKES: u32 = 2;

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

/// A domain to ask about.
#[derive(Debug)]
pub struct Order {
    /// The domain.
    pub domain: Domain,
    /// Its exchangers, best first, each with its operator.
    pub exchangers: Vec<Stop>,
    /// Its listed addresses.
    pub listed: Vec<(Target, Address)>,
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
    /// What was found out about an address; never again for the same one.
    Settled(Target, Inquired),
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

/// Why the whole run can't get out. Nothing that servers said in such a run is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// No connection at all came about.
    PortClosed,
    /// Nearly every operator refuses us.
    RefusedEverywhere,
}

/// Operators that must have failed, without one connection, before port 25 is called closed.
const CLOSED_OPERATORS: usize = 5;
/// Share of the operators tried until now that they must be, in percent.
const UNREACHABLE_PERCENT: usize = 90;
/// Operators that must have answered before "everybody refuses us" can be said.
const HEARD_OPERATORS: usize = 8;
/// Share of them that refused us, in percent.
const REFUSING_PERCENT: usize = 80;

/// One domain on its way.
#[derive(Debug)]
struct Course {
    inquiry: Inquiry,
    /// The exchangers left, the front one is being asked; in step with the inquiry's.
    stops: VecDeque<(Stop, LaneId)>,
    /// The lane that it was ordered at, and with how many addresses.
    home: LaneId,
    size: usize,
    /// Where its questions wait, or were last asked.
    door: Option<DoorId>,
    /// It stands in its door's queue.
    queued: bool,
    /// It was asked about already.
    begun: bool,
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
    census: Census,
}

/// How the operators received us.
#[derive(Clone, Copy, Debug, Default)]
struct Census {
    /// A connection came about, whatever was said on it.
    connected: bool,
    /// Lanes to which a connection was tried.
    tried: usize,
    /// Lanes that answered a question or refused us.
    answered: usize,
    /// Lanes that are left alone because they refuse us.
    refused: usize,
    /// Lanes with a door that could not be reached.
    unreachable: usize,
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

    /// What an operator's answers were, by lane key (see [`Scheduler::lane_key`]).
    pub fn tally(&self, key: &str) -> Option<Tally> {
        let key: Arc<str> = key.into();
        let lanes = (0..self.limits.egresses).filter_map(|egress| self.lane_of.get(&(egress, key.clone())));
        lanes.map(|&lane| self.lanes[lane].tally).reduce(Tally::and)
    }

    /// Are we shut out everywhere?
    pub fn shut(&self) -> Option<Shut> {
        let Census { connected, tried, answered, refused, unreachable } = self.census;
        if !connected {
            // Dead hosts may fail faster than a living one greets.
            let nowhere = unreachable >= CLOSED_OPERATORS && unreachable * 100 >= tried * UNREACHABLE_PERCENT;
            return nowhere.then_some(Shut::PortClosed);
        }
        let everywhere = answered >= HEARD_OPERATORS && refused * 100 >= answered * REFUSING_PERCENT;
        everywhere.then_some(Shut::RefusedEverywhere)
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
        let Order { domain, exchangers, mut listed } = order;
        let shares = (listed.len() / SHARE).clamp(1, self.limits.egresses);
        let share = listed.len().div_ceil(shares);
        while listed.len() > share {
            let part = listed.split_off(listed.len() - share);
            let egress = self.egress_for(&key);
            self.take_on(egress, domain.clone(), &exchangers, part);
        }
        let egress = self.egress_for(&key);
        self.take_on(egress, domain, &exchangers, listed);
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
        listed: Vec<(Target, Address)>,
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
        let (home, size) = (*lane, listed.len());
        self.lanes[home].backlog += size;
        let share = first.provider.catch_all_share;
        let expectation = Expectation {
            made_up_first: first.provider.is_known() && control::goes_first(share, listed.len()),
            never_catch_all: first.provider.is_known() && share == 0.0,
        };
        let hosts: Vec<Domain> = exchangers.iter().map(|stop| stop.host.clone()).collect();
        let inquiry = Inquiry::new(domain, hosts, listed, expectation, self.limits.patience);
        let course = Course { inquiry, stops, home, size, door: None, queued: false, begun: false };
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

    /// Brings a course to its next step: a queue, a wait, the next exchanger, or its end.
    fn go_on(&mut self, id: CourseId) {
        loop {
            let now = self.now;
            let Some(course) = self.courses[id].as_mut() else {
                return;
            };
            let next = course.inquiry.next(now);
            if self.stopping.is_some() && next != Next::Hear {
                return self.settle(id);
            }
            match next {
                Next::Hear => return,
                Next::Done => return self.settle(id),
                Next::Wait(due) => {
                    self.timers.insert((due, Timer::Course(id)));
                    return;
                }
                Next::Move => {
                    course.inquiry.advance();
                    course.stops.pop_front();
                    course.door = None;
                }
                Next::Ask => {
                    if course.queued {
                        return;
                    }
                    match self.find_door(id) {
                        Ok(door) => return self.queue(id, door),
                        Err(obstacle) => self.block(id, obstacle),
                    }
                }
            }
        }
    }

    /// A living door for the course's current exchanger.
    fn find_door(&mut self, id: CourseId) -> Result<DoorId, Obstacle> {
        let nobody = Obstacle::Broken(Finding::ConnectFailed);
        let Some(course) = self.courses[id].as_ref() else {
            return Err(nobody);
        };
        let Some((stop, lane_id)) = course.stops.front() else {
            return Err(nobody);
        };
        let lane_id = *lane_id;
        let lane = &mut self.lanes[lane_id];
        if let Some(said) = &lane.paused {
            return Err(Obstacle::Refused(said.clone()));
        }
        if let Some(door) = course.door
            && self.doors[door].dead.is_none()
        {
            return Ok(door);
        }
        let mut last = nobody;
        // A door that others use already is better than a new one: its connection serves this domain too.
        let known = stop.addresses.iter().filter(|address| lane.doors.contains_key(address));
        let addresses: Vec<IpAddr> = known.chain(&stop.addresses).copied().collect();
        for address in &addresses {
            let door = *lane.doors.entry(*address).or_insert_with(|| {
                self.doors.push(Door::new(lane_id, *address, stop.host.clone(), lane.provider.tls));
                self.doors.len() - 1
            });
            match &self.doors[door].dead {
                None => return Ok(door),
                Some(obstacle) => last = obstacle.clone(),
            }
        }
        Err(last)
    }

    fn queue(&mut self, id: CourseId, door_id: DoorId) {
        let Some(course) = self.courses[id].as_mut() else {
            return;
        };
        (course.door, course.queued) = (Some(door_id), true);
        let door = &mut self.doors[door_id];
        door.courses.push(id, course.inquiry.unasked(), course.begun);
        if !std::mem::replace(&mut door.busy, true) {
            self.lanes[door.lane].busy_doors.push_back(door_id);
        }
        self.timers.insert((self.now.elapsed, Timer::Lane(door.lane)));
    }

    fn block(&mut self, id: CourseId, obstacle: Obstacle) {
        let now = self.now;
        if let Some(course) = self.courses[id].as_mut() {
            course.inquiry.blocked(obstacle, now);
        }
    }

    fn settle(&mut self, id: CourseId) {
        let Some(course) = self.courses[id].take() else {
            return;
        };
        self.open_courses -= 1;
        self.lanes[course.home].backlog -= course.size;
        if !course.queued {
            // Else its place in the queue still has the id; who finds it there frees it.
            self.free_courses.push(id);
        }
        let settled = course.inquiry.settle(self.stopping);
        self.actions.extend(settled.map(|(target, inquired)| Action::Settled(target, inquired)));
    }

    fn run_lanes(&mut self) {
        while let Some(&(at, timer)) = self.timers.first().filter(|(at, _)| *at <= self.now.elapsed) {
            let Timer::Lane(lane) = timer else { break };
            self.timers.remove(&(at, timer));
            self.run_lane(lane);
        }
        // Who found no free socket comes next; a lane that needs none any more passes its turn on.
        while self.sessions.len() < self.limits.sessions
            && let Some(lane) = self.starved.pop_front()
        {
            self.lanes[lane].is_starved = false;
            self.run_lane(lane);
        }
    }

    /// Starts what the lane may start now, and asks to be woken for the rest.
    fn run_lane(&mut self, id: LaneId) {
        if self.stopping.is_some() {
            return;
        }
        let mut wake: Option<Duration> = None;
        let mut later = |at: Duration| wake = Some(wake.map_or(at, |wake| wake.min(at)));
        let held = self.lanes[id].hold_until;
        if held > self.now.elapsed {
            later(held);
        } else {
            let mut lacks_room = false;
            let mut untried = self.lanes[id].busy_doors.len();
            while untried > 0 {
                untried -= 1;
                let Some(door) = self.lanes[id].busy_doors.pop_front() else {
                    break;
                };
                match self.serve(door) {
                    Served::Nothing => {
                        self.doors[door].busy = false;
                        continue;
                    }
                    Served::Started => untried = self.lanes[id].busy_doors.len() + 1,
                    Served::Until(at) => later(at),
                    Served::NoRoom => lacks_room = true,
                    Served::Full => {}
                }
                self.lanes[id].busy_doors.push_back(door);
            }
            if lacks_room {
                self.make_room(id);
            }
        }
        if let Some(at) = wake {
            self.timers.insert((at.max(self.now.elapsed + Duration::from_nanos(1)), Timer::Lane(id)));
        }
    }

    /// Starts one thing at a door: a flight on an idle session, or a new session.
    fn serve(&mut self, door_id: DoorId) -> Served {
        let door = &self.doors[door_id];
        if door.courses.is_empty() {
            return Served::Nothing;
        }
        if door.hold_until > self.now.elapsed {
            return Served::Until(door.hold_until);
        }
        if let Some(&session) = door.idle.last() {
            return self.fly(door_id, session);
        }
        let lane_id = door.lane;
        if !self.lanes[lane_id].has_room() {
            return if door.working == 0 { Served::NoRoom } else { Served::Full };
        }
        let refusals = self.lanes[lane_id].manners.refused;
        if !self.waits_for(door_id, door.working * refusals * PROBES_PER_REFUSAL + 1) {
            return Served::Full;
        }
        if self.lanes[lane_id].unknown_left(self.now.elapsed) == 0 {
            return self.hit_cap(door_id);
        }
        if self.sessions.len() >= self.limits.sessions {
            if !std::mem::replace(&mut self.lanes[lane_id].is_starved, true) {
                self.starved.push_back(lane_id);
            }
            return Served::Full;
        }
        if let Err(wait) = self.lanes[lane_id].dials.take(1) {
            return Served::Until(self.now.elapsed + wait);
        }
        self.open(door_id);
        Served::Started
    }

    /// Do at least so many questions wait at a door?
    fn waits_for(&self, door_id: DoorId, enough: u32) -> bool {
        let courses = &self.doors[door_id].courses;
        courses.len() >= enough as usize || self.demand(door_id, enough) >= enough
    }

    /// How many questions could be asked at a door now; counts no further than to `enough`.
    fn demand(&self, door_id: DoorId, enough: u32) -> u32 {
        let waiting = self.doors[door_id].courses.iter().filter_map(|course| self.courses[course].as_ref());
        let mut demand = 0;
        for course in waiting {
            demand += course.inquiry.demand();
            if demand >= enough {
                break;
            }
        }
        demand.min(enough)
    }

    /// Sends a session without work away, so that another door of the lane gets its place.
    fn make_room(&mut self, lane: LaneId) {
        if self.lanes[lane].leaving > 0 {
            return;
        }
        let doors = self.lanes[lane].doors.values().map(|&door| &self.doors[door]);
        let useless = doors.filter(|door| door.courses.is_empty() || door.hold_until > self.now.elapsed);
        if let Some(session) = useless.filter_map(|door| door.idle.last().copied()).min() {
            self.quit(session);
        }
    }

    /// The caps on unknown recipients are used up: wait for them, or leave the rest to a later run.
    fn hit_cap(&mut self, door_id: DoorId) -> Served {
        let lane = &self.lanes[self.doors[door_id].lane];
        let again = lane.unknown_again(self.now.elapsed);
        if lane.flying > 0 || again <= self.now.elapsed {
            return Served::Full;
        }
        if again <= self.limits.patience.max_wait {
            return Served::Until(again);
        }
        let wait = again.saturating_sub(self.now.elapsed);
        for course in self.clear_queue(door_id) {
            if let Some(course) = self.courses[course].as_mut() {
                course.inquiry.give_up(Unprobed::Budget(wait));
            }
            self.go_on(course);
        }
        Served::Nothing
    }

    fn open(&mut self, door_id: DoorId) {
        let door = &mut self.doors[door_id];
        let lane = &mut self.lanes[door.lane];
        self.census.tried += usize::from(!std::mem::replace(&mut lane.tally.tried, true));
        let session = SessionId(self.next_session);
        self.next_session += 1;
        door.working += 1;
        lane.open += 1;
        self.sessions.insert(session, Session::new(door_id, lane.manners));
        self.actions.push_back(Action::Open(Opening {
            session,
            egress: lane.egress,
            host: door.host.clone(),
            address: door.address,
            tls: door.tls == DoorTls::Wanted,
            provider: lane.provider.clone(),
        }));
    }

    /// Everybody who waits at a door is blocked.
    fn close_door(&mut self, door_id: DoorId, obstacle: &Obstacle) {
        self.doors[door_id].dead = Some(obstacle.clone());
        self.send_on(door_id);
    }

    /// Lets everybody who waits at a door look for another.
    fn send_on(&mut self, door_id: DoorId) {
        for id in self.clear_queue(door_id) {
            self.go_on(id);
        }
    }

    /// Takes all domains out of a door's queue.
    fn clear_queue(&mut self, door_id: DoorId) -> Vec<CourseId> {
        let queue = std::mem::take(&mut self.doors[door_id].courses);
        let mut waiting = Vec::with_capacity(queue.len());
        for id in queue.iter() {
            if let Some(course) = self.courses[id].as_mut() {
                course.queued = false;
                waiting.push(id);
            } else {
                self.free_courses.push(id);
            }
        }
        waiting
    }

    /// A session was refused for what we are, or by a host in trouble.
    fn refused(&mut self, door_id: DoorId, said: &Said) {
        let hurried = self.limits.patience.max_wait < REST;
        let door = &mut self.doors[door_id];
        door.refusals += 1;
        let lane_id = door.lane;
        if said.meaning.cause.fault() == Fault::Us {
            let lane = &mut self.lanes[lane_id];
            let was_paused = lane.paused.is_some();
            let key = lane.key.clone();
            lane.refused(said, hurried);
            // Egresses that are refused one after the other need not all learn it by themselves.
            let elsewhere =
                (0..self.limits.egresses).filter_map(|egress| self.lane_of.get(&(egress, key.clone())));
            let in_row: u32 = elsewhere.map(|&lane| self.lanes[lane].refused_in_row()).sum();
            let lane = &mut self.lanes[lane_id];
            if in_row >= lane::REFUSALS_TO_PAUSE && lane.tally.asked == 0 {
                lane.pause(said);
            }
            if lane.paused.is_some() {
                self.census.answered += usize::from(!was_paused && lane.tally.asked == 0);
                self.census.refused += usize::from(!was_paused);
                let doors: Vec<DoorId> = lane.doors.values().copied().collect();
                for door in doors {
                    self.send_on(door);
                }
                return;
            }
        }
        let tries = door.refusals as usize;
        let wait = said.meaning.retry_in.unwrap_or(REST * 4u32.saturating_pow(door.refusals - 1));
        if hurried || tries >= lane::REFUSALS_TO_PAUSE as usize || wait > self.limits.patience.max_wait {
            let obstacle = Obstacle::Refused(Box::new(said.clone()));
            self.close_door(door_id, &obstacle);
        } else {
            door.hold_until = self.now.elapsed + wait;
        }
    }

    /// A session broke without one answer.
    fn broken(&mut self, door_id: DoorId, finding: Finding) {
        let hurried = self.limits.patience.max_wait < REST;
        let door = &mut self.doors[door_id];
        door.strikes += 1;
        if hurried || door.strikes >= STRIKES || finding == Finding::ConnectFailed {
            self.close_door(door_id, &Obstacle::Broken(finding));
        } else {
            door.hold_until = self.now.elapsed + REST;
        }
    }
}

/// What [`Scheduler::serve`] did.
enum Served {
    /// Nothing is left to do at this door.
    Nothing,
    /// Something; there may be more.
    Started,
    /// Nothing before this time of the run.
    Until(Duration),
    /// Nothing until a session ends or lands.
    Full,
    /// Nothing until another door's session ends.
    NoRoom,
}
