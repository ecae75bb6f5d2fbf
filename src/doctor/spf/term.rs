//! One term of a record: a mechanism with its qualifier, or a modifier (RFC 7208 4.6.1, 5, 6, 12).
//!
//! Decides: whether a term is well formed. Fails: with what is wrong with it.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::macros::{MacroString, Place};
use super::report::SpfResult;

/// A term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Term {
    /// A mechanism, and the result if it matches.
    Directive(SpfResult, Mechanism),
    /// `redirect=`
    Redirect(MacroString),
    /// `exp=`
    Explanation(MacroString),
    /// A modifier that RFC 7208 does not have: ignored.
    Unknown,
}

/// A mechanism.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    All,
    Include(MacroString),
    A(Option<MacroString>, PrefixLengths),
    Mx(Option<MacroString>, PrefixLengths),
    Ptr(Option<MacroString>),
    Ip4(Ipv4Addr, u8),
    Ip6(Ipv6Addr, u8),
    Exists(MacroString),
}

/// The lengths of the prefixes of both families, in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PrefixLengths {
    pub(super) v4: u8,
    pub(super) v6: u8,
}

impl Term {
    /// Parses a term.
    pub(super) fn parse(text: &str) -> Result<Term, String> {
        if let Some((name, value)) = modifier(text) {
            return match name.to_ascii_lowercase().as_str() {
                "redirect" => Ok(Term::Redirect(MacroString::parse_domain(value)?)),
                "exp" => Ok(Term::Explanation(MacroString::parse_domain(value)?)),
                _ => MacroString::parse(value, Place::Record).map(|_| Term::Unknown),
            };
        }
        let (result, rest) = match text.as_bytes().first() {
            Some(b'+') => (SpfResult::Pass, &text[1..]),
            Some(b'-') => (SpfResult::Fail, &text[1..]),
            Some(b'~') => (SpfResult::SoftFail, &text[1..]),
            Some(b'?') => (SpfResult::Neutral, &text[1..]),
            _ => (SpfResult::Pass, text),
        };
        Ok(Term::Directive(result, Mechanism::parse(rest)?))
    }
}

/// The name and the value of a modifier.
fn modifier(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    is_name.then_some((name, value))
}

impl Mechanism {
    fn parse(text: &str) -> Result<Mechanism, String> {
        let end = text.find([':', '/']).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let domain = || match rest.strip_prefix(':') {
            Some(domain) => MacroString::parse_domain(domain),
            None => Err(format!("`{name}` needs a domain")),
        };
        match name.to_ascii_lowercase().as_str() {
            "all" if rest.is_empty() => Ok(Mechanism::All),
            "all" => Err("`all` has no argument".to_owned()),
            "include" => Ok(Mechanism::Include(domain()?)),
            "exists" => Ok(Mechanism::Exists(domain()?)),
            "ptr" if rest.is_empty() => Ok(Mechanism::Ptr(None)),
            "ptr" => Ok(Mechanism::Ptr(Some(domain()?))),
            "a" => with_prefixes(rest).map(|(domain, lengths)| Mechanism::A(domain, lengths)),
            "mx" => with_prefixes(rest).map(|(domain, lengths)| Mechanism::Mx(domain, lengths)),
            "ip4" => {
                let (network, length) = network(rest, 32)?;
                let network = ipv4(network).ok_or_else(|| format!("`{network}` is not an IPv4 address"))?;
                Ok(Mechanism::Ip4(network, length))
            }
            "ip6" => {
                let (network, length) = network(rest, 128)?;
                let network = network.parse().map_err(|_| format!("`{network}` is not an IPv6 address"))?;
                Ok(Mechanism::Ip6(network, length))
            }
            _ => Err(format!("`{name}` is not a mechanism")),
        }
    }
}

/// `[":" domain] ["/" length] ["//" length]`
fn with_prefixes(text: &str) -> Result<(Option<MacroString>, PrefixLengths), String> {
    let (text, v6) = match text.rsplit_once("//") {
        Some((before, digits)) if is_number(digits) => (before, prefix_length(digits, 128)?),
        _ => (text, 128),
    };
    let (text, v4) = match text.rsplit_once('/') {
        Some((before, digits)) if is_number(digits) => (before, prefix_length(digits, 32)?),
        _ => (text, 32),
    };
    let lengths = PrefixLengths { v4, v6 };
    match text.strip_prefix(':') {
        Some(domain) => Ok((Some(MacroString::parse_domain(domain)?), lengths)),
        None if text.is_empty() => Ok((None, lengths)),
        None => Err(format!("`{text}` is neither a domain nor a prefix length")),
    }
}

/// `":" network ["/" length]`
fn network(text: &str, bits: u8) -> Result<(&str, u8), String> {
    let text = text.strip_prefix(':').ok_or("an address is missing")?;
    match text.split_once('/') {
        Some((network, digits)) => Ok((network, prefix_length(digits, bits)?)),
        None => Ok((text, bits)),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A prefix length, without a leading zero.
fn prefix_length(digits: &str, bits: u8) -> Result<u8, String> {
    let has_leading_zero = digits.len() > 1 && digits.starts_with('0');
    let length = digits.parse().ok().filter(|length| *length <= bits);
    match length {
        Some(length) if is_number(digits) && !has_leading_zero => Ok(length),
        _ => Err(format!("`/{digits}` is not a prefix length up to {bits}")),
    }
}

/// Four numbers without leading zeros. The parser of the standard library takes exactly these.
fn ipv4(text: &str) -> Option<Ipv4Addr> {
    text.parse().ok()
}
