//! A deadline as a time of day.
//!
//! Fails: where the time zone of the machine cannot be read.

use std::io;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::Connection;

use crate::error::Error;

/// A time of day in the local time zone, `HH:MM`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadline(String);

impl FromStr for Deadline {
    type Err = String;

    fn from_str(text: &str) -> Result<Deadline, String> {
        let number = |text: &str, most| {
            let is_short = text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit());
            text.parse::<u8>().ok().filter(|number| is_short && *number < most)
        };
        let read = |(hour, minute)| Some((number(hour, 24)?, number(minute, 60)?));
        let (hour, minute) = text
            .split_once(':')
            .and_then(read)
            .ok_or_else(|| format!("`{text}` is not a time of day; write it like `07:30`"))?;
        Ok(Deadline(format!("{hour:02}:{minute:02}")))
    }
}

impl Deadline {
    /// The next moment at this time of day, later than `now`.
    pub(crate) fn next(&self, now: SystemTime) -> Result<SystemTime, Error> {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        // SQLite knows the local time zone, so no crate is needed for it. The day after a change of clocks has 23 or 25 hours.
        let at = Connection::open_in_memory().and_then(|db| {
            db.query_row(
                "SELECT min(at) FROM (
                    SELECT unixepoch(date(?1, 'unixepoch', 'localtime', day) || ' ' || ?2, 'utc') AS at
                    FROM (SELECT '+0 days' AS day UNION ALL SELECT '+1 days')
                 ) WHERE at > ?1",
                rusqlite::params![seconds, self.0],
                |row| row.get(0),
            )
        });
        let failed = |fault| Error::System {
            what: "read the time zone of this machine",
            source: io::Error::other(fault),
        };
        Ok(UNIX_EPOCH + Duration::from_secs(at.map_err(failed)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_deadline_is_within_a_day_and_returns_the_day_after() {
        let deadline: Deadline = "7:30".parse().unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let at = deadline.next(now).unwrap();
        assert!(at > now && at <= now + DAY, "{at:?}");
        assert_eq!(deadline.next(at - Duration::from_secs(60)).unwrap(), at);
        assert_eq!(deadline.next(at).unwrap(), at + DAY, "a minute that has begun belongs to the next day");
        assert_eq!(deadline.next(at + Duration::from_secs(59)).unwrap(), at + DAY);
    }

    #[test]
    fn a_text_that_is_no_time_of_day_is_an_error() {
        for text in ["", "7", "24:00", "7:60", "07:30:00", "-1:00", "+7:30", "007:30"] {
            assert!(text.parse::<Deadline>().is_err(), "{text}");
        }
    }
}
