//! The grammar of addresses: RFC 5321 4.1.2 with RFC 6531, as RCPT carries them.
//!
//! Decides: whether a text is an address; if not, what is wrong and at which byte. This is not RFC 5322: no comments,
//! no folding white space, no display names. Stricter than the grammar in one point: invisible characters, curly
//! quotes, full-width forms and lost letters are faults, because they come from exports and never from mailboxes.
//! Must not: repair, suggest, ask the network.

use std::fmt;
use std::net::IpAddr;

use smol_str::SmolStr;

use super::characters::{reject_artifacts, reject_signs};
use super::fault::{DomainFault, FaultKind, SyntaxFault, char_start, fault};
use super::{Domain, literal, local};

/// The most octets of an address. A path has at most 256, with its angle brackets (RFC 5321 4.5.3.1.3).
const ADDRESS_MAX_BYTES: usize = 254;

/// A valid address. By construction it holds no control character, so no CR, LF or NUL. Equal addresses are equal
/// values, because the domain is canonical and the local part is quoted only if it has to be.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address {
    local: SmolStr,
    host: MailHost,
}

/// The part right of the @.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MailHost {
    /// A domain name.
    Domain(Domain),
    /// An address literal (RFC 5321 4.1.3).
    Literal(IpAddr),
}

impl Address {
    /// Reads an address, without white space around it, display name or comments.
    ///
    /// ```
    /// use listproof::Address;
    /// use listproof::details::FaultKind;
    /// let address = Address::parse("Jane.Doe@Example.COM").unwrap();
    /// assert_eq!(address.to_string(), "Jane.Doe@example.com");
    /// assert_eq!(Address::parse("\"Jane.Doe\"@example.com"), Ok(address));
    /// let fault = Address::parse("jane..doe@example.com").unwrap_err();
    /// assert_eq!((fault.kind, fault.at), (FaultKind::DoubleDot, 5));
    /// ```
    pub fn parse(text: &str) -> Result<Address, SyntaxFault> {
        Address::parse_with(text, Domain::parse)
    }

    /// As [`Address::parse`], with a function that reads the domain as [`Domain::parse`] does. A caller that has parsed
    /// most domains before can look them up.
    pub fn parse_with(
        text: &str,
        domain: impl FnOnce(&str) -> Result<Domain, DomainFault>,
    ) -> Result<Address, SyntaxFault> {
        let (local, at) = local::parse(text)?;
        let start = at + 1;
        let right = &text[start..];
        let host = if right.starts_with('[') {
            MailHost::Literal(literal::parse(right).map_err(|fault| fault.shifted(start))?)
        } else {
            if !right.is_ascii() {
                let rejected = reject_artifacts(right).and_then(|()| reject_signs(right));
                rejected.map_err(|fault| fault.shifted(start))?;
            }
            MailHost::Domain(domain(right).map_err(|fault| fault.shifted(start))?)
        };
        let length = match &host {
            MailHost::Domain(domain) => local.len() + 1 + domain.as_str().len(),
            MailHost::Literal(_) => text.len(),
        };
        if length > ADDRESS_MAX_BYTES {
            return fault(FaultKind::TooLong, char_start(text, ADDRESS_MAX_BYTES.min(text.len())));
        }
        Ok(Address { local: local.into(), host })
    }

    /// The part left of the @ as it is sent: in quotes if it needs them, with its case unchanged.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The part right of the @.
    pub fn host(&self) -> &MailHost {
        &self.host
    }

    /// The domain; `None` for an address literal.
    pub fn domain(&self) -> Option<&Domain> {
        match &self.host {
            MailHost::Domain(domain) => Some(domain),
            MailHost::Literal(_) => None,
        }
    }

    /// True if the local part has letters beyond ASCII, which only servers with SMTPUTF8 (RFC 6531) accept.
    pub fn needs_smtputf8(&self) -> bool {
        !self.local.is_ascii()
    }

    /// The same local part at another domain. The only fault is an address that gets too long.
    pub fn at_domain(&self, domain: Domain) -> Result<Address, SyntaxFault> {
        if self.local.len() + 1 + domain.as_str().len() > ADDRESS_MAX_BYTES {
            return fault(FaultKind::TooLong, ADDRESS_MAX_BYTES);
        }
        Ok(Address { local: self.local.clone(), host: MailHost::Domain(domain) })
    }
}

/// The local part and the domain of a plain address, as almost all are: its local part has only letters, digits, `.`,
/// `_`, `-` and `+`, and begins with none of the last two. `None` for other texts. The domain is not checked; if it is
/// a domain in canonical form, [`Address::parse`] returns the same parts.
pub(crate) fn split_plain(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let mut before = b'.';
    for (at, &b) in bytes.iter().enumerate() {
        match b {
            b'a'..=b'z' | b'0'..=b'9' | b'A'..=b'Z' | b'_' => {}
            b'.' if before != b'.' => {}
            b'-' | b'+' if at > 0 => {}
            b'@' if before != b'.' && at <= local::MAX_BYTES && bytes.len() <= ADDRESS_MAX_BYTES => {
                return Some((&text[..at], &text[at + 1..]));
            }
            _ => return None,
        }
        before = b;
    }
    None
}

/// Writes the address as it is sent between `<` and `>`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            MailHost::Domain(domain) => write!(f, "{}@{domain}", self.local),
            MailHost::Literal(IpAddr::V4(ip)) => write!(f, "{}@[{ip}]", self.local),
            MailHost::Literal(IpAddr::V6(ip)) => write!(f, "{}@[IPv6:{ip}]", self.local),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_read_and_written_as_the_wire_wants_them() {
        let long = "a".repeat(64);
        for (text, wire) in [
            ("jane@example.com", "jane@example.com"),
            ("Jane.O'Neill+x@Example.COM", "Jane.O'Neill+x@example.com"),
            ("!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com"),
            ("jane@localhost", "jane@localhost"),
            ("\"jane\"@example.com", "jane@example.com"),
            ("\"j\\ane\"@example.com", "jane@example.com"),
            ("\"jane doe\"@example.com", "\"jane doe\"@example.com"),
            ("\"jane\\ doe\"@example.com", "\"jane doe\"@example.com"),
            ("\"a\\\"b\\\\c\"@example.com", "\"a\\\"b\\\\c\"@example.com"),
            ("\"a@b\"@example.com", "\"a@b\"@example.com"),
            ("\".a\"@example.com", "\".a\"@example.com"),
            ("\"\"@example.com", "\"\"@example.com"),
            ("пётр@пример.example", "пётр@xn--e1afmkfd.example"),
            ("jane@Bücher.example", "jane@xn--bcher-kva.example"),
            ("jane@1.example", "jane@1.example"),
            ("jane@[192.0.2.1]", "jane@[192.0.2.1]"),
            ("jane@[ipv6:2001:DB8::1]", "jane@[IPv6:2001:db8::1]"),
            (&format!("{long}@example.com"), &format!("{long}@example.com")),
        ] {
            assert_eq!(
                Address::parse(text).map(|address| address.to_string()),
                Ok(wire.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn each_fault_of_an_address_has_its_place() {
        use FaultKind::*;
        let long = "a".repeat(65);
        let label = "a".repeat(64);
        let whole = format!("{}@{}.example", "a".repeat(64), vec!["b".repeat(60); 3].join("."));
        for (text, kind, at) in [
            ("", Empty, 0),
            ("jane", NoAt, 4),
            ("jane doe", NoAt, 8),
            ("@example.com", NoLocalPart, 0),
            ("jane@", NoDomain, 5),
            (".jane@example.com", LeadingDot, 0),
            ("jane.@example.com", TrailingDot, 4),
            ("ja..ne@example.com", DoubleDot, 3),
            ("jane doe@example.com", WhiteSpace, 4),
            ("jane,doe@example.com", LocalCharacter, 4),
            ("jane(x)@example.com", Comment, 4),
            ("Jane <jane@example.com>", WhiteSpace, 4),
            ("<jane@example.com>", AngleBracket, 0),
            ("ja\"ne@example.com", MisplacedQuote, 2),
            ("\"jane\"doe@example.com", MisplacedQuote, 5),
            ("\"jane@example.com", UnclosedQuote, 0),
            ("\"ja\\éne\"@example.com", BadEscape, 3),
            ("\"ja\nne\"@example.com", ControlCharacter, 3),
            ("jane\r\n@example.com", ControlCharacter, 4),
            ("ja\u{85}ne@example.com", ControlCharacter, 2),
            ("ja\u{200b}ne@example.com", InvisibleCharacter, 2),
            ("jane@exa\u{200b}mple.com", InvisibleCharacter, 8),
            ("ja\u{200d}ne@example.com", InvisibleCharacter, 2),
            ("o\u{2019}neill@example.com", TypographicQuote, 1),
            ("jane\u{ff20}example.com", NoAt, 18),
            ("ｊane@example.com", FullWidth, 0),
            ("jane@example。com", FullWidth, 12),
            ("m\u{fffd}ller@example.com", Undecodable, 1),
            ("jane\u{a0}doe@example.com", WhiteSpace, 4),
            ("jane@doe@example.com", SecondAt, 8),
            ("jane@.example.com", DomainLeadingDot, 5),
            ("jane@example.com.", DomainTrailingDot, 16),
            ("jane@example..com", DomainDoubleDot, 13),
            ("jane@exa_mple.com", DomainCharacter, 8),
            ("jane@-example.com", DomainHyphen, 5),
            ("jane@example-.com", DomainHyphen, 12),
            ("jane@xn--a.example", Punycode, 5),
            ("jane@192.0.2.1", BareIp, 5),
            ("jane@example.123", NumericTopLevel, 13),
            ("jane@[192.0.2.1", UnclosedLiteral, 5),
            ("jane@[x]", BadLiteral, 6),
            ("jane@bü cher.example", WhiteSpace, 8),
            ("jane@\u{661}a.example", InternationalDomain, 5),
            (&format!("{long}@example.com"), LocalTooLong, 64),
            (&format!("{}ä@example.com", "a".repeat(63)), LocalTooLong, 63),
            (&format!("jane@{label}.example"), LabelTooLong, 68),
            (&whole, TooLong, 254),
        ] {
            assert_eq!(Address::parse(text), Err(SyntaxFault { kind, at }), "{text:?}");
        }
    }

    #[test]
    fn only_local_parts_beyond_ascii_need_smtputf8() {
        let needs = |text| Address::parse(text).unwrap().needs_smtputf8();
        assert!(needs("пётр@example.com"));
        assert!(!needs("jane@bücher.example"));
    }

    fn likely_text() -> impl Strategy<Value = String> {
        let local = "([a-zA-Z0-9.+_'\"\\\\ -]{0,12}|\"[ -~]{0,12}\"|\\PC{0,8})";
        let domain = "([a-zA-Z0-9.-]{0,20}|\\[[a-fA-F0-9:.IPv]{0,20}\\]|\\PC{0,10}\\.[a-z]{2,3})";
        (local, domain).prop_map(|(local, domain)| format!("{local}@{domain}"))
    }

    proptest! {
        #[test]
        fn a_written_address_parses_to_the_same_address(text in likely_text()) {
            if let Ok(address) = Address::parse(&text) {
                prop_assert_eq!(Address::parse(&address.to_string()), Ok(address));
            }
        }

        #[test]
        fn no_address_holds_a_control_character(text in "[a\"\\\\@.\r\n\u{0}\u{7f}\u{85}]{0,9}@a\\.[b\r\n\u{0}]{1,3}") {
            if let Ok(address) = Address::parse(&text) {
                prop_assert!(!address.to_string().contains(char::is_control));
            }
        }

        #[test]
        fn a_fault_points_into_the_text(text in "\\PC{0,20}") {
            if let Err(fault) = Address::parse(&text) {
                prop_assert!(fault.at <= text.len());
            }
        }
    }
}
