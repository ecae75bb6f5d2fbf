//! Reads durations as users write them: on the command line, in settings files, in policy data, in scripted worlds.
//!
//! Decides: the longest duration. A shorter one can be added to any time of day, and subtracted from it, without
//! overflow.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// The longest duration that is accepted, in days. No wait and no lifetime in listproof is as long.
const LONGEST_DAYS: u64 = 36_500;

/// Reads a duration such as `500ms`, `30m` or `1h 30m`.
pub fn parse(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|fault| fault.to_string())?;
    if duration > Duration::from_secs(LONGEST_DAYS * 86_400) {
        return Err(format!("`{text}` is longer than {LONGEST_DAYS}d"));
    }
    Ok(duration)
}

/// Reads a duration out of a file, for serde.
pub fn deserialize<'de, D: Deserializer<'de>>(source: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(source)?;
    parse(&text)
        .map_err(|_| serde::de::Error::custom(format!("`{text}` is not a time such as `500ms` or `5m`")))
}

/// Reads an optional duration out of a file, for serde. A missing one has a meaning of its own, other than zero.
pub fn deserialize_some<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Duration>, D::Error> {
    deserialize(source).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_that_no_clock_can_hold_is_an_error() {
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
