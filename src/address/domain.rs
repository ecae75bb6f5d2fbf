//! A domain name as mail routing needs it: A-labels, lower case, LDH, no trailing dot.
//!
//! Decides: whether a text is a domain. Letters are those of RFC 5321 4.1.2, lengths those of RFC 1035. Two hyphens as
//! third and fourth character are reserved for A-labels (RFC 5890 2.3.1), and the last label is never a number (RFC
//! 1123 2.1). International names are converted by UTS #46, with every option strict (STD3 letters, hyphens, joiners,
//! bidi) and not transitional. Must not: ask the DNS. Can't know: whether a name is registered; characters newer than
//! the Unicode data that is compiled in.

use std::borrow::Borrow;
use std::fmt;
use std::net::Ipv4Addr;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use smol_str::{SmolStr, StrExt};

use super::fault::{DomainFault, FaultKind, SyntaxFault, character_fault, fault};

/// The most octets of a label (RFC 1035 2.3.4).
const LABEL_MAX_BYTES: usize = 63;
/// The most octets of a name as text. Its wire form has two more, and at most 255 (RFC 1035 2.3.4).
const NAME_MAX_BYTES: usize = 253;

/// A valid domain name. Cheap to clone. Two equal domains are equal values, because the form is canonical.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(SmolStr);

impl Domain {
    /// Reads a domain as people write it: U-labels or A-labels, in any case. The mapping of UTS #46 applies, which also
    /// turns full stops of other scripts into dots.
    ///
    /// ```
    /// use listproof::Domain;
    /// assert_eq!(Domain::parse("Bücher.example").unwrap().as_str(), "xn--bcher-kva.example");
    /// assert!(Domain::parse("192.0.2.1").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Domain, DomainFault> {
        if !text.is_ascii() {
            return Domain::parse_international(text);
        }
        match scan(text.as_bytes())? {
            DomainForm::Canonical => Ok(Domain(text.into())),
            DomainForm::UpperCase => Ok(Domain(text.to_ascii_lowercase_smolstr())),
            DomainForm::International => Domain::parse_international(text),
        }
    }

    fn parse_international(text: &str) -> Result<Domain, DomainFault> {
        let ascii = to_ascii(text)?;
        // Offsets in the converted name mean nothing in the original one, so the fault points to the start of the
        // domain.
        match scan(ascii.as_bytes()) {
            Ok(_) if ascii.len() > NAME_MAX_BYTES => {
                Err(SyntaxFault { kind: FaultKind::DomainTooLong, at: 0 })
            }
            Ok(_) => Ok(Domain(ascii.into())),
            Err(fault) => Err(SyntaxFault { at: 0, ..fault }),
        }
    }

    /// Reads a host name from a DNS answer: ASCII, in any case, with or without the final dot, and with the underscores
    /// that the DNS allows and mail does not. UTS #46 is not applied.
    pub fn from_dns(text: &str) -> Result<Domain, DomainFault> {
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return fault(FaultKind::NoDomain, 0);
        }
        if name.len() > NAME_MAX_BYTES {
            return fault(FaultKind::DomainTooLong, NAME_MAX_BYTES);
        }
        let mut start = 0;
        for label in name.split('.') {
            if label.is_empty() {
                return fault(FaultKind::DomainDoubleDot, start);
            }
            if label.len() > LABEL_MAX_BYTES {
                return fault(FaultKind::LabelTooLong, start + LABEL_MAX_BYTES);
            }
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            if let Some(i) = label.bytes().position(|b| !allowed(b)) {
                return fault(FaultKind::DomainCharacter, start + i);
            }
            start += label.len() + 1;
        }
        Ok(Domain(name.to_ascii_lowercase_smolstr()))
    }

    /// The name: A-labels, lower case, no trailing dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in U-labels, for display only.
    pub fn to_unicode(&self) -> String {
        to_unicode(&self.0)
    }

    /// True if the name is `suffix` or ends in `.suffix`; `suffix` is in lower case, without a leading dot.
    pub fn is_within(&self, suffix: &str) -> bool {
        self.0.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    /// The name and each of its parents except the top-level domain: `a.b.example`, `b.example`.
    pub fn and_parents(&self) -> impl Iterator<Item = &str> {
        let name = self.as_str();
        let dots = memchr::memchr_iter(b'.', name.as_bytes());
        // A name starts at the first character and after each dot except the last one.
        std::iter::once(0)
            .chain(dots.clone().map(|dot| dot + 1))
            .zip(dots)
            .map(move |(start, _)| &name[start..])
    }

    /// The registrable domain (a public suffix and one label); `None` if the name is itself a public suffix.
    pub fn registrable(&self) -> Option<&str> {
        psl::domain_str(&self.0)
    }

    /// The last label.
    pub fn top_level(&self) -> &str {
        self.0.rsplit('.').next().unwrap_or(&self.0)
    }

    /// True for a name without a dot, which cannot receive mail on the Internet (RFC 7085).
    pub fn is_single_label(&self) -> bool {
        !self.0.contains('.')
    }

    /// True if the top-level domain is on the public suffix list that is compiled in. A newer one is not on it, so only
    /// the DNS can say that a top-level domain does not exist.
    pub fn has_known_top_level(&self) -> bool {
        psl::suffix(self.top_level().as_bytes()).is_some_and(|suffix| suffix.is_known())
    }
}

/// A map with domains as keys can be searched by their text.
impl Borrow<str> for Domain {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The form of an ASCII text that may be a domain.
enum DomainForm {
    /// The canonical form.
    Canonical,
    /// The canonical form but for capital letters.
    UpperCase,
    /// It has A-labels, which UTS #46 has to check.
    International,
}

/// The class of each byte in a domain, as a bit, so that the classes of a label can be combined; 0 for bytes that no
/// domain has.
const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut b = 0;
    while b < 128 {
        table[b as usize] = match b {
            b'a'..=b'z' => LOWER,
            b'A'..=b'Z' => UPPER,
            b'0'..=b'9' => DIGIT,
            b'-' => HYPHEN,
            _ => 0,
        };
        b += 1;
    }
    table
};
const LOWER: u8 = 1;
const UPPER: u8 = 2;
const DIGIT: u8 = 4;
const HYPHEN: u8 = 8;

/// Checks an ASCII domain and returns its form.
fn scan(text: &[u8]) -> Result<DomainForm, DomainFault> {
    let mut start = 0;
    let mut upper = false;
    let mut a_label = false;
    loop {
        let mut classes = 0;
        let letters = text[start..].iter().take_while(|&&b| {
            let class = CLASS[usize::from(b)];
            classes |= class;
            class != 0
        });
        let end = start + letters.count();
        let label = &text[start..end];
        if label.first() == Some(&b'-') {
            return fault(FaultKind::DomainHyphen, start);
        }
        if classes & HYPHEN != 0 && label.get(2..4) == Some(b"--") {
            if !label[..2].eq_ignore_ascii_case(b"xn") {
                return fault(FaultKind::DomainHyphen, start + 2);
            }
            a_label = true;
        }
        upper |= classes & UPPER != 0;
        match text.get(end) {
            Some(b'.') => end_label(text, start, end)?,
            Some(&b) => return fault(character_fault(b, FaultKind::DomainCharacter), end),
            None => {
                end_label(text, start, end)?;
                if classes == DIGIT {
                    return numeric_top_level(text, start);
                }
                break;
            }
        }
        start = end + 1;
    }
    if a_label {
        return Ok(DomainForm::International);
    }
    if text.len() > NAME_MAX_BYTES {
        return fault(FaultKind::DomainTooLong, NAME_MAX_BYTES);
    }
    Ok(if upper { DomainForm::UpperCase } else { DomainForm::Canonical })
}

/// The fault of a name whose last label, which begins at `start`, is a number.
fn numeric_top_level(text: &[u8], start: usize) -> Result<DomainForm, DomainFault> {
    let dotted_quad = str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv4Addr>().is_ok());
    if dotted_quad { fault(FaultKind::BareIp, 0) } else { fault(FaultKind::NumericTopLevel, start) }
}

fn end_label(text: &[u8], start: usize, end: usize) -> Result<(), DomainFault> {
    let kind = match end - start {
        0 if text.is_empty() => FaultKind::NoDomain,
        0 if start == 0 => FaultKind::DomainLeadingDot,
        0 if end == text.len() => FaultKind::DomainTrailingDot,
        0 => FaultKind::DomainDoubleDot,
        _ if text[end - 1] == b'-' => FaultKind::DomainHyphen,
        length if length > LABEL_MAX_BYTES => FaultKind::LabelTooLong,
        _ => return Ok(()),
    };
    let at = match kind {
        FaultKind::DomainHyphen | FaultKind::DomainTrailingDot => end - 1,
        FaultKind::LabelTooLong => start + LABEL_MAX_BYTES,
        _ => start,
    };
    Err(SyntaxFault { kind, at })
}

/// The domain in A-labels and lower case; lengths and empty labels are not checked here.
fn to_ascii(text: &str) -> Result<String, DomainFault> {
    map(text).ok_or_else(|| find_fault(text))
}

/// The domain in U-labels, for display only.
fn to_unicode(ascii: &str) -> String {
    Uts46::new().to_unicode(ascii.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow).0.into_owned()
}

/// The domain in A-labels; `None` where UTS #46 rejects it.
fn map(text: &str) -> Option<String> {
    let options = (AsciiDenyList::STD3, Hyphens::Check, DnsLength::Ignore);
    let ascii = Uts46::new().to_ascii(text.as_bytes(), options.0, options.1, options.2).ok()?;
    // The data of ICU4X 2.4 take some unassigned code points after the last Han characters for letters.
    let unassigned = |c: char| ('\u{33480}'..='\u{dffff}').contains(&c);
    (!to_unicode(&ascii).contains(unassigned)).then(|| ascii.into_owned())
}

/// The full stops that UTS #46 treats as dots.
const FULL_STOPS: [char; 4] = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'];

/// The fault for which UTS #46 rejects a domain: of a character, else of a label, else of the whole name (the bidi
/// rule).
fn find_fault(text: &str) -> DomainFault {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.' || !b.is_ascii();
    if let Some((at, b)) = text.bytes().enumerate().find(|&(_, b)| !allowed(b)) {
        return SyntaxFault { kind: character_fault(b, FaultKind::DomainCharacter), at };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_have_one_form() {
        for (text, name) in [
            ("Example.COM", "example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
            ("faß.example", "xn--fa-hia.example"),
            ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
            ("<\u{338}7.example", "xn--7-mgo.example"),
        ] {
            assert_eq!(Domain::parse(text).map(|domain| domain.to_string()), Ok(name.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_domain_stops_at_253_bytes() {
        let name = |last: usize| format!("{}.{}", vec!["a".repeat(63); 3].join("."), "b".repeat(last));
        assert!(Domain::parse(&name(61)).is_ok());
        let fault = |kind, at| Err(SyntaxFault { kind, at });
        assert_eq!(Domain::parse(&name(62)), fault(FaultKind::DomainTooLong, 253));
        assert_eq!(Domain::parse(&name(64)), fault(FaultKind::LabelTooLong, 255));
        assert_eq!(Domain::parse("xn--xn---epa.example"), fault(FaultKind::Punycode, 0));
    }

    #[test]
    fn names_from_the_dns_may_have_underscores_and_a_final_dot() {
        assert_eq!(Domain::from_dns("MX_1.Example.COM.").unwrap().as_str(), "mx_1.example.com");
        let fault = |kind, at| Err(SyntaxFault { kind, at });
        for (text, error) in [
            (".", fault(FaultKind::NoDomain, 0)),
            ("a..b", fault(FaultKind::DomainDoubleDot, 2)),
            ("mx .example.com", fault(FaultKind::DomainCharacter, 2)),
            ("müx.example.com", fault(FaultKind::DomainCharacter, 1)),
        ] {
            assert_eq!(Domain::from_dns(text), error, "{text}");
        }
    }

    #[test]
    fn suffixes_match_whole_labels() {
        let domain = Domain::parse("mail.example.com").unwrap();
        assert!(domain.is_within("example.com") && domain.is_within("mail.example.com"));
        assert!(!domain.is_within("ample.com") && !domain.is_within("x.mail.example.com"));
        assert_eq!(domain.and_parents().collect::<Vec<_>>(), ["mail.example.com", "example.com"]);
        assert_eq!(domain.registrable(), Some("example.com"));
        assert_eq!(Domain::parse("co.uk").unwrap().registrable(), None);
        assert_eq!(Domain::parse("xn--bcher-kva.example").unwrap().to_unicode(), "bücher.example");
    }

    #[test]
    fn unknown_top_levels_are_detected() {
        let known = |text| Domain::parse(text).unwrap().has_known_top_level();
        assert!(known("example.com") && known("example.xn--p1ai") && !known("example.con"));
        assert!(Domain::parse("intranet").unwrap().is_single_label());
    }
}
