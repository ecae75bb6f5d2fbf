//! The clock of a run: how long the run lasts, and what time of day it is.
//!
//! The only place in the library that reads the system's time of day. The two may differ: elapsed time stands still while a
//! machine sleeps, and the time of day may be set. In a scripted world the time of day is the world's, and time passes as
//! fast as nothing happens.
#![expect(clippy::disallowed_methods, reason = "this file owns the time of day")]

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::evidence::Timestamp;

/// A clock that starts with the run.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    /// The time of day at the start in a scripted world; `None` for the system's time of day.
    scripted: Option<SystemTime>,
}

impl Clock {
    /// A clock with the system's time of day.
    pub(super) fn system() -> Clock {
        Clock { start: Instant::now(), scripted: None }
    }

    /// A clock with this time of day now; it runs as fast as the run.
    pub(super) fn showing(wall: SystemTime) -> Clock {
        Clock { start: Instant::now(), scripted: Some(wall) }
    }

    /// The same time of day, elapsed time from zero.
    pub(super) fn restarted(&self) -> Clock {
        Clock { start: Instant::now(), scripted: self.scripted.map(|_| self.now().wall) }
    }

    /// The time of day is a world's.
    pub(super) fn is_scripted(&self) -> bool {
        self.scripted.is_some()
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        let elapsed = self.start.elapsed();
        Timestamp { elapsed, wall: self.scripted.map_or_else(SystemTime::now, |wall| wall + elapsed) }
    }

    /// The moment at which the run has lasted this long.
    pub(super) fn at(&self, elapsed: Duration) -> Instant {
        self.start + elapsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_of_day_is_the_systems_whatever_the_elapsed_time() {
        const HOUR: Duration = Duration::from_secs(3600);
        let (system, world) = (Clock::system(), Clock::showing(SystemTime::UNIX_EPOCH));
        let before = SystemTime::now();
        tokio::time::advance(HOUR).await;
        let now = system.now();
        assert_eq!(now.elapsed, HOUR);
        assert!(now.wall >= before && now.wall < before + HOUR / 2, "it is read from the system each time");
        assert_eq!(world.now().wall, SystemTime::UNIX_EPOCH + HOUR);
    }
}
