//! A lane: one operator as seen from one egress, with its pace, its doors and its temper.
//!
//! Decides: how fast the lane may go now, when it is left alone, and what its refusals mean for the others who wait
//! there. A door is one address of the operator; connections are kept per door and used for all domains behind it.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::pace::{Pacer, RunClock};
use super::queue::Queue;
use super::{DoorId, SessionId};
use crate::address::Domain;
use crate::policy::{Limits, Manners, Pace, Provider};
use crate::verdict::evidence::{Obstacle, Said};

/// Sessions refused in a row after which a lane is left alone for the rest of the run.
pub const REFUSALS_TO_PAUSE: u32 = 3;
/// Clean answers after which a lane goes half as fast again.
const ANSWERS_TO_CLIMB: u32 = 10;
/// Where a lane starts: one question a second over one connection.
const START_PER_MINUTE: u32 = 60;
/// The largest flight that a lane may send, in recipients.
pub const FLIGHT: u32 = 50;

/// One operator.
#[derive(Debug)]
pub struct Lane {
    /// Who it is.
    pub provider: Arc<Provider>,
    /// From which source address it is asked.
    pub egress: usize,
    /// What it is found by.
    pub key: Arc<str>,
    /// Listed addresses that it was given and that are not settled.
    pub backlog: usize,
    /// What a session may do here: the operator's data, tightened by what a server did not bear.
    pub manners: Manners,
    limits: Limits,
    /// RCPT commands.
    pub asks: Pacer,
    /// The most cells of it that a flight may take.
    burst: u32,
    /// New connections.
    pub dials: Pacer,
    /// Sessions now, opening ones included.
    pub open: u32,
    /// Of these, the ones that are saying QUIT.
    pub leaving: u32,
    /// Questions under way.
    pub flying: u32,
    allowed_open: u32,
    clean_answers: u32,
    /// The most recipients in one flight, lowered after a drop.
    pub flight: u32,
    /// Nothing is started before this time of the run.
    pub hold_until: Duration,
    refused_in_row: u32,
    /// Its last session was cut off.
    pub was_cut: bool,
    /// Why the lane is left alone.
    pub paused: Option<Box<Said>>,
    /// Its doors by address.
    pub doors: BTreeMap<IpAddr, DoorId>,
    /// Doors with questions to ask, in the order of arrival.
    pub busy_doors: VecDeque<DoorId>,
    /// What its answers were.
    pub tally: Tally,
    /// When unknown recipients were asked about, within the last day.
    unknown: VecDeque<Duration>,
    /// It waits for a free socket.
    pub is_starved: bool,
}

/// What an operator's answers about listed addresses were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Listed addresses that got an answer about the mailbox.
    pub asked: u32,
    /// Of these, refused as unknown.
    pub unknown: u32,
    /// Of these, accepted.
    pub accepted: u32,
    /// Sessions that came as far as a greeting.
    pub sessions: u32,
    /// A connection to it was tried.
    pub tried: bool,
    /// A door of it could not be reached.
    pub unreachable: bool,
}

impl Tally {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Tally) -> Tally {
        Tally {
            tried: self.tried || other.tried,
            asked: self.asked + other.asked,
            unknown: self.unknown + other.unknown,
            accepted: self.accepted + other.accepted,
            sessions: self.sessions + other.sessions,
            unreachable: self.unreachable || other.unreachable,
        }
    }

    /// Too many vanished at once for it to be true: thresholds of an operator's own outage.
    pub fn is_anomalous(&self) -> bool {
        self.asked >= 20 && self.accepted == 0 && u64::from(self.unknown) * 10 > u64::from(self.asked) * 7
    }
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

impl Lane {
    /// A lane that nobody has asked yet.
    pub fn new(key: Arc<str>, provider: Arc<Provider>, egress: usize, pace: Pace, clock: &RunClock) -> Lane {
        let limits = provider.limits(pace);
        let (rate, allowed_open) = match pace {
            Pace::Fast => (limits.recipients, limits.open),
            Pace::Gentle | Pace::Normal => (limits.recipients.min(START_PER_MINUTE), 1),
        };
        // No flight is larger than the refusals that a session may have.
        let burst = provider.manners.refused.min(FLIGHT);
        Lane {
            burst,
            asks: Pacer::new(rate, burst, clock),
            dials: Pacer::new(limits.connections, 1, clock),
            manners: provider.manners,
            provider,
            egress,
            key,
            backlog: 0,
            limits,
            open: 0,
            leaving: 0,
            flying: 0,
            allowed_open,
            clean_answers: 0,
            flight: FLIGHT,
            hold_until: Duration::ZERO,
            refused_in_row: 0,
            was_cut: false,
            paused: None,
            doors: BTreeMap::new(),
            busy_doors: VecDeque::new(),
            tally: Tally::default(),
            unknown: VecDeque::new(),
            is_starved: false,
        }
    }

    /// May another connection be open now?
    pub fn has_room(&self) -> bool {
        self.open < self.allowed_open
    }

    /// An answer that shows no displeasure: the lane climbs.
    pub fn pleased(&mut self) {
        self.refused_in_row = 0;
        self.clean_answers += 1;
        if self.clean_answers.is_multiple_of(ANSWERS_TO_CLIMB) {
            self.allowed_open = (self.allowed_open + 1).min(self.limits.open);
            let rate = self.asks.per_minute().saturating_mul(3) / 2;
            self.asks.change(rate.min(self.limits.recipients), self.burst);
        }
    }

    /// "Too fast": half the rate, one connection, smaller flights, and a rest.
    pub fn slow_down(&mut self, until: Duration) {
        self.clean_answers = 0;
        self.allowed_open = 1;
        self.flight = (self.flight / 2).max(1);
        self.asks.change(self.asks.per_minute() / 2, self.burst);
        self.hold_until = self.hold_until.max(until);
    }

    /// A session was refused for what we are. After some in a row the lane is left alone.
    pub fn refused(&mut self, said: &Said, at_once: bool) {
        self.refused_in_row += 1;
        if at_once || self.refused_in_row >= REFUSALS_TO_PAUSE {
            self.pause(said);
        }
    }

    /// Sessions refused since the last clean answer.
    pub fn refused_in_row(&self) -> u32 {
        self.refused_in_row
    }

    /// Leaves the lane alone for the rest of the run.
    pub fn pause(&mut self, said: &Said) {
        self.paused.get_or_insert_with(|| Box::new(said.clone()));
    }

    /// A backlog that keeps the lane busy for some minutes.
    pub fn plenty(&self) -> usize {
        /// More minutes only cost memory; fewer would leave too little of a mix of long and short domains to choose from.
        const MINUTES: u32 = 2;
        (self.limits.recipients * MINUTES).max(200) as usize
    }

    /// The backlog, less what takes a few seconds at most.
    pub fn backlog_beyond_little(&self) -> usize {
        /// A little is what may be asked in this part of a minute.
        const PART: u32 = 12;
        self.backlog.saturating_sub((self.limits.recipients / PART) as usize)
    }

    /// Counts an unknown recipient, listed or made up, against the caps.
    pub fn count_unknown(&mut self, now: Duration) {
        if self.caps().next().is_none() {
            return;
        }
        self.unknown.push_back(now);
        while self.unknown.front().is_some_and(|&first| first + DAY <= now) {
            self.unknown.pop_front();
        }
    }

    /// The caps with their spans.
    fn caps(&self) -> impl Iterator<Item = (Duration, usize)> {
        let caps = [(HOUR, self.limits.unknown_per_hour), (DAY, self.limits.unknown_per_day)];
        caps.into_iter().filter_map(|(span, cap)| Some((span, cap? as usize)))
    }

    /// How many more questions may be asked without breaking a cap, should all be about unknown recipients.
    pub fn unknown_left(&self, now: Duration) -> u32 {
        let left = |(span, cap): (Duration, usize)| {
            let before = self.unknown.partition_point(|&at| at + span <= now);
            let used = u32::try_from(self.unknown.len() - before).unwrap_or(u32::MAX);
            u32::try_from(cap).unwrap_or(u32::MAX).saturating_sub(used).saturating_sub(self.flying)
        };
        self.caps().map(left).min().unwrap_or(u32::MAX)
    }

    /// When the caps leave room again, as a time of the run.
    pub fn unknown_again(&self, now: Duration) -> Duration {
        let again = |(span, cap): (Duration, usize)| {
            let oldest = self.unknown.len().checked_sub(cap)?;
            self.unknown.get(oldest).map(|&at| at + span)
        };
        self.caps().filter_map(again).max().map_or(now, |at| at.max(now))
    }
}

/// Whether STARTTLS is said at a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoorTls {
    /// Nobody asked for it.
    Plain,
    /// When it is offered: the operator's data or the server itself want it.
    Wanted,
    /// Not again: some old servers offer what they can't do.
    Broken,
}

/// One address of an operator.
#[derive(Debug)]
pub struct Door {
    /// The lane it belongs to.
    pub lane: usize,
    /// Where.
    pub address: IpAddr,
    /// A host name that led here.
    pub host: Domain,
    /// Whether STARTTLS is said here.
    pub tls: DoorTls,
    /// It stands in its lane's queue.
    pub busy: bool,
    /// Domains with questions that may be asked now.
    pub courses: Queue,
    /// Sessions waiting for a flight.
    pub idle: Vec<SessionId>,
    /// Sessions on their way or in flight.
    pub working: u32,
    /// Sessions that broke without one answer, in a row.
    pub strikes: u32,
    /// Sessions that were refused before any question, in a row, and when the first was.
    pub refusals: u32,
    /// Nothing is started here before this time of the run.
    pub hold_until: Duration,
    /// Why nobody needs to try again in this run.
    pub dead: Option<Obstacle>,
}

impl Door {
    /// A door that nobody has tried yet.
    pub fn new(lane: usize, address: IpAddr, host: Domain, tls: bool) -> Door {
        Door {
            lane,
            address,
            host,
            tls: if tls { DoorTls::Wanted } else { DoorTls::Plain },
            busy: false,
            courses: Queue::default(),
            idle: Vec::new(),
            working: 0,
            strikes: 0,
            refusals: 0,
            hold_until: Duration::ZERO,
            dead: None,
        }
    }
}
