//! Retries: when a deferred probe is repeated, and when it is left to a later run.
//!
//! Decides: the wait before each retry, within the limit `--max-wait`. Must not: wait itself. Can't know: how long a server
//! really greylists; where it names no time, the ladder guesses.

use std::time::{Duration, SystemTime};

use crate::evidence::Timestamp;
use crate::reason::{Cause, Retry};

const MINUTE: Duration = Duration::from_secs(60);

/// The waits before the first, second and third retry, where the server names no time.
const LADDER: [Duration; 3] =
    [Duration::from_secs(5 * 60), Duration::from_secs(15 * 60), Duration::from_secs(60 * 60)];

/// The waits after a reply about our rate, where the server names no time: most servers count per minute.
const RATE_LADDER: [Duration; 3] = [MINUTE, LADDER[0], LADDER[1]];

/// The limit for the retries of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// A retry is made only if it is due within this time after the first deferral; zero allows none.
    pub max_wait: Duration,
}

impl RetryPolicy {
    /// True if a wait may begin that follows others of this length in all. Nothing in a run waits longer for a server.
    pub fn permits(&self, waited: Duration, wait: Duration) -> bool {
        waited.saturating_add(wait) <= self.max_wait
    }

    /// The wait before the next probe after the `tries`-th deferral (from 1); `None` if there is none in this run. `requested` is
    /// the wait that the server named, `waited` the time since the first deferral.
    pub fn retry_after(
        &self,
        cause: Cause,
        tries: usize,
        requested: Option<Duration>,
        waited: Duration,
    ) -> Option<Duration> {
        let (ladder, limit) = match cause.retry() {
            Retry::AsRequested | Retry::Later | Retry::Hour => (LADDER, LADDER.len()),
            Retry::Slower => (RATE_LADDER, RATE_LADDER.len()),
            Retry::Once => (LADDER, 1),
            _ => return None,
        };
        if tries == 0 || tries > limit {
            return None;
        }
        // 10 s is the shortest wait, even if the server names less.
        let wait = requested.map_or(ladder[tries - 1], |requested| requested.max(MINUTE / 6));
        self.permits(waited, wait).then_some(wait)
    }
}

/// How long this run has waited since a first deferral. Time before the run began does not count.
pub(super) fn waited(since: SystemTime, now: Timestamp) -> Duration {
    now.wall.duration_since(since).unwrap_or_default().min(now.elapsed)
}

/// When a wait that began at a time of day ends, as time of the run. At most `wait` is left: so a clock that was ahead when
/// the wait began does not lengthen it.
pub(super) fn due(began: SystemTime, wait: Duration, now: Timestamp) -> Duration {
    let left = (began + wait).duration_since(now.wall).unwrap_or_default();
    now.elapsed + left.min(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greylisting_waits_as_requested_else_by_the_ladder() {
        let retry_policy = RetryPolicy { max_wait: 30 * MINUTE };
        let retry_after =
            |tries, requested, waited| retry_policy.retry_after(Cause::Greylisted, tries, requested, waited);
        assert_eq!(retry_after(1, None, Duration::ZERO), Some(5 * MINUTE));
        assert_eq!(retry_after(1, Some(2 * MINUTE), Duration::ZERO), Some(2 * MINUTE));
        assert_eq!(retry_after(2, None, 5 * MINUTE), Some(15 * MINUTE));
        assert_eq!(retry_after(3, None, 20 * MINUTE), None, "an hour is more than `--max-wait` allows");
        assert_eq!(retry_after(1, Some(60 * MINUTE), Duration::ZERO), None);
    }

    #[test]
    fn after_a_rate_reply_the_first_retry_follows_in_a_minute() {
        let retry_policy = RetryPolicy { max_wait: 30 * MINUTE };
        let retry_after = |tries, waited| retry_policy.retry_after(Cause::RateLimited, tries, None, waited);
        assert_eq!(retry_after(1, Duration::ZERO), Some(MINUTE));
        assert_eq!(retry_after(2, MINUTE), Some(5 * MINUTE));
    }

    #[test]
    fn without_max_wait_there_is_no_retry() {
        let retry_policy = RetryPolicy { max_wait: Duration::ZERO };
        assert_eq!(
            retry_policy.retry_after(Cause::Greylisted, 1, Some(Duration::ZERO), Duration::ZERO),
            None
        );
    }

    #[test]
    fn causes_that_waiting_does_not_change_get_no_retry() {
        let retry_policy = RetryPolicy { max_wait: 600 * MINUTE };
        for cause in [Cause::MailboxUnknown, Cause::IpBlocklisted, Cause::Accepted, Cause::MailboxFull] {
            assert_eq!(retry_policy.retry_after(cause, 1, None, Duration::ZERO), None, "{cause:?}");
        }
    }
}
