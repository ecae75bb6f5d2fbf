//! The pace of a lane: its rates, its open connections, its batches, and what one session may do.
//!
//! Decides: whether a connection or a batch may start now, how large it may be, and how the pace changes with the
//! replies. Must not: start anything.

use std::time::Duration;

use super::rate::{Pacer, RunClock};
use crate::policy::{
    BacklogThresholds, BatchThresholds, Pace, Provider, RampThresholds, RateLimits, SessionLimits, Thresholds,
};

/// The pace of one lane.
#[derive(Debug)]
pub(in crate::schedule) struct LanePace {
    rate_limits: RateLimits,
    /// The limits of each machine, where other providers may share them.
    address_limits: Option<RateLimits>,
    /// What a session may do: the provider's data, tightened by what servers did not accept.
    session_limits: SessionLimits,
    /// The most probes in a session, controls included: servers turned after more.
    max_probes: u32,
    /// The rate of RCPT commands.
    recipients: Pacer,
    /// The most recipients in a batch, by the rejections that a session may have.
    max_burst: u32,
    /// The rate of new connections.
    connections: Pacer,
    /// The rate allows no new connection before this time of the run.
    no_connection_before: Duration,
    /// Open sessions, those being opened included.
    open: u32,
    /// Of these, the sessions that have sent QUIT.
    quitting: u32,
    /// Probes in flight.
    in_flight: u32,
    max_open: u32,
    /// Replies since the last rate reply that were not about us.
    clean_replies: u32,
    /// The most recipients in a batch. Halved after a rate reply and after a session was cut short.
    max_batch: u32,
    /// Nothing starts before this time of the run.
    paused_until: Duration,
    ramp: RampThresholds,
    batch: BatchThresholds,
    memory: BacklogThresholds,
}

impl LanePace {
    /// The pace of a lane on which no connection was opened yet.
    pub(in crate::schedule) fn new(
        provider: &Provider,
        pace: Pace,
        thresholds: &Thresholds,
        clock: &RunClock,
    ) -> LanePace {
        let Thresholds { ramp, batch, backlog, .. } = *thresholds;
        let rate_limits = provider.limits(pace);
        let (rate, max_open) = match pace {
            Pace::Fast => (rate_limits.recipients, rate_limits.open),
            Pace::Gentle | Pace::Normal => (rate_limits.recipients.min(ramp.recipients_per_minute), 1),
        };
        // A batch has no more recipients than a session may have rejections.
        let max_burst = provider.session_limits.rejections.min(batch.recipients);
        LanePace {
            max_burst,
            recipients: Pacer::new(rate, max_burst, clock),
            connections: Pacer::new(rate_limits.connections, 1, clock),
            no_connection_before: Duration::ZERO,
            session_limits: provider.session_limits,
            max_probes: u32::MAX,
            rate_limits,
            address_limits: provider.address_limits(pace),
            open: 0,
            quitting: 0,
            in_flight: 0,
            max_open,
            clean_replies: 0,
            max_batch: batch.recipients,
            paused_until: Duration::ZERO,
            ramp,
            batch,
            memory: backlog,
        }
    }

    /// True if another connection may be open now.
    pub(in crate::schedule) fn may_open(&self) -> bool {
        self.open < self.max_open
    }

    /// True unless the rate of connections is known to allow none now.
    pub(in crate::schedule) fn may_connect(&self, now: Duration) -> bool {
        self.no_connection_before <= now
    }

    /// The error is the time of the run when another connection may be taken off the rate.
    pub(in crate::schedule) fn may_take_connection(&mut self, now: Duration) -> Result<(), Duration> {
        let wait = self.connections.wait(1);
        if wait.is_zero() {
            return Ok(());
        }
        self.no_connection_before = now + wait;
        Err(self.no_connection_before)
    }

    /// Takes a connection off the rate. The error is the time of the run when that may succeed.
    pub(in crate::schedule) fn take_connection(&mut self, now: Duration) -> Result<(), Duration> {
        self.connections.take(1).map_err(|wait| {
            self.no_connection_before = now + wait;
            self.no_connection_before
        })
    }

    /// The time until so many recipients may be taken off the rate.
    pub(in crate::schedule) fn recipient_wait(&self, count: u32) -> Duration {
        self.recipients.wait(count)
    }

    /// Takes recipients off the rate. The error is the time after which that may succeed.
    pub(in crate::schedule) fn take_recipients(&mut self, count: u32) -> Result<(), Duration> {
        self.recipients.take(count)
    }

    /// The most recipients in a batch now.
    pub(in crate::schedule) fn max_batch(&self) -> u32 {
        self.max_batch.min(self.recipients.burst())
    }

    /// The probes that a session at most gets on average, as far as one batch holds them.
    pub(in crate::schedule) fn probes_per_session(&self) -> u32 {
        let BatchThresholds { recipients, probes_per_rejection } = self.batch;
        self.session_limits.rejections.saturating_mul(probes_per_rejection).min(recipients)
    }

    /// Counts a session that is being opened.
    pub(in crate::schedule) fn on_open(&mut self) {
        self.open += 1;
    }

    /// Counts a session that has sent QUIT or is ending.
    pub(in crate::schedule) fn on_quitting(&mut self) {
        self.quitting += 1;
    }

    /// Counts a session off that has ended, with the probes that it had in flight.
    pub(in crate::schedule) fn on_end(&mut self, in_flight: u32) {
        self.open -= 1;
        self.quitting -= 1;
        self.in_flight -= in_flight;
    }

    /// Counts a session off the quitting ones that is not quitting any more.
    pub(in crate::schedule) fn on_not_quitting(&mut self) {
        self.quitting -= 1;
    }

    /// Counts probes that were sent.
    pub(in crate::schedule) fn on_sent(&mut self, probes: u32) {
        self.in_flight += probes;
    }

    /// Counts off a probe whose reply is there, or that needs none.
    pub(in crate::schedule) fn on_answered(&mut self) {
        self.in_flight -= 1;
    }

    /// Probes in flight.
    pub(in crate::schedule) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// True if a session is open or being opened.
    pub(in crate::schedule) fn has_open(&self) -> bool {
        self.open > 0
    }

    /// True if a session has sent QUIT.
    pub(in crate::schedule) fn has_quitting(&self) -> bool {
        self.quitting > 0
    }

    /// Nothing starts before this time of the run.
    pub(in crate::schedule) fn paused_until(&self) -> Duration {
        self.paused_until
    }

    /// Counts a recipient that was accepted or clearly rejected, and ramps up after enough of them: one more connection, a
    /// higher rate.
    pub(in crate::schedule) fn record_success(&mut self) {
        self.clean_replies += 1;
        if self.clean_replies.is_multiple_of(self.ramp.clean_answers.max(1)) {
            self.max_open = (self.max_open + 1).min(self.rate_limits.open);
            let rate = self.ramp.faster(self.recipients.per_minute());
            self.recipients.change(rate.min(self.rate_limits.recipients), self.max_burst);
        }
    }

    /// Backs off after a reply about our rate or about the load of the server: a lower rate, one connection, smaller batches, and
    /// a pause.
    pub(in crate::schedule) fn slow_down(&mut self, until: Duration) {
        self.clean_replies = 0;
        self.max_open = 1;
        self.shrink_batches();
        self.recipients.change(self.ramp.slower(self.recipients.per_minute()), self.max_burst);
        self.paused_until = self.paused_until.max(until);
    }

    /// Shrinks the batches.
    pub(in crate::schedule) fn shrink_batches(&mut self) {
        self.max_batch = self.ramp.slower(self.max_batch).max(1);
    }

    /// What a session may do.
    pub(in crate::schedule) fn session_limits(&self) -> SessionLimits {
        self.session_limits
    }

    /// Lowers the recipients in a transaction. True if they were more before.
    pub(in crate::schedule) fn limit_recipients(&mut self, max: u32) -> bool {
        let is_lower = self.session_limits.recipients > max;
        self.session_limits.recipients = self.session_limits.recipients.min(max);
        is_lower
    }

    /// Lowers the rejections in a session.
    pub(in crate::schedule) fn limit_rejections(&mut self, max: u32) {
        self.session_limits.rejections = self.session_limits.rejections.min(max);
    }

    /// The most probes in a session, controls included.
    pub(in crate::schedule) fn max_probes(&self) -> u32 {
        self.max_probes
    }

    /// Lowers the probes in a session, to two at least: one needs a control.
    pub(in crate::schedule) fn limit_probes(&mut self, max: u32) {
        self.max_probes = self.max_probes.min(max.max(2));
    }

    /// Lowers the transactions in a session.
    pub(in crate::schedule) fn limit_transactions(&mut self, max: u32) {
        self.session_limits.transactions = self.session_limits.transactions.min(max);
    }

    /// The recipients that the lane should have in its backlog.
    pub(in crate::schedule) fn target_backlog(&self) -> usize {
        self.memory.target(self.rate_limits.recipients)
    }

    /// The recipients of this backlog beyond the low-water mark.
    pub(in crate::schedule) fn above_low_water(&self, backlog: usize) -> usize {
        backlog.saturating_sub(self.memory.low_water(self.rate_limits.recipients))
    }

    /// True if sessions are used up faster than new ones may be opened. Then another one is opened whenever that is
    /// allowed.
    pub(in crate::schedule) fn is_session_bound(&self) -> bool {
        self.recipients.per_minute()
            > self.connections.per_minute() * self.session_limits.rejections * self.batch.probes_per_rejection
    }

    /// The limits of each machine of the lane, where other providers may share them.
    pub(in crate::schedule) fn address_limits(&self) -> Option<RateLimits> {
        self.address_limits
    }

    /// The most recipients in a batch, by the rejections that a session may have.
    pub(in crate::schedule) fn max_burst(&self) -> u32 {
        self.max_burst
    }

    /// The provider's limits of unknown recipients in an hour and in a day.
    pub(in crate::schedule) fn unknown_limits(&self) -> (Option<u32>, Option<u32>) {
        (self.rate_limits.unknown_per_hour, self.rate_limits.unknown_per_day)
    }

    /// The longest time after which both unused limiters are full again.
    pub(in crate::schedule) fn refill_time(&self) -> Duration {
        self.recipients.refill_time().max(self.connections.refill_time())
    }

    /// True if a new pace would be the same, but for its rates. `session_limits` are those of the provider's data.
    pub(in crate::schedule) fn has_nothing_to_remember(
        &self,
        session_limits: SessionLimits,
        now: Duration,
    ) -> bool {
        self.max_batch == self.batch.recipients
            && self.max_probes == u32::MAX
            && self.session_limits == session_limits
            && self.paused_until <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Providers;

    fn pace(pace: Pace) -> LanePace {
        let host = crate::address::Domain::parse("mx.acme.example").unwrap();
        let clock = RunClock::default();
        LanePace::new(Providers::built_in().of(&host), pace, Thresholds::built_in(), &clock)
    }

    #[test]
    fn a_lane_starts_with_one_connection_and_ramps_up_with_clean_replies() {
        let mut pace = pace(Pace::Normal);
        pace.on_open();
        assert!(!pace.may_open());
        for _ in 0..Thresholds::built_in().ramp.clean_answers {
            pace.record_success();
        }
        assert_eq!(pace.may_open(), pace.rate_limits.open > 1);
    }

    #[test]
    fn after_a_rate_reply_the_batches_are_halved_and_nothing_starts_before_the_pause_ends() {
        let mut pace = pace(Pace::Fast);
        let (before, until) = (pace.max_batch, Duration::from_secs(90));
        pace.slow_down(until);
        pace.slow_down(Duration::from_secs(30));
        assert_eq!((pace.max_batch, pace.paused_until()), (before / 4, until));
        assert!(!pace.has_nothing_to_remember(pace.session_limits(), until));
    }

    #[test]
    fn a_limit_is_only_ever_lowered() {
        let mut pace = pace(Pace::Fast);
        assert!(pace.limit_recipients(1) && !pace.limit_recipients(3));
        pace.limit_rejections(2);
        pace.limit_rejections(9);
        assert_eq!((pace.session_limits().recipients, pace.session_limits().rejections), (1, 2));
    }
}
