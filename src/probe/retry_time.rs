//! The times of retries: how long a run has waited, and when a wait ends. How long it is, the retry policy decides.

use std::time::{Duration, SystemTime};

use crate::evidence::Timestamp;

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
