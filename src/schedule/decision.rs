//! What the scheduler decides about an operator beyond the next question, for the log and the summary.

use std::fmt;
use std::sync::Arc;

use super::{Action, LaneId, Scheduler};

/// A decision about an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What was decided.
    pub what: Ruling,
    /// About whom: the lane's key.
    pub operator: Arc<str>,
    /// From which egress it is asked.
    pub egress: usize,
    /// How many addresses it concerns at once; 0 where it is about the lane only.
    pub addresses: usize,
}

/// The kinds of decisions. The words are stable names of log events and keys of the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ruling {
    /// It told us to go slower.
    SlowedDown,
    /// It refuses us and is left alone.
    LeftAlone,
    /// An address of it is left alone, because nothing can be learnt there.
    HostGivenUp,
    /// It bore fewer refusals, recipients or transactions in a session than its data say.
    MannersTightened,
    /// What it said since its last acceptance is taken back, because it refuses us.
    AnswersWithdrawn,
    /// It accepted a name that can't exist after it had refused others; its acceptances are taken back and asked again.
    CaughtAccepting,
    /// A cap on unknown recipients is used up; the rest is left to a later run.
    CapReached,
}

impl Ruling {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Ruling::SlowedDown => "slowed_down",
            Ruling::LeftAlone => "left_alone",
            Ruling::HostGivenUp => "host_given_up",
            Ruling::MannersTightened => "manners_tightened",
            Ruling::AnswersWithdrawn => "answers_withdrawn",
            Ruling::CaughtAccepting => "caught_accepting",
            Ruling::CapReached => "cap_reached",
        }
    }

    /// What it means, for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Ruling::SlowedDown => "slowed down, because the operator told us to",
            Ruling::LeftAlone => "left an operator alone that refuses us",
            Ruling::HostGivenUp => "gave up a host with which nobody can talk",
            Ruling::MannersTightened => "asked for less in a session, because the host had cut one off",
            Ruling::AnswersWithdrawn => {
                "took back what an operator said last, because it turned out to refuse us"
            }
            Ruling::CaughtAccepting => {
                "caught a host that accepts anything after unknown names, and asked again"
            }
            Ruling::CapReached => "left addresses to a later run: a cap on unknown names is used up",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decision { what, operator, egress, addresses } = self;
        write!(f, "{}: {operator}, egress {egress}", what.word())?;
        if *addresses > 0 { write!(f, ", {addresses} addresses") } else { Ok(()) }
    }
}

impl Scheduler {
    /// Tells the world outside what was decided about a lane.
    pub(super) fn decided(&mut self, what: Ruling, lane: LaneId, addresses: usize) {
        let lane = &self.lanes[lane];
        let operator = self.operators[lane.operator].key.clone();
        let decision = Decision { what, operator, egress: lane.egress, addresses };
        self.actions.push_back(Action::Decided(decision));
    }
}
