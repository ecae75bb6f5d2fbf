//! A lane: everything between one egress and one provider, with its limits, its endpoints and its health.
//!
//! Decides: nothing itself. `pacing` says how fast the lane may probe, `health` whether we are welcome there,
//! `provisional` which of its results may still change.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::health::{LaneHealth, ProviderContact};
use super::limits::{EndpointId, LaneId, ProviderId};
use super::pacing::{LanePace, RunClock, UnknownUsage};
use super::provisional::ProvisionalResults;
use crate::evidence::Tally;
use crate::policy::{Pace, Provider, Thresholds};

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
    /// Of these, the recipients whose results are held as provisional, at this lane or another one.
    pub(super) held: usize,
    /// Tasks that began at another lane and are being probed here now.
    pub(super) visiting: u32,
    /// Recipients of large domains that the lane ever got.
    pub(super) large_domain_recipients: usize,
    /// Tasks that may be probed here: one of the MX hosts that they have left is the provider's.
    pub(super) tasks: u32,
    pub(super) pace: LanePace,
    pub(super) unknown: UnknownUsage,
    /// Unknown recipients of earlier runs, for the machines of the lane.
    pub(super) unknown_before: Vec<Duration>,
    pub(super) health: LaneHealth,
    /// The IP addresses of its MX hosts, where the machines may be different ones.
    pub(super) addresses: BTreeSet<IpAddr>,
    /// Its endpoints by IP address.
    pub(super) endpoints: BTreeMap<IpAddr, EndpointId>,
    /// Endpoints with recipients to probe, in order of arrival.
    pub(super) ready_endpoints: VecDeque<EndpointId>,
    /// Counts of the replies about recipients.
    pub(super) tally: Tally,
    /// Results since the last acceptance that may still be revoked.
    pub(super) provisional: ProvisionalResults,
    /// The lane is in the queue for a free socket.
    pub(super) waits_for_socket: bool,
    /// That its limit of unknown recipients is reached was reported.
    pub(super) has_reported_cap: bool,
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
        let pace = LanePace::new(&provider, pace, thresholds, clock);
        Lane {
            unknown: UnknownUsage::new(pace.unknown_limits(), thresholds.discard.unknown_in_run),
            pace,
            health: LaneHealth::default(),
            provider,
            egress,
            provider_id,
            backlog: 0,
            held: 0,
            visiting: 0,
            large_domain_recipients: 0,
            tasks: 0,
            unknown_before: Vec::new(),
            addresses: BTreeSet::new(),
            endpoints: BTreeMap::new(),
            ready_endpoints: VecDeque::new(),
            tally: Tally::default(),
            provisional: ProvisionalResults::default(),
            waits_for_socket: false,
            has_reported_cap: false,
        }
    }

    /// Adds the IP addresses of an MX host, at most so many.
    pub(super) fn add_addresses(&mut self, addresses: &[IpAddr], most: usize) {
        if self.pace.address_limits().is_some() {
            self.addresses.extend(addresses.iter().take(most));
        }
    }

    /// Counts unknown recipients of earlier runs, each by the time of the run when it is a day ago.
    pub(super) fn seed_unknown(&mut self, expiry: impl IntoIterator<Item = Duration>, now: Duration) {
        let expiry: Vec<Duration> = expiry.into_iter().collect();
        if self.pace.address_limits().is_some() {
            self.unknown_before.clone_from(&expiry);
        }
        self.unknown.seed(expiry, now);
    }

    /// Takes out the unknown recipients that still count against a limit, as [`Lane::seed_unknown`] takes them.
    pub(super) fn take_unknown(&mut self, now: Duration) -> impl Iterator<Item = Duration> + use<> {
        self.unknown_before.clear();
        // Those of shared machines are counted there.
        let is_counted_here = self.pace.address_limits().is_none();
        self.unknown.take(now).filter(move |_| is_counted_here)
    }

    /// How many more recipients may be probed if all of them, and all in flight, should be unknown.
    pub(super) fn unknown_left(&self, now: Duration) -> u32 {
        self.unknown.left(self.pace.in_flight(), now)
    }

    /// The recipients of the backlog beyond the low-water mark.
    pub(super) fn backlog_above_low_water(&self) -> usize {
        self.pace.above_low_water(self.backlog)
    }

    /// True if the lane has no task, no session and no backlog.
    pub(super) fn is_quiet(&self) -> bool {
        self.tasks == 0
            && self.visiting == 0
            && self.provisional.held() == 0
            && !self.pace.has_open()
            && self.backlog == 0
            && !self.waits_for_socket
    }

    /// True if evicting the lane would lose nothing that matters.
    pub(super) fn has_nothing_to_remember(&self, thresholds: &Thresholds, now: Duration) -> bool {
        self.health.has_nothing_to_remember()
            && self.pace.has_nothing_to_remember(self.provider.session_limits, now)
            && self.tally.probed < thresholds.anomaly.probed
            && self.unknown.in_run() < thresholds.discard.unknown_in_run
    }
}
