//! An endpoint: one IP address of an MX host of a provider. Sessions belong to an endpoint and serve all domains
//! behind it. The endpoints of a lane are kept apart, because hosts at different IP addresses may behave differently.

use std::net::IpAddr;
use std::time::Duration;

use super::health::EndpointHealth;
use super::limits::{LaneId, MachineId, SessionId};
use super::queue::EndpointQueue;
use crate::address::{Address, Domain};

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
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
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
    /// Several commands may be sent together. Not again after a session that fell silent: some servers offer PIPELINING and
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
    pub(super) health: EndpointHealth,
    /// The domain of the last clear rejection here, in this run or an earlier one. A closing control is sent at this
    /// domain, because the server is known to reject unknown recipients there.
    pub(super) rejected_domain: Option<Domain>,
    /// The recipient that was accepted last here. A closing control is sent to it where rejections need confirmation.
    pub(super) accepted: Option<Address>,
    /// A random recipient was accepted here after others were rejected: no acceptance counts without a rejected random
    /// recipient after it in its session.
    pub(super) accepts_any_later: bool,
}

impl Endpoint {
    /// An endpoint that was not connected to yet.
    pub(super) fn new(
        lane: LaneId,
        address: IpAddr,
        machine: Option<MachineId>,
        host: Domain,
        tls: bool,
        queue: EndpointQueue,
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
            queue,
            idle: Vec::new(),
            working: 0,
            health: EndpointHealth::default(),
            rejected_domain: None,
            accepted: None,
            accepts_any_later: false,
        }
    }

    /// True if evicting the endpoint would lose nothing that matters. `tls` is what the provider's data say.
    pub(super) fn has_nothing_to_remember(&self, tls: bool, now: Duration) -> bool {
        self.health.has_nothing_to_remember(now)
            && !self.accepts_any_later
            && self.tls == EndpointTls::wanted(tls)
            && self.pipelining
    }
}
