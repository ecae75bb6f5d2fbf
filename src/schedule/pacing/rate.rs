//! The rates of a lane or of a machine.
//!
//! Decides: whether something may start now, and if not, when. Must not: sleep. No period of a minute sees more
//! starts than the rate allows: the burst that a batch needs is subtracted from the steady rate, and a limiter whose
//! rate changes starts empty. A limiter can be asked without taking anything, because what starts needs the tokens of
//! two limiters, and takes both or neither.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

/// The clock of the run. The scheduler sets it at each event.
#[derive(Clone, Debug, Default)]
pub(in crate::schedule) struct RunClock(Arc<AtomicU64>);

impl RunClock {
    /// Sets the time since the start of the run.
    pub(in crate::schedule) fn set(&self, elapsed: Duration) {
        self.0.store(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Clock for RunClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.load(Ordering::Relaxed))
    }
}

/// Why a limiter is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Purpose {
    /// To know the wait; nothing is taken.
    Ask,
    /// To take tokens, if there are enough.
    Take,
}

/// When the limiter is full again, counted from its making: all that it remembers.
#[derive(Debug)]
struct FullAt(Cell<Nanos>);

// The key of governor's stores tells here why the limiter is asked, because there is only one limiter in each store.
impl StateStore for FullAt {
    type Key = Purpose;

    fn measure_and_replace<T, F, E>(&self, purpose: &Purpose, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (outcome, full_at) = decide(Some(self.0.get()))?;
        if *purpose == Purpose::Take {
            self.0.set(full_at);
        }
        Ok(outcome)
    }
}

/// The limiter of one rate: a bucket of `burst` tokens that fills up again steadily.
#[derive(Debug)]
pub(in crate::schedule) struct Pacer {
    limiter: RateLimiter<Purpose, FullAt, RunClock, NoOpMiddleware<Nanos>>,
    per_minute: u32,
    quota: Quota,
}

impl Pacer {
    /// A limiter of at most `per_minute` starts in any minute, of which at most `burst` come together. It starts full.
    pub(in crate::schedule) fn new(per_minute: u32, burst: u32, clock: &RunClock) -> Pacer {
        Pacer::filled_in(per_minute, burst, clock, |_| Duration::ZERO)
    }

    /// A limiter that is full after the time that `fill` gives for its quota.
    fn filled_in(per_minute: u32, burst: u32, clock: &RunClock, fill: fn(&Quota) -> Duration) -> Pacer {
        // A burst of more than a quarter of the rate would leave too little for the steady rate.
        let burst = NonZeroU32::new(burst.min(per_minute / 4)).unwrap_or(NonZeroU32::MIN);
        let steady = per_minute.saturating_sub(burst.get()).max(1);
        let quota = Quota::with_period(Duration::from_secs(60) / steady)
            // Never happens, because a minute divided by a `u32` is more than zero nanoseconds.
            .unwrap_or(Quota::per_minute(burst))
            .allow_burst(burst);
        let limiter = RateLimiter::new(quota, FullAt(Cell::new(fill(&quota).into())), clock.clone());
        Pacer { limiter, per_minute, quota }
    }

    /// The rate per minute.
    pub(in crate::schedule) fn per_minute(&self) -> u32 {
        self.per_minute
    }

    /// The most that [`Pacer::take`] takes in one call.
    pub(in crate::schedule) fn burst(&self) -> u32 {
        self.quota.burst_size().get()
    }

    /// The longest time after which an unused limiter is full again.
    pub(in crate::schedule) fn refill_time(&self) -> Duration {
        self.quota.burst_size_replenished_in()
    }

    /// Changes the rate. What was taken recently still counts.
    pub(in crate::schedule) fn change(&mut self, per_minute: u32, burst: u32) {
        if per_minute.max(1) != self.per_minute {
            // This limiter replaces that of a busy lane, so it starts empty.
            let clock = self.limiter.clock().clone();
            *self = Pacer::filled_in(per_minute.max(1), burst, &clock, Quota::burst_size_replenished_in);
        }
    }

    /// The time until `count`, at most [`Pacer::burst`], can be taken; zero if they can be now.
    pub(in crate::schedule) fn wait(&self, count: u32) -> Duration {
        self.decide(Purpose::Ask, count).err().unwrap_or_default()
    }

    /// Takes `count`, at most [`Pacer::burst`]. The error is the time after which that may succeed.
    pub(in crate::schedule) fn take(&mut self, count: u32) -> Result<(), Duration> {
        self.decide(Purpose::Take, count)
    }

    fn decide(&self, purpose: Purpose, count: u32) -> Result<(), Duration> {
        let count = NonZeroU32::new(count.min(self.burst())).unwrap_or(NonZeroU32::MIN);
        match self.limiter.check_key_n(&purpose, count) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => Err(not_until.wait_time_from(self.limiter.clock().now())),
            // Never happens, because the count is at most the burst.
            Err(_) => Err(self.refill_time()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Takes `batch` starts as early as allowed for four minutes. Returns the times of all starts in seconds.
    fn starts(per_minute: u32, batch: u32) -> Vec<f64> {
        let clock = RunClock::default();
        let mut pacer = Pacer::new(per_minute, batch, &clock);
        let (mut now, mut starts) = (Duration::ZERO, Vec::new());
        while now < Duration::from_secs(240) {
            clock.set(now);
            let count = batch.min(pacer.burst());
            match pacer.take(count) {
                Ok(()) => starts.extend((0..count).map(|_| now.as_secs_f64())),
                Err(wait) => now += wait.max(Duration::from_nanos(1)),
            }
        }
        starts
    }

    #[test]
    fn a_steady_lane_uses_its_rate() {
        assert!(starts(60, 1).len() >= 232, "{}", starts(60, 1).len());
        assert!(starts(600, 10).len() >= 2320);
    }

    proptest! {
        #[test]
        fn after_its_refill_time_a_limiter_is_full(per_minute in 1u32..2000, batch in 1u32..60, mut taken in 1u32..60) {
            let clock = RunClock::default();
            let mut pacer = Pacer::new(per_minute, batch, &clock);
            while taken > 0 && pacer.take(1).is_ok() {
                taken -= 1;
            }
            clock.set(pacer.refill_time());
            prop_assert_eq!(pacer.wait(pacer.burst()), Duration::ZERO);
            prop_assert_eq!(pacer.take(pacer.burst()), Ok(()));
        }

        #[test]
        fn no_minute_has_more_starts_than_the_rate(per_minute in 1u32..2000, batch in 1u32..60) {
            let starts = starts(per_minute, batch);
            let mut from = 0;
            let most = (0..starts.len()).map(|to| {
                while starts[from] + 60.0 <= starts[to] { from += 1; }
                to + 1 - from
            });
            let most = most.max();
            prop_assert!(most.unwrap_or(0) <= per_minute.max(2) as usize, "{most:?} of {per_minute}");
        }
    }
}
