//! When to ask again: how many of the unknown rows, and from when.
//!
//! Decides: how times are grouped. Must not: choose a time; verdicts have them.

use std::time::{Duration, SystemTime};

use crate::reason::{Reason, Retry, Verdict};
use crate::report::tally::RowTally;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// When to ask about the unknown rows again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryPlan {
    /// Unknown rows.
    pub rows: u64,
    /// Rows with a time, in groups: the earliest first.
    pub times: Vec<RetryTime>,
    /// Rows that need a repair of ours or a delisting first.
    pub after_repair: u64,
    /// Rows without a time: asking again shows nothing new, or the run did not get to them.
    pub without_time: u64,
}

/// Rows that may be asked about from a time on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryTime {
    /// How far away that was at the end of the run: `now`, `within_an_hour`, `within_a_day` or `later`.
    pub word: &'static str,
    /// The time of the first of them.
    pub from: SystemTime,
    /// The time of the last of them.
    pub until: SystemTime,
    /// How many.
    pub rows: u64,
}

impl RetryPlan {
    /// The plan of a run that ended at this time.
    pub(super) fn of(tally: &RowTally, ended: SystemTime) -> RetryPlan {
        let mut times: Vec<RetryTime> = Vec::new();
        for (at, rows) in tally.retries() {
            let word = match at.duration_since(ended) {
                Err(_) => "now",
                Ok(wait) if wait <= HOUR => "within_an_hour",
                Ok(wait) if wait <= DAY => "within_a_day",
                Ok(_) => "later",
            };
            match times.last_mut().filter(|last| last.word == word) {
                Some(last) => {
                    last.rows += rows;
                    last.until = at;
                }
                None => times.push(RetryTime { word, from: at, until: at, rows }),
            }
        }
        let with_time: u64 = times.iter().map(|time| time.rows).sum();
        let needs_repair =
            |reason: &Reason| matches!(reason.retry(), Retry::AfterRepair | Retry::AfterDelisting);
        let reasons = tally.reasons();
        let repair: u64 =
            reasons.iter().filter(|((reason, _), _)| needs_repair(reason)).map(|(_, rows)| rows).sum();
        let rows = tally.of(Verdict::Unknown);
        let after_repair = repair.min(rows.saturating_sub(with_time));
        RetryPlan { rows, times, after_repair, without_time: rows.saturating_sub(with_time + after_repair) }
    }

    /// When the first row may be asked about.
    pub fn first(&self) -> Option<SystemTime> {
        self.times.first().map(|time| time.from)
    }
}
