//! A domain name as mail routing needs it: A-labels, lower case, LDH, no trailing dot.
//!
//! Decides: which text is a domain (UTS #46 strict, RFC 1035 lengths, RFC 5321 4.1.2 letters). Must not: ask the DNS.

use std::fmt;
use std::sync::Arc;

/// A checked domain name. Cheap to clone. Equality is equality of domains: the form is canonical.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(Arc<str>);

/// Why a text is no domain, and at which byte of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DomainFault {
    /// Byte offset in the text given.
    pub at: usize,
}

impl Domain {
    /// Reads a domain as people write it: U-labels or A-labels, any case.
    pub fn parse(text: &str) -> Result<Domain, DomainFault> {
        let ascii = idna::uts46::Uts46::new()
            .to_ascii(
                text.as_bytes(),
                idna::AsciiDenyList::STD3,
                idna::uts46::Hyphens::CheckFirstLast,
                idna::uts46::DnsLength::Verify,
            )
            .map_err(|_| DomainFault { at: 0 })?;
        Ok(Domain(ascii.into()))
    }

    /// The name: A-labels, lower case, no trailing dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True when the name is `suffix` or ends in `.suffix`; `suffix` is lower-case without a leading dot.
    pub fn is_within(&self, suffix: &str) -> bool {
        self.0
            .strip_suffix(suffix)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
