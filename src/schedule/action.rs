//! What comes out of the scheduler: what the world outside has to do.

use std::net::IpAddr;
use std::sync::Arc;

use super::SessionId;
use super::provider_event::ProviderEvent;
use crate::address::{Address, Domain};
use crate::evidence::{Attempt, DomainFacts, ProbeResult, RecipientKind, Tally};
use crate::policy::Provider;
use crate::smtp::Batch;

/// What the world outside has to do.
#[derive(Debug)]
pub enum Action {
    /// Let something leave, once everything before it is kept.
    Connection(ConnectionAction),
    /// Keep an answer: it counts. Comes before everything that follows from it.
    Record(RecordedReply),
    /// What was answered about an address, listed or made up, counts no longer, nor does what was learnt from it about its
    /// domain: it is as if it had not been asked.
    Revoked(Address),
    /// What was found out about some addresses; never again for the same ones.
    Completed(Vec<ProbeResult>),
    /// What was learnt about a domain, for its other parts.
    DomainFactsChanged(Domain, DomainFacts),
    /// An operator that had no room ([`super::Scheduler::has_room`]) wants more work.
    WantsWork(Arc<str>),
    /// Something was decided about an operator.
    Event(ProviderEvent),
}

/// What leaves for a server.
#[derive(Debug)]
pub enum ConnectionAction {
    /// Open a session.
    Open(SessionOpening),
    /// Send a flight on a session that is ready.
    Send(SessionId, Batch),
    /// Say QUIT.
    Quit(SessionId),
}

/// A session to open.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionOpening {
    /// Its name from now on.
    pub session: SessionId,
    /// From which source address, counted from 0.
    pub egress: usize,
    /// The exchanger.
    pub host: Domain,
    /// Its address; the port is the run's.
    pub address: IpAddr,
    /// Whether to say STARTTLS when it is offered.
    pub tls: bool,
    /// Who runs it.
    pub provider: Arc<Provider>,
}
