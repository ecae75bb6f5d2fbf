//! What an address is: RFC 5321 4.1.2 with RFC 6531, as RCPT can carry it.
//!
//! Decides: whether a text is an address, and if not, what is wrong and at which byte. Must not: repair, guess, ask.

use std::fmt;
use std::net::IpAddr;

use super::Domain;

/// A checked address: it can hold no control character, no CR, LF or NUL, by construction.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address {
    local: Box<str>,
    host: Host,
}

/// The right side of the @.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A domain name.
    Domain(Domain),
    /// An address literal (RFC 5321 4.1.3).
    Literal(IpAddr),
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SyntaxFault {
    /// Byte offset in the text given.
    pub at: usize,
}

impl Address {
    /// Reads an address. No white space around it, no display name, no comments.
    pub fn parse(text: &str) -> Result<Address, SyntaxFault> {
        let at = text.rfind('@').ok_or(SyntaxFault { at: text.len() })?;
        let domain = Domain::parse(&text[at + 1..]).map_err(|fault| SyntaxFault {
            at: at + 1 + fault.at,
        })?;
        Ok(Address {
            local: text[..at].into(),
            host: Host::Domain(domain),
        })
    }

    /// The part left of the @ as it is sent: in quotes if it needs them, its case untouched.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The part right of the @.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The domain; `None` for an address literal.
    pub fn domain(&self) -> Option<&Domain> {
        match &self.host {
            Host::Domain(domain) => Some(domain),
            Host::Literal(_) => None,
        }
    }

    /// True when only a server with SMTPUTF8 (RFC 6531) can be asked: the local part has letters beyond ASCII.
    pub fn needs_smtputf8(&self) -> bool {
        !self.local.is_ascii()
    }
}

/// The address as it is sent between `<` and `>`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Domain(domain) => write!(f, "{}@{domain}", self.local),
            Host::Literal(IpAddr::V4(ip)) => write!(f, "{}@[{ip}]", self.local),
            Host::Literal(IpAddr::V6(ip)) => write!(f, "{}@[IPv6:{ip}]", self.local),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
