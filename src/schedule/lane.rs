//! A lane: everything between one egress and one provider, with its limits, its endpoints and its health.
//!
//! Decides: how fast the lane may probe now, how many connections it may open, and how many unknown recipients its
//! hourly and daily limits still allow. Must not: choose recipients, or start anything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::limits::{DAY, EndpointId, HOUR, LaneId, MAX_BATCH, ProviderId};
use super::pace::{Pacer, RunClock};
use super::provisional::ProvisionalResults;
use super::run_health::ProviderContact;
use super::unknown::UnknownCount;
use crate::address::Domain;
use crate::evidence::{ClassifiedReply, Tally};
use crate::policy::{Pace, Provider, RampThresholds, RateLimits, SessionLimits, Thresholds};

/// Expected probes in a session for each rejection that the session may have. A guess, which only decides how many
/// sessions are open at the same time.
pub(super) const PROBES_PER_REJECTION: u32 = 2;

/// A provider: what its lanes from all egresses have in common.
#[derive(Debug)]
pub(super) struct ProviderState {
    /// [`super::Scheduler::lane_key`].
    pub(super) key: Arc<str>,
    /// Its lanes, at most one for each egress.
    pub(super) lanes: Vec<LaneId>,
    /// One of its MX hosts receives mail for a domain that does not contain the name of the host.
    pub(super) serves_others: bool,
    /// Jobs for it wait outside the scheduler.
    pub(super) has_jobs_outside: bool,
    pub(super) contact: ProviderContact,
    /// A [`super::limits::Timer::Evict`] is set.
    pub(super) eviction_is_due: bool,
    /// When the provider may be evicted if its lanes stay quiet until then.
    pub(super) evict_at: Duration,
}

impl ProviderState {
    /// A provider without lanes.
    pub(super) fn new(key: Arc<str>) -> ProviderState {
        ProviderState {
            key,
            lanes: Vec::new(),
            serves_others: false,
            has_jobs_outside: false,
            contact: ProviderContact::default(),
            eviction_is_due: false,
            evict_at: Duration::ZERO,
        }
    }
}

/// Everything between one egress and one provider.
#[derive(Debug)]
pub(super) struct Lane {
    /// The provider, as the policy describes it.
    pub(super) provider: Arc<Provider>,
    /// The egress, counted from 0.
    pub(super) egress: usize,
    pub(super) provider_id: ProviderId,
    /// Recipients of the lane's tasks without a final result.
    pub(super) backlog: usize,
    /// Recipients of large domains that the lane ever got.
    pub(super) large_domain_recipients: usize,
    /// Tasks that may be probed here: one of the MX hosts that they have left is the provider's.
    pub(super) tasks: u32,
    /// What a session may do here: the provider's data, tightened by what servers did not accept.
    pub(super) session_limits: SessionLimits,
    rate_limits: RateLimits,
    address_limits: Option<RateLimits>,
    /// The rate of RCPT commands.
    pub(super) recipient_pacer: Pacer,
    /// The most recipients in a batch, by the rejections that a session may have.
    max_burst: u32,
    /// The rate of new connections.
    pub(super) connection_pacer: Pacer,
    /// The rate allows no new connection before this time of the run.
    pub(super) no_connection_before: Duration,
    /// Open sessions, those being opened included.
    pub(super) open: u32,
    /// Of these, the sessions that have sent QUIT.
    pub(super) quitting: u32,
    /// Probes in flight.
    pub(super) in_flight: u32,
    max_open: u32,
    /// Replies since the last rate reply that were not about us.
    clean_replies: u32,
    /// The most recipients in a batch. Halved after a rate reply and after a session was cut short.
    pub(super) max_batch: u32,
    /// Nothing starts before this time of the run.
    pub(super) paused_until: Duration,
    consecutive_rejections: u32,
    /// The last session was cut short.
    pub(super) was_cut: bool,
    /// The reply that opened the breaker. The lane is paused for the rest of the run.
    pub(super) breaker_opened_by: Option<Box<ClassifiedReply>>,
    /// The first reply since the last acceptance that rejects us for what we are, not for our rate.
    pub(super) rejected_us: Option<Box<ClassifiedReply>>,
    /// The IP addresses of its MX hosts, where the machines may be different ones.
    pub(super) addresses: BTreeSet<IpAddr>,
    /// Its endpoints by IP address.
    pub(super) endpoints: BTreeMap<IpAddr, EndpointId>,
    /// Endpoints with recipients to probe, in order of arrival.
    pub(super) ready_endpoints: VecDeque<EndpointId>,
    /// Counts of the replies about recipients.
    pub(super) tally: Tally,
    /// The domain of the last reply, if that reply accepted a recipient.
    pub(super) last_accepted_domain: Option<Domain>,
    /// Results since the last acceptance that may still be revoked.
    pub(super) provisional: ProvisionalResults,
    /// Unknown recipients within the last day, earlier runs included.
    unknown: UnknownCount,
    /// Unknown recipients of earlier runs, for the machines of the lane.
    pub(super) unknown_before: Vec<Duration>,
    /// Unknown recipients in this run and within the hour before it.
    pub(super) unknown_in_run: u32,
    ramp: RampThresholds,
    /// The lane is in the queue for a free socket.
    pub(super) waits_for_socket: bool,
}

impl Lane {
    /// A lane on which no connection was opened yet.
    pub(super) fn new(
        provider_id: ProviderId,
        provider: Arc<Provider>,
        egress: usize,
        pace: Pace,
        thresholds: &Thresholds,
        clock: &RunClock,
    ) -> Lane {
        let ramp = thresholds.ramp;
        let rate_limits = provider.limits(pace);
        let address_limits = provider.address_limits(pace);
        let (rate, max_open) = match pace {
            Pace::Fast => (rate_limits.recipients, rate_limits.open),
            Pace::Gentle | Pace::Normal => (rate_limits.recipients.min(ramp.recipients_per_minute), 1),
        };
        // A batch has no more recipients than a session may have rejections.
        let max_burst = provider.session_limits.rejections.min(MAX_BATCH);
        Lane {
            max_burst,
            recipient_pacer: Pacer::new(rate, max_burst, clock),
            connection_pacer: Pacer::new(rate_limits.connections, 1, clock),
            no_connection_before: Duration::ZERO,
            session_limits: provider.session_limits,
            provider,
            egress,
            provider_id,
            backlog: 0,
            large_domain_recipients: 0,
            tasks: 0,
            rate_limits,
            address_limits,
            open: 0,
            quitting: 0,
            in_flight: 0,
            max_open,
            clean_replies: 0,
            max_batch: MAX_BATCH,
            paused_until: Duration::ZERO,
            consecutive_rejections: 0,
            was_cut: false,
            breaker_opened_by: None,
            rejected_us: None,
            addresses: BTreeSet::new(),
            endpoints: BTreeMap::new(),
            ready_endpoints: VecDeque::new(),
            tally: Tally::default(),
            last_accepted_domain: None,
            provisional: ProvisionalResults::default(),
            unknown: UnknownCount::default(),
            unknown_before: Vec::new(),
            unknown_in_run: 0,
            ramp,
            waits_for_socket: false,
        }
    }

    /// True if another connection may be open now.
    pub(super) fn may_open(&self) -> bool {
        self.open < self.max_open
    }

    /// Counts a reply that is not about us.
    pub(super) fn record_reply(&mut self) {
        self.consecutive_rejections = 0;
    }

    /// Counts a recipient that was accepted or clearly rejected, and ramps up after enough of them: one more connection,
    /// half as much rate again.
    pub(super) fn record_success(&mut self) {
        self.clean_replies += 1;
        if self.clean_replies.is_multiple_of(self.ramp.clean_answers.max(1)) {
            self.max_open = (self.max_open + 1).min(self.rate_limits.open);
            let rate = self.recipient_pacer.per_minute().saturating_mul(3) / 2;
            self.recipient_pacer.change(rate.min(self.rate_limits.recipients), self.max_burst);
        }
    }

    /// Backs off after a reply about our rate or about the load of the server: half the rate, one connection, batches of half the size, and a pause.
    pub(super) fn slow_down(&mut self, until: Duration) {
        self.clean_replies = 0;
        self.max_open = 1;
        self.max_batch = (self.max_batch / 2).max(1);
        self.recipient_pacer.change(self.recipient_pacer.per_minute() / 2, self.max_burst);
        self.paused_until = self.paused_until.max(until);
    }

    /// Counts a session that was rejected for what we are. Returns how many there were in a row.
    pub(super) fn record_rejected_session(&mut self) -> u32 {
        self.consecutive_rejections += 1;
        self.consecutive_rejections
    }

    /// Sessions in a row that were rejected for what we are.
    pub(super) fn consecutive_rejections(&self) -> u32 {
        self.consecutive_rejections
    }

    /// The recipients that keep the lane busy for ten seconds, at least 200. More would only cost memory, and would
    /// let the first domains use up the backlog, so that the next ones could not be probed beside them. Less would
    /// leave too little for each of many endpoints.
    pub(super) fn target_backlog(&self) -> usize {
        (self.rate_limits.recipients / 6).max(200) as usize
    }

    /// True if sessions are used up faster than new ones may be opened. Then another one is opened whenever that is
    /// allowed.
    pub(super) fn is_session_bound(&self) -> bool {
        self.recipient_pacer.per_minute()
            > self.connection_pacer.per_minute() * self.session_limits.rejections * PROBES_PER_REJECTION
    }

    /// The recipients of the backlog that are more than five seconds of work.
    pub(super) fn backlog_above_low_water(&self) -> usize {
        /// The low-water mark is what the rate allows in this part of a minute.
        const PART: u32 = 12;
        self.backlog.saturating_sub((self.rate_limits.recipients / PART) as usize)
    }

    /// Counts an unknown recipient, of the list or random, against the hourly and daily limits.
    pub(super) fn count_unknown(&mut self, now: Duration) {
        self.unknown_in_run += 1;
        self.unknown.add(&self.rate_limits, now);
    }

    /// Counts unknown recipients of earlier runs, each by the time of the run when it is a day ago. Those of the last
    /// hour also count as of this run: a server that saw too many of them does not know that a new run has begun.
    pub(super) fn seed_unknown(&mut self, expiry: impl IntoIterator<Item = Duration>, now: Duration) {
        let expiry: Vec<Duration> = expiry.into_iter().collect();
        let of_last_hour = expiry.iter().filter(|&&expires| expires + HOUR > now + DAY).count();
        self.unknown_in_run += u32::try_from(of_last_hour).unwrap_or(u32::MAX);
        if self.has_shared_machines() {
            self.unknown_before = expiry;
        } else {
            self.unknown.seed(expiry);
        }
    }

    /// Takes out the unknown recipients that still count against a limit, as [`Lane::seed_unknown`] takes them.
    pub(super) fn take_unknown(&mut self, now: Duration) -> impl Iterator<Item = Duration> + use<> {
        let before = std::mem::take(&mut self.unknown_before).into_iter();
        self.unknown.take(now).chain(before.filter(move |&expires| expires > now))
    }

    /// Adds the IP addresses of an MX host, at most so many.
    pub(super) fn add_addresses(&mut self, addresses: &[IpAddr], most: usize) {
        if self.has_shared_machines() {
            self.addresses.extend(addresses.iter().take(most));
        }
    }

    /// True if other providers may be on the machines of this one, so that limits hold for each machine, too.
    pub(super) fn has_shared_machines(&self) -> bool {
        self.address_limits.is_some()
    }

    /// The limits of each machine of the lane.
    pub(super) fn address_limits(&self) -> Option<RateLimits> {
        self.address_limits
    }

    /// The most recipients in a batch, by the rejections that a session may have.
    pub(super) fn max_burst(&self) -> u32 {
        self.max_burst
    }

    /// The longest time after which both unused pacers are full again.
    pub(super) fn refill_time(&self) -> Duration {
        self.recipient_pacer.refill_time().max(self.connection_pacer.refill_time())
    }

    /// True if the lane has no task, no session and no backlog.
    pub(super) fn is_quiet(&self) -> bool {
        self.tasks == 0 && self.open == 0 && self.backlog == 0 && !self.waits_for_socket
    }

    /// True if evicting the lane would lose nothing that matters.
    pub(super) fn has_nothing_to_remember(&self, thresholds: &Thresholds, now: Duration) -> bool {
        self.breaker_opened_by.is_none()
            && self.rejected_us.is_none()
            && self.consecutive_rejections == 0
            && !self.was_cut
            && self.max_batch == MAX_BATCH
            && self.session_limits == self.provider.session_limits
            && self.paused_until <= now
            && self.tally.probed < thresholds.anomaly.probed
            && self.unknown_in_run < thresholds.discard.unknown_in_run
    }

    /// How many more recipients may be probed if all of them, and all in flight, should be unknown.
    pub(super) fn unknown_left(&self, now: Duration) -> u32 {
        self.unknown.left(&self.rate_limits, self.in_flight, now)
    }

    /// The time of the run from which the limits of unknown recipients allow another one.
    pub(super) fn unknown_allowed_at(&self, now: Duration) -> Duration {
        self.unknown.allowed_at(&self.rate_limits, now)
    }
}
