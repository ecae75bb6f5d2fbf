//! How long transient answers are waited for.
//!
//! Decides: when a question that got "not now" is asked again, and when it is left to a later run.

use std::time::Duration;

use crate::reason::{Cause, Retry};

const MINUTE: Duration = Duration::from_secs(60);

/// The waits of the first, second and third try again, where the server does not say how long.
const LADDER: [Duration; 3] =
    [Duration::from_secs(5 * 60), Duration::from_secs(15 * 60), Duration::from_secs(60 * 60)];

/// The same after answers about our pace: most servers count by the minute.
const PACE_LADDER: [Duration; 3] = [MINUTE, LADDER[0], LADDER[1]];

/// The tail that a run may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// A retry is made only if it is due within this time of the first transient answer; zero is "never".
    pub max_wait: Duration,
}

impl RetryPolicy {
    /// When to ask again after the `tries`-th transient answer (from 1), counted from now; `None`: not in this run.
    /// `told` is the wait that the server named, `waited` the time since the first transient answer.
    pub fn retry_after(
        &self,
        cause: Cause,
        tries: usize,
        told: Option<Duration>,
        waited: Duration,
    ) -> Option<Duration> {
        let (ladder, limit) = match cause.retry() {
            Retry::AsTold | Retry::Later | Retry::Hour => (LADDER, LADDER.len()),
            Retry::Slower => (PACE_LADDER, PACE_LADDER.len()),
            Retry::Once => (LADDER, 1),
            _ => return None,
        };
        if tries == 0 || tries > limit {
            return None;
        }
        let wait = told.map_or(ladder[tries - 1], |told| told.max(MINUTE / 6));
        (waited + wait <= self.max_wait).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greylisting_waits_as_told_else_by_the_ladder() {
        let retry_policy = RetryPolicy { max_wait: 30 * MINUTE };
        let again = |tries, told, waited| retry_policy.retry_after(Cause::Greylisted, tries, told, waited);
        assert_eq!(again(1, None, Duration::ZERO), Some(5 * MINUTE));
        assert_eq!(again(1, Some(2 * MINUTE), Duration::ZERO), Some(2 * MINUTE));
        assert_eq!(again(2, None, 5 * MINUTE), Some(15 * MINUTE));
        assert_eq!(again(3, None, 20 * MINUTE), None, "an hour is more than the tail allows");
        assert_eq!(again(1, Some(60 * MINUTE), Duration::ZERO), None);
    }

    #[test]
    fn a_server_that_found_us_too_fast_is_asked_again_after_a_minute() {
        let retry_policy = RetryPolicy { max_wait: 30 * MINUTE };
        let again = |tries, waited| retry_policy.retry_after(Cause::RateLimited, tries, None, waited);
        assert_eq!(again(1, Duration::ZERO), Some(MINUTE));
        assert_eq!(again(2, MINUTE), Some(5 * MINUTE));
    }

    #[test]
    fn no_patience_means_one_question() {
        let retry_policy = RetryPolicy { max_wait: Duration::ZERO };
        assert_eq!(
            retry_policy.retry_after(Cause::Greylisted, 1, Some(Duration::ZERO), Duration::ZERO),
            None
        );
    }

    #[test]
    fn what_time_does_not_heal_is_not_asked_again() {
        let retry_policy = RetryPolicy { max_wait: 600 * MINUTE };
        for cause in [Cause::MailboxUnknown, Cause::IpBlocklisted, Cause::Accepted, Cause::MailboxFull] {
            assert_eq!(retry_policy.retry_after(cause, 1, None, Duration::ZERO), None, "{cause:?}");
        }
    }
}
