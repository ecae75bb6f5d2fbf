//! Unicode's conformance table for international domain names (UTS #46), every row.

#![expect(clippy::unwrap_used, reason = "a test stops at what fails")]

use listproof::internals::address;
use listproof::{Address, Domain};

const TABLE: &str = include_str!("idna/uts46_16.txt");

/// The one line with a letter that Unicode has only since version 17, U+32B9A.
const ASSIGNED_SINCE: &str = "xn--9-i0j5967eg3qz.ss;";

/// Replaces `\uXXXX` and `\x{XXXXX}` by the characters that they stand for.
fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, escaped)) = rest.split_once('\\') {
        let (digits, after) = match escaped.strip_prefix("x{") {
            Some(braced) => braced.split_once('}').unwrap(),
            None => escaped[1..].split_at(4),
        };
        plain.push_str(before);
        plain.push(char::from_u32(u32::from_str_radix(digits, 16).unwrap()).unwrap());
        rest = after;
    }
    plain + rest
}

/// The text of each line, and its conversion; `None` if the text must be refused.
fn rows() -> impl Iterator<Item = (String, Option<&'static str>)> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    let lines = lines.filter(|line| !line.starts_with(ASSIGNED_SINCE));
    lines.map(|line| {
        let (text, ascii) = line.split_once(';').unwrap();
        (unescape(text), (!ascii.is_empty()).then_some(ascii))
    })
}

#[test]
fn every_conversion_and_every_error_is_unicodes() {
    let (mut converted, mut refused, mut wrong) = (0, 0, Vec::new());
    for (text, ascii) in rows() {
        let domain = Domain::parse(&text).ok();
        if domain.as_ref().map(Domain::as_str) != ascii {
            wrong.push(format!("{text:?} is {domain:?}, not {ascii:?}"));
        } else if ascii.is_some() {
            converted += 1;
        } else {
            refused += 1;
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!((converted, refused), (546, 5_840));
}

/// [`address::read`] repairs texts that [`Address::parse`] refuses, such as a domain with a dot at its end.
#[test]
fn every_conversion_is_read_as_the_domain_of_an_address() {
    for (text, ascii) in rows() {
        let Some(ascii) = ascii else { continue };
        let (read, _) = address::repair(&format!("jane@{text}"));
        let domain = read.as_ref().ok().and_then(Address::domain);
        // With a local part, the longest names are too long for an address.
        assert!(domain.map(Domain::as_str) == Some(ascii) || ascii.len() > 249, "{text:?} is {read:?}");
    }
}

#[test]
fn what_unicode_rejects_is_no_address() {
    for (text, _) in rows().filter(|(_, ascii)| ascii.is_none()) {
        assert!(Address::parse(&format!("jane@{text}")).is_err(), "{text:?}");
    }
}
