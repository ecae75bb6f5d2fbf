//! Address literals: `[192.0.2.1]` and `[IPv6:2001:db8::1]` (RFC 5321 4.1.3).
//!
//! Decides: whether the text after the @ is an address literal. `IPv6` is the only tag that was ever registered, so no
//! other one is accepted. Must not: decide whether the IP address may be connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::fault::{FaultKind, SyntaxFault, fault};

/// Reads an address literal with its brackets.
pub(super) fn parse(text: &str) -> Result<IpAddr, SyntaxFault> {
    let Some(end) = text.find(']') else {
        return fault(FaultKind::UnclosedLiteral, 0);
    };
    if end + 1 != text.len() {
        return fault(FaultKind::BadLiteral, end + 1);
    }
    let inside = &text[1..end];
    if let Some(ip) = ipv4(inside) {
        return Ok(IpAddr::V4(ip));
    }
    match inside.split_once(':') {
        Some((tag, rest)) if tag.eq_ignore_ascii_case("IPv6") => match ipv6(rest) {
            Some(ip) => Ok(IpAddr::V6(ip)),
            None => fault(FaultKind::BadLiteral, 1 + tag.len() + 1),
        },
        // An IPv6 address without its tag has colons too.
        Some((tag, _)) if !tag.is_empty() && inside.parse::<Ipv6Addr>().is_err() => {
            fault(FaultKind::UnknownLiteralTag, 1)
        }
        _ => fault(FaultKind::BadLiteral, 1),
    }
}

/// An IPv4 address: four decimal numbers up to 255, of one to three digits. Leading zeros are allowed.
fn ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        if part.is_empty() || part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *octet = part.parse().ok()?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
}

/// An IPv6 address. In RFC 5321 `::` stands for at least two groups, in RFC 4291 for at least one.
fn ipv6(text: &str) -> Option<Ipv6Addr> {
    let Some((head, tail)) = text.rsplit_once(':').filter(|(_, tail)| tail.contains('.')) else {
        let written = text.split(':').filter(|group| !group.is_empty()).count();
        let ip: Ipv6Addr = text.parse().ok()?;
        return (!text.contains("::") || written <= 6).then_some(ip);
    };
    let [a, b, c, d] = ipv4(tail)?.octets();
    let hex = format!("{head}:{:x}:{:x}", u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let written = head.split(':').filter(|group| !group.is_empty()).count();
    let ip: Ipv6Addr = hex.parse().ok()?;
    (!text.contains("::") || written <= 4).then_some(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_read_by_the_grammar_of_rfc_5321() {
        for (text, ip) in [
            ("[192.0.2.1]", "192.0.2.1"),
            ("[192.000.002.001]", "192.0.2.1"),
            ("[IPv6:2001:db8::1]", "2001:db8::1"),
            ("[ipv6:2001:DB8::1]", "2001:db8::1"),
            ("[IPv6:::]", "::"),
            ("[IPv6:1:2:3:4:5:6:7:8]", "1:2:3:4:5:6:7:8"),
            ("[IPv6:1::4:5:6:7:8]", "1:0:0:4:5:6:7:8"),
            ("[IPv6:::ffff:192.0.2.1]", "::ffff:192.0.2.1"),
            ("[IPv6:1:2:3:4:5:6:192.0.2.1]", "1:2:3:4:5:6:c000:201"),
        ] {
            assert_eq!(parse(text), Ok(ip.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn each_fault_of_a_literal_has_its_place() {
        use FaultKind::{BadLiteral, UnclosedLiteral, UnknownLiteralTag};
        for (text, kind, at) in [
            ("[192.0.2.1", UnclosedLiteral, 0),
            ("[192.0.2.1]x", BadLiteral, 11),
            ("[192.0.2]", BadLiteral, 1),
            ("[192.0.2.256]", BadLiteral, 1),
            ("[0192.0.2.1]", BadLiteral, 1),
            ("[]", BadLiteral, 1),
            ("[2001:db8::1]", BadLiteral, 1),
            ("[IPv6:1:2:3:4:5:6:7::]", BadLiteral, 6),
            ("[IPv6:1::2::3]", BadLiteral, 6),
            ("[IPv6:fe80::1%eth0]", BadLiteral, 6),
            ("[IPv6:1:2:3:4:5::192.0.2.1]", BadLiteral, 6),
            ("[IPv6:12345::1]", BadLiteral, 6),
            ("[X400:c=us]", UnknownLiteralTag, 1),
        ] {
            assert_eq!(parse(text), Err(SyntaxFault { kind, at }), "{text}");
        }
    }
}
