//! Counts of a provider's replies about recipients, which show an outage of the provider's own.

use super::mailbox::ClassifiedReply;
use crate::policy::AnomalyThresholds;
use crate::reason::{Cause, Fault};

/// What an operator's answers about listed addresses were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Listed addresses that got an answer about the mailbox.
    pub asked: u32,
    /// Of these, refused as unknown.
    pub unknown: u32,
    /// Of these, accepted.
    pub accepted: u32,
    /// Of those asked, found deliverable lately.
    pub recently_deliverable: u32,
    /// Of these, refused as unknown.
    pub recently_gone: u32,
}

impl Tally {
    /// One answer about a listed address. `recently_deliverable`: it was found deliverable lately.
    pub fn of(classified: &ClassifiedReply, recently_deliverable: bool) -> Tally {
        let cause = classified.meaning.cause;
        if cause.fault() != Fault::Mailbox && cause != Cause::Accepted {
            return Tally::default();
        }
        let is_unknown = cause == Cause::MailboxUnknown;
        Tally {
            asked: 1,
            unknown: u32::from(is_unknown),
            accepted: u32::from(cause == Cause::Accepted),
            recently_deliverable: u32::from(recently_deliverable),
            recently_gone: u32::from(recently_deliverable && is_unknown),
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Tally) -> Tally {
        Tally {
            asked: self.asked + other.asked,
            unknown: self.unknown + other.unknown,
            accepted: self.accepted + other.accepted,
            recently_deliverable: self.recently_deliverable + other.recently_deliverable,
            recently_gone: self.recently_gone + other.recently_gone,
        }
    }

    /// Too many vanished at once for it to be true: an outage of the operator's own.
    pub fn is_anomalous(&self, anomaly: AnomalyThresholds) -> bool {
        let beyond = |part: u32, whole: u32, percent: u32| {
            u64::from(part) * 100 > u64::from(whole) * u64::from(percent)
        };
        let nobody = self.asked >= anomaly.probed
            && self.accepted == 0
            && beyond(self.unknown, self.asked, anomaly.unknown_percent);
        let recently_deliverable = self.recently_deliverable >= anomaly.recently_deliverable
            && beyond(self.recently_gone, self.recently_deliverable, anomaly.recently_gone_percent);
        nobody || recently_deliverable
    }
}
