//! What is asked: the client, its HELO name, the sender (RFC 7208 2.3, 2.4, 4.1, 4.3).
//!
//! Decides: which domain is checked, for which sender.

use std::net::IpAddr;

/// A question: may this client use these names?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpfRequest {
    pub(super) ip: IpAddr,
    pub(super) helo: String,
    pub(super) local: String,
    pub(super) domain: String,
    pub(super) time: u64,
}

impl SpfRequest {
    /// The question for a client and the names it gives. Without a sender, or with the null sender, the HELO name is checked
    /// and the sender is its postmaster. A sender without a local part is the postmaster of its domain.
    /// An IPv4 address that is written as an IPv6 address is an IPv4 address.
    pub fn new(ip: IpAddr, helo: &str, mail_from: Option<&str>) -> SpfRequest {
        let helo = without_final_dot(helo);
        let sender = mail_from.unwrap_or_default().trim();
        let sender = sender.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(sender);
        let (local, domain) = match sender.rsplit_once('@') {
            Some((local, domain)) => (local, without_final_dot(domain)),
            None if sender.is_empty() => ("", helo),
            None => ("", without_final_dot(sender)),
        };
        let local = if local.is_empty() { "postmaster" } else { local };
        SpfRequest {
            ip: ip.to_canonical(),
            helo: helo.to_owned(),
            local: local.to_owned(),
            domain: domain.to_owned(),
            time: 0,
        }
    }

    /// The time that an explanation may show, in seconds since 1970.
    #[must_use]
    pub fn at(self, time: u64) -> SpfRequest {
        SpfRequest { time, ..self }
    }
}

fn without_final_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Why no record of a domain can be asked for; `None` for a domain name of several labels (RFC 7208 4.3).
pub(super) fn domain_fault(domain: &str) -> Option<&'static str> {
    let label_fault = |label: &str| label.is_empty() || label.len() > 63;
    if domain.is_empty() {
        Some("there is no domain")
    } else if !domain.is_ascii() {
        Some("the domain is not in A-label form")
    } else if domain.starts_with('[') {
        Some("an address is no domain")
    } else if domain.len() > 253 || domain.split('.').any(label_fault) {
        Some("the domain is malformed")
    } else if !domain.contains('.') {
        Some("the domain has one label only")
    } else {
        None
    }
}
