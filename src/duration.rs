//! A time that somebody wrote: on the command line, in a settings file, in policy data, in a scripted world.
//!
//! Decides: how long is too long. Whatever comes through here can be added to any time of day, and taken from it.

use std::time::Duration;

/// Nothing that listproof waits for or remembers lasts as long.
const LONGEST_DAYS: u64 = 36_500;

/// Reads a time such as `500ms`, `30m` or `1h 30m`.
pub fn parse(text: &str) -> Result<Duration, String> {
    let read = humantime::parse_duration(text).map_err(|fault| fault.to_string())?;
    if read > Duration::from_secs(LONGEST_DAYS * 86_400) {
        return Err(format!("`{text}` is longer than {LONGEST_DAYS}d"));
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_no_clock_can_hold_is_refused() {
        assert_eq!(parse("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse("36500d"), Ok(Duration::from_secs(36_500 * 86_400)));
        for long in ["36501d", "99999999999d", "18446744073709551615s"] {
            assert_eq!(parse(long), Err(format!("`{long}` is longer than 36500d")));
        }
        for wrong in ["", "30", "soon", "99999999999999999999d", "-1s"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
