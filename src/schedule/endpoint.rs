//! A door: one address of an operator. Connections are kept per door and used for all domains behind it, because hosts
//! at different addresses may behave differently.

use std::net::IpAddr;
use std::time::Duration;

use super::SessionId;
use super::queue::EndpointQueue;
use crate::address::Domain;
use crate::evidence::ObstacleKind;

/// Whether STARTTLS is said at a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndpointTls {
    /// Nobody asked for it.
    Plain,
    /// When it is offered: the operator's data or the server itself want it.
    Wanted,
    /// Not again: some old servers offer what they can't do.
    Broken,
}

impl EndpointTls {
    fn wanted(wanted: bool) -> EndpointTls {
        if wanted { EndpointTls::Wanted } else { EndpointTls::Plain }
    }
}

/// One address of an operator.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// The lane it belongs to.
    pub(super) lane: usize,
    /// Where.
    pub(super) address: IpAddr,
    /// A host name that led here.
    pub(super) host: Domain,
    /// Whether STARTTLS is said here.
    pub(super) tls: EndpointTls,
    /// It stands in its lane's queue.
    pub(super) busy: bool,
    /// Domains with questions that may be asked now.
    pub(super) tasks: EndpointQueue,
    /// Sessions waiting for a flight.
    pub(super) idle: Vec<SessionId>,
    /// Sessions on their way or in flight.
    pub(super) working: u32,
    /// Sessions that broke without one answer, in a row.
    pub(super) failures_in_row: u32,
    /// Sessions that were refused before any question, in a row, and when the first was.
    pub(super) refusals: u32,
    /// Nothing is started here before this time of the run.
    pub(super) hold_until: Duration,
    /// The domain at which it last refused a name in clear words, or did in an earlier run.
    pub(super) rejected_domain: Option<Domain>,
    /// Why nobody needs to try again in this run.
    pub(super) dead: Option<ObstacleKind>,
}

impl Endpoint {
    /// A door that nobody has tried yet.
    pub(super) fn new(lane: usize, address: IpAddr, host: Domain, tls: bool) -> Endpoint {
        Endpoint {
            lane,
            address,
            host,
            tls: EndpointTls::wanted(tls),
            busy: false,
            tasks: EndpointQueue::default(),
            idle: Vec::new(),
            working: 0,
            failures_in_row: 0,
            refusals: 0,
            hold_until: Duration::ZERO,
            rejected_domain: None,
            dead: None,
        }
    }

    /// Was nothing learnt here that should be remembered?
    pub(super) fn is_as_new(&self, tls: bool, now: Duration) -> bool {
        self.dead.is_none()
            && self.failures_in_row == 0
            && self.refusals == 0
            && self.hold_until <= now
            && self.tls == EndpointTls::wanted(tls)
    }
}
