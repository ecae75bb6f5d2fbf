//! Which stored results a run may use instead of probing again.
//!
//! Decides: by the age of the evidence, and by whether the run that found it was reported. Must not: look at what a result
//! says, but for that.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use super::store::time;

/// Which stored evidence a run may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreshnessPolicy {
    /// Evidence that expires after this time.
    pub at: SystemTime,
    /// Evidence that was gathered at this time or later.
    pub since: SystemTime,
    /// Evidence that was gathered at this time or before. Later evidence is from a clock that was wrong.
    pub until: SystemTime,
}

/// How far evidence may be ahead of the clock: clocks of machines differ a little, and are corrected.
const AHEAD: Duration = Duration::from_secs(60 * 60);

impl FreshnessPolicy {
    /// Evidence that has not expired at this time and is at most so old; `None` allows any age. `now` is the time of the
    /// clock, which may be later.
    pub(crate) fn of(at: SystemTime, max_age: Option<Duration>, now: SystemTime) -> FreshnessPolicy {
        let since = max_age.and_then(|age| at.checked_sub(age));
        FreshnessPolicy { at, since: since.unwrap_or(SystemTime::UNIX_EPOCH), until: now + AHEAD }
    }

    /// True if evidence of this age counts, whenever it expires.
    pub(crate) fn includes(&self, gathered: SystemTime) -> bool {
        (self.since..=self.until).contains(&gathered)
    }

    /// The times of evidence that counts, those before `since` excepted.
    pub(crate) fn within(&self, since: SystemTime) -> RangeInclusive<SystemTime> {
        self.since.max(since)..=self.until
    }

    /// No evidence from before the run.
    pub fn nothing() -> FreshnessPolicy {
        FreshnessPolicy { at: time(i64::MAX), since: time(i64::MAX), until: time(i64::MAX) }
    }
}

/// SQL condition: may this run use a row of `result` from another run? Yes if all results of that run were reported, so
/// that its check for mailboxes that vanished at the same time is done, or if the verdict is not `undeliverable`.
pub(super) fn is_usable_in(run: &str) -> String {
    format!(
        "(result.run NOT IN (SELECT id FROM run WHERE NOT facts_published AND id <> {run})
          OR result.reason NOT IN (SELECT word FROM reason WHERE verdict = 'undeliverable'))"
    )
}
