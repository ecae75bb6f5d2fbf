//! One domain or every domain? Whether the rejections that are about us have one cause here or several causes there.
//!
//! Decides: the word. Can't know: domains without a reply.

use crate::policy::HeadlineThresholds;
use crate::report::tally::RowTally;

/// How many domains reject us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectionScope {
    /// What follows.
    pub word: ScopeWord,
    /// Domains whose mail servers rejected us.
    pub rejecting: u64,
    /// Domains whose mail servers replied.
    pub replied: u64,
    /// Addresses that stay unknown because of it.
    pub addresses: u64,
}

/// What follows from how many domains reject us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeWord {
    /// One domain.
    One,
    /// Some domains.
    Some,
    /// Nearly every domain.
    Every,
}

impl ScopeWord {
    /// The word in the summary.
    pub fn word(self) -> &'static str {
        match self {
            ScopeWord::One => "one",
            ScopeWord::Some => "some",
            ScopeWord::Every => "every",
        }
    }

    /// For people.
    pub fn sentence(self) -> &'static str {
        match self {
            ScopeWord::One => "one domain rejects this server: the cause is a rule of that domain",
            ScopeWord::Some => "some domains reject this server: each by a rule or a blocklist that it uses",
            ScopeWord::Every => "nearly every domain rejects this server: the cause is here, not in the list",
        }
    }
}

impl RejectionScope {
    /// `None` where no domain rejects us.
    pub(super) fn of(tally: &RowTally, limits: &HeadlineThresholds) -> Option<RejectionScope> {
        let (rejecting, replied) = (tally.domains.rejecting(), tally.domains.replied());
        let addresses = tally.providers().iter().map(|(_, counts)| counts.rejecting_us).sum();
        if rejecting == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a share needs no exact arithmetic")]
        let is_every = rejecting as f64 * 100.0 >= limits.every_domain * replied as f64;
        let word = match rejecting {
            1 => ScopeWord::One,
            _ if is_every => ScopeWord::Every,
            _ => ScopeWord::Some,
        };
        Some(RejectionScope { word, rejecting, replied, addresses })
    }
}
