//! A lane: one operator as seen from one egress, with its pace, its doors and its temper.
//!
//! Decides: how fast the lane may go now, when it is left alone, and what its refusals mean for the others who wait
//! there. A door is one address of the operator; connections are kept per door and used for all domains behind it.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::pace::{Pacer, RunClock};
use super::provisional::ProvisionalResults;
use super::{EndpointId, ProviderId};
use crate::address::Domain;
use crate::evidence::ClassifiedReply;
use crate::evidence::Tally;
use crate::policy::{Pace, Provider, RampThresholds, RateLimits, SessionLimits, Thresholds};

/// The largest flight that a lane may send, in recipients.
pub const FLIGHT: u32 = 50;

/// Questions that a session is expected to bear for each refused recipient that it may have; a guess that only decides how
/// many sessions are opened at once.
pub(super) const PROBES_PER_REFUSAL: u32 = 2;

/// One operator.
#[derive(Debug)]
pub(super) struct Lane {
    /// Who it is.
    pub provider: Arc<Provider>,
    /// From which source address it is asked.
    pub egress: usize,
    /// Whose it is.
    pub operator: ProviderId,
    /// Listed addresses that it was given and that are not settled.
    pub backlog: usize,
    /// Listed addresses of long domains that it was given.
    pub given_long: usize,
    /// Domains under way that may be asked about here.
    pub tasks: u32,
    /// What a session may do here: the operator's data, tightened by what a server did not bear.
    pub session_limits: SessionLimits,
    limits: RateLimits,
    /// RCPT commands.
    pub asks: Pacer,
    /// The most cells of it that a flight may take.
    burst: u32,
    /// New connections.
    pub connection_pacer: Pacer,
    /// No new connection before this time of the run.
    pub connect_from: Duration,
    /// Sessions now, opening ones included.
    pub open: u32,
    /// Of these, the ones that are saying QUIT.
    pub leaving: u32,
    /// Questions under way.
    pub in_flight: u32,
    allowed_open: u32,
    clean_answers: u32,
    /// The most recipients in one flight, lowered after a drop.
    pub batch: u32,
    /// Nothing is started before this time of the run.
    pub hold_until: Duration,
    refused_in_row: u32,
    /// Its last session was cut off.
    pub was_cut: bool,
    /// Why the lane is left alone.
    pub paused: Option<Box<ClassifiedReply>>,
    /// A refusal of us since it last accepted somebody.
    pub rejected_us: Option<Box<ClassifiedReply>>,
    /// Its doors by address.
    pub endpoints: BTreeMap<IpAddr, EndpointId>,
    /// Doors with questions to ask, in the order of arrival.
    pub busy_endpoints: VecDeque<EndpointId>,
    /// What its answers were.
    pub tally: Tally,
    /// The domain of the last answer, if that was an acceptance.
    pub accepted_last: Option<Domain>,
    /// What it said since its last acceptance.
    pub(super) provisional: ProvisionalResults,
    /// Unknown recipients asked about within the last day: when each will be a day ago, also those of earlier runs.
    unknown: VecDeque<Duration>,
    /// Unknown recipients in this run, and in earlier ones within an hour before it.
    pub unknown_names: u32,
    ramp: RampThresholds,
    /// It waits for a free socket.
    pub is_starved: bool,
}

const HOUR: Duration = Duration::from_secs(3600);
/// The longest span of a cap.
pub(super) const DAY: Duration = Duration::from_secs(86_400);

impl Lane {
    /// A lane that nobody has asked yet.
    pub(super) fn new(
        operator: ProviderId,
        provider: Arc<Provider>,
        egress: usize,
        pace: Pace,
        thresholds: &Thresholds,
        clock: &RunClock,
    ) -> Lane {
        let ramp = thresholds.ramp;
        let limits = provider.limits(pace);
        let (rate, allowed_open) = match pace {
            Pace::Fast => (limits.recipients, limits.open),
            Pace::Gentle | Pace::Normal => (limits.recipients.min(ramp.recipients_per_minute), 1),
        };
        // No flight is larger than the refusals that a session may have.
        let burst = provider.session_limits.rejections.min(FLIGHT);
        Lane {
            burst,
            asks: Pacer::new(rate, burst, clock),
            connection_pacer: Pacer::new(limits.connections, 1, clock),
            connect_from: Duration::ZERO,
            session_limits: provider.session_limits,
            provider,
            egress,
            operator,
            backlog: 0,
            given_long: 0,
            tasks: 0,
            limits,
            open: 0,
            leaving: 0,
            in_flight: 0,
            allowed_open,
            clean_answers: 0,
            batch: FLIGHT,
            hold_until: Duration::ZERO,
            refused_in_row: 0,
            was_cut: false,
            paused: None,
            rejected_us: None,
            endpoints: BTreeMap::new(),
            busy_endpoints: VecDeque::new(),
            tally: Tally::default(),
            accepted_last: None,
            provisional: ProvisionalResults::default(),
            unknown: VecDeque::new(),
            unknown_names: 0,
            ramp,
            is_starved: false,
        }
    }

    /// May another connection be open now?
    pub(super) fn has_room(&self) -> bool {
        self.open < self.allowed_open
    }

    /// An answer that shows no displeasure: the lane climbs.
    pub(super) fn record_success(&mut self) {
        self.refused_in_row = 0;
        self.clean_answers += 1;
        if self.clean_answers.is_multiple_of(self.ramp.clean_answers.max(1)) {
            self.allowed_open = (self.allowed_open + 1).min(self.limits.open);
            let rate = self.asks.per_minute().saturating_mul(3) / 2;
            self.asks.change(rate.min(self.limits.recipients), self.burst);
        }
    }

    /// "Too fast": half the rate, one connection, smaller flights, and a rest.
    pub(super) fn slow_down(&mut self, until: Duration) {
        self.clean_answers = 0;
        self.allowed_open = 1;
        self.batch = (self.batch / 2).max(1);
        self.asks.change(self.asks.per_minute() / 2, self.burst);
        self.hold_until = self.hold_until.max(until);
    }

    /// A session was refused for what we are; how many were in a row.
    pub(super) fn refused(&mut self) -> u32 {
        self.refused_in_row += 1;
        self.refused_in_row
    }

    /// Sessions refused since the last clean answer.
    pub(super) fn refused_in_row(&self) -> u32 {
        self.refused_in_row
    }

    /// A backlog that keeps the lane busy for ten seconds. More only costs memory, and lets the domains that came
    /// first fill it up, so that those that come next can't go beside them; less would leave too little at each of many
    /// doors.
    pub(super) fn target_backlog(&self) -> usize {
        (self.limits.recipients / 6).max(200) as usize
    }

    /// Are sessions used up faster than new ones may be opened? Then one more is opened whenever that is allowed.
    pub(super) fn is_session_bound(&self) -> bool {
        self.asks.per_minute()
            > self.connection_pacer.per_minute() * self.session_limits.rejections * PROBES_PER_REFUSAL
    }

    /// The backlog, less what takes a few seconds at most.
    pub(super) fn backlog_beyond_little(&self) -> usize {
        /// A little is what may be asked in this part of a minute.
        const PART: u32 = 12;
        self.backlog.saturating_sub((self.limits.recipients / PART) as usize)
    }

    /// Counts an unknown recipient, listed or made up, against the caps.
    pub(super) fn count_unknown(&mut self, now: Duration) {
        self.unknown_names += 1;
        if self.caps().next().is_none() {
            return;
        }
        self.unknown.push_back(now + DAY);
        while self.unknown.front().is_some_and(|&forgotten| forgotten <= now) {
            self.unknown.pop_front();
        }
    }

    /// Counts unknown recipients of earlier runs, each by when it will be a day ago. A host that has heard too many of them
    /// within the hour does not begin anew because we do.
    pub(super) fn count_earlier(&mut self, forgotten: impl IntoIterator<Item = Duration>, now: Duration) {
        for forgotten in forgotten {
            self.unknown_names += u32::from(forgotten + HOUR > now + DAY);
            self.unknown.push_back(forgotten);
        }
        self.unknown.make_contiguous().sort_unstable();
    }

    /// Takes out the unknown recipients that still count against a cap.
    pub(super) fn take_unknown(&mut self, now: Duration) -> impl Iterator<Item = Duration> {
        std::mem::take(&mut self.unknown).into_iter().filter(move |&forgotten| forgotten > now)
    }

    /// By this time its rates have forgotten all that was taken.
    pub(super) fn refills_in(&self) -> Duration {
        self.asks.refills_in().max(self.connection_pacer.refills_in())
    }

    /// Nobody needs it now.
    pub(super) fn is_quiet(&self) -> bool {
        self.tasks == 0 && self.open == 0 && self.backlog == 0 && !self.is_starved
    }

    /// Was nothing learnt here that should be remembered?
    pub(super) fn is_as_new(&self, thresholds: &Thresholds, now: Duration) -> bool {
        self.paused.is_none()
            && self.rejected_us.is_none()
            && self.refused_in_row == 0
            && !self.was_cut
            && self.batch == FLIGHT
            && self.session_limits == self.provider.session_limits
            && self.hold_until <= now
            && self.tally.probed < thresholds.anomaly.probed
            && self.unknown_names < thresholds.discard.unknown_in_run
    }

    /// The caps with their spans.
    fn caps(&self) -> impl Iterator<Item = (Duration, usize)> {
        let caps = [(HOUR, self.limits.unknown_per_hour), (DAY, self.limits.unknown_per_day)];
        caps.into_iter().filter_map(|(span, cap)| Some((span, cap? as usize)))
    }

    /// How many more questions may be asked without breaking a cap, should all be about unknown recipients.
    pub(super) fn unknown_left(&self, now: Duration) -> u32 {
        let left = |(span, cap): (Duration, usize)| {
            let before =
                self.unknown.partition_point(|&forgotten| forgotten <= now + DAY.saturating_sub(span));
            let used = u32::try_from(self.unknown.len() - before).unwrap_or(u32::MAX);
            u32::try_from(cap).unwrap_or(u32::MAX).saturating_sub(used).saturating_sub(self.in_flight)
        };
        self.caps().map(left).min().unwrap_or(u32::MAX)
    }

    /// When the caps leave room again, as a time of the run.
    pub(super) fn unknown_again(&self, now: Duration) -> Duration {
        let again = |(span, cap): (Duration, usize)| {
            let oldest = self.unknown.len().checked_sub(cap)?;
            self.unknown.get(oldest).map(|&forgotten| forgotten.saturating_sub(DAY.saturating_sub(span)))
        };
        self.caps().filter_map(again).max().map_or(now, |at| at.max(now))
    }
}
