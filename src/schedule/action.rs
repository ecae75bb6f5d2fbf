//! What comes out of the scheduler: actions for its driver, and events about providers for the log and the summary.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::limits::SessionId;
use crate::address::{Address, Domain};
use crate::evidence::{DomainFacts, ProbeResult, RecordedReply};
use crate::policy::Provider;
use crate::smtp::Batch;

/// What the driver of the scheduler has to do next.
#[derive(Debug)]
pub enum Action {
    /// Contact a server. All actions before this one must be stored first.
    Connection(ConnectionAction),
    /// Store a reply. It comes before every action that follows from the reply.
    Record(RecordedReply),
    /// Delete the replies about an address, a recipient or a random recipient, and what was concluded from them about
    /// its domain, as if the address had not been probed.
    Revoked(Address),
    /// Store final results. Each recipient is in one such action only.
    Completed(Vec<ProbeResult>),
    /// Hand on facts about a domain to the jobs for its other parts.
    DomainFactsChanged(Domain, DomainFacts),
    /// Submit more jobs of the provider with this key, which [`super::Scheduler::try_admit`] turned away before.
    WantsWork(Arc<str>),
    /// Log and count an event.
    Event(ProviderEvent),
}

/// What is sent to a server.
#[derive(Debug)]
pub enum ConnectionAction {
    /// Open a session.
    Open(SessionOpening),
    /// Send a batch on a session that is ready.
    Send(SessionId, Batch),
    /// Send QUIT.
    Quit(SessionId),
}

/// A session to open.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionOpening {
    /// The id of the new session.
    pub session: SessionId,
    /// The egress, counted from 0.
    pub egress: usize,
    /// The name of the MX host.
    pub host: Domain,
    /// The IP address to connect to. The port is a setting of the run.
    pub address: IpAddr,
    /// Send STARTTLS if the server offers it.
    pub tls: bool,
    /// Send several commands together if the server offers it.
    pub pipelining: bool,
    /// The provider of the MX host.
    pub provider: Arc<Provider>,
}

/// Something that happened at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderEvent {
    /// What happened.
    pub kind: ProviderEventKind,
    /// The key of the provider's lanes.
    pub provider: Arc<str>,
    /// The egress of the lane.
    pub egress: usize,
    /// The number of recipients that are affected; 0 if the event is about the lane only.
    pub recipients: usize,
}

/// The kinds of events about providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProviderEventKind {
    /// The provider asked for a lower rate.
    SlowedDown,
    /// The provider rejects us, so its lane is paused for the rest of the run.
    BreakerOpened,
    /// An endpoint is not used again, because it cannot be reached, rejects us, or demands TLS and fails at it.
    EndpointAbandoned,
    /// A session got fewer rejections, recipients or transactions than the provider's data allow.
    LimitsTightened,
    /// Results since the lane's last acceptance are revoked, because the provider rejects us.
    ResultsRevoked,
    /// A server accepted a random recipient after it had rejected unknown ones. Its unconfirmed acceptances are revoked
    /// and the recipients are probed again.
    AcceptAllDetected,
    /// A limit of unknown recipients is reached, so recipients wait for a later run.
    CapReached,
}

impl ProviderEventKind {
    /// The name of the log event and the key in the summary. It stays the same between versions.
    pub fn word(self) -> &'static str {
        match self {
            ProviderEventKind::SlowedDown => "slowed_down",
            ProviderEventKind::BreakerOpened => "left_alone",
            ProviderEventKind::EndpointAbandoned => "host_given_up",
            ProviderEventKind::LimitsTightened => "manners_tightened",
            ProviderEventKind::ResultsRevoked => "answers_withdrawn",
            ProviderEventKind::AcceptAllDetected => "caught_accepting",
            ProviderEventKind::CapReached => "cap_reached",
        }
    }

    /// What happened, as a line of the summary.
    pub fn sentence(self) -> &'static str {
        match self {
            ProviderEventKind::SlowedDown => "slowed down, because the provider asked for it",
            ProviderEventKind::BreakerOpened => "paused a provider that rejects us",
            ProviderEventKind::EndpointAbandoned => {
                "gave up on a mail server that is unreachable or rejects us"
            }
            ProviderEventKind::LimitsTightened => "reduced session size after a session was cut short",
            ProviderEventKind::ResultsRevoked => {
                "revoked the latest results from a provider that turned out to reject us"
            }
            ProviderEventKind::AcceptAllDetected => {
                "detected a mail server that accepts any recipient after unknown ones, and probed again"
            }
            ProviderEventKind::CapReached => {
                "postponed addresses: the limit for unknown recipients is reached"
            }
        }
    }
}

impl fmt::Display for ProviderEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ProviderEvent { kind, provider, egress, recipients } = self;
        write!(f, "{}: {provider}, egress {egress}", kind.word())?;
        if *recipients > 0 { write!(f, ", {recipients} addresses") } else { Ok(()) }
    }
}
