//! International domain names: UTS #46 with every option strict (STD3 letters, hyphens, joiners, bidi), not transitional.
//!
//! Decides: which A-labels a text stands for, and what in it stands for none. Must not: measure lengths or look for empty
//! labels, [`super::domain`] does that of the result. Can't know: letters younger than the Unicode data compiled in.

use ::idna::AsciiDenyList;
use ::idna::uts46::{DnsLength, Hyphens, Uts46};

use super::domain::stranger;
use super::fault::{DomainFault, FaultKind, SyntaxFault};

/// The domain in A-labels and lower case.
pub(super) fn to_ascii(text: &str) -> Result<String, DomainFault> {
    map(text).ok_or_else(|| blame(text))
}

/// The domain as its owner writes it, for display only.
pub(super) fn to_unicode(ascii: &str) -> String {
    Uts46::new().to_unicode(ascii.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow).0.into_owned()
}

fn map(text: &str) -> Option<String> {
    let options = (AsciiDenyList::STD3, Hyphens::Check, DnsLength::Ignore);
    let ascii = Uts46::new().to_ascii(text.as_bytes(), options.0, options.1, options.2).ok()?;
    // Some of the numbers behind the last Han letters pass for letters in the data of ICU4X 2.4.
    let nobodys = |c: char| ('\u{33480}'..='\u{dffff}').contains(&c);
    (!to_unicode(&ascii).contains(nobodys)).then(|| ascii.into_owned())
}

/// The full stops that UTS #46 takes for a dot.
const FULL_STOPS: [char; 4] = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'];

/// Finds what UTS #46 refuses: a character, else a label, else all of it together (the bidi rule).
fn blame(text: &str) -> DomainFault {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.' || !b.is_ascii();
    if let Some((at, b)) = text.bytes().enumerate().find(|&(_, b)| !allowed(b)) {
        return SyntaxFault { kind: stranger(b, FaultKind::DomainCharacter), at };
    }
    let mut start = 0;
    for label in text.split(FULL_STOPS) {
        if map(label).is_none() {
            let letters = label.as_bytes();
            let is_a_label = letters.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"xn--"));
            let hyphens =
                letters.starts_with(b"-") || letters.ends_with(b"-") || (label.is_ascii() && !is_a_label);
            let kind = match label.is_ascii() {
                _ if hyphens => FaultKind::DomainHyphen,
                true => FaultKind::Punycode,
                false => FaultKind::InternationalDomain,
            };
            return SyntaxFault { kind, at: start };
        }
        let stop = text[start + label.len()..].chars().next().map_or(0, char::len_utf8);
        start += label.len() + stop;
    }
    SyntaxFault { kind: FaultKind::InternationalDomain, at: 0 }
}
