//! A machine: one IP address as the connections of one egress use it, whatever provider they belong to.
//!
//! Thousands of domains without MX records, or with an MX name of their own, may stand on one shared machine. Its limits
//! hold beside those of each lane: a session takes the tokens of both or of neither. A provider of the table has its
//! machines for itself and needs none of this.
//!
//! Decides: whether a connection or a batch may start at the machine, and which endpoint is next when it may. Must not: start
//! anything.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use super::rate::{Pacer, RunClock};
use super::unknown_usage::UnknownUsage;
use crate::policy::RateLimits;
use crate::schedule::limits::{EndpointId, LaneId};

/// An IP address, and the egress, counted from 0.
pub(in crate::schedule) type MachineKey = (usize, IpAddr);

/// What the endpoints at one IP address share.
#[derive(Debug)]
pub(in crate::schedule) struct Machine {
    pub(in crate::schedule) key: MachineKey,
    limits: RateLimits,
    /// The rate of RCPT commands.
    pub(in crate::schedule) recipient_pacer: Pacer,
    /// The rate of new connections.
    pub(in crate::schedule) connection_pacer: Pacer,
    /// Open sessions.
    pub(in crate::schedule) open: u32,
    /// Probes in flight.
    pub(in crate::schedule) in_flight: u32,
    /// Endpoints that use it.
    pub(in crate::schedule) endpoints: u32,
    /// Unknown recipients of the last day.
    pub(in crate::schedule) unknown: UnknownUsage,
    /// Nothing starts before this time of the run.
    pub(in crate::schedule) paused_until: Duration,
    /// Endpoints that wait to open a connection, in order of arrival.
    waiting: VecDeque<EndpointId>,
    /// Lanes that may probe more when it is known how many of the probes in flight are unknown.
    awaiting_replies: BTreeSet<LaneId>,
    /// A timer is set for the next endpoint.
    pub(in crate::schedule) timer_is_set: bool,
}

impl Machine {
    /// A machine that was not connected to yet. `max_burst`: the most recipients in a batch. `remembered`: see
    /// [`UnknownUsage::new`].
    pub(in crate::schedule) fn new(
        key: MachineKey,
        limits: RateLimits,
        max_burst: u32,
        remembered: u32,
        clock: &RunClock,
    ) -> Machine {
        Machine {
            key,
            limits,
            recipient_pacer: Pacer::new(limits.recipients, max_burst, clock),
            connection_pacer: Pacer::new(limits.connections, 1, clock),
            open: 0,
            in_flight: 0,
            endpoints: 0,
            unknown: UnknownUsage::new((limits.unknown_per_hour, limits.unknown_per_day), remembered),
            paused_until: Duration::ZERO,
            waiting: VecDeque::new(),
            awaiting_replies: BTreeSet::new(),
            timer_is_set: false,
        }
    }

    /// The time until another connection may be opened. `None` until a session ends.
    pub(in crate::schedule) fn connection_wait(&self, now: Duration) -> Option<Duration> {
        let pause = self.paused_until.saturating_sub(now);
        (self.open < self.limits.open).then(|| self.connection_pacer.wait(1).max(pause))
    }

    /// Lets an endpoint wait for a connection. Each endpoint waits once.
    pub(in crate::schedule) fn enqueue(&mut self, endpoint: EndpointId) {
        self.waiting.push_back(endpoint);
    }

    /// The next endpoint that waits.
    pub(in crate::schedule) fn next_waiting(&mut self) -> Option<EndpointId> {
        self.waiting.pop_front()
    }

    /// Lets a lane wait for a reply.
    pub(in crate::schedule) fn await_reply(&mut self, lane: LaneId) {
        self.awaiting_replies.insert(lane);
    }

    /// Counts off probes that are no longer in flight. Returns the lanes that waited for that.
    pub(in crate::schedule) fn remove_in_flight(&mut self, count: u32) -> BTreeSet<LaneId> {
        self.in_flight -= count;
        if count == 0 { BTreeSet::new() } else { std::mem::take(&mut self.awaiting_replies) }
    }

    /// True if an endpoint waits.
    pub(in crate::schedule) fn is_waited_for(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How many more recipients may be probed if all of them, and all in flight, should be unknown.
    pub(in crate::schedule) fn unknown_left(&self, now: Duration) -> u32 {
        self.unknown.left(self.in_flight, now)
    }

    /// The time of the run from which the limits of unknown recipients allow another one.
    pub(in crate::schedule) fn unknown_allowed_at(&self, now: Duration) -> Duration {
        self.unknown.allowed_at(now)
    }

    /// Counts an unknown recipient.
    pub(in crate::schedule) fn count_unknown(&mut self, now: Duration) {
        self.unknown.count(now);
    }

    /// True if no endpoint uses the machine, and nothing about it has to be remembered.
    pub(in crate::schedule) fn may_be_evicted(&self, now: Duration) -> bool {
        let is_full = self.recipient_pacer.wait(self.recipient_pacer.burst()).is_zero()
            && self.connection_pacer.wait(1).is_zero();
        self.endpoints == 0
            && self.open == 0
            && is_full
            && self.paused_until <= now
            && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_waits_for_a_session_that_ends_for_the_rate_and_for_a_pause() {
        let clock = RunClock::default();
        let limits = RateLimits {
            open: 1,
            connections: 1,
            recipients: 60,
            unknown_per_hour: None,
            unknown_per_day: None,
        };
        let mut machine = Machine::new((0, [192, 0, 2, 1].into()), limits, 4, 10, &clock);
        let now = Duration::ZERO;
        assert_eq!(machine.connection_wait(now), Some(now));
        machine.open += 1;
        assert_eq!(machine.connection_wait(now), None, "until a session ends");
        machine.open -= 1;
        machine.connection_pacer.take(1).unwrap();
        assert_eq!(machine.connection_wait(now), Some(Duration::from_secs(60)));
        machine.paused_until = Duration::from_secs(90);
        assert_eq!(machine.connection_wait(now), Some(Duration::from_secs(90)));
        assert!(!machine.may_be_evicted(now));
    }
}
