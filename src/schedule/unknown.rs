//! Unknown recipients within the last day, counted against hourly and daily limits.
//!
//! Decides: how many more may be probed, and when. Receivers count unknown recipients of a client at one machine, because
//! many of them look like a dictionary attack.

use std::collections::VecDeque;
use std::time::Duration;

use super::limits::{DAY, HOUR};
use crate::policy::RateLimits;

/// The unknown recipients of the last day, earlier runs included.
#[derive(Debug, Default)]
pub(super) struct UnknownCount {
    /// Each by the time of the run when it is a day ago, in order.
    expiry: VecDeque<Duration>,
}

/// The limits that `limits` has, each with its span.
fn caps(limits: &RateLimits) -> impl Iterator<Item = (Duration, usize)> + use<> {
    let caps = [(HOUR, limits.unknown_per_hour), (DAY, limits.unknown_per_day)];
    caps.into_iter().filter_map(|(span, cap)| Some((span, cap? as usize)))
}

impl UnknownCount {
    /// Counts an unknown recipient, of the list or random. Nothing is kept where no limit needs it.
    pub(super) fn add(&mut self, limits: &RateLimits, now: Duration) {
        if caps(limits).next().is_none() {
            return;
        }
        self.expiry.push_back(now + DAY);
        while self.expiry.front().is_some_and(|&expires| expires <= now) {
            self.expiry.pop_front();
        }
    }

    /// Adds unknown recipients of earlier runs, each by the time of the run when it is a day ago.
    pub(super) fn seed(&mut self, expiry: impl IntoIterator<Item = Duration>) {
        self.expiry.extend(expiry);
        self.expiry.make_contiguous().sort_unstable();
    }

    /// Takes out those that still count.
    pub(super) fn take(&mut self, now: Duration) -> impl Iterator<Item = Duration> + use<> {
        std::mem::take(&mut self.expiry).into_iter().filter(move |&expires| expires > now)
    }

    /// True if none counts any more.
    pub(super) fn is_empty(&self, now: Duration) -> bool {
        self.expiry.back().is_none_or(|&expires| expires <= now)
    }

    /// How many more recipients may be probed if all of them, and all in flight, should be unknown.
    pub(super) fn left(&self, limits: &RateLimits, in_flight: u32, now: Duration) -> u32 {
        let left = |(span, cap): (Duration, usize)| {
            let before = self.expiry.partition_point(|&expires| expires <= now + DAY.saturating_sub(span));
            let used = u32::try_from(self.expiry.len() - before).unwrap_or(u32::MAX);
            u32::try_from(cap).unwrap_or(u32::MAX).saturating_sub(used).saturating_sub(in_flight)
        };
        caps(limits).map(left).min().unwrap_or(u32::MAX)
    }

    /// The time of the run from which the limits allow another one.
    pub(super) fn allowed_at(&self, limits: &RateLimits, now: Duration) -> Duration {
        let allowed_at = |(span, cap): (Duration, usize)| {
            let oldest = self.expiry.len().checked_sub(cap)?;
            self.expiry.get(oldest).map(|&expires| expires.saturating_sub(DAY.saturating_sub(span)))
        };
        caps(limits).filter_map(allowed_at).max().map_or(now, |at| at.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RateLimits = RateLimits {
        open: 1,
        connections: 1,
        recipients: 1,
        unknown_per_hour: Some(2),
        unknown_per_day: Some(3),
    };

    #[test]
    fn an_hour_and_a_day_have_limits_of_their_own() {
        let minute = Duration::from_secs(60);
        let mut count = UnknownCount::default();
        assert_eq!(count.left(&LIMITS, 1, Duration::ZERO), 1, "one in flight may be unknown");
        count.add(&LIMITS, Duration::ZERO);
        count.add(&LIMITS, minute);
        assert_eq!((count.left(&LIMITS, 0, minute), count.allowed_at(&LIMITS, minute)), (0, HOUR));
        assert_eq!(count.left(&LIMITS, 0, HOUR), 1);
        count.add(&LIMITS, HOUR);
        assert_eq!(count.allowed_at(&LIMITS, HOUR), DAY);
        assert_eq!(count.left(&LIMITS, 0, DAY), 1);
        assert!(!count.is_empty(DAY) && count.is_empty(DAY + HOUR));
    }

    #[test]
    fn those_of_earlier_runs_count() {
        let mut count = UnknownCount::default();
        // Twenty minutes and five hours before the run.
        count.seed([DAY - HOUR / 3, DAY - 5 * HOUR]);
        assert_eq!(count.left(&LIMITS, 0, Duration::ZERO), 1);
        assert_eq!(count.take(Duration::ZERO).count(), 2);
        assert_eq!(count.left(&LIMITS, 0, Duration::ZERO), 2);
    }
}
