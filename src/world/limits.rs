//! The limits of a host for each client, and sliding windows to count against them.
//!
//! Decides: when a limit is exceeded. Every violation is counted, whether the host enforces its limits or not, because
//! tests check the counts. Must not: wait, or know the SMTP dialogue.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[host.limits]`, all per client address. A missing key means no limit.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostLimits {
    /// Concurrent connections.
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
    /// Whether the host enforces its limits, or only counts violations.
    pub enforce: bool,
    /// How long the host rejects connections of a client after too many unknown recipients.
    #[serde(deserialize_with = "crate::duration::deserialize_some")]
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

/// A violation by a client: of a limit or of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitViolation {
    /// More concurrent connections than allowed.
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
    /// More 4xx and 5xx replies in a session than allowed.
    ErrorsPerSession,
    /// More recipients in a transaction than allowed.
    RcptsPerMail,
    /// More recipient domains in a transaction than allowed.
    DomainsPerMail,
    /// Connected while banned.
    Banned,
    /// Sent bytes before the greeting.
    EarlyTalk,
    /// Pipelined commands although PIPELINING was not offered.
    UnofferedPipelining,
    /// Used an extension that was not offered, an unknown command, or commands out of order.
    BadCommand,
    /// Sent DATA or BDAT: a verifier never sends mail.
    Data,
}

impl LimitViolation {
    /// The reply of a host that enforces its limits, and whether it then closes the connection.
    pub fn defense(self) -> (&'static str, bool) {
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

/// Counts events in a sliding window of time. Remembers at most `allowed` events.
#[derive(Debug, Default)]
pub(super) struct SlidingWindow {
    times: VecDeque<Duration>,
}

impl SlidingWindow {
    /// Adds an event. True if there are then more than `allowed` events within `length`; never if `allowed` is `None`.
    pub(super) fn add(&mut self, now: Duration, length: Duration, allowed: Option<u32>) -> bool {
        let Some(allowed) = allowed else { return false };
        while self.times.front().is_some_and(|&first| first + length <= now) {
            self.times.pop_front();
        }
        let is_exceeded = self.times.len() >= allowed as usize;
        self.times.push_back(now);
        if self.times.len() > allowed as usize {
            self.times.pop_front();
        }
        is_exceeded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_slides() {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let mut window = SlidingWindow::default();
        let at = [0, 1, 2, 59, 60, 61, 62, 130];
        let exceeded: Vec<bool> = at.iter().map(|&t| window.add(second * t, minute, Some(3))).collect();
        assert_eq!(exceeded, [false, false, false, true, true, true, true, false]);
        assert!(!SlidingWindow::default().add(second, minute, None));
        assert!(SlidingWindow::default().add(second, minute, Some(0)));
    }
}
