//! A time as mail writes it (RFC 5322 3.3), in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

/// Such as `Fri, 15 Jan 2027 08:00:00 +0000`.
pub(super) fn mail_date(time: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    // `2027-01-15T08:00:00Z`
    let text = humantime::format_rfc3339_seconds(time).to_string();
    let days = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400);
    let day = DAYS[usize::try_from(days % 7).unwrap_or_default()];
    let month = text[5..7].parse::<usize>().ok().and_then(|month| MONTHS.get(month.checked_sub(1)?));
    let month = month.copied().unwrap_or_default();
    format!("{day}, {} {month} {} {} +0000", &text[8..10], &text[..4], &text[11..19])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_time_is_written_as_in_mail() {
        let at = |seconds| mail_date(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "Thu, 01 Jan 1970 00:00:00 +0000");
        assert_eq!(at(1_800_000_000), "Fri, 15 Jan 2027 08:00:00 +0000");
    }
}
