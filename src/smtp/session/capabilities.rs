//! What a server says it can do.
//!
//! Decides: which EHLO keywords count (RFC 5321 4.1.1.1). They are read in any case, and unknown ones passed over.

use crate::smtp::Reply;

/// What the server said it can do (its EHLO reply); all false after HELO.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// RFC 2920.
    pub pipelining: bool,
    /// RFC 6531.
    pub smtputf8: bool,
    /// RFC 3207.
    pub starttls: bool,
    /// Most MAIL commands in one session (RFC 9422), where the server says so.
    pub mail_max: Option<u32>,
    /// Most RCPT commands in one transaction (RFC 9422), where the server says so.
    pub rcpt_max: Option<u32>,
}

impl Capabilities {
    /// Reads an EHLO reply. Its first line is the server's name and offers nothing.
    pub(super) fn read(ehlo: &Reply) -> Capabilities {
        let mut capabilities = Capabilities::default();
        for line in ehlo.lines.iter().skip(1) {
            let mut words = line.split_ascii_whitespace();
            let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
            match keyword.as_str() {
                "PIPELINING" => capabilities.pipelining = true,
                "SMTPUTF8" => capabilities.smtputf8 = true,
                "STARTTLS" => capabilities.starttls = true,
                "LIMITS" => words.for_each(|limit| capabilities.limit(limit)),
                _ => {}
            }
        }
        capabilities
    }

    /// One `NAME=VALUE` of LIMITS: a number from 1 to 999999 (RFC 9422 4), or it is passed over.
    fn limit(&mut self, limit: &str) {
        let Some((name, value)) = limit.split_once('=') else {
            return;
        };
        let plain = (1..=6).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
        let Some(value) = value.parse().ok().filter(|&n: &u32| plain && n > 0) else {
            return;
        };
        match name.to_ascii_uppercase().as_str() {
            "MAILMAX" => self.mail_max = Some(value),
            "RCPTMAX" => self.rcpt_max = Some(value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_read_in_any_case_and_the_first_line_offers_nothing() {
        let read = |lines: &[&str]| Capabilities::read(&Reply::new(250, lines));
        assert_eq!(read(&["PIPELINING"]), Capabilities::default());
        assert_eq!(
            read(&[
                "mx.shop.example",
                "pipelining",
                "StartTLS",
                "SMTPUTF8",
                "SIZE 1000",
                "LIMITS RCPTMAX=20 mailmax=5 OTHER=1"
            ]),
            Capabilities {
                pipelining: true,
                smtputf8: true,
                starttls: true,
                mail_max: Some(5),
                rcpt_max: Some(20)
            }
        );
        for odd in ["RCPTMAX=0", "RCPTMAX=+5", "RCPTMAX=", "RCPTMAX", "RCPTMAX=9999999"] {
            assert_eq!(read(&["mx", &format!("LIMITS {odd}")]), Capabilities::default(), "{odd}");
        }
    }
}
