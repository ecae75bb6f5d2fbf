//! The checks of this machine: its clock against the mail servers that name the time, and its open files.

use std::time::{Duration, SystemTime};

use super::check::{CheckStatus, Finding};
use super::visit::Visit;
use crate::policy::SenderPolicy;

/// The clock agrees with mail servers whose greeting has a date.
pub(super) fn clock(visits: &[Visit], now: SystemTime, policy: &SenderPolicy) -> Finding {
    let dates: Vec<(String, SystemTime)> = visits
        .iter()
        .filter_map(|visit| {
            let greeting = visit.said.first()?;
            Some((format!("{}: {greeting}", visit.to.host), date_in(greeting)?))
        })
        .collect();
    let Some(nearest) = dates.iter().map(|(_, date)| distance(*date, now)).min() else {
        return Finding::new(
            CheckStatus::CouldNotConfirm,
            "No mail server named the time, so the clock could not be compared.",
        )
        .fix("timedatectl");
    };
    if nearest <= policy.clock_tolerance() {
        return Finding::new(CheckStatus::Pass, "The clock agrees with the mail servers.");
    }
    let off = humantime::format_duration(Duration::from_secs(nearest.as_secs()));
    Finding::new(
        CheckStatus::Warn,
        format!("The clock of this machine differs by at least {off} from that of the mail servers."),
    )
    .details(dates.into_iter().map(|(line, _)| line))
    .fix("timedatectl set-ntp true")
}

fn distance(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other).unwrap_or_else(|fault| fault.duration())
}

/// The date in a text, as mail headers write it: `1 Dec 2026 05:05:42 +0000`.
fn date_in(text: &str) -> Option<SystemTime> {
    let words: Vec<&str> = text.split_whitespace().map(|word| word.trim_end_matches([',', ';'])).collect();
    words.windows(5).find_map(|window| {
        let [day, month, year, time, zone] = window else { return None };
        let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))? + 1;
        let (day, year): (u32, u32) = (day.parse().ok()?, year.parse().ok()?);
        let utc = humantime::parse_rfc3339(&format!("{year:04}-{month:02}-{day:02}T{time}Z")).ok()?;
        let offset = zone_seconds(zone)?;
        if offset < 0 {
            utc.checked_add(Duration::from_secs(offset.unsigned_abs()))
        } else {
            utc.checked_sub(Duration::from_secs(offset.unsigned_abs()))
        }
    })
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `+0130` -> 5400
fn zone_seconds(zone: &str) -> Option<i64> {
    if matches!(zone, "GMT" | "UTC" | "Z") {
        return Some(0);
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = zone.get(1..5)?;
    let (hours, minutes): (i64, i64) = (digits.get(..2)?.parse().ok()?, digits.get(2..)?.parse().ok()?);
    Some(sign * (hours * 3600 + minutes * 60))
}

/// The process may open enough files.
pub(super) fn open_files(policy: &SenderPolicy) -> Finding {
    let needed = policy.machine.open_files;
    let limits = match std::fs::read_to_string("/proc/self/limits") {
        Ok(limits) => limits,
        Err(fault) => {
            return Finding::new(CheckStatus::CouldNotConfirm, "The limit of open files could not be read.")
                .detail(format!("/proc/self/limits: {fault}"))
                .fix("ulimit -n");
        }
    };
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default();
    let limit = line.split_whitespace().nth(4).unwrap_or_default();
    match limit.parse::<u64>() {
        Ok(most) if most < needed => Finding::new(
            CheckStatus::Warn,
            format!("This process may open {most} files, so a run has few connections at a time."),
        )
        .fix(format!("ulimit -n {needed}   (in a systemd service: LimitNOFILE={needed})")),
        Ok(most) => Finding::new(CheckStatus::Pass, format!("This process may open {most} files.")),
        Err(_) if limit == "unlimited" => {
            Finding::new(CheckStatus::Pass, "This process may open any number of files.")
        }
        Err(_) => Finding::new(CheckStatus::CouldNotConfirm, "The limit of open files could not be read.")
            .fix("ulimit -n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_greetings_are_read_with_their_zone() {
        let at = |text: &str| Some(humantime::parse_rfc3339(text).unwrap());
        for (greeting, expected) in [
            (
                "220 mx.example.org ESMTP Exim 4.98 Tue, 01 Dec 2026 06:05:42 +0100",
                at("2026-12-01T05:05:42Z"),
            ),
            ("220 mx.example.org ESMTP; Tue, 1 Dec 2026 00:05:42 -0500 (EST)", at("2026-12-01T05:05:42Z")),
            (
                "220 mx.example.org Microsoft ESMTP MAIL Service ready at Tue, 1 Dec 2026 05:05:42 +0000 [08DE]",
                at("2026-12-01T05:05:42Z"),
            ),
            ("220 mx.example.org ESMTP Postfix", None),
            ("220 1 Dec 2026 25:00:00 +0000", None),
        ] {
            assert_eq!(date_in(greeting), expected, "{greeting}");
        }
    }
}
