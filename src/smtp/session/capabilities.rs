//! The extensions that a server offers in its EHLO reply.
//!
//! Decides: which EHLO keywords count (RFC 5321 4.1.1.1). Their case does not matter, and unknown keywords are ignored.

use crate::smtp::Reply;

/// The extensions that a server offers in its EHLO reply; none after HELO.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// STARTTLS (RFC 3207).
    pub starttls: bool,
    /// The most MAIL commands in one session, if the server announces it (LIMITS, RFC 9422).
    pub mail_max: Option<u32>,
    /// The most RCPT commands in one transaction, if the server announces it (LIMITS, RFC 9422).
    pub rcpt_max: Option<u32>,
}

impl Capabilities {
    /// Reads an EHLO reply. Its first line is the server's name and holds no keyword.
    pub(super) fn from_ehlo(ehlo: &Reply) -> Capabilities {
        let mut capabilities = Capabilities::default();
        for line in ehlo.lines.iter().skip(1) {
            let mut words = line.split_ascii_whitespace();
            let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
            match keyword.as_str() {
                "PIPELINING" => capabilities.pipelining = true,
                "SMTPUTF8" => capabilities.smtputf8 = true,
                "STARTTLS" => capabilities.starttls = true,
                "LIMITS" => words.for_each(|limit| capabilities.read_limit(limit)),
                _ => {}
            }
        }
        capabilities
    }

    /// Reads one `NAME=VALUE` of LIMITS. A value that is not a number from 1 to 999999 (RFC 9422 4) is ignored.
    fn read_limit(&mut self, limit: &str) {
        let Some((name, value)) = limit.split_once('=') else {
            return;
        };
        let is_number = (1..=6).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
        let Some(value) = value.parse().ok().filter(|&n: &u32| is_number && n > 0) else {
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
    fn keywords_are_read_in_any_case_and_the_first_line_holds_none() {
        let from_ehlo = |lines: &[&str]| Capabilities::from_ehlo(&Reply::new(250, lines));
        assert_eq!(from_ehlo(&["PIPELINING"]), Capabilities::default());
        assert_eq!(
            from_ehlo(&[
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
            assert_eq!(from_ehlo(&["mx", &format!("LIMITS {odd}")]), Capabilities::default(), "{odd}");
        }
    }
}
