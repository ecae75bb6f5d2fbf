//! A reply that counts, with everything the state stores of it.

use std::sync::Arc;

use super::mailbox::Attempt;
use super::recipient::RecipientKind;
use super::tally::Tally;
use crate::address::{Address, Domain};

/// An answer that counts.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedReply {
    /// The domain asked about.
    pub domain: Domain,
    /// Whom the question was about.
    pub who: RecipientKind,
    /// The address in the question.
    pub address: Address,
    /// What was said, by whom and when.
    pub attempt: Attempt,
    /// From which source address, counted from 0.
    pub egress: usize,
    /// What the lane is keyed by.
    pub lane: Arc<str>,
    /// What it adds to the operator's accounts.
    pub tally: Tally,
}
