//! What a host bears of one client, and the counting of it.
//!
//! Decides: when a limit is passed. Every passing is a violation that is counted, whether the host defends itself or
//! not: the tests ask for the count. Must not: wait, or know the SMTP dialogue.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::script::some_duration;

/// `[host.limits]`, all per client address. What is not said is not limited.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostLimits {
    /// Connections open at once.
    pub connections: Option<u32>,
    /// New connections in any minute.
    pub connections_per_minute: Option<u32>,
    /// RCPT commands in any minute.
    pub rcpts_per_minute: Option<u32>,
    /// Unknown recipients in any hour.
    pub unknown_per_hour: Option<u32>,
    /// Unknown recipients in any day.
    pub unknown_per_day: Option<u32>,
    /// MAIL commands in a session.
    pub mails_per_session: Option<u32>,
    /// RSET commands in a session.
    pub resets_per_session: Option<u32>,
    /// Replies of 4xx and 5xx in a session.
    pub errors_per_session: Option<u32>,
    /// Recipients in a transaction.
    pub rcpts_per_mail: Option<u32>,
    /// Recipient domains in a transaction.
    pub domains_per_mail: Option<u32>,
    /// Whether the host acts on it, or only counts.
    pub enforce: bool,
    /// How long a client is refused at connect after too many unknown recipients.
    #[serde(deserialize_with = "some_duration")]
    pub ban: Option<Duration>,
}

impl Default for HostLimits {
    fn default() -> HostLimits {
        HostLimits {
            connections: None,
            connections_per_minute: None,
            rcpts_per_minute: None,
            unknown_per_hour: None,
            unknown_per_day: None,
            mails_per_session: None,
            resets_per_session: None,
            errors_per_session: None,
            rcpts_per_mail: None,
            domains_per_mail: None,
            enforce: true,
            ban: None,
        }
    }
}

/// What a client should not have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitViolation {
    /// More connections at once than allowed.
    Connections,
    /// More new connections in a minute than allowed.
    ConnectionsPerMinute,
    /// More RCPT in a minute than allowed.
    RcptsPerMinute,
    /// More unknown recipients in an hour than allowed.
    UnknownPerHour,
    /// More unknown recipients in a day than allowed.
    UnknownPerDay,
    /// More MAIL in a session than allowed.
    MailsPerSession,
    /// More RSET in a session than allowed.
    ResetsPerSession,
    /// More errors in a session than allowed.
    ErrorsPerSession,
    /// More recipients in a transaction than allowed.
    RcptsPerMail,
    /// More recipient domains in a transaction than allowed.
    DomainsPerMail,
    /// Came back while banned.
    Banned,
    /// Spoke before the greeting.
    EarlyTalk,
    /// Sent commands ahead though PIPELINING was not offered.
    UnofferedPipelining,
    /// Used an extension that was not offered, or commands out of order.
    BadCommand,
    /// Said DATA or BDAT: a verifier never sends mail.
    Data,
}

impl LimitViolation {
    /// What a host says that defends itself, and whether it hangs up then.
    pub fn defence(self) -> (&'static str, bool) {
        match self {
            LimitViolation::Connections => ("421 4.7.0 {host} Error: too many connections from {ip}", true),
            LimitViolation::ConnectionsPerMinute => {
                ("421 4.7.0 {host} Error: too many new connections from {ip}", true)
            }
            LimitViolation::RcptsPerMinute => ("450 4.7.1 Error: too many recipients from {ip}", false),
            LimitViolation::UnknownPerHour | LimitViolation::UnknownPerDay => {
                ("550 Too many invalid recipients", true)
            }
            LimitViolation::MailsPerSession => {
                ("421 4.7.0 {host} Error: too many messages in one session", true)
            }
            LimitViolation::ResetsPerSession => ("554 Too many nonmail commands", true),
            LimitViolation::ErrorsPerSession => ("421 4.7.0 {host} Error: too many errors", true),
            LimitViolation::RcptsPerMail => ("452 4.5.3 Error: too many recipients", false),
            LimitViolation::DomainsPerMail => (
                "451 4.3.0 Multiple destination domains per transaction is unsupported. Please try again.",
                false,
            ),
            LimitViolation::Banned => {
                ("421 4.7.0 {host} Your address {ip} is blocked for too many invalid recipients", true)
            }
            LimitViolation::EarlyTalk => ("550 5.5.1 Protocol error", true),
            LimitViolation::UnofferedPipelining => {
                ("503 5.5.0 Improper use of SMTP command pipelining", true)
            }
            LimitViolation::BadCommand => ("503 5.5.1 Error: bad sequence of commands", false),
            LimitViolation::Data => ("554 5.5.1 Error: this world takes no mail", false),
        }
    }
}

/// Counts events in any window of a fixed length, in memory for no more than `allowed` of them.
#[derive(Debug, Default)]
pub struct SlidingWindow {
    times: VecDeque<Duration>,
}

impl SlidingWindow {
    /// Counts one event; true when it is one more than `allowed` within `length`.
    pub fn passes(&mut self, now: Duration, length: Duration, allowed: Option<u32>) -> bool {
        let Some(allowed) = allowed else { return false };
        while self.times.front().is_some_and(|&first| first + length <= now) {
            self.times.pop_front();
        }
        let passed = self.times.len() >= allowed as usize;
        self.times.push_back(now);
        if self.times.len() > allowed as usize {
            self.times.pop_front();
        }
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_slides_and_counts_only_what_it_allows() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let mut window = SlidingWindow::default();
        let at = [0, 1, 2, 59, 60, 61, 62, 130];
        let passed: Vec<bool> = at.iter().map(|&t| window.passes(second * t, minute, Some(3))).collect();
        assert_eq!(passed, [false, false, false, true, true, true, true, false]);
        assert!(!SlidingWindow::default().passes(second, minute, None));
        assert!(SlidingWindow::default().passes(second, minute, Some(0)));
    }
}
