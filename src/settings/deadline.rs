//! A deadline by the clock on the wall.

use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::Connection;

use crate::state::StateError;

/// A time of day, by the local clock.
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
        let (hour, minute) =
            text.split_once(':').and_then(read).ok_or_else(|| format!("`{text}` is no time like `07:30`"))?;
        Ok(Deadline(format!("{hour:02}:{minute:02}")))
    }
}

impl Deadline {
    /// How long it is from now until the clock shows it next.
    pub fn after(&self, now: SystemTime) -> Result<Duration, StateError> {
        const DAY: u64 = 86_400;
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        // The database knows the local time zone; nothing else here needs to.
        let at: u64 = Connection::open_in_memory()?.query_row(
            "SELECT unixepoch(date(?1, 'unixepoch', 'localtime') || ' ' || ?2, 'utc')",
            rusqlite::params![now.as_secs(), self.0],
            |row| row.get(0),
        )?;
        let at = if at <= now.as_secs() { at + DAY } else { at };
        Ok(Duration::from_secs(at).saturating_sub(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_within_a_day_and_comes_again_the_next() {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let deadline: Deadline = "7:30".parse().unwrap();
        let left = deadline.after(now).unwrap();
        assert!(left > Duration::ZERO && left <= Duration::from_secs(86_400), "{left:?}");
        let almost = now + left.checked_sub(Duration::from_secs(60)).unwrap();
        assert_eq!(deadline.after(almost).unwrap(), Duration::from_secs(60));
    }

    #[test]
    fn a_minute_that_has_begun_is_tomorrows() {
        let deadline: Deadline = "05:30".parse().unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_767_600_000);
        let at = now + deadline.after(now).unwrap();
        assert_eq!(deadline.after(at).unwrap(), Duration::from_secs(86_400));
        assert_eq!(deadline.after(at + Duration::from_secs(59)).unwrap(), Duration::from_secs(86_341));
    }

    #[test]
    fn what_is_no_time_of_day_is_refused() {
        for text in ["", "7", "24:00", "7:60", "07:30:00", "-1:00", "+7:30", "007:30"] {
            assert!(text.parse::<Deadline>().is_err(), "{text}");
        }
    }
}
