//! A domain to probe: the job as it is submitted, and the task that the scheduler makes of it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::limits::{EndpointId, LaneId};
use crate::address::Domain;
use crate::evidence::{DomainFacts, Recipient, Timestamp};
use crate::policy::Provider;
use crate::probe::DomainProbe;

/// A domain to probe, or a part of a large domain.
#[derive(Debug)]
pub struct DomainJob {
    /// The domain.
    pub domain: Domain,
    /// Its MX hosts, best first.
    pub mx_hosts: Vec<MxHop>,
    /// Its recipients.
    pub recipients: Vec<Recipient>,
    /// What earlier probes showed about the domain.
    pub facts: DomainFacts,
}

/// An MX host with its provider.
#[derive(Clone, Debug)]
pub struct MxHop {
    /// The name of the MX host.
    pub host: Domain,
    /// Its IP addresses, at least one.
    pub addresses: Vec<IpAddr>,
    /// Its provider.
    pub provider: Arc<Provider>,
}

/// An MX host of a domain, and the key of the lanes that it belongs to ([`super::Scheduler::lane_key`]). The key depends on
/// all MX hosts of the domain, so it must not be made anew when some of them are left behind.
#[derive(Clone, Debug)]
pub(super) struct LaneHop {
    pub(super) mx_hop: MxHop,
    pub(super) key: Arc<str>,
}

/// The MX hosts of a domain that are left, and until when sessions may start there.
#[derive(Debug)]
pub(super) struct RemainingRoute {
    /// The MX hosts, best first.
    pub(super) mx_hosts: Vec<LaneHop>,
    /// The time of the run from which on no session may start.
    pub(super) expires: Duration,
}

/// A job in progress.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct DomainTask {
    pub(super) domain_probe: DomainProbe,
    /// The MX hosts that are left, each with its lane; the first is being probed. They are the MX hosts of
    /// `domain_probe`: only [`DomainTask::leave_mx_host`] changes either.
    mx_hops: VecDeque<(LaneHop, LaneId)>,
    /// The lane of the first MX host, which counts the recipients of this task in its backlog.
    pub(super) initial_lane: LaneId,
    /// [`super::Action::DomainFactsChanged`] was emitted for the catch-all result.
    pub(super) facts_published: bool,
    /// Where the task waits for a batch, or was last probed.
    pub(super) endpoint: Option<EndpointId>,
    /// The task is in the queue of its endpoint.
    pub(super) is_queued: bool,
    /// At least one probe was sent.
    pub(super) has_begun: bool,
    /// When the task first waited at an endpoint that was paused.
    pub(super) waiting_since: Option<Duration>,
    /// The time of the run from which on no session may start on the route.
    pub(super) route_expires: Duration,
    /// The route has expired: recipients that are not completed go back to the driver.
    pub(super) is_expired: bool,
}

impl DomainTask {
    /// A task that was not probed yet.
    pub(super) fn new(
        domain_probe: DomainProbe,
        mx_hops: VecDeque<(LaneHop, LaneId)>,
        initial_lane: LaneId,
        route_expires: Duration,
    ) -> DomainTask {
        let facts_published = domain_probe.is_catch_all_known();
        DomainTask {
            domain_probe,
            mx_hops,
            initial_lane,
            facts_published,
            endpoint: None,
            is_queued: false,
            has_begun: false,
            waiting_since: None,
            route_expires,
            is_expired: false,
        }
    }

    /// The current MX host with its lane; `None` when none is left.
    pub(super) fn mx_hop(&self) -> Option<(&MxHop, LaneId)> {
        self.mx_hops.front().map(|(hop, lane)| (&hop.mx_hop, *lane))
    }

    /// The lane of the current MX host, or the initial lane when no MX host is left.
    pub(super) fn lane(&self) -> LaneId {
        self.mx_hops.front().map_or(self.initial_lane, |(_, lane)| *lane)
    }

    /// The lanes of the MX hosts that are left, one for each host.
    pub(super) fn lanes(&self) -> impl Iterator<Item = LaneId> {
        self.mx_hops.iter().map(|(_, lane)| *lane)
    }

    /// The MX hosts that are left, the current one first.
    pub(super) fn mx_hosts_left(&self) -> Arc<RemainingRoute> {
        let mx_hosts = self.mx_hops.iter().map(|(hop, _)| hop.clone()).collect();
        Arc::new(RemainingRoute { mx_hosts, expires: self.route_expires })
    }

    /// True if the current MX host is another provider's than the first one.
    pub(super) fn is_visiting(&self) -> bool {
        self.lane() != self.initial_lane
    }

    /// The MX hosts that are left at other providers than the current one.
    pub(super) fn mx_hosts_elsewhere(&self) -> Option<Arc<RemainingRoute>> {
        self.mx_hosts_beyond(self.lane())
    }

    /// The MX hosts that are left at other lanes than this one.
    pub(super) fn mx_hosts_beyond(&self, lane: LaneId) -> Option<Arc<RemainingRoute>> {
        let others = self.mx_hops.iter().filter(|(_, other)| *other != lane);
        let mx_hosts: Vec<LaneHop> = others.map(|(hop, _)| hop.clone()).collect();
        let is_any = !mx_hosts.is_empty();
        is_any.then(|| Arc::new(RemainingRoute { mx_hosts, expires: self.route_expires }))
    }

    /// Moves on to the next MX host. Returns the lane of the one before.
    pub(super) fn leave_mx_host(&mut self, now: Timestamp) -> Option<LaneId> {
        self.domain_probe.advance(now);
        let left = self.mx_hops.pop_front();
        debug_assert_eq!(
            self.domain_probe.mx_host(),
            self.mx_hops.front().map(|(hop, _)| &hop.mx_hop.host),
            "the task and its probe are at the same MX host"
        );
        self.endpoint = None;
        left.map(|(_, lane)| lane)
    }
}
