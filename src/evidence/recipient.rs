//! A recipient: what is probed, and what probing it leads to.

use std::time::{Duration, SystemTime};

use super::mailbox::{Attempt, MailboxEvidence};
use crate::address::Address;
use crate::reason::Verdict;

/// Names a listed address across the whole run: its place among those of its list, from 1 on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecipientId(pub i64);

/// Whom a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecipientKind {
    /// A listed address, by its place in the inquiry.
    Listed(u32),
    /// One that was accepted here before, once more: does the host still accept anybody?
    Recheck(u32),
    /// The made-up one.
    Random,
    /// `postmaster`, as the positive control.
    Postmaster,
}

/// Now, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// Since the run began.
    pub elapsed: Duration,
    /// The time of day.
    pub wall: SystemTime,
}

/// What was found out about a listed address.
#[derive(Debug)]
pub struct ProbeResult {
    /// Its name in this run.
    pub target: RecipientId,
    /// Who.
    pub address: Address,
    /// It had been found deliverable lately.
    pub was_deliverable: bool,
    /// What servers said about it.
    pub mailbox: Box<MailboxEvidence>,
}

impl ProbeResult {
    /// As if it had never been asked about.
    pub fn again(self) -> Recipient {
        let ProbeResult { target, address, was_deliverable, .. } = self;
        Recipient { target, address, earlier: Vec::new(), was_deliverable }
    }
}

/// A listed address to ask about.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipient {
    /// Its name in this run.
    pub target: RecipientId,
    /// Who.
    pub address: Address,
    /// What servers said to earlier questions about it that is still good, oldest first. A wait that they asked for goes
    /// on; what they said comes out again with the new answers.
    pub earlier: Vec<Attempt>,
    /// It was found deliverable lately.
    pub was_deliverable: bool,
}

impl From<(RecipientId, Address)> for Recipient {
    fn from((target, address): (RecipientId, Address)) -> Recipient {
        Recipient { target, address, earlier: Vec::new(), was_deliverable: false }
    }
}

impl Recipient {
    /// It was put off, and has not come back yet.
    pub fn is_waiting(&self) -> bool {
        self.earlier.last().is_some_and(|Attempt { classified, .. }| {
            classified.meaning.cause.verdict() == Verdict::Unknown && !classified.reply.is_permanent()
        })
    }
}
