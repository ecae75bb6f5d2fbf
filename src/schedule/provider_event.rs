//! What the scheduler decides about an operator beyond the next question, for the log and the summary.

use std::fmt;
use std::sync::Arc;

use super::{Action, LaneId, Scheduler};

/// A decision about an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderEvent {
    /// What was decided.
    pub what: ProviderEventKind,
    /// About whom: the lane's key.
    pub operator: Arc<str>,
    /// From which egress it is asked.
    pub egress: usize,
    /// How many addresses it concerns at once; 0 where it is about the lane only.
    pub addresses: usize,
}

/// The kinds of decisions. The words are stable names of log events and keys of the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProviderEventKind {
    /// It told us to go slower.
    SlowedDown,
    /// It refuses us and is left alone.
    BreakerOpened,
    /// An address of it is left alone, because nothing can be learnt there.
    EndpointAbandoned,
    /// It bore fewer refusals, recipients or transactions in a session than its data say.
    LimitsTightened,
    /// What it said since its last acceptance is taken back, because it refuses us.
    ResultsRevoked,
    /// It accepted a name that can't exist after it had refused others; its acceptances are taken back and asked again.
    AcceptAllDetected,
    /// A cap on unknown recipients is used up; the rest is left to a later run.
    CapReached,
}

impl ProviderEventKind {
    /// The stable word.
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

    /// What it means, for people.
    pub fn sentence(self) -> &'static str {
        match self {
            ProviderEventKind::SlowedDown => "slowed down, because the operator told us to",
            ProviderEventKind::BreakerOpened => "left an operator alone that refuses us",
            ProviderEventKind::EndpointAbandoned => "gave up a host with which nobody can talk",
            ProviderEventKind::LimitsTightened => {
                "asked for less in a session, because the host had cut one off"
            }
            ProviderEventKind::ResultsRevoked => {
                "took back what an operator said last, because it turned out to refuse us"
            }
            ProviderEventKind::AcceptAllDetected => {
                "caught a host that accepts anything after unknown names, and asked again"
            }
            ProviderEventKind::CapReached => {
                "left addresses to a later run: a cap on unknown names is used up"
            }
        }
    }
}

impl fmt::Display for ProviderEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ProviderEvent { what, operator, egress, addresses } = self;
        write!(f, "{}: {operator}, egress {egress}", what.word())?;
        if *addresses > 0 { write!(f, ", {addresses} addresses") } else { Ok(()) }
    }
}

impl Scheduler {
    /// Tells the world outside what was decided about a lane.
    pub(super) fn decided(&mut self, what: ProviderEventKind, lane: LaneId, addresses: usize) {
        let lane = &self.lanes[lane];
        let operator = self.providers[lane.operator].key.clone();
        let decision = ProviderEvent { what, operator, egress: lane.egress, addresses };
        self.actions.push_back(Action::Event(decision));
    }
}
