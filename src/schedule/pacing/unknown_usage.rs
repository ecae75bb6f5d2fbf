//! The unknown recipients of a lane, counted against the hourly and daily limits of its provider.
//!
//! Decides: how many more recipients the limits allow, and from when. Must not: wait, or leave recipients to a later
//! run.

use std::collections::VecDeque;
use std::time::Duration;

use crate::schedule::limits::{DAY, HOUR};

/// The unknown recipients of one lane.
#[derive(Debug)]
pub(in crate::schedule) struct UnknownUsage {
    /// The limits that the provider has, each with its span.
    limits: Vec<(Duration, usize)>,
    /// How many unknown recipients are remembered if there is no limit.
    remembered: usize,
    /// Unknown recipients within the last day, earlier runs included, each by the time of the run when it is a day ago.
    expiry: VecDeque<Duration>,
    /// Unknown recipients in this run and within the hour before it.
    in_run: u32,
}

impl UnknownUsage {
    /// The usage of a lane with these limits, where it has any, and no unknown recipient so far. Without limits it still
    /// remembers so many: a host that saw them may accept and discard, also when its lane was evicted meanwhile.
    pub(in crate::schedule) fn new(
        (per_hour, per_day): (Option<u32>, Option<u32>),
        remembered: u32,
    ) -> UnknownUsage {
        let limits = [(HOUR, per_hour), (DAY, per_day)];
        let limits = limits.into_iter().filter_map(|(span, limit)| Some((span, limit? as usize))).collect();
        UnknownUsage { limits, remembered: remembered as usize, expiry: VecDeque::new(), in_run: 0 }
    }

    /// Unknown recipients in this run and within the hour before it.
    pub(in crate::schedule) fn in_run(&self) -> u32 {
        self.in_run
    }

    /// Counts an unknown recipient, of the list or random, against the hourly and daily limits.
    pub(in crate::schedule) fn count(&mut self, now: Duration) {
        self.in_run += 1;
        self.expiry.push_back(now + DAY);
        let most = if self.limits.is_empty() { self.remembered } else { usize::MAX };
        while self.expiry.front().is_some_and(|&expires| expires <= now) || self.expiry.len() > most {
            self.expiry.pop_front();
        }
    }

    /// Counts unknown recipients of earlier runs, each by the time of the run when it is a day ago. Those of the last
    /// hour also count as of this run: a server that saw too many of them does not know that a new run has begun.
    pub(in crate::schedule) fn seed(&mut self, expiry: impl IntoIterator<Item = Duration>, now: Duration) {
        for expires in expiry {
            self.in_run += u32::from(expires + HOUR > now + DAY);
            self.expiry.push_back(expires);
        }
        self.expiry.make_contiguous().sort_unstable();
    }

    /// Takes out the unknown recipients that still count against a limit, as [`UnknownUsage::seed`] takes them.
    pub(in crate::schedule) fn take(&mut self, now: Duration) -> impl Iterator<Item = Duration> + use<> {
        std::mem::take(&mut self.expiry).into_iter().filter(move |&expires| expires > now)
    }

    /// How many more recipients may be probed if all of them, and all in flight, should be unknown.
    pub(in crate::schedule) fn left(&self, in_flight: u32, now: Duration) -> u32 {
        let left = |&(span, limit): &(Duration, usize)| {
            let before = self.expiry.partition_point(|&expires| expires <= now + DAY.saturating_sub(span));
            let used = u32::try_from(self.expiry.len() - before).unwrap_or(u32::MAX);
            u32::try_from(limit).unwrap_or(u32::MAX).saturating_sub(used).saturating_sub(in_flight)
        };
        self.limits.iter().map(left).min().unwrap_or(u32::MAX)
    }

    /// The time of the run from which the limits allow another one.
    pub(in crate::schedule) fn allowed_at(&self, now: Duration) -> Duration {
        let allowed_at = |&(span, limit): &(Duration, usize)| {
            let oldest = self.expiry.len().checked_sub(limit)?;
            self.expiry.get(oldest).map(|&expires| expires.saturating_sub(DAY.saturating_sub(span)))
        };
        self.limits.iter().filter_map(allowed_at).max().map_or(now, |at| at.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_flight_counts_until_its_reply_is_there() {
        let mut usage = UnknownUsage::new((Some(3), None), 2);
        usage.count(Duration::ZERO);
        assert_eq!((usage.left(0, Duration::ZERO), usage.left(2, Duration::ZERO)), (2, 0));
        assert_eq!(usage.left(0, HOUR), 3, "an hour later it does not count");
    }

    #[test]
    fn without_limits_the_last_ones_are_remembered() {
        let mut usage = UnknownUsage::new((None, None), 2);
        (0..5).for_each(|minute| usage.count(Duration::from_secs(60 * minute)));
        assert_eq!((usage.in_run(), usage.left(0, HOUR)), (5, u32::MAX));
        assert_eq!(usage.take(HOUR).count(), 2);
    }

    #[test]
    fn the_limit_that_allows_one_last_decides() {
        let mut usage = UnknownUsage::new((Some(1), Some(2)), 2);
        usage.count(Duration::ZERO);
        assert_eq!(usage.allowed_at(Duration::ZERO), HOUR);
        usage.count(HOUR);
        assert_eq!(usage.allowed_at(HOUR), DAY);
    }

    #[test]
    fn those_of_the_last_hour_count_as_of_this_run() {
        let mut usage = UnknownUsage::new((None, Some(9)), 2);
        usage.seed([DAY / 2, DAY.checked_sub(HOUR / 2).unwrap()], Duration::ZERO);
        assert_eq!((usage.in_run(), usage.left(0, Duration::ZERO)), (1, 7));
        assert_eq!(usage.take(DAY / 2).count(), 1);
    }
}
