//! Domain names that are reserved for other uses than mail.
//!
//! Decides: whether a domain is a reserved name, or below one. Must not: decide what follows from that. Scripted worlds
//! use such names for mail, so the caller decides, which knows the network that it probes.

use super::domain::Domain;

/// A name that is reserved and cannot receive mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpecialUse {
    /// The reserved name: the domain itself, or one of its parents.
    pub name: &'static str,
    /// The document that reserves it.
    pub source: &'static str,
}

/// The reserved names, sorted: the IANA registry "Special-Use Domain Names" and ICANN's `internal`. `example.com`,
/// `example.net` and `example.org` are left out: they exist in the DNS, with a null MX.
const SPECIAL_USE: &[SpecialUse] = &[
    SpecialUse { name: "6tisch.arpa", source: "RFC 9031" },
    SpecialUse { name: "alt", source: "RFC 9476" },
    SpecialUse { name: "eap-noob.arpa", source: "RFC 9140" },
    SpecialUse { name: "eap.arpa", source: "RFC 9965" },
    SpecialUse { name: "example", source: "RFC 6761" },
    SpecialUse { name: "home.arpa", source: "RFC 8375" },
    SpecialUse { name: "in-addr.arpa", source: "RFC 6761" },
    SpecialUse { name: "internal", source: "ICANN resolution 2024.07.29.06" },
    SpecialUse { name: "invalid", source: "RFC 6761" },
    SpecialUse { name: "ip6.arpa", source: "RFC 6761" },
    SpecialUse { name: "ipv4only.arpa", source: "RFC 8880" },
    SpecialUse { name: "local", source: "RFC 6762" },
    SpecialUse { name: "localhost", source: "RFC 6761" },
    SpecialUse { name: "onion", source: "RFC 7686" },
    SpecialUse { name: "resolver.arpa", source: "RFC 9462" },
    SpecialUse { name: "service.arpa", source: "RFC 9665" },
    SpecialUse { name: "test", source: "RFC 6761" },
];

/// The reserved name that the domain is, or is below; `None` for all other domains.
pub(crate) fn special_use(domain: &Domain) -> Option<&'static SpecialUse> {
    let top_level = domain.top_level();
    // A shortcut for the most common domains: this runs for every domain of a list.
    if matches!(top_level, "com" | "net" | "org") {
        return None;
    }
    SPECIAL_USE.iter().find(|special| special.name.ends_with(top_level) && domain.is_within(special.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_names_are_found_with_what_is_below_them() {
        let special = |text| special_use(&Domain::parse(text).unwrap()).map(|special| special.name);
        assert_eq!(special("a.test"), Some("test"));
        assert_eq!(special("localhost"), Some("localhost"));
        assert_eq!(special("nas.home.arpa"), Some("home.arpa"));
        assert_eq!(special("example.com"), None);
        assert_eq!(special("mylocal"), None);
        assert!(SPECIAL_USE.is_sorted_by_key(|special| special.name));
    }
}
