//! The run's two clocks as one: how long it has run, and what time of day that is.
//!
//! The only place that reads the system's time of day. The two may part: a machine that sleeps stops the one and not the
//! other, and somebody may set the other back. In a scripted world the day is the world's, and time passes as fast as
//! nothing happens.
#![expect(clippy::disallowed_methods, reason = "this file owns the time of day")]

use std::time::SystemTime;

use tokio::time::Instant;

use crate::evidence::Timestamp;

/// A clock that began with the run.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: Instant,
    /// What a scripted world's clock showed then; `None` for the system's.
    scripted: Option<SystemTime>,
}

impl Clock {
    /// A clock that shows the system's time of day.
    pub fn system() -> Clock {
        Clock { began: Instant::now(), scripted: None }
    }

    /// A clock that shows this time of day now, and goes as fast as the run.
    pub fn showing(wall: SystemTime) -> Clock {
        Clock { began: Instant::now(), scripted: Some(wall) }
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        let elapsed = self.began.elapsed();
        Timestamp { elapsed, wall: self.scripted.map_or_else(SystemTime::now, |wall| wall + elapsed) }
    }

    /// When the run will have lasted this long.
    pub fn at(&self, elapsed: std::time::Duration) -> Instant {
        self.began + elapsed
    }
}

/// What this process has used of the processors so far; `None` where the system does not tell.
pub fn cpu() -> Option<std::time::Duration> {
    // The second word may hold blanks, but ends with the last parenthesis. User and system time are the 12th and 13th
    // after it, in hundredths of a second on all Linux machines.
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks = rest.split_whitespace().skip(11).take(2).map(|word| word.parse::<u64>().ok());
    let ticks = ticks.sum::<Option<u64>>()?;
    Some(std::time::Duration::from_millis(ticks * 10))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_of_day_is_the_systems_however_long_the_run_believes_to_last() {
        const HOUR: Duration = Duration::from_secs(3600);
        let (system, world) = (Clock::system(), Clock::showing(SystemTime::UNIX_EPOCH));
        let before = SystemTime::now();
        tokio::time::advance(HOUR).await;
        let now = system.now();
        assert_eq!(now.elapsed, HOUR);
        assert!(now.wall >= before && now.wall < before + HOUR / 2, "it was read anew");
        assert_eq!(world.now().wall, SystemTime::UNIX_EPOCH + HOUR);
    }
}
