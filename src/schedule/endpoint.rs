//! An endpoint: one IP address of an MX host of a provider. Sessions belong to an endpoint and serve all domains
//! behind it. The endpoints of a lane are kept apart, because hosts at different IP addresses may behave differently.

use std::net::IpAddr;
use std::time::Duration;

use super::limits::{LaneId, MachineId, SessionId};
use super::queue::EndpointQueue;
use crate::address::Domain;
use crate::evidence::ObstacleKind;

/// Whether sessions at an endpoint send STARTTLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndpointTls {
    /// No: neither the provider's data nor the server demand TLS.
    Plain,
    /// Yes, if the server offers it: the provider's data or the server itself demand TLS.
    Wanted,
    /// Not again: the handshake failed. Some old servers offer STARTTLS without supporting it.
    Broken,
}

impl EndpointTls {
    fn wanted(wanted: bool) -> EndpointTls {
        if wanted { EndpointTls::Wanted } else { EndpointTls::Plain }
    }
}

/// One IP address of a provider, as a lane uses it.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// The lane of the endpoint.
    pub(super) lane: LaneId,
    pub(super) address: IpAddr,
    /// What it shares with the endpoints of other lanes at its IP address; `None` for a provider with machines of its own.
    pub(super) machine: Option<MachineId>,
    /// It waits for a connection that the machine may take.
    pub(super) waits_for_machine: bool,
    /// The first MX host name that resolved to this address.
    pub(super) host: Domain,
    pub(super) tls: EndpointTls,
    /// Several commands may be sent at once. Not again after a session that fell silent: some servers offer PIPELINING and
    /// discard what comes behind the first command.
    pub(super) pipelining: bool,
    /// It replied to a probe.
    pub(super) has_replied: bool,
    /// The endpoint is in [`super::lane::Lane::ready_endpoints`].
    pub(super) is_ready: bool,
    /// Domains with recipients that may be probed now.
    pub(super) queue: EndpointQueue,
    /// Sessions that wait for a batch.
    pub(super) idle: Vec<SessionId>,
    /// The number of sessions that are being opened or have a batch in flight.
    pub(super) working: u32,
    /// Sessions in a row that broke before the server replied to a probe.
    pub(super) consecutive_failures: u32,
    /// Sessions in a row that the server rejected.
    pub(super) consecutive_rejections: u32,
    /// Since when the endpoint has had trouble: no recipient was accepted or clearly rejected after it.
    pub(super) trouble_since: Option<Duration>,
    /// Sessions in a row in which the server was overloaded.
    pub(super) overloads: u32,
    /// Nothing starts here before this time of the run.
    pub(super) paused_until: Duration,
    /// The domain of the last clear rejection here, in this run or an earlier one. A closing control is sent at this
    /// domain, because the server is known to reject unknown recipients there.
    pub(super) rejected_domain: Option<Domain>,
    /// Why the endpoint is not used again in this run.
    pub(super) abandoned: Option<ObstacleKind>,
}

impl Endpoint {
    /// An endpoint that was not connected to yet.
    pub(super) fn new(
        lane: LaneId,
        address: IpAddr,
        machine: Option<MachineId>,
        host: Domain,
        tls: bool,
    ) -> Endpoint {
        Endpoint {
            lane,
            address,
            machine,
            waits_for_machine: false,
            host,
            tls: EndpointTls::wanted(tls),
            pipelining: true,
            has_replied: false,
            is_ready: false,
            queue: EndpointQueue::default(),
            idle: Vec::new(),
            working: 0,
            consecutive_failures: 0,
            consecutive_rejections: 0,
            trouble_since: None,
            overloads: 0,
            paused_until: Duration::ZERO,
            rejected_domain: None,
            abandoned: None,
        }
    }

    /// True if evicting the endpoint would lose nothing that matters. `tls` is what the provider's data say.
    pub(super) fn has_nothing_to_remember(&self, tls: bool, now: Duration) -> bool {
        self.abandoned.is_none()
            && self.consecutive_failures == 0
            && self.consecutive_rejections == 0
            && self.overloads == 0
            && self.paused_until <= now
            && self.tls == EndpointTls::wanted(tls)
            && self.pipelining
    }
}
