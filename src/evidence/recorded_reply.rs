//! What the state stores of a reply, and counts of a provider's replies, which show an outage of the provider.

use std::sync::Arc;

use super::recipient::RecipientKind;
use super::reply::{Attempt, ClassifiedReply};
use crate::address::{Address, Domain};
use crate::policy::AnomalyThresholds;
use crate::reason::{Cause, Fault};

/// A reply to a probe, with everything that the state stores of it.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedReply {
    /// The recipient's domain.
    pub domain: Domain,
    /// The kind of recipient.
    pub kind: RecipientKind,
    /// The recipient.
    pub address: Address,
    /// The reply, with MX host and time.
    pub attempt: Attempt,
    /// The egress that the probe left from, counted from 0.
    pub egress: usize,
    /// The key of the lane's provider.
    pub lane: Arc<str>,
    /// What the reply adds to the provider's counts.
    pub tally: Tally,
}

/// Counts of one provider's replies about listed recipients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Listed recipients with a reply about the mailbox.
    pub probed: u32,
    /// Of `probed`: rejected as unknown.
    pub unknown: u32,
    /// Of `probed`: accepted.
    pub accepted: u32,
    /// Of `probed`: found deliverable recently, in an earlier run.
    pub recently_deliverable: u32,
    /// Of `recently_deliverable`: rejected as unknown now.
    pub recently_gone: u32,
}

impl Tally {
    /// Counts one reply about a listed recipient. `recently_deliverable`: an earlier run recently found it deliverable.
    pub fn of(classified: &ClassifiedReply, recently_deliverable: bool) -> Tally {
        let cause = classified.meaning.cause;
        if cause.fault() != Fault::Mailbox && cause != Cause::Accepted {
            return Tally::default();
        }
        let is_unknown = cause == Cause::MailboxUnknown;
        Tally {
            probed: 1,
            unknown: u32::from(is_unknown),
            accepted: u32::from(cause == Cause::Accepted),
            recently_deliverable: u32::from(recently_deliverable),
            recently_gone: u32::from(recently_deliverable && is_unknown),
        }
    }

    /// The sum of two counts.
    #[must_use]
    pub fn plus(self, other: Tally) -> Tally {
        Tally {
            probed: self.probed + other.probed,
            unknown: self.unknown + other.unknown,
            accepted: self.accepted + other.accepted,
            recently_deliverable: self.recently_deliverable + other.recently_deliverable,
            recently_gone: self.recently_gone + other.recently_gone,
        }
    }

    /// True if so many mailboxes are gone that an outage of the provider is more likely: nearly all recipients are unknown and none is
    /// accepted, or too many of the recently deliverable ones are unknown now.
    pub fn is_anomalous(&self, anomaly: AnomalyThresholds) -> bool {
        let beyond = |part: u32, whole: u32, percent: u32| {
            u64::from(part) * 100 > u64::from(whole) * u64::from(percent)
        };
        let mostly_unknown = self.probed >= anomaly.probed
            && self.accepted == 0
            && beyond(self.unknown, self.probed, anomaly.unknown_percent);
        let mostly_gone = self.recently_deliverable >= anomaly.recently_deliverable
            && beyond(self.recently_gone, self.recently_deliverable, anomaly.recently_gone_percent);
        mostly_unknown || mostly_gone
    }
}
